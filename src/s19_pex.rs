//! Stage 19: peers tell each other about their peers.
//!
//! A tracker knows everybody, so everybody depends on it. Peer exchange needs nobody in the middle.
//! Each peer names its other peers to every peer that it is connected to, and from then on, once a
//! minute, says what has changed. So one address is enough to find a swarm, even if its tracker is
//! gone.
//!
//! * **Run it:** `piecemeal pex_peers lab/sample.torrent 127.0.0.2:6881`
//! * **Spec:** BEP 11, 27; **chapter:** `docs/19-pex.md`
//! * **Builds on:** [`Extension`] and [`Offer`] from stage 7, [`PeerSource`] from stage 13,
//!   [`Watch`] from stage 15
//!
//! # Who tells whom
//! ```text
//!   a session's thread                            another session's thread
//!     UtPex  <-- message: "I have met .7, .8"       UtPex  --> message: "I have met .2"
//!       |                                             ^
//!       +--> Gossip --> NamedPeers --> the swarm --> Watch
//!            one for all sessions        dials .7     who is connected now
//! ```
//! # What one peer is told
//! | second | connected to us | it has been told of | the message |
//! |---|---|---|---|
//! | 0 | A, B | | A and B are added |
//! | 20 | A, B, C | A, B | none: there is one a minute |
//! | 60 | B, C, D | A, B | C and D are added, A is dropped |
//! | 120 | B, C, D | B, C, D | none: nothing has changed, so we look again soon |
//! | 130 | B, C | B, C, D | D is dropped |
//!
//! # Decisions
//! * **Only what we have seen ourselves is passed on.** A peer is named to others once its
//!   handshake with us is done, not because somebody named it. So an invented address goes no
//!   farther than one step.
//! * **Each peer has a set of the addresses that it was told of.** The next message is the
//!   difference between that set and the peers that are connected now.
//! * **The port is the one at which a peer listens,** from its extension handshake (`p`). The one
//!   that it has dialed us from leads nowhere.
//! * **A peer far away is not told who is near us.** It could not reach 192.168.1.7, and it need
//!   not know of it.
//! * **One peer cannot fill the address book:** 200 addresses of a list, a message in 30 s, 100
//!   addresses from one IP, however often it connects. When it says that others are gone, we dial
//!   them all the same.
//! * **Left out:** hole punching (BEP 55), which is what flag 3 announces.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod message;
pub mod one_peer;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::message::{PexFlags, PexMessage};
use crate::s01_bencode::counted;
use crate::s03_tracker::PeerId;
use crate::s03_tracker::reach::{NamedBy, Reach};
use crate::s04_handshake::origin::Origin;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::BoxError;
use crate::s07_extension::extension::{Extension, Offer, Reply};
use crate::s13_peer_sources::signals::Wake;
use crate::s13_peer_sources::source::{NamedPeers, PeerSource, SourceHandle};
use crate::s15_swarm::Plan;
use crate::s15_swarm::view::Watch;

/// The extension's name in `m`.
pub const NAME: &str = "ut_pex";
/// The shortest time between two messages to one peer.
pub const INTERVAL: Duration = Duration::from_secs(60);
/// The time after which we look again, as long as a peer has been told of nobody. An idle session
/// sleeps for two seconds, so it looks each time that it wakes up.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// The time after which we look again, once a peer has been told of somebody. A look is a pass over
/// all peers, and with a thousand peers there are a thousand looks.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How long the source waits at a time. It does nothing in between.
const LONG: Duration = Duration::from_secs(3600);
/// The shortest time after which another message of the same peer is read. Real clients wait for a
/// minute or more; half of that leaves room for a clock that is wrong.
pub const MIN_INTERVAL: Duration = Duration::from_secs(30);
/// The most peers that are added, and the most that are dropped, in a message of ours. The others
/// follow a minute later.
pub const MAX_TOLD: usize = 50;
/// The most addresses that are taken from one IP. The address book has room for twenty times as
/// many.
pub const MAX_NAMED: usize = 100;
/// The most IPs from which addresses are taken. A thousand have named enough.
const MAX_ORIGINS: usize = 1_000;

/// A peer that we are connected to, as others are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbor {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its peer id.
    pub peer_id: PeerId,
    /// What else is said of it.
    pub flags: PexFlags,
}

/// What all sessions of a torrent share: who is connected, and where to take what peers name.
pub struct Gossip {
    /// Returns the peers that we are connected to, and at which others can reach them.
    neighbors: Box<dyn Fn() -> Vec<Neighbor> + Send + Sync>,
    /// Whether the torrent is known to be private. Then nobody is told of anybody (BEP 27).
    is_private: Box<dyn Fn() -> bool + Send + Sync>,
    /// Takes the addresses that peers name.
    intake: Mutex<Intake>,
}

