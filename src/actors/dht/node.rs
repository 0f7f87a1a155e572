//! A node on a UDP socket: it answers as its plan says, asks what it is told to, and records all.

use super::super::jitter;
use super::super::recording::{Recording, Way};
use super::krpc::{self, Contact, Id, Query, Reply};
use super::plan::{Mind, NodePlan, Sends};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The longest wait in a read, so that the end is noticed. A datagram to itself ends it sooner.
const SLICE: Duration = Duration::from_millis(250);
/// The most queries that are kept, and the most replies.
const MAX_KEPT: usize = 2_000;
/// The most datagrams that wait for their time.
const MAX_LATE: usize = 1_000;
/// The most clients with a recording.
const MAX_CLIENTS: usize = 1_000;

/// A query that a node has got.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When it came.
    pub at: Instant,
    /// Where it came from.
    pub from: SocketAddr,
    /// What was asked.
    pub query: Query,
}

/// A running node. Dropping it ends it.
#[derive(Debug)]
pub struct FakeNode {
    contact: Contact,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread of a node shares with whoever holds the node.
#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    /// A socket of another port, for forged answers.
    other: UdpSocket,
    mind: Mutex<Mind>,
    heard: Mutex<Heard>,
    /// Told of each datagram.
    news: Condvar,
    /// The transaction of the next query.
    next: AtomicU16,
    stop: AtomicBool,
}

/// What came.
#[derive(Debug, Default)]
struct Heard {
    queries: Vec<Asked>,
    replies: Vec<(SocketAddr, Reply)>,
    /// The number of datagrams that are neither.
    garbage: usize,
    /// A recording for each address that a datagram came from.
    recordings: Vec<Recording>,
}

/// A node whose socket has a port, and that does not answer yet.
pub(super) struct Bound {
    plan: NodePlan,
    socket: UdpSocket,
    other: UdpSocket,
    pub(super) contact: Contact,
}

impl Bound {
    pub(super) fn new(plan: NodePlan) -> io::Result<Bound> {
        let socket = UdpSocket::bind((plan.address, 0))?;
        let other = UdpSocket::bind((plan.address, 0))?;
        let contact = Contact { id: plan.id, address: socket.local_addr()? };
        Ok(Bound { plan, socket, other, contact })
    }

    /// Starts the node, whose swarm has these nodes.
    pub(super) fn start(self, swarm: &[Contact]) -> io::Result<FakeNode> {
        let Bound { plan, socket, other, contact } = self;
        let known = plan.knows.iter().filter_map(|number| swarm.get(*number));
        let contacts = known.chain(&plan.believes).copied().collect();
        // Transactions of different nodes differ, so that one's answer is not taken for another's.
        let next = AtomicU16::new(u16::from_be_bytes([plan.id[19], plan.id[18]]));
        let shared = Arc::new(Shared {
            socket,
            other,
            mind: Mutex::new(Mind::new(plan, contacts)),
            heard: Mutex::default(),
            news: Condvar::new(),
            next,
            stop: AtomicBool::new(false),
        });
        let serving = shared.clone();
        let thread = Builder::new().name("actor".into()).spawn(move || serving.run())?;
        Ok(FakeNode { contact, shared, thread: Some(thread) })
    }
}

impl FakeNode {
    /// Starts a node that is in no swarm.
    ///
    /// # Errors
    /// If its address has no free port.
    pub fn start(plan: NodePlan) -> io::Result<FakeNode> {
        Bound::new(plan)?.start(&[])
    }

    /// Its id and where it listens.
    pub fn contact(&self) -> Contact {
        self.contact
    }

    /// Its id.
    pub fn id(&self) -> Id {
        self.contact.id
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.contact.address
    }

    /// The queries that came, in order.
    pub fn queries(&self) -> Vec<Asked> {
        jitter::lock(&self.shared.heard).queries.clone()
    }

    /// The queries of one method.
    pub fn queries_of(&self, method: &str) -> Vec<Asked> {
        self.queries().into_iter().filter(|asked| asked.query.method == method).collect()
    }

    /// The number of datagrams that were no query, response or error.
    pub fn garbage(&self) -> usize {
        jitter::lock(&self.shared.heard).garbage
    }

    /// The peers that it has for an info hash, those that were announced included.
    pub fn peers(&self, info_hash: &Id) -> Vec<SocketAddr> {
        jitter::lock(&self.shared.mind).peers(info_hash)
    }

    /// The recordings so far: one for each address that a datagram came from or went to.
    pub fn recordings(&self) -> Vec<Recording> {
        jitter::lock(&self.shared.heard).recordings.clone()
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// If the system does not take it.
    pub fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        self.shared.send(&self.shared.socket, to, bytes)
    }

    /// Asks a node, with these arguments beside the own id; returns what comes back within this
    /// time.
    pub fn ask(
        &self,
        to: SocketAddr,
        method: &str,
        arguments: &[(&str, Vec<u8>)],
        patience: Duration,
    ) -> Option<Reply> {
        let transaction = self.shared.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let id = [("id", super::super::bencode::bytes(self.contact.id))];
        let query = krpc::query(&transaction, method, &[&id, arguments].concat());
        self.ask_with(to, &query, &transaction, patience)
    }

