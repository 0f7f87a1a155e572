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
//! [`paths`]: crate::s02_metainfo::paths

use std::ffi::OsString;
use std::fs::{self, FileType, Metadata};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use thiserror::Error;

use super::hashing::hash_pieces;
use super::{Storage, StorageError, shown};
use crate::s01_bencode::encode::{bytes, dictionary, integer, list};
use crate::s01_bencode::printable;
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

/// What a torrent says besides its content.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The length of a piece, in bytes; if `None`, [`piece_length_for`] chooses it.
    pub piece_length: Option<u64>,
    /// Tracker URLs in tiers (BEP 12).
    pub tiers: Vec<Vec<String>>,
    /// `private`: peers from the trackers only (BEP 27).
    pub private: bool,
    /// `url-list`: HTTP servers that also have the content (BEP 19).
    pub web_seeds: Vec<String>,
    /// `comment`: free text for anyone who reads the torrent.
    pub comment: Option<String>,
    /// `source`, inside info: it gives the same content another info hash at each tracker.
    pub source: Option<String>,
    /// `created by`: a program.
    pub created_by: Option<String>,
    /// `creation date`, in seconds since 1970.
    pub creation_date: Option<u64>,
}

/// Files that were found, and that a torrent can be made from.
#[derive(Debug)]
pub struct Content {
    /// The torrent's name.
    pub name: String,
    /// The files in their order. As in [`Storage`], the single file of a torrent
    /// without a folder has an empty path.
    pub files: Vec<FileEntry>,
    /// The length of all files together, in bytes.
    pub length: u64,
    root: PathBuf,
    folder: bool,
    /// When each file was last changed, if the system reports it.
    changed: Vec<Option<SystemTime>>,
}

impl Content {
    /// Finds a file, or a folder and everything in it. The default for `name` is the last
    /// part of the path.
    ///
    /// # Errors
    /// If there is nothing, or anything that a torrent cannot describe.
    pub fn find(path: &Path, name: Option<&str>) -> Result<Content, CreateError> {
        let there = fs::metadata(path).map_err(|error| StorageError::io(path, error))?;
        let name = name.map_or_else(|| own_name(path), |name| Ok(name.to_owned()))?;
        let (root, folder) = (path.to_owned(), there.is_dir());
        let mut content =
            Content { name, files: Vec::new(), length: 0, root, folder, changed: Vec::new() };
        if folder {
            content.walk(Path::new(""))?;
        } else {
            content.add(PathBuf::new(), &there)?;
        }
        if content.length == 0 {
            return Err(CreateError::Empty { path: shown(path) });
        }
        // Make a torrent of empty files first, without hashes: its names can be read back
        // before hours are spent on hashing.
        let empty = |file: &FileEntry| FileEntry { offset: 0, length: 0, ..file.clone() };
        let files: Vec<FileEntry> = content.files.iter().map(empty).collect();
        let raw = info(&content.name, folder, &files, 1, &[], &Draft::default());
        content.same_names(&Info::from_bytes(&raw)?)?;
        Ok(content)
    }

