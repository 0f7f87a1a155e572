//! Stage 3 on the wire: an announce and its answer, and peer ids.

use std::net::IpAddr;

use super::client::Client;
use super::peers::{one_peer_id, peer_v4, peer_v6};
use super::s01::{self, Meaning};
use super::walk::Walk;
use super::{MAX_PARAMETERS, Object, counted, hex_text, quoted, s18};
use crate::s01_bencode::{Kind, excerpt, printable};
use crate::s03_tracker::{AnnounceResponse, LIMITS, PeerId, TrackerError};

/// Describes a peer id: the part that names the program, and the rest.
pub fn peer_id(bytes: &[u8]) -> Object {
    let mut walk = Walk::new(bytes, "peer id", 3, "BEP 20");
    let client = bytes.first_chunk().and_then(|id| Client::of(&PeerId(*id)));
    match client {
        Some(client) => {
            walk.object.summary = client.to_string();
            let tag = client.tag.len();
            walk.take(tag, "client", |bytes| (quoted(bytes), client.to_string()));
            walk.take(20 - tag, "random", |bytes| (quoted(bytes), "new for each run".to_owned()));
        }
        None => {
            let note = "it names no program";
            walk.take(20, "peer id", |bytes| (quoted(bytes), note.to_owned()));
        }
    }
    walk.end()
}

/// Describes 20 bytes that may be an info hash or a peer id: both readings, a line each.
pub fn info_hash(bytes: &[u8]) -> Object {
    let mut walk = Walk::new(bytes, "info hash or peer id", 3, "BEP 3");
    walk.take(20, "20 bytes", |bytes| {
        let readings = format!("info hash {}\nor peer id {}", hex_text(bytes), quoted(bytes));
        (readings, "as a peer id it names no program".to_owned())
    });
    walk.end()
}

/// Describes the body of a tracker's answer to an announce or to a scrape, which has `files`
/// in place of peers.
pub fn answer(bytes: &[u8]) -> Object {
    let mut object = Object::new("tracker answer", bytes.len(), 3, "BEP 3");
    s01::first_keys(&mut object, bytes, LIMITS, lexicon);
    if object.broken.is_none() && object.covered() < bytes.len() {
        object.add(
            bytes.len(),
            "",
            quoted(bytes.get(object.covered()..).unwrap_or_default()),
            "ignored: it follows the value",
        );
    }
    if object.field("files").is_some() && object.field("peers").is_none() {
        return s18::scraped(object, bytes);
    }
    match AnnounceResponse::decode(bytes) {
        Ok(announced) => {
            object.summary = counted(announced.peers.len() + announced.named.len(), "peer");
            object.pass_over(&announced.passed_over);
        }
        Err(TrackerError::Failure { reason, .. }) => {
            object.summary = format!("the tracker refuses: {reason}")
        }
        Err(TrackerError::Answer { key, expected, found }) => {
            object.break_field(key, format!("{key} to be {expected}"), found)
        }
        Err(_) => {}
    }
    object
}

/// Returns the meaning of an answer's keys.
fn lexicon(path: &str, value: &Kind) -> Meaning {
    match (path, value) {
        ("peers", Kind::Bytes(_)) => {
            Meaning { note: "BEP 23: compact".to_owned(), ..Meaning::items("peer", 6, peer_v4) }
        }
        ("peers6", Kind::Bytes(_)) => {
            Meaning { note: "BEP 7: compact".to_owned(), ..Meaning::items("peer", 18, peer_v6) }
        }
        ("peers[].peer id", Kind::Bytes(id)) => Meaning::note(one_peer_id(id).1),
        ("external ip", Kind::Bytes(ip)) => {
            let v4 = <[u8; 4]>::try_from(*ip).map(IpAddr::from).ok();
            let value = v4
                .or_else(|| <[u8; 16]>::try_from(*ip).map(IpAddr::from).ok())
                .map(|ip| ip.to_string());
            Meaning { value, ..Meaning::note("BEP 24: our address as the tracker sees it") }
        }
        // For each torrent of a scrape: `files.$hex:d69f..7f.complete`.
        _ => Meaning::note(
            match path
                .strip_prefix("files.")
                .map_or(path, |path| path.rsplit('.').next().unwrap_or_default())
            {
                "interval" => "seconds until the next announce",
                "min interval" => "seconds, at the least",
                "complete" => "how many have everything",
                "incomplete" => "how many are still downloading",
                "downloaded" => "how many ever finished",
                "tracker id" => "to be sent back with the next announce",
                "failure reason" => "the tracker refuses",
                "retry in" => "BEP 31: minutes, or never",
                "warning message" => "for people to read; the announce worked",
                "peers[].ip" | "peers[].port" => "BEP 3: not compact",
                "flags.min_request_interval" => {
                    "BEP 48: seconds until the next scrape, at the least"
                }
                _ => "",
            },
        ),
    }
}

