//! The peers that want something of us, and which of them have a slot.
//!
//! The list is locked to decide, and never while anybody is told. Each peer's choke and
//! unchoke are told inside its own outbox, always by what was decided last; so two
//! decisions that follow each other closely cannot be told in the wrong order.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::Rules;
use super::choking::{LUCKY_ROUNDS, NEWCOMER, SNUBBED, Standing, decide, take_turns};
use crate::s05_messages::{Message, Request};
use crate::s11_swarm::outbox::Waiting;
use crate::s11_swarm::uploads::Taker;

/// How often the choker's thread looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(500);
/// What the choker's thread gets of the address space.
const STACK: usize = 256 << 10;

/// All peers that have ever been interested, for as long as they are connected.
pub(super) struct WaitingList {
    slots: usize,
    /// How long a round lasts.
    round: Duration,
    state: Mutex<State>,
    /// The piece that is suggested next.
    suggest: AtomicU32,
    next_number: AtomicU64,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    /// Who has the slot for luck, and for how many rounds more.
    lucky: Option<u64>,
    lucky_rounds: u32,
    /// Whether the choker's thread has been started.
    running: bool,
}

struct Entry {
    number: u64,
    peer: Arc<Peer>,
    interested: bool,
    unchoked: bool,
    /// Since when it waits for a slot, or has one.
    since: Instant,
    /// How many rounds have begun since it got its slot.
    rounds: u32,
    /// Bytes that had come from it, and gone to it, at the end of the round before the last,
    /// and of the last.
    counted: [(u64, u64); 2],
}

/// One peer, as its own threads and the choker share it.
struct Peer {
    taker: Taker,
    allowed: Vec<u32>,
    /// How many bytes of these it may still ask for without a slot: each once.
    allowed_bytes: AtomicU64,
    /// What was decided last.
    unchoked: AtomicBool,
    /// What it has been told. Read and written while its outbox is being edited.
    told: AtomicBool,
}

impl WaitingList {
    pub fn new(rules: &Rules) -> Arc<WaitingList> {
        let (state, suggest, next_number) = Default::default();
        Arc::new(WaitingList { slots: rules.slots, round: rules.round, state, suggest, next_number })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more peer; it is not yet interested.
    pub fn enter(self: &Arc<WaitingList>, taker: Taker, allowed: Vec<u32>) -> Place {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let info = taker.torrent.queue.info();
        let sizes = allowed.iter().filter_map(|index| info.piece(*index)).map(|piece| u64::from(info.piece_size(piece)));
        let allowed_bytes = AtomicU64::new(sizes.sum());
        let counted = [(taker.traffic.downloaded(), taker.traffic.uploaded()); 2];
        let (unchoked, told) = Default::default();
        let peer = Arc::new(Peer { taker, allowed, allowed_bytes, unchoked, told });
        let entry = Entry {
            number,
            peer: Arc::clone(&peer),
            interested: false,
            unchoked: false,
            since: Instant::now(),
            rounds: 0,
            counted,
        };
        let mut state = self.lock();
        state.entries.push(entry);
        if !std::mem::replace(&mut state.running, true) {
            let list = Arc::downgrade(self);
            let pause = LOOK.min(self.round);
            let work = move || choke_again_and_again(&list, pause);
            // Without it, slots change hands only when somebody leaves.
            let _ = thread::Builder::new().name("choker".to_owned()).stack_size(STACK).spawn(work);
        }
        Place { list: Arc::clone(self), number, peer }
    }

    /// Gives slots that are free to those that have waited longest: nobody needs to wait
    /// for the next round while there is room. One that stands empty, as its holder wants
    /// nothing now, passes on: else every change of mind would make a slot more.
    fn fill(&self) {
        let mut told = Vec::new();
        let mut state = self.lock();
        let mut free = self.slots.saturating_sub(state.entries.iter().filter(|entry| entry.unchoked).count());
        while state.entries.iter().any(Entry::waits) {
            if free == 0 {
                let Some(empty) = state.entries.iter_mut().find(|entry| entry.unchoked && !entry.interested) else { break };
                told.extend(empty.decide(false));
                free += 1;
            }
            let waiting = state.entries.iter_mut().filter(|entry| entry.waits());
            let Some(entry) = waiting.min_by_key(|entry| entry.since) else { break };
            told.extend(entry.decide(true));
            free -= 1;
        }
        drop(state);
        self.tell(&told);
    }

    /// Deals out the slots anew.
    fn round(&self) {
        let now = Instant::now();
        let mut told = Vec::new();
        let mut state = self.lock();
        state.entries.sort_by_key(|entry| entry.since);
        let standings: Vec<Standing> = state.entries.iter_mut().map(|entry| entry.standing(now, self.round)).collect();
        state.lucky_rounds = state.lucky_rounds.saturating_sub(1);
        let lucky = state.lucky.filter(|_| state.lucky_rounds > 0);
        let lucky = state.entries.iter().position(|entry| Some(entry.number) == lucky);
        // All of them want the same torrent.
        let seeding = state.entries.iter().any(Entry::is_seeded);
        let rule = if seeding { take_turns } else { decide };
        let decision = rule(&standings, self.slots, lucky, |below| rand::random_range(0..below));
        if decision.lucky != lucky {
            state.lucky_rounds = LUCKY_ROUNDS;
        }
        state.lucky = decision.lucky.and_then(|position| state.entries.get(position)).map(|entry| entry.number);
        for (position, entry) in state.entries.iter_mut().enumerate() {
            told.extend(entry.decide(decision.unchoked.contains(&position)));
        }
        drop(state);
        self.tell(&told);
    }

    /// Lets peers know what was decided.
    fn tell(&self, peers: &[Arc<Peer>]) {
        for peer in peers {
            let suggestion = self.suggestion(peer);
            peer.taker.outbox.edit(|waiting| peer.tell(waiting, suggestion));
        }
    }

    /// A seed suggests another piece to each, so that they have something to exchange.
    fn suggestion(&self, peer: &Peer) -> Option<u32> {
        let queue = &peer.taker.torrent.queue;
        let seeding = peer.taker.fast && queue.is_complete();
        let next = || self.suggest.fetch_add(1, Ordering::Relaxed) % queue.info().piece_count().max(1);
        seeding.then(next).filter(|index| queue.given_piece(*index).is_some())
    }
}

impl Entry {
    /// Whether it wants a slot and has none.
    fn waits(&self) -> bool {
        self.interested && !self.unchoked
    }

