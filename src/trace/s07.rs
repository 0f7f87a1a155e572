//! Stage 7 on the wire: message 20, the extension handshake, and messages of extensions
//! that have no stage of their own.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::peers::{peer_v4, peer_v6};
use super::s01::{self, Meaning};
use super::s08;
use super::walk::Walk;
use super::{Context, Object, excerpt, hex_text, quoted};
use crate::s01_bencode::limits::TORRENT;
use crate::s01_bencode::{Kind, Value, decode_prefix};
use crate::s07_extension::kept::LIMITS;
use crate::s07_extension::{ExtensionError, ExtensionHandshake, dont_have};
use crate::s08_metadata::message::MetadataMessage;

/// The name of a message whose extension only the receiver knows.
const UNKNOWN: &str = "extension message";

/// Peers that the sender has met or lost since its last message of this kind (BEP 11).
const PEX: &str = "ut_pex";
/// A value of the extension handshake, sent again because it has changed.
const UPLOAD_ONLY: &str = "upload_only";
const UPLOAD_ONLY_MEANS: &str = "BEP 21: 1 wants no more pieces";

/// The lists of addresses in a `ut_pex` message, and the size of an address in bytes.
const PEX_LISTS: [(&str, usize); 4] =
    [("added", 6), ("added6", 18), ("dropped", 6), ("dropped6", 18)];
/// The meaning of the bits in `added.f`, which has a byte for each peer in `added`.
const PEX_FLAGS: [&str; 5] = [
    "prefers encryption",
    "a seed or upload only",
    "speaks uTP",
    "speaks ut_holepunch",
    "the sender has dialed it",
];

/// Describes the payload of an extension handshake: the dictionary.
pub fn handshake(bytes: &[u8]) -> Object {
    let mut object = Object::new("extension handshake", bytes.len(), 7, "BEP 10");
    s01::first_keys(&mut object, bytes, LIMITS, lexicon);
    if object.broken.is_none() && object.covered() < bytes.len() {
        object.add(
            bytes.len(),
            "",
            hex_text(bytes.get(object.covered()..).unwrap_or_default()),
            "ignored: it follows the dictionary",
        );
    }
    match ExtensionHandshake::decode(bytes) {
        Ok(handshake) => {
            let on = || handshake.m.iter().filter(|(_, id)| **id != 0);
            let names: Vec<String> = on()
                .take(8)
                .map(|(name, id)| format!("{} {id}", excerpt(name.as_bytes())))
                .collect();
            let more = if on().nth(8).is_some() { ", .." } else { "" };
            let names = (!names.is_empty()).then(|| names.join(", ") + more);
            let version = handshake.v.filter(|v| !v.is_empty()).map(|v| quoted(v.as_bytes()));
            object.summary = version.into_iter().chain(names).collect::<Vec<_>>().join(": ");
            object.pass_over(&handshake.passed_over);
        }
        Err(ExtensionError::NotDictionary { found }) => {
            object.break_at(0..bytes.len(), "a dictionary", found)
        }
        Err(_) => {}
    }
    object
}

/// Adds the names in an extension handshake, by the ids that its sender wants to receive.
/// A later handshake adds to an earlier one, and an id of 0 removes a name.
pub(super) fn learn(names: &mut BTreeMap<u8, String>, handshake: ExtensionHandshake) {
    for (name, id) in handshake.m {
        let name = excerpt(name.as_bytes());
        names.retain(|_, known| *known != name);
        if id != 0 {
            names.insert(id, name);
        }
    }
}

/// Adds the payload of a message 20, which follows the id.
pub(super) fn extended(walk: &mut Walk, context: &Context) -> Option<String> {
    let id = walk.number(1, "extension id")?;
    walk.object.stage = 7;
    let payload = walk.left();
    let known =
        u8::try_from(id).ok().and_then(|id| context.extensions.get(&id)).map(String::as_str);
    let looks = known.is_none();
    let inner = match known {
        _ if id == 0 => handshake(payload),
        Some(s08::NAME) => s08::message(payload),
        Some(dont_have::NAME) => lost(payload),
        Some(PEX) => met(payload),
        Some(UPLOAD_ONLY) => upload_only(payload),
        None if MetadataMessage::decode(payload).is_ok() => s08::message(payload),
        None if looks_like_pex(payload) => met(payload),
        None if payload.len() == 4 => lost(payload),
        _ => other(payload, known),
    };
    let name = inner.name.split(' ').next().unwrap_or_default();
    match id {
        0 => walk.note("the extension handshake"),
        0x64 if inner.name == UNKNOWN => {
            walk.note("a d? perhaps the extension id is missing, 0 for the handshake")
        }
        _ if inner.name == UNKNOWN => walk.note("the receiver's handshake says which one"),
        _ if looks => walk.note(&format!("{name} by its looks; the receiver's handshake says it")),
        _ => walk.note(&format!("{name}, according to the receiver's handshake")),
    }
    walk.object.name.clone_from(&inner.name);
    (walk.object.stage, walk.object.spec) = (inner.stage, inner.spec);
    let summary = inner.summary.clone();
    walk.object.append(inner);
    Some(summary)
}

