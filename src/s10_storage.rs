//! Stage 10: where the bytes go: pieces on one side, files on the other.
//!
//! To the protocol a torrent is one long row of bytes, cut into pieces. On disk it
//! is files of any length. A piece may end one file, hold three whole ones and
//! begin a fifth; [`Storage`] finds the files that hold any range of bytes.
//!
//! * **Run it:** `piecemeal verify lab/sample.torrent lab/original/sample.txt`,
//!   `piecemeal create lab/original/sample.txt`
//! * **Spec:** BEP 3, "info dictionary"; BEP 19, 47; **chapter:** `docs/10-storage.md`
//! * **Builds on:** [`Info`] from stage 2, [`Bitfield`] from stage 5
//!
//! # On disk
//! ```text
//! bytes    0                                                    length
//! pieces   |    0    |    1    |    2    |    3    |    4    |  5 |
//! files    | a.txt |        b.bin           |c|padding|   d.iso   |
//!
//! OUT            the file; or, with several, the folder that holds them
//! OUT.piecemeal  while the download is not complete: its info hash
//! ```
//! # Decisions
//! * **Positioned reads and writes.** No seek, no shared position: any number of
//!   threads use one open file at once.
//! * **Only hashes are trusted.** Content on disk counts after its pieces have been
//!   hashed ([`verify`]), never because a note says so.
//! * **Foreign content is refused.** `OUT.piecemeal`, or a right piece, distinguishes this
//!   torrent's content from a file that happens to have its name ([`output::Output`]). In this
//!   torrent's content, every wrong piece is overwritten, whoever changed it.
//! * **No symbolic link is written through** below the output: one that leads out of it
//!   would let a torrent write anywhere. Content that is only read may be the user's own links.
//! * **Creating a torrent is the same, backwards** ([`create`]): one function hashes
//!   pieces for both.
//! * **Left out:** reserving disk space ahead. Files grow as pieces arrive.
//!
//! # In two sittings
//! 1. This file, `place`, [`output`], `hashing` and `positioned`: from pieces to files.
//! 2. [`create`], which goes from files to pieces, with `finding` and `encoding`; [`damage`] and
//!    `seal`, for files that others change; `open_files`, which saves opening them again.

pub mod create;
pub mod damage;
mod hashing;
mod open_files;
pub mod output;
mod place;
mod positioned;
mod seal;

use std::fs;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

pub use self::hashing::judged;
use self::hashing::{Pieces, hash, hash_pieces, verdict};
use self::open_files::OpenFiles;
use self::place::{How, Place};
use self::seal::Seals;
use crate::s01_bencode::{counted, printable};
use crate::s02_metainfo::{FileEntry, Info, PieceIndex};
use crate::s05_messages::bitfield::Bitfield;

/// Something that holds a torrent's content, addressed as one row of bytes.
///
/// All that later stages know of a disk. Every method takes `&self` and may be called by any number
/// of threads at once. Callers keep within the torrent's length.
pub trait Store: Send + Sync {
    /// Writes `data` at `offset`. After a return without an error, [`Store::read`] returns it; a
    /// crash of the machine may still lose it, since nothing waits for the disk.
    ///
    /// # Errors
    /// If it cannot be stored.
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError>;

    /// Writes `parts` one after the other, the first at `offset`. A store that can do it
    /// in one call saves a system call for each part.
    ///
    /// # Errors
    /// If not all of them can be stored; some may have been.
    fn write_parts(&self, mut offset: u64, parts: &[&[u8]]) -> Result<(), StorageError> {
        for part in parts {
            self.write(offset, part)?;
            offset += part.len() as u64;
        }
        Ok(())
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// If not all of it is there. Then `buffer` may be filled in part.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError>;

    /// Outside changes are numbered, all files together; this is the number of the last one in this
    /// range, or 0 if there was none. Stage 16 asks before it sends a block, and hashes the piece
    /// again if the number is a new one. A store that no other program can reach has no changes.
    ///
    /// # Errors
    /// If the files cannot be examined.
    fn changes(&self, _offset: u64, _length: usize) -> Result<u32, StorageError> {
        Ok(0)
    }
}

/// The files of a torrent.
///
/// A file's *number* is its index in [`Info::files`].
pub struct Storage {
    /// The output: the single file, or the folder of several.
    root: PathBuf,
    /// Paths are relative to `root`, and empty for a single file. In the order of the torrent, so
    /// offsets rise.
    files: Vec<FileEntry>,
    /// Whether files may be made and written. False while content is only looked at.
    writable: bool,
    /// How files are opened if they are only read. Links are followed only if nothing is ever
    /// written.
    reads: How,
    /// Whether nothing more is written. Set once, by [`Storage::seal`].
    sealed: AtomicBool,
    /// The state of the files when last checked. A leaf lock: its holder takes no other.
    seals: Mutex<Seals>,
    /// A leaf lock: held to look a file up, not to read or write it.
    open: Mutex<OpenFiles>,
    /// The turn to open a file. Held while one is opened; `open` is taken inside it.
    opening: Mutex<()>,
}

impl Storage {
    /// The content of a torrent at `root`: the single file, or the folder of several.
    /// Nothing on disk is touched yet.
    pub fn new(info: &Info, root: &Path, writable: bool) -> Storage {
        let mut files = info.files.clone();
        if !info.multi_file {
            // The output takes the place of the name.
            files.iter_mut().for_each(|file| file.path = PathBuf::new());
        }
        Storage::of(files, root, writable)
    }

