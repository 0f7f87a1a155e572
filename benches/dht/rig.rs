//! The network on loopback: a socket for each node, one thread for all of them, and notes of what
//! each client asked.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s04_handshake::descriptors;
use piecemeal::s21_dht_lookup::krpc::{Body, Packet, Query, Response};
use piecemeal::s21_dht_lookup::node_id::NodeId;
use rustix::event::epoll;

use crate::nodes::{Dice, Kind, Network};

/// An answer takes so long at least. As long again, and a half, at most.
const DELAY: Duration = Duration::from_millis(10);
/// The longest sleep, so that the end is seen.
const TICK: Duration = Duration::from_millis(20);

/// What a client did.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    pub client: SocketAddr,
    pub what: What,
}

/// One thing that a client did, or got.
#[derive(Clone, Debug)]
pub enum What {
    /// It asked something other than these.
    Asked,
    /// It asked for the peers of a torrent.
    GetPeers(InfoHash),
    /// It was told of peers.
    Told(InfoHash),
    /// It announced itself to a node, by the token that this node gave to it.
    Announced(InfoHash, usize),
    /// It answered, or said what nobody understood.
    Other,
}

/// The network. Dropping it ends it.
pub struct Rig {
    pub network: Arc<Network>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    peers: Mutex<HashMap<InfoHash, Vec<usize>>>,
    end: AtomicBool,
}

impl Rig {
    /// Binds all addresses, and starts to answer.
    pub fn start(network: Network) -> io::Result<Rig> {
        let network = Arc::new(network);
        descriptors::allowed(network.contacts.len() + 2_000);
        let real = network.contacts.iter().map(|contact| contact.address);
        let sockets: io::Result<Vec<UdpSocket>> =
            real.chain(network.invented.iter().copied()).map(UdpSocket::bind).collect();
        let mut thread = Answering {
            network: Arc::clone(&network),
            shared: Arc::default(),
            sockets: sockets?,
            due: BinaryHeap::new(),
            dice: Dice::new(1),
            sent: 0,
        };
        let shared = Arc::clone(&thread.shared);
        let thread = std::thread::Builder::new().name("rig".into()).spawn(move || {
            if let Err(error) = thread.run() {
                eprintln!("the rig has ended: {error}");
            }
        })?;
        Ok(Rig { network, shared, thread: Some(thread) })
    }

    /// Lets the nodes nearest to a torrent know two peers of it.
    pub fn seed(&self, torrent: InfoHash) {
        let closest = self.network.closest(NodeId::from(torrent));
        lock(&self.shared.peers).insert(torrent, closest);
    }