/// Describes a request to a tracker over HTTP: its head, or only its URL.
pub fn request(bytes: &[u8]) -> Object {
    let line = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let words: Vec<&str> = std::str::from_utf8(line).unwrap_or_default().splitn(3, ' ').collect();
    let (method, target) = match words.as_slice() {
        [text] if text.len() == bytes.len() => return url(text),
        [method, target, _] => (method, target),
        _ => {
            let mut object = head("HTTP request", bytes);
            object.break_at(
                0..line.len(),
                "a first line like GET /announce?... HTTP/1.1",
                quoted(line.trim_ascii_end()),
            );
            return object;
        }
    };
    let asked = match Object::new("HTTP request", target.len(), 3, "BEP 3") {
        object if target.starts_with('/') => on_from_path(object, target),
        _ => url(target),
    };
    let mut object = Object::new(&asked.name, bytes.len(), asked.stage, asked.spec);
    object.summary.clone_from(&asked.summary);
    object.add(method.len() + 1, "method", excerpt(method.as_bytes()), "");
    object.append(asked);
    object.append(head("", bytes.get(object.covered()..).unwrap_or_default()));
    object
}

/// Describes the response: the body, with or without HTTP's head.
pub fn response(bytes: &[u8]) -> Object {
    if !bytes.starts_with(b"HTTP/") {
        return answer(bytes);
    }
    let body_at =
        bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let (first, body) = bytes.split_at(body_at);
    let body = answer(body);
    let mut object = Object { length: bytes.len(), ..head(&body.name, first) };
    (object.stage, object.spec) = (body.stage, body.spec);
    object.summary.clone_from(&body.summary);
    object.append(body);
    object
}

/// Describes lines of HTTP, a field each.
fn head(name: &str, bytes: &[u8]) -> Object {
    let mut object = Object::new(name, bytes.len(), 3, "BEP 3");
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let shown = printable(&String::from_utf8_lossy(line.trim_ascii()));
        object.add(object.covered() + line.len(), "head", excerpt(shown.as_bytes()), "");
        object.add_many(MAX_PARAMETERS, bytes.len(), "head");
        if object.covered() == bytes.len() {
            break;
        }
    }
    object
}

/// Describes the URL of a tracker, or of an announce with all its parameters.
pub fn url(text: &str) -> Object {
    let mut object = Object::new("tracker URL", text.len(), 3, "BEP 3");
    let Some((scheme, _)) = text.split_once("://") else {
        object.break_at(0..text.len(), "http://, https:// or udp://", quoted(text.as_bytes()));
        return object;
    };
    let spec = match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => "over HTTP",
        "udp" => "over UDP: BEP 15",
        _ => "",
    };
    object.add(scheme.len() + 3, "scheme", excerpt(scheme.as_bytes()), spec);
    if spec.is_empty() {
        object.break_at(0..scheme.len(), "http, https or udp", excerpt(scheme.as_bytes()));
    }
    part(&mut object, text, &['/', '?', '#'], "host and port");
    if object.fields.last().is_none_or(|host| host.name != "host and port") {
        let at = object.covered();
        object.break_at(at..at, "a host, such as 127.0.0.1:6969", "nothing");
    }
    on_from_path(object, text)
}

