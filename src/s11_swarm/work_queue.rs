//! The work queue: which pieces are still to be fetched, and by whom.
//!
//! Every peer has a thread, and all threads meet here and nowhere else. One Mutex
//! guards it, and one sentence says what it guards:
//!
//! > While the lock is free, every piece is in exactly one of three places: waiting,
//! > on loan, or done.
//!
//! ```text
//!              claim                     done
//!   waiting ------------> on loan -----------------> done
//!           <------------         (hash right)
//!      given back, or hash wrong
//! ```
//! A peer's thread takes part by its [`Share`](share::Share). It asks for work; the
//! answer is a [`Claim`](share::Claim), at best with a [`Lease`](super::lease::Lease)
//! on a piece, which gives itself back when dropped.
//!
//! The lock covers bookkeeping only. Nobody holds it while reading a socket, hashing
//! or writing a file, so that a claim costs the same with 200 peers as with one.

pub(super) mod evidence;
pub(super) mod seats;
pub mod share;
pub(super) mod trust;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use self::evidence::{Evidence, MOST_BLOCKS, Verdict};
use self::seats::Holders;
use self::trust::{Part, Trust};
use super::lease::Progress;
use super::rarest::Waiting;
use crate::s02_metainfo::{Info, PieceIndex};
use crate::s05_messages::BLOCK_LENGTH;
use crate::s05_messages::bitfield::Bitfield;

/// A peer, for as long as it is connected. Never used twice.
pub type PeerNumber = u32;

/// Where each piece is at one moment: waiting, if it is neither on loan nor done.
#[derive(Debug, Clone)]
pub struct Places {
    /// How many pieces there are.
    pub pieces: u32,
    /// The pieces that are done.
    pub done: Bitfield,
    /// Those on loan, in order, each with the peers that fetch it.
    pub on_loan: Vec<(PieceIndex, Vec<PeerNumber>)>,
    /// Those that had the wrong hash and are not right yet, waiting or on loan; and those
    /// that are done, but have been spoilt on disk.
    pub bad: Vec<PieceIndex>,
}

/// The pieces of one torrent and where each of them is.
pub struct WorkQueue {
    info: Arc<Info>,
    state: Mutex<State>,
    /// How long the log of finished pieces is, to be read without the lock.
    finished: AtomicUsize,
    /// And how long the list of withdrawn ones.
    withdrawn: AtomicUsize,
}

struct State {
    waiting: Waiting,
    on_loan: HashMap<PieceIndex, Loan>,
    done: Bitfield,
    /// The finished pieces in the order of their finishing.
    log: Vec<PieceIndex>,
    /// Finished pieces that somebody has spoilt on disk since. They stay done, as
    /// we do not write over what others have changed; but nobody gets them from us.
    withdrawn: Vec<PieceIndex>,
    /// The finished pieces without those.
    given: Bitfield,
    bytes_left: u64,
    /// The progress of pieces that wait again, and whose it is if it was made alone:
    /// then nobody else goes on with it.
    begun: HashMap<PieceIndex, (Arc<Mutex<Progress>>, Option<PeerNumber>)>,
    /// Pieces whose hash was wrong. The next peer gets such a piece alone and from the start, so
    /// that it is clear who is to blame.
    spoilt: HashMap<PieceIndex, Spoilt>,
    trust: Trust,
    /// Peers that are known to have lied, until somebody asks.
    exposed: Vec<(PieceIndex, PeerNumber)>,
    /// Goes up whenever a piece comes back, so that who found nothing need not look
    /// again before.
    generation: u64,
}

/// A piece whose hash was wrong.
struct Spoilt {
    since: Instant,
    /// Each time that several had a part in it.
    evidence: Vec<Evidence>,
}

/// A piece on loan.
struct Loan {
    progress: Arc<Mutex<Progress>>,
    holders: Holders,
    /// Nobody may join: the verdict must have one name on it.
    alone: bool,
}

impl WorkQueue {
    /// All pieces of a torrent wait, but for those that are there already.
    pub fn new(info: Arc<Info>, have: &Bitfield) -> Arc<WorkQueue> {
        let log: Vec<PieceIndex> = info.pieces().filter(|piece| have.has(piece.get())).collect();
        let there: u64 = log.iter().map(|piece| u64::from(info.piece_size(*piece))).sum();
        let finished = AtomicUsize::new(log.len());
        let state = State {
            waiting: Waiting::new(info.piece_count(), have),
            on_loan: HashMap::new(),
            done: have.clone(),
            log,
            given: have.clone(),
            withdrawn: Vec::new(),
            bytes_left: info.length - there,
            begun: HashMap::new(),
            spoilt: HashMap::new(),
            trust: Trust::default(),
            exposed: Vec::new(),
            generation: 0,
        };
        Arc::new(WorkQueue { info, state: Mutex::new(state), finished, withdrawn: AtomicUsize::new(0) })
    }

    /// The torrent.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// How many blocks a piece has.
    pub fn blocks(&self, piece: PieceIndex) -> u32 {
        self.info.piece_size(piece).div_ceil(BLOCK_LENGTH)
    }

    /// How many bytes are missing.
    pub fn bytes_left(&self) -> u64 {
        self.lock().bytes_left
    }

