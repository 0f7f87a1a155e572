//! Stage 21 on the wire: the datagrams of the DHT.

use super::peers::{peer_v4, peer_v6};
use super::s01::{self, Meaning};
use super::{Object, counted, hex_text, quoted};
use crate::s01_bencode::{Kind, decode_prefix};
use crate::s21_dht_lookup::krpc::{Body, KrpcError, LIMITS, Packet, Query, Response, program};

/// Describes a datagram.
pub fn packet(bytes: &[u8]) -> Object {
    let mut object = Object::new("DHT packet", bytes.len(), 21, "BEP 5");
    s01::prefix(&mut object, bytes, LIMITS, lexicon);
    let end = object.covered();
    if end < bytes.len() && object.broken.is_none() {
        let rest = quoted(bytes.get(end..).unwrap_or_default());
        object.add(bytes.len(), "rest", rest, "ignored: it follows the packet");
    }
    match Packet::decode(bytes) {
        Ok(packet) => {
            (object.name, object.summary) = summary(&packet);
        }
        // What is wrong with the bencode has been said.
        Err(KrpcError::Bencode(_)) => {}
        Err(KrpcError::NotADictionary { found }) => {
            object.break_at(0..bytes.len(), "a dictionary", found);
        }
        Err(KrpcError::Kind { found }) => {
            object.break_field("y", "y to be q, r or e", format!("\"{found}\""));
        }
        Err(KrpcError::Missing { key, expected }) => {
            let end = bytes.len();
            object.break_at(end..end, format!("{key} to be {expected}"), "no such key");
        }
        Err(KrpcError::Wrong { key, expected, found }) => {
            let is_it = |name: &str| name == key || name.rsplit('.').next() == Some(key);
            let field = object.fields.iter().find(|field| is_it(&field.name));
            let range = field.map_or(0..bytes.len(), |field| field.range.clone());
            object.break_at(range, format!("{key} to be {expected}"), found);
        }
    }
    object
}

/// Returns the name of a packet, and what it says in short.
fn summary(packet: &Packet) -> (String, String) {
    match &packet.body {
        Body::Query(_, query) => {
            let about = match query {
                Query::FindNode { target, .. } | Query::SampleInfohashes { target, .. } => {
                    target.to_string()
                }
                Query::GetPeers { info_hash, .. } | Query::AnnouncePeer { info_hash, .. } => {
                    info_hash.to_string()
                }
                Query::Ping | Query::Unknown { .. } => String::new(),
            };
            (format!("DHT query {}", quoted(query.method()).trim_matches('"')), about)
        }
        Body::Response(response) => ("DHT answer".to_owned(), answer(response)),
        Body::Error { code, text } => ("DHT error".to_owned(), format!("{code}, {}", quoted(text))),
    }
}

/// Returns what an answer brings.
fn answer(response: &Response) -> String {
    let several = |count: usize, what| (count > 0).then(|| counted(count, what));
    let parts = [
        several(response.nodes.len(), "node"),
        several(response.values.len(), "peer"),
        response.token.as_ref().map(|_| "a token".to_owned()),
        response.samples.as_ref().map(|it| counted(it.info_hashes.len(), "info hash")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { response.id.to_string() } else { parts.join(", ") }
}

/// Returns the meaning of the keys.
fn lexicon(path: &str, value: &Kind) -> Meaning {
    match value {
        Kind::Bytes(bytes) => of_bytes(path, bytes),
        _ => Meaning::note(match path {
            "ro" => "1: it only asks, and answers nobody (BEP 43)",
            "a.port" => "where it listens, over TCP",
            "a.implied_port" => "1: it listens at the port that this comes from",
            "a.seed" => "1: it has all of the torrent (BEP 33)",
            "a.noseed" => "1: it is a seed itself, and wants none (BEP 33)",
            "a.scrape" => "1: it wants the peers counted (BEP 33)",
            "r.num" => "torrents that it knows in all (BEP 51)",
            "r.interval" => "seconds until it names others",
            "e[]" => "the kind of error",
            _ => "",
        }),
    }
}

fn of_bytes(path: &str, bytes: &[u8]) -> Meaning {
    let hex = |note: &str| Meaning { value: Some(hex_text(bytes)), ..Meaning::note(note) };
    let items = |note: &str, items| Meaning { note: note.to_owned(), ..items };
    match path {
        "t" => hex("the answer repeats it"),
        "y" => Meaning::note(match bytes {
            b"q" => "a question",
            b"r" => "an answer",
            b"e" => "a refusal",
            _ => "",
        }),
        "q" => Meaning::note("the question"),
        "a.id" => hex("the node that asks"),
        "r.id" => hex("the node that answers"),
        "a.target" => hex("nodes near this id are wanted"),
        "a.info_hash" => hex("the torrent"),
        "a.token" => hex("what the node gave to this address before"),
        "r.token" => hex("to be repeated in an announce"),
        "a.want[]" => Meaning::note("a family of addresses that is wanted (BEP 32)"),
        "r.nodes" => items("nodes that it knows", Meaning::items("node", 26, node_v4)),
        "r.nodes6" => items("the same, IPv6 (BEP 32)", Meaning::items("node", 38, node_v6)),
        "r.values[]" => {
            let (value, note) = address(bytes);
            let note = match bytes.len() {
                6 | 18 if note.is_empty() => "a peer",
                6 | 18 => &note,
                _ => "passed over: a peer has 6 or 18 bytes",
            };
            Meaning { value: Some(value), ..Meaning::note(note) }
        }
        "r.samples" => {
            items("torrents that it knows (BEP 51)", Meaning::items("info hash", 20, one_hash))
        }
        "r.BFsd" => hex("its seeds, as a filter (BEP 33)"),
        "r.BFpe" => hex("its other peers, as a filter (BEP 33)"),
        "e[]" => Meaning::note("what it says about it"),
        "ip" => {
            let (value, _) = address(bytes);
            Meaning { value: Some(value), ..Meaning::note("how it sees the other side (BEP 42)") }
        }
        "v" => Meaning { value: Some(hex_text(bytes)), ..Meaning::note(program(bytes)) },
        _ => Meaning::default(),
    }
}

/// Returns value and note of an address of either family; of anything else, the bytes.
fn address(bytes: &[u8]) -> (String, String) {
    match bytes.len() {
        6 => peer_v4(bytes),
        18 => peer_v6(bytes),
        _ => (hex_text(bytes), String::new()),
    }
}

fn node_v4(bytes: &[u8]) -> (String, String) {
    node(bytes, peer_v4)
}

fn node_v6(bytes: &[u8]) -> (String, String) {
    node(bytes, peer_v6)
}

/// Returns the address of a compact node, and its id as the note.
fn node(bytes: &[u8], peer: fn(&[u8]) -> (String, String)) -> (String, String) {
    let (id, address) = bytes.split_at_checked(20).unwrap_or_default();
    (peer(address).0, hex_text(id))
}

fn one_hash(bytes: &[u8]) -> (String, String) {
    (hex_text(bytes), String::new())
}

/// Whether a dictionary is a packet, broken or not.
pub fn looks_like_one(bytes: &[u8]) -> bool {
    decode_prefix(bytes).is_ok_and(|top| {
        let kind = top.get("y").and_then(|kind| kind.bytes());
        top.get("t").is_some() && kind.is_some_and(|kind| kind.len() == 1)
    })
}
