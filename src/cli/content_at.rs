//! Compares the content at a path with its torrent, and says what to do about it. (stage 10)

use std::path::Path;
use std::sync::atomic::AtomicBool;

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::damage::{FileReport, State};
use piecemeal::s10_storage::output::is_part_of;
use piecemeal::s10_storage::{Storage, StorageError, verify};

use super::Options;
use super::exit_codes::WRONG_HASH;
use super::failure::Failure;
use super::interrupt::interrupt;
use super::screen::due_lines::HashingWait;
use super::screen::progress::Progress;

const RIGHT_PATH: &str =
    "give the path of the file itself, or of the folder that holds the torrent's files";

/// Hashes the files and returns the set of right pieces. Calls `looked` with the news if
/// that takes long.
pub fn hash(
    info: &Info,
    storage: &Storage,
    path: &Path,
    stop: &AtomicBool,
    progress: &Progress,
    looked: &(dyn Fn(Option<(HashingWait, String)>) + Sync),
) -> Result<Bitfield, Failure> {
    let right = verify(info, storage, stop, &|bytes| looked(progress.set(bytes)));
    progress.clear();
    right.map_err(|error| {
        // A folder is where a file should be: perhaps the file is in it.
        let inside =
            matches!(error, StorageError::NotAFile { .. }).then(|| elsewhere(info, path)).flatten();
        inside.into_iter().fold(Failure::from(error), Failure::help)
    })
}

/// Checks that all pieces are right; anything less is an error.
pub fn whole(
    info: &Info,
    storage: &Storage,
    path: &Path,
    options: &Options,
) -> Result<(), Failure> {
    let purpose = "each piece is hashed first: what peers give must be right";
    let progress = Progress::hashing(options, "hashing", info.length, purpose);
    let right = hash(info, storage, path, &*interrupt()?, &progress, &drop)?;
    if right.is_full() {
        return Ok(());
    }
    let what =
        format!("{} of {} pieces are right, and all must be", right.count(), info.piece_count());
    let help = "`piecemeal verify`, with the same two paths, shows which are wrong";
    Err(Failure::new(WRONG_HASH, what).about(path.to_string_lossy()).help(help).see("10-storage"))
}

/// Returns the advice for content that differs from the torrent.
pub fn mend(info: &Info, path: &Path, right: &Bitfield, files: &[FileReport]) -> String {
    if files.iter().any(|file| file.state == State::TooLong) {
        return "the bytes after the end of a file are not the torrent's: cut them off if you do not need them".to_owned();
    }
    if is_part_of(info, right) {
        return "download it to the same place: right pieces are kept, the rest is restored"
            .to_owned();
    }
    // The path may hold something else entirely: never advise a command that writes there.
    right_path(info, path)
}

/// Returns the advice for a path that has nothing of the torrent.
pub fn right_path(info: &Info, path: &Path) -> String {
    elsewhere(info, path).unwrap_or(RIGHT_PATH.to_owned())
}

/// Returns the path to give, if the user gave the folder above the content.
fn elsewhere(info: &Info, path: &Path) -> Option<String> {
    let inside = path.join(&info.name);
    let what = if info.multi_file { "them" } else { "it" };
    let help = || format!("{} has {what}: give that path", printable(&inside.to_string_lossy()));
    Storage::through_links(info, &inside).has_any().then(help)
}
