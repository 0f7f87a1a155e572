//! Stage 18 on the wire: UDP packets, in both directions, and the answer to a scrape over HTTP.

use super::peers::{one_peer_id, peer_v4, peer_v6};
use super::walk::Walk;
use super::{Object, counted, hex_text, quoted};
use crate::s01_bencode::{Value, decode_prefix};
use crate::s18_udp_tracker::packet::{Answer, Family, PROTOCOL_ID, PacketError, Request};

/// Describes a packet from a client.
pub fn request(bytes: &[u8]) -> Object {
    let mut walk = Walk::new(bytes, "UDP request", 18, "BEP 15");
    if let Some(id) = walk.number(8, "connection id") {
        let magic = id == PROTOCOL_ID;
        walk.say(format!("{id:016x}"));
        walk.note(if magic {
            "the protocol id: there is no connection yet"
        } else {
            "what the tracker gave us"
        });
    }
    let action = walk.number(4, "action");
    transaction(&mut walk);
    match action {
        Some(0) => {
            named(&mut walk, "UDP connect", "connect");
            spare(&mut walk);
        }
        Some(1) => {
            named(&mut walk, "UDP announce", "announce");
            announce(&mut walk);
        }
        Some(2) => {
            named(&mut walk, "UDP scrape", "scrape");
            let torrents = walk.left();
            walk.object
                .add_items(torrents, 20, "info hash", |hash| (hex_text(hash), String::new()));
            walk.object.summary = counted(torrents.len() / 20, "torrent");
        }
        _ => {}
    }
    verdict(walk, Request::decode(bytes).err())
}

/// Describes a packet from a tracker. The family decides the length of a peer, and no packet
/// says which one it is.
pub fn answer(bytes: &[u8], family: Family) -> Object {
    let mut walk = Walk::new(bytes, "UDP answer", 18, "BEP 15");
    let action = walk.number(4, "action");
    transaction(&mut walk);
    match action {
        Some(0) => {
            named(&mut walk, "UDP connect answer", "connect");
            if let Some(id) = walk.number(8, "connection id") {
                walk.say(format!("{id:016x}"));
                walk.note("goes into the requests of the next minute");
            }
            spare(&mut walk);
        }
        Some(1) => {
            named(&mut walk, "UDP announce answer", "announce");
            announced(&mut walk, family);
        }
        Some(2) => {
            named(&mut walk, "UDP scrape answer", "scrape");
            let torrents = walk.left();
            walk.object.add_items(torrents, 12, "torrent", counts);
            walk.object.summary = counted(torrents.len() / 12, "torrent");
        }
        Some(3) => {
            named(&mut walk, "UDP error", "error");
            let text = walk.left();
            if !text.is_empty() {
                walk.take(text.len(), "text", |bytes| (quoted(bytes), String::new()));
            }
            walk.object.summary = quoted(text);
        }
        _ => {}
    }
    verdict(walk, Answer::decode(bytes, family).err())
}

/// Completes an answer to a scrape over HTTP whose fields have been added.
pub(super) fn scraped(mut object: Object, bytes: &[u8]) -> Object {
    (object.name, object.stage, object.spec) = ("scrape answer".to_owned(), 18, "BEP 48");
    let mut wrong = None;
    for field in &mut object.fields {
        // Show an info hash in hex, even if its bytes happen to be text.
        if let Some(hash) = field.note.strip_prefix("end of files.$hex:") {
            field.note = format!("end of files.{}", short(hash));
        }
        let Some((hash, key)) =
            field.name.strip_prefix("files.$hex:").and_then(|path| path.split_at_checked(40))
        else {
            continue;
        };
        match field.value.as_str() {
            "{" if key.is_empty() => field.note = format!("the torrent {hash}"),
            _ if key.is_empty() => {
                wrong = wrong.or(Some((field.range.clone(), field.value.clone())))
            }
            _ => {}
        }
        field.name = format!("files.{}{key}", short(hash));
    }
    if let Some((range, found)) = wrong {
        object.break_at(range, "a dictionary of counts", found);
    }
    let Ok(top) = decode_prefix(bytes) else { return object };
    let Some(torrents) = top.get("files").and_then(Value::dictionary) else {
        let found = top.get("files").map_or("nothing", Value::type_name);
        object.break_field("files", "files to be a dictionary", found);
        return object;
    };
    let count = |counts: &Value, key| counts.get(key).and_then(Value::unsigned).unwrap_or(0);
    object.summary = match torrents {
        [(_, one)] => {
            three(count(one, "complete"), count(one, "downloaded"), count(one, "incomplete"))
        }
        _ => counted(torrents.len(), "torrent"),
    };
    object
}

/// Shortens an info hash in hex so that it can still be recognized: `d69f..9a7f`.
fn short(hash: &str) -> String {
    format!("{}..{}", hash.get(..4).unwrap_or_default(), hash.get(36..).unwrap_or_default())
}

