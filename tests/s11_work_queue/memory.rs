//! What the tests of this stage share: torrents, a store in memory, dice.

use super::super::support::Torrent;
#[allow(unused_imports)] // each stage that shares this file uses some of it
pub use super::super::support::{in_time, within};
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::Lease;
use piecemeal::s11_work_queue::trust::Contributor;
use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

pub fn info(torrent: &Torrent) -> Info {
    Info::from_bytes(&torrent.info).expect("the test's torrent is a good one")
}

/// A queue in which every piece waits.
pub fn queue(torrent: &Torrent) -> Arc<WorkQueue> {
    queue_of(info(torrent), [])
}

/// A queue in which every piece is wanted, and these are there.
pub fn queue_of(info: Info, there: impl IntoIterator<Item = u32>) -> Arc<WorkQueue> {
    let pieces = info.piece_count();
    WorkQueue::new(Arc::new(info), &bits(pieces, there), &Bitfield::full(pieces))
}

/// A peer that has everything.
pub fn seed(queue: &Arc<WorkQueue>, who: impl Into<Contributor>) -> Claimant {
    let mut share = Claimant::join(queue, who);
    share.set_pieces(PeerPieces::All);
    share
}

/// The lease that a peer claims; it must get one.
#[track_caller]
pub fn lease(share: &mut Claimant) -> Lease {
    match share.claim_at(true, Instant::now(), &mut below) {
        Claim::Lease(lease) => lease,
        Claim::Later => panic!("it gets nothing for now"),
        Claim::Over => panic!("all is done"),
    }
}

/// The dice of a client, which can be asked only for a number below one that is not 0.
pub fn below(limit: usize) -> usize {
    assert!(
        limit > 0,
        "the dice were asked for a number below 0: a class without pieces has no place to begin at"
    );
    rand::random_range(0..limit)
}

/// A torrent of this many pieces of one byte, whose hashes are all wrong.
pub fn of_bytes(pieces: u32) -> Info {
    let head = format!("d6:lengthi{pieces}e4:name1:t12:piece lengthi1e6:pieces{}:", pieces * 20);
    let raw = [head.as_bytes(), &vec![0; pieces as usize * 20], b"e"].concat();
    Info::from_bytes(&raw).expect("the numbers agree")
}

pub fn bits(pieces: u32, which: impl IntoIterator<Item = u32>) -> Bitfield {
    let mut bits = Bitfield::new(pieces);
    which.into_iter().for_each(|piece| assert!(bits.set(piece, true)));
    bits
}

/// Content in memory, which remembers what was done to it.
#[derive(Default)]
pub struct Memory {
    content: Mutex<Vec<u8>>,
    writes: Mutex<Vec<Range<u64>>>,
    /// Ranges that must not be written to any more.
    sealed: Mutex<Vec<Range<u64>>>,
    broken: Mutex<HashSet<u64>>,
    reads: AtomicU64,
}

impl Memory {
    pub fn new(length: usize) -> Arc<Memory> {
        Arc::new(Memory { content: Mutex::new(vec![0; length]), ..Memory::default() })
    }

    pub fn of(torrent: &Torrent) -> Arc<Memory> {
        Memory::new(torrent.content.len())
    }

    pub fn content(&self) -> Vec<u8> {
        self.content.lock().expect("nobody panics with this lock").clone()
    }

    /// Where blocks were written, in order.
    pub fn writes(&self) -> Vec<Range<u64>> {
        self.writes.lock().expect("nobody panics with this lock").clone()
    }

    /// The number of bytes that were read back.
    pub fn bytes_read(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// From now on a write to this range is a bug, which [`Memory::broken`] reports.
    pub fn seal(&self, range: Range<u64>) {
        self.sealed.lock().expect("nobody panics with this lock").push(range);
    }

    /// Where a write came after the range was sealed.
    pub fn broken(&self) -> Vec<u64> {
        self.broken.lock().expect("nobody panics with this lock").iter().copied().collect()
    }
}

impl Store for Memory {
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        let range = offset..offset + data.len() as u64;
        let sealed = self.sealed.lock().expect("nobody panics with this lock");
        if sealed.iter().any(|sealed| sealed.start < range.end && range.start < sealed.end) {
            self.broken.lock().expect("nobody panics with this lock").insert(offset);
        }
        drop(sealed);
        let mut content = self.content.lock().expect("nobody panics with this lock");
        let room = content.get_mut(offset as usize..offset as usize + data.len());
        room.ok_or_else(|| outside(offset, data.len()))?.copy_from_slice(data);
        self.writes.lock().expect("nobody panics with this lock").push(range);
        Ok(())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.reads.fetch_add(buffer.len() as u64, Ordering::SeqCst);
        let content = self.content.lock().expect("nobody panics with this lock");
        let there = content.get(offset as usize..offset as usize + buffer.len());
        buffer.copy_from_slice(there.ok_or_else(|| outside(offset, buffer.len()))?);
        Ok(())
    }
}

/// The error about bytes that the torrent does not have.
fn outside(offset: u64, length: usize) -> StorageError {
    let what = format!("byte {offset}: {length} bytes from here on are not all in the content");
    StorageError::Io { path: "memory".to_owned(), error: io::Error::other(what) }
}

/// A disk that is full, or worse.
pub struct Failing;

impl Store for Failing {
    fn write(&self, _: u64, _: &[u8]) -> Result<(), StorageError> {
        Err(StorageError::Io {
            path: "the/disk".to_owned(),
            error: io::Error::from(io::ErrorKind::StorageFull),
        })
    }

    fn read(&self, _: u64, _: &mut [u8]) -> Result<(), StorageError> {
        Err(StorageError::Io {
            path: "the/disk".to_owned(),
            error: io::Error::from(io::ErrorKind::StorageFull),
        })
    }
}

/// Dice with a seed: they fall the same way every time.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 0 to `sides - 1`.
    pub fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) % u64::from(sides.max(1))) as u32
    }

    pub fn one_in(&mut self, times: u32) -> bool {
        self.roll(times) == 0
    }
}

/// Joins from the start, or from now on.
pub fn join(queue: &Arc<WorkQueue>, number: u32, from_start: bool) -> Claimant {
    if from_start {
        Claimant::join_from_start(queue, number)
    } else {
        Claimant::join(queue, number)
    }
}