    /// Whether all pieces are done. Takes no lock.
    pub fn is_complete(&self) -> bool {
        self.finished.load(Ordering::Acquire) == self.info.piece_count() as usize
    }

    /// The pieces that are done, and can be given.
    pub fn given_pieces(&self) -> Bitfield {
        self.lock().given.clone()
    }

    /// The piece with this number, if it can be given.
    pub fn given_piece(&self, index: u32) -> Option<PieceIndex> {
        self.info.piece(index).filter(|_| self.lock().given.has(index))
    }

    /// A finished piece is no longer on disk as it was: nobody gets it from us any more.
    pub fn withdraw(&self, piece: PieceIndex) {
        let mut state = self.lock();
        if state.given.set(piece.get(), false) {
            state.withdrawn.push(piece);
            self.withdrawn.store(state.withdrawn.len(), Ordering::Release);
        }
    }

    /// The pieces that have been withdrawn since `seen` of them had been.
    pub fn withdrawn_since(&self, seen: &mut usize) -> Vec<PieceIndex> {
        if self.withdrawn.load(Ordering::Acquire) == *seen {
            return Vec::new();
        }
        let gone = self.lock().withdrawn.get(*seen..).unwrap_or_default().to_vec();
        *seen += gone.len();
        gone
    }

    /// How many pieces are waiting, on loan and done.
    pub fn census(&self) -> (usize, usize, usize) {
        let state = self.lock();
        (state.waiting.len(), state.on_loan.len(), state.log.len())
    }

    /// Where each piece is, copied in one go under the lock: a bit a piece, and the few on
    /// loan.
    pub fn places(&self) -> Places {
        let state = self.lock();
        let done = state.done.clone();
        let mut on_loan: Vec<_> = state.on_loan.iter().map(|(piece, loan)| (*piece, loan.holders.peers())).collect();
        let mut bad: Vec<_> = state.spoilt.keys().chain(&state.withdrawn).copied().collect();
        drop(state);
        on_loan.sort_by_key(|(piece, _)| *piece);
        bad.sort();
        Places { pieces: self.info.piece_count(), done, on_loan, bad }
    }

    /// A panic elsewhere does not make the bookkeeping wrong: every change of it is
    /// complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be compared with a piece that is right now, before it is done.
    pub(super) fn evidence(&self, piece: PieceIndex) -> Vec<Evidence> {
        self.lock().spoilt.get_mut(&piece).map(|spoilt| std::mem::take(&mut spoilt.evidence)).unwrap_or_default()
    }

    /// It is known who lied about a piece, and who did not.
    pub(super) fn judged(&self, piece: PieceIndex, verdict: &Verdict) {
        let mut state = self.lock();
        state.trust.judged(&verdict.liars, &verdict.cleared);
        state.exposed.extend(verdict.liars.iter().map(|part| (piece, part.peer)));
    }

    /// The peers that are known to have lied since the last time, and about which piece.
    pub fn take_exposed(&self) -> Vec<(PieceIndex, PeerNumber)> {
        std::mem::take(&mut self.lock().exposed)
    }

    /// A lease's last block was right.
    pub(super) fn done(&self, piece: PieceIndex, by: &[Part]) {
        let mut state = self.lock();
        state.on_loan.remove(&piece);
        state.spoilt.remove(&piece);
        state.trust.right(by);
        if state.done.set(piece.get(), true) {
            state.given.set(piece.get(), true);
            state.bytes_left -= u64::from(self.info.piece_size(piece));
            state.log.push(piece);
            self.finished.store(state.log.len(), Ordering::Release);
        }
    }

    /// A lease's last block made it wrong: all of it is to be fetched again.
    pub(super) fn corrupt(&self, piece: PieceIndex, by: &[Part], evidence: Option<Evidence>) {
        let now = Instant::now();
        let mut state = self.lock();
        state.on_loan.remove(&piece);
        let kept: usize = state.spoilt.values().flat_map(|spoilt| &spoilt.evidence).map(Evidence::len).sum();
        let spoilt = state.spoilt.entry(piece).or_insert_with(|| Spoilt { since: now, evidence: Vec::new() });
        spoilt.since = now;
        spoilt.evidence.extend(evidence.filter(|evidence| kept + evidence.len() <= MOST_BLOCKS));
        state.trust.wrong(by, now);
        state.waiting.insert(piece.get(), false);
        state.generation += 1;
    }

    /// A lease ends without the piece being complete.
    pub(super) fn give_back(&self, piece: PieceIndex, peer: PeerNumber, progress: &Arc<Mutex<Progress>>, begun: bool) {
        let mut state = self.lock();
        // Done by another holder meanwhile, or wrong and on loan anew: not ours.
        let Some(loan) = state.on_loan.get_mut(&piece).filter(|loan| Arc::ptr_eq(&loan.progress, progress)) else { return };
        if loan.holders.leave(peer) {
            let alone = loan.alone;
            state.on_loan.remove(&piece);
            if begun {
                state.begun.insert(piece, (Arc::clone(progress), alone.then_some(peer)));
            }
            state.waiting.insert(piece.get(), begun && !alone);
            state.generation += 1;
        }
    }

    fn piece(&self, index: u32) -> PieceIndex {
        self.info.piece(index).expect("only pieces of this torrent wait")
    }
}
