//! A claim on a piece, which gives itself back, and the progress of that piece.
//!
//! A block is written to its place as soon as it comes, and hashed while it is still in the
//! processor's cache. So a piece in progress needs a hash state and two bytes for each of its
//! blocks in memory, but none of its content: 200 peers with pieces of 16 MiB take hardly more
//! memory than with 16 KiB.
//!
//! ```text
//! block         0    1    2    3    4    5    6    7
//! written       x    x    x    .    x    x    .    .      `left` is 3
//! hashed        |--------------|                          `hashed` is 3
//!                              ^ 3 comes: hash it, then read back 4 and 5 and hash them
//! ```
//! The end of a piece, step by step. Neither of the two locks is held when the other is taken:
//!
//! | step | lock |
//! |---|---|
//! | the last block is written and hashed, and `over` is set | the piece's |
//! | the hash is compared | none |
//! | evidence is gathered, or judged: blocks are read back | none |
//! | the board is told that the piece is done, or spoilt | the queue's |

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::board::{Lent, Why};
use super::evidence::Evidence;
use super::seats::Seat;
use super::trust::Contributor;
use super::{PeerNumber, WorkQueue};
use crate::s02_metainfo::PieceIndex;
use crate::s02_metainfo::piece_check::PieceHasher;
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::{BLOCK_LENGTH, Request};
use crate::s10_storage::{StorageError, Store, judged};

/// The progress of a piece. It has a lock of its own, held by the thread that hashes and writes
/// the piece's next block.
pub struct Progress {
    /// The blocks that have been written.
    written: Bitfield,
    /// The number of blocks that have not been written. At 0 the piece is complete.
    left: u32,
    /// The number of blocks, from the start, that have been hashed: the unbroken part.
    hashed: u32,
    /// The hash over these blocks.
    hash: Box<dyn PieceHasher>,
    /// The peers that brought a block that was written, each once.
    contributors: Vec<Contributor>,
    /// For each block, the position in `contributors` of the peer that brought it.
    brought_by: Vec<u16>,
    /// All blocks have been written: no more may be.
    over: bool,
    /// The progress of others that this replaces, until the first block is written here.
    replaced: Option<Arc<Mutex<Progress>>>,
}

impl Progress {
    /// Starts from nothing, in place of the progress that others may have made.
    pub(super) fn replacing(
        replaced: Option<Arc<Mutex<Progress>>>,
        queue: &WorkQueue,
        piece: PieceIndex,
    ) -> Progress {
        let blocks = queue.blocks(piece);
        Progress {
            written: Bitfield::new(blocks),
            left: blocks,
            hashed: 0,
            hash: queue.info().check.begin(piece),
            contributors: Vec::new(),
            brought_by: vec![0; blocks as usize],
            over: false,
            replaced,
        }
    }

    /// Counts a block as written that a peer has brought before. The last one is not: the lease
    /// that completes a piece also judges it.
    pub(super) fn adopt(&mut self, number: u32, block: &[u8], who: Contributor) {
        if self.is_missing(number) && self.left > 1 {
            let position = self.position_of(who);
            self.tick(number, block, position);
        }
    }

    /// Returns the position of a peer among the contributors, and adds it if it is new.
    fn position_of(&mut self, who: Contributor) -> usize {
        let known = self.contributors.iter().position(|known| *known == who);
        known.unwrap_or_else(|| {
            self.contributors.push(who);
            self.contributors.len() - 1
        })
    }

    /// Whether this block may still be written.
    fn is_missing(&self, block: u32) -> bool {
        !self.over && !self.written.has(block)
    }

    /// Ticks off a block just written, and hashes it if it is the next in line. If an earlier one
    /// is missing, it waits: a hash takes bytes in order only.
    fn tick(&mut self, number: u32, block: &[u8], contributor: usize) {
        self.written.set(number, true);
        if let Some(position) = self.brought_by.get_mut(number as usize) {
            // Beyond 65,535 peers, the rest cannot be told apart.
            *position = u16::try_from(contributor).unwrap_or(u16::MAX);
        }
        self.left -= 1;
        if number == self.hashed {
            self.hash.update(block);
            self.hashed += 1;
        }
    }
}

/// What blocks did to their piece.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// They were written. The piece needs more.
    More,
    /// They were not needed: another peer was faster.
    Stale,
    /// The piece is complete and its hash is right.
    Verified,
    /// The piece is complete and its hash is wrong. These peers brought blocks of it.
    Corrupt(Vec<PeerNumber>),
}

