//! The likely cause in what a client sent to a node of the DHT.

use super::{Cause, Shown};
use crate::actors::bencode::{Value, decode};
use crate::actors::dht::krpc::string;
use crate::actors::recording::{Chunk, Recording, Way};
use crate::s01_bencode::{counted, printable};
use crate::trace::s21;

/// The most bytes that are looked at.
const MAX_BYTES: usize = 64 << 10;
/// The most letters of a datagram that are shown.
const MAX_SHOWN: usize = 90;

/// Returns the address of an actor that is a node of the DHT.
pub fn node(recording: &Recording) -> Option<&str> {
    recording.partner().strip_prefix("dht://")
}

/// Returns the likely cause in the datagrams that a client sent to a node.
pub(super) fn cause(recording: &Recording) -> Option<Cause> {
    let chunks = recording.beginning(MAX_BYTES);
    let mut sent = chunks.into_iter().filter(|chunk| chunk.way == Way::FromClient);
    sent.find_map(|Chunk { bytes, .. }| {
        let hint = broken(&bytes)?;
        // Each datagram begins at byte 0.
        let object = s21::packet(&bytes);
        Some(Cause::new(hint, Some(Shown { at: 0, bytes, object })))
    })
}

/// Returns a datagram as a line, its bytes that are no text escaped.
pub fn shown(datagram: &[u8]) -> String {
    let text = datagram.escape_ascii().to_string();
    let cut: String = text.chars().take(MAX_SHOWN).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}

/// Returns the names of the things that a client sent, in order.
pub(crate) fn names(chunks: &[Chunk]) -> Vec<String> {
    let sent = chunks.iter().filter(|chunk| chunk.way == Way::FromClient);
    sent.map(|chunk| name(&chunk.bytes)).collect()
}

fn name(datagram: &[u8]) -> String {
    let Some((value, _)) = decode(datagram) else {
        return counted(datagram.len() as u64, "byte") + " of garbage";
    };
    match value.get("y").and_then(string) {
        Some(b"q") => match value.get("q").and_then(string) {
            Some(method) => {
                printable(&String::from_utf8_lossy(method).chars().take(20).collect::<String>())
            }
            None => "a query without q".to_owned(),
        },
        Some(b"r") => "response".to_owned(),
        Some(b"e") => "error".to_owned(),
        _ => "a datagram without y".to_owned(),
    }
}

/// Returns the rule that a datagram breaks, if it breaks one.
pub fn broken(datagram: &[u8]) -> Option<String> {
    let Some((value, length)) = decode(datagram) else {
        return Some(match datagram.first() {
            Some(b'd') => "the datagram is a bencoded dictionary whose end is missing, or one whose lengths are wrong".to_owned(),
            _ => "a datagram is one bencoded dictionary, and begins with d".to_owned(),
        });
    };
    if length < datagram.len() {
        let rest = counted((datagram.len() - length) as u64, "byte");
        return Some(format!("a datagram is one dictionary: there is more behind its end, {rest}"));
    }
    let Value::Dict(pairs) = &value else {
        return Some("a datagram is one bencoded dictionary, and begins with d".to_owned());
    };
    if let Some(cause) = unsorted(pairs) {
        return Some(cause);
    }
    match value.get("t").map(string) {
        None => {
            return Some(
                "there is no `t`: without a transaction, no answer can be told from another"
                    .to_owned(),
            );
        }
        Some(None) => return Some("`t` is a string of bytes, and not a number".to_owned()),
        Some(Some([])) => {
            return Some(
                "`t` is empty: two bytes at random tell one answer from another".to_owned(),
            );
        }
        Some(Some(_)) => {}
    }
    match value.get("y").and_then(string) {
        Some(b"q") => query(&value),
        Some(b"r") => response(&value),
        Some(b"e") => error(&value),
        _ => {
            Some("`y` says what it is: q for a query, r for a response, e for an error".to_owned())
        }
    }
}

/// Says so if keys are not in order.
fn unsorted(pairs: &[(Vec<u8>, Value)]) -> Option<String> {
    let before = pairs.windows(2).find(|two| two[0].0 >= two[1].0);
    if let Some([(first, _), (second, _)]) = before {
        let (first, second) = (first.escape_ascii(), second.escape_ascii());
        return Some(format!(
            "the keys of a dictionary are sorted: `{second}` comes before `{first}`"
        ));
    }
    pairs.iter().find_map(|(_, value)| match value {
        Value::Dict(pairs) => unsorted(pairs),
        _ => None,
    })
}

fn query(value: &Value) -> Option<String> {
    let Some(method) = value.get("q").and_then(string) else {
        return Some("there is no `q`, the name of the method".to_owned());
    };
    let Some(arguments @ Value::Dict(_)) = value.get("a") else {
        return Some("the arguments are a dictionary at `a`, and id is one of them".to_owned());
    };
    let of = |key: &str| id(arguments.get(key), key);
    of("id").or_else(|| match method {
        b"find_node" => of("target"),
        b"get_peers" | b"announce_peer" => of("info_hash"),
        _ => None,
    })
}

fn response(value: &Value) -> Option<String> {
    match value.get("r") {
        Some(values @ Value::Dict(_)) => id(values.get("id"), "id").or_else(|| lists(values)),
        _ => Some(
            "the values of a response are a dictionary at `r`, and id is one of them".to_owned(),
        ),
    }
}

/// Says what is wrong with the nodes or the peers of a response.
fn lists(values: &Value) -> Option<String> {
    for (key, size) in [("nodes", 26), ("nodes6", 38)] {
        match values.get(key).map(|nodes| string(nodes)) {
            None => {}
            Some(None) => {
                return Some(format!(
                    "`{key}` is one string, {size} bytes for each node, and no list"
                ));
            }
            Some(Some(nodes)) if nodes.len() % size > 0 => {
                return Some(format!(
                    "`{key}` has {} bytes: a node has {size}, 20 of its id, its address, and its port",
                    nodes.len()
                ));
            }
            Some(Some(_)) => {}
        }
    }
    let is_peer = |one: &Value| string(one).is_some_and(|peer| [6, 18].contains(&peer.len()));
    match values.get("values") {
        None => None,
        Some(Value::List(all)) if all.iter().all(is_peer) => None,
        Some(_) => Some(
            "`values` is a list of strings, one for each peer: 6 bytes, address and port"
                .to_owned(),
        ),
    }
}

fn error(value: &Value) -> Option<String> {
    match value.get("e") {
        Some(Value::List(error)) if matches!(error[..], [Value::Int(_), Value::Bytes(_)]) => None,
        _ => Some("an error is a list at `e`: a number, and a text".to_owned()),
    }
}

/// Says what is wrong with 20 bytes.
fn id(value: Option<&Value>, key: &str) -> Option<String> {
    match value.map(string) {
        None => Some(format!("there is no `{key}`: it has 20 bytes")),
        Some(Some(id)) if id.len() == 20 => None,
        Some(Some(id)) if id.len() == 40 => {
            Some(format!("`{key}` is in hex: it has 20 raw bytes on the wire"))
        }
        Some(Some(id)) => {
            Some(format!("`{key}` has {}, and should have 20", counted(id.len() as u64, "byte")))
        }
        Some(None) => Some(format!("`{key}` is a string of 20 bytes")),
    }
}
