//! What is at the output before a download: nothing, a part of this torrent, all of
//! it, or something that is not ours to touch.
//!
//! | at OUT | marker OUT.piecemeal | what happens |
//! |---|---|---|
//! | nothing, or something empty | none | the marker is written, the download begins |
//! | something | with this info hash | hashed; what is right is kept |
//! | something | none | hashed; refused, unless it is complete or has a right piece |
//! | anything | with another info hash | refused |
//!
//! With `--force`, what is refused is overwritten, except for the pieces that are right.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::hashing::add_zeros;
use super::place::{How, Place};
use super::{Storage, StorageError, shown, verify};
use crate::s02_metainfo::piece_check::Judgment;
use crate::s02_metainfo::{Info, PieceIndex};
use crate::s05_messages::bitfield::Bitfield;

/// The shortest piece, in bytes, that shows which torrent the content belongs to. In real
/// torrents only the last piece is shorter.
const MIN_PROOF: u32 = 1024;

/// An output that is ready to be downloaded to.
pub struct Output {
    /// The torrent's files.
    pub storage: Arc<Storage>,
    /// The pieces that are already there, each with the right hash.
    pub have: Bitfield,
    /// Whether a part of the content was there without our marker: another program
    /// began the download.
    pub begun_elsewhere: bool,
    /// The path of the marker, whether or not there is one. A complete output needs none.
    marker: PathBuf,
}

impl Output {
    /// Hashes what is there, before anything is written. `checked` is called with the
    /// number of bytes done so far; setting `stop` ends the check early.
    ///
    /// Without `force`, refuses unmarked content, unless complete or part of this torrent
    /// ([`is_part_of`]) with no file too long. With `force`, everything but the pieces that are
    /// right will be overwritten.
    ///
    /// # Errors
    /// On foreign content, a link, an I/O error, or `stop`.
    pub fn open(
        info: &Info,
        path: &Path,
        force: bool,
        stop: &AtomicBool,
        checked: &(dyn Fn(u64) + Sync),
    ) -> Result<Output, StorageError> {
        // The cheap checks first: hashing may take minutes, and then the answer would be the same.
        let path = named(path)?;
        let marker = marker_of(&path);
        let storage = Arc::new(Storage::new(info, &path, true));
        if !info.multi_file && fs::symlink_metadata(&path).is_ok_and(|there| there.is_symlink()) {
            return Err(StorageError::Link { path: shown(&path) }); // before any piece is fetched
        }
        let note = note_in(&marker)?;
        let marked = note
            .as_ref()
            .is_some_and(|note| note.trim_ascii() == info.info_hash.to_string().as_bytes());
        if note.is_some() && !marked && !force {
            return Err(StorageError::Exists { path: shown(&marker), what: "of this torrent" });
        }
        let there = holds_something(&path);
        // Read-only, so that hashing creates no files.
        let reader = Storage::new(info, &path, false);
        let have = if there {
            verify(info, &reader, stop, checked)?
        } else {
            Bitfield::new(info.piece_count())
        };
        if stop.load(Ordering::Relaxed) {
            return Err(StorageError::Stopped);
        }
        let ours = !there || marked || (have.is_full() && storage.has_right_sizes());
        // One right piece is enough, whatever the others hold. In a partial download of another
        // client, wrong pieces that are not zero are normal: pieces it had begun, and space that it
        // reserved without zeroing it. Nothing distinguishes them from changes that the user made
        // since.
        let begun_elsewhere = !ours && is_part_of(info, &have);
        if !ours && !force {
            refuse_foreign(info, &path, &storage, begun_elsewhere)?;
        }
        let output = Output { storage, have, begun_elsewhere, marker };
        // Before the first byte of content: without the marker, a crash would leave content that
        // the next run cannot tell from someone else's.
        if !output.have.is_full() && !marked {
            output.mark(info, note.is_some())?;
        }
        Ok(output)
    }

    /// Writes the marker by which a later run recognizes this partial download; with `instead`, in
    /// place of another marker. It is the info hash in 40 hex digits, and a line end.
    fn mark(&self, info: &Info, instead: bool) -> Result<(), StorageError> {
        if instead {
            // Overwriting it would also change every hard link to it, which may be someone's file.
            fs::remove_file(&self.marker).map_err(|error| StorageError::io(&self.marker, error))?;
        }
        let mut file = at(&self.marker).make_new()?;
        writeln!(file, "{}", info.info_hash).map_err(|error| StorageError::io(&self.marker, error))
    }

