//! Stage 19 on the wire: the peers that a peer names.

use super::peers::{peer_v4, peer_v6};
use super::s01::{self, Meaning};
use super::{Object, counted};
use crate::s01_bencode::{Kind, Value, decode_prefix};
use crate::s19_pex::NAME;

/// The lists of addresses in a `ut_pex` message, and the size of an address in bytes.
const LISTS: [(&str, usize); 4] = [("added", 6), ("added6", 18), ("dropped", 6), ("dropped6", 18)];
/// The meaning of the bits in `added.f`, which has a byte for each peer in `added`.
const FLAGS: [&str; 5] = [
    "prefers encryption",
    "a seed or upload only",
    "speaks uTP",
    "speaks ut_holepunch",
    "the sender has dialed it",
];

/// Whether a payload has a list of peers under one of the keys.
pub fn looks_like_one(payload: &[u8]) -> bool {
    decode_prefix(payload).is_ok_and(|top| {
        LISTS.iter().any(|(key, _)| top.get(key).is_some_and(|list| list.bytes().is_some()))
    })
}

/// Describes `ut_pex`.
pub fn message(payload: &[u8]) -> Object {
    let mut object = Object::new(NAME, payload.len(), 19, "BEP 11");
    s01::whole(&mut object, payload, lexicon);
    let Ok(top) = decode_prefix(payload) else { return object };
    if top.dictionary().is_none() {
        object.break_at(0..payload.len(), "a dictionary", top.type_name());
    }
    let (mut added, mut dropped) = (0, 0);
    for (key, size) in LISTS {
        let Some(list) = top.get(key) else { continue };
        match list.bytes() {
            Some(peers) if peers.len() % size == 0 => {
                *if key.starts_with("added") { &mut added } else { &mut dropped } +=
                    peers.len() / size;
            }
            Some(peers) => {
                let expected = format!("{key} to be a multiple of {size} bytes");
                object.break_field(key, expected, counted(peers.len(), "byte"));
            }
            None => object.break_field(key, format!("{key} to be a byte string"), list.type_name()),
        }
        let flags = format!("{key}.f");
        let expected = list.bytes().map_or(0, |peers| peers.len() / size);
        if let Some(found) =
            top.get(&flags).and_then(Value::bytes).filter(|flags| flags.len() != expected)
        {
            let expected = format!("{flags} to be {}, one a peer", counted(expected, "byte"));
            object.break_field(&flags, expected, counted(found.len(), "byte"));
        }
    }
    object.summary = format!("{added} added, {dropped} dropped");
    object
}

/// Returns the meaning of a `ut_pex` message's keys.
fn lexicon(path: &str, value: &Kind) -> Meaning {
    let Kind::Bytes(_) = value else { return Meaning::default() };
    let list = |note: &str, size| {
        let show = if size == 6 { peer_v4 } else { peer_v6 };
        Meaning { note: note.to_owned(), ..Meaning::items("peer", size, show) }
    };
    match path {
        "added" => list("peers that the sender has met, IPv4", 6),
        "added6" => list("the same, IPv6", 18),
        "dropped" => list("peers that the sender has lost, IPv4", 6),
        "dropped6" => list("the same, IPv6", 18),
        "added.f" | "added6.f" => Meaning {
            note: "a byte of flags for each".to_owned(),
            ..Meaning::items("flags of peer", 1, flag_names)
        },
        _ => Meaning::default(),
    }
}

/// Returns a byte of flags as a number, and what they mean.
fn flag_names(byte: &[u8]) -> (String, String) {
    let flags = byte.first().copied().unwrap_or_default();
    let names = (0..).zip(FLAGS).filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, name)| name);
    (format!("0x{flags:02x}"), names.collect::<Vec<_>>().join("; "))
}
