//! Writes the book: `piecemeal-book ROOT TO`, as `make book` does.

use piecemeal_book::book;
use piecemeal_book::names::Words;
use piecemeal_book::tree::Tree;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [root, to] = words.as_slice() else {
        eprintln!(
            "usage: piecemeal-book ROOT TO\nROOT is the crate's folder; the book is written into TO"
        );
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let from = to.with_extension("pages");
    let made = Tree::read(root)
        .map_err(book::BookError::Io)
        .and_then(|tree| book::write(&tree, &Words::listed(), &from, to));
    match made {
        Ok(()) => {
            let place = to.join("index.html");
            let place = place.canonicalize().unwrap_or(place);
            println!("{} in {:.1} s", place.display(), begun.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
