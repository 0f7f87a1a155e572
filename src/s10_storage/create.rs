//! The other way around: from files to a .torrent.
//!
//! Whoever makes a torrent decides its info hash for everyone. So the same content
//! must give the same bytes each time, on every machine: files are in a fixed order,
//! and no date is written unless the user asks for one. And our own reader must read
//! exactly what was meant: the encoded bytes are read back before they are written.
//!
//! | found in the folder | in the torrent |
//! |---|---|
//! | files, hidden and empty ones included | in the order of their names' bytes, folder by folder |
//! | folders | as parts of paths; one without files leaves no trace |
//! | symbolic links, pipes, devices | an error: they are not content |
//! | names that are not UTF-8, or that a reader changes to be safe (see [`paths`]) | an error |
//!
//! [`Content::torrent`] makes torrents of version 1. Other formats are made of the same parts: a
//! piece length, hashes, an encoded dictionary, and a look at what was encoded.
//!
//! [`paths`]: crate::s02_metainfo::paths

pub mod encoding;
mod finding;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use thiserror::Error;

use self::encoding::{info, torrent};
use super::hashing::hash_pieces;
pub use super::hashing::{Pieces, add_zeros};
use super::place::folder_of;
use super::{Storage, StorageError};
use crate::s01_bencode::printable;
use crate::s02_metainfo::piece_check::sha1_hasher;
use crate::s02_metainfo::{
    FileEntry, Info, MAX_PIECE_LENGTH, MAX_PIECES, MAX_TORRENT_FILE, Metainfo, MetainfoError,
};

/// The most pieces that we aim for: 40 KiB of hashes. Content that would need pieces longer
/// than [`MAX_PIECE_CHOICE`] gets more.
const PIECES_MEANT: u64 = 2048;
/// The shortest piece length that we choose, in bytes: a block (stage 9). Shorter pieces would
/// only add hashes.
const MIN_PIECE_CHOICE: u64 = 16 << 10;
/// The longest piece length that we choose, in bytes. A peer can pass on only whole pieces, so
/// they must not be too long.
const MAX_PIECE_CHOICE: u64 = 16 << 20;

/// What a torrent says besides its content. Only `private`, `source` and the piece length are
/// inside the info dictionary, and so in the info hash; the rest can be changed later without
/// making it another torrent.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The length of a piece, in bytes; if `None`, [`piece_length_for`] chooses it.
    pub piece_length: Option<u64>,
    /// Tracker URLs in tiers, the preferred first (BEP 12). Empty for a torrent without trackers.
    pub tiers: Vec<Vec<String>>,
    /// `private`: peers from the trackers only (BEP 27).
    pub private: bool,
    /// `url-list`: HTTP servers that also have the content (BEP 19).
    pub web_seeds: Vec<String>,
    /// `nodes`: ways into the DHT, each a host and a port (BEP 5).
    pub nodes: Vec<(String, u16)>,
    /// `comment`: free text for anyone who reads the torrent.
    pub comment: Option<String>,
    /// `source`, inside info: it gives the same content another info hash at each tracker.
    pub source: Option<String>,
    /// `created by`: a program.
    pub created_by: Option<String>,
    /// `creation date`, in seconds since 1970. `None` by default: with a date, the same command
    /// would write other bytes each time.
    pub creation_date: Option<u64>,
}

/// Files that were found, and that a torrent can be made from.
///
/// ```text
///   Content::find: list, read the names back
///        --> Content::torrent: hash, unchanged?, read the torrent back
///                 --> Created::write
/// ```
/// Names, trackers and piece length are checked before hashing, which may take hours.
#[derive(Debug)]
pub struct Content {
    /// The torrent's name.
    pub name: String,
    /// The files in their order. As in [`Storage`], the single file of a torrent
    /// without a folder has an empty path.
    pub files: Vec<FileEntry>,
    /// The length of all files together, in bytes.
    pub length: u64,
    /// The path that the user named: the file, or the folder.
    root: PathBuf,
    /// Whether `root` is a folder. Then the torrent has a list of files, even for one file.
    pub folder: bool,
    /// When each file was last changed, if the system reports it. In the order of `files`.
    changed: Vec<Option<SystemTime>>,
}

