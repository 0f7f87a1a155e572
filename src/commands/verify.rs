//! `piecemeal verify`: hash what is on disk against a torrent. (stage 10)

use std::path::{Path, PathBuf};

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::Info;
use piecemeal::s10_storage::damage::{self, State};
use piecemeal::s10_storage::output::is_part_of;
use piecemeal::s10_storage::{Storage, StorageError, verify};

use super::failure::{Failure, INTERRUPTED, LOCAL, WRONG_HASH, at_the_disk};
use super::interrupt::interrupt;
use super::opening::open;
use super::piece_map::describe;
use super::{Answer, Options};
use crate::progress::Progress;

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
        let info = open(&self.torrent, options)?.info;
        std::fs::metadata(&self.path)
            .map_err(|error| StorageError::Io { path: printable(&self.path.to_string_lossy()), error })?;
        let storage = Storage::through_links(&info, &self.path);
        let progress = Progress::new(options, "verifying", info.length);
        options.narrator().say(10, "hashing each piece as it is on disk, and holding it against the torrent");
        let right = verify(&info, &storage, &*interrupt()?, &|bytes| progress.set(bytes));
        let right = right.map_err(|error| misplaced(error, &info, &self.path))?;
        progress.clear();
        let files = damage::files(&info, &storage, &right)?;
        let answer = describe(&info, &self.path, &right, &files);
        let (good, all) = (right.count(), info.piece_count());
        let first = info.pieces().find(|piece| !right.has(piece.get()));
        let broken = files.iter().filter(|file| file.state != State::Whole).count();
        let what = match (first, broken) {
            (Some(first), _) => format!("{good} of {all} pieces are right; the first that is not is piece {first}"),
            (None, 0) => return Ok(answer),
            // No hash covers what is behind the end of a file, or an empty one.
            (None, _) => format!("all pieces are right, but {broken} of {} files are not as in the torrent", files.len()),
        };
        let help = match is_part_of(&info, &right) {
            true => "download it to the same place: what is right is kept, the rest is made as in the torrent".to_owned(),
            // What is there may be anything, so nothing may be advised that writes there.
            false => elsewhere(&info, &self.path).unwrap_or(RIGHT_PATH.to_owned()),
        };
        let failure = Failure::new(WRONG_HASH, what).about(self.path.to_string_lossy());
        Err(failure.help(help).see("10-storage").answer(answer))
    }
}

/// What to do where nothing of the torrent is.
pub const RIGHT_PATH: &str = "give the path of the file itself, or of the folder that holds the torrent's files";

/// Where the content is, if the path is that of the folder above it.
pub fn elsewhere(info: &Info, path: &Path) -> Option<String> {
    let inside = path.join(&info.name);
    let what = if info.multi_file { "them" } else { "it" };
    let help = || format!("{} has {what}: give that path", printable(&inside.to_string_lossy()));
    Storage::through_links(info, &inside).has_any().then(help)
}

/// Something else is where a file should be: perhaps the file is in it.
pub fn misplaced(error: StorageError, info: &Info, path: &Path) -> Failure {
    let help = matches!(error, StorageError::NotAFile { .. }).then(|| elsewhere(info, path)).flatten();
    let failure = Failure::from(error);
    help.into_iter().fold(failure, Failure::help)
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Failure {
        let help = match error {
            StorageError::Exists { .. } | StorageError::Foreign { .. } => "choose another -o, or overwrite it with --force",
            StorageError::Link { .. } => "remove the link, or choose another place",
            StorageError::NotAFile { .. } => {
                "give the path of the file itself, with its name; what is there is a folder, or the like"
            }
            StorageError::Gone { .. } => "download again to the same place",
            StorageError::Stopped => {
                return Failure::new(INTERRUPTED, error).help("the same command starts again").see("10-storage");
            }
            StorageError::Io { ref error, .. } => at_the_disk(error),
        };
        Failure::new(LOCAL, error).help(help).see("10-storage")
    }
}
