//! A source of peers: what it is, what it reports, and what it is given.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::hand::{Hand, Hands};
use super::signals::{Heard, Signals, Wake};
use crate::s02_metainfo::{InfoHash, Names};
use crate::s03_tracker::reach::{NamedBy, part};
use crate::s03_tracker::{AnnounceResponse, Event};
use crate::s04_handshake::Handshake;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::BoxError;
use crate::s12_session::host::{Counters, Torrent};

/// Finds peers, on a thread of its own. To the swarm, trackers, magnet links and `--peer` all look
/// like this. Later stages plug in more. One that has the content itself brings pieces instead
/// ([`SourceHandle::hand`]).
///
/// A source resolves host names itself. std has no timeout for that: it takes as long as the system
/// likes.
pub trait PeerSource: Send {
    /// Returns its name in messages.
    fn name(&self) -> String;

    /// Finds peers until there are no more to be found, or until it is told to stop.
    ///
    /// # Errors
    /// If it can never find any. Other sources go on.
    fn run(self: Box<Self>, handle: SourceHandle) -> Result<(), BoxError>;

    /// Returns whether it only waits for peers to connect, as a listener does. Such a source never
    /// ends, yet may bring nobody, so a download with no other source has no hope.
    fn is_passive(&self) -> bool {
        false
    }

    /// Returns whether it finds peers without the torrent's trackers, as a DHT does. A private
    /// torrent must not be looked for there (BEP 27): such a source is not started for one, and is
    /// told to stop if a magnet link turns out to be for one.
    fn is_open(&self) -> bool {
        false
    }
}

/// What a source reports.
pub enum SourceReport {
    /// It has found peers at these addresses, all of which may be dialed.
    Found {
        /// The source's number.
        source: usize,
        /// The addresses.
        addresses: Vec<SocketAddr>,
    },
    /// A peer has dialed us; the handshakes are done.
    Met(Box<Connection>),
    /// A tracker accepted an announce.
    Announced {
        /// The source's name.
        source: String,
        /// URL of the tracker of its tier that answered.
        tracker: String,
        /// The event that was announced.
        event: Option<Event>,
        /// Number of peers that the tracker names.
        peers: usize,
        /// The tracker's warning, and what was passed over in its answer. Often empty.
        notes: Vec<String>,
    },
    /// Something for the user to read.
    Said {
        /// The source's name.
        source: String,
        /// Its words.
        what: String,
        /// Whether it failed to find peers.
        failed: bool,
    },
    /// It looks for peers again when `pause` has passed after `since`. Until then it has nothing
    /// more to offer.
    Again {
        /// The source's number.
        source: usize,
        /// When it last began to look for peers.
        since: Instant,
        /// How long after that.
        pause: Duration,
    },
    /// The source with this number has ended.
    Gone(usize),
}

/// What a source needs from the program around it, and where its reports go.
#[derive(Clone)]
pub struct SourceHost {
    /// What all sources are told.
    pub signals: Arc<Signals>,
    /// Bytes received, sent and left, which trackers want to know.
    pub counters: Arc<Counters>,
    /// Makes our handshake, as it is at this moment. Only a source whose peers dial us needs it.
    pub handshake: Arc<dyn Fn() -> Handshake + Send + Sync>,
    /// The torrent's names. A peer that dials us may use any of them.
    pub names: Names,
    /// The limit on simultaneous handshakes with incoming peers.
    pub max_handshakes: usize,
    /// Takes a report, on any thread; returns whether anybody still wants reports.
    pub report: Arc<dyn Fn(SourceReport) -> bool + Send + Sync>,
    /// What a source needs to bring pieces itself. `None` if only addresses are wanted.
    pub hands: Option<Hands>,
}

/// What a running source is given: it reports through this handle, and waits on it.
pub struct SourceHandle {
    /// The source's name, which goes into its reports for the user.
    name: String,
    /// The source's number, which goes into its reports for the program: names may be the same.
    number: usize,
    host: SourceHost,
    /// What this source has heard of the signals.
    heard: Heard,
}

impl SourceHandle {
    /// Makes the handle of a source that has heard nothing yet: earlier signals are news to it.
    pub(super) fn new(source: &dyn PeerSource, number: usize, host: SourceHost) -> SourceHandle {
        let heard = Heard::nothing_yet(source.is_open());
        SourceHandle { name: source.name(), number, host, heard }
    }

    /// Returns a handle that reports addresses from any thread.
    pub fn named(&self) -> NamedPeers {
        NamedPeers { name: self.name.clone(), number: self.number, host: self.host.clone() }
    }

    /// Returns a handle that delivers incoming peers.
    pub fn incoming(&self) -> IncomingPeers {
        IncomingPeers(self.host.clone())
    }

