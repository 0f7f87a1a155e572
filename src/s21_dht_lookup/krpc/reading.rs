//! A packet from the wire, and what may be wrong with it.
//!
//! | what is wrong | what it costs | why |
//! |---|---|---|
//! | it is no dictionary, or lacks `t` or `y` | the packet | nobody can say what it is |
//! | a question lacks an argument | the packet | nobody could answer it; the error says what is missing |
//! | an answer lacks its `id` | the packet | without it, nobody has answered |
//! | a node at port 0, or a byte too many behind the last node | that node | the others still help |
//! | a peer of 5 bytes, or at an address of nobody or of a group | that peer | the same |
//! | a token of 65 bytes | the token | we would have to send it back |
//! | a refusal without code or text | nothing | it says no all the same |
//! | a key that we do not know, anything behind the packet | nothing | later programs add keys |
//!
//! Nothing is allocated by a number in the packet: lists are cut to what one datagram of an honest
//! node holds.

use std::net::SocketAddr;

use super::{
    Body, Contact, KrpcError, LIMITS, MAX_ECHOED, MAX_NODES, MAX_VALUES, NodeId, Packet, Query,
    Response, Samples, Want, is_one_host,
};
use crate::s01_bencode::limits::decode_within;
use crate::s01_bencode::{Value, counted, excerpt};
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::peers::{address_v4, address_v6};

/// What 20 bytes are called in an error.
const TWENTY: &str = "20 bytes";

impl Packet {
    /// Decodes a packet. What follows the dictionary is ignored, and so are unknown keys.
    ///
    /// # Errors
    /// If it is no packet, or lacks what it cannot do without.
    pub fn decode(datagram: &[u8]) -> Result<Packet, KrpcError> {
        let top = decode_within(datagram, LIMITS)?;
        if top.dictionary().is_none() {
            return Err(KrpcError::NotADictionary { found: top.type_name() });
        }
        // Before anything else: an error to a broken question has to repeat it.
        let transaction = need(&top, "t", "a byte string", Value::bytes)?;
        let body = match need(&top, "y", "q, r or e", Value::bytes)? {
            b"q" => query(&top)?,
            b"r" => Body::Response(response(need(&top, "r", "a dictionary", dictionary)?)?),
            b"e" => refusal(&top),
            other => return Err(KrpcError::Kind { found: excerpt(other) }),
        };
        Ok(Packet {
            transaction: transaction.to_vec(),
            body,
            version: top.get("v").and_then(Value::bytes).map(<[u8]>::to_vec),
            read_only: top.get("ro").and_then(Value::integer) == Some(1),
            seen_as: top.get("ip").and_then(Value::bytes).and_then(address),
        })
    }
}

/// Reads a question: its name, and the arguments that such a question must have.
fn query(top: &Value) -> Result<Body, KrpcError> {
    let method = need(top, "q", "a byte string", Value::bytes)?;
    let given = need(top, "a", "a dictionary", dictionary)?;
    let id = |key| need(given, key, TWENTY, twenty);
    let asker = NodeId(id("id")?);
    let want = want(given);
    let query = match method {
        b"ping" => Query::Ping,
        b"find_node" => Query::FindNode { target: NodeId(id("target")?), want },
        b"get_peers" => Query::GetPeers {
            info_hash: InfoHash(id("info_hash")?),
            want,
            scrape: is_set(given, "scrape"),
            noseed: is_set(given, "noseed"),
        },
        b"announce_peer" => Query::AnnouncePeer {
            info_hash: InfoHash(id("info_hash")?),
            // With `implied_port`, whatever `port` says is ignored.
            port: if is_set(given, "implied_port") {
                None
            } else {
                Some(need(given, "port", "a port from 1 to 65535", port)?)
            },
            token: need(given, "token", "a byte string", Value::bytes)?.to_vec(),
            seed: is_set(given, "seed"),
        },
        b"sample_infohashes" => Query::SampleInfohashes { target: NodeId(id("target")?), want },
        other => Query::Unknown { method: other.to_vec() },
    };
    Ok(Body::Query(asker, query))
}

