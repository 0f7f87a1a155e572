//! A source of peers: what it is, what it says, and what it is given to say it with.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::signals::{Heard, Signals, Wake};
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::reach::{NamedBy, part};
use crate::s04_handshake::Handshake;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::BoxError;
use crate::s12_session::host::Counters;

/// Finds peers, on a thread of its own. It looks up names itself, since that may
/// take as long as the system likes.
pub trait PeerSource: Send {
    /// What to call it in messages.
    fn name(&self) -> String;

    /// Finds peers until there are no more to be found, or it is over.
    ///
    /// # Errors
    /// If it can never find any. Other sources go on.
    fn run(self: Box<Self>, finder: Finder) -> Result<(), BoxError>;

    /// Whether it only waits for others to come: nobody's hope while there is no one
    /// else.
    fn is_passive(&self) -> bool {
        false
    }
}

/// What a source has to say.
pub enum SourceReport {
    /// It has found peers at these addresses, all of which may be dialled.
    Found(Vec<SocketAddr>),
    /// A peer has come by itself; the handshakes are done.
    Met(Box<Connection>),
    /// Something for the user to read.
    Said {
        /// The source's name.
        source: String,
        /// Its words.
        what: String,
        /// Whether it could not find peers.
        failed: bool,
    },
    /// The source with this number looks for peers again at this time. Until then it has nothing
    /// more to offer, and from then on it is looking.
    Again(usize, Instant),
    /// The source with this number has ended.
    Gone(usize),
}

/// What a source needs of whoever runs it, and whom it reports to.
#[derive(Clone)]
pub struct SourceHost {
    /// What all sources are told.
    pub signals: Arc<Signals>,
    /// Bytes received, sent and left, which trackers want to know.
    pub counters: Arc<Counters>,
    /// What we say of ourselves at this moment.
    pub handshake: Arc<dyn Fn() -> Handshake + Send + Sync>,
    /// The number of handshakes that may go on at the same time with peers that come by
    /// themselves.
    pub max_handshakes: usize,
    /// Takes a report; returns whether anybody still listens. Called on any thread.
    pub report: Arc<dyn Fn(SourceReport) -> bool + Send + Sync>,
}

/// A source's line to whoever runs it.
pub struct Finder {
    name: String,
    number: usize,
    host: SourceHost,
    heard: Heard,
}

impl Finder {
    pub(super) fn new(name: String, number: usize, host: SourceHost) -> Finder {
        Finder { name, number, host, heard: Heard::default() }
    }

    /// What hands over a peer that has come by itself.
    pub fn introducer(&self) -> Introducer {
        Introducer(self.host.clone())
    }

    /// Hands over addresses, but for those that are better not dialled: it depends on where they
    /// come from. `false` says that it is over.
    pub fn found(&self, by: NamedBy, addresses: Vec<SocketAddr>) -> bool {
        let (dialled, told) = part(addresses, by);
        told.into_iter().for_each(|told| self.say(told));
        (self.host.report)(SourceReport::Found(dialled))
    }

    /// Tells the user something.
    pub fn say(&self, what: String) {
        (self.host.report)(SourceReport::Said { source: self.name.clone(), what, failed: false });
    }

    /// Tells the user that something failed, for now.
    pub fn failed(&self, why: String) {
        (self.host.report)(SourceReport::Said { source: self.name.clone(), what: why, failed: true });
    }

    /// Says when it looks for peers again.
    pub fn again(&self, at: Instant) {
        (self.host.report)(SourceReport::Again(self.number, at));
    }

    /// Bytes uploaded, downloaded and left. While the length is unknown, 1 is left.
    pub fn counters(&self) -> (u64, u64, u64) {
        let counters = &self.host.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&counters.uploaded), read(&counters.downloaded), read(&counters.left))
    }

    /// Waits for this long, or until there is something to hear.
    pub fn wait(&mut self, time: Duration) -> Wake {
        self.host.signals.wait(time, &mut self.heard)
    }
}

/// Hands over connections, from any thread.
#[derive(Clone)]
pub struct Introducer(SourceHost);

impl Introducer {
    /// What we say of ourselves at this moment.
    pub fn handshake(&self) -> Handshake {
        (self.0.handshake)()
    }

    /// The number of handshakes that may go on at the same time.
    pub fn max_handshakes(&self) -> usize {
        self.0.max_handshakes
    }

    /// Hands over a connection whose handshakes are done. It waits for a place; if too many wait
    /// already, one of them is hung up on. `false` says that it is over.
    pub fn met(&self, connection: Connection) -> bool {
        (self.0.report)(SourceReport::Met(Box::new(connection)))
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
