//! The peers that want something from us, and which have a slot.
//!
//! ```text
//!   a session: interested, or not ---+
//!   a session ends ------------------+--> fill: free slots ----+   under the lock:
//!   the choker's thread, every 0.5 s +                         +-> flags are set
//!                        every 10 s -----> round: all slots ---+   after it:
//!                                                                  the peers are told
//! ```
//! The lock is held to decide, never while a peer is told. A decision is a flag in the peer's
//! [`Requester`], which tells the peer what was decided last. So if two threads decide, it does not
//! matter which of them tells first.
//!
//! The rules are elsewhere: [`choking`](super::choking) for a round,
//! [`sharing_slots`](super::sharing_slots) for addresses with many connections. This is the memory
//! that they lack: how long each peer has waited, and what it has brought and taken.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::Rules;
use super::choking::{LUCKY_ROUNDS, NEWCOMER, SNUBBED, Standing, decide, is_ahead, take_turns};
use super::sharing_slots::{Claim, share_slots};
use crate::s04_handshake::origin::Origin;
use crate::s12_session::host::UploadPeer;
use crate::s16_uploading::requester::Requester;
use crate::s16_uploading::{self, Choker};

/// How often the choker's thread checks whether it is still needed, and whether a peer makes room
/// for another. Nobody waits for the thread: when the list is gone, it ends at its next look.
const LOOK: Duration = Duration::from_millis(500);
/// The stack size of the choker's thread, in bytes.
const STACK: usize = 256 << 10;

/// All peers that have ever been interested, for as long as they are connected.
pub(super) struct WaitingList {
    /// How many peers are unchoked at the same time.
    slots: usize,
    /// How long a round lasts.
    round: Duration,
    /// Whether our upload is limited.
    scarce: bool,
    /// A leaf lock.
    state: Mutex<State>,
    /// The piece that is suggested next.
    suggest: AtomicU32,
    /// The next entry's number. Positions cannot identify a peer: each round sorts the entries.
    next_number: AtomicU64,
}

#[derive(Default)]
struct State {
    /// At most one for each connected peer. Each round sorts them by `since`; new ones are added at
    /// the end.
    entries: Vec<Entry>,
    /// The number of the peer with the lucky slot. It may be gone.
    lucky: Option<u64>,
    /// The number of rounds left to that peer, this one included.
    lucky_rounds: u32,
    /// Whether the choker's thread has been started.
    running: bool,
}

/// A peer on the list.
///
/// | `interested` | `turn` | the peer |
/// |---|---|---|
/// | no | none | wants nothing, and is choked |
/// | yes | none | has waited since `since` |
/// | yes | some | has had a slot since `since` |
/// | no | some | has a slot that it does not use; it makes room as soon as another waits |
struct Entry {
    number: u64,
    peer: Arc<Requester>,
    /// What the peer said last.
    interested: bool,
    /// Its slot, if it has one.
    turn: Option<Turn>,
    /// When it began to wait, or got its slot.
    since: Instant,
    /// (Bytes from it, bytes to it) as counted by the last two rounds, the older count first.
    /// *Lately* means since the older count: one to two rounds.
    counted: [(u64, u64); 2],
}

/// What counts from the moment a peer gets its slot.
#[derive(Clone, Copy)]
struct Turn {
    /// How many rounds have begun since it got the slot.
    rounds: u32,
    /// Bytes that had gone to it before.
    before: u64,
}

