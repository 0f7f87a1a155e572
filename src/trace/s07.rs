//! Stage 7 on the wire: message 20, the extension handshake, and messages of extensions
//! that have no stage of their own.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::s01::{self, Meaning};
use super::walk::Walk;
use super::{Context, Object, excerpt, hex_text, quoted};
use super::{s08, s19};
use crate::s01_bencode::limits::TORRENT;
use crate::s01_bencode::{Kind, decode_prefix};
use crate::s07_extension::kept::LIMITS;
use crate::s07_extension::{ExtensionError, ExtensionHandshake, dont_have};
use crate::s08_metadata::message::MetadataMessage;
use crate::s19_pex;

/// The name of a message whose extension only the receiver knows.
const UNKNOWN: &str = "extension message";

/// A value of the extension handshake, sent again because it has changed.
const UPLOAD_ONLY: &str = "upload_only";
const UPLOAD_ONLY_MEANS: &str = "BEP 21: 1 wants no more pieces";

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
        Some(s19_pex::NAME) => s19::message(payload),
        Some(UPLOAD_ONLY) => upload_only(payload),
        None if MetadataMessage::decode(payload).is_ok() => s08::message(payload),
        None if s19::looks_like_one(payload) => s19::message(payload),
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
