//! One peer's side of the work queue: the pieces the peer has, and those its thread may claim.
//!
//! A claimant counts the pieces that the peer has, and that we want and lack. So whether we are
//! interested in the peer at all is one comparison, and needs no lock.
//!
//! The count must stay right while other threads finish pieces. So a finished piece counts as
//! wanted until this peer's thread has heard of it:
//!
//! ```text
//! log of finished pieces   | 4 | 0 | 7 | 2 | 5 |
//!                                      ^ seen   2 and 5 are done, and still wanted here
//! ```

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::board::{Asker, Lent, Why};
use super::lease::{Lease, Progress};
use super::rarest::Draw;
use super::trust::Contributor;
use super::{State, WorkQueue};
use crate::s02_metainfo::PieceIndex;
use crate::s05_messages::bitfield::{Bitfield, PeerPieces};

/// The most finished pieces that a peer is told about at a time.
const MAX_NEWS: usize = 1000;

/// What a peer's thread gets when it wants a piece.
pub enum Claim {
    /// A piece that the peer has.
    Lease(Lease),
    /// Nothing for this peer now. That may change: ask again on the next turn of the loop.
    Later,
    /// All wanted pieces are done.
    Over,
}

/// One peer's side of the queue. The peer's thread owns it, so its own fields need no lock. When it
/// is dropped, the peer's pieces are counted out. Leases do not depend on it, and may be dropped
/// after it.
pub struct Claimant {
    queue: Arc<WorkQueue>,
    who: Contributor,
    /// The time the peer takes for a block, if that is known.
    block_time: Option<Duration>,
    /// When the peer last took another's seat in the end game.
    tried: Option<Instant>,
    pieces: PeerPieces,
    /// The number of pieces that the peer has, if it is not all of them. Counting the bits for each
    /// `have` would take longer the more pieces there are.
    has: u32,
    /// The number of pieces that the peer has, and that we want and lack, including those finished
    /// but not yet `seen`.
    wanted: u32,
    /// Position in the log of finished pieces: the number of them that [`Claimant::news`] has
    /// returned.
    seen: usize,
    /// Position in the list of withdrawn pieces.
    seen_withdrawn: usize,
    /// The board's generation when a search found nothing. The next search waits for a new one, or
    /// a `have`.
    found_nothing: Option<u64>,
}

impl Claimant {
    /// Joins for a peer that has nothing, as far as we know. It hears of the pieces that are
    /// finished from now on.
    pub fn join(queue: &Arc<WorkQueue>, who: impl Into<Contributor>) -> Claimant {
        let seen = queue.finished.load(Ordering::Acquire);
        let seen_withdrawn = queue.withdrawn.load(Ordering::Acquire);
        Claimant::new(queue, who.into(), (seen, seen_withdrawn))
    }

    /// Joins for a peer that has not heard of any piece, and must hear of all: one to which we send
    /// no bitfield, because the connection began before we had the info dictionary.
    pub fn join_from_start(queue: &Arc<WorkQueue>, who: impl Into<Contributor>) -> Claimant {
        Claimant::new(queue, who.into(), (0, 0))
    }

    /// Joins with these positions in the two logs.
    fn new(
        queue: &Arc<WorkQueue>,
        who: Contributor,
        (seen, seen_withdrawn): (usize, usize),
    ) -> Claimant {
        queue.lock().board.join(who, Instant::now());
        let pieces = PeerPieces::Some(Bitfield::new(queue.info.piece_count()));
        Claimant {
            queue: Arc::clone(queue),
            who,
            block_time: None,
            tried: None,
            pieces,
            has: 0,
            wanted: 0,
            seen,
            seen_withdrawn,
            found_nothing: None,
        }
    }

    /// Sets the time that the peer takes for a block, if that is known. In the end game a fast
    /// peer may take over from a slow one.
    pub fn set_block_time(&mut self, time: Option<Duration>) {
        self.block_time = time;
    }

    /// Whether the peer has a piece that we want and lack.
    pub fn is_interesting(&self) -> bool {
        self.wanted > 0
    }

    /// Whether the peer has everything.
    pub fn is_seed(&self) -> bool {
        self.count_pieces() == self.queue.info.piece_count()
    }

    /// The number of pieces that the peer has.
    pub fn count_pieces(&self) -> u32 {
        match &self.pieces {
            PeerPieces::All => self.queue.info.piece_count(),
            PeerPieces::Some(_) => self.has,
        }
    }

