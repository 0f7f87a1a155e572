//! `piecemeal verify`: hash what is on disk against a torrent. (stage 10)

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use piecemeal::s01_bencode::printable;
use piecemeal::s10_storage::{Storage, StorageError, verify};
use serde_json::json;

use super::failure::{Failure, LOCAL, WRONG_HASH};
use super::info::open;
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
        let info = open(&self.torrent)?.info;
        std::fs::metadata(&self.path)
            .map_err(|error| StorageError::Io { path: printable(&self.path.to_string_lossy()), error })?;
        let storage = Storage::new(&info, &self.path, false);
        let progress = Progress::new(options, "verifying", info.length);
        let right = verify(&info, &storage, &AtomicBool::new(false), &|bytes| progress.set(bytes))?;
        progress.clear();
        let (good, all) = (right.count(), info.piece_count());
        let text = format!("{good} of {all} pieces are right.");
        let wrong: Vec<u32> = info.pieces().map(|piece| piece.get()).filter(|piece| !right.has(*piece)).collect();
        if let Some(first) = wrong.first() {
            let what = format!(
                "{}: {good} of {all} pieces are right; the first that is not is piece {first}",
                printable(&self.path.to_string_lossy())
            );
            return Err(Failure::new(WRONG_HASH, what)
                .help("download it again to the same place: what is right is kept with --force")
                .see("10-storage"));
        }
        Ok(Answer { text, json: json!({ "pieces": all, "right": good, "wrong": wrong }) })
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Failure {
        let help = match error {
            StorageError::Exists { .. } => "choose another -o, or overwrite it with --force",
            StorageError::Link { .. } => "remove the link, or choose another -o",
            StorageError::NotAFile { .. } => "choose another place",
            StorageError::Gone { .. } => "download again to the same place",
            StorageError::Stopped => "the same command goes on",
            StorageError::Io { .. } => "check the path, its permissions and the free space",
        };
        Failure::new(LOCAL, error).help(help).see("10-storage")
    }
}
