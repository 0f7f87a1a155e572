//! `piecemeal verify`: hash what is on disk against a torrent. (stage 10)

use std::path::PathBuf;

use piecemeal::s01_bencode::printable;
use piecemeal::s10_storage::damage;
use piecemeal::s10_storage::{Storage, StorageError};

use crate::cli::content_at::hash;
use crate::cli::failure::Failure;
use crate::cli::findings::Findings;
use crate::cli::interrupt::interrupt;
use crate::cli::screen::progress::Progress;
use crate::cli::torrent_file::open_whole;
use crate::cli::{Answer, Options};

/// Check files against a torrent (stage 10)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal verify lab/sample.torrent sample.txt")]
pub struct Args {
    /// The .torrent file
    pub torrent: PathBuf,
    /// The file, or for several files the folder, to check
    pub path: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let info = open_whole(&self.torrent, options)?.info;
        std::fs::metadata(&self.path).map_err(|error| StorageError::Io {
            path: printable(&self.path.to_string_lossy()),
            error,
        })?;
        let storage = Storage::through_links(&info, &self.path);
        let purpose = "each piece is hashed; the result comes when all are";
        let progress = Progress::hashing(options, "verifying", info.length, purpose);
        options.narrator().say(10, "hashing each piece on disk, and comparing it with the torrent");
        let right = hash(&info, &storage, &self.path, &*interrupt()?, &progress, &drop)?;
        let files = damage::files(&info, &storage, &right)?;
        Findings { info: &info, path: &self.path, right: &right, files: &files }.answer(options)
    }
}
