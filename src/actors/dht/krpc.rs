//! The datagrams of the DHT, as the actors write and read them: queries, responses and errors.

use super::super::bencode::{self, Value, bytes, dict, int, list};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The id of a node, or an info hash: both are places in one space.
pub type Id = [u8; 20];

/// The error codes of BEP 5.
pub const GENERIC: i64 = 201;
/// A malformed datagram, bad arguments, or a wrong token.
pub const PROTOCOL: i64 = 203;
/// A method that the node does not have.
pub const UNKNOWN_METHOD: i64 = 204;

/// Bytes of an id and an IPv4 address with its port, in `nodes`.
const NODE_V4: usize = 26;
/// The same of IPv6, in `nodes6`.
const NODE_V6: usize = 38;

/// A node as others name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// Its id.
    pub id: Id,
    /// Where it is asked.
    pub address: SocketAddr,
}

/// The distance between two places: their bits, XOR.
pub fn distance(one: &Id, other: &Id) -> Id {
    let mut distance = *one;
    distance.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
    distance
}

/// The number of bits of a distance: 0 for the same place, 160 for the other half of the space.
pub fn bits(distance: &Id) -> usize {
    match distance.iter().position(|byte| *byte != 0) {
        Some(at) => (20 - at) * 8 - distance[at].leading_zeros() as usize,
        None => 0,
    }
}

/// A place at a distance of exactly this many bits, from 1 to 160. The lower bits of the distance
/// are those of `filling`.
pub fn at_distance(target: &Id, bits: usize, filling: &Id) -> Id {
    let bits = bits.clamp(1, 160);
    let mut away = [0; 20];
    for bit in 0..bits {
        // Bit 0 is the lowest one of the last byte.
        let (byte, mask) = (19 - bit / 8, 1 << (bit % 8));
        away[byte] |= if bit == bits - 1 { mask } else { filling[byte] & mask };
    }
    distance(target, &away)
}

/// Of these nodes the closest, nearest first.
pub fn closest(nodes: &[Contact], target: &Id, count: usize) -> Vec<Contact> {
    let mut nodes = nodes.to_vec();
    nodes.sort_by_key(|node| distance(&node.id, target));
    nodes.truncate(count);
    nodes
}

/// An address in 6 bytes, or 18.
pub fn compact(address: SocketAddr) -> Vec<u8> {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    [ip, address.port().to_be_bytes().to_vec()].concat()
}

/// The address in 6 bytes or 18. Other lengths are none.
pub fn address(compact: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = compact.split_at_checked(compact.len().checked_sub(2)?)?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    let ip = match ip.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?)),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The nodes of one family, joined: what `nodes` has of IPv4, and `nodes6` of IPv6.
pub fn compact_nodes(nodes: &[Contact], v6: bool) -> Vec<u8> {
    let nodes = nodes.iter().filter(|node| node.address.is_ipv6() == v6);
    nodes.flat_map(|node| [&node.id[..], &compact(node.address)].concat()).collect()
}

/// A dictionary with its keys in order, as the protocol wants it.
pub fn sorted(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut pairs = pairs.to_vec();
    pairs.sort_by_key(|(key, _)| *key);
    dict(&pairs)
}

/// A query with these arguments, each encoded already.
pub fn query(transaction: &[u8], method: &str, arguments: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let a = sorted(arguments);
    dict(&[("a", a), ("q", bytes(method)), ("t", bytes(transaction)), ("y", bytes("q"))])
}

/// The same from a node that does not answer and is not to be named (BEP 43).
pub fn query_read_only(transaction: &[u8], method: &str, arguments: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (a, q, t) = (sorted(arguments), bytes(method), bytes(transaction));
    dict(&[("a", a), ("q", q), ("ro", int(1)), ("t", t), ("y", bytes("q"))])
}

/// A response with these values, each encoded already.
pub fn response(transaction: &[u8], values: &[(&str, Vec<u8>)]) -> Vec<u8> {
    dict(&[("r", sorted(values)), ("t", bytes(transaction)), ("y", bytes("r"))])
}

/// An error.
pub fn error(transaction: &[u8], code: i64, text: &str) -> Vec<u8> {
    let e = list(&[int(code), bytes(text)]);
    dict(&[("e", e), ("t", bytes(transaction)), ("y", bytes("e"))])
}

