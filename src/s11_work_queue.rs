//! Stage 11: decide which peer fetches which piece.
//!
//! Fifty threads download one torrent. They share one data structure, the work queue, and it
//! answers one question for each of them: which piece should I fetch next? Nothing here opens
//! a socket or a file, so the whole stage can be tested, and run, without a network.
//!
//! * **Run it:** `piecemeal work_queue lab/sample.torrent lab/original/sample.txt --peers 3`
//! * **Spec:** BEP 3 leaves the choice to the client; **chapter:** `docs/11-work-queue.md`
//! * **Builds on:** [`PieceIndex`] from stage 2, [`Bitfield`] from stage 5, `Store` from
//!   stage 10
//!
//! # The rule
//! > While the lock is free, every wanted piece is in exactly one of three places: waiting, on
//! > loan, or done.
//!
//! ```text
//!              lend                      done
//!   waiting ------------> on loan -----------------> done
//!           <------------         (hash right)
//!      given back, or hash wrong
//! ```
//! # How to use it
//! 1. Join with [`Claimant::join`](claimant::Claimant::join) when a peer connects, and tell the
//!    claimant which pieces the peer has.
//! 2. [`Claimant::claim`](claimant::Claimant::claim) returns a [`Lease`](lease::Lease) on the
//!    rarest piece that the peer can give.
//! 3. [`Lease::write`](lease::Lease::write) stores and hashes each block as it arrives.
//! 4. Drop the lease. A verified piece is done. Any other goes back to waiting, even if the
//!    thread panicked.
//!
//! # Decisions
//! * **One lock, held for bookkeeping only.** Sockets, hashing and files stay outside it. A
//!   download that holds the lock during writes takes 1.17 s instead of 0.71 s.
//! * **[`board`] decides which peer gets which piece,** and knows no lock, clock or dice. This
//!   file puts the lock around it.
//! * **Finished pieces are a log.** Each peer's thread reads on from where it stopped, so no
//!   thread has to know all the others in order to tell them.
//! * **Left out:** sockets, deadlines, and everything a peer says. That is stage 12.
//!
//! # In three sittings
//! 1. This file, [`board`] with `search`, and [`claimant`]: which peer gets which piece.
//! 2. [`lease`]: from blocks to a piece that is right. [`trust`], [`evidence`] and [`explained`],
//!    for peers that lie, can wait.
//! 3. [`rarest`], which finds the rarest piece without looking at all of them (it pays off from
//!    about 10,000 pieces); `end_game` and [`seats`], for the end of a download.

pub mod board;
pub mod claimant;
pub mod evidence;
pub mod explained;
pub mod lease;
pub mod rarest;
pub mod seats;
pub mod trust;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use self::board::Board;
use self::evidence::Evidence;
use self::lease::Progress;
use self::seats::Seat;
use self::trust::{Contributor, Verdict};
use crate::s02_metainfo::{Info, PieceIndex};
use crate::s05_messages::BLOCK_LENGTH;
use crate::s05_messages::bitfield::Bitfield;

/// Identifies a peer for as long as it is connected. Never used twice.
pub type PeerNumber = u32;

/// Where each piece is at one moment: waiting, if it is wanted, and neither on loan nor done.
#[derive(Debug, Clone)]
pub struct Places {
    /// The number of pieces.
    pub pieces: u32,
    /// The pieces that are done.
    pub done: Bitfield,
    /// The pieces on loan, in order, each with the peers that fetch it.
    pub on_loan: Vec<(PieceIndex, Vec<PeerNumber>)>,
    /// The pieces that had the wrong hash and are not right yet, and those that were right
    /// and have been changed on disk since.
    pub bad: Vec<PieceIndex>,
}

/// The pieces of one torrent, and where each of them is. All peers' threads share it.
pub struct WorkQueue {
    info: Arc<Info>,
    /// The wanted pieces. What is there at the start counts as wanted, so every piece that is done
    /// is one of them.
    wanted: Bitfield,
    /// The number of them: the length of the log of finished pieces when all are done.
    wanted_count: usize,
    /// The one lock. No thread that holds it takes another, or waits for anything.
    state: Mutex<State>,
    /// Wakes the threads in [`WorkQueue::wait`].
    returned: Condvar,
    /// Length of the log of finished pieces. It can be read without the lock: fifty threads ask for
    /// news on every turn of their loops, and nearly always there is none.
    finished: AtomicUsize,
    /// Length of the list of withdrawn pieces, likewise.
    withdrawn: AtomicUsize,
}

/// What the lock covers.
struct State {
    board: Board<Arc<Mutex<Progress>>>,
    log: Log,
    /// Bytes in wanted pieces that are not done. 0 only when all are: no piece is empty.
    bytes_left: u64,
    /// Finished pieces that have been changed on disk since. They stay done, because we do not
    /// overwrite what others have changed. But no peer gets them from us.
    withdrawn: Vec<PieceIndex>,
    /// The finished pieces without the withdrawn ones: what we tell peers that we have.
    given: Bitfield,
    /// The number of threads in [`WorkQueue::wait`].
    sleepers: usize,
}