    /// Finishes a download that has all pieces: brings the files to their lengths and removes the
    /// marker. Nothing is written afterwards. The marker goes last: if we are interrupted before,
    /// the next run hashes everything once more, and no content is lost.
    ///
    /// # Errors
    /// If a file cannot be made or cut, or the marker cannot be removed.
    pub fn complete(&self) -> Result<(), StorageError> {
        self.storage.finish()?;
        // After the last change of our own. From here on, any change is another program's.
        self.storage.seal();
        match fs::remove_file(&self.marker) {
            // There is none if all pieces were there at the start.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(StorageError::io(&self.marker, error))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses content without our marker, unless another client began it and no file is too long.
fn refuse_foreign(
    info: &Info,
    path: &Path,
    storage: &Storage,
    begun_elsewhere: bool,
) -> Result<(), StorageError> {
    if !begun_elsewhere {
        return Err(StorageError::Foreign { path: shown(path), pieces: info.piece_count() });
    }
    // No client writes more than the torrent has, so the extra bytes are the user's.
    storage.too_long().map_or(Ok(()), |longer| {
        let what = "as in the torrent: it has more bytes";
        Err(StorageError::Exists { path: shown(&longer), what })
    })
}

/// Whether the pieces that are right prove that the content belongs to the torrent.
///
/// Not all do. Reserved space is zeros, and padding is zeros even without a file; and a few bytes,
/// as in a short last piece, may be the same in any two files.
pub fn is_part_of(info: &Info, right: &Bitfield) -> bool {
    // The hashes of right pieces that are nothing but zeros. Pieces of zeros with the same length
    // have the same hash, so each length is hashed once, and the first other piece ends it.
    let mut zeros: HashSet<&[u8]> = HashSet::new();
    let long = |piece: &PieceIndex| info.piece_size(*piece) >= MIN_PROOF;
    info.pieces().filter(|piece| right.has(piece.get())).filter(long).any(|piece| {
        let of_zeros = || {
            let mut hasher = info.check.begin(piece);
            add_zeros(&mut *hasher, info.piece_size(piece));
            hasher.finish()
        };
        let is_zeros = zeros.contains(info.piece_hash(piece))
            || info.check.judge(piece, &of_zeros()) == Judgment::Right;
        if is_zeros {
            zeros.insert(info.piece_hash(piece));
        }
        !is_zeros
    })
}

/// Returns the path in a form that ends in a name, which the marker's name can extend.
fn named(path: &Path) -> Result<PathBuf, StorageError> {
    // Without a `/` at its end, or the marker would be in the folder instead of beside it.
    let path: PathBuf = path.components().collect();
    if path.file_name().is_some() {
        return Ok(path);
    }
    // `.` or `..`, which have names all the same. Only the root has none.
    let real = path.canonicalize().map_err(|error| StorageError::io(&path, error))?;
    if real.file_name().is_none() {
        return Err(StorageError::Exists { path: shown(&real), what: "a place for a download" });
    }
    Ok(real)
}

/// Returns the path of the marker, `OUT.piecemeal`.
fn marker_of(path: &Path) -> PathBuf {
    // Not `with_extension`, which would replace `.iso` and give two outputs the same marker.
    let mut name = OsString::from(path);
    name.push(".piecemeal");
    name.into()
}

/// The marker as a place, so that a link found there is not followed.
fn at(path: &Path) -> Place<'_> {
    Place { root: path, below: Path::new("") }
}

/// Returns the start of a marker's content, if there is a marker.
fn note_in(marker: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    let file = match at(marker).open(How::Read) {
        Err(StorageError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => {
            return Ok(None);
        }
        file => file?,
    };
    let mut note = Vec::new();
    // A marker has 41 bytes. A larger file of that name is not ours, and need not be read to its
    // end.
    file.take(100).read_to_end(&mut note).map_err(|error| StorageError::io(marker, error))?;
    Ok(Some(note))
}

/// Whether more than an empty file or folder is there. An empty one can be used: nothing is lost.
fn holds_something(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => {
            // A folder that cannot be listed is not known to be empty.
            fs::read_dir(path).map_or(true, |mut entries| entries.next().is_some())
        }
        Ok(there) => there.len() > 0 || !there.is_file(),
        Err(_) => false,
    }
}
