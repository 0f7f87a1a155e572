//! A socket of our own, and a lookup or a ping over it.
//!
//! Anyone can send us a datagram in another's name. An answer counts only if it has the two random
//! bytes of a query and comes from the address that was asked. Whoever does not see our queries has
//! to guess one of 65,536 numbers, and again for each node.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::Lookup;
use super::krpc::{Body, Packet, Query, program};
use super::node_id::NodeId;
use super::steps::Step;
use crate::s01_bencode::{counted, excerpt};
use crate::s03_tracker::names::Lookups;
use crate::s18_udp_tracker::line::{LARGEST_DATAGRAM, receive_within};

/// The time after which a ping is sent again.
const PING_AGAIN: Duration = Duration::from_secs(1);

/// Sends datagrams to any address and receives them from any. A seam, so that a trace sees them.
pub trait Datagrams: Send {
    /// Sends a datagram. It may get lost on the way, and nobody reports that.
    ///
    /// # Errors
    /// If the system cannot.
    fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()>;

    /// Waits for the next datagram and copies it to the start of the buffer. Returns its length and
    /// its sender; `None` if none comes within this time.
    ///
    /// # Errors
    /// If the socket can no longer receive.
    fn receive(&self, time: Duration, buffer: &mut [u8])
    -> io::Result<Option<(usize, SocketAddr)>>;
}

impl Datagrams for UdpSocket {
    fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.send_to(datagram, to).map(drop)
    }

    fn receive(
        &self,
        time: Duration,
        buffer: &mut [u8],
    ) -> io::Result<Option<(usize, SocketAddr)>> {
        match receive_within(self, time, buffer) {
            // Windows reports here that an earlier datagram reached nobody, and not which one.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            received => received,
        }
    }
}

/// Opens a socket for one family of addresses, at a port that the system chooses.
///
/// # Errors
/// If the system has no such network, or no descriptor left.
pub fn open(is_ipv4: bool) -> Result<Box<dyn Datagrams>, LookupError> {
    let any: IpAddr =
        if is_ipv4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).map_err(LookupError::Open)?;
    Ok(Box::new(socket))
}

/// Asks nodes, and answers none: its queries say so (`ro`), and nobody keeps its id.
pub struct Asker {
    socket: Box<dyn Datagrams>,
    id: NodeId,
    /// The numbers of the queries that wait for an answer, by the transaction and the address. Each
    /// lookup and each ping begins with none: it counts its queries from 0 again.
    waiting: HashMap<([u8; 2], IpAddr, u16), usize>,
}

/// What a node says of itself and of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pong {
    /// Its id.
    pub id: NodeId,
    /// Its program: `LT 2.17`. Safe to print.
    pub version: Option<String>,
    /// The address at which it sees us.
    pub seen_as: Option<SocketAddr>,
    /// The time from the query to the answer.
    pub time: Duration,
}

impl Asker {
    /// Makes one with this id. A random one will do, since nobody keeps it.
    pub fn new(socket: Box<dyn Datagrams>, id: NodeId) -> Asker {
        Asker { socket, id, waiting: HashMap::new() }
    }

    /// Runs a lookup until it is over or the deadline comes, and tells each step as it happens.
    ///
    /// | what happens | what `run` does |
    /// |---|---|
    /// | the lookup has a query | sends it, and notes its transaction and address |
    /// | an answer with both of these comes | hands it to the lookup |
    /// | an error with both of these comes | tells the lookup that the node refuses |
    /// | anything else comes | ignores it |
    /// | nothing comes until something is due | asks the lookup again: another node has its turn |
    /// | the system cannot send | waits all the same; it is an error only if nobody answers |
    ///
    /// # Errors
    /// If the lookup knows nobody, if nobody answers, or if the socket can no longer receive.
    pub fn run(
        &mut self,
        lookup: &mut Lookup,
        deadline: Instant,
        mut tell: impl FnMut(Step),
    ) -> Result<(), LookupError> {
        let (mut buffer, mut unsent) = (vec![0; LARGEST_DATAGRAM], None);
        self.waiting.clear();
        loop {
            let now = Instant::now();
            while let Some(ask) = lookup.next(now) {
                // An address without a route is as silent as one without a node.
                let sent = self.send(ask.query, ask.to, ask.number);
                unsent = sent.err().map(|error| (ask.to, error)).or(unsent);
            }
            lookup.take_steps().into_iter().for_each(&mut tell);
            if lookup.is_done() || now >= deadline {
                break;
            }
            let until = lookup.due().map_or(deadline, |due| due.min(deadline));
            let time = until.saturating_duration_since(now);
            let Some((number, packet)) = self.receive(time, &mut buffer)? else { continue };
            match packet.body {
                Body::Response(response) => lookup.answer(number, &response, Instant::now()),
                _ => lookup.refuse(number, Instant::now()),
            }
        }
        match (lookup.counts(), unsent) {
            (counts, _) if counts.answered > 0 => Ok(()),
            (_, Some((address, error))) => Err(LookupError::Send { address, error }),
            (counts, _) if counts.asked == 0 => Err(LookupError::Nobody),
            (counts, _) => Err(LookupError::Silent { asked: counts.asked }),
        }
    }