/// The pieces that are done, in the order in which they were finished. The list only grows, so a
/// position in it stays valid.
struct Log {
    pieces: Vec<u32>,
    /// The position of each piece in the list, or [`NOT_YET`].
    positions: Vec<u32>,
}

/// The position of a piece that is not finished, beyond the end of any log.
const NOT_YET: u32 = u32::MAX;

impl Log {
    /// Begins with the pieces that are there at the start.
    fn new(have: &Bitfield, pieces: u32) -> Log {
        let mut log = Log { pieces: Vec::new(), positions: vec![NOT_YET; pieces as usize] };
        have.iter().for_each(|piece| log.push(piece));
        log
    }

    fn push(&mut self, piece: u32) {
        self.positions[piece as usize] = self.pieces.len() as u32;
        self.pieces.push(piece);
    }

    /// Whether a piece is one of the first `count`. The list is not searched: it may have two
    /// million entries, and that would take 0.3 ms.
    fn is_among_first(&self, piece: u32, count: usize) -> bool {
        self.positions.get(piece as usize).is_some_and(|at| (*at as usize) < count)
    }
}

impl WorkQueue {
    /// Makes the queue of a torrent. Every wanted piece waits, except those in `have`. A piece that
    /// is in neither set is never lent.
    pub fn new(info: Arc<Info>, have: &Bitfield, wanted: &Bitfield) -> Arc<WorkQueue> {
        let mut wanted = wanted.clone();
        for piece in have.iter() {
            wanted.set(piece, true);
        }
        let board = Board::new(info.piece_count(), have, &wanted);
        let missing =
            info.pieces().filter(|piece| wanted.has(piece.get()) && !have.has(piece.get()));
        let bytes_left = missing.map(|piece| u64::from(info.piece_size(piece))).sum();
        let log = Log::new(have, info.piece_count());
        let finished = AtomicUsize::new(log.pieces.len());
        let state = State {
            log,
            bytes_left,
            given: board.done().clone(),
            withdrawn: Vec::new(),
            sleepers: 0,
            board,
        };
        Arc::new(WorkQueue {
            info,
            wanted_count: wanted.count() as usize,
            wanted,
            state: Mutex::new(state),
            returned: Condvar::new(),
            finished,
            withdrawn: AtomicUsize::new(0),
        })
    }

    /// The torrent's info dictionary.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The number of blocks in a piece.
    pub fn blocks(&self, piece: PieceIndex) -> u32 {
        self.info.piece_size(piece).div_ceil(BLOCK_LENGTH)
    }

    /// The number of bytes in wanted pieces that are not done.
    pub fn bytes_left(&self) -> u64 {
        self.lock().bytes_left
    }

    /// Whether all wanted pieces are done. Takes no lock.
    pub fn is_complete(&self) -> bool {
        self.finished.load(Ordering::Acquire) == self.wanted_count
    }

    /// The numbers of pieces that are waiting, on loan and done.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.lock().board.counts()
    }

    /// Returns where each piece is. The lock is held only to copy one bit for each piece, and
    /// the few on loan.
    pub fn places(&self) -> Places {
        let state = self.lock();
        let done = state.board.done().clone();
        let on_loan: Vec<_> = state.board.loans().collect();
        let mut bad: Vec<_> = state.board.spoilt().map(|piece| self.piece(piece)).collect();
        bad.extend(&state.withdrawn);
        drop(state);
        bad.sort();
        let on_loan =
            on_loan.into_iter().map(|(piece, peers)| (self.piece(piece), peers)).collect();
        Places { pieces: self.info.piece_count(), done, on_loan, bad }
    }

    /// Takes the lock, even after a panic in another thread: every change of the bookkeeping is
    /// complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns a number of the board into an index, which only the info dictionary can make.
    fn piece(&self, index: u32) -> PieceIndex {
        self.info.piece(index).expect("the board has only pieces of this torrent")
    }

    /// Marks a piece as done: it is complete, and its hash is right.
    fn done(&self, piece: PieceIndex, by: &[Contributor]) {
        let mut state = self.lock();
        // Once only, or `bytes_left` would fall below the truth: two holders may complete the same
        // piece, if it was given back and lent again in between.
        if state.board.done_with(piece.get(), by) {
            state.log.push(piece.get());
            state.given.set(piece.get(), true);
            state.bytes_left -= u64::from(self.info.piece_size(piece));
            // Last, and still under the lock: a thread that sees the new length finds the log as
            // long.
            self.finished.store(state.log.pieces.len(), Ordering::Release);
            if state.bytes_left == 0 {
                self.wake_sleepers(&state);
            }
        }
    }

    /// Puts back a piece that is complete and has the wrong hash. All of it must be fetched again.
    fn corrupt(
        &self,
        piece: PieceIndex,
        by: &[Contributor],
        evidence: Option<Evidence>,
        now: Instant,
    ) {
        let mut state = self.lock();
        state.board.spoil(piece.get(), by, evidence, now);
        self.wake_sleepers(&state);
    }

    /// Keeps evidence about a piece until it is right ([`evidence`]).
    fn keep_evidence(&self, piece: PieceIndex, evidence: Evidence) {
        self.lock().board.keep_evidence(piece.get(), evidence);
    }

    /// Returns the evidence about a piece that is now right, to be compared with it. The comparison
    /// reads from the store, so the caller does it without the lock.
    fn take_evidence(&self, piece: PieceIndex) -> Vec<Evidence> {
        self.lock().board.take_evidence(piece.get())
    }

    /// Records which peers brought wrong blocks, and which did not.
    fn judge(&self, piece: PieceIndex, verdict: &Verdict) {
        self.lock().board.judge(piece.get(), verdict);
    }

    /// Returns the peers that are known to have lied since the last call, and about which piece.
    pub fn take_exposed(&self) -> Vec<(PieceIndex, PeerNumber)> {
        let exposed = self.lock().board.take_exposed();
        exposed.into_iter().map(|(piece, peer)| (self.piece(piece), peer)).collect()
    }

    /// Gives back an incomplete piece when its lease ends. `begun` says whether any of it was
    /// written.
    fn give_back(&self, piece: PieceIndex, peer: PeerNumber, seat: &Arc<Seat>, begun: bool) {
        let mut state = self.lock();
        state.board.give_back(piece.get(), peer, seat, begun);
        self.wake_sleepers(&state);
    }
}