    /// Sets all the pieces that the peer has, in place of those known before. Costs a pass over all
    /// pieces under the lock, so a session lets a peer say this once only.
    pub fn set_pieces(&mut self, pieces: PeerPieces) {
        let pieces = match pieces {
            // A seed that sent a bitfield. `All` is cheaper to search, and seeds are not counted.
            PeerPieces::Some(bits) if bits.is_full() => PeerPieces::All,
            pieces => pieces,
        };
        // A clone, because the guard must not borrow `self`, which changes while it is held.
        let queue = Arc::clone(&self.queue);
        let mut state = queue.lock();
        state.board.count_out(&self.pieces);
        state.board.count_in(&pieces);
        self.has = if let PeerPieces::Some(bits) = &pieces { bits.count() } else { 0 };
        self.pieces = pieces;
        self.count_wanted(&state);
        state.board.set_useful(self.who, self.wanted > 0);
    }

    /// Adds a piece to those the peer has. An index out of range changes nothing, and neither does
    /// a `have` that is repeated: the piece is counted once.
    pub fn have(&mut self, index: u32) {
        let PeerPieces::Some(bits) = &mut self.pieces else { return };
        if !bits.set(index, true) {
            return;
        }
        self.has += 1;
        let mut state = self.queue.lock();
        state.board.count(index, true);
        self.wanted += u32::from(self.is_wanted(&state, index));
        self.found_nothing = None;
        state.board.set_useful(self.who, self.wanted > 0);
    }

    /// Removes a piece from those the peer has: it said so (BEP 54), or has rejected it twice.
    pub fn lost(&mut self, index: u32) {
        if self.queue.info.piece(index).is_none() || !self.pieces.has(index) {
            return;
        }
        if let PeerPieces::Some(bits) = &mut self.pieces {
            bits.set(index, false);
            self.has -= 1;
            let mut state = self.queue.lock();
            state.board.count(index, false);
            self.wanted -= u32::from(self.is_wanted(&state, index));
            state.board.set_useful(self.who, self.wanted > 0);
        } else {
            // It was a seed. From now on its pieces count, and each gets less rare.
            let mut bits = Bitfield::full(self.queue.info.piece_count());
            bits.set(index, false);
            self.set_pieces(PeerPieces::Some(bits));
        }
    }

