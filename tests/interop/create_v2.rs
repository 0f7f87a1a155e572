//! Torrents of version 2 and hybrids: ours and libtorrent's of the same files have the same names,
//! and each loads the other's.

use std::path::Path;
use std::time::Instant;

use crate::create::output;
use crate::fixtures::{Fixture, Kind, every_fixture, one_file};
use crate::process::command;
use crate::programs::Program;
use crate::report::{Outcome, Report};

/// Prints the names that libtorrent finds in a torrent, and those of the one that it makes itself,
/// which it also writes.
const LIBTORRENT: &str = "
import os, sys, libtorrent as lt
ours, theirs, content, piece_length, version = sys.argv[1:]
def names(torrent):
    found = lt.torrent_info(torrent).info_hashes()
    both = ((found.has_v1(), found.v1), (found.has_v2(), found.v2))
    return ' '.join(str(name) for there, name in both if there)
print(names(ours))
flags = lt.create_torrent.v2_only if version == '2' else 0
made = lt.create_torrent(lt.list_files(content), int(piece_length), flags)
lt.set_piece_hashes(made, os.path.dirname(content))
made = made.generate()
print(names(made))
with open(theirs, 'wb') as file:
    file.write(lt.bencode(made))
";

/// What one may do differently: where padding goes, and what a single file is.
fn contents() -> Vec<Fixture> {
    let folder = |label, name, files: &[(&'static str, u64)]| Fixture {
        label,
        name,
        kind: Kind::Hybrid,
        piece_length: 32_768,
        files: files.to_vec(),
    };
    let mut all = every_fixture();
    // Version 2 has no other piece lengths.
    all.retain(|fixture| fixture.piece_length.is_power_of_two());
    all.extend([
        one_file("one byte", 1, 16_384),
        one_file("one block", 16_384, 16_384),
        one_file("a block and a byte", 16_385, 16_384),
        one_file("1,000 pieces", 1_000 * 16_384, 16_384),
        folder("a folder of one file", "alone", &[("file", 5)]),
        folder("an empty file at the end", "last", &[("a", 100), ("z", 0)]),
        folder("an empty file at the start", "first", &[("a", 0), ("z", 40_000)]),
        folder("files that end with pieces", "even", &[("a", 32_768), ("b/c", 65_536)]),
        folder("files of less than a piece", "small", &[(".hidden", 1), ("b", 20_000), ("c", 3)]),
    ]);
    all
}

/// The names in what `create` or `info` prints.
fn names(said: &str) -> String {
    let name = |line: &str| {
        let of_one = line.strip_prefix("Info Hash: ");
        of_one.or_else(|| line.strip_prefix("Info Hash v2: ")).map(str::to_owned)
    };
    said.lines().filter_map(name).collect::<Vec<_>>().join(" ")
}

fn piecemeal(words: &[&str], paths: &[&Path]) -> Result<String, String> {
    let mut program = command(Path::new(env!("CARGO_BIN_EXE_piecemeal")));
    program.args(words).args(paths);
    output(program)
}

fn compare(
    python: &Path,
    fixture: &Fixture,
    version: &str,
    folder: &Path,
) -> Result<String, String> {
    let content = folder.join(fixture.name);
    let [ours, theirs] = ["ours", "theirs"].map(|whose| folder.join(format!("{whose}.torrent")));
    let piece_length = fixture.piece_length.to_string();
    let words =
        ["create", "-q", "--force", "--version", version, "--piece-length", &piece_length, "-o"];
    let made = names(&piecemeal(&words, &[&ours, &content])?);
    let mut libtorrent = command(python);
    libtorrent.args(["-c", LIBTORRENT]).args([&ours, &theirs, &content]);
    libtorrent.args([&piece_length, version]);
    let said = output(libtorrent)?;
    let expected = format!("{made}\n{made}\n");
    if said != expected {
        return Err(format!("ours has the names {made}; libtorrent reads, and makes:\n{said}"));
    }
    let read = names(&piecemeal(&["info"], &[&theirs])?);
    if read != made {
        return Err(format!("we find {read} in libtorrent's, which has {made}"));
    }
    piecemeal(&["verify", "-q"], &[&theirs, &content])?;
    Ok(made)
}

#[test]
fn create_and_libtorrent_give_torrents_with_trees_the_same_names() {
    let Some(python) = Program::Libtorrent.find() else { return };
    let report = Report::new("create_and_libtorrent_give_torrents_with_trees_the_same_names");
    let folder = tempfile::tempdir().expect("the system has room for a temporary folder");
    for fixture in contents() {
        fixture.write(folder.path(), &(0..fixture.length()));
        for version in ["2", "hybrid"] {
            let begun = Instant::now();
            let outcome: Outcome = compare(&python, &fixture, version, folder.path())
                .map(|names| (begun.elapsed(), names));
            report.add("libtorrent", fixture.label, version, fixture.length(), outcome);
        }
    }
    report.finish();
}