    /// The content of a torrent at `root`, read-only. Symbolic links below it are
    /// followed: people keep whole libraries as links.
    pub fn through_links(info: &Info, root: &Path) -> Storage {
        Storage { reads: How::Follow, ..Storage::new(info, root, false) }
    }

    /// Like [`Storage::new`], for files of any origin: [`create`] finds them on disk.
    fn of(files: Vec<FileEntry>, root: &Path, writable: bool) -> Storage {
        Storage {
            root: root.to_owned(),
            files,
            writable,
            reads: How::Read,
            sealed: AtomicBool::new(false),
            seals: Mutex::default(),
            open: Mutex::default(),
            opening: Mutex::default(),
        }
    }

    /// Starts noticing changes that others make to the files ([`Store::changes`]). Call it
    /// before verifying, so that a change in between is noticed.
    pub fn seal(&self) {
        let seals =
            Seals::of((0..self.files.len()).map(|number| fs::metadata(self.path(number)).ok()));
        *self.seals.lock().unwrap_or_else(PoisonError::into_inner) = seals;
        // Only now: a thread that sees the flag finds the seals.
        self.sealed.store(true, Ordering::SeqCst);
    }

    /// Calls `act` for each file that holds a part of the range, with the file's number, the offset
    /// in the file, and the part of the range. The first error of `act` ends it.
    ///
    /// ```text
    /// files   |  3: 10 bytes  | 4: 6 bytes |  5: 12 bytes  |
    /// range            |-------------------------|             13 bytes, from 6 bytes into file 3
    /// calls             3, 6,    4, 0,       5, 0,             number, offset in the file,
    ///                   0..4     4..10       10..13            part of the range
    /// ```
    fn each_file(
        &self,
        offset: u64,
        length: usize,
        mut act: impl FnMut(usize, u64, Range<usize>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let end = offset + length as u64;
        // A binary search, since this runs for every block and a torrent may have a million files.
        // It passes over all that end at or before the offset, empty files included.
        let first = self.files.partition_point(|file| file.offset + file.length <= offset);
        for (number, file) in self.files.iter().enumerate().skip(first) {
            if file.offset >= end {
                break;
            }
            let from = offset.max(file.offset);
            let to = end.min(file.offset + file.length);
            // Both are within the range, whose length is a usize.
            let part = (from - offset) as usize..(to - offset) as usize;
            // An empty file in the middle of the range has no part of it.
            if !part.is_empty() {
                act(number, from - file.offset, part)?;
            }
        }
        Ok(())
    }

    /// Returns where this file goes, whether or not it is there.
    fn place(&self, number: usize) -> Place<'_> {
        Place { root: &self.root, below: &self.files[number].path }
    }

    fn path(&self, number: usize) -> PathBuf {
        self.place(number).path()
    }

    /// Brings the files to their exact lengths once all pieces are there: makes empty
    /// ones, which no piece covers, and cuts off what older content left behind.
    ///
    /// | on disk | in the torrent | what happens |
    /// |---|---|---|
    /// | the right length | any | nothing: the file is not even opened for writing |
    /// | missing | empty | it is made |
    /// | longer | any | the rest is cut off |
    /// | missing or shorter | not empty | an error |
    ///
    /// # Errors
    /// If a file cannot be made or cut, or is shorter than what was written to it.
    pub fn finish(&self) -> Result<(), StorageError> {
        for (number, entry) in self.files.iter().enumerate().filter(|(_, entry)| !entry.padding) {
            let (place, length) = (self.place(number), self.length_of(number)?);
            if length == Some(entry.length) {
                continue;
            }
            // `None`, a missing file, is less than any length.
            if length < Some(entry.length) && entry.length > 0 {
                // All of it was written: another program has cut it, or removed it.
                return Err(StorageError::Gone { path: shown(&place.path()) });
            }
            let file = self.open_uncached(number, How::Make)?;
            file.set_len(entry.length).map_err(|error| StorageError::io(&place.path(), error))?;
        }
        Ok(())
    }
}

impl Store for Storage {
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        self.write_parts(offset, &[data])
    }

