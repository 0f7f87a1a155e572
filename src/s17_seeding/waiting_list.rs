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
//! What is decided is in [`slots`](super::slots), which knows no lock and no peer's thread. This
//! holds the lock, and tells the peers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::Rules;
use super::choking::deal;
use super::slots::{Change, Moment, Slots, Traffic};
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
    /// How long a round lasts.
    round: Duration,
    /// A leaf lock.
    state: Mutex<State>,
    /// The piece that is suggested next.
    suggest: AtomicU32,
}

struct State {
    slots: Slots<Taker>,
    /// Whether the choker's thread has been started.
    running: bool,
}

/// A peer, as the slots know it. Two connections are two takers, even to one address.
#[derive(Clone)]
struct Taker(Arc<Requester>);

impl PartialEq for Taker {
    fn eq(&self, other: &Taker) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl WaitingList {
    /// Makes an empty list. It has no thread before the first peer comes.
    pub fn new(rules: &Rules) -> Arc<WaitingList> {
        let slots = Slots::new(rules.slots, rules.round, rules.scarce);
        let state = Mutex::new(State { slots, running: false });
        Arc::new(WaitingList { round: rules.round, state, suggest: AtomicU32::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a peer; `set_interested` follows. Called by the peer's session when the peer is first
    /// interested.
    fn add(self: &Arc<WaitingList>, peer: Arc<Requester>) -> Place {
        let taker = Taker(peer);
        let mut state = self.lock();
        state.slots.enter(taker.clone(), &taker.traffic(), Instant::now());
        // Started here and not in `new`: a download that nobody takes from needs no choker.
        if !std::mem::replace(&mut state.running, true) {
            let list = Arc::downgrade(self);
            let pause = LOOK.min(self.round);
            let work = move || run_choker(&list, pause);
            // If no thread can be started, only `fill` moves slots, not `round`.
            let _ = thread::Builder::new().name("choker".to_owned()).stack_size(STACK).spawn(work);
        }
        drop(state);
        Place { list: Arc::clone(self), taker }
    }

    /// Fills free slots.
    fn fill(&self) {
        self.decide(|slots, moment| slots.fill(moment));
    }

    /// Deals out the slots for a new round.
    fn round(&self) {
        self.decide(|slots, moment| {
            slots.round(moment, |standings, count, lucky| {
                let draw = |below| rand::random_range(0..below);
                deal(moment.seeding, standings, count, lucky, draw)
            })
        });
    }

    /// Decides, and lets the peers know for which that changes anything.
    fn decide(&self, decide: impl FnOnce(&mut Slots<Taker>, &Moment<Taker>) -> Vec<Change<Taker>>) {
        let mut state = self.lock();
        // All peers share one torrent, so any of them will do. Without one, there is nothing to
        // decide.
        let Some(Taker(peer)) = state.slots.peers().next().cloned() else { return };
        let torrent = &peer.peer().torrent;
        let moment = Moment {
            now: Instant::now(),
            seeding: torrent.is_upload_only(),
            piece_length: u64::from(torrent.queue.info().piece_length),
            traffic: &Taker::traffic,
        };
        let changed = decide(&mut state.slots, &moment);
        for (Taker(peer), unchoked) in &changed {
            peer.set_unchoked(*unchoked);
        }
        drop(state);
        self.tell(&changed);
    }

    /// Lets peers know what was decided. Not to be called under our lock: it takes the locks of the
    /// peers' send queues and of the work queue.
    fn tell(&self, changed: &[Change<Taker>]) {
        for (Taker(peer), _) in changed {
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

impl Taker {
    /// What has gone over its connection.
    fn traffic(&self) -> Traffic {
        let stats = &self.0.peer().stats;
        Traffic {
            came: stats.downloaded(),
            went: stats.uploaded(),
            heard: stats.last_received().unwrap_or_else(|| stats.start()),
            start: stats.start(),
            origin: Origin::of(stats.address().ip()),
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
    taker: Taker,
}

impl s16_uploading::Place for Place {
    fn set_interested(&self, yes: bool) {
        self.list.lock().slots.set_interested(&self.taker, yes, Instant::now());
        // `fill` locks again.
        self.list.fill();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.list.lock().slots.leave(&self.taker);
        self.list.fill();
    }
}
