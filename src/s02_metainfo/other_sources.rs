//! Where else to look, besides the trackers: nodes of the DHT, and web servers.
//!
//! ```text
//! nodes    = [["router.example", 6881], ["192.0.2.1", 6881]]   BEP 5: ways into the DHT
//! url-list = "http://mirror.example/film.iso"                  BEP 19: a web server that also has
//!       or = ["http://one.example/", "http://two.example/"]    the content, or several
//! ```
//! No stage asks any of them yet. A torrent works without them, so what is broken is passed over.

use super::Value;
use super::trackers::MAX_URL_LENGTH;
use crate::s01_bencode::forgiving::PassedOver;

/// The most nodes that are kept: one that answers is enough.
pub const MAX_NODES: usize = 100;
/// The most web seeds that are kept.
pub const MAX_WEB_SEEDS: usize = 100;
/// The longest host name, in bytes (RFC 1035).
const MAX_HOST_LENGTH: usize = 255;

/// Reads `nodes`.
pub(super) fn nodes(top: &Value, notes: &mut PassedOver) -> Vec<(String, u16)> {
    let list = notes.read(top, "nodes", "a list of nodes", Value::list).unwrap_or_default();
    keep("nodes", list, MAX_NODES, "a list of a host and a port", node, notes)
}

/// Reads `url-list`: one URL, or a list.
pub(super) fn web_seeds(top: &Value, notes: &mut PassedOver) -> Vec<String> {
    if let Some(list) = top.get("url-list").and_then(Value::list) {
        return keep("url-list", list, MAX_WEB_SEEDS, "a URL of at most 2048 bytes", url, notes);
    }
    // One URL, or something broken. Then the note says that a list would also have been right.
    let expected = "a URL of at most 2048 bytes, or a list of them";
    notes.read(top, "url-list", expected, url).flatten().into_iter().collect()
}

/// Returns the first good entries of a list, `most` at most. `read` returns `None` for a broken
/// one, and `Some(None)` for one that says nothing.
fn keep<T>(
    key: &str,
    list: &[Value],
    most: usize,
    expected: &str,
    read: fn(&Value) -> Option<Option<T>>,
    notes: &mut PassedOver,
) -> Vec<T> {
    let (mut kept, mut more) = (Vec::new(), 0_usize);
    // The surplus is still read: a broken entry gets its note, a good one is counted.
    for (number, value) in list.iter().enumerate() {
        match read(value) {
            None => notes.skip(&format!("{key}[{number}]"), expected, value),
            Some(Some(entry)) if kept.len() < most => kept.push(entry),
            Some(Some(_)) => more += 1,
            Some(None) => {}
        }
    }
    if more > 0 {
        notes.add(|| {
            format!("{key} has {more} too many, which are passed over: at most {most} are taken")
        });
    }
    kept
}

/// Returns a node's host and port. Whether the host can be looked up, nobody knows before.
fn node(value: &Value) -> Option<Option<(String, u16)>> {
    // Two and no more: with a third value, nobody knows what was meant.
    let [host, port] = value.list()? else { return None };
    let host = host.text().filter(|host| (1..=MAX_HOST_LENGTH).contains(&host.len()))?;
    let port = port.unsigned().and_then(|port| u16::try_from(port).ok());
    Some(Some((host.to_owned(), port.filter(|port| *port != 0)?)))
}

/// Returns a URL. An empty one says nothing: some programs write it if there is no web seed.
fn url(value: &Value) -> Option<Option<String>> {
    let url = value.text().map(str::trim).filter(|url| url.len() <= MAX_URL_LENGTH)?;
    Some(Some(url.to_owned()).filter(|url| !url.is_empty()))
}