    /// Adds everything in a folder, which is given relative to the root.
    fn walk(&mut self, below: &Path) -> Result<(), CreateError> {
        let folder = self.root.join(below);
        let failed = |error| StorageError::io(&folder, error);
        // Keep only names: an entry would keep its folder open, and folders may be nested
        // deeper than the number of files that may be open.
        let named = |entry: io::Result<fs::DirEntry>| {
            entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?)))
        };
        let mut entries: Vec<(OsString, FileType)> = fs::read_dir(&folder)
            .map_err(failed)?
            .map(named)
            .collect::<io::Result<_>>()
            .map_err(failed)?;
        entries.sort_unstable_by(|(one, _), (other, _)| {
            one.as_encoded_bytes().cmp(other.as_encoded_bytes())
        });
        for (name, kind) in entries {
            let path = below.join(&name);
            if name.to_str().is_none() {
                return Err(CreateError::NotText { path: shown(&self.root.join(path)) });
            }
            if kind.is_dir() {
                self.walk(&path)?;
            } else {
                let place = self.root.join(&path);
                let there = fs::symlink_metadata(&place)
                    .map_err(|error| StorageError::io(&place, error))?;
                self.add(path, &there)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, there: &Metadata) -> Result<(), CreateError> {
        let place = || shown(&join(&self.root, &path));
        if there.is_symlink() {
            return Err(StorageError::Link { path: place() }.into());
        }
        if !there.is_file() {
            return Err(StorageError::NotAFile { path: place() }.into());
        }
        self.files.push(FileEntry {
            path,
            offset: self.length,
            length: there.len(),
            padding: false,
        });
        self.changed.push(there.modified().ok());
        self.length = self.length.saturating_add(there.len());
        Ok(())
    }

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
        let piece_length = self.piece_length(draft)?;
        let count = self.length.div_ceil(u64::from(piece_length));
        // All that grows with the content: 20 bytes for each piece.
        let hashes = Mutex::new(vec![[0; 20]; count as usize]); // at most 2^21
        let store = Storage::of(self.files.clone(), &self.root, false);
        let done = hash_pieces(&store, self.length, piece_length, stop, hashed, &|index, hash| {
            hashes.lock().unwrap_or_else(PoisonError::into_inner)[index as usize] = hash?;
            Ok(())
        });
        // Before the error: "was changed" explains a file that was cut better than "ends early".
        self.unchanged()?;
        done?;
        if stop.load(Ordering::Relaxed) {
            return Err(StorageError::Stopped.into());
        }
        let hashes = hashes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let raw = info(&self.name, self.folder, &self.files, piece_length, &hashes, draft);
        self.read_back(torrent(raw, draft), draft)
    }

    /// Returns the piece length to use, if it makes no more pieces than a torrent may have.
    fn piece_length(&self, draft: &Draft) -> Result<u32, CreateError> {
        let length = draft.piece_length.unwrap_or_else(|| piece_length_for(self.length));
        let enough = self.length.div_ceil(MAX_PIECES).max(1).next_power_of_two();
        let pieces = self.length.div_ceil(length.max(1));
        match u32::try_from(length) {
            Ok(fits) if pieces <= MAX_PIECES && (1..=MAX_PIECE_LENGTH).contains(&length) => {
                Ok(fits)
            }
            _ if enough > MAX_PIECE_LENGTH => Err(CreateError::TooLarge {
                what: "the content",
                limit: MAX_PIECES * MAX_PIECE_LENGTH,
            }),
            _ => Err(CreateError::PieceLength { length, pieces, enough }),
        }
    }

    /// Checks that every file is unchanged since it was found.
    fn unchanged(&self) -> Result<(), CreateError> {
        for (file, changed) in self.files.iter().zip(&self.changed) {
            let place = join(&self.root, &file.path);
            // If the user named a single file, that may be a link.
            let there =
                if self.folder { fs::symlink_metadata(&place) } else { fs::metadata(&place) };
            let same = there.is_ok_and(|there| {
                there.is_file() && there.len() == file.length && there.modified().ok() == *changed
            });
            if !same {
                return Err(CreateError::Changed { path: shown(&place) });
            }
        }
        Ok(())
    }

    /// Reads the encoded torrent as any client will, and compares.
    fn read_back(&self, bytes: Vec<u8>, draft: &Draft) -> Result<Created, CreateError> {
        if bytes.len() as u64 > MAX_TORRENT_FILE {
            return Err(CreateError::TooLarge {
                what: "the .torrent file",
                limit: MAX_TORRENT_FILE,
            });
        }
        let metainfo = Metainfo::from_bytes(&bytes)?;
        self.same_names(&metainfo.info)?;
        if metainfo.tiers != draft.tiers {
            let (written, read) = (format!("{:?}", draft.tiers), format!("{:?}", metainfo.tiers));
            return Err(CreateError::Misread { written, read });
        }
        Ok(Created { bytes, metainfo })
    }

    /// Checks that a reader gets exactly our names, and repairs none of them.
    fn same_names(&self, info: &Info) -> Result<(), CreateError> {
        let misread = |written: &str, read: &str| {
            Err(CreateError::Misread { written: written.to_owned(), read: read.to_owned() })
        };
        if info.name != self.name {
            return misread(&self.name, &info.name);
        }
        for (ours, theirs) in self.files.iter().zip(&info.files).filter(|_| self.folder) {
            if ours.path != theirs.path {
                return misread(&ours.path.to_string_lossy(), &theirs.path.to_string_lossy());
            }
        }
        Ok(())
    }

    /// Checks whether a .torrent may be written to `output`: not over the content, and
    /// not into it, where the next torrent of the same folder would include it.
    ///
    /// # Errors
    /// If it may not, or if something is already there and `force` is not set.
    pub fn allows(&self, output: &Path, force: bool) -> Result<(), CreateError> {
        let folder = output
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let real = |path: &Path| path.canonicalize().map_err(|error| StorageError::io(path, error));
        let (place, root) = (real(folder)?, real(&self.root)?);
        let inside = if self.folder {
            place.starts_with(&root)
        } else {
            real(output).is_ok_and(|output| output == root)
        };
        if inside {
            return Err(CreateError::Inside { path: shown(output) });
        }
        if !force && fs::symlink_metadata(output).is_ok() {
            return Err(StorageError::Exists {
                path: shown(output),
                what: "to be overwritten without being asked",
            }
            .into());
        }
        Ok(())
    }
}