/// Reads an answer. Only the id must be there: without it, nobody has answered.
fn response(given: &Value) -> Result<Response, KrpcError> {
    // What is missing counts as empty: of all these keys, most answers have two.
    let bytes = |key| given.get(key).and_then(Value::bytes).unwrap_or_default();
    let values = given.get("values").and_then(Value::list).unwrap_or_default();
    let filters = (bytes("BFsd"), bytes("BFpe"));
    let number = |key| given.get(key).and_then(Value::unsigned).unwrap_or_default();
    Ok(Response {
        id: NodeId(need(given, "id", TWENTY, twenty)?),
        // Nobody is at port 0, and asking there would be an error of the system.
        nodes: nodes(given, MAX_NODES).filter(has_port).collect(),
        asked: Want::UNSAID,
        values: values
            .iter()
            .take(MAX_VALUES)
            .filter_map(|peer| peer.bytes().and_then(address))
            .filter(|peer| peer.port() != 0 && is_one_host(peer.ip()))
            .collect(),
        token: given
            .get("token")
            .and_then(Value::bytes)
            .filter(|token| token.len() <= MAX_ECHOED)
            .map(<[u8]>::to_vec),
        // Of another length they would be another kind of filter.
        filters: (filters.0.len() == 256 && filters.1.len() == 256)
            .then(|| (filters.0.to_vec(), filters.1.to_vec())),
        samples: given.get("samples").and_then(Value::bytes).map(|hashes| Samples {
            info_hashes: hashes.as_chunks().0.iter().copied().map(InfoHash).collect(),
            total: number("num"),
            interval: number("interval"),
        }),
    })
}

/// Reads a refusal. It says no, whatever else is wrong with it.
fn refusal(top: &Value) -> Body {
    let list = top.get("e").and_then(Value::list).unwrap_or_default();
    Body::Error {
        code: list.first().and_then(Value::integer).unwrap_or(201),
        text: list.get(1).and_then(Value::bytes).unwrap_or_default().to_vec(),
    }
}

/// Reads what a packet cannot do without. `expected` is for the error: it may be read by the
/// author of the program that sent this.
fn need<'v, 'a, T>(
    from: &'v Value<'a>,
    key: &'static str,
    expected: &'static str,
    read: impl FnOnce(&'v Value<'a>) -> Option<T>,
) -> Result<T, KrpcError> {
    let value = from.get(key).ok_or(KrpcError::Missing { key, expected })?;
    read(value).ok_or_else(|| KrpcError::Wrong { key, expected, found: found(value) })
}

/// Returns what is there in place of a good value. Bytes are only counted: they may be anything,
/// and an error may end up on a screen.
fn found(value: &Value) -> String {
    match (value.integer(), value.bytes()) {
        (Some(number), _) => number.to_string(),
        (_, Some(bytes)) => counted(bytes.len(), "byte"),
        _ => value.type_name().to_owned(),
    }
}

fn dictionary<'v, 'a>(value: &'v Value<'a>) -> Option<&'v Value<'a>> {
    value.dictionary().map(|_| value)
}

/// Reads an id or an info hash.
fn twenty(value: &Value) -> Option<[u8; 20]> {
    value.bytes()?.try_into().ok()
}

/// Reads a port from 1 to 65535.
fn port(value: &Value) -> Option<u16> {
    value.unsigned().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

/// Whether a flag is there and not 0. Anything but a number is no.
fn is_set(given: &Value, key: &str) -> bool {
    given.get(key).and_then(Value::integer).is_some_and(|number| number != 0)
}

/// Reads the families that are wanted. BEP 32 leaves open what an unknown name means, so it means
/// nothing.
fn want(given: &Value) -> Want {
    let names = given.get("want").and_then(Value::list).unwrap_or_default();
    let has = |name: &[u8]| names.iter().any(|value| value.bytes() == Some(name));
    Want { v4: has(b"n4"), v6: has(b"n6") }
}

fn has_port(node: &Contact) -> bool {
    node.address.port() != 0
}

/// Returns the compact nodes in `nodes` and in `nodes6`, at most this many of each.
pub(crate) fn nodes(given: &Value, most: usize) -> impl Iterator<Item = Contact> {
    let bytes = |key| given.get(key).and_then(Value::bytes).unwrap_or_default();
    // `as_chunks` leaves out what is too short at the end.
    let v4 = bytes("nodes").as_chunks::<26>().0.iter().map(node_v4);
    let v6 = bytes("nodes6").as_chunks::<38>().0.iter().map(node_v6);
    v4.take(most).chain(v6.take(most))
}

/// Reads a compact node: 20 bytes of id, 4 of IP, 2 of port.
fn node_v4(bytes: &[u8; 26]) -> Contact {
    let [id @ .., a, b, c, d, high, low] = *bytes;
    Contact { id: NodeId(id), address: address_v4(&[a, b, c, d, high, low]) }
}

/// Over IPv6: 20 bytes of id, 16 of IP, 2 of port.
fn node_v6(bytes: &[u8; 38]) -> Contact {
    let (mut id, mut address) = ([0; 20], [0; 18]);
    let (front, back) = bytes.split_at(id.len());
    id.copy_from_slice(front);
    address.copy_from_slice(back);
    Contact { id: NodeId(id), address: address_v6(&address) }
}

/// Reads an address of 6 bytes or 18. Its length says which family it is of: `values` may have
/// both, since a node of one network may know peers of the other.
fn address(bytes: &[u8]) -> Option<SocketAddr> {
    let v4 = || bytes.try_into().ok().map(address_v4);
    v4().or_else(|| bytes.try_into().ok().map(address_v6))
}
