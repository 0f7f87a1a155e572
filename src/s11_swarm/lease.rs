//! A claim on a piece, which gives itself back, and the piece's progress.
//!
//! A block is written to its place as soon as it comes, and hashed while it is
//! still in the cache. So a piece in progress needs a hash state and a bitmap in
//! memory, but none of its bytes: 200 peers with pieces of 16 MiB take no more
//! than 200 with pieces of 16 KiB.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use sha1::{Digest, Sha1};

use super::work_queue::evidence::Evidence;
use super::work_queue::seats::Seat;
use super::work_queue::trust::Part;
use super::work_queue::{PeerNumber, WorkQueue};
use crate::s02_metainfo::PieceIndex;
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::{BLOCK_LENGTH, Request};
use crate::s10_storage::{StorageError, Store};

/// How far a piece is. It has a lock of its own, which whoever hashes and writes
/// its next block holds.
pub struct Progress {
    /// The blocks that have been written.
    written: Bitfield,
    /// How many have not.
    left: u32,
    /// How many from the start have been hashed: the unbroken part.
    hashed: u32,
    hash: Sha1,
    /// Who brought a block.
    by: Vec<Part>,
    /// For each block, the position of whoever brought it.
    bringers: Vec<u16>,
    /// The hash has been compared: nothing more may be written.
    over: bool,
}

impl Progress {
    pub(super) fn new(blocks: u32) -> Progress {
        let (written, bringers) = (Bitfield::new(blocks), vec![0; blocks as usize]);
        Progress { written, left: blocks, hashed: 0, hash: Sha1::new(), by: Vec::new(), bringers, over: false }
    }
}

/// Locks a piece's progress. If a thread panicked in the middle of a block, nobody
/// knows how far it came, so the piece starts again.
fn lock(progress: &Mutex<Progress>, blocks: u32) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(|poison| {
        progress.clear_poison();
        let mut guard = poison.into_inner();
        *guard = Progress::new(blocks);
        guard
    })
}

/// What became of a block.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// Written; the piece needs more.
    More,
    /// Not needed: somebody else was faster.
    Stale,
    /// It was the last, and the hash is right.
    Verified,
    /// It was the last, and the hash is wrong. These peers brought blocks.
    Corrupt(Vec<PeerNumber>),
}

/// A piece on loan to a peer's thread. Dropping it gives the piece back, with what
/// has been written of it; so a thread that returns early, or panics, loses no work.
pub struct Lease {
    queue: Arc<WorkQueue>,
    piece: PieceIndex,
    part: Part,
    progress: Arc<Mutex<Progress>>,
    seat: Arc<Seat>,
    /// The blocks that may still have to be asked for.
    to_ask: Range<u32>,
    /// Whether others hold the piece too. Then we ask from the end, to meet them in
    /// the middle instead of asking for the same blocks.
    shared: bool,
}

impl Lease {
    pub(super) fn new(
        queue: &Arc<WorkQueue>,
        piece: PieceIndex,
        part: Part,
        progress: Arc<Mutex<Progress>>,
        seat: Arc<Seat>,
        shared: bool,
    ) -> Lease {
        let to_ask = 0..queue.blocks(piece);
        Lease { queue: Arc::clone(queue), piece, part, progress, seat, to_ask, shared }
    }

    /// The piece.
    pub fn piece(&self) -> PieceIndex {
        self.piece
    }

    /// The next block to ask the peer for. `None` once each has been asked for, or
    /// has come, or when a faster peer has taken over.
    pub fn next_request(&mut self) -> Option<Request> {
        if self.seat.is_lost() {
            return None;
        }
        let progress = lock(&self.progress, self.queue.blocks(self.piece));
        let missing = |block: &u32| !progress.over && !progress.written.has(*block);
        let block = if self.shared { self.to_ask.by_ref().rev().find(missing) } else { self.to_ask.find(missing) }?;
        let begin = block * BLOCK_LENGTH;
        let length = BLOCK_LENGTH.min(self.queue.info().piece_size(self.piece) - begin);
        Some(Request { index: self.piece.get(), begin, length })
    }

    /// Whether another peer has taken the piece over, and nothing is to come of it here.
    pub fn is_taken_over(&self) -> bool {
        self.seat.is_taken_over()
    }

