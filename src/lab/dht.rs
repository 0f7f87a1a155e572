//! The lab's DHT: nodes that know each other, each with a loopback address of its own.
//!
//! They are stage 22's nodes, so what they answer is what a client of today answers. Each seeder
//! is one of them, as a real one would be, and announces what it has: the first torrent before the
//! lab begins, the others in the next two seconds. So a bare info hash is enough to find it.
//!
//! ```text
//! 127.0.0.1:6881            the way in: the address to paste behind --dht-bootstrap
//! 127.0.0.2:6881, ..        the seeders, at the port of their listener, over UDP
//! 127.0.1.5:6881, ..        all others, 250 to a network: .5, behind three seeders
//! ```
//! Where the system has no such addresses or the port is taken, it chooses a port.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;
use sha1::{Digest, Sha1};

use super::notes::Notes;
use super::sockets;
use crate::s02_metainfo::InfoHash;
use crate::s04_handshake::descriptors;
use crate::s13_peer_sources::STACK;
use crate::s21_dht_lookup::K;
use crate::s21_dht_lookup::node_id::NodeId;
use crate::s22_dht_node::bootstrap::Hosts;
use crate::s22_dht_node::searches::{Announce, Found};
use crate::s22_dht_node::{Handle, Node, NodeError, Setup};

/// The most nodes. Each has a thread and a socket.
pub const MAX_NODES: usize = 1_000;

/// How many of the earlier nodes a new one is told of. They tell it of the others.
const TOLD_OF: usize = 4;
/// Up to this many nodes all know each other.
const FEW: usize = 16;
/// The longest time for the nodes to get to know each other, and for the seeders to announce. Then
/// the lab begins all the same.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// The pause between two checks whether they know each other.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// The time after which the seeders announce again. A node forgets a peer after 30 minutes.
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(15 * 60);

/// A seeder, as the DHT is to know it.
#[derive(Debug, Clone, Copy)]
pub struct Announced {
    /// Where it listens, over TCP.
    pub address: SocketAddr,
    /// Whether it has all of what it announces.
    pub is_seed: bool,
}

/// Where the nodes are, and who announces what.
#[derive(Debug, Clone)]
pub struct Layout {
    /// How many nodes. There are always enough for the way in and the seeders.
    pub nodes: usize,
    /// The port of each, if it is free.
    pub port: u16,
    /// The room: the nodes are at 127.room.x.y.
    pub room: u8,
    /// The seeders.
    pub seeders: Vec<Announced>,
    /// What they have.
    pub torrents: Vec<InfoHash>,
}

/// The nodes. Dropping this ends them.
pub struct LabDht {
    nodes: Vec<Node>,
    /// Ends the thread that announces again, when it is dropped.
    end: Option<Sender<()>>,
    announcing: Option<JoinHandle<()>>,
    /// Set once all torrents have been announced.
    announced: Arc<AtomicBool>,
}