impl Content {
    /// Makes the torrent of these files, in memory. `hashed` is called with the number of
    /// bytes done so far; setting `stop` ends it early.
    ///
    /// # Errors
    /// If a file cannot be read or changes meanwhile, or if there would be too many
    /// pieces.
    pub fn torrent(
        &self,
        draft: &Draft,
        stop: &AtomicBool,
        hashed: &(dyn Fn(u64) + Sync),
    ) -> Result<Created, CreateError> {
        let piece_length = self.piece_length(draft, &[self.length])?;
        let read = Metainfo::from_bytes;
        self.read_back(torrent(self.without_hashes(draft), [], draft), draft, read)?;
        let range = |index| {
            let begin = u64::from(index) * u64::from(piece_length);
            begin..self.length.min(begin + u64::from(piece_length))
        };
        let count = self.length.div_ceil(piece_length.into()) as u32; // at most 2^21
        let pieces = Pieces { count, range: &range, begin: &|_| sha1_hasher() };
        let hashes = self.hashes(&pieces, 20, stop, hashed)?; // SHA-1: 20 bytes
        let raw = info(&self.name, self.folder, &self.files, piece_length, &hashes, draft);
        self.read_back(torrent(raw, [], draft), draft, read)
    }

    /// Hashes pieces of the files on all cores, and returns their hashes one after the other, each
    /// of `width` bytes. `hashed` and `stop` are as in [`Content::torrent`].
    ///
    /// # Errors
    /// If a file cannot be read or changes meanwhile, or if we are told to stop.
    pub fn hashes(
        &self,
        pieces: &Pieces,
        width: usize,
        stop: &AtomicBool,
        hashed: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<u8>, CreateError> {
        // Made in advance, since pieces are finished in any order, and each hash has its place.
        // They are small beside their pieces.
        let hashes = Mutex::new(vec![0; pieces.count as usize * width]);
        // Not writable: a file that has disappeared must be an error, not a new file.
        let store = Storage::of(self.files.clone(), &self.root, false);
        let keep = |index: u32, hash: Result<Vec<u8>, StorageError>| {
            let mut hashes = hashes.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = index as usize * width;
            hashes[begin..begin + width].copy_from_slice(&hash?);
            Ok(())
        };
        let done = hash_pieces(&store, pieces, stop, hashed, &keep);
        // Before the error: for a file that was cut, "was changed" says more than "ends early".
        self.unchanged()?;
        done?;
        // `stop` may have been set after the last piece. Nothing may be written then either.
        if stop.load(Ordering::Relaxed) {
            return Err(StorageError::Stopped.into());
        }
        Ok(hashes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the encoded info dictionary of the same files, but empty: content without hashes is
    /// refused.
    fn without_hashes(&self, draft: &Draft) -> Vec<u8> {
        let empty = |file: &FileEntry| FileEntry { offset: 0, length: 0, ..file.clone() };
        let files: Vec<FileEntry> = self.files.iter().map(empty).collect();
        info(&self.name, self.folder, &files, 1, &[], draft)
    }

    /// Returns the piece length to use, if it makes no more pieces than a torrent may have. `rows`
    /// are the numbers of bytes that begin at a piece each: here a single one, all the content.
    ///
    /// # Errors
    /// [`CreateError::PieceLength`], with a power of two that is `enough`; if none is,
    /// [`CreateError::TooLarge`].
    pub fn piece_length(&self, draft: &Draft, rows: &[u64]) -> Result<u32, CreateError> {
        let length = draft.piece_length.unwrap_or_else(|| piece_length_for(self.length));
        let pieces_of = |length: u64| {
            let pieces = rows.iter().map(|row| row.div_ceil(length.max(1))); // 0 is refused below
            pieces.fold(0, u64::saturating_add)
        };
        let pieces = pieces_of(length);
        if let Ok(fits) = u32::try_from(length)
            && pieces <= MAX_PIECES
            && (1..=MAX_PIECE_LENGTH).contains(&length)
        {
            return Ok(fits);
        }
        let powers = (0..).map(|power| 1 << power).take_while(|length| *length <= MAX_PIECE_LENGTH);
        match powers.into_iter().find(|length| pieces_of(*length) <= MAX_PIECES) {
            Some(enough) => Err(CreateError::PieceLength { length, pieces, enough }),
            None => Err(CreateError::TooLarge {
                what: "the content",
                limit: MAX_PIECES * MAX_PIECE_LENGTH,
            }),
        }
    }

    /// Reads the encoded torrent as any client will, by `read`, and compares. A torrent that others
    /// read differently cannot be taken back once it is published.
    ///
    /// # Errors
    /// If our own reader refuses it, or finds other names, trackers or web seeds in it.
    pub fn read_back(
        &self,
        bytes: Vec<u8>,
        draft: &Draft,
        read: impl Fn(&[u8]) -> Result<Metainfo, MetainfoError>,
    ) -> Result<Created, CreateError> {
        if bytes.len() as u64 > MAX_TORRENT_FILE {
            return Err(CreateError::TooLarge {
                what: "the .torrent file",
                limit: MAX_TORRENT_FILE,
            });
        }
        let metainfo = read(&bytes)?;
        self.same_names(&metainfo.info)?;
        // Our reader trims URLs, and passes over those that are too long or too many. Other clients
        // might lose the same ones.
        let urls = [
            (format!("{:?}", draft.tiers), format!("{:?}", metainfo.tiers)),
            (format!("{:?}", draft.web_seeds), format!("{:?}", metainfo.web_seeds)),
        ];
        if let Some((written, read)) = urls.into_iter().find(|(written, read)| written != read) {
            return Err(CreateError::Misread { written, read });
        }
        Ok(Created { bytes, metainfo })
    }

    /// Checks that a reader gets exactly our names, and repairs none of them (chapter 2 has the
    /// rules). Otherwise those who download the torrent would have other names than its author.
    fn same_names(&self, info: &Info) -> Result<(), CreateError> {
        let misread = |written: &str, read: &str| {
            Err(CreateError::Misread { written: written.to_owned(), read: read.to_owned() })
        };
        if info.name != self.name {
            return misread(&self.name, &info.name);
        }
        // Version 2 knows a single file by its name: that of the torrent.
        if info.multi_file != self.folder {
            return misread(&format!("{0}/{0}", self.name), &self.name);
        }
        // A single file has no path of its own, only the torrent's name.
        let theirs = info.files.iter().filter(|file| !file.padding);
        for (ours, theirs) in self.files.iter().zip(theirs).filter(|_| self.folder) {
            if ours.path != theirs.path {
                return misread(&ours.path.to_string_lossy(), &theirs.path.to_string_lossy());
            }
        }
        Ok(())
    }
}

/// A torrent that has been made.
#[derive(Debug)]
pub struct Created {
    /// The .torrent file.
    pub bytes: Vec<u8>,
    /// The same, decoded from these bytes: what others will read.
    pub metainfo: Metainfo,
}

impl Created {
    /// Writes a temporary file beside `output` and then renames it, so that no program
    /// ever sees half of a torrent.
    ///
    /// # Errors
    /// If it cannot be written, or if something is already there and `force` is not
    /// set.
    pub fn write(&self, output: &Path, force: bool) -> Result<(), CreateError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".piecemeal-").suffix(".torrent");
        // By default only the owner can read a temporary file; a torrent is for others.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let write = || {
            // In the same folder: a file cannot be renamed from one file system to another.
            let mut file = builder.tempfile_in(folder_of(output))?;
            file.write_all(&self.bytes)?;
            // Synced before it gets its name. Otherwise the name could survive a crash, but not the
            // bytes.
            file.as_file().sync_all()?;
            let done = if force { file.persist(output) } else { file.persist_noclobber(output) };
            done.map(drop).map_err(|error| error.error)
        };
        write().map_err(|error| StorageError::io(output, error).into())
    }
}

