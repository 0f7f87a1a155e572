//! `piecemeal verify`: hash what is on disk against a torrent. (stage 10)

use std::path::PathBuf;

use piecemeal::s01_bencode::printable;
use piecemeal::s10_storage::damage::{self, State};
use piecemeal::s10_storage::{Storage, StorageError};

use crate::cli::content_at::{hash, mend};
use crate::cli::exit_codes::WRONG_HASH;
use crate::cli::failure::Failure;
use crate::cli::interrupt::interrupt;
use crate::cli::screen::piece_map::describe;
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
        let answer = describe(&info, &self.path, &right, &files);
        let (good, all) = (right.count(), info.piece_count());
        let first = info.pieces().find(|piece| !right.has(piece.get()));
        let broken = files.iter().filter(|file| file.state != State::Whole).count();
        let what = match (first, broken) {
            (Some(first), _) => {
                format!("{good} of {all} pieces are right; the first that is not is piece {first}")
            }
            (None, 0) => return Ok(answer),
            // No hash covers the bytes after the end of a file, or an empty file.
            (None, _) => format!(
                "all pieces are right, but {broken} of {} files are not as in the torrent",
                files.len()
            ),
        };
        let failure = Failure::new(WRONG_HASH, what).about(self.path.to_string_lossy());
        Err(failure.help(mend(&info, &self.path, &right, &files)).see("10-storage").answer(answer))
    }
}
