//! Stage 6 in a link: a magnet.

use super::{MAX_PARAMETERS, Object, counted, quoted};
use crate::s01_bencode::excerpt;
use crate::s06_magnet::{Magnet, MagnetError, query_at};

/// Describes a magnet link.
pub fn magnet(text: &str) -> Object {
    let mut object = Object::new("magnet link", text.len(), 6, "BEP 9");
    let Some(query) = query_at(text) else {
        object.break_at(0..text.len().min(8), "magnet:?", quoted(text.as_bytes()));
        return object;
    };
    let read = Magnet::parse(text);
    object.add(query, "scheme", quoted(text.get(..query).unwrap_or_default().as_bytes()), "");
    while object.covered() < text.len() {
        let start = object.covered();
        let rest = text.get(start..).unwrap_or_default();
        let sign = usize::from(rest.starts_with('&'));
        let end = rest
            .get(sign..)
            .and_then(|rest| rest.find('&'))
            .map_or(text.len(), |at| start + sign + at);
        parameter(&mut object, text.get(start..end).unwrap_or_default(), read.is_err());
        object.add_many(MAX_PARAMETERS, text.len(), "parameters");
    }
    match read {
        Ok(magnet) => {
            let name = magnet
                .name
                .as_deref()
                .map(|name| format!(", {}", quoted(name.as_bytes())))
                .unwrap_or_default();
            let (trackers, peers) = (magnet.trackers.len(), magnet.peers.len());
            object.summary =
                format!("{}, {}{name}", counted(trackers, "tracker"), counted(peers, "peer"));
        }
        Err(MagnetError::NoTopic { .. }) => object.break_at(
            text.len()..text.len(),
            "xt=urn:btih: and an info hash",
            "no such parameter",
        ),
        Err(error) => object.break_at(0..text.len(), "a magnet link", error.to_string()),
    }
    object
}

/// Describes `&key=value`. Each is parsed alone, to show which one is wrong. A wrong info
/// hash breaks a link that is `refused`; other mistakes are only noted.
fn parameter(object: &mut Object, pair: &str, refused: bool) {
    let start = object.covered();
    let bare = pair.trim_start_matches('&');
    let (key, raw) = bare.split_once('=').unwrap_or((bare, ""));
    let alone = Magnet::default().parameter(bare);
    let name = name_of(key);
    let plus = if name == "dn" { raw.replace('+', " ") } else { raw.to_owned() };
    let value = urlencoding::decode_binary(plus.as_bytes());
    let note = match name.as_str() {
        "xt" => topic(&value),
        "dn" => "a name to show until the real one is known",
        "tr" => "a tracker",
        "x.pe" => "a peer",
        "xl" => "bytes of the content",
        "so" => "BEP 53: the files that are wanted",
        "ws" => "BEP 19: a web seed",
        "" => "",
        _ if name.starts_with("amp;") => "copied from HTML: & is written &amp; there; ignored",
        _ => "ignored",
    };
    let name = if bare.is_empty() { String::new() } else { excerpt(key.as_bytes()) };
    object.add(start + pair.len(), name, quoted(&value), note);
    match alone {
        Err(MagnetError::Value { key, expected, found }) if refused && name_of(&key) == "xt" => {
            object.break_at(
                start..start + pair.len(),
                format!("{key} to be {expected}"),
                format!("\"{found}\""),
            );
        }
        Err(error) => object.note_last(&format!("breaks a rule: {error}; it is passed over")),
        Ok(()) => {}
    }
}

/// Returns a key without its number: `tr` for `tr.1`.
fn name_of(key: &str) -> String {
    key.trim_end_matches(|letter: char| letter.is_ascii_digit())
        .trim_end_matches('.')
        .to_ascii_lowercase()
}

fn topic(value: &[u8]) -> &'static str {
    let starts = |prefix: &str| {
        value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    match value.len() {
        49 if starts("urn:btih:") => "the info hash, in 40 hex digits",
        41 if starts("urn:btih:") => "the info hash, in 32 letters of base32",
        _ if starts("urn:btih:") => "an info hash",
        _ if starts("urn:btmh:") => "BEP 52: the info hash of version 2",
        _ => "of another network",
    }
}
