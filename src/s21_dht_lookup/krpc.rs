//! KRPC: one question or one answer in each datagram, a bencoded dictionary (BEP 5).
//!
//! ```text
//! d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe     "are you there?", 56 bytes
//! d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re              "I am", 47 bytes
//!
//! t   chosen by whoever asks, and returned: it says which question an answer is to
//! y   q: a question, named by q, with arguments in a
//!     r: an answer, in r
//!     e: a refusal, in e: a list of a number and a text
//! ro  1: the sender only asks; do not keep it, it does not answer (BEP 43)
//! ip  in an answer: the address that the question came from (BEP 42)
//! v   the sender's program, two letters and two numbers
//! ```
//! A node that answers puts *compact* nodes into `nodes`: 20 bytes of id, 4 of IP, 2 of port,
//! without a gap. With IPv6 they are 38 bytes each, in `nodes6` (BEP 32). Peers are 6 or 18 bytes
//! each, a string of its own in the list `values`.
//!
//! Everything here comes from strangers. What is missing or wrong costs as little as possible: a
//! broken node is passed over, and a packet is refused only if it could not be answered or used.

pub(crate) mod reading;
mod writing;

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use super::node_id::NodeId;
use crate::s01_bencode::limits::Limits;
use crate::s01_bencode::{BencodeError, excerpt};
use crate::s02_metainfo::InfoHash;

/// Our program and its version: PieceMeal 0.1.
pub const VERSION: &[u8] = b"PM\x00\x01";
/// The longest packet that we send, in bytes. A longer one may be cut into fragments on the way,
/// and if one fragment is lost, all of it is.
pub const LARGEST_PACKET: usize = 1024;
/// The most nodes of a family that are read from one answer. Eight are usual.
pub const MAX_NODES: usize = 32;
/// The most peers that are read from one answer. A datagram that arrives in one part has room for
/// 180.
pub const MAX_VALUES: usize = 500;
/// The longest transaction id that is repeated, and the longest token that is kept, in bytes.
pub const MAX_ECHOED: usize = 64;
/// What one packet may hold. The longest thing in it is a list of peers, and a datagram of 1,024
/// bytes has room for a hundred.
pub const LIMITS: Limits = Limits { depth: 6, items: 1000 };

/// A node: its id, and where it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact {
    /// Its id.
    pub id: NodeId,
    /// Its UDP address.
    pub address: SocketAddr,
}

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Chosen by whoever asks, and repeated in the answer. Ours are two bytes long.
    pub transaction: Vec<u8>,
    /// The question or answer.
    pub body: Body,
    /// The sender's program. Often missing.
    pub version: Option<Vec<u8>>,
    /// Whether the sender only asks, and answers nobody (BEP 43).
    pub read_only: bool,
    /// In an answer, the address that the question came from: how the other side sees us.
    pub seen_as: Option<SocketAddr>,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A question, and the id of the node that asks.
    Query(NodeId, Query),
    /// An answer.
    Response(Response),
    /// A refusal: 201 for any reason, 202 the node's own fault, 203 a wrong question, 204 an
    /// unknown one.
    Error {
        /// Its number.
        code: i64,
        /// The reason, in the sender's words: not safe to print as it is.
        text: Vec<u8>,
    },
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Are you there?
    Ping,
    /// Which nodes near this id do you know?
    FindNode {
        /// The id.
        target: NodeId,
        /// Which families of addresses the answer should have.
        want: Want,
    },
    /// Which peers of this torrent do you know, and which nodes near its info hash?
    GetPeers {
        /// The torrent.
        info_hash: InfoHash,
        /// Which families of addresses the answer should have.
        want: Want,
        /// Whether the answer should count the peers (BEP 33).
        scrape: bool,
        /// Whether seeds are of no use to whoever asks: it is one itself (BEP 33).
        noseed: bool,
    },
    /// I have this torrent: write me down.
    AnnouncePeer {
        /// The torrent.
        info_hash: InfoHash,
        /// Where the sender listens, over TCP. `None`: at the port that the datagram comes from.
        port: Option<u16>,
        /// What the node gave when it was asked `get_peers` from this address.
        token: Vec<u8>,
        /// Whether the sender has all of it (BEP 33).
        seed: bool,
    },
    /// Which torrents do you know? (BEP 51)
    SampleInfohashes {
        /// The answer also has nodes near this id.
        target: NodeId,
        /// Which families of addresses the answer should have.
        want: Want,
    },
    /// A question that we do not know.
    Unknown {
        /// Its name.
        method: Vec<u8>,
    },
}

