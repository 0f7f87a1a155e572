//! Stage 22: be a node of the DHT: answer, store, announce.
//!
//! A phone book that nobody owns works only if those who look something up also keep a page. So a
//! client that uses the DHT is a node of it: it answers, remembers who has which torrent, and knows
//! other nodes. In return it can find the peers of any torrent, and be found itself.
//!
//! * **Run it:** `piecemeal dht_node --listen 127.0.0.1 --port 0`
//! * **Spec:** BEP 5; BEP 32, 33, 42, 43, 51; **chapter:** `docs/22-dht-node.md`
//! * **Builds on:** [`Lookup`](crate::s21_dht_lookup::Lookup) and
//!   [`krpc`](crate::s21_dht_lookup::krpc) from stage 21,
//!   [`Reach`](crate::s03_tracker::reach::Reach) from stage 3,
//!   [`PeerSource`](crate::s13_peer_sources::source::PeerSource) from stage 13,
//!   [`Offer`](crate::s07_extension::extension::Offer) from stage 7
//!
//! # Who does what
//! ```text
//!   source.rs    "peers of cda4..?"                         other nodes
//!   port.rs      "is 192.0.2.7:6881 a node?"                     |
//!      |                                                         | datagrams
//!      +--> Handle --orders--> node_thread.rs <--> the socket <--+
//!                                |     one thread, and no lock
//!                                +-- table.rs    whom we know
//!                                +-- answers.rs  what we answer, with tokens.rs and store.rs
//!                                +-- rates.rs    how often
//!                                +-- searches.rs what we look up
//! ```
//! # Decisions
//! * **One thread owns the socket and everything that it knows.** Others send it orders through a
//!   channel, and results come back through another. So there is no lock, and no deadlock.
//! * **A node for each family of addresses.** IPv4 and IPv6 are two networks (BEP 32), and neither
//!   knows the nodes of the other.
//! * **Nobody is believed before it answers.** A node is named to others, and a peer is written
//!   down, only after we have sent something to its address and it came back.
//! * **Everything has a limit:** what we answer in a second, what we keep, what one IP may have of
//!   it.
//! * **A saved table is the way in.** The hosts that we bring along are asked only by a node that
//!   knows nobody who answers.
//! * **Left out:** data other than peers (BEP 44), nodes of the other family in an answer, and a
//!   way to notice that nobody can reach us (then `ro` would be polite).
//!
//! # In three sittings
//! 1. This file, `node_thread`, `asked` and `searches`: a node at work.
//! 2. `answers`, `table`, `tokens`, `rates`: what it knows and answers. All of it is pure.
//! 3. `source` and `port` let a download use it, and `bootstrap` gets it in. `store`, `filter`,
//!    `table_file` and `own_address` can be skipped at first reading.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod answers;
pub mod asked;
pub mod bootstrap;
pub mod filter;
mod node_thread;
pub mod own_address;
pub mod port;
pub mod rates;
pub mod searches;
pub mod source;
pub mod store;
pub mod table;
pub mod table_file;
pub mod tokens;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use self::answers::NodeCounts;
use self::bootstrap::{Bootstrap, Hosts};
use self::node_thread::NodeThread;
use self::searches::{Announce, Found, Wanted};
use self::table_file::TableFile;
use crate::s02_metainfo::InfoHash;
use crate::s13_peer_sources::STACK;
use crate::s21_dht_lookup::ask::Datagrams;
use crate::s21_dht_lookup::krpc::Contact;
use crate::s21_dht_lookup::node_id::NodeId;

/// How long we wait for the node's thread to report its state. It answers at once, or is gone.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Is told what happens, on the node's own thread. It must not wait.
pub type Tell = Box<dyn Fn(&str) + Send>;

/// Wraps a socket, to see what passes.
pub type Wrap = Box<dyn FnOnce(Box<dyn Datagrams>) -> Box<dyn Datagrams>>;

/// How a node is made.
pub struct Setup {
    /// Where it listens. Port 0 lets the system choose.
    pub bind: SocketAddr,
    /// Its id. `None`: the saved one if that is ours, else a random one.
    pub id: Option<NodeId>,
    /// Hosts that tell it of other nodes. With none, it waits until somebody asks it.
    pub hosts: Hosts,
    /// Where its table is saved.
    pub table_file: Option<TableFile>,
    /// Is told what happens.
    pub tell: Option<Tell>,
    /// Wraps its socket.
    pub wrap: Option<Wrap>,
}

impl Setup {
    /// Describes a node at this address that knows nobody and saves nothing.
    pub fn at(bind: SocketAddr) -> Setup {
        let hosts = Hosts::default();
        Setup { bind, id: None, hosts, table_file: None, tell: None, wrap: None }
    }
}

/// What the node's thread is told to do.
enum Order {
    /// Find peers, and perhaps announce ourselves.
    Search(Wanted),
    /// Find out whether there is a node at this address.
    Check(SocketAddr),
    /// Report the node's state.
    Status(Sender<Status>),
    /// Ask these addresses as well: a host's name has led to them.
    HostAddresses(Vec<SocketAddr>),
    /// Note that all names have been looked up.
    LookedUp,
    /// Save the table and end.
    Stop,
}

