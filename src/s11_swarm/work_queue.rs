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
//! A peer's thread takes part by its [`Share`]. It asks for work; the answer is a
//! [`Claim`], at best with a [`Lease`] on a piece, which gives itself back when dropped.
//!
//! The lock covers bookkeeping only. Nobody holds it while reading a socket, hashing
//! or writing a file, so that a claim costs the same with 200 peers as with one.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lease::{Lease, Progress};
use super::rarest::{Have, WORDS_A_TURN, Waiting};
use crate::s02_metainfo::{Info, PieceIndex};
use crate::s05_messages::BLOCK_LENGTH;
use crate::s05_messages::bitfield::Bitfield;

/// A peer, for as long as it is connected. Never used twice.
pub type PeerNumber = u32;

/// How many finished pieces a peer is told of in one turn.
const NEWS_AT_ONCE: usize = 1000;
/// How many peers may be asked for the same piece at the end.
const MOST_HOLDERS: usize = 3;

/// The pieces of one torrent and where each of them is.
pub struct WorkQueue {
    info: Arc<Info>,
    state: Mutex<State>,
    /// How long the log is, to be read without the lock.
    finished: AtomicUsize,
}

struct State {
    waiting: Waiting,
    on_loan: HashMap<PieceIndex, Loan>,
    done: Bitfield,
    /// The finished pieces in the order of their finishing.
    log: Vec<PieceIndex>,
    bytes_left: u64,
    /// The progress of pieces that wait again, and whose it is if it was made alone:
    /// then nobody else goes on with it.
    begun: HashMap<PieceIndex, (Arc<Mutex<Progress>>, Option<PeerNumber>)>,
    /// Pieces whose hash was wrong. The next peer gets such a piece alone and from
    /// the start, so that it is clear who is to blame.
    spoilt: HashSet<PieceIndex>,
    /// Peers who had a part in such a piece. They work alone until a piece of
    /// theirs is right: a poisoner cannot hide among honest peers twice.
    suspects: HashSet<PeerNumber>,
    /// Goes up whenever a piece comes back, so that who found nothing need not look
    /// again before.
    generation: u64,
}

/// A piece on loan.
struct Loan {
    progress: Arc<Mutex<Progress>>,
    holders: Vec<PeerNumber>,
    /// Nobody may join: the verdict must have one name on it.
    alone: bool,
}