    /// Whether others are busy with the piece, too.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Whether [`Lease::next_request`] has nothing more to say.
    pub fn is_asked(&self) -> bool {
        self.to_ask.is_empty() || self.seat.is_lost()
    }

    /// Writes blocks that were asked for and follow one another, the first at `begin`,
    /// and hashes what can be hashed.
    ///
    /// # Errors
    /// If the store fails. What was not written is then as before.
    pub fn write(&mut self, begin: u32, blocks: &[&[u8]], store: &dyn Store) -> Result<Written, StorageError> {
        let offset = self.queue.info().piece_offset(self.piece);
        let mut progress = lock(&self.progress, self.queue.blocks(self.piece));
        let missing = |(number, _): &(u32, &[u8])| !progress.over && !progress.written.has(*number);
        let missing: Vec<_> = (begin / BLOCK_LENGTH..).zip(blocks.iter().copied()).filter(missing).collect();
        if missing.is_empty() {
            return Ok(Written::Stale);
        }
        for run in missing.chunk_by(|(number, _), (next, _)| number + 1 == *next) {
            let first = run.first().map_or(0, |(number, _)| *number);
            let parts: Vec<&[u8]> = run.iter().map(|(_, block)| *block).collect();
            store.write_parts(offset + u64::from(first * BLOCK_LENGTH), &parts)?;
            // Only now: who brought nothing is not to blame.
            let position = progress.by.iter().position(|part| *part == self.part).unwrap_or_else(|| {
                progress.by.push(self.part);
                progress.by.len() - 1
            });
            self.seat.brought(run.len());
            for (number, block) in run {
                progress.written.set(*number, true);
                if let Some(bringer) = progress.bringers.get_mut(*number as usize) {
                    // With more than that, the rest gets away.
                    *bringer = u16::try_from(position).unwrap_or(u16::MAX);
                }
                progress.left -= 1;
                if *number == progress.hashed {
                    progress.hash.update(block);
                    progress.hashed += 1;
                }
            }
            self.catch_up(&mut progress, store)?;
        }
        if progress.left > 0 {
            return Ok(Written::More);
        }
        progress.over = true;
        let (by, bringers) = (std::mem::take(&mut progress.by), std::mem::take(&mut progress.bringers));
        let found: [u8; 20] = std::mem::take(&mut progress.hash).finalize().into();
        // The queue has a lock of its own, and no thread holds two. Nobody writes into the piece
        // before the queue hears of it.
        drop(progress);
        let right = found == self.queue.info().piece_hash(self.piece);
        Ok(if right { self.verified(&by, store) } else { self.corrupt(&by, &bringers, store) })
    }

    /// The piece is right. If it was spoilt before, it is known now by whom; if it cannot be read
    /// again, that stays unknown.
    fn verified(&self, by: &[Part], store: &dyn Store) -> Written {
        for evidence in self.queue.evidence(self.piece) {
            if let Ok(verdict) = evidence.judge(self.queue.info(), self.piece, store) {
                self.queue.judged(self.piece, &verdict);
            }
        }
        self.queue.done(self.piece, by);
        Written::Verified
    }

    fn corrupt(&self, by: &[Part], bringers: &[u16], store: &dyn Store) -> Written {
        let evidence = Evidence::gather(self.queue.info(), self.piece, by, bringers, store);
        self.queue.corrupt(self.piece, by, evidence.ok().flatten());
        Written::Corrupt(by.iter().map(|part| part.peer).collect())
    }

    /// Hashes the blocks that had come too early, from where they were written.
    fn catch_up(&self, progress: &mut Progress, store: &dyn Store) -> Result<(), StorageError> {
        let offset = self.queue.info().piece_offset(self.piece);
        let size = self.queue.info().piece_size(self.piece);
        let mut buffer = Vec::new();
        while progress.written.has(progress.hashed) {
            let begin = progress.hashed * BLOCK_LENGTH;
            buffer.resize(BLOCK_LENGTH.min(size - begin) as usize, 0);
            if let Err(error) = store.read(offset + u64::from(begin), &mut buffer) {
                // Or the piece would lack no block, and never be complete.
                progress.written.set(progress.hashed, false);
                progress.left += 1;
                return Err(error);
            }
            progress.hash.update(&buffer);
            progress.hashed += 1;
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let begun = !lock(&self.progress, self.queue.blocks(self.piece)).by.is_empty();
        self.queue.give_back(self.piece, self.part.peer, &self.progress, begun);
    }
}