    /// Takes a decision; returns the peer if it changes anything for it.
    fn decide(&mut self, unchoked: bool) -> Option<Arc<Peer>> {
        if self.unchoked == unchoked {
            return None;
        }
        (self.unchoked, self.since, self.rounds) = (unchoked, Instant::now(), 0);
        self.peer.unchoked.store(unchoked, Ordering::SeqCst);
        Some(Arc::clone(&self.peer))
    }

    /// Whether we take nothing in return.
    fn is_seeded(&self) -> bool {
        self.peer.taker.torrent.is_upload_only()
    }

    /// Returns what counts about it now that a new round begins.
    fn standing(&mut self, now: Instant, round: Duration) -> Standing {
        let seeding = self.is_seeded();
        let traffic = &self.peer.taker.traffic;
        let (came, went) = (traffic.downloaded(), traffic.uploaded());
        let [before, last] = self.counted;
        self.counted = [last, (came, went)];
        self.rounds += u32::from(self.unchoked);
        let bytes = if seeding { went - before.1 } else { came - before.0 };
        let silent = now.duration_since(traffic.last_came().unwrap_or_else(|| traffic.start()));
        Standing {
            interested: self.interested,
            unchoked: self.unchoked,
            rounds: self.rounds,
            bytes,
            idle: self.unchoked && bytes == 0 && now.duration_since(self.since) >= round,
            snubs: !seeding && silent > SNUBBED,
            newcomer: now.duration_since(traffic.start()) < NEWCOMER,
        }
    }
}

impl Peer {
    /// Tells it what was decided last, if it has been told otherwise.
    fn tell(&self, waiting: &mut Waiting, suggestion: Option<u32>) {
        let unchoked = self.unchoked.load(Ordering::SeqCst);
        if self.told.swap(unchoked, Ordering::SeqCst) == unchoked {
            return;
        }
        self.taker.traffic.terms().choked(!unchoked);
        if unchoked {
            Message::Unchoke.encode_to(&mut waiting.messages);
            if let Some(index) = suggestion {
                Message::Suggest { index }.encode_to(&mut waiting.messages);
            }
            return;
        }
        Message::Choke.encode_to(&mut waiting.messages);
        let stay = |index: u32| self.allowed.contains(&index);
        if self.taker.fast {
            for request in waiting.blocks.iter().filter(|request| !stay(request.index)) {
                Message::Reject(*request).encode_to(&mut waiting.messages);
            }
        }
        waiting.blocks.retain(|request| stay(request.index));
    }
}

/// Deals out the slots round after round, on the choker's thread. It ends when nobody has
/// the list any more.
fn choke_again_and_again(list: &Weak<WaitingList>, pause: Duration) {
    let mut last = Instant::now();
    loop {
        thread::sleep(pause);
        let Some(list) = list.upgrade() else { return };
        if last.elapsed() >= list.round {
            last = Instant::now();
            list.round();
        }
    }
}

/// A peer's place in the list. Dropping it makes room for another.
pub(super) struct Place {
    list: Arc<WaitingList>,
    number: u64,
    peer: Arc<Peer>,
}

impl Place {
    /// Whose it is.
    pub fn taker(&self) -> &Taker {
        &self.peer.taker
    }

    /// Whether the peer has been told that it may ask. To be looked at while its outbox
    /// is being edited.
    pub fn is_unchoked(&self, _: &Waiting) -> bool {
        self.peer.told.load(Ordering::SeqCst)
    }

    /// Whether it may ask for this without a slot; if so, it has asked.
    pub fn is_allowed(&self, request: Request) -> bool {
        let length = u64::from(request.length);
        let spend = |left: u64| left.checked_sub(length);
        self.peer.allowed.contains(&request.index)
            && self.peer.allowed_bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend).is_ok()
    }

    /// It is interested now, or no longer. It keeps its slot until the next round, or until
    /// another has a use for it.
    pub fn interested(&self, yes: bool) {
        let mut state = self.list.lock();
        if let Some(entry) = state.entries.iter_mut().find(|entry| entry.number == self.number)
            && entry.interested != yes
        {
            entry.interested = yes;
            if !entry.unchoked {
                entry.since = Instant::now();
            }
        }
        drop(state);
        self.list.fill();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.list.lock().entries.retain(|entry| entry.number != self.number);
        self.list.fill();
    }
}