impl WaitingList {
    /// Makes an empty list. It has no thread before the first peer comes.
    pub fn new(rules: &Rules) -> Arc<WaitingList> {
        let (state, suggest, next_number) = Default::default();
        Arc::new(WaitingList {
            slots: rules.slots,
            round: rules.round,
            scarce: rules.scarce,
            state,
            suggest,
            next_number,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a peer; `set_interested` follows. Called by the peer's session when the peer is first
    /// interested.
    fn add(self: &Arc<WaitingList>, peer: Arc<Requester>) -> Place {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let stats = &peer.peer().stats;
        // What it gave before it was interested does not count.
        let counted = [(stats.downloaded(), stats.uploaded()); 2];
        let entry =
            Entry { number, peer, interested: false, turn: None, since: Instant::now(), counted };
        let mut state = self.lock();
        state.entries.push(entry);
        // Started here and not in `new`: a download that nobody takes from needs no choker.
        if !std::mem::replace(&mut state.running, true) {
            let list = Arc::downgrade(self);
            let pause = LOOK.min(self.round);
            let work = move || run_choker(&list, pause);
            // If no thread can be started, only `fill` moves slots, not `round`.
            let _ = thread::Builder::new().name("choker".to_owned()).stack_size(STACK).spawn(work);
        }
        Place { list: Arc::clone(self), number }
    }

    /// Gives free slots to the peers that have waited longest: nobody needs to wait for the next
    /// round while there is room. A holder that now wants nothing makes room, but only for a peer
    /// that waits. If all want something, a seed with a limit takes the slot of one that is ahead.
    fn fill(&self) {
        let mut changed = Vec::new();
        let mut state = self.lock();
        // Saturating, although nobody hands out more than there are: a subtraction must not panic.
        let mut free = self
            .slots
            .saturating_sub(state.entries.iter().filter(|entry| entry.turn.is_some()).count());
        // Counted before the loop: a peer that makes room does not take the next slot.
        for _ in 0..state.entries.iter().filter(|entry| entry.waits()).count() {
            if free == 0 {
                // Left empty where nothing is scarce: then nobody is ahead of anybody.
                let shared = self.scarce && state.is_seeding();
                let lately: Vec<u64> =
                    state.entries.iter().filter(|_| shared).map(Entry::took_lately).collect();
                let makes_room = state.entries.iter_mut().filter(|entry| entry.makes_room(&lately));
                // `false` is the least, so one that wants nothing comes first.
                let Some(holder) = makes_room.min_by_key(|entry| entry.interested) else { break };
                changed.extend(holder.set_slot(false));
                free += 1;
            }
            let waiting = state.entries.iter_mut().filter(|entry| entry.waits());
            let Some(entry) = waiting.min_by_key(|entry| entry.since) else { break };
            // Told below, after the unlock: telling takes a lock.
            changed.extend(entry.set_slot(true));
            free -= 1;
        }
        // Whoever still waits may be from an address without a slot, while another has several.
        if state.entries.iter().any(Entry::waits) {
            let unchoked =
                state.entries.iter().enumerate().filter(|(_, entry)| entry.turn.is_some());
            let mut unchoked: Vec<usize> = unchoked.map(|(position, _)| position).collect();
            share_slots(&mut unchoked, &state.claims());
            changed.extend(state.apply(&unchoked));
        }
        drop(state);
        self.tell(&changed);
    }

    /// Deals out the slots for a new round.
    fn round(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        // The order alone tells the rules which peer has waited longest.
        state.entries.sort_by_key(|entry| entry.since);
        let standings: Vec<Standing> =
            state.entries.iter_mut().map(|entry| entry.standing(now, self.round)).collect();
        state.lucky_rounds = state.lucky_rounds.saturating_sub(1);
        // From its number to its position, which is new after the sort.
        let lucky = state.lucky.filter(|_| state.lucky_rounds > 0);
        let lucky = state.entries.iter().position(|entry| Some(entry.number) == lucky);
        let rule = if state.is_seeding() { take_turns } else { decide };
        let mut decision =
            rule(&standings, self.slots, lucky, |below| rand::random_range(0..below));
        // A peer that keeps the lucky slot does not get three more rounds.
        if decision.lucky != lucky {
            state.lucky_rounds = LUCKY_ROUNDS;
        }
        state.lucky = decision
            .lucky
            .and_then(|position| state.entries.get(position))
            .map(|entry| entry.number);
        // The rules look at connections, and a stranger can have many of those.
        share_slots(&mut decision.unchoked, &state.claims());
        let changed = state.apply(&decision.unchoked);
        drop(state);
        self.tell(&changed);
    }

    /// Lets peers know what was decided. Not to be called under our lock: it takes the locks of the
    /// peers' send queues and of the work queue.
    fn tell(&self, peers: &[Arc<Requester>]) {
        for peer in peers {
            // A choke comes with no suggestion, and must not use one up.
            let suggestion = peer.is_unchoked().then(|| self.suggestion(peer.peer()));
            peer.tell(suggestion.flatten());
        }
    }

    /// Returns a piece for a peer to begin with (BEP 6): a seed suggests a different one to each,
    /// so that they can exchange. `None` if we are not a seed or do not have the piece, or the peer
    /// does not know the message.
    fn suggestion(&self, peer: &UploadPeer) -> Option<u32> {
        let queue = &peer.torrent.queue;
        let seeding = peer.fast && queue.is_complete();
        let next =
            || self.suggest.fetch_add(1, Ordering::Relaxed) % queue.info().piece_count().max(1);
        seeding.then(next).filter(|index| queue.given_piece(*index).is_some())
    }
}

impl State {
    /// Whether we take nothing in return. All entries share one torrent, so any of them will do.
    fn is_seeding(&self) -> bool {
        self.entries.iter().any(|entry| entry.peer.peer().torrent.is_upload_only())
    }

    /// Each entry's claim when slots are shared by IP.
    fn claims(&self) -> Vec<Claim> {
        self.entries.iter().map(Entry::claim).collect()
    }

    /// Applies a decision: these positions have a slot. Returns the peers for which it changes
    /// anything.
    fn apply(&mut self, unchoked: &[usize]) -> Vec<Arc<Requester>> {
        let apply =
            |(position, entry): (usize, &mut Entry)| entry.set_slot(unchoked.contains(&position));
        self.entries.iter_mut().enumerate().filter_map(apply).collect()
    }
}

impl Entry {
    /// Bytes it has taken lately, as defined at `counted`.
    fn took_lately(&self) -> u64 {
        let [(_, before), _] = self.counted;
        self.peer.peer().stats.uploaded() - before
    }

    /// Whether it has a slot and makes room for a peer that waits. `lately` is what each peer took;
    /// it is empty if that does not count, and then nobody is ahead.
    fn makes_room(&self, lately: &[u64]) -> bool {
        let UploadPeer { stats, torrent, .. } = self.peer.peer();
        // A piece helps the swarm only when it is whole, so nobody leaves with less than one.
        let piece = u64::from(torrent.queue.info().piece_length);
        let ahead = |turn: Turn| {
            stats.uploaded() - turn.before >= piece && is_ahead(self.took_lately(), lately)
        };
        self.turn.is_some_and(|turn| !self.interested || ahead(turn))
    }

    /// Returns its claim when slots are shared by IP.
    fn claim(&self) -> Claim {
        let stats = &self.peer.peer().stats;
        let ((came, went), origin) = (self.counted[0], Origin::of(stats.address().ip()));
        let moved = (stats.downloaded() - came) + (stats.uploaded() - went);
        Claim { origin, interested: self.interested, moved, since: self.since }
    }

    /// Whether it wants a slot and has none.
    fn waits(&self) -> bool {
        self.interested && self.turn.is_none()
    }

    /// Gives the peer a slot, or takes its slot away; returns the peer if that changes anything.
    /// The peer has yet to be told.
    fn set_slot(&mut self, unchoked: bool) -> Option<Arc<Requester>> {
        if self.turn.is_some() == unchoked {
            return None;
        }
        self.turn = unchoked.then(|| Turn { rounds: 0, before: self.peer.peer().stats.uploaded() });
        // In both cases: a peer that loses its slot goes to the end of the line.
        self.since = Instant::now();
        self.peer.set_unchoked(unchoked);
        Some(Arc::clone(&self.peer))
    }

    /// Returns its standing as a new round begins, and starts the counts of that round.
    fn standing(&mut self, now: Instant, round: Duration) -> Standing {
        let UploadPeer { stats, torrent, .. } = self.peer.peer();
        let seeding = torrent.is_upload_only();
        let (came, went) = (stats.downloaded(), stats.uploaded());
        if let Some(turn) = &mut self.turn {
            turn.rounds += 1;
        }
        let [before, last] = self.counted;
        self.counted = [last, (came, went)];
        // Two rounds, not one: a slot that was given a moment ago has brought nothing yet.
        let bytes = if seeding { went - before.1 } else { came - before.0 };
        // A peer that never gave anything has been silent since it came.
        let silent = now.duration_since(stats.last_received().unwrap_or_else(|| stats.start()));
        Standing {
            interested: self.interested,
            unchoked: self.turn.is_some(),
            rounds: self.turn.map_or(0, |turn| turn.rounds),
            bytes,
            idle: self.turn.is_some() && bytes == 0 && now.duration_since(self.since) >= round,
            snubs: !seeding && silent > SNUBBED,
            newcomer: now.duration_since(stats.start()) < NEWCOMER,
        }
    }
}

/// Deals out the slots round after round, on the choker's thread. It ends when nobody else has the
/// list.
fn run_choker(list: &Weak<WaitingList>, pause: Duration) {
    // When the last round was. A round may be late by `pause`, and a missed one is not made up.
    let mut last = Instant::now();
    loop {
        thread::sleep(pause);
        // A weak reference: the thread must not keep alive what it works for.
        let Some(list) = list.upgrade() else { return };
        if last.elapsed() >= list.round {
            last = Instant::now();
            list.round();
        }
        list.fill();
    }
}

impl Choker for Arc<WaitingList> {
    fn enter(&self, peer: Arc<Requester>) -> Box<dyn s16_uploading::Place> {
        Box::new(self.add(peer))
    }
}

/// A peer's place in the list. The peer's session holds it. Dropping it makes room for another.
struct Place {
    list: Arc<WaitingList>,
    number: u64,
}

impl s16_uploading::Place for Place {
    /// A peer that is no longer interested keeps its slot until the next round, or until
    /// another has a use for it.
    fn set_interested(&self, yes: bool) {
        let mut state = self.list.lock();
        if let Some(entry) = state.entries.iter_mut().find(|entry| entry.number == self.number)
            && entry.interested != yes
        {
            entry.interested = yes;
            // Otherwise a peer could keep its place in line while it wants nothing.
            if entry.turn.is_none() {
                entry.since = Instant::now();
            }
        }
        // `fill` locks again.
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