    /// Sends a datagram; returns what comes back with this transaction within this time.
    pub fn ask_with(
        &self,
        to: SocketAddr,
        datagram: &[u8],
        transaction: &[u8],
        patience: Duration,
    ) -> Option<Reply> {
        let deadline = Instant::now() + patience;
        let before = jitter::lock(&self.shared.heard).replies.len();
        self.send(to, datagram).ok()?;
        let mut heard = jitter::lock(&self.shared.heard);
        loop {
            let mut new = heard.replies.iter().skip(before);
            if let Some((_, reply)) =
                new.find(|(from, reply)| *from == to && reply.transaction == transaction)
            {
                return Some(reply.clone());
            }
            heard = self.shared.wait(heard, deadline)?;
        }
    }

    /// Waits until a query comes for which this holds, or has come; says whether it has.
    pub fn is_asked(&self, holds: impl Fn(&Asked) -> bool, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut heard = jitter::lock(&self.shared.heard);
        loop {
            if heard.queries.iter().any(&holds) {
                return true;
            }
            match self.shared.wait(heard, deadline) {
                Some(again) => heard = again,
                None => return false,
            }
        }
    }

    /// Has it end soon, without waiting for it.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = self.shared.socket.send_to(&[], self.contact.address);
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.recordings().iter().for_each(Recording::end);
    }
}

/// A datagram that waits for its time.
struct Late {
    due: Instant,
    to: SocketAddr,
    sends: Sends,
}

impl Shared {
    fn run(&self) {
        let mut buffer = [0; 65_536];
        let mut late: Vec<Late> = Vec::new();
        while !self.stop.load(Ordering::SeqCst) {
            let now = Instant::now();
            for Late { to, sends, .. } in late.extract_if(.., |late| late.due <= now) {
                self.say(to, &sends);
            }
            let next = late.iter().map(|late| late.due.saturating_duration_since(now)).min();
            let wait = next.unwrap_or(SLICE).clamp(Duration::from_millis(1), SLICE);
            let _ = self.socket.set_read_timeout(Some(wait));
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { continue };
            if from == self.address() && length == 0 {
                continue;
            }
            for sends in self.hear(&buffer[..length], from) {
                let due = Instant::now() + sends.after;
                match sends.after.is_zero() {
                    true => self.say(from, &sends),
                    false if late.len() < MAX_LATE => late.push(Late { due, to: from, sends }),
                    false => {}
                }
            }
        }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0; 4], 0)))
    }

    /// Keeps a datagram; returns the answers.
    fn hear(&self, datagram: &[u8], from: SocketAddr) -> Vec<Sends> {
        let (query, reply) = (Query::read(datagram), Reply::read(datagram));
        let sends = query.as_ref().map(|query| jitter::lock(&self.mind).answers(query, from));
        let recording = self.recording(from);
        let mut heard = jitter::lock(&self.heard);
        if let Some(recording) = recording {
            recording.add_packet(Way::FromClient, datagram);
        }
        match (query, reply) {
            (Some(query), _) if heard.queries.len() < MAX_KEPT => {
                heard.queries.push(Asked { at: Instant::now(), from, query });
            }
            (None, Some(reply)) if heard.replies.len() < MAX_KEPT => {
                heard.replies.push((from, reply));
            }
            (None, None) => heard.garbage += 1,
            _ => {}
        }
        self.news.notify_all();
        sends.unwrap_or_default()
    }

    /// The recording of what is said to an address and comes from there.
    fn recording(&self, with: SocketAddr) -> Option<Recording> {
        let mut heard = jitter::lock(&self.heard);
        let known = heard.recordings.iter().find(|one| one.client() == Some(with)).cloned();
        known.or_else(|| {
            let new = Recording::new(format!("dht://{}", self.address()), Some(with));
            let has_room = heard.recordings.len() < MAX_CLIENTS;
            has_room.then(|| {
                heard.recordings.push(new.clone());
                new
            })
        })
    }

    /// Sends an answer. Whoever asked may be gone by now.
    fn say(&self, to: SocketAddr, sends: &Sends) {
        let socket = if sends.forged { &self.other } else { &self.socket };
        let _ = self.send(socket, to, &sends.bytes);
    }

    fn send(&self, socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        if let Some(recording) = self.recording(to) {
            recording.add_packet(Way::ToClient, bytes);
        }
        jitter::around(|| socket.send_to(bytes, to)).map(drop)
    }

    /// Waits for the next datagram; `None` once the time is over.
    fn wait<'a>(
        &self,
        heard: std::sync::MutexGuard<'a, Heard>,
        deadline: Instant,
    ) -> Option<std::sync::MutexGuard<'a, Heard>> {
        let left =
            deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        let waited = self.news.wait_timeout(heard, left);
        Some(waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}