    /// Reports those addresses that may be dialed, by where they come from. Returns whether anybody
    /// still wants them.
    pub fn found(&self, by: NamedBy, addresses: Vec<SocketAddr>) -> bool {
        self.named().found(by, addresses)
    }

    /// Reports that a tracker has taken an announce.
    pub fn announced(&self, tracker: &str, event: Option<Event>, answer: &AnnounceResponse) {
        let warning = answer.warning.iter().map(|text| format!("it warns: {text}"));
        (self.host.report)(SourceReport::Announced {
            source: self.name.clone(),
            tracker: tracker.to_owned(),
            event,
            peers: answer.peers.len() + answer.named.len(),
            notes: warning.chain(answer.passed_over.iter().cloned()).collect(),
        });
    }

    /// Tells the user something.
    pub fn say(&self, what: String) {
        self.named().say(what);
    }

    /// Tells the user that something failed, for now.
    pub fn failed(&self, why: String) {
        (self.host.report)(SourceReport::Said {
            source: self.name.clone(),
            what: why,
            failed: true,
        });
    }

    /// Reports when it looks for peers again: `pause` after `since`.
    pub fn again(&self, since: Instant, pause: Duration) {
        (self.host.report)(SourceReport::Again { source: self.number, since, pause });
    }

    /// Returns the bytes uploaded, downloaded and left. While the length is unknown, left is 1.
    pub fn counters(&self) -> (u64, u64, u64) {
        // Three reads, which may be a block apart. No tracker adds them up.
        let counters = &self.host.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&counters.uploaded), read(&counters.downloaded), read(&counters.left))
    }

    /// Waits until the torrent is known: from a magnet link, until a peer has sent the info
    /// dictionary. `None` if the swarm is over before that, or if there is no download.
    pub fn torrent(&self) -> Option<Arc<Torrent>> {
        let hands = self.host.hands.as_ref()?;
        self.host.signals.wait_for(|| hands.torrent.get().cloned())
    }

    /// Waits until the torrent is known, and returns a hand with which to bring pieces of it. The
    /// user reads its name. `None` if the swarm is over, or wants no pieces.
    pub fn hand(&self, name: impl Into<String>) -> Option<Hand> {
        let torrent = self.torrent()?;
        self.host.hands.as_ref()?.begin(name.into(), torrent)
    }

    /// Waits for this long, or until there is something to hear.
    pub fn wait(&mut self, time: Duration) -> Wake {
        self.host.signals.wait(time, &mut self.heard)
    }
}

/// Reports addresses, and what there is to say about them, from any thread.
#[derive(Clone)]
pub struct NamedPeers {
    name: String,
    number: usize,
    host: SourceHost,
}

impl NamedPeers {
    /// Reports those addresses that may be dialed, by where they come from. Returns whether anybody
    /// still wants them.
    pub fn found(&self, by: NamedBy, addresses: Vec<SocketAddr>) -> bool {
        // Checked here, on every source's path: none can forget it.
        let (dialed, refused) = part(addresses, by);
        refused.into_iter().for_each(|refused| self.say(refused));
        (self.host.report)(SourceReport::Found { source: self.number, addresses: dialed })
    }

    /// Tells the user something.
    pub fn say(&self, what: String) {
        (self.host.report)(SourceReport::Said { source: self.name.clone(), what, failed: false });
    }
}

/// Hands over connections, from any thread.
#[derive(Clone)]
pub struct IncomingPeers(SourceHost);

impl IncomingPeers {
    /// Makes our handshake, as it is at this moment.
    pub fn handshake(&self) -> Handshake {
        (self.0.handshake)()
    }

    /// Returns the names that a peer may use for the torrent.
    pub fn names(&self) -> &Names {
        &self.0.names
    }

    /// Returns the most handshakes that may go on at the same time.
    pub fn max_handshakes(&self) -> usize {
        self.0.max_handshakes
    }

    /// Hands over a connection whose handshakes are done. It waits for a place; if too many wait,
    /// we drop one, maybe this one. Returns whether anybody still wants it.
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

    fn run(self: Box<Self>, handle: SourceHandle) -> Result<(), BoxError> {
        // May wait for a name server, and nobody else waits with it.
        handle.found(NamedBy::User, self.0.to_socket_addrs()?.collect());
        Ok(())
    }
}

/// An address in a magnet link, `x.pe`, and the link's info hash. The user has pasted the link, but
/// somebody else may have made it, so not everything that it names is dialed.
pub struct Linked(pub String, pub InfoHash);

impl PeerSource for Linked {
    fn name(&self) -> String {
        self.0.clone()
    }

    fn run(self: Box<Self>, handle: SourceHandle) -> Result<(), BoxError> {
        handle.found(NamedBy::Link(self.1), self.0.to_socket_addrs()?.collect());
        Ok(())
    }
}