fn three(seeders: u64, downloads: u64, leechers: u64) -> String {
    [counted(seeders, "seeder"), counted(downloads, "download"), counted(leechers, "leecher")]
        .join(", ")
}

/// Names the object by its action, which comes only after the transaction id.
fn named(walk: &mut Walk, name: &str, action: &str) {
    walk.object.name = name.to_owned();
    if let Some(field) = walk.object.fields.iter_mut().find(|field| field.name == "action") {
        field.note = action.to_owned();
    }
}

fn transaction(walk: &mut Walk) {
    if let Some(id) = walk.number(4, "transaction id") {
        walk.say(format!("{id:08x}"));
        walk.note("the answer repeats it");
    }
}

fn announce(walk: &mut Walk) {
    walk.take(20, "info hash", |bytes| (hex_text(bytes), "the torrent".to_owned()));
    walk.take(20, "peer id", one_peer_id);
    for name in ["downloaded", "left", "uploaded"] {
        walk.number(8, name);
        walk.note("bytes");
    }
    let (note, event) = match walk.number(4, "event") {
        Some(0) => ("none", ""),
        Some(1) => ("completed", "completed, "),
        Some(2) => ("started", "started, "),
        Some(3) => ("stopped", "stopped, "),
        _ => ("", ""),
    };
    walk.note(note);
    walk.number(4, "IP address");
    walk.note("0: the one that the packet comes from");
    if let Some(key) = walk.number(4, "key") {
        walk.say(format!("{key:08x}"));
    }
    if walk.number(4, "peers wanted") == Some(u64::from(u32::MAX)) {
        walk.say("-1");
        walk.note("as many as the tracker likes");
    }
    if let Some(port) = walk.number(2, "port") {
        walk.object.summary = format!("{event}port {port}");
        options(walk);
    }
}

/// Describes the options of BEP 41.
fn options(walk: &mut Walk) {
    for _ in 0..super::MAX_ITEMS {
        match *walk.left() {
            [] => return,
            [0, ..] => {
                walk.take(1, "option", |_| ("0".to_owned(), "BEP 41: the end".to_owned()));
                return spare(walk);
            }
            [1, ..] => {
                walk.take(1, "option", |_| ("1".to_owned(), "BEP 41: nothing".to_owned()));
            }
            [kind, length, ref rest @ ..] if rest.len() >= length.into() => {
                let note =
                    if kind == 2 { "BEP 41: path and query of the URL" } else { "not known here" };
                let length = usize::from(length);
                walk.take(2 + length, "option", |bytes| {
                    (quoted(bytes.get(2..).unwrap_or_default()), note.to_owned())
                });
            }
            _ => return, // cut short, as the decoder will report
        }
    }
    let left = walk.left();
    if !left.is_empty() {
        walk.take(left.len(), "options", |bytes| {
            (hex_text(bytes), "and more, not shown".to_owned())
        });
    }
}

/// Adds spare bytes as a field: a packet may be longer than it must be.
fn spare(walk: &mut Walk) {
    let left = walk.left();
    if !left.is_empty() {
        walk.take(left.len(), "", |bytes| (hex_text(bytes), "ignored".to_owned()));
    }
}

fn announced(walk: &mut Walk, family: Family) {
    for (name, note) in [
        ("interval", "seconds until the next announce"),
        ("leechers", "how many are still downloading"),
        ("seeders", "how many have everything"),
    ] {
        walk.number(4, name);
        walk.note(note);
    }
    if walk.object.broken.is_some() {
        return;
    }
    let peers = walk.left();
    let size = if family == Family::V4 { 6 } else { 18 };
    walk.object.add_items(
        peers,
        size,
        "peer",
        if family == Family::V4 { peer_v4 } else { peer_v6 },
    );
    walk.object.summary = counted(peers.len() / size, "peer");
}

fn counts(bytes: &[u8]) -> (String, String) {
    let count = |at: usize| {
        bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |four| u32::from_be_bytes(*four))
    };
    (three(count(0).into(), count(4).into(), count(8).into()), String::new())
}

/// Returns the object, with the error that the stage's decoder found.
fn verdict(walk: Walk, error: Option<PacketError>) -> Object {
    let length = walk.object.length;
    let behind = walk.object.covered()..length;
    let mut object = match error {
        None => walk.end(),
        Some(_) => walk.object,
    };
    match error {
        None => {}
        Some(PacketError::Short { what, expected, found }) => {
            object.break_at(
                length..length,
                format!("{what} of at least {expected} bytes"),
                found.to_string(),
            );
        }
        Some(PacketError::Value { field, expected, found }) => {
            let known = match field {
                "the action" => "action",
                "the event" => "event",
                "the protocol id" => "connection id",
                _ => "",
            };
            let (expected, field) = (
                format!("{field} to be {expected}"),
                object.field(known).map(|field| field.range.clone()),
            );
            let over = || object.fields.last().map_or(0..length, |last| last.range.clone());
            let range = field.unwrap_or_else(|| if behind.is_empty() { over() } else { behind });
            object.break_at(range, expected, found);
        }
    }
    object
}