impl Query {
    /// Returns the question's name on the wire.
    pub fn method(&self) -> &[u8] {
        match self {
            Query::Ping => b"ping",
            Query::FindNode { .. } => b"find_node",
            Query::GetPeers { .. } => b"get_peers",
            Query::AnnouncePeer { .. } => b"announce_peer",
            Query::SampleInfohashes { .. } => b"sample_infohashes",
            Query::Unknown { method } => method,
        }
    }
}

/// Which families of addresses an answer should have (BEP 32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Want {
    /// `n4`: nodes with IPv4 addresses.
    pub v4: bool,
    /// `n6`: nodes with IPv6 addresses.
    pub v6: bool,
}

impl Want {
    /// Nothing is said: the family of the datagram is meant.
    pub const UNSAID: Want = Want { v4: false, v6: false };
}

/// An answer. The question and the node that answers decide which fields there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The id of the node that answers.
    pub id: NodeId,
    /// Nodes that it knows, of both families.
    pub nodes: Vec<Contact>,
    /// The families that were asked for. In an answer of ours, each of them has its key even
    /// without a node: an answer to `find_node` must not lack it (BEP 5). In one that we read, none
    /// is set.
    pub asked: Want,
    /// Peers of the torrent.
    pub values: Vec<SocketAddr>,
    /// What an announce to this node has to repeat.
    pub token: Option<Vec<u8>>,
    /// The seeds and the peers that it knows, each as a filter of 256 bytes (BEP 33).
    pub filters: Option<(Vec<u8>, Vec<u8>)>,
    /// Torrents that it knows (BEP 51).
    pub samples: Option<Samples>,
}

/// Some of the torrents that a node knows (BEP 51).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Samples {
    /// Their names.
    pub info_hashes: Vec<InfoHash>,
    /// How many it knows in all.
    pub total: u64,
    /// The seconds until it gives others.
    pub interval: u64,
}

impl Response {
    /// Makes an answer that says only who answers.
    pub fn new(id: NodeId) -> Response {
        Response {
            id,
            nodes: Vec::new(),
            asked: Want::UNSAID,
            values: Vec::new(),
            token: None,
            filters: None,
            samples: None,
        }
    }
}

impl Packet {
    /// Makes the packet for a question.
    pub fn query(transaction: impl Into<Vec<u8>>, from: NodeId, query: Query) -> Packet {
        Packet::new(transaction, Body::Query(from, query))
    }

    /// Makes a packet of ours.
    pub fn new(transaction: impl Into<Vec<u8>>, body: Body) -> Packet {
        Packet {
            transaction: transaction.into(),
            body,
            version: Some(VERSION.to_vec()),
            read_only: false,
            seen_as: None,
        }
    }
}

/// Returns an address as 6 bytes, or 18.
pub fn compact(address: SocketAddr) -> Vec<u8> {
    let mut bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.extend(address.port().to_be_bytes());
    bytes
}

/// Returns a node as 26 bytes, or 38.
pub fn compact_node(node: Contact) -> Vec<u8> {
    node.id.0.into_iter().chain(compact(node.address)).collect()
}

/// Returns a program as text: `LT 2.17` for `LT` and the bytes 2 and 17. Safe to print.
pub fn program(version: &[u8]) -> String {
    match version {
        [first, second, major, minor] if first.is_ascii_graphic() && second.is_ascii_graphic() => {
            format!("{}{} {major}.{minor}", char::from(*first), char::from(*second))
        }
        other => excerpt(other),
    }
}

/// Whether an address is that of one computer: not of a group, and not of nobody.
pub fn is_one_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => matches!(ip.octets(), [1..=223, ..]),
        // An IPv4 address in the form of IPv6 belongs to the other network.
        IpAddr::V6(ip) => {
            !ip.is_unspecified() && !ip.is_multicast() && ip.to_ipv4_mapped().is_none()
        }
    }
}

/// Why a datagram is no packet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum KrpcError {
    /// It is not bencode.
    #[error(transparent)]
    Bencode(#[from] BencodeError),
    /// It is bencode, but something else.
    #[error("a KRPC packet must be a dictionary, but is {found}")]
    NotADictionary { found: &'static str },
    /// It is none of the three kinds.
    #[error("y must be q, r or e, but is \"{found}\"")]
    Kind { found: String },
    /// It lacks a key.
    #[error("{key} must be {expected}, but is missing")]
    Missing { key: &'static str, expected: &'static str },
    /// A value has the wrong type or length.
    #[error("{key} must be {expected}, but is {found}")]
    Wrong { key: &'static str, expected: &'static str, found: String },
}