    /// What has been seen of all clients, in order. What was taken is forgotten.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut lock(&self.shared.seen))
    }

    /// Waits until something is seen, and returns when it was.
    pub fn wait_for(&self, limit: Duration, is_it: impl Fn(&Seen) -> bool) -> Option<Instant> {
        let begin = Instant::now();
        loop {
            let found = lock(&self.shared.seen).iter().find(|seen| is_it(seen)).map(|seen| seen.at);
            if found.is_some() || begin.elapsed() > limit {
                return found;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What has been seen so far of one client.
    pub fn seen_of(&self, client: SocketAddr) -> Vec<Seen> {
        lock(&self.shared.seen).iter().filter(|seen| seen.client == client).cloned().collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An answer on its way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Instant,
    /// So that two at one instant keep their order.
    number: u64,
    from: usize,
    to: SocketAddr,
    bytes: Vec<u8>,
    tells_of: Option<InfoHash>,
}

struct Answering {
    network: Arc<Network>,
    shared: Arc<Shared>,
    sockets: Vec<UdpSocket>,
    due: BinaryHeap<Reverse<Due>>,
    dice: Dice,
    sent: u64,
}

impl Answering {
    fn run(&mut self) -> io::Result<()> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (place, socket) in (0..).zip(&self.sockets) {
            socket.set_nonblocking(true)?;
            epoll::add(&poll, socket, epoll::EventData::new_u64(place), epoll::EventFlags::IN)?;
        }
        let mut events = Vec::with_capacity(256);
        while !self.shared.end.load(Ordering::Relaxed) {
            let next = self.due.peek().map_or(TICK, |Reverse(due)| {
                due.at.saturating_duration_since(Instant::now()).min(TICK)
            });
            let wait = next.try_into().map_err(io::Error::other)?;
            epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&wait))?;
            for event in events.drain(..) {
                self.receive(event.data.u64() as usize);
            }
            self.send_due();
        }
        Ok(())
    }

    /// Takes all that has come to a node.
    fn receive(&mut self, node: usize) {
        let mut buffer = [0; 2048];
        while let Ok((length, client)) = self.sockets[node].recv_from(&mut buffer) {
            let packet = Packet::decode(&buffer[..length]).ok();
            let body = packet.as_ref().map(|packet| &packet.body);
            let token = self.token(node, client);
            let what = match body {
                Some(Body::Query(_, Query::GetPeers { info_hash, .. })) => {
                    What::GetPeers(*info_hash)
                }
                Some(Body::Query(_, Query::AnnouncePeer { info_hash, token: shown, .. }))
                    if *shown == token =>
                {
                    What::Announced(*info_hash, node)
                }
                Some(Body::Query(..)) => What::Asked,
                _ => What::Other,
            };
            self.note(client, what);
            let silent = self.network.kinds.get(node).is_none_or(|kind| *kind == Kind::Silent);
            if let (false, Some(packet)) = (silent, &packet) {
                self.answer(node, client, packet, token);
            }
        }
    }

    /// Answers a question, after a while.
    fn answer(&mut self, node: usize, client: SocketAddr, packet: &Packet, token: Vec<u8>) {
        let Body::Query(_, query) = &packet.body else { return };
        let mut response = Response::new(self.network.contacts[node].id);
        let mut tells_of = None;
        match query {
            Query::FindNode { target, .. } => {
                response.nodes = self.network.answer(node, *target, &mut self.dice);
            }
            Query::GetPeers { info_hash, .. } => {
                response.nodes =
                    self.network.answer(node, NodeId::from(*info_hash), &mut self.dice);
                response.token = Some(token);
                let peers = lock(&self.shared.peers);
                let is_honest = self.network.kinds[node] == Kind::Honest;
                if is_honest && peers.get(info_hash).is_some_and(|closest| closest.contains(&node))
                {
                    response.values = [1, 2].map(|port| ([127, 100, 0, 1], port).into()).to_vec();
                    tells_of = Some(*info_hash);
                }
            }
            Query::Ping | Query::AnnouncePeer { .. } => {}
            Query::SampleInfohashes { .. } | Query::Unknown { .. } => return,
        }
        let mut answer = Packet::new(packet.transaction.clone(), Body::Response(response));
        answer.seen_as = Some(client);
        let delay = DELAY + Duration::from_micros(self.dice.below(20_000) as u64);
        self.sent += 1;
        self.due.push(Reverse(Due {
            at: Instant::now() + delay,
            number: self.sent,
            from: node,
            to: client,
            bytes: answer.encode(),
            tells_of,
        }));
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        while self.due.peek().is_some_and(|Reverse(due)| due.at <= now) {
            let Some(Reverse(due)) = self.due.pop() else { break };
            // Noted before it is sent: the client may be done before we are.
            if let Some(torrent) = due.tells_of {
                self.note(due.to, What::Told(torrent));
            }
            let _ = self.sockets[due.from].send_to(&due.bytes, due.to);
        }
    }

    /// What a node wants to see of this client before it writes it down.
    fn token(&self, node: usize, client: SocketAddr) -> Vec<u8> {
        let address = client.to_string();
        let sum = address
            .bytes()
            .fold(node as u64, |sum, byte| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
        sum.to_be_bytes().to_vec()
    }

    fn note(&self, client: SocketAddr, what: What) {
        lock(&self.shared.seen).push(Seen { at: Instant::now(), client, what });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