/// A piece on loan to a peer's thread.
///
/// Dropping it gives the piece back, with whatever has been written of it. So a thread that
/// returns early, or panics, loses no work.
pub struct Lease {
    queue: Arc<WorkQueue>,
    piece: PieceIndex,
    who: Contributor,
    /// Shared with the queue, and in the end game with other leases.
    progress: Arc<Mutex<Progress>>,
    /// Identifies this loan: a peer may get the same piece twice.
    seat: Arc<Seat>,
    why: Why,
    /// The blocks that may still have to be requested. It shrinks from the front, or from the back
    /// in the end game. A lease is for one peer, so what was requested once is not requested again;
    /// what a peer rejects goes back with the lease.
    to_request: Range<u32>,
}

impl Lease {
    pub(super) fn new(
        queue: &Arc<WorkQueue>,
        piece: PieceIndex,
        who: Contributor,
        lent: Lent<Arc<Mutex<Progress>>>,
    ) -> Lease {
        let Lent { progress, seat, why, .. } = lent;
        let to_request = 0..queue.blocks(piece);
        Lease { queue: Arc::clone(queue), piece, who, progress, seat, why, to_request }
    }

    /// Locks the progress of the piece, or the one that it replaces. If a thread panicked in the
    /// middle of a block, it is unknown how far it got, so the piece starts again.
    fn lock<'p>(&self, progress: &'p Mutex<Progress>) -> MutexGuard<'p, Progress> {
        progress.lock().unwrap_or_else(|poison| {
            progress.clear_poison();
            let mut guard = poison.into_inner();
            *guard = Progress::replacing(None, &self.queue, self.piece);
            guard
        })
    }

    /// The piece.
    pub fn piece(&self) -> PieceIndex {
        self.piece
    }

    /// The reason why it is this piece, and not another one.
    pub fn why(&self) -> Why {
        self.why
    }

    /// Returns the next block to request from the peer. `None` once every block has been requested
    /// or has arrived, or when a faster peer has taken the seat.
    pub fn next_request(&mut self) -> Option<Request> {
        if self.seat.is_lost() {
            return None;
        }
        let shared = self.is_shared();
        // Blocks that were written before the piece was given back, or that others have brought,
        // are passed over.
        let progress = self.lock(&self.progress);
        let missing = |block: &u32| progress.is_missing(*block);
        // In the end game we go backwards, to meet the others in the middle. Otherwise all would
        // request the same blocks.
        let block = match shared {
            true => self.to_request.by_ref().rev().find(missing),
            false => self.to_request.find(missing),
        }?;
        let begin = block * BLOCK_LENGTH;
        let length = BLOCK_LENGTH.min(self.queue.info().piece_size(self.piece) - begin);
        Some(Request { index: self.piece.get(), begin, length })
    }

    /// Whether another peer has taken the piece over, so that this lease must end.
    pub fn is_taken_over(&self) -> bool {
        self.seat.is_taken_over()
    }

    /// Whether others were fetching the piece when this lease was made. It stays true after they
    /// leave.
    pub fn is_shared(&self) -> bool {
        matches!(self.why, Why::EndGame { .. })
    }

    /// Whether [`Lease::next_request`] is sure to return `None`.
    pub fn is_fully_requested(&self) -> bool {
        self.to_request.is_empty() || self.seat.is_lost()
    }

    /// Writes blocks that follow one another, the first at `begin`, and hashes what can be hashed.
    /// All holders of a piece write under its lock, one after the other; other pieces are not
    /// affected.
    ///
    /// Each block must be whole: 16 KiB, or what is left of the piece. The session checks that
    /// first.
    ///
    /// # Errors
    /// If the store fails; what was not written is then still missing. Or if no content of the
    /// piece can be right, because the torrent contradicts itself.
    pub fn write(
        &mut self,
        begin: u32,
        blocks: &[&[u8]],
        store: &dyn Store,
    ) -> Result<Written, StorageError> {
        self.write_at(begin, blocks, store, Instant::now())
    }

    /// [`Lease::write`] at `now`, for tests.
    ///
    /// # Errors
    /// As [`Lease::write`].
    pub fn write_at(
        &mut self,
        begin: u32,
        blocks: &[&[u8]],
        store: &dyn Store,
        now: Instant,
    ) -> Result<Written, StorageError> {
        self.keep_replaced(store);
        let mut progress = self.lock(&self.progress);
        let numbered = (begin / BLOCK_LENGTH..).zip(blocks.iter().copied());
        let missing: Vec<_> = numbered.filter(|(number, _)| progress.is_missing(*number)).collect();
        if missing.is_empty() {
            return Ok(Written::Stale);
        }
        // One write for each unbroken run. Usually there is one run: all the blocks from one read
        // of the socket.
        for run in missing.chunk_by(|(number, _), (next, _)| number + 1 == *next) {
            self.write_run(&mut progress, run, store)?;
        }
        if progress.left > 0 {
            return Ok(Written::More);
        }
        progress.over = true;
        // Taken out, so that the lock need not be held any longer.
        let (by, brought_by) =
            (std::mem::take(&mut progress.contributors), std::mem::take(&mut progress.brought_by));
        let found = progress.hash.finish();
        // Release the piece before taking the queue's lock: no thread holds both. Because it is
        // over, no other thread writes into the piece before the queue hears of it.
        drop(progress);
        Ok(if judged(self.queue.info(), self.piece, &found)? {
            self.verified(&by, store)
        } else {
            self.corrupt(by, &brought_by, store, now)
        })
    }

    /// Writes missing blocks that follow one another, ticks them off, and hashes as far as it can.
    fn write_run(
        &self,
        progress: &mut Progress,
        run: &[(u32, &[u8])],
        store: &dyn Store,
    ) -> Result<(), StorageError> {
        let first = run.first().map_or(0, |(number, _)| *number);
        let parts: Vec<&[u8]> = run.iter().map(|(_, block)| *block).collect();
        let offset = self.queue.info().piece_offset(self.piece);
        store.write_parts(offset + u64::from(first * BLOCK_LENGTH), &parts)?;
        // Only now: a peer that brought nothing is not to blame.
        let position = progress.position_of(self.who);
        self.seat.count(run.len());
        run.iter().for_each(|(number, block)| progress.tick(*number, block, position));
        // After each run: the next one may follow what is read back here, and is then hashed from
        // memory.
        self.catch_up(progress, store)
    }

    /// Reports that the piece is right. If it was spoilt before, we now know by which peer, unless
    /// the piece cannot be read back.
    fn verified(&self, by: &[Contributor], store: &dyn Store) -> Written {
        for evidence in self.queue.take_evidence(self.piece) {
            if let Ok(verdict) = evidence.judge(self.queue.info(), self.piece, store) {
                self.queue.judge(self.piece, &verdict);
            }
        }
        self.queue.done(self.piece, by);
        Written::Verified
    }

    /// Reports that the piece is wrong. If one peer brought all of it, no evidence is needed.
    fn corrupt(
        &self,
        by: Vec<Contributor>,
        brought_by: &[u16],
        store: &dyn Store,
        now: Instant,
    ) -> Written {
        let peers = by.iter().map(|who| who.peer).collect();
        let evidence = (by.len() > 1)
            .then(|| self.gather(by.clone(), (0..).zip(brought_by.iter().copied()), store))
            .flatten();
        self.queue.corrupt(self.piece, &by, evidence, now);
        Written::Corrupt(peers)
    }

    /// Keeps the fingerprints of blocks that others brought, before they are overwritten. Done when
    /// the first block arrives, not when the piece is lent: until then the others' progress is
    /// good, and comes back if this peer brings nothing.
    fn keep_replaced(&self, store: &dyn Store) {
        let mut progress = self.lock(&self.progress);
        let Some(replaced) = progress.replaced.take() else { return };
        // No other thread has it anymore, so none waits for this lock.
        let replaced = self.lock(&replaced);
        let brought = |block: u32| Some((block, *replaced.brought_by.get(block as usize)?));
        let evidence = self.gather(
            replaced.contributors.clone(),
            replaced.written.iter().filter_map(brought),
            store,
        );
        // Release both before taking the queue's lock.
        drop((replaced, progress));
        if let Some(evidence) = evidence {
            self.queue.keep_evidence(self.piece, evidence);
        }
    }

    /// Gathers evidence. `None` if the blocks cannot be read: then the liar stays unknown.
    fn gather(
        &self,
        by: Vec<Contributor>,
        brought: impl Iterator<Item = (u32, u16)>,
        store: &dyn Store,
    ) -> Option<Evidence> {
        Evidence::gather(self.queue.info(), self.piece, by, brought, store).ok()
    }

    /// Hashes the blocks that arrived out of order, by reading them back from the store.
    fn catch_up(&self, progress: &mut Progress, store: &dyn Store) -> Result<(), StorageError> {
        let offset = self.queue.info().piece_offset(self.piece);
        let size = self.queue.info().piece_size(self.piece);
        let mut buffer = Vec::new();
        while progress.written.has(progress.hashed) {
            let begin = progress.hashed * BLOCK_LENGTH;
            buffer.resize(BLOCK_LENGTH.min(size - begin) as usize, 0);
            // From the kernel's cache, nearly always: it was written a moment ago.
            if let Err(error) = store.read(offset + u64::from(begin), &mut buffer) {
                // Un-tick the block, or the piece would wait forever with nothing left to request.
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
        // Whether any of it was written by anyone. The piece's lock is free again at the end of
        // this line, before the queue's is taken.
        let begun = !self.lock(&self.progress).contributors.is_empty();
        self.queue.give_back(self.piece, self.who.peer, &self.seat, begun);
    }
}
