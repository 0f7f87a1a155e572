//! One peer's part in the work queue: what it has, and what its thread may claim.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::seats::{Holders, TRIED, lose, take_over};
use super::trust::Part;
use super::{Loan, PeerNumber, State, WorkQueue};
use crate::s02_metainfo::PieceIndex;
use crate::s05_messages::bitfield::Bitfield;
use crate::s11_swarm::lease::{Lease, Progress};
use crate::s11_swarm::rarest::{Have, WORDS_A_TURN, Waiting};
use crate::s11_swarm::sharing::Origin;

/// How many spoilt pieces are looked at in one claim.
const MOST_LOOKS: usize = 64;
/// How many finished pieces a peer is told of in one turn.
const NEWS_AT_ONCE: usize = 1000;

/// What a peer's thread gets when it wants work.
pub enum Claim {
    /// A piece that the peer has.
    Lease(Lease),
    /// Nothing for this peer now; that may change.
    Later,
    /// All pieces are done.
    Over,
}

/// One peer's part in the queue: what it has, and what it has been told. Dropping
/// it takes the peer out of the counts.
pub struct Share {
    queue: Arc<WorkQueue>,
    peer: PeerNumber,
    origin: Option<Origin>,
    /// How long it takes for a block, if that is known.
    block_time: Option<Duration>,
    /// When it last took another's seat in the end game.
    tried: Option<Instant>,
    have: Have,
    /// How many that is, if it is not all.
    has: u32,
    /// How many pieces it has that we lack.
    wanted: u32,
    /// How much of the log of finished pieces it has seen, and of the withdrawn ones.
    seen: usize,
    seen_withdrawn: usize,
    /// The generation at which it found nothing.
    found_nothing: Option<u64>,
}

impl Share {
    /// A peer that has nothing, as far as we know. It is told of pieces that are
    /// finished from now on, or (`from_start`) of all.
    pub fn join(queue: &Arc<WorkQueue>, peer: PeerNumber, from_start: bool) -> Share {
        let have = Have::Some(Bitfield::new(queue.info.piece_count()));
        let seen = if from_start { 0 } else { queue.finished.load(Ordering::Acquire) };
        let seen_withdrawn = if from_start { 0 } else { queue.withdrawn.load(Ordering::Acquire) };
        queue.lock().trust.join(Part { peer, origin: None }, Instant::now());
        Share {
            queue: Arc::clone(queue),
            peer,
            origin: None,
            block_time: None,
            tried: None,
            have,
            has: 0,
            wanted: 0,
            seen,
            seen_withdrawn,
            found_nothing: None,
        }
    }

    /// The peer has this address. Suspicion belongs to addresses, and is older than this
    /// connection at times.
    pub fn from_origin(mut self, origin: Origin) -> Share {
        self.origin = Some(origin);
        self.queue.lock().trust.join(self.part(), Instant::now());
        self
    }

    fn part(&self) -> Part {
        Part { peer: self.peer, origin: self.origin }
    }

    /// How long the peer takes for a block, if that is known: a fast peer may take over from a
    /// slow one in the end game.
    pub fn set_block_time(&mut self, time: Option<Duration>) {
        self.block_time = time;
    }

    /// Whether the peer has a piece that we lack.
    pub fn is_interesting(&self) -> bool {
        self.wanted > 0
    }