    /// Asks a node whether it is there, again each second.
    ///
    /// # Errors
    /// If it does not answer by the deadline, or refuses.
    pub fn ping(&mut self, address: SocketAddr, deadline: Instant) -> Result<Pong, LookupError> {
        let mut buffer = vec![0; LARGEST_DATAGRAM];
        self.waiting.clear();
        let (mut times, mut due) = (Vec::new(), Instant::now());
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(LookupError::Silent { asked: 1 });
            }
            if now >= due {
                let failed = |error| LookupError::Send { address, error };
                self.send(Query::Ping, address, times.len()).map_err(failed)?;
                times.push(now);
                due = now + PING_AGAIN;
            }
            let time = due.min(deadline).saturating_duration_since(now);
            let Some((number, packet)) = self.receive(time, &mut buffer)? else { continue };
            // Each copy has a number of its own, so the time is that of the copy that was
            // answered.
            let sent = times.get(number).copied().unwrap_or(now);
            match packet.body {
                Body::Response(response) => {
                    return Ok(Pong {
                        id: response.id,
                        version: packet.version.map(|version| program(&version)),
                        seen_as: packet.seen_as,
                        time: sent.elapsed(),
                    });
                }
                Body::Error { code, text } => {
                    return Err(LookupError::Refused { code, text: excerpt(&text) });
                }
                Body::Query(..) => {}
            }
        }
    }

    /// Sends a query under a transaction that no other query to this address has.
    fn send(&mut self, query: Query, to: SocketAddr, number: usize) -> io::Result<()> {
        // Two bytes, as in most clients: the answer repeats them, and longer ones would take room
        // from its peers.
        let mut transaction = rand::random();
        while self.waiting.contains_key(&(transaction, to.ip(), to.port())) {
            transaction = rand::random();
        }
        self.waiting.insert((transaction, to.ip(), to.port()), number);
        let packet = Packet { read_only: true, ..Packet::query(transaction, self.id, query) };
        self.socket.send(&packet.encode(), to)
    }

    /// Waits for a datagram. Returns the number of the query that it answers, and the packet;
    /// `None` if it answers none, or if none comes within this time.
    fn receive(
        &mut self,
        time: Duration,
        buffer: &mut [u8],
    ) -> Result<Option<(usize, Packet)>, LookupError> {
        let received = self.socket.receive(time, buffer).map_err(LookupError::Receive)?;
        let Some((length, from)) = received else { return Ok(None) };
        let packet = Packet::decode(buffer.get(..length).unwrap_or_default()).ok();
        // A query to us is ignored: ours say that we do not answer.
        let packet = packet.filter(|packet| !matches!(packet.body, Body::Query(..)));
        Ok(packet.and_then(|packet| {
            let transaction = packet.transaction.as_slice().try_into().ok()?;
            let number = self.waiting.remove(&(transaction, from.ip(), from.port()))?;
            Some((number, packet))
        }))
    }
}

/// Returns the addresses of a `HOST:PORT`, at least one, by a deadline.
///
/// # Errors
/// If it is not a `HOST:PORT`, has no address, or is not looked up in time.
pub fn resolve(lookups: &Lookups, named: &str, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    // Parsed as a whole: in [fe80::1%2]:6881 there is also a scope, which is no part of an IP.
    if let Ok(address) = named.parse() {
        return Ok(vec![address]);
    }
    let parts = named.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or_else(|| io::Error::other("HOST:PORT was expected"))?;
    lookups.find(host, port, deadline)
}

/// Why a lookup or a ping has no result.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum LookupError {
    /// There is no socket to ask with.
    #[error("no UDP socket could be opened: {0}")]
    Open(#[source] io::Error),
    /// The socket can no longer receive.
    #[error("the UDP socket can no longer receive: {0}")]
    Receive(#[source] io::Error),
    /// Nothing could be sent to the last node that was asked, and no other has answered.
    #[error("{address}: {error}")]
    Send {
        address: SocketAddr,
        #[source]
        error: io::Error,
    },
    /// There is no node to begin with.
    #[error("there is nobody to ask: no DHT node is known")]
    Nobody,
    /// No node has answered.
    #[error("no answer: {} asked", counted(*asked, "DHT node"))]
    Silent { asked: usize },
    /// The node refuses, for the reason that it gives.
    #[error("the node refuses, with the error {code}: {text}")]
    Refused { code: i64, text: String },
}