/// The state of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its id, which may have changed since the start (BEP 42).
    pub id: NodeId,
    /// The questions so far, and what it knows.
    pub counts: NodeCounts,
    /// The good nodes that it knows, the nearest first.
    pub good: Vec<Contact>,
}

/// Gives orders to a node, from any thread.
#[derive(Clone)]
pub struct Handle {
    orders: Sender<Order>,
    /// A socket, and the node's address as we reach it. An empty datagram wakes the thread. It is
    /// not the node's own socket: a handle that outlives the node would keep its port taken.
    waker: Arc<(UdpSocket, SocketAddr)>,
}

impl Handle {
    /// Gives an order. A node that is gone does not hear it.
    fn order(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            // If it gets lost, the thread wakes up on its own within a second.
            let (socket, address) = &*self.waker;
            let _ = socket.send_to(&[], address);
        }
    }

    /// Looks for peers of a torrent, and then announces ourselves to the nodes closest to it that
    /// have answered. The last report is [`Found::Done`]. If the node stops before that, or too
    /// many searches wait, the channel ends without it.
    pub fn search(&self, info_hash: InfoHash, announce: Option<Announce>) -> Receiver<Found> {
        let (found, results) = mpsc::channel();
        self.order(Order::Search(Wanted { info_hash, announce, found }));
        results
    }

    /// Asks whether there is a node at this address. If so, it may get a place in the table.
    pub fn check(&self, address: SocketAddr) {
        self.order(Order::Check(address));
    }

    /// Returns the node's state; `None` if it is gone.
    pub fn status(&self) -> Option<Status> {
        let (to, status) = mpsc::channel();
        self.order(Order::Status(to));
        status.recv_timeout(ANSWER_TIME).ok()
    }
}

/// A node of the DHT, for one family of addresses. Dropped, it saves its table and ends.
pub struct Node {
    handle: Handle,
    address: SocketAddr,
    id: NodeId,
    /// What the user should know about the saved table.
    note: Option<String>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    /// Starts a node.
    ///
    /// # Errors
    /// If it cannot listen there, or the system refuses a thread.
    pub fn start(setup: Setup) -> Result<Node, NodeError> {
        let Setup { bind, id, hosts, table_file, tell, wrap } = setup;
        let failed = |error| NodeError { address: bind, error };
        let socket = listen(bind).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        // Not bound: the system chooses a port with the first datagram.
        let waker = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP));
        let waker = (UdpSocket::from(waker.map_err(failed)?), reachable(address));
        let (orders, received) = mpsc::channel();
        let handle = Handle { orders, waker: Arc::new(waker) };
        let (saved, note) = table_file
            .as_ref()
            .map_or((None, None), |table_file| table_file.load(SystemTime::now()));
        let ours = saved.as_ref().filter(|saved| saved.is_ours(address)).map(|saved| saved.id);
        let ip = saved.as_ref().and_then(|saved| saved.ip);
        // For the address that we had: it is most likely still ours, and then the id fits at once.
        let new = || ip.map_or_else(NodeId::random, |ip| NodeId::for_ip(ip, rand::random()));
        let id = id.or(ours).unwrap_or_else(new);
        let bootstrap = (Bootstrap::new(hosts), handle.clone());
        let socket: Box<dyn Datagrams> = Box::new(socket);
        let socket = wrap.into_iter().fold(socket, |socket, wrap| wrap(socket));
        let mut node = NodeThread::new((socket, address), id, bootstrap, (table_file, tell));
        node.remember(&saved.map(|saved| saved.nodes).unwrap_or_default());
        let work = move || node.run(&received);
        let thread = thread::Builder::new().name("DHT node".to_owned()).stack_size(STACK);
        let thread = thread.spawn(work).map_err(failed)?;
        Ok(Node { handle, address, id, note, thread: Some(thread) })
    }

    /// Returns the address at which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the id with which it has started.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Returns what the user should know about the saved table. Usually nothing.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Returns what gives it orders.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Saves its table, and waits until its thread has ended.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.handle.order(Order::Stop);
        // It never waits for longer than a second, so neither do we.
        self.thread.take().map(JoinHandle::join);
    }
}

/// Opens the socket. One for IPv6 does not take IPv4 as well: that is another network, with a node
/// of its own.
fn listen(bind: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(bind), Type::DGRAM, Some(Protocol::UDP))?;
    if bind.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&bind.into())?;
    Ok(socket.into())
}

/// Returns the address at which this computer reaches its own socket.
fn reachable(address: SocketAddr) -> SocketAddr {
    // Unchanged: a link-local address of IPv6 is of no use without its scope.
    if !address.ip().is_unspecified() {
        return address;
    }
    let here: IpAddr =
        if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(here, address.port())
}

/// Why there is no node.
#[derive(Debug, Error)]
#[error("{address}, UDP: {error}")]
pub struct NodeError {
    /// Where it was to listen.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub error: io::Error,
}
