//! A node of ours, and a socket that sends it whatever a test likes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use piecemeal::actors::dht::krpc::{Query, Reply};
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s22_dht_node::bootstrap::Hosts;
use piecemeal::s22_dht_node::{Node, Setup, Status};

use crate::support::LIMIT;

/// The id of our node, and of whoever asks it: those of BEP 5.
pub const OURS: &[u8; 20] = b"mnopqrstuvwxyz123456";
pub const THEIRS: &[u8; 20] = b"abcdefghij0123456789";

/// A short wait, after which something is taken to have not happened.
pub const SHORT: Duration = Duration::from_millis(300);

/// A node at 127.0.0.1 that knows nobody.
pub fn node() -> Node {
    node_at([127, 0, 0, 1], &[])
}

/// A node at this address, with the id of BEP 5, and ways in.
pub fn node_at(ip: [u8; 4], ways: &[SocketAddr]) -> Node {
    start(setup(ip, ways))
}

pub fn setup(ip: [u8; 4], ways: &[SocketAddr]) -> Setup {
    let named = ways.iter().map(ToString::to_string).collect();
    Setup {
        id: Some(NodeId(*OURS)),
        hosts: Hosts { named, ..Hosts::default() },
        ..Setup::at(SocketAddr::new(IpAddr::from(ip), 0))
    }
}

pub fn start(setup: Setup) -> Node {
    Node::start(setup).expect("loopback has a free port")
}

pub fn status(node: &Node) -> Status {
    node.handle().status().expect("the node runs")
}

/// Waits until this holds for a node.
#[track_caller]
pub fn wait_for(node: &Node, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
    let deadline = Instant::now() + LIMIT;
    loop {
        let status = status(node);
        if holds(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{what} has not happened: {status:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A socket of a stranger.
pub struct Wire {
    pub socket: UdpSocket,
}

impl Wire {
    /// At 127.0.0.1.
    pub fn new() -> Wire {
        Wire::at(Ipv4Addr::LOCALHOST)
    }

    pub fn at(ip: Ipv4Addr) -> Wire {
        Wire { socket: UdpSocket::bind((ip, 0)).expect("loopback has a free port") }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket has an address")
    }

    /// Our address as the six bytes of `ip`.
    pub fn compact(&self) -> Vec<u8> {
        piecemeal::actors::dht::krpc::compact(self.address())
    }

    pub fn send(&self, to: &Node, bytes: &[u8]) {
        self.socket.send_to(bytes, to.address()).expect("loopback takes it");
    }

    /// The next datagram; `None` if none comes within this time.
    pub fn receive(&self, time: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(time)).expect("a time that is not zero");
        let mut buffer = vec![0; 65_536];
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// The next answer or error; questions of the node are passed over.
    pub fn answer(&self, time: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + time;
        loop {
            let left =
                deadline.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())?;
            let datagram = self.receive(left)?;
            if Query::read(&datagram).is_none() {
                return Some(datagram);
            }
        }
    }

    /// Sends a question and returns the answer.
    #[track_caller]
    pub fn ask(&self, to: &Node, bytes: &[u8]) -> Vec<u8> {
        self.send(to, bytes);
        self.answer(LIMIT).expect("the node answers")
    }

    /// The same, read.
    #[track_caller]
    pub fn ask_for(&self, to: &Node, bytes: &[u8]) -> Reply {
        let answer = self.ask(to, bytes);
        Reply::read(&answer)
            .unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&answer)))
    }

    /// The next question of the node with this name.
    #[track_caller]
    pub fn question(&self, method: &str) -> Query {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let datagram = self.receive(left.max(Duration::from_millis(1)));
            let datagram = datagram.unwrap_or_else(|| panic!("the node does not ask {method}"));
            if let Some(query) = Query::read(&datagram).filter(|query| query.method == method) {
                return query;
            }
        }
    }

    /// Whether the node is silent about a datagram: a ping after it is answered first.
    #[track_caller]
    pub fn is_ignored(&self, to: &Node, bytes: &[u8]) {
        self.send(to, bytes);
        let answer = self.ask(to, b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t4:last1:y1:qe");
        assert!(
            answer.windows(10).any(|part| part == b"1:t4:last1"),
            "{} was answered: {}",
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&answer)
        );
    }
}

/// Joins bytes.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
