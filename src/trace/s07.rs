//! Stage 7 on the wire: message 20, and the extension handshake.

use std::net::IpAddr;

use super::s01::{self, Meaning};
use super::s08;
use super::walk::Walk;
use super::{Context, Object, hex_text};
use crate::s01_bencode::Kind;
use crate::s07_extension::{ExtensionError, ExtensionHandshake, dont_have};
use crate::s08_metadata::message::MetadataMessage;

/// A message of which only the receiver knows the extension.
const UNKNOWN: &str = "extension message";

/// The payload of an extension handshake: the dictionary.
pub fn handshake(bytes: &[u8]) -> Object {
    let mut object = Object::new("extension handshake", bytes.len(), 7, "BEP 10");
    s01::prefix(&mut object, bytes, lexicon);
    if object.broken.is_none() && object.covered() < bytes.len() {
        object.add(
            bytes.len(),
            "",
            hex_text(bytes.get(object.covered()..).unwrap_or_default()),
            "ignored: it follows the dictionary",
        );
    }
    match ExtensionHandshake::decode(bytes) {
        Ok(said) => {
            let names: Vec<String> = said.m.iter().filter(|(_, id)| **id != 0).map(|(name, id)| format!("{name} {id}")).collect();
            let names = names.get(..8).map_or_else(|| names.join(", "), |first| format!("{}, ..", first.join(", ")));
            let version = said.v.filter(|v| !v.is_empty()).map(|v| super::quoted(v.as_bytes()));
            object.summary =
                [version.unwrap_or_default(), super::printable(&names)].join(": ").trim_matches([':', ' ']).to_owned();
        }
        Err(ExtensionError::NotDictionary { found }) => object.break_at(0..bytes.len(), "a dictionary", found),
        Err(_) => {}
    }
    object
}

/// The payload of a message 20, behind the id. Its fields go behind those that are there.
pub(super) fn extended(walk: &mut Walk, context: &Context) -> Option<String> {
    let id = walk.number(1, "extension id")?;
    walk.object.stage = 7;
    let payload = walk.left();
    let known = u8::try_from(id).ok().and_then(|id| context.extensions.get(&id)).map(String::as_str);
    let looks = known.is_none();
    let inner = match known {
        _ if id == 0 => handshake(payload),
        Some(s08::NAME) => s08::message(payload),
        Some(dont_have::NAME) => lost(payload),
        None if MetadataMessage::decode(payload).is_ok() => s08::message(payload),
        None if payload.len() == 4 => lost(payload),
        _ => other(payload, known),
    };
    let name = inner.name.split(' ').next().unwrap_or_default();
    match id {
        0 => walk.note("the extension handshake"),
        _ if inner.name == UNKNOWN => walk.note("the receiver's handshake says which one"),
        _ if looks => walk.note(&format!("{name} by its looks; the receiver's handshake says it")),
        _ => walk.note(&format!("{name}: so says the receiver's handshake")),
    }
    walk.object.name.clone_from(&inner.name);
    (walk.object.stage, walk.object.spec) = (inner.stage, inner.spec);
    let summary = inner.summary.clone();
    walk.object.append(inner);
    Some(summary)
}

/// `lt_donthave`
fn lost(payload: &[u8]) -> Object {
    let mut walk = Walk::new(payload, dont_have::NAME, 7, "BEP 54");
    let piece = walk.number(4, "index");
    walk.note("a piece that the sender no longer has");
    walk.object.summary = piece.map(|piece| format!("piece {piece}")).unwrap_or_default();
    walk.end()
}

/// An extension that no stage knows: bencode, or just bytes.
fn other(payload: &[u8], name: Option<&str>) -> Object {
    let name = name.map_or(UNKNOWN.to_owned(), |name| super::excerpt(name.as_bytes()));
    let mut object = Object::new(name, payload.len(), 7, "BEP 10");
    if payload.first() == Some(&b'd') && crate::s01_bencode::decode_prefix(payload).is_ok() {
        s01::prefix(&mut object, payload, s01::no_lexicon);
    }
    let rest = payload.get(object.covered()..).unwrap_or_default();
    if !rest.is_empty() {
        object.add(payload.len(), "payload", hex_text(rest), "");
    }
    object
}

/// What the keys of an extension handshake mean.
fn lexicon(path: &str, value: &Kind) -> Meaning {
    let ip = |bytes: &[u8]| {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
        v4.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok()).map(|ip| ip.to_string())
    };
    match (path, value) {
        ("yourip", Kind::Bytes(bytes)) => Meaning { value: ip(bytes), ..Meaning::note("your address as the sender sees it") },
        ("ipv4" | "ipv6", Kind::Bytes(bytes)) => Meaning { value: ip(bytes), ..Meaning::note("the sender's other address") },
        (path, Kind::Integer(0)) if path.starts_with("m.") => Meaning::note("turned off"),
        (path, Kind::Integer(id)) if path.starts_with("m.") => Meaning::note(format!("send it to me with extension id {id}")),
        _ => Meaning::note(match path {
            "p" => "where the sender listens",
            "v" => "the sender's program",
            "reqq" => "how many requests it queues before it drops any",
            "metadata_size" => "BEP 9: bytes in the info dictionary",
            "upload_only" => "BEP 21: 1 wants no more pieces",
            _ => "",
        }),
    }
}