/// The bytes of a string.
pub fn string(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn id(value: Option<&Value>) -> Option<Id> {
    string(value?)?.try_into().ok()
}

/// A query that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// What it means.
    pub value: Value,
    /// What the answer has to repeat.
    pub transaction: Vec<u8>,
    /// What is asked: `ping`, `find_node`, `get_peers`, `announce_peer`.
    pub method: String,
}

impl Query {
    /// Reads a datagram; `None` if it is no query, or one that cannot be answered.
    pub fn read(bytes: &[u8]) -> Option<Query> {
        let (value, _) = bencode::decode(bytes)?;
        (string(value.get("y")?)? == b"q").then_some(())?;
        let transaction = string(value.get("t")?)?.to_vec();
        let method = String::from_utf8_lossy(string(value.get("q")?)?).into_owned();
        Some(Query { bytes: bytes.to_vec(), value, transaction, method })
    }

    /// An argument.
    pub fn argument(&self, key: &str) -> Option<&Value> {
        self.value.get("a")?.get(key)
    }

    /// Whose query it is, if that has 20 bytes.
    pub fn id(&self) -> Option<Id> {
        id(self.argument("id"))
    }

    /// The place that it is about: `info_hash` where it is about peers, and otherwise `target`.
    pub fn target(&self) -> Option<Id> {
        match self.method.as_str() {
            "get_peers" | "announce_peer" => id(self.argument("info_hash")),
            _ => id(self.argument("target")),
        }
    }

    /// Whether whoever asks does not answer (BEP 43).
    pub fn is_read_only(&self) -> bool {
        self.value.get("ro").and_then(Value::int) == Some(1)
    }

    /// Whether nodes of IPv6 are wanted: `want` says so, or else the family of the asker (BEP 32).
    pub fn wants(&self, v6: bool, from: SocketAddr) -> bool {
        let name = if v6 { &b"n6"[..] } else { b"n4" };
        match self.argument("want") {
            Some(Value::List(names)) => names.iter().any(|one| string(one) == Some(name)),
            _ => from.is_ipv6() == v6,
        }
    }
}

/// A response or an error that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// What it means.
    pub value: Value,
    /// What it repeats of the query.
    pub transaction: Vec<u8>,
}

impl Reply {
    /// Reads a datagram; `None` if it is neither a response nor an error.
    pub fn read(bytes: &[u8]) -> Option<Reply> {
        let (value, _) = bencode::decode(bytes)?;
        matches!(string(value.get("y")?)?, b"r" | b"e").then_some(())?;
        let transaction = string(value.get("t")?)?.to_vec();
        Some(Reply { bytes: bytes.to_vec(), value, transaction })
    }

    /// A value of the response.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.value.get("r")?.get(key)
    }

    /// Whose response it is, if that has 20 bytes.
    pub fn id(&self) -> Option<Id> {
        id(self.get("id"))
    }

    /// The token of the response.
    pub fn token(&self) -> Option<Vec<u8>> {
        string(self.get("token")?).map(<[u8]>::to_vec)
    }

    /// The nodes that it names, IPv4 first. `None` if it has neither `nodes` nor `nodes6`.
    pub fn nodes(&self) -> Option<Vec<Contact>> {
        let lists = [("nodes", NODE_V4), ("nodes6", NODE_V6)];
        let lists = lists.map(|(key, size)| Some((string(self.get(key)?)?, size)));
        if lists.iter().all(Option::is_none) {
            return None;
        }
        let read = |node: &[u8]| {
            let (id, at) = node.split_at_checked(20)?;
            Some(Contact { id: id.try_into().ok()?, address: address(at)? })
        };
        let nodes = lists.into_iter().flatten();
        Some(nodes.flat_map(|(list, size)| list.chunks_exact(size).filter_map(read)).collect())
    }

    /// The peers that it names; entries of a wrong length are passed over.
    pub fn peers(&self) -> Vec<SocketAddr> {
        match self.get("values") {
            Some(Value::List(values)) => {
                values.iter().filter_map(|one| address(string(one)?)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The code and the text of an error.
    pub fn error(&self) -> Option<(i64, String)> {
        let Value::List(error) = self.value.get("e")? else { return None };
        let text = String::from_utf8_lossy(string(error.get(1)?)?).into_owned();
        Some((error.first()?.int()?, text))
    }
}
