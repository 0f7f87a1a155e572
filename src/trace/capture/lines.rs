//! A capture as text for people, event by event, and as JSON for programs.
//!
//! ```text
//! #0003 +0.0132s  OUT -> 127.0.0.2:6881   handshake, 68 bytes: piecemeal 0.1     [stage 4, BEP 3]
//!   0000  13                                               length of the name  19
//! ```

use serde_json::{Map, Value, json};

use super::{Capture, CapturedObject, Event, EventKind, Role};
use crate::trace::text::{self, TextOptions};
use crate::trace::{counted, json as objects};

/// Returns the first line: the numbers of events, peers and trackers, and the time of the start.
pub fn head(capture: &Capture) -> String {
    let mut text = counted(capture.events.len(), "event");
    for role in [Role::Peer, Role::Tracker, Role::Node, Role::Asker] {
        let count = capture.lanes.iter().filter(|lane| lane.role == role).count();
        if count > 0 || role == Role::Peer {
            text += &format!(", {}", counted(count, role.word()));
        }
    }
    if let Some(started) = capture.started {
        text += &format!("; begun {}", utc(started));
    }
    text
}

/// Returns a line for each peer and tracker.
pub fn lanes(capture: &Capture) -> Vec<String> {
    let name =
        |place: usize| capture.lanes.get(place).map(|lane| lane.name.as_str()).unwrap_or_default();
    let mut lines = Vec::new();
    for connection in &capture.connections {
        let client = capture.lanes.get(connection.lane).and_then(|lane| lane.client.as_ref());
        let client = client.map(|client| format!(", {client}")).unwrap_or_default();
        lines.push(format!("connection {}: {}{client}", connection.number, name(connection.lane)));
    }
    let others = capture.lanes.iter().filter(|lane| lane.role != Role::Peer);
    lines.extend(others.map(|lane| format!("{}: {}", lane.role.word(), lane.name)));
    lines
}

/// Returns one event: a line, and the fields of its object.
pub fn event(capture: &Capture, number: u64, event: &Event) -> String {
    let who = &capture.lane(event).name;
    match &event.kind {
        EventKind::Object(captured) => {
            let line = text::event(
                number,
                event.time,
                captured.way.arrow(),
                who,
                &text::head(&captured.object),
            );
            text::passing(&line, &captured.object, "", false) + &details(capture, event, captured)
        }
        EventKind::End => {
            let connection = event.connection.and_then(|place| capture.connections.get(place));
            let which = connection.map(|connection| connection.number).unwrap_or_default();
            text::event(number, event.time, "END   ", who, &format!("connection {which} ends"))
        }
    }
}

/// Returns the lines below the first one: the fields, the changes, and a note on the bytes after
/// it.
pub fn details(capture: &Capture, event: &Event, captured: &CapturedObject) -> String {
    let after = match (captured.is_cut, captured.rest) {
        (true, _) => "\n  (the capture ends in the middle of it)".to_owned(),
        (_, 0) => String::new(),
        (_, rest) => format!("\n  {} after it on this stream", counted(rest, "byte")),
    };
    text::fields(&captured.object, capture.bytes(event), TextOptions::default())
        + &text::changes(&captured.changes)
        + &after
}

/// Returns a line about the bytes that were not described, if there are any.
pub fn left_out(capture: &Capture) -> Option<String> {
    (capture.left_out > 0).then(|| {
        format!(
            "{} more, not looked at: there are too many objects",
            counted(capture.left_out, "byte")
        )
    })
}

/// Returns the whole capture as JSON. `source` names the file.
pub fn to_json(capture: &Capture, source: &str) -> Value {
    let connections = capture.connections.iter().map(|connection| {
        let lane = capture.lanes.get(connection.lane);
        json!({
            "connection": connection.number,
            "peer": lane.map(|lane| &lane.name),
            "client": lane.and_then(|lane| lane.client.as_ref()),
        })
    });
    let events = capture.numbered().map(|(number, event)| {
        let lane = capture.lane(event);
        let connection = event.connection.and_then(|place| capture.connections.get(place));
        let mut json = Map::new();
        let mut put = |key: &str, value: Value| drop(json.insert(key.to_owned(), value));
        put("number", number.into());
        put("t", event.time.into());
        if let Some(connection) = connection {
            put("connection", connection.number.into());
        }
        put(lane.role.word(), lane.name.as_str().into());
        match &event.kind {
            EventKind::End => put("direction", "end".into()),
            EventKind::Object(captured) => {
                put("direction", captured.way.word().into());
                put("cut", captured.is_cut.into());
                put("rest", captured.rest.into());
                put("object", objects::object(&captured.object, capture.bytes(event), 0));
                put("changes", captured.changes.as_slice().into());
            }
        }
        Value::Object(json)
    });
    json!({
        "kind": "capture",
        "source": source,
        "started": capture.started,
        "connections": connections.collect::<Vec<_>>(),
        "events": events.collect::<Vec<_>>(),
        "left_out": capture.left_out,
    })
}

/// Returns a time in the form `2026-10-16 14:40:00 UTC`.
pub fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from the 1st of March of a leap year that began an era of 400 years.
    let shifted = days.saturating_add(719_468);
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{date:02} {:02}:{:02}:{:02} UTC",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}