/// For those that fetch pieces and are no peer's session (stage 13). They may choose a long run of
/// pieces. They have nobody to listen to while they wait for one; a session sleeps in its socket,
/// and asks again at each tick.
impl WorkQueue {
    /// The pieces that wait at this moment. The lock is held only to copy a bit for each piece.
    pub fn waiting_pieces(&self) -> Bitfield {
        self.lock().board.waiting().clone()
    }

    /// A number that goes up whenever a piece comes back.
    pub fn generation(&self) -> u64 {
        self.lock().board.generation()
    }

    /// Waits until the generation is another one than was `seen`, until nothing is missing, until
    /// `over` says that there is nothing to wait for, or until this time. Returns the generation
    /// then.
    ///
    /// `over` is called while the lock is held, so it must take none. Code that makes it true calls
    /// [`WorkQueue::wake`] afterwards.
    pub fn wait(&self, seen: u64, until: Instant, over: &dyn Fn() -> bool) -> u64 {
        let mut state = self.lock();
        loop {
            let generation = state.board.generation();
            let left = until.saturating_duration_since(Instant::now());
            if generation != seen || state.bytes_left == 0 || over() || left.is_zero() {
                return generation;
            }
            state.sleepers += 1;
            // The lock is free while the thread sleeps.
            let woken = self.returned.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
            state.sleepers -= 1;
        }
    }

    /// Wakes all threads in [`WorkQueue::wait`], so that they ask `over` again.
    pub fn wake(&self) {
        self.wake_sleepers(&self.lock());
    }

    /// Notifies the threads that wait, if there are any: usually there are none, and to notify
    /// nobody is a system call all the same.
    fn wake_sleepers(&self, state: &State) {
        if state.sleepers > 0 {
            self.returned.notify_all();
        }
    }
}

/// The pieces that stage 16 may upload, and those that it no longer may.
impl WorkQueue {
    /// The pieces that are done and unchanged on disk.
    pub fn given_pieces(&self) -> Bitfield {
        self.lock().given.clone()
    }

    /// Returns the piece with this number, if others may have it from us. `None` also for a number
    /// that the torrent does not have: it comes from a peer.
    pub fn given_piece(&self, index: u32) -> Option<PieceIndex> {
        self.info.piece(index).filter(|_| self.lock().given.has(index))
    }

    /// Withdraws a finished piece that was changed on disk: no peer gets it from us any more.
    pub fn withdraw(&self, piece: PieceIndex) {
        let mut state = self.lock();
        // Several writers may notice the change at once, but peers are told of it once.
        if state.given.set(piece.get(), false) {
            state.withdrawn.push(piece);
            self.withdrawn.store(state.withdrawn.len(), Ordering::Release);
        }
    }

    /// Returns the pieces withdrawn since the caller had `seen` that many, and counts them as
    /// seen.
    pub fn withdrawn_since(&self, seen: &mut usize) -> Vec<PieceIndex> {
        if self.withdrawn.load(Ordering::Acquire) == *seen {
            return Vec::new();
        }
        let gone = self.lock().withdrawn.get(*seen..).unwrap_or_default().to_vec();
        *seen += gone.len();
        gone
    }
}
