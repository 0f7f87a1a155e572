//! From pieces that are wrong to the files that this concerns: hashes speak of
//! pieces, people of files.

use std::ops::Range;
use std::path::PathBuf;

use super::{Storage, StorageError};
use crate::s02_metainfo::{FileEntry, Info};
use crate::s05_messages::bitfield::Bitfield;

/// One file, held against the torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Which of [`Info::files`] it is.
    pub number: usize,
    /// The bytes it has on disk; `None` if it is not there.
    pub found: Option<u64>,
    /// The pieces that hold a part of it. A piece at either end may hold parts of
    /// other files, too.
    pub pieces: Range<u32>,
    /// How many of these pieces are wrong.
    pub wrong: u32,
    /// The bytes of the file that its first unbroken run of wrong pieces covers.
    pub first_wrong: Option<Range<u64>>,
    /// The verdict.
    pub state: State,
}

/// What is the matter with a file: the most telling thing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing: it has its length, and all of its pieces are right.
    Whole,
    /// It is not there. An empty file can be missing, though no piece tells.
    Missing,
    /// It ends too early.
    TooShort,
    /// It goes on behind its end. All of its pieces may be right nonetheless.
    TooLong,
    /// It has its length, and at least one piece that is wrong. Where that piece
    /// has parts of other files, the fault may be theirs.
    Wrong,
}

/// Every file but padding, in the order of the torrent. `right` is what
/// [`verify`](super::verify) found.
///
/// # Errors
/// If a file cannot be looked at, or something else stands in its place.
pub fn files(info: &Info, storage: &Storage, right: &Bitfield) -> Result<Vec<FileReport>, StorageError> {
    let files = info.files.iter().enumerate().filter(|(_, file)| !file.padding);
    files.map(|(number, file)| report(info, number, file, storage.length_of(number)?, right)).collect()
}

fn report(
    info: &Info,
    number: usize,
    file: &FileEntry,
    found: Option<u64>,
    right: &Bitfield,
) -> Result<FileReport, StorageError> {
    let pieces = pieces_of(info, file);
    let wrong = pieces.clone().filter(|piece| !right.has(*piece)).count() as u32; // of u32 pieces
    let first_wrong = pieces.clone().find(|piece| !right.has(*piece)).map(|first| {
        let behind = (first..pieces.end).find(|piece| right.has(*piece)).unwrap_or(pieces.end);
        let at = |piece: u32| (u64::from(piece) * u64::from(info.piece_length)).saturating_sub(file.offset).min(file.length);
        at(first)..at(behind)
    });
    let state = match found {
        None => State::Missing,
        Some(length) if length < file.length => State::TooShort,
        Some(length) if length > file.length => State::TooLong,
        Some(_) if wrong > 0 => State::Wrong,
        Some(_) => State::Whole,
    };
    Ok(FileReport { number, found, pieces, wrong, first_wrong, state })
}

/// The pieces that a file lies in: none for an empty one.
fn pieces_of(info: &Info, file: &FileEntry) -> Range<u32> {
    // Where a torrent is read, its number of pieces is checked to fit.
    let index = |piece: u64| u32::try_from(piece).unwrap_or(u32::MAX);
    let first = index(file.offset / u64::from(info.piece_length));
    match file.length {
        0 => first..first,
        length => first..index((file.offset + length).div_ceil(u64::from(info.piece_length))),
    }
}

impl Storage {
    /// Whether every file is there with its exact length.
    pub fn has_right_sizes(&self) -> bool {
        self.lengths().all(|(number, length)| length == Some(self.files[number].length))
    }

    /// Whether one of the files is there, whatever is in it.
    pub fn has_any(&self) -> bool {
        self.lengths().any(|(_, length)| length.is_some())
    }

    /// Returns the first file that is longer than in the torrent.
    pub(super) fn too_long(&self) -> Option<PathBuf> {
        let longer = |number: usize, length: Option<u64>| length.is_some_and(|length| length > self.files[number].length);
        self.lengths().find(|(number, length)| longer(*number, *length)).map(|(number, _)| self.path(number))
    }

    /// Returns the number of each file but padding, with its length on disk if it is there.
    fn lengths(&self) -> impl Iterator<Item = (usize, Option<u64>)> {
        let length = |number| self.length_of(number).ok().flatten();
        self.files.iter().enumerate().filter(|(_, entry)| !entry.padding).map(move |(number, _)| (number, length(number)))
    }

    /// The length that a file has on disk, if it is there.
    pub(super) fn length_of(&self, number: usize) -> Result<Option<u64>, StorageError> {
        let place = self.place(number);
        match self.open_anew(number, self.reads) {
            Err(error) if error.is_missing() => Ok(None),
            file => Ok(Some(file?.metadata().map_err(|error| StorageError::io(&place.path(), error))?.len())),
        }
    }
}