/// What a peer's thread gets when it wants work.
pub enum Claim {
    /// A piece that the peer has.
    Lease(Lease),
    /// Nothing for this peer now; that may change.
    Later,
    /// All pieces are done.
    Over,
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
            bytes_left: info.length - there,
            begun: HashMap::new(),
            spoilt: HashSet::new(),
            suspects: HashSet::new(),
            generation: 0,
        };
        Arc::new(WorkQueue { info, state: Mutex::new(state), finished })
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

    /// The pieces that are done.
    pub fn done_pieces(&self) -> Bitfield {
        self.lock().done.clone()
    }

    /// How many pieces are waiting, on loan and done.
    pub fn census(&self) -> (usize, usize, usize) {
        let state = self.lock();
        (state.waiting.len(), state.on_loan.len(), state.log.len())
    }

    /// A panic elsewhere does not make the bookkeeping wrong: every change of it is
    /// complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lease's last block was right.
    pub(super) fn done(&self, piece: PieceIndex, by: &[PeerNumber]) {
        let mut state = self.lock();
        state.on_loan.remove(&piece);
        state.spoilt.remove(&piece);
        if let [alone] = by {
            state.suspects.remove(alone);
        }
        if state.done.set(piece.get(), true) {
            state.bytes_left -= u64::from(self.info.piece_size(piece));
            state.log.push(piece);
            self.finished.store(state.log.len(), Ordering::Release);
        }
    }

    /// A lease's last block made it wrong: all of it is to be fetched again.
    pub(super) fn corrupt(&self, piece: PieceIndex, by: &[PeerNumber]) {
        let mut state = self.lock();
        state.on_loan.remove(&piece);
        state.spoilt.insert(piece);
        if by.len() > 1 {
            state.suspects.extend(by);
        }
        state.waiting.insert(piece.get(), false);
        state.generation += 1;
    }

    /// A lease ends without the piece being complete.
    pub(super) fn give_back(&self, piece: PieceIndex, peer: PeerNumber, progress: &Arc<Mutex<Progress>>, begun: bool) {
        let mut state = self.lock();
        // Done by another holder meanwhile, or wrong and on loan anew: not ours.
        let Some(loan) = state.on_loan.get_mut(&piece).filter(|loan| Arc::ptr_eq(&loan.progress, progress)) else { return };
        loan.holders.retain(|holder| *holder != peer);
        if loan.holders.is_empty() {
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

/// One peer's part in the queue: what it has, and what it has been told. Dropping
/// it takes the peer out of the counts.
pub struct Share {
    queue: Arc<WorkQueue>,
    peer: PeerNumber,
    have: Have,
    /// How many pieces it has that we lack.
    wanted: u32,
    /// How much of the log of finished pieces it has seen.
    seen: usize,
    /// The generation at which it found nothing.
    found_nothing: Option<u64>,
}

impl Share {
    /// A peer that has nothing, as far as we know. It is told of pieces that are
    /// finished from now on, or (`from_start`) of all.
    pub fn join(queue: &Arc<WorkQueue>, peer: PeerNumber, from_start: bool) -> Share {
        let have = Have::Some(Bitfield::new(queue.info.piece_count()));
        let seen = if from_start { 0 } else { queue.finished.load(Ordering::Acquire) };
        Share { queue: Arc::clone(queue), peer, have, wanted: 0, seen, found_nothing: None }
    }

    /// Whether the peer has a piece that we lack.
    pub fn is_interesting(&self) -> bool {
        self.wanted > 0
    }

    /// Whether it has everything.
    pub fn is_seed(&self) -> bool {
        match &self.have {
            Have::All => true,
            Have::Some(bits) => bits.is_full(),
        }
    }

    /// The peer says what it has, all at once.
    pub fn set_have(&mut self, have: Have) {
        let queue = Arc::clone(&self.queue);
        let mut state = queue.lock();
        self.count(&mut state, Waiting::count_down);
        self.have = match have {
            Have::Some(bits) if bits.is_full() => Have::All,
            have => have,
        };
        self.count(&mut state, Waiting::count_up);
        self.count_wanted(&state);
    }

    /// The peer has one piece more. A number that is no piece changes nothing.
    pub fn have(&mut self, index: u32) {
        let Have::Some(bits) = &mut self.have else { return };
        if !bits.set(index, true) {
            return;
        }
        let mut state = self.queue.lock();
        state.waiting.count_up(index);
        self.wanted += u32::from(self.is_wanted(&state, index));
        self.found_nothing = None;
    }

    /// The peer has one piece less.
    pub fn lost(&mut self, index: u32) {
        if self.queue.info.piece(index).is_none() || !self.have.has(index) {
            return;
        }
        if let Have::Some(bits) = &mut self.have {
            bits.set(index, false);
            let mut state = self.queue.lock();
            state.waiting.count_down(index);
            self.wanted -= u32::from(self.is_wanted(&state, index));
        } else {
            let mut bits = Bitfield::full(self.queue.info.piece_count());
            bits.set(index, false);
            self.set_have(Have::Some(bits));
        }
    }

    fn count(&self, state: &mut State, change: fn(&mut Waiting, u32)) {
        if let Have::Some(bits) = &self.have {
            bits.iter().for_each(|piece| change(&mut state.waiting, piece));
        }
    }

    /// Whether a piece counts as wanted: missing, or finished so lately that
    /// [`Share::news`] will count it out.
    fn is_wanted(&self, state: &State, index: u32) -> bool {
        let unseen = state.log.get(self.seen..).unwrap_or_default();
        !state.done.has(index) || unseen.iter().any(|piece| piece.get() == index)
    }

    fn count_wanted(&mut self, state: &State) {
        let all = self.queue.info.piece_count();
        self.wanted = match &self.have {
            Have::All => all - state.done.count(),
            Have::Some(bits) => bits.words().iter().zip(state.done.words()).map(|(have, done)| (have & !done).count_ones()).sum(),
        };
        // Finished, but not counted out before the next look at the news.
        let unseen = state.log.get(self.seen..).unwrap_or_default();
        self.wanted += unseen.iter().filter(|piece| self.have.has(piece.get())).count() as u32;
        self.found_nothing = None;
    }

    /// The pieces that have been finished since the last time, a thousand at the most.
    /// Costs one atomic read if there are none.
    pub fn news(&mut self) -> Vec<PieceIndex> {
        if self.queue.finished.load(Ordering::Acquire) == self.seen {
            return Vec::new();
        }
        let log = &self.queue.lock().log;
        let news = log.get(self.seen..log.len().min(self.seen + NEWS_AT_ONCE)).unwrap_or_default().to_vec();
        self.seen += news.len();
        let useless = news.iter().filter(|piece| self.have.has(piece.get())).count();
        self.wanted -= useless as u32;
        news
    }

    /// Claims a piece that the peer has: one that was begun, else the rarest; at the
    /// end, if the peer is `idle`, one that others are busy with.
    pub fn claim(&mut self, idle: bool) -> Claim {
        let (mut word, mut first) = (0, None);
        loop {
            let mut state = self.queue.lock();
            let generation = *first.get_or_insert(state.generation);
            if state.bytes_left == 0 {
                return Claim::Over;
            }
            if self.wanted == 0 {
                return Claim::Later;
            }
            if state.waiting.is_empty() {
                return if idle { self.join_a_loan(&mut state) } else { Claim::Later };
            }
            if self.found_nothing == Some(state.generation) {
                return Claim::Later;
            }
            // The first turn looks by rarity, and what that overlooks is found by words.
            let rare = match word {
                // Alone, it would have to begin again what others have begun.
                0 if state.suspects.contains(&self.peer) => state.waiting.find_unbegun(&self.have),
                0 => state.waiting.find(&self.have),
                _ => None,
            };
            let found = rare.or_else(|| match &self.have {
                Have::Some(bits) => state.waiting.find_from(bits, word),
                Have::All if word == 0 => state.waiting.find(&self.have),
                Have::All => None,
            });
            if let Some(index) = found {
                return self.borrow(&mut state, self.queue.piece(index));
            }
            word += WORDS_A_TURN;
            if word * 64 >= self.queue.info.piece_count() as usize {
                self.found_nothing = Some(generation);
                return Claim::Later;
            }
            // Others get a turn at the lock before the next words.
        }
    }

    /// A waiting piece goes on loan.
    fn borrow(&self, state: &mut State, piece: PieceIndex) -> Claim {
        state.waiting.remove(piece.get());
        let alone = state.spoilt.contains(&piece) || state.suspects.contains(&self.peer);
        let mine = |owner: Option<PeerNumber>| owner == alone.then_some(self.peer);
        let progress = state.begun.remove(&piece).filter(|(_, owner)| mine(*owner)).map(|(progress, _)| progress);
        let progress = progress.unwrap_or_else(|| Arc::new(Mutex::new(Progress::new(self.queue.blocks(piece)))));
        state.on_loan.insert(piece, Loan { progress: Arc::clone(&progress), holders: vec![self.peer], alone });
        Claim::Lease(Lease::new(&self.queue, piece, self.peer, progress, false))
    }

    /// End game: nothing waits, so a piece that others are busy with is shared. The
    /// slowest peer of all would otherwise decide when the download ends.
    fn join_a_loan(&self, state: &mut State) -> Claim {
        if state.suspects.contains(&self.peer) {
            return Claim::Later;
        }
        let may_join = |piece: &PieceIndex, loan: &Loan| {
            !loan.alone && loan.holders.len() < MOST_HOLDERS && !loan.holders.contains(&self.peer) && self.have.has(piece.get())
        };
        let loans = state.on_loan.iter_mut().filter(|(piece, loan)| may_join(piece, loan));
        let Some((piece, loan)) = loans.min_by_key(|(_, loan)| loan.holders.len()) else { return Claim::Later };
        loan.holders.push(self.peer);
        Claim::Lease(Lease::new(&self.queue, *piece, self.peer, Arc::clone(&loan.progress), true))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let queue = Arc::clone(&self.queue);
        let mut state = queue.lock();
        self.count(&mut state, Waiting::count_down);
        state.suspects.remove(&self.peer);
    }
}
