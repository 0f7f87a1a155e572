//! From wrong pieces to the files they belong to: hashes are about pieces, but users
//! think in files.
//!
//! ```text
//! pieces   |  0 right  |  1 wrong  |  2 right  |
//! files    |    a.txt    | b.txt |    c.txt    |
//!                    piece 1 has bytes of a.txt, b.txt and c.txt: which of them is damaged?
//! ```
//! No hash can tell, so all three are reported, each with the bytes that may be wrong. Two things
//! no hash shows at all: a file that is too long, and an empty one that is missing. For these the
//! lengths on disk are compared.

use std::ops::Range;
use std::path::PathBuf;

use super::{Storage, StorageError};
use crate::s02_metainfo::{FileEntry, Info};
use crate::s05_messages::bitfield::Bitfield;

/// One file, compared with the torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// The file's index in [`Info::files`].
    pub number: usize,
    /// The length on disk, in bytes; `None` if the file is not there. A link that leads nowhere
    /// counts as not there.
    pub found: Option<u64>,
    /// The pieces that hold a part of the file. A piece at either end may also hold
    /// parts of other files.
    pub pieces: Range<u32>,
    /// The number of these pieces that are wrong.
    pub wrong: u32,
    /// The bytes of the file that its first unbroken run of wrong pieces covers. `None` if no piece
    /// is wrong.
    pub first_wrong: Option<Range<u64>>,
    /// The verdict.
    pub state: State,
}

/// What is wrong with a file. A file may have several faults; this is the one that explains most.
///
/// | length on disk | a piece is wrong | state |
/// |---|---|---|
/// | none | either | [`State::Missing`] |
/// | too short | either | [`State::TooShort`] |
/// | too long | either | [`State::TooLong`] |
/// | right | yes | [`State::Wrong`] |
/// | right | no | [`State::Whole`] |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing: it has the right length, and all of its pieces are right.
    Whole,
    /// It is not there. An empty file can be missing, though no piece shows it.
    Missing,
    /// It ends too early.
    TooShort,
    /// It is longer than in the torrent. All of its pieces may still be right.
    TooLong,
    /// It has the right length, but at least one piece is wrong. If that piece has
    /// parts of other files, the wrong bytes may be theirs.
    Wrong,
}

/// Reports on every file but padding, in the order of the torrent. `right` is the
/// result of [`verify`](super::verify).
///
/// # Errors
/// If a file cannot be examined, or something else is in its place.
pub fn files(
    info: &Info,
    storage: &Storage,
    right: &Bitfield,
) -> Result<Vec<FileReport>, StorageError> {
    let files = info.files.iter().enumerate().filter(|(_, file)| !file.padding);
    files
        .map(|(number, file)| report(info, number, file, storage.length_of(number)?, right))
        .collect()
}

/// Compares one file, whose length on disk is `found`, with the torrent.
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
        // Where a piece begins, within this file: the first piece may begin before the file does,
        // and the last one may end after it does.
        let at = |piece: u32| {
            (u64::from(piece) * u64::from(info.piece_length))
                .saturating_sub(file.offset)
                .min(file.length)
        };
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

/// Returns the pieces that hold a part of a file: none for an empty one.
fn pieces_of(info: &Info, file: &FileEntry) -> Range<u32> {
    // Always fits: reading the torrent checked its number of pieces.
    let index = |piece: u64| u32::try_from(piece).unwrap_or(u32::MAX);
    let first = index(file.offset / u64::from(info.piece_length));
    match file.length {
        0 => first..first,
        length => first..index((file.offset + length).div_ceil(u64::from(info.piece_length))),
    }
}

impl Storage {
    /// Whether every file is there with the right length. Content whose pieces are all right is not
    /// complete without this.
    pub fn has_right_sizes(&self) -> bool {
        self.lengths().all(|(number, length)| length == Some(self.files[number].length))
    }

    /// Whether any of the files is there, whatever is in it.
    pub fn has_any(&self) -> bool {
        self.lengths().any(|(_, length)| length.is_some())
    }

    /// Returns the path of the first file that is longer than in the torrent, if there is one.
    pub(super) fn too_long(&self) -> Option<PathBuf> {
        let longer = |number: usize, length: Option<u64>| {
            length.is_some_and(|length| length > self.files[number].length)
        };
        self.lengths()
            .find(|(number, length)| longer(*number, *length))
            .map(|(number, _)| self.path(number))
    }

    /// Returns the number of each file but padding, with its length on disk if it is there. A file
    /// that cannot be examined counts as not there: the callers only want to know what they can
    /// use.
    fn lengths(&self) -> impl Iterator<Item = (usize, Option<u64>)> {
        let length = |number| self.length_of(number).ok().flatten();
        self.files
            .iter()
            .enumerate()
            .filter(|(_, entry)| !entry.padding)
            .map(move |(number, _)| (number, length(number)))
    }

    /// Returns the length of a file on disk, if it is there.
    ///
    /// # Errors
    /// If it cannot be examined, or is not a file.
    pub(super) fn length_of(&self, number: usize) -> Result<Option<u64>, StorageError> {
        let place = self.place(number);
        // Opened instead of looked up by its path, so that links are followed by the same rules as
        // when it is read. Not kept open: a torrent may have more files than there are descriptors.
        match self.open_uncached(number, self.reads) {
            Err(error) if error.is_missing() => Ok(None),
            file => Ok(Some(
                file?.metadata().map_err(|error| StorageError::io(&place.path(), error))?.len(),
            )),
        }
    }
}