/// Returns a power of two from 16 KiB to 16 MiB that makes 1,024 to 2,048 pieces of the
/// content, or as close to that as possible. More pieces make a large .torrent; fewer
/// make each wrong piece expensive.
///
/// ```
/// use piecemeal::s10_storage::create::piece_length_for;
/// assert_eq!(piece_length_for(100 << 20), 64 << 10); // 100 MiB: 1,600 pieces of 64 KiB
/// assert_eq!(piece_length_for(1), 16 << 10); // never shorter than a block
/// assert_eq!(piece_length_for(1 << 40), 16 << 20); // 1 TiB: no piece is longer than 16 MiB
/// ```
pub fn piece_length_for(length: u64) -> u64 {
    length.div_ceil(PIECES_MEANT).clamp(MIN_PIECE_CHOICE, MAX_PIECE_CHOICE).next_power_of_two()
}

/// Why no torrent can be made of the files.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum CreateError {
    /// They cannot be read, are not files, or the output cannot be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is no file with at least one byte: clients refuse such a torrent.
    #[error("{path}: a file with at least one byte was expected, but there is none")]
    Empty { path: String },
    /// BEP 3: names are UTF-8.
    #[error("{path}: names in a torrent are UTF-8, but this one is not")]
    NotText { path: String },
    /// Readers would change it.
    #[error("{}: clients would change this to {}", printable(written), printable(read))]
    Misread { written: String, read: String },
    /// The piece length is below 1 byte or over 512 MiB, or makes too many pieces.
    #[error(
        "pieces of {length} bytes would be {pieces} pieces; 1 to {MAX_PIECE_LENGTH} bytes and at most {MAX_PIECES} pieces are allowed"
    )]
    PieceLength { length: u64, pieces: u64, enough: u64 },
    /// The content or the .torrent file is over a limit.
    #[error("{what} would be over {limit} bytes, the most that is read")]
    TooLarge { what: &'static str, limit: u64 },
    /// The hashes are of content that has changed since.
    #[error("{path}: was changed while it was hashed")]
    Changed { path: String },
    /// The torrent would become a part of its own content.
    #[error("{path}: is part of the content, which would change")]
    Inside { path: String },
    /// Our own reader refuses it.
    #[error(transparent)]
    Refused(#[from] MetainfoError),
}
