//! The likely cause in what a client sent to a tracker.

use crate::actors::recording::{Chunk, Recording, Way};
use crate::actors::udp_tracker::action;
use crate::lab::announce::{ReceivedAnnounce, scraped};
use crate::lab::hints;
use crate::s18_udp_tracker::packet::{PROTOCOL_ID, Request, RequestBody};

/// The most bytes that are looked at.
const MAX_BYTES: usize = 64 << 10;

/// Returns the likely cause in what a client sent to a tracker. If it is to dial peers itself, the
/// port that it names is no cause of anything.
pub(super) fn cause(recording: &Recording, dials: bool) -> Option<String> {
    if recording.is_silent() {
        return None;
    }
    let port = |port| hints::reversed_port(port).filter(|_| !dials);
    if recording.partner().starts_with("udp:") {
        of_packets(&recording.beginning(MAX_BYTES), port)
    } else {
        of_request(&recording.opening(MAX_BYTES), port)
    }
}

/// Returns the likely cause in an HTTP request.
fn of_request(bytes: &[u8], of_port: impl Fn(u16) -> Option<String>) -> Option<String> {
    let head = String::from_utf8_lossy(bytes);
    let line = head.lines().next().unwrap_or_default();
    let [method, target, _] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Some(hints::http(bytes));
    };
    if ["POST", "HEAD", "PUT"].contains(&method) {
        return Some(format!("a tracker is asked with GET, and not with {method}"));
    }
    if method != "GET" || !line.is_ascii() || !head.contains("\r\n\r\n") {
        return Some(hints::http(bytes));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if query.contains('?') {
        return Some("the URL has a ? already: what you add to it goes on with &".to_owned());
    }
    if path.ends_with("scrape") {
        return scraped(query).err().map(|error| error.to_string());
    }
    match ReceivedAnnounce::decode(query) {
        Ok(received) => of_port(received.announce.port),
        Err(error) => Some(error.to_string()),
    }
}

/// Returns the likely cause in the packets to a UDP tracker, and its answers.
fn of_packets(chunks: &[Chunk], of_port: impl Fn(u16) -> Option<String>) -> Option<String> {
    let mut given: Vec<[u8; 8]> = Vec::new();
    for Chunk { way, bytes, .. } in chunks {
        match way {
            Way::FromClient => match Request::decode(bytes) {
                Err(error) => return Some(format!("{error}{}", hints::packet(bytes))),
                Ok(Request { ask: RequestBody::Connect, .. }) => {}
                Ok(Request { connection_id, .. }) => {
                    let cause = connection(connection_id.to_be_bytes(), &given);
                    if cause.is_some() {
                        return cause.map(str::to_owned);
                    }
                }
            },
            // The answer to a connect: action, transaction id, connection id.
            Way::ToClient => given.extend(
                bytes.strip_prefix(&[0; 4]).and_then(|rest| rest.get(4..)?.first_chunk::<8>()),
            ),
        }
    }
    let is_announce =
        |chunk: &&Chunk| chunk.way == Way::FromClient && action(&chunk.bytes) == Some(1);
    let last = chunks.iter().rfind(is_announce)?;
    match Request::decode(&last.bytes).ok()?.ask {
        RequestBody::Announce { announce, .. } => of_port(announce.port),
        _ => None,
    }
}

/// Returns what is wrong with the connection id of a request, if the tracker has given these.
fn connection(id: [u8; 8], given: &[[u8; 8]]) -> Option<&'static str> {
    let mut reversed = id;
    reversed.reverse();
    let ends_like = |given: &[u8; 8]| given[..4] == id[4..];
    match given {
        _ if given.contains(&id) => None,
        _ if id == PROTOCOL_ID.to_be_bytes() => Some(
            "only a connect begins with the protocol id; an announce begins with the connection id of the answer",
        ),
        _ if given.contains(&reversed) => Some("the connection id was sent low byte first"),
        _ if given.iter().any(ends_like) => {
            Some("the connection id is bytes 8 to 15 of the answer to connect")
        }
        [] => Some("a connect comes first: its answer has the connection id for the announce"),
        _ => Some("an announce begins with the connection id that this tracker has just given"),
    }
}
