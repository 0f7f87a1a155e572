//! Hashing pieces on all cores, to compare the hashes or to put them into a torrent.
//!
//! A hash is computed from the first byte to the last, so one piece cannot be shared out. Many
//! pieces can: each thread takes the next one that no thread has taken yet.

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{StorageError, Store};
use crate::s02_metainfo::piece_check::{Judgment, PieceHasher};
use crate::s02_metainfo::{Info, PieceIndex};

/// The number of bytes read at once when hashing: small enough for a cache, and whole blocks.
const READ_LENGTH: usize = 256 * 1024;
/// The time between progress reports, even if no piece is done in between: when a disk hangs,
/// the program must not seem to hang.
const TOLD: Duration = Duration::from_millis(250);

/// The pieces to hash: all of them, or all that will be.
pub struct Pieces<'r> {
    /// How many there are.
    pub count: u32,
    /// Returns the place of the piece with this number in the store. Called from any thread, in any
    /// order, as is `begin`.
    pub range: &'r (dyn Fn(u32) -> Range<u64> + Sync),
    /// Begins the hash of the piece with this number.
    pub begin: &'r (dyn Fn(u32) -> Box<dyn PieceHasher> + Sync),
}

/// Takes the number of a piece, and its hash or the error of reading it. Called from any thread,
/// in any order. An error that it returns ends the run.
type Take<'r> = &'r (dyn Fn(u32, Result<Vec<u8>, StorageError>) -> Result<(), StorageError> + Sync);

/// What the threads of one run share.
struct Run<'r> {
    store: &'r dyn Store,
    pieces: &'r Pieces<'r>,
    /// Set from outside to end the run early. It is read before each piece.
    stop: &'r AtomicBool,
    /// Called with the number of bytes done so far.
    checked: &'r (dyn Fn(u64) + Sync),
    take: Take<'r>,
    /// The first piece that no thread has taken.
    next: AtomicU32,
    /// The number of pieces done so far, over all threads.
    hashed: AtomicU32,
    /// The number of bytes in them.
    done: AtomicU64,
    /// The first error of `take`.
    failed: Mutex<Option<StorageError>>,
}

impl Run<'_> {
    /// Hashes pieces until none is left. This is all that a thread does.
    fn work(&self) {
        let mut buffer = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            // Each free thread takes the next piece, so neighbors on disk are read at
            // about the same time. Equal shares fixed in advance would also leave cores idle
            // behind the slowest.
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.pieces.count {
                return;
            }
            let range = (self.pieces.range)(index);
            let size = range.end - range.start;
            // No longer than the longest piece.
            let length = usize::try_from(size).map_or(READ_LENGTH, |size| size.min(READ_LENGTH));
            if buffer.len() < length {
                buffer.resize(length, 0);
            }
            let hash = hash((self.pieces.begin)(index), self.store, range, &mut buffer);
            if let Err(error) = (self.take)(index, hash) {
                // Beyond all pieces: no thread finds another one. Half of the range is left for
                // the threads that add 1 once more.
                self.next.store(u32::MAX / 2, Ordering::Relaxed);
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                return;
            }
            self.hashed.fetch_add(1, Ordering::Relaxed);
            (self.checked)(self.done.fetch_add(size, Ordering::Relaxed) + size);
        }
    }
}

/// Hashes pieces of a store, on all cores. `take` is called with each piece's number and its hash,
/// or with the error of reading it. The first error that `take` returns ends everything, and so
/// does `stop`.
pub(super) fn hash_pieces(
    store: &dyn Store,
    pieces: &Pieces,
    stop: &AtomicBool,
    checked: &(dyn Fn(u64) + Sync),
    take: Take,
) -> Result<(), StorageError> {
    let (next, done, failed) = (AtomicU32::new(0), AtomicU64::new(0), Mutex::new(None));
    let hashed = AtomicU32::new(0);
    let shared = Run { store, pieces, stop, checked, take, next, hashed, done, failed };
    let run = &shared;
    let threads =
        thread::available_parallelism().map_or(1, NonZero::get).min(pieces.count as usize);
    // Each worker holds a sender while it works. When the last one is dropped, all are done, and
    // the thread that reports ends at once instead of at its next tick.
    let (working, over) = mpsc::channel::<()>();
    let tell = move || {
        while over.recv_timeout(TOLD) == Err(RecvTimeoutError::Timeout) {
            (run.checked)(run.done.load(Ordering::Relaxed));
        }
    };
    // A scope, because the threads borrow the store and the caller's functions. It ends when they
    // do.
    thread::scope(|scope| {
        for number in 1..threads {
            let working = working.clone();
            let worker = move || {
                run.work();
                drop(working);
            };
            // If the system refuses a thread, the others do its part.
            let _ =
                thread::Builder::new().name(format!("hash {number}")).spawn_scoped(scope, worker);
        }
        let _ = thread::Builder::new().name("hashed".to_owned()).spawn_scoped(scope, tell);
        // This thread is one of the workers, so hashing goes on even if no other could be started.
        run.work();
        drop(working);
    });
    match shared.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        // What has not been hashed is neither right nor wrong.
        None if shared.hashed.into_inner() < pieces.count => Err(StorageError::Stopped),
        None => Ok(()),
    }
}

/// Returns the hash of a part of a store, read through the buffer, one chunk at a time. So a piece
/// of 16 MiB takes no more memory than one of 256 KiB. The buffer is as long as the part, or holds
/// some whole blocks of 16 KiB.
pub(super) fn hash(
    mut hasher: Box<dyn PieceHasher>,
    store: &dyn Store,
    range: Range<u64>,
    buffer: &mut [u8],
) -> Result<Vec<u8>, StorageError> {
    let mut offset = range.start;
    while offset < range.end {
        let length =
            usize::try_from(range.end - offset).map_or(buffer.len(), |left| left.min(buffer.len()));
        store.read(offset, &mut buffer[..length])?;
        hasher.update(&buffer[..length]);
        offset += length as u64;
    }
    Ok(hasher.finish())
}

/// Adds this many zeros to a hash: padding, or a piece which was reserved on disk and never
/// written.
pub fn add_zeros(hasher: &mut dyn PieceHasher, length: u32) {
    // In parts, since a piece may have 512 MiB.
    let zeros = [0; 16 * 1024];
    let mut left = length as usize;
    while left > 0 {
        let part = &zeros[..left.min(zeros.len())];
        hasher.update(part);
        left -= part.len();
    }
}

/// Whether the hash is right. A missing piece is wrong; one that cannot be read is an error.
pub(super) fn verdict(
    info: &Info,
    piece: PieceIndex,
    hash: Result<Vec<u8>, StorageError>,
) -> Result<bool, StorageError> {
    match hash {
        Ok(hash) => judged(info, piece, &hash),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the hash is the piece's.
///
/// # Errors
/// If the torrent contradicts itself: neither the content nor whoever sent it is to blame.
pub fn judged(info: &Info, piece: PieceIndex, hash: &[u8]) -> Result<bool, StorageError> {
    match info.check.judge(piece, hash) {
        Judgment::Contradiction => Err(StorageError::Contradiction { piece }),
        judgment => Ok(judgment == Judgment::Right),
    }
}