    /// The finished pieces that [`Claimant::news`] has not returned yet. They still count as
    /// wanted, so that each is counted out once, and by one function.
    fn unseen<'s>(&self, state: &'s State) -> &'s [u32] {
        state.log.pieces.get(self.seen..).unwrap_or_default()
    }

    /// Whether this piece counts in `wanted`, if the peer has it.
    fn is_wanted(&self, state: &State, index: u32) -> bool {
        self.queue.wanted.has(index) && !state.log.is_among_first(index, self.seen)
    }

    /// Counts `wanted` from the start, after the peer's pieces have changed as a whole.
    fn count_wanted(&mut self, state: &State) {
        let (wanted, done) = (&self.queue.wanted, state.board.done());
        self.wanted = match &self.pieces {
            PeerPieces::All => self.queue.wanted_count as u32 - done.count(),
            PeerPieces::Some(bits) => {
                // 64 pieces at a time: those that the peer has, and that are wanted and not done.
                let words = bits.words().iter().zip(wanted.words()).zip(done.words());
                words.map(|((has, wanted), done)| (has & wanted & !done).count_ones()).sum()
            }
        };
        self.wanted +=
            self.unseen(state).iter().filter(|piece| self.pieces.has(**piece)).count() as u32;
        self.found_nothing = None;
    }

    /// Returns the pieces finished since the last call, a thousand at most. Costs one atomic
    /// read if there are none. A peer that joined from the start may have a million to hear of; all
    /// at once, their `have`s would be more than may be unsent.
    pub fn news(&mut self) -> Vec<PieceIndex> {
        if self.queue.finished.load(Ordering::Acquire) == self.seen {
            return Vec::new();
        }
        let mut state = self.queue.lock();
        let mut news = self.unseen(&state).to_vec();
        news.truncate(MAX_NEWS);
        self.seen += news.len();
        self.wanted -= news.iter().filter(|piece| self.pieces.has(**piece)).count() as u32;
        if self.wanted == 0 {
            state.board.set_useful(self.who, false);
        }
        drop(state);
        news.into_iter().map(|piece| self.queue.piece(piece)).collect()
    }

    /// Returns the pieces withdrawn since the last call.
    pub fn withdrawn(&mut self) -> Vec<PieceIndex> {
        self.queue.withdrawn_since(&mut self.seen_withdrawn)
    }

    /// This peer as the board sees it.
    fn asker(&self) -> Asker<'_> {
        Asker {
            who: self.who,
            pieces: &self.pieces,
            block_time: self.block_time,
            tried: self.tried,
        }
    }

    /// Claims exactly this piece, if it waits and the peer has it. For a piece that the peer has
    /// named.
    pub fn claim_piece(&self, index: u32) -> Option<Lease> {
        let piece = self.queue.info.piece(index)?;
        let (now, mut state) = (Instant::now(), self.queue.lock());
        state.board.may_lend(&self.asker(), index, now).then(|| self.lend(&mut state, piece, now))
    }

    /// Claims a piece that the peer has: one that was begun, else the rarest. In the end game, if
    /// the peer is `idle`, one that others are fetching: blocks may come twice then, so only a peer
    /// with nothing better to do gets one.
    pub fn claim(&mut self, idle: bool) -> Claim {
        self.claim_at(idle, Instant::now(), &mut |below| rand::random_range(0..below))
    }

    /// The same, at this time and with these dice. A search is made of turns, and each takes the
    /// lock again. If it finds nothing, there is no other search until a piece comes back, or the
    /// peer has another one.
    pub fn claim_at(&mut self, idle: bool, now: Instant, draw: Draw) -> Claim {
        let queue = Arc::clone(&self.queue);
        let mut generation = None;
        for turn in 0.. {
            let mut state = queue.lock();
            // Each turn checks everything again, because the lock was free in between: the last
            // piece may be done by now, or one for this peer may have come back.
            let began = *generation.get_or_insert(state.board.generation());
            if state.bytes_left == 0 {
                return Claim::Over;
            }
            if self.wanted == 0 {
                return Claim::Later;
            }
            if state.board.is_all_lent() {
                return if idle { self.join_loan(&mut state, now) } else { Claim::Later };
            }
            state.board.asks(self.who, now);
            // Spoilt pieces first, if this peer has proved itself: the others leave them to it, and
            // wait.
            if let Some(index) = state.board.find_spoilt(&self.asker(), now) {
                return Claim::Lease(self.lend(&mut state, queue.piece(index), now));
            }
            // Nothing has come back since the last search, so it would find nothing. Without this,
            // each of fifty peers would search all pieces on every turn of its loop.
            if self.found_nothing == Some(state.board.generation()) {
                return Claim::Later;
            }
            if let Some(index) = state.board.find(&self.asker(), turn, now, draw) {
                // A peer that holds back asks again later.
                if state.board.holds_back(&self.asker(), index, now) {
                    return Claim::Later;
                }
                return Claim::Lease(self.lend(&mut state, queue.piece(index), now));
            }
            if turn + 1 >= state.board.turns() {
                // The generation from before the search: pieces that came back since may have been
                // missed.
                self.found_nothing = Some(began);
                break;
            }
            // The guard ends here, and the next turn takes the lock again. A search among a million
            // pieces takes 62 turns; in one, all other threads would wait for it, though most want
            // only to give a piece back or report one as done.
        }
        Claim::Later
    }

    /// Lends a waiting piece to this peer. The lock is held.
    fn lend(&self, state: &mut State, piece: PieceIndex, now: Instant) -> Lease {
        let fresh = |replaced: Option<&Arc<_>>| {
            Arc::new(Mutex::new(Progress::replacing(replaced.cloned(), &self.queue, piece)))
        };
        let lent = state.board.lend(&self.asker(), piece.get(), now, fresh);
        self.lease(lent)
    }

    /// Joins others at a piece, or takes over one from a peer that works alone. In the second case
    /// the piece waits again only after that peer's thread has given it back.
    fn join_loan(&mut self, state: &mut State, now: Instant) -> Claim {
        let Some(lent) = state.board.join_loan(&self.asker(), now) else {
            state.board.take_over(&self.asker(), now);
            return Claim::Later;
        };
        if lent.why == (Why::EndGame { takes_over: true }) {
            // Remembered, so that a peer whose speed is unknown again gets no second trial so soon.
            self.tried = Some(now);
        }
        Claim::Lease(self.lease(lent))
    }

    fn lease(&self, lent: Lent<Arc<Mutex<Progress>>>) -> Lease {
        Lease::new(&self.queue, self.queue.piece(lent.piece), self.who, lent)
    }
}

impl Drop for Claimant {
    fn drop(&mut self) {
        self.queue.lock().board.leave(self.who, &self.pieces);
    }
}