    /// Whether it has everything.
    pub fn is_seed(&self) -> bool {
        match &self.have {
            Have::All => true,
            Have::Some(_) => self.has == self.queue.info.piece_count(),
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
        self.has = if let Have::Some(bits) = &self.have { bits.count() } else { 0 };
        self.count(&mut state, Waiting::count_up);
        self.count_wanted(&state);
        state.trust.set_useful(self.peer, self.wanted > 0);
    }

    /// The peer has one piece more. A number that is no piece changes nothing.
    pub fn have(&mut self, index: u32) {
        let Have::Some(bits) = &mut self.have else { return };
        if !bits.set(index, true) {
            return;
        }
        self.has += 1;
        let mut state = self.queue.lock();
        state.waiting.count_up(index);
        self.wanted += u32::from(self.is_wanted(&state, index));
        self.found_nothing = None;
        state.trust.set_useful(self.peer, self.wanted > 0);
    }

    /// The peer has one piece less.
    pub fn lost(&mut self, index: u32) {
        if self.queue.info.piece(index).is_none() || !self.have.has(index) {
            return;
        }
        if let Have::Some(bits) = &mut self.have {
            bits.set(index, false);
            self.has -= 1;
            let mut state = self.queue.lock();
            state.waiting.count_down(index);
            self.wanted -= u32::from(self.is_wanted(&state, index));
            state.trust.set_useful(self.peer, self.wanted > 0);
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
        let mut state = self.queue.lock();
        let until = state.log.len().min(self.seen + NEWS_AT_ONCE);
        let news = state.log.get(self.seen..until).unwrap_or_default().to_vec();
        self.seen += news.len();
        let useless = news.iter().filter(|piece| self.have.has(piece.get())).count();
        self.wanted -= useless as u32;
        if self.wanted == 0 {
            state.trust.set_useful(self.peer, false);
        }
        drop(state);
        news
    }

    /// The pieces that have been withdrawn since the last time.
    pub fn withdrawn(&mut self) -> Vec<PieceIndex> {
        self.queue.withdrawn_since(&mut self.seen_withdrawn)
    }

    /// How many pieces the peer has.
    pub fn count_have(&self) -> u32 {
        match &self.have {
            Have::All => self.queue.info.piece_count(),
            Have::Some(_) => self.has,
        }
    }

    /// Claims this very piece, if it waits and the peer has it.
    pub fn claim_piece(&self, index: u32) -> Option<Lease> {
        let piece = self.queue.info.piece(index).filter(|_| self.have.has(index))?;
        let mut state = self.queue.lock();
        let now = Instant::now();
        let free = state.waiting.has(index) && !state.trust.is_suspect(self.peer) && !self.holds_back(&state, piece, now);
        free.then(|| self.borrow(&mut state, piece, now))
    }

    /// Claims a piece that the peer has: one that was begun, else the rarest; at the
    /// end, if the peer is `idle`, one that others are busy with.
    pub fn claim(&mut self, idle: bool) -> Claim {
        self.claim_at(idle, Instant::now())
    }

    /// The same at this time: in the end game a seat of somebody slow passes on.
    pub fn claim_at(&mut self, idle: bool, now: Instant) -> Claim {
        let queue = Arc::clone(&self.queue);
        let (mut word, mut first) = (0, None);
        loop {
            let mut state = queue.lock();
            let generation = *first.get_or_insert(state.generation);
            if state.bytes_left == 0 {
                return Claim::Over;
            }
            if self.wanted == 0 {
                return Claim::Later;
            }
            if state.waiting.is_empty() {
                return if idle { self.join_a_loan(&mut state, now) } else { Claim::Later };
            }
            state.trust.asks(self.peer, now);
            if let Some(piece) = self.find_spoilt(&state) {
                return Claim::Lease(self.borrow(&mut state, piece, now));
            }
            if self.found_nothing == Some(state.generation) {
                return Claim::Later;
            }
            // The first turn looks by rarity, and what that overlooks is found by words.
            let rare = match word {
                // Alone, it would have to begin again what others have begun.
                0 if state.trust.is_suspect(self.peer) => state.waiting.find_unbegun(&self.have),
                // Rather one that it need not leave to others.
                0 => state.waiting.find_where(&self.have, |index| !self.holds_back(&state, self.queue.piece(index), now)),
                _ => None,
            };
            let found = rare.or_else(|| match &self.have {
                Have::Some(bits) => state.waiting.find_from(bits, word),
                Have::All if word == 0 => state.waiting.find(&self.have),
                Have::All => None,
            });
            if let Some(piece) = found.map(|index| self.queue.piece(index)) {
                // It looks again on its next tick.
                let later = self.holds_back(&state, piece, now);
                return if later { Claim::Later } else { Claim::Lease(self.borrow(&mut state, piece, now)) };
            }
            word += WORDS_A_TURN;
            if word * 64 >= self.queue.info.piece_count() as usize {
                self.found_nothing = Some(generation);
                return Claim::Later;
            }
            // Others get a turn at the lock before the next words.
        }
    }

    /// Whether a waiting piece is left to peers that have proved themselves.
    fn holds_back(&self, state: &State, piece: PieceIndex, now: Instant) -> bool {
        state.trust.holds_back(self.peer, state.spoilt.get(&piece).map(|spoilt| spoilt.since), now)
    }

    /// A spoilt piece for a peer that has proved itself: others wait until it has had a look.
    fn find_spoilt(&self, state: &State) -> Option<PieceIndex> {
        let fits = |piece: &PieceIndex| state.waiting.has(piece.get()) && self.have.has(piece.get());
        let spoilt = || state.spoilt.keys().take(MOST_LOOKS).copied().find(fits);
        if state.trust.is_proved(self.peer) { spoilt() } else { None }
    }

    /// A waiting piece goes on loan.
    fn borrow(&self, state: &mut State, piece: PieceIndex, now: Instant) -> Lease {
        state.waiting.remove(piece.get());
        let alone = state.spoilt.contains_key(&piece) || state.trust.is_suspect(self.peer);
        let mine = |owner: Option<PeerNumber>| owner == alone.then_some(self.peer);
        let progress = state.begun.remove(&piece).filter(|(_, owner)| mine(*owner)).map(|(progress, _)| progress);
        let progress = progress.unwrap_or_else(|| Arc::new(Mutex::new(Progress::new(self.queue.blocks(piece)))));
        let mut holders = Holders::default();
        let seat = holders.sit(self.peer, false, now);
        state.on_loan.insert(piece, Loan { progress: Arc::clone(&progress), holders, alone });
        Lease::new(&self.queue, piece, self.part(), progress, seat, false)
    }

    /// End game: nothing waits, so a piece that others are busy with is shared. The
    /// slowest peer of all would otherwise decide when the download ends.
    fn join_a_loan(&mut self, state: &mut State, now: Instant) -> Claim {
        if state.trust.is_suspect(self.peer) {
            return Claim::Later;
        }
        let (unknown, tried) = (self.block_time.is_none(), self.tried);
        let had_its_chance = unknown && tried.is_some_and(|tried| now.saturating_duration_since(tried) < TRIED);
        let may_join =
            |piece: &PieceIndex, loan: &Loan| !loan.alone && !loan.holders.has(self.peer) && self.have.has(piece.get());
        let loans = state.on_loan.iter_mut().filter(|(piece, loan)| may_join(piece, loan));
        let offers = loans.filter_map(|(piece, loan)| Some((loan.holders.offer(self.block_time, now)?, piece, loan)));
        let offers = offers.filter(|(offer, ..)| offer.is_none() || !had_its_chance);
        // A free seat rather than another peer's, and of those where fewest are.
        let best = offers.min_by_key(|(offer, _, loan)| (offer.is_some(), loan.holders.taken()));
        let Some((offer, piece, loan)) = best else {
            self.take_over(state, now);
            return Claim::Later;
        };
        let on_trial = offer.is_some() && unknown;
        if let Some(seat) = offer {
            lose(&seat);
            // Its speed may be forgotten, if it goes back on what it owes: then this was its chance.
            self.tried = Some(now);
        }
        let seat = loan.holders.sit(self.peer, on_trial, now);
        let (piece, progress) = (*piece, Arc::clone(&loan.progress));
        Claim::Lease(Lease::new(&self.queue, piece, self.part(), progress, seat, true))
    }

    /// A piece that one peer has for itself cannot be shared. If that peer has proved nothing and
    /// is slow, one that has takes the piece over: it waits again in a moment. Otherwise a stranger
    /// that is suspected could keep the last piece for as long as it likes.
    fn take_over(&self, state: &mut State, now: Instant) {
        let (trust, spoilt) = (&mut state.trust, &mut state.spoilt);
        if !trust.is_proved(self.peer) {
            return;
        }
        let alone = state.on_loan.iter().filter(|(piece, loan)| loan.alone && self.have.has(piece.get()));
        let slow = alone.filter_map(|(piece, loan)| Some((piece, loan.holders.slow_owner(self.block_time, now)?)));
        let Some((piece, owner)) = slow.into_iter().find(|(_, owner)| !trust.is_proved(owner.peer)) else { return };
        take_over(&owner.seat);
        trust.gave_way(owner.peer, now);
        spoilt.entry(*piece).and_modify(|spoilt| spoilt.since = now);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let queue = Arc::clone(&self.queue);
        let mut state = queue.lock();
        self.count(&mut state, Waiting::count_down);
        state.trust.leave(self.part());
    }
}