/// Where named addresses go, and how many each IP has named.
#[derive(Default)]
struct Intake {
    sink: Sink,
    named: HashMap<Origin, usize>,
}

/// Where the addresses go that peers name.
#[derive(Default)]
enum Sink {
    /// Nowhere: nobody wants addresses, or the download is over.
    #[default]
    Closed,
    /// The source's thread does not run yet. A peer may be faster, and it names each address once,
    /// so what it says is kept.
    Kept(Vec<(SocketAddr, Vec<SocketAddr>)>),
    /// The source runs, and passes them on to the address book.
    Open(Box<NamedPeers>),
}

impl Gossip {
    /// Makes it from a function that returns the peers that we are connected to. What peers name is
    /// dropped until there is a [`PexSource`] that wants it.
    pub fn new(neighbors: impl Fn() -> Vec<Neighbor> + Send + Sync + 'static) -> Arc<Gossip> {
        let (neighbors, is_private) = (Box::new(neighbors), Box::new(|| false));
        Arc::new(Gossip { neighbors, is_private, intake: Mutex::default() })
    }

    /// Makes it for a download, whose peers the watch shows.
    fn of(watch: &Arc<Watch>) -> Arc<Gossip> {
        let (sees, knows) = (Arc::clone(watch), Arc::clone(watch));
        let neighbors = Box::new(move || connected(&sees));
        let is_private = Box::new(move || knows.is_private());
        Arc::new(Gossip { neighbors, is_private, intake: Mutex::default() })
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on addresses that a peer has named, as many as its IP may still name.
    fn heard(&self, peer: SocketAddr, mut addresses: Vec<SocketAddr>) {
        let mut intake = self.intake();
        addresses.truncate(intake.admit(Origin::of(peer.ip()), addresses.len()));
        match &mut intake.sink {
            Sink::Closed => {}
            Sink::Kept(kept) => kept.push((peer, addresses)),
            Sink::Open(named) => {
                let named = named.clone();
                // The report leads into the swarm, which has locks of its own.
                drop(intake);
                report(&named, peer, addresses);
            }
        }
    }
}

impl Intake {
    /// Returns how many of `count` addresses are taken from an IP, and counts them as named.
    fn admit(&mut self, origin: Origin, count: usize) -> usize {
        if self.named.len() >= MAX_ORIGINS && !self.named.contains_key(&origin) {
            return 0;
        }
        let before = self.named.entry(origin).or_default();
        let taken = count.min(MAX_NAMED - *before);
        *before += taken;
        taken
    }
}

/// Reports the addresses that a peer has named. How far away the peer is decides which of them may
/// be dialed.
fn report(named: &NamedPeers, peer: SocketAddr, addresses: Vec<SocketAddr>) {
    if !addresses.is_empty() {
        named.say(format!("{peer} names {}", counted(addresses.len(), "peer")));
        named.found(NamedBy::Peer(Reach::of(peer.ip())), addresses);
    }
}

/// Adds peer exchange to a download: an extension that is offered to each peer, and a source of
/// peers, as a tracker is one.
pub fn plug(plan: &mut Plan) {
    let gossip = Gossip::of(&plan.watch);
    plan.extensions.push(Arc::new(PexOffer(Arc::clone(&gossip))));
    plan.sources.push(Box::new(PexSource::new(gossip)));
}

/// Returns the peers of a running download that can be told to others.
///
/// | the peer | is named |
/// |---|---|
/// | we have dialed it | by that address, as one that can be reached |
/// | it has dialed us, and has said where it listens | by that port |
/// | it has dialed us, and has not | not at all |
fn connected(watch: &Watch) -> Vec<Neighbor> {
    let peers = watch.peers().into_iter().filter(|peer| peer.listens);
    peers
        .map(|peer| Neighbor {
            address: peer.address,
            peer_id: peer.peer_id,
            flags: PexFlags::default()
                .with(PexFlags::SEED, peer.is_seed)
                .with(PexFlags::REACHABLE, peer.dialed),
        })
        .collect()
}

/// Offers peer exchange to each peer.
pub struct PexOffer(pub Arc<Gossip>);

impl Offer for PexOffer {
    fn open(&self, peer: &Connection) -> Option<Box<dyn Extension>> {
        let gossip = Arc::clone(&self.0);
        // From a magnet link, we may learn only after this that the torrent is private.
        (!(gossip.is_private)()).then(|| {
            Box::new(UtPex::new(gossip, peer.peer, peer.theirs.peer_id)) as Box<dyn Extension>
        })
    }
}

/// The source for what peers name. Its thread only waits: the session that hears an address reports
/// it, on its own thread.
pub struct PexSource(Arc<Gossip>);

impl PexSource {
    /// Makes the source. From here on, what peers name is kept for it.
    pub fn new(gossip: Arc<Gossip>) -> PexSource {
        gossip.intake().sink = Sink::Kept(Vec::new());
        PexSource(gossip)
    }
}

impl PeerSource for PexSource {
    fn name(&self) -> String {
        "peer exchange".to_owned()
    }

