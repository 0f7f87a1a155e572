//! Captures: all of their bytes in order, and nothing in a page that is not ours.

use std::collections::HashMap;

use arbitrary::{Result, Unstructured};
use piecemeal::trace::capture::{Capture, EventKind, is_capture, lines, mermaid, page};
use piecemeal::trace::replay::Script;
use serde_json::json;

use super::bytes::harmless;
use super::is_printable;

/// Takes the input for a capture; or, after a 0, makes the lines of one from it.
pub fn check(input: &[u8]) {
    let made = input.strip_prefix(b"\0").and_then(|rest| made(&mut Unstructured::new(rest)).ok());
    let file = made.unwrap_or_else(|| input.to_vec());
    is_capture(&file);
    let capture = match Capture::read(&file) {
        Ok(capture) => capture,
        Err(error) => return is_printable(error),
    };
    each_byte_once(&capture);
    harmless(&lines::head(&capture));
    lines::lanes(&capture).iter().for_each(|line| harmless(line));
    lines::left_out(&capture).iter().for_each(|line| harmless(line));
    for (number, event) in capture.numbered() {
        harmless(&lines::event(&capture, number, event));
    }
    harmless(&mermaid::diagram(&capture));
    assert!(!lines::to_json(&capture, "a file").to_string().contains('\n'));
    let page = page::page(&capture, "<script>a file</script>");
    assert!(
        !page.to_lowercase().contains("<script"),
        "nothing that was sent becomes a part of the page"
    );
    for tag in ["pre", "details", "table", "svg"] {
        let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
        assert_eq!(page.matches(&open).count(), page.matches(&close).count(), "{tag}");
    }
    if let Err(error) = Script::of(&capture, None) {
        is_printable(error);
    }
}

/// The events of each stream lie end to end, up to where one is broken.
fn each_byte_once(capture: &Capture) {
    let mut ends = HashMap::new();
    let mut times = 0;
    let mut streams: Vec<_> = Vec::new();
    for event in &capture.events {
        assert!(times <= event.time, "in the order of time");
        times = event.time;
        if let (EventKind::Object(said), Some(connection)) = (&event.kind, event.connection) {
            assert_eq!(capture.bytes(event).len(), said.range.len());
            streams.push((connection, said.way.word(), said.range.clone(), said.rest));
        }
    }
    // Of two at the same time the one that stands first in the file is first; a stream's own order
    // is that of its bytes.
    streams.sort_by_key(|(connection, way, range, _)| (*connection, *way, range.start));
    for (connection, way, range, rest) in streams {
        let end = ends.entry((connection, way)).or_insert(0);
        assert_eq!(range.start, *end, "connection {connection}, {way}");
        *end = range.end;
        if rest > 0 {
            *end = usize::MAX; // nothing follows what is broken
        }
    }
}

/// A file of lines that are what they should be, with any bytes in them.
fn made(from: &mut Unstructured) -> Result<Vec<u8>> {
    let mut file = String::from("{\"piecemeal_capture\":1,\"started\":1792230000}\n");
    while !from.is_empty() {
        let time = from.int_in_range(0..=999u16)?;
        let who = from.int_in_range(0..=2u8)?;
        let way = if from.arbitrary()? { "in" } else { "out" };
        let hex: String = bytes(from)?.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = if from.ratio(1, 8)? {
            from.arbitrary::<&str>()?
        } else {
            "http://127.0.0.1:6969/announce"
        };
        let line = match from.int_in_range(0..=9u8)? {
            0 => json!({"t": time, "c": who, "peer": name, "d": "end"}),
            1 => json!({"t": time, "tracker": name, "d": way, "hex": hex}),
            2 => json!({"t": time, "asker": name, "d": way, "hex": hex}),
            _ => json!({"t": time, "c": who, "peer": name, "d": way, "hex": hex}),
        };
        file += &format!("{line}\n");
    }
    Ok(file.into_bytes())
}

/// Something that a peer may say, or the start of it.
fn bytes(from: &mut Unstructured) -> Result<Vec<u8>> {
    Ok(match from.int_in_range(0..=3u8)? {
        0 => from.arbitrary::<Vec<u8>>()?,
        1 => [&b"\x13BitTorrent protocol"[..], from.arbitrary::<&[u8]>()?].concat(),
        2 => {
            let message = from.arbitrary::<&[u8]>()?;
            [&(message.len() as u32).to_be_bytes(), message].concat()
        }
        _ => {
            let extended =
                [&[20, from.int_in_range(0..=3u8)?][..], from.arbitrary::<&[u8]>()?].concat();
            [&(extended.len() as u32).to_be_bytes(), &extended[..]].concat()
        }
    })
}
