//! A capture as text for people, event by event, and as JSON for programs.
//!
//! ```text
//! #0003 +0.0132s  OUT -> 127.0.0.2:6881   handshake, 68 bytes: piecemeal 0.1     [stage 4, BEP 3]
//!   0000  13                                               length of the name  19
//! ```

use serde_json::{Map, Value, json};

use super::{Capture, Event, Role, Said, What};
use crate::trace::text::{self, Look};
use crate::trace::{counted, json as objects};

/// Where the stage stands in the first line, if there is room.
const PLACE: usize = 100;

/// Everybody, and how much there is.
pub fn head(capture: &Capture) -> String {
    let mut text = counted(capture.events.len(), "event");
    for role in [Role::Peer, Role::Tracker, Role::Asker] {
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

/// A line for each peer and tracker.
pub fn lanes(capture: &Capture) -> Vec<String> {
    let name = |place: usize| capture.lanes.get(place).map(|lane| lane.name.as_str()).unwrap_or_default();
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

/// One event: a line, and what it says field by field.
pub fn event(capture: &Capture, number: usize, event: &Event) -> String {
    let (time, lane) = (seconds(event.time), capture.lane(event));
    let connection = event.connection.and_then(|place| capture.connections.get(place));
    let said = match &event.what {
        What::Said(said) => said,
        What::End => {
            let which = connection.map(|connection| connection.number).unwrap_or_default();
            return format!("#{number:04} {time}  END    {}   connection {which} ends", lane.name);
        }
    };
    let head = format!("#{number:04} {time}  {} {}   {}", said.way.arrow(), lane.name, text::head(&said.object));
    let place = text::place(&said.object);
    let fields = text::fields(&said.object, capture.bytes(event), Look::default());
    format!("{head:<PLACE$} {place}{fields}{}", after(said))
}

/// What there is to say of the bytes behind it.
pub fn after(said: &Said) -> String {
    match (said.is_cut, said.rest) {
        (true, _) => "\n  (the capture ends in the middle of it)".to_owned(),
        (_, 0) => String::new(),
        (_, rest) => format!("\n  {} behind it on this stream: nobody knows where the next object begins", counted(rest, "byte")),
    }
}

/// What was not described, if there is anything.
pub fn left_out(capture: &Capture) -> Option<String> {
    (capture.left_out > 0)
        .then(|| format!("{} more, not looked at: there are too many objects", counted(capture.left_out, "byte")))
}

/// All of it. `source` is what to call the file.
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
        match connection {
            Some(connection) => {
                put("connection", connection.number.into());
                put("peer", lane.name.as_str().into());
            }
            None => put("tracker", lane.name.as_str().into()),
        }
        match &event.what {
            What::End => put("direction", "end".into()),
            What::Said(said) => {
                put("direction", said.way.word().into());
                put("cut", said.is_cut.into());
                put("rest", said.rest.into());
                put("object", objects::object(&said.object, capture.bytes(event), 0));
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

/// `+0.0132s`
pub fn seconds(micros: u64) -> String {
    format!("+{}.{:04}s", micros / 1_000_000, micros % 1_000_000 / 100)
}

/// A time as people write it: `2026-10-16 14:40:00 UTC`.
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
    format!("{year:04}-{month:02}-{date:02} {:02}:{:02}:{:02} UTC", second / 3_600, second / 60 % 60, second % 60)
}