/// Describes `lt_donthave`.
fn lost(payload: &[u8]) -> Object {
    let mut walk = Walk::new(payload, dont_have::NAME, 7, "BEP 54");
    let piece = walk.number(4, "index");
    walk.note("a piece that the sender no longer has");
    walk.object.summary = piece.map(|piece| format!("piece {piece}")).unwrap_or_default();
    walk.end()
}

/// Describes `upload_only`.
fn upload_only(payload: &[u8]) -> Object {
    let mut walk = Walk::new(payload, UPLOAD_ONLY, 7, "BEP 21");
    let now = walk.number(1, UPLOAD_ONLY);
    walk.note(UPLOAD_ONLY_MEANS);
    walk.object.summary =
        now.map(|now| if now == 0 { "no" } else { "yes" }.to_owned()).unwrap_or_default();
    walk.end()
}

fn looks_like_pex(payload: &[u8]) -> bool {
    decode_prefix(payload).is_ok_and(|top| {
        PEX_LISTS.iter().any(|(key, _)| top.get(key).is_some_and(|list| list.bytes().is_some()))
    })
}

/// Describes `ut_pex`.
fn met(payload: &[u8]) -> Object {
    let mut object = Object::new(PEX, payload.len(), 7, "BEP 11");
    s01::whole(&mut object, payload, pex_lexicon);
    let Ok(top) = decode_prefix(payload) else { return object };
    if top.dictionary().is_none() {
        object.break_at(0..payload.len(), "a dictionary", top.type_name());
    }
    let (mut added, mut dropped) = (0, 0);
    for (key, size) in PEX_LISTS {
        let Some(list) = top.get(key) else { continue };
        match list.bytes() {
            Some(peers) if peers.len() % size == 0 => {
                *if key.starts_with("added") { &mut added } else { &mut dropped } +=
                    peers.len() / size;
            }
            Some(peers) => {
                let expected = format!("{key} to be a multiple of {size} bytes");
                object.break_field(key, expected, super::counted(peers.len(), "byte"));
            }
            None => object.break_field(key, format!("{key} to be a byte string"), list.type_name()),
        }
        let flags = format!("{key}.f");
        let expected = list.bytes().map_or(0, |peers| peers.len() / size);
        if let Some(found) =
            top.get(&flags).and_then(Value::bytes).filter(|flags| flags.len() != expected)
        {
            let expected =
                format!("{flags} to be {}, one a peer", super::counted(expected, "byte"));
            object.break_field(&flags, expected, super::counted(found.len(), "byte"));
        }
    }
    object.summary = format!("{added} added, {dropped} dropped");
    object
}

/// Returns the meaning of a `ut_pex` message's keys.
fn pex_lexicon(path: &str, value: &Kind) -> Meaning {
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
            ..Meaning::items("flags of peer", 1, pex_flags)
        },
        _ => Meaning::default(),
    }
}

fn pex_flags(byte: &[u8]) -> (String, String) {
    let flags = byte.first().copied().unwrap_or_default();
    let names = (0..).zip(PEX_FLAGS).filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, name)| name);
    (format!("0x{flags:02x}"), names.collect::<Vec<_>>().join("; "))
}

/// Describes a message of an unknown extension: bencode, or just bytes.
fn other(payload: &[u8], name: Option<&str>) -> Object {
    let name = name.map_or(UNKNOWN.to_owned(), |name| excerpt(name.as_bytes()));
    let mut object = Object::new(name, payload.len(), 7, "BEP 10");
    if payload.first() == Some(&b'd') && decode_prefix(payload).is_ok() {
        s01::prefix(&mut object, payload, TORRENT, s01::no_lexicon);
    }
    let rest = payload.get(object.covered()..).unwrap_or_default();
    if !rest.is_empty() {
        object.add(payload.len(), "payload", hex_text(rest), "");
    }
    object
}

/// Returns the meaning of an extension handshake's keys.
fn lexicon(path: &str, value: &Kind) -> Meaning {
    let ip = |bytes: &[u8]| {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
        v4.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok()).map(|ip| ip.to_string())
    };
    match (path, value) {
        ("yourip", Kind::Bytes(bytes)) => {
            Meaning { value: ip(bytes), ..Meaning::note("your address as the sender sees it") }
        }
        ("ipv4" | "ipv6", Kind::Bytes(bytes)) => {
            Meaning { value: ip(bytes), ..Meaning::note("the sender's other address") }
        }
        (path, Kind::Integer(0)) if path.starts_with("m.") => Meaning::note("turned off"),
        (path, Kind::Integer(id)) if path.starts_with("m.") => {
            Meaning::note(format!("send it to me with extension id {id}"))
        }
        _ => Meaning::note(match path {
            "p" => "where the sender listens",
            "v" => "the sender's program",
            "reqq" => "how many requests it queues before it drops any",
            "metadata_size" => "BEP 9: bytes in the info dictionary",
            "upload_only" => UPLOAD_ONLY_MEANS,
            "e" => "1 prefers encrypted connections",
            "complete_ago" => {
                "seconds since the sender last saw all pieces among its peers; -1: never"
            }
            _ => "",
        }),
    }
}