    fn write_parts(&self, offset: u64, parts: &[&[u8]]) -> Result<(), StorageError> {
        self.each_file(offset, parts.iter().map(|part| part.len()).sum(), |number, at, range| {
            if self.files[number].padding {
                return Ok(()); // BEP 47: never written
            }
            // Written without a lock: each write names its own offset.
            positioned::write_all(&*self.file(number)?, &mut positioned::cut(parts, range), at)
                .map_err(|error| StorageError::io(&self.path(number), error))
        })
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.each_file(offset, buffer.len(), |number, at, part| {
            if self.files[number].padding {
                // BEP 47: zeros, and they are hashed. The buffer may hold an earlier read.
                buffer[part].fill(0);
                return Ok(());
            }
            positioned::read_exact(&*self.file(number)?, &mut buffer[part], at)
                .map_err(|error| StorageError::io(&self.path(number), error))
        })
    }

    fn changes(&self, offset: u64, length: usize) -> Result<u32, StorageError> {
        let mut last = 0;
        // While a download writes, every file changes all the time, and its pieces are hashed
        // anyway.
        if !self.sealed.load(Ordering::SeqCst) {
            return Ok(last);
        }
        self.each_file(offset, length, |number, _, _| {
            if !self.files[number].padding {
                // The open file, since that is the one that is read: another program may have put a
                // new one in its place.
                let now = self.file(number)?.metadata().ok();
                let mut seals = self.seals.lock().unwrap_or_else(PoisonError::into_inner);
                last = seals.look(number, now).max(last);
            }
            Ok(())
        })?;
        Ok(last)
    }
}

/// Hashes all pieces, on all cores, and returns which are right. `checked` is called
/// with the number of bytes done so far; setting `stop` ends the check early.
///
/// # Errors
/// If a file is there but cannot be read, or at `stop`. A missing or short file only
/// makes its pieces wrong. So the first verify of an empty folder is not a special case.
pub fn verify(
    info: &Info,
    store: &dyn Store,
    stop: &AtomicBool,
    checked: &(dyn Fn(u64) + Sync),
) -> Result<Bitfield, StorageError> {
    // Locked once for each piece: next to hashing it, that costs nothing.
    let right = Mutex::new(Bitfield::new(info.piece_count()));
    let piece = |index| info.piece(index).expect("these are the pieces that there are");
    let range = |index| {
        let begin = info.piece_offset(piece(index));
        begin..begin + u64::from(info.piece_size(piece(index)))
    };
    let begin = |index| info.check.begin(piece(index));
    let pieces = Pieces { count: info.piece_count(), range: &range, begin: &begin };
    hash_pieces(store, &pieces, stop, checked, &|index, hash| {
        let verdict = verdict(info, piece(index), hash)?;
        right.lock().unwrap_or_else(PoisonError::into_inner).set(index, verdict);
        Ok(())
    })?;
    Ok(right.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Whether a piece is there and has the right hash; `buffer` is for reading, and holds some whole
/// blocks of 16 KiB, or the piece.
///
/// # Errors
/// As [`verify`].
pub fn is_right(
    info: &Info,
    piece: PieceIndex,
    store: &dyn Store,
    buffer: &mut [u8],
) -> Result<bool, StorageError> {
    let begin = info.piece_offset(piece);
    let range = begin..begin + u64::from(info.piece_size(piece));
    verdict(info, piece, hash(info.check.begin(piece), store, range, buffer))
}

/// Why content could not be read or written.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum StorageError {
    /// The system refuses.
    #[error("{path}: {error}")]
    Io { path: String, error: io::Error },
    /// A symbolic link below the output.
    #[error("{path}: is a symbolic link, which is not followed")]
    Link { path: String },
    /// A folder, pipe or device is where a file goes.
    #[error("{path}: a file was expected, but something else is there")]
    NotAFile { path: String },
    /// Content that was written is no longer there.
    #[error("{path}: was truncated or removed by another program during the download")]
    Gone { path: String },
    /// We were told to stop.
    #[error("stopped")]
    Stopped,
    /// A piece fits one of its hashes, and so cannot fit the other.
    #[error(
        "piece {piece} fits one of its hashes and not the other: the torrent contradicts itself"
    )]
    Contradiction { piece: PieceIndex },
    /// There is something that must not be overwritten.
    #[error("{path}: exists, and is not {what}")]
    Exists { path: String, what: &'static str },
    /// The output holds content that has been hashed, and none of it is this torrent's.
    #[error("{path}: exists, and is not part of this torrent: {} checked, none right", counted(*pieces, "piece"))]
    Foreign { path: String, pieces: u32 },
}

impl StorageError {
    fn io(path: &Path, error: io::Error) -> StorageError {
        StorageError::Io { path: shown(path), error }
    }

    /// Whether the error only says that a file, or a part of it, is not there. `NotADirectory`
    /// counts too: something on the way is a file, so nothing can be below it.
    pub fn is_missing(&self) -> bool {
        matches!(self, StorageError::Io { error, .. } if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::NotADirectory))
    }
}

/// The path as errors show it: a torrent chose the name, so control characters are escaped.
fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}
