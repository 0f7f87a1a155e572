//! Stage 20 on the wire: the datagram of local service discovery.

use super::walk::Walk;
use super::{MAX_FIELDS, Object, clipped, counted, quoted};
use crate::s20_lsd::search::{
    BtSearch, MAX_LENGTH, SearchError, header, info_hash, is_end, is_search,
};

/// The most letters of an unknown header's name.
const MAX_NAME: usize = 24;

/// Describes a BT-SEARCH, a field for each of its lines.
pub fn search(bytes: &[u8]) -> Object {
    let mut walk = Walk::new(bytes, "BT-SEARCH", 20, "BEP 14");
    let mut ended = false;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if walk.object.fields.len() >= MAX_FIELDS {
            walk.object.add_many(MAX_FIELDS, bytes.len(), "line");
            break;
        }
        let is_first = walk.object.fields.is_empty();
        let (name, value, note) = match header(line) {
            _ if is_first && is_search(line) => {
                ("method".to_owned(), quoted(line.trim_ascii_end()), "sent to a whole group")
            }
            // Behind the end, nothing is read any more.
            _ if is_end(line) => {
                let note = if ended { "the second one, as BEP 14 asks" } else { "an empty line" };
                ("end".to_owned(), String::new(), note)
            }
            _ if ended => ("rest".to_owned(), quoted(line), "ignored: it follows the end"),
            Some((name, value)) => known(name, value),
            None => ("line".to_owned(), quoted(line.trim_ascii_end()), "ignored: it has no colon"),
        };
        ended |= is_end(line);
        walk.take(line.len(), &name, |_| (value, note.to_owned()));
    }
    verdict(walk.object, bytes)
}

/// Returns name, value and note of a header.
fn known(name: &[u8], value: &[u8]) -> (String, String, &'static str) {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let (name, note) = match name {
        _ if is("host") => ("Host", "the group that it is sent to"),
        _ if is("port") => ("Port", "where the sender listens, over TCP"),
        _ if is("infohash") && info_hash(value).is_some() => {
            ("Infohash", "a torrent that the sender has")
        }
        _ if is("infohash") => ("Infohash", "passed over: these are not 40 hex digits"),
        _ if is("cookie") => ("cookie", "by which the sender knows its own datagrams"),
        name => {
            let name = clipped(&String::from_utf8_lossy(name), MAX_NAME);
            return (name, quoted(value), "not known here");
        }
    };
    (name.to_owned(), quoted(value), note)
}

/// Adds the summary, or the rule that is broken.
fn verdict(mut object: Object, bytes: &[u8]) -> Object {
    match BtSearch::parse(bytes) {
        Ok(search) => {
            let torrents = counted(search.info_hashes.len(), "torrent");
            object.summary = format!("{torrents} at port {}", search.port);
        }
        Err(SearchError::TooLong(length)) => {
            object.break_at(
                MAX_LENGTH..length,
                format!("at most {MAX_LENGTH} bytes"),
                format!("{length}"),
            );
        }
        Err(SearchError::Method(found)) => {
            let end = object.fields.first().map_or(0, |line| line.range.end);
            object.break_at(0..end, "BT-SEARCH * HTTP/1.1", format!("\"{found}\""));
        }
        Err(SearchError::NoEnd) => {
            object.break_at(bytes.len()..bytes.len(), "an empty line", "the end");
        }
        Err(SearchError::Port(value)) => {
            object.break_field("Port", "a port from 1 to 65535", found(value));
        }
        Err(SearchError::InfoHash(value)) => {
            object.break_field("Infohash", "40 hex digits", found(value));
        }
    }
    object
}

/// Returns what is there in place of a good value.
fn found(value: String) -> String {
    if value == "missing" { "no such header".to_owned() } else { format!("\"{value}\"") }
}
