//! Where peers come from: a seam, and the simplest source, a given address.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Note;
use super::budget::Budget;
use super::lobby::Lobby;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::reach::{NamedBy, part};
use crate::s04_handshake::Handshake;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::BoxError;
use crate::s12_session::host::Counters;

/// A peer that somebody has found.
pub enum Candidate {
    /// An address to dial.
    Dial(SocketAddr),
    /// A connection whose handshakes are done.
    Met(Box<Connection>),
}

/// Finds peers, on a thread of its own. It looks up names itself, since that may
/// take as long as the system likes.
pub trait PeerSource: Send {
    /// What to call it in messages.
    fn name(&self) -> String;

    /// Finds peers until there are no more to be found, or the swarm is over.
    ///
    /// # Errors
    /// If it can never find any; the swarm goes on with its other sources.
    fn run(self: Box<Self>, finder: Finder) -> Result<(), BoxError>;

    /// Whether it only waits for others to come: nobody's hope while there is no one
    /// else.
    fn is_passive(&self) -> bool {
        false
    }
}

/// Why a source's waiting has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The time is over.
    Due,
    /// The swarm has no peers. Said once each time that this happens.
    Hungry,
    /// The last piece has come. Said once, and not if it was there from the start.
    Completed,
    /// The swarm is over.
    Stop,
}

/// What the swarm tells all its sources.
pub(super) struct Signals {
    phase: Mutex<Phase>,
    changed: Condvar,
    /// Bytes received, sent and left, which trackers want to know.
    counters: Arc<Counters>,
    /// Connections that have come by themselves and wait for a place.
    pub lobby: Lobby,
    budget: Budget,
}

#[derive(Default, Clone, Copy)]
struct Phase {
    /// Goes up each time that the last peer has left.
    hunger: u32,
    completed: bool,
    stop: bool,
}

impl Signals {
    pub(super) fn new(budget: Budget, counters: Arc<Counters>) -> Signals {
        let (phase, changed) = Default::default();
        Signals { phase, changed, counters, lobby: Lobby::new(budget.lobby), budget }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hungry(&self) {
        self.lock().hunger += 1;
        self.changed.notify_all();
    }

    pub(super) fn completed(&self) {
        self.lock().completed = true;
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_all();
    }
}

/// A source's line to the swarm.
pub struct Finder {
    name: String,
    number: usize,
    signals: Arc<Signals>,
    notes: Sender<Note>,
    handshake: Arc<dyn Fn() -> Handshake + Send + Sync>,
    told_hunger: u32,
    told_completed: bool,
}

impl Finder {
    pub(super) fn new(
        (name, number): (String, usize),
        signals: Arc<Signals>,
        notes: Sender<Note>,
        handshake: Arc<dyn Fn() -> Handshake + Send + Sync>,
    ) -> Finder {
        Finder { name, number, signals, notes, handshake, told_hunger: 0, told_completed: false }
    }

    /// What introduces to the swarm a peer that has come by itself.
    pub fn introducer(&self) -> Introducer {
        let signals = Arc::clone(&self.signals);
        Introducer { notes: self.notes.clone(), signals, handshake: Arc::clone(&self.handshake) }
    }

    /// Hands addresses to the swarm, but for those that are better not dialled: it depends on
    /// where they come from. `false` says that it is over.
    pub fn found(&self, by: NamedBy, addresses: Vec<SocketAddr>) -> bool {
        let (dialled, told) = part(addresses, by);
        told.into_iter().for_each(|told| self.say(told));
        self.notes.send(Note::Found(dialled.into_iter().map(Candidate::Dial).collect())).is_ok()
    }

    /// Tells the user something.
    pub fn say(&self, what: String) {
        let _ = self.notes.send(Note::Said { source: self.name.clone(), what, failed: false });
    }

    /// Tells the user that something failed, for now.
    pub fn failed(&self, why: String) {
        self.reporter()(why);
    }

    /// Tells the swarm when it looks for peers again. Until that moment it has nothing more
    /// to offer, and from then on it is looking.
    pub fn again(&self, at: Instant) {
        let _ = self.notes.send(Note::Again(self.number, at));
    }

    /// What says that the source is gone, to be held as long as it runs.
    pub(super) fn gone(&self) -> Gone {
        Gone { notes: self.notes.clone(), number: self.number }
    }

    /// Does the same after the source is gone.
    pub(super) fn reporter(&self) -> impl Fn(String) + use<> {
        let (notes, source) = (self.notes.clone(), self.name.clone());
        move |what| drop(notes.send(Note::Said { source: source.clone(), what, failed: true }))
    }

    /// Bytes uploaded, downloaded and left. While the length is unknown, 1 is left.
    pub fn counters(&self) -> (u64, u64, u64) {
        let counters = &self.signals.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&counters.uploaded), read(&counters.downloaded), read(&counters.left))
    }

    /// Waits so long, or until the swarm has something to say.
    pub fn wait(&mut self, time: Duration) -> Wake {
        let until = Instant::now() + time;
        let mut phase = self.signals.lock();
        loop {
            // What happened first is said first: `completed` is not lost to `stop`.
            if phase.completed && !self.told_completed {
                self.told_completed = true;
                return Wake::Completed;
            }
            if phase.stop {
                return Wake::Stop;
            }
            if phase.hunger > self.told_hunger {
                self.told_hunger = phase.hunger;
                return Wake::Hungry;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wake::Due;
            }
            phase = self.signals.changed.wait_timeout(phase, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Brings connections to the swarm, from any thread.
#[derive(Clone)]
pub struct Introducer {
    notes: Sender<Note>,
    signals: Arc<Signals>,
    handshake: Arc<dyn Fn() -> Handshake + Send + Sync>,
}

impl Introducer {
    /// What we say of ourselves at this moment.
    pub fn handshake(&self) -> Handshake {
        (self.handshake)()
    }

    /// How many handshakes may go on at the same time.
    pub fn most_handshakes(&self) -> usize {
        self.signals.budget.handshakes
    }

    /// Hands over a connection whose handshakes are done. It waits for a place; if too many
    /// wait already, one of them is hung up on. `false` says that the swarm is over.
    pub fn met(&self, connection: Connection) -> bool {
        // One note for all that wait: a flood of connections is not a flood of notes.
        !self.signals.lobby.enter(connection) || self.notes.send(Note::Came).is_ok()
    }
}

/// Says when dropped that a source is gone.
pub(super) struct Gone {
    notes: Sender<Note>,
    number: usize,
}

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.notes.send(Note::SourceGone(self.number));
    }
}

/// An address that the user gave us: `--peer`.
pub struct Given(pub String);

impl PeerSource for Given {
    fn name(&self) -> String {
        self.0.clone()
    }

    fn run(self: Box<Self>, finder: Finder) -> Result<(), BoxError> {
        finder.found(NamedBy::User, self.0.to_socket_addrs()?.collect());
        Ok(())
    }
}

/// An address in a magnet link, `x.pe`, and the link's info hash. The user has typed the link,
/// but somebody else may have written it.
pub struct Linked(pub String, pub InfoHash);

impl PeerSource for Linked {
    fn name(&self) -> String {
        self.0.clone()
    }

    fn run(self: Box<Self>, finder: Finder) -> Result<(), BoxError> {
        finder.found(NamedBy::Link(self.1), self.0.to_socket_addrs()?.collect());
        Ok(())
    }
}
