//! `piecemeal tree`: the hashes of a file, from its blocks up to its root. (stage 23)

use std::path::PathBuf;

use piecemeal::s10_storage::StorageError;
use piecemeal::s10_storage::create::{Content, piece_length_for};
use piecemeal::s23_v2::create::leaves;

use crate::cli::failure::Failure;
use crate::cli::interrupt::interrupt;
use crate::cli::screen::progress::Progress;
use crate::cli::tree_picture::draw;
use crate::cli::tree_view::{TreeOptions, WholeTree, rootless};
use crate::cli::{Answer, Options};

/// Draw the tree of a file's hashes, as a version 2 torrent has it (stage 23)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal tree --piece-length 32KiB lab/original/sample.txt")]
pub struct Args {
    #[command(flatten)]
    what: TreeOptions,
    /// Also draw a picture of it
    #[arg(long, value_name = "FILE.svg", value_parser = crate::cli::lookup_map::named)]
    svg: Option<PathBuf>,
    /// The file
    file: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let shown = self.file.to_string_lossy();
        if self.file.is_dir() {
            return Err(StorageError::NotAFile { path: shown.into_owned() }.into());
        }
        let content = Content::find(&self.file, Some("file")).map_err(rootless)?;
        let purpose = "each block of 16 KiB gets a hash: a leaf of the tree";
        let progress = Progress::hashing(options, "hashing", content.length, purpose);
        let leaves = leaves(&content, &*interrupt()?, &|bytes| drop(progress.set(bytes)))?;
        progress.clear();
        let piece_length = self.what.piece_length.unwrap_or(piece_length_for(content.length));
        let tree = WholeTree::new(&shown, content.length, piece_length, leaves);
        let which = tree.choose(&self.what)?;
        self.svg.iter().try_for_each(|path| draw(path, &tree, which))?;
        tree.print(which, self.what.whole, options)
    }
}