/// Describes a URL from its path on.
fn on_from_path(mut object: Object, text: &str) -> Object {
    part(&mut object, text, &['?', '#'], "path");
    while text.get(object.covered()..).is_some_and(|rest| rest.starts_with(['?', '&'])) {
        let next = end(text, object.covered() + 1, &['&', '#']);
        parameter(&mut object, text, next);
        object.add_many(MAX_PARAMETERS, text.len(), "parameters");
    }
    part(&mut object, text, &[], "fragment");
    if object.field("info_hash").is_some() {
        object.name = "announce".to_owned();
        object.summary = object.field("event").map(|event| event.value.clone()).unwrap_or_default();
        if text.contains("/scrape") {
            (object.name, object.stage, object.spec) = ("scrape".to_owned(), 18, "BEP 48");
        }
    }
    object
}

/// Returns the offset of the first of these signs, or else the end.
fn end(text: &str, start: usize, signs: &[char]) -> usize {
    text.get(start..).and_then(|rest| rest.find(signs)).map_or(text.len(), |at| start + at)
}

/// Adds the part of the URL up to one of these signs, if it is not empty.
fn part(object: &mut Object, text: &str, signs: &[char], name: &str) {
    let end = end(text, object.covered(), signs);
    if let Some(part) = text.get(object.covered()..end).filter(|part| !part.is_empty()) {
        object.add(end, name, excerpt(part.as_bytes()), "");
    }
}

/// Adds `?key=value` or `&key=value`, up to `end`.
fn parameter(object: &mut Object, text: &str, end: usize) {
    let start = object.covered();
    let pair = text.get(start..end).unwrap_or_default().trim_start_matches(['?', '&']);
    let (key, raw) = pair.split_once('=').unwrap_or((pair, ""));
    let value = urlencoding::decode_binary(raw.as_bytes());
    let number = || raw.bytes().all(|byte| byte.is_ascii_digit()) && !raw.is_empty();
    let (shown, note, expected) = match key {
        "info_hash" if value.len() == 20 => (hex_text(&value), "the torrent".to_owned(), None),
        "info_hash" => (quoted(&value), hint(&value).to_owned(), Some("20 bytes")),
        "peer_id" => {
            (quoted(&value), one_peer_id(&value).1, (value.len() != 20).then_some("20 bytes"))
        }
        "port" => (
            quoted(&value),
            "where the client listens".to_owned(),
            raw.parse::<u16>().is_err().then_some("0 to 65535"),
        ),
        "uploaded" | "downloaded" | "left" => {
            (quoted(&value), "bytes".to_owned(), (!number()).then_some("a number of bytes"))
        }
        _ => (quoted(&value), meaning(key).to_owned(), None),
    };
    let shown = if expected.is_none() && number() { raw.to_owned() } else { shown };
    object.add(end, excerpt(key.as_bytes()), cut(shown), note);
    if let Some(expected) = expected {
        let found = if expected == "20 bytes" {
            counted(value.len(), "byte")
        } else {
            quoted(raw.as_bytes())
        };
        object.break_at(start..end, format!("{key} to be {expected}"), found);
    }
}

/// Returns the likely mistake in an info hash that is not 20 bytes long.
fn hint(value: &[u8]) -> &'static str {
    match value.len() {
        40 => "hex? the bytes themselves are wanted, each as it is or as %xx",
        _ => "each byte as it is, or as %xx",
    }
}

/// Cuts a long value: a number may have any number of digits.
fn cut(text: String) -> String {
    if text.len() > 200 { excerpt(text.as_bytes()) } else { text }
}

fn meaning(key: &str) -> &'static str {
    match key {
        "event" => "what has just happened: started, completed or stopped",
        "compact" => "BEP 23: 1 asks for 6 bytes a peer",
        "numwant" => "how many peers are wanted",
        "key" => "proves, after the address has changed, that it is still the same client",
        "trackerid" => "the id from the tracker's last answer, echoed back",
        "ip" => "where the client says it is; most trackers ignore it",
        "no_peer_id" => "1 asks for no peer ids in the answer",
        "passkey" | "authkey" => "the user of a private tracker: keep it to yourself",
        _ => "",
    }
}
