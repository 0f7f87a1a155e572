//! The DHT as a source of peers for a download.
//!
//! | when | what |
//! |---|---|
//! | at the start | a lookup of each of the torrent's names, then an announce |
//! | the download has no peers | again, but not within a minute |
//! | the last piece has arrived | likewise: we are a seed now, and were not written down as one |
//! | nobody has answered | again after 15 s, 30 s, ... |
//! | 15 minutes later | again: nodes forget us after 30 |
//!
//! A private torrent is never looked for (BEP 27). The swarm sees to that, since the source says
//! that it `is_open`.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Node;
use super::searches::{Announce, Found};
use crate::s01_bencode::counted;
use crate::s02_metainfo::Names;
use crate::s03_tracker::reach::{NamedBy, Reach};
use crate::s07_extension::BoxError;
use crate::s13_peer_sources::signals::Wake;
use crate::s13_peer_sources::source::{PeerSource, SourceHandle};

/// The time between two announces. Nodes forget us after 30 minutes, so one may get lost.
const INTERVAL: Duration = Duration::from_secs(15 * 60);
/// The shortest time between two lookups. A swarm that had nobody a moment ago has nobody now, and
/// the same eight nodes would be asked.
const MIN_INTERVAL: Duration = Duration::from_secs(60);
/// The pause after a lookup that nobody answered. It doubles each time.
const RETRY: Duration = Duration::from_secs(15);
/// Longest wait for a result. A stop is noticed at most this late.
const TICK: Duration = Duration::from_millis(100);

/// Finds peers of one torrent with a node, and announces ourselves.
pub struct DhtSource {
    /// Its own: it ends with the source.
    node: Node,
    /// The torrent's names. Each has a page of its own in the phone book.
    names: Names,
    /// Where we listen for peers. With 0, we do not, and nothing is announced.
    port: u16,
    /// The pause after the next lookup that nobody answers.
    retry: Duration,
}

/// How a round of lookups has ended. That it found nobody is no error: the swarm may be empty, or
/// the torrent new.
enum Round {
    /// The lookups have ended.
    Over {
        /// How many nodes have answered.
        answered: usize,
        /// Whether something in this round has made the next one urgent: see
        /// [`DhtSource::is_urgent`].
        urgent: bool,
    },
    /// The source is to end.
    Stop,
}

impl DhtSource {
    /// Makes the source for a torrent whose peers are at `port`.
    pub fn new(node: Node, names: impl Into<Names>, port: u16) -> DhtSource {
        DhtSource { node, names: names.into(), port, retry: RETRY }
    }

    /// Looks up each of the torrent's names, and announces us after each lookup. All begin at once,
    /// and are heard one after the other: what comes meanwhile waits in its channel.
    fn round(&self, handle: &mut SourceHandle) -> Round {
        // Said again each time: a download becomes a seed. From a magnet link, left is 1 at first.
        let (_, _, left) = handle.counters();
        let announce = Announce { port: self.port, is_seed: left == 0 };
        let announce = (self.port != 0).then_some(announce);
        let (mut answered, mut named, mut urgent) = (0, 0, false);
        let searches: Vec<Receiver<Found>> =
            self.names.all().map(|name| self.node.handle().search(name, announce)).collect();
        for results in searches {
            loop {
                match results.recv_timeout(TICK) {
                    Ok(Found::Peers { by, peers }) => {
                        named += peers.len();
                        report(handle, by, peers);
                    }
                    Ok(Found::Done { counts, announced, .. }) => {
                        answered += counts.answered;
                        tell(handle, counts.answered, announced);
                        break;
                    }
                    Err(RecvTimeoutError::Timeout) => match handle.wait(Duration::ZERO) {
                        Wake::Stop => return Round::Stop,
                        // Each signal comes once, so it is kept for the next round. All peers that
                        // were named may have failed already, while an announce waits for a silent
                        // node. And the announces say what we were when the round began.
                        wake => urgent |= self.is_urgent(wake),
                    },
                    // The node has ended, or had no room for the search. It is tried again later.
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        }
        if named == 0 {
            // An empty report: only with one does the swarm notice that it has nobody to wait for.
            handle.found(NamedBy::Peer(Reach::Internet), Vec::new());
        }
        Round::Over { answered, urgent }
    }

    /// Whether this brings the next round forward. If we do not listen, nobody has written us down
    /// as anything.
    fn is_urgent(&self, wake: Wake) -> bool {
        match wake {
            Wake::Hungry => true,
            Wake::Completed => self.port != 0,
            Wake::Due | Wake::Stop => false,
        }
    }
}

/// Reports the peers that a node has named. How far away it is decides which may be dialed: anybody
/// can announce anything to it, and it cannot know who is near us.
fn report(handle: &SourceHandle, by: SocketAddr, peers: Vec<SocketAddr>) {
    handle.say(format!("the node {by} names {}", counted(peers.len(), "peer")));
    handle.found(NamedBy::Peer(Reach::of(by.ip())), peers);
}

/// Tells how a lookup has ended.
fn tell(handle: &SourceHandle, answered: usize, announced: usize) {
    let announced = counted(announced, "node");
    let nodes = counted(answered, "node");
    handle.say(format!("the lookup is over: {nodes} answered, and {announced} wrote us down"));
}

impl PeerSource for DhtSource {
    fn name(&self) -> String {
        let family = if self.node.address().is_ipv4() { "IPv4" } else { "IPv6" };
        format!("the DHT ({family})")
    }

    /// The DHT is not one of the torrent's trackers.
    fn is_open(&self) -> bool {
        true
    }

    /// Looks for peers now, and again when that is due, until it is told to stop. The node ends
    /// with it, and saves its table.
    ///
    /// # Errors
    /// Never: a network that is down may come back.
    fn run(mut self: Box<Self>, mut handle: SourceHandle) -> Result<(), BoxError> {
        loop {
            let began = Instant::now();
            let Round::Over { answered, mut urgent } = self.round(&mut handle) else {
                return Ok(());
            };
            let mut pause = if answered == 0 { self.retry } else { INTERVAL };
            self.retry = if answered == 0 { (2 * self.retry).min(INTERVAL) } else { RETRY };
            // The first urgent thing brings the next round forward. After that it is as early as it
            // may be.
            if urgent {
                pause = pause.min(MIN_INTERVAL);
            }
            handle.again(began, pause);
            let mut due = began + pause;
            loop {
                let now = Instant::now();
                if now >= due {
                    break;
                }
                match handle.wait(due.saturating_duration_since(now)) {
                    Wake::Stop => return Ok(()),
                    wake if self.is_urgent(wake) && !urgent => {
                        urgent = true;
                        due = due.min((began + MIN_INTERVAL).max(Instant::now()));
                        handle.again(began, due.saturating_duration_since(began));
                    }
                    _ => {}
                }
            }
        }
    }
}