    fn run(self: Box<Self>, mut handle: SourceHandle) -> Result<(), BoxError> {
        let named = handle.named();
        let sink = mem::replace(&mut self.0.intake().sink, Sink::Open(Box::new(named.clone())));
        if let Sink::Kept(kept) = sink {
            kept.into_iter().for_each(|(peer, addresses)| report(&named, peer, addresses));
        }
        while handle.wait(LONG) != Wake::Stop {}
        Ok(())
    }

    /// Without a first peer, nobody names another one.
    fn is_passive(&self) -> bool {
        true
    }

    fn is_open(&self) -> bool {
        true
    }
}

impl Drop for PexSource {
    /// The sink holds the swarm, and the swarm holds us, among its offers: a cycle of `Arc`s that
    /// would never be freed.
    fn drop(&mut self) {
        *self.0.intake() = Intake::default();
    }
}

/// Peer exchange with one peer.
pub struct UtPex {
    gossip: Arc<Gossip>,
    /// The other end of the connection.
    peer: SocketAddr,
    peer_id: PeerId,
    /// The peers that it has been told of, and that are still connected as far as it knows.
    told: BTreeSet<SocketAddr>,
    /// When we next check whether there is something to tell; `None`: at the first tick.
    next: Option<Instant>,
    /// When the last message that was read came.
    heard: Option<Instant>,
}

impl UtPex {
    /// Begins with a peer that has been told nothing.
    pub fn new(gossip: Arc<Gossip>, peer: SocketAddr, peer_id: PeerId) -> UtPex {
        UtPex { gossip, peer, peer_id, told: BTreeSet::new(), next: None, heard: None }
    }

    /// Returns what has changed since the last message, or `None` if nothing has. After this, the
    /// peer counts as told.
    fn news(&mut self) -> Option<PexMessage> {
        // A peer is not told of itself, nor of peers that it could not reach.
        let away = Reach::of(self.peer.ip());
        let connected: BTreeMap<SocketAddr, PexFlags> = (self.gossip.neighbors)()
            .into_iter()
            .filter(|other| other.peer_id != self.peer_id && other.address != self.peer)
            .filter(|other| Reach::of(other.address.ip()) >= away)
            .map(|other| (other.address, other.flags))
            .collect();
        // The difference of two sets, instead of a list of events: a peer that has come and gone
        // since the last message is in neither.
        let new = connected.iter().filter(|(address, _)| !self.told.contains(address));
        let added: Vec<_> = new.take(MAX_TOLD).map(|(address, flags)| (*address, *flags)).collect();
        let gone = self.told.iter().filter(|address| !connected.contains_key(address));
        let dropped: Vec<_> = gone.take(MAX_TOLD).copied().collect();
        // Only those that the message has room for: the next message names the others.
        self.told.extend(added.iter().map(|(address, _)| *address));
        for address in &dropped {
            self.told.remove(address);
        }
        let is_news = !(added.is_empty() && dropped.is_empty());
        is_news.then_some(PexMessage { added, dropped, passed_over: Vec::new() })
    }

    /// Reads a message that came at this time. Returns the addresses that it names.
    pub fn read(&mut self, payload: &[u8], now: Instant, reply: &mut Reply) -> Vec<SocketAddr> {
        if self.heard.is_some_and(|heard| now < heard + MIN_INTERVAL) {
            let note = "a ut_pex message came less than 30 s after the one before it";
            reply.passed_over.push(note.to_owned());
            return Vec::new();
        }
        // A broken message counts as one: it took as much time to read.
        self.heard = Some(now);
        let message = match PexMessage::decode(payload) {
            Ok(message) => message,
            Err(error) => {
                reply.passed_over.push(format!("a ut_pex message is not bencode: {error}"));
                return Vec::new();
            }
        };
        reply.passed_over.extend(message.passed_over);
        message.added.into_iter().map(|(address, _)| address).collect()
    }
}

impl Extension for UtPex {
    fn name(&self) -> &'static str {
        NAME
    }

    fn message(&mut self, payload: &[u8], reply: &mut Reply) -> Result<(), BoxError> {
        if !(self.gossip.is_private)() {
            let addresses = self.read(payload, Instant::now(), reply);
            self.gossip.heard(self.peer, addresses);
        }
        Ok(())
    }

    fn tick(&mut self, now: Instant, reply: &mut Reply) {
        if (self.gossip.is_private)() || self.next.is_some_and(|next| now < next) {
            return;
        }
        let news = self.news();
        let pause = match news {
            Some(_) => INTERVAL,
            None if self.told.is_empty() => LOOK_SOON,
            None => LOOK_AGAIN,
        };
        self.next = Some(now + pause);
        reply.send.extend(news.map(|news| news.encode()));
    }
}