impl LabDht {
    /// Starts the nodes, lets them get to know each other, and announces the seeders.
    ///
    /// # Errors
    /// If the system has no address or thread left, or, in a room, if a port is taken.
    pub fn start(layout: &Layout, notes: &Notes) -> io::Result<LabDht> {
        let count = layout.nodes.max(1 + layout.seeders.len()).min(MAX_NODES);
        // A socket for each, and one that wakes its thread.
        descriptors::allowed(2 * count + 1_000);
        let known: Arc<OnceLock<HashSet<SocketAddr>>> = Arc::default();
        // The seeders come last: whoever asks all others is asked by nobody in turn, and has more
        // questions of its second left, to announce what it has.
        let seeders = layout.seeders.len();
        let mut nodes: Vec<Node> = Vec::with_capacity(count);
        for number in [0].into_iter().chain(1 + seeders..count).chain(1..=seeders) {
            let started = nodes.len();
            let told_of = if count <= FEW { (0..started).collect() } else { earlier(started) };
            let named = told_of.iter().map(|earlier| nodes[*earlier].address().to_string());
            let hosts = Hosts { named: named.collect(), ..Hosts::default() };
            nodes.push(start_node(layout, number, &hosts, notes, &known)?);
        }
        // In the order of their numbers.
        nodes[1..].rotate_right(seeders);
        let begun = Instant::now();
        let handles: Vec<Handle> = nodes.iter().map(|node| node.handle().clone()).collect();
        if count <= FEW {
            introduce_all(&nodes, begun);
        } else {
            look_around(&handles, begun);
        }
        let announces = announces(layout, &handles);
        // A node asks fifty questions a second at most, so all torrents would take two seconds.
        let first: Vec<_> = announces.iter().filter_map(Announcer::first).collect();
        first.iter().for_each(|found| wait_until_done(found, begun));
        // From now on, whoever asks is a client.
        let _ = known.set(nodes.iter().map(Node::address).collect());
        let (end, ended) = channel::<()>();
        let again = thread::Builder::new().name("lab DHT".to_owned()).stack_size(STACK);
        let announced = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&announced);
        let announcing = again.spawn(move || announce_again(&announces, &done, &ended))?;
        Ok(LabDht { nodes, end: Some(end), announcing: Some(announcing), announced })
    }

    /// Waits until the seeders have announced all that they have, so that nothing moves anymore.
    pub fn wait_until_announced(&self) {
        let begun = Instant::now();
        while !self.announced.load(Ordering::Acquire) && begun.elapsed() < START_TIMEOUT {
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Returns the address to begin with.
    pub fn way_in(&self) -> SocketAddr {
        self.nodes[0].address()
    }

    /// Returns the addresses of all nodes, the way in first.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::address).collect()
    }
}

impl Drop for LabDht {
    fn drop(&mut self) {
        drop(self.end.take());
        // A search ends with its node, and so does whoever waits for it.
        self.nodes.clear();
        self.announcing.take().map(JoinHandle::join);
    }
}

/// Returns the earlier nodes that a new one of many is told of: the way in, and some spread over
/// all of them.
fn earlier(number: usize) -> Vec<usize> {
    let spread = (1..TOLD_OF).map(|part| number * part / TOLD_OF);
    let mut told: Vec<usize> = spread.chain([0]).filter(|earlier| *earlier < number).collect();
    told.sort_unstable();
    told.dedup();
    told
}

/// Returns the id of a node, the same on every machine, so that a lookup can be told in a book.
fn id(number: usize) -> NodeId {
    NodeId(Sha1::digest(format!("lab node {number}")).0)
}

/// Returns where a node should be.
fn place(layout: &Layout, number: usize) -> SocketAddr {
    if let Some(seeder) = number.checked_sub(1).and_then(|seeder| layout.seeders.get(seeder)) {
        return seeder.address;
    }
    let ip = match number {
        0 => Ipv4Addr::new(127, layout.room, 0, 1),
        _ => Ipv4Addr::new(127, layout.room, 1 + (number / 250) as u8, 1 + (number % 250) as u8),
    };
    (ip, layout.port).into()
}

fn start_node(
    layout: &Layout,
    number: usize,
    hosts: &Hosts,
    notes: &Notes,
    known: &Arc<OnceLock<HashSet<SocketAddr>>>,
) -> io::Result<Node> {
    let place = place(layout, number);
    let start = |bind| {
        let (notes, known) = (notes.clone(), Arc::clone(known));
        // Where it is in the end: the system may choose the port.
        let at: Arc<OnceLock<SocketAddr>> = Arc::default();
        let of = Arc::clone(&at);
        let tell = move |what: &str| tell(*of.get().unwrap_or(&bind), what, &notes, &known);
        let started = Node::start(Setup {
            id: Some(id(number)),
            hosts: hosts.clone(),
            tell: Some(Box::new(tell)),
            ..Setup::at(bind)
        });
        let node = started.map_err(|NodeError { error, .. }| error)?;
        let _ = at.set(node.address());
        Ok(node)
    };
    let started = start(place);
    if layout.room != 0 {
        return started.map_err(|error| sockets::not_there(place, &error));
    }
    started
        .or_else(|_| start((place.ip(), 0).into()))
        .or_else(|_| start((Ipv4Addr::LOCALHOST, 0).into()))
}