/// A torrent that has been made.
#[derive(Debug)]
pub struct Created {
    /// The .torrent file.
    pub bytes: Vec<u8>,
    /// The same, decoded.
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
        let folder = output
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".piecemeal-").suffix(".torrent");
        // By default only its owner can read a temporary file; a torrent is for others.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let write = || {
            let mut file = builder.tempfile_in(folder)?;
            file.write_all(&self.bytes)?;
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
pub fn piece_length_for(length: u64) -> u64 {
    length.div_ceil(PIECES_MEANT).clamp(MIN_PIECE_CHOICE, MAX_PIECE_CHOICE).next_power_of_two()
}

/// Encodes the info dictionary. [`dictionary`] sorts the keys.
fn info(
    name: &str,
    folder: bool,
    files: &[FileEntry],
    piece_length: u32,
    hashes: &[[u8; 20]],
    draft: &Draft,
) -> Vec<u8> {
    let mut pairs = vec![
        ("name", bytes(name)),
        ("piece length", integer(piece_length)),
        ("pieces", bytes(hashes.as_flattened())),
    ];
    if folder {
        let entry = |file: &FileEntry| {
            let parts =
                file.path.components().map(|part| bytes(part.as_os_str().as_encoded_bytes()));
            dictionary([("length", integer(file.length)), ("path", list(parts))])
        };
        pairs.push(("files", list(files.iter().map(entry))));
    } else {
        pairs.push(("length", integer(files.iter().map(|file| file.length).sum::<u64>())));
    }
    if draft.private {
        pairs.push(("private", integer(1)));
    }
    pairs.extend(draft.source.iter().map(|source| ("source", bytes(source))));
    dictionary(pairs)
}

/// Encodes the whole .torrent file around an info dictionary.
fn torrent(info: Vec<u8>, draft: &Draft) -> Vec<u8> {
    let mut pairs = vec![("info", info)];
    let urls = || draft.tiers.iter().flatten();
    // BEP 12: clients that know `announce-list` ignore `announce`; older ones need it.
    pairs.extend(urls().next().map(|first| ("announce", bytes(first))));
    if urls().count() > 1 {
        let tiers = draft.tiers.iter().map(|tier| list(tier.iter().map(bytes)));
        pairs.push(("announce-list", list(tiers)));
    }
    if !draft.web_seeds.is_empty() {
        pairs.push(("url-list", list(draft.web_seeds.iter().map(bytes))));
    }
    pairs.extend(draft.comment.iter().map(|comment| ("comment", bytes(comment))));
    pairs.extend(draft.created_by.iter().map(|program| ("created by", bytes(program))));
    pairs.extend(draft.creation_date.map(|date| ("creation date", integer(date))));
    dictionary(pairs)
}

/// Returns the last part of a path; for `.` and the like, that of the folder it means.
fn own_name(path: &Path) -> Result<String, CreateError> {
    let plain = matches!(path.components().next_back(), Some(Component::Normal(_)));
    let real = if plain { Ok(path.to_owned()) } else { path.canonicalize() };
    let real = real.map_err(|error| StorageError::io(path, error))?;
    let name = real.file_name().unwrap_or_default().to_str();
    name.map(str::to_owned).ok_or_else(|| CreateError::NotText { path: shown(path) })
}

/// Joins two paths, without a `/` after a file.
fn join(root: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { root.to_owned() } else { root.join(below) }
}

/// Why files cannot be made a torrent.
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
    /// The content is over a limit, whatever the piece length.
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
