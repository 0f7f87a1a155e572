//! Hashing pieces on all cores, to compare the hashes or to put them into a torrent.

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sha1::{Digest, Sha1};

use super::{StorageError, Store};

/// The number of bytes read at once when hashing: small enough for a cache.
const READ_LENGTH: usize = 256 * 1024;
/// The time between progress reports, even if no piece is done in between: when a disk hangs,
/// the program must not seem to hang.
const TOLD: Duration = Duration::from_millis(250);

/// Hashes each piece of the first `length` bytes of a store, on all cores, and calls
/// `take` with its number and its hash, or with the error of reading it. The first error
/// that `take` returns ends everything, and so does `stop`.
pub(super) fn hash_pieces(
    store: &dyn Store,
    length: u64,
    piece_length: u32,
    stop: &AtomicBool,
    checked: &(dyn Fn(u64) + Sync),
    take: &(dyn Fn(u32, Result<[u8; 20], StorageError>) -> Result<(), StorageError> + Sync),
) -> Result<(), StorageError> {
    let pieces = length.div_ceil(u64::from(piece_length));
    let cores = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(usize::try_from(pieces).unwrap_or(usize::MAX));
    let next = AtomicU32::new(0);
    let done = AtomicU64::new(0);
    let failed = Mutex::new(None);
    let work = || {
        let mut buffer = vec![0; READ_LENGTH.min(piece_length as usize)];
        while !stop.load(Ordering::Relaxed) {
            // Each free thread takes the next piece, so neighbors on disk are read at
            // about the same time.
            let index = next.fetch_add(1, Ordering::Relaxed);
            let begin = u64::from(index) * u64::from(piece_length);
            if begin >= length {
                return;
            }
            let size = (length - begin).min(u64::from(piece_length));
            if let Err(error) = take(index, hash(store, begin..begin + size, &mut buffer)) {
                // Beyond all pieces: no thread finds another one.
                next.store(u32::MAX / 2, Ordering::Relaxed);
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                return;
            }
            checked(done.fetch_add(size, Ordering::Relaxed) + size);
        }
    };
    // Each worker holds a sender while it works. When the last one is dropped, all are done.
    let (working, over) = mpsc::channel::<()>();
    let hashed = &done;
    let tell = move || {
        while over.recv_timeout(TOLD) == Err(RecvTimeoutError::Timeout) {
            checked(hashed.load(Ordering::Relaxed));
        }
    };
    thread::scope(|scope| {
        for number in 1..cores {
            let working = working.clone();
            // If the system refuses a thread, the others do its part.
            let worker = move || {
                work();
                drop(working);
            };
            let _ =
                thread::Builder::new().name(format!("hash {number}")).spawn_scoped(scope, worker);
        }
        let _ = thread::Builder::new().name("hashed".to_owned()).spawn_scoped(scope, tell);
        work();
        drop(working);
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        // What has not been hashed is neither right nor wrong.
        None if done.into_inner() < length => Err(StorageError::Stopped),
        None => Ok(()),
    }
}

/// The SHA-1 of a part of a store, read through the buffer, one chunk at a time.
pub(super) fn hash(
    store: &dyn Store,
    range: Range<u64>,
    buffer: &mut [u8],
) -> Result<[u8; 20], StorageError> {
    let mut hash = Sha1::new();
    let mut offset = range.start;
    while offset < range.end {
        let length =
            usize::try_from(range.end - offset).map_or(buffer.len(), |left| left.min(buffer.len()));
        store.read(offset, &mut buffer[..length])?;
        hash.update(&buffer[..length]);
        offset += length as u64;
    }
    Ok(hash.finalize().into())
}

/// The SHA-1 of this many zeros.
pub(super) fn hash_of_zeros(length: u32) -> [u8; 20] {
    let mut hash = Sha1::new();
    let zeros = [0; 16 * 1024];
    let mut left = length as usize;
    while left > 0 {
        let part = &zeros[..left.min(zeros.len())];
        hash.update(part);
        left -= part.len();
    }
    hash.finalize().into()
}