/// Notes what a client asks a node, but not what the lab's nodes ask each other.
fn tell(node: SocketAddr, what: &str, notes: &Notes, known: &OnceLock<HashSet<SocketAddr>>) {
    let Some((from, question)) = what.split_once(" asks ") else { return };
    let from = from.parse::<SocketAddr>().ok();
    let is_client = from.zip(known.get()).is_some_and(|(from, known)| !known.contains(&from));
    // A lookup asks twenty nodes. That a client has announced itself is worth a line.
    let is_news = question == "announce_peer" || notes.closely();
    if let Some(from) = from.filter(|_| is_client && is_news) {
        let more = json!({ "client": from.to_string(), "question": question });
        notes.add(format!("{node}, DHT"), "dht", what.to_owned(), more);
    }
}

/// Lets few nodes get to know all others, so that a lookup asks the same nodes each time.
fn introduce_all(nodes: &[Node], begun: Instant) {
    for node in nodes {
        loop {
            let known = node.handle().status().map(|it| it.good).unwrap_or_default();
            let is_known = |other: &&Node| known.iter().any(|it| it.address == other.address());
            let others = nodes.iter().filter(|other| other.address() != node.address());
            let Some(stranger) = others.clone().find(|other| !is_known(other)) else { break };
            if begun.elapsed() > START_TIMEOUT / 2 {
                return;
            }
            // A node asks all that have asked it, but only ten in a second. Whoever looks for
            // somebody also meets them.
            if known.len() + 1 == others.count() {
                wait_until_done(&node.handle().search(InfoHash(stranger.id().0), None), begun);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Waits until each of many nodes knows some others. Then each looks around once more: those that
/// were first have met only few.
fn look_around(handles: &[Handle], begun: Instant) {
    let knows = |handle: &Handle| handle.status().is_some_and(|it| it.good.len() >= K);
    for handle in handles {
        while !knows(handle) && begun.elapsed() < START_TIMEOUT / 2 {
            thread::sleep(LOOK_AGAIN);
        }
    }
    let look = |handle: &Handle| Some(handle.search(InfoHash(handle.status()?.id.0), None));
    let looking: Vec<_> = handles.iter().filter_map(look).collect();
    looking.iter().for_each(|found| wait_until_done(found, begun));
}

/// Waits until a search is over.
fn wait_until_done(found: &Receiver<Found>, begun: Instant) {
    let left = || START_TIMEOUT.saturating_sub(begun.elapsed());
    while let Ok(Found::Peers { .. }) = found.recv_timeout(left()) {}
}

/// What one seeder's node announces.
struct Announcer {
    handle: Handle,
    announce: Announce,
    torrents: Vec<InfoHash>,
}

impl Announcer {
    /// Begins to announce the first torrent, the one that most chapters use.
    fn first(&self) -> Option<Receiver<Found>> {
        Some(self.announce(*self.torrents.first()?))
    }

    fn announce(&self, torrent: InfoHash) -> Receiver<Found> {
        self.handle.search(torrent, Some(self.announce))
    }
}

/// Each seeder's node announces it: a peer's address is that of the datagram.
fn announces(layout: &Layout, handles: &[Handle]) -> Vec<Announcer> {
    let nodes = handles.iter().skip(1);
    let announcer = |(handle, seeder): (&Handle, &Announced)| Announcer {
        handle: handle.clone(),
        announce: Announce { port: seeder.address.port(), is_seed: seeder.is_seed },
        torrents: layout.torrents.clone(),
    };
    nodes.zip(&layout.seeders).map(announcer).collect()
}

/// Announces the other torrents, and everything now and then, until the sender is gone.
fn announce_again(announces: &[Announcer], done: &AtomicBool, ended: &Receiver<()>) {
    let mut skipped = 1; // the first, by whoever has started the nodes
    loop {
        let begun = Instant::now();
        let torrents = |announcer: &Announcer| {
            let torrents = announcer.torrents.iter().skip(skipped);
            torrents.map(|torrent| announcer.announce(*torrent)).collect::<Vec<_>>()
        };
        let announcing: Vec<_> = announces.iter().flat_map(torrents).collect();
        announcing.iter().for_each(|found| wait_until_done(found, begun));
        done.store(true, Ordering::Release);
        skipped = 0;
        if ended.recv_timeout(ANNOUNCE_AGAIN) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}
