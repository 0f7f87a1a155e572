//! Reads a capture, line by line and chunk by chunk.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use super::{Capture, CaptureError, CapturedObject, Connection, Event, EventKind, KEY, Lane, Role};
use crate::s03_tracker::secrets::hide;
use crate::s18_udp_tracker::packet::Family;
use crate::trace::stream::Way;
use crate::trace::{Object, clipped, discreet, excerpt, quoted, s03, s18, s21};

/// The only version so far.
const VERSION: u64 = 1;

/// The longest line in bytes. A wiretap's chunks are far shorter.
const MAX_LINE_LENGTH: usize = 8 << 20;

/// The most fields described in all objects together. A connection and its end count as one
/// field each, so this also bounds them.
const MAX_FIELDS: usize = 300_000;

/// The longest name of a peer or a tracker, in bytes; a longer one is cut.
const MAX_NAME: usize = 120;

/// A line of the file, and its number for errors.
pub(super) struct CaptureLine {
    number: usize,
    json: Value,
}

impl CaptureLine {
    pub fn parse(number: usize, line: &[u8], last: bool) -> Result<CaptureLine, CaptureError> {
        let error = |expected: &str, found: String| CaptureError {
            line: number,
            expected: expected.to_owned(),
            found,
        };
        if line.len() > MAX_LINE_LENGTH {
            return Err(error(
                &format!("at most {MAX_LINE_LENGTH} bytes in a line"),
                line.len().to_string(),
            ));
        }
        match serde_json::from_slice::<Value>(line) {
            Ok(json @ Value::Object(_)) => Ok(CaptureLine { number, json }),
            Err(why) if why.is_eof() && last => {
                Err(error("a JSON object", "that the file is cut short".to_owned()))
            }
            _ => Err(error("a JSON object", quoted(line))),
        }
    }

    fn error(&self, expected: &str, found: impl Into<String>) -> CaptureError {
        CaptureError { line: self.number, expected: expected.to_owned(), found: found.into() }
    }

    /// Returns the value of a key, for an error.
    fn found(&self, key: &str) -> String {
        match self.json.get(key) {
            None => "nothing".to_owned(),
            Some(value) => excerpt(value.to_string().as_bytes()),
        }
    }

    fn number(&self, key: &str, what: &str) -> Result<u64, CaptureError> {
        self.json.get(key).and_then(Value::as_u64).ok_or_else(|| self.error(what, self.found(key)))
    }

    fn text(&self, key: &str, what: &str) -> Result<&str, CaptureError> {
        self.json.get(key).and_then(Value::as_str).ok_or_else(|| self.error(what, self.found(key)))
    }

    fn hex(&self) -> Result<Vec<u8>, CaptureError> {
        let what = "hex digits at \"hex\", two for each byte";
        hex::decode(self.text("hex", what)?).map_err(|_| self.error(what, self.found("hex")))
    }
}

/// A capture while it is being read.
pub(super) struct Reader {
    capture: Capture,
    /// The connections by their number, and the lanes by their name.
    connections: HashMap<u64, usize>,
    lanes: HashMap<String, usize>,
    /// The number of fields described so far.
    fields: usize,
    /// Whether requests to trackers are read without their secrets.
    discreet: bool,
}

impl Reader {
    pub fn new(discreet: bool) -> Reader {
        Reader {
            capture: Capture {
                started: None,
                lanes: Vec::new(),
                connections: Vec::new(),
                events: Vec::new(),
                left_out: 0,
            },
            connections: HashMap::new(),
            lanes: HashMap::new(),
            fields: 0,
            discreet,
        }
    }

    pub fn line(&mut self, line: &CaptureLine) -> Result<(), CaptureError> {
        if line.number == 1 {
            return self.head(line);
        }
        if self.is_full() {
            return self.leave_out(line);
        }
        let time = line.number("t", "microseconds since the start at \"t\"")?;
        if line.json.get("tracker").is_some() {
            return self.exchange(line, time, "tracker");
        }
        if line.json.get("node").is_some() {
            return self.exchange(line, time, "node");
        }
        if line.json.get("asker").is_some() {
            return self.exchange(line, time, "asker");
        }
        let number =
            line.number("c", "the number of a connection at \"c\", or a URL at \"tracker\"")?;
        let way = line.text("d", "\"in\", \"out\" or \"end\" at \"d\"")?;
        let place = match self.connections.get(&number) {
            Some(place) => *place,
            None => self.connection(line, number)?,
        };
        let capture = &mut self.capture;
        let connection =
            capture.connections.get_mut(place).expect("its place was noted when it was added");
        if std::mem::replace(&mut connection.ended, way == "end") {
            return Err(line.error(
                &format!("nothing more of connection {number}, which has ended"),
                line.found("d"),
            ));
        }
        let way = match way {
            "end" => {
                let lane = connection.lane;
                self.fields += 1;
                capture.events.push(Event {
                    time,
                    lane,
                    connection: Some(place),
                    kind: EventKind::End,
                    line: line.number,
                });
                return Ok(());
            }
            _ => self::way(line)?,
        };
        let bytes = line.hex()?;
        let stream = connection.stream_mut(way);
        if !bytes.is_empty() {
            stream.chunks.push((stream.bytes.len(), time, line.number));
            stream.bytes.extend_from_slice(&bytes);
            self.add_chunk(place, way, &bytes);
        }
        Ok(())
    }

    fn head(&mut self, line: &CaptureLine) -> Result<(), CaptureError> {
        let what = format!("\"{KEY}\":{VERSION}");
        if line.number(KEY, &what)? != VERSION {
            return Err(line.error(&what, line.found(KEY)));
        }
        let started = line.json.get("started");
        self.capture.started =
            started.and_then(|at| at.as_u64().or_else(|| at.as_str()?.parse().ok()));
        Ok(())
    }

    fn connection(&mut self, line: &CaptureLine, number: u64) -> Result<usize, CaptureError> {
        let peer = line.text("peer", "the peer's address at \"peer\"")?;
        let lane = self.lane(peer, Role::Peer);
        self.fields += 1;
        let place = self.capture.connections.len();
        let (streams, talk) = Default::default();
        self.capture.connections.push(Connection { number, lane, streams, talk, ended: false });
        self.connections.insert(number, place);
        Ok(place)
    }

    fn lane(&mut self, name: &str, role: Role) -> usize {
        let lanes = &mut self.capture.lanes;
        *self.lanes.entry(name.to_owned()).or_insert_with(|| {
            lanes.push(Lane { name: clipped(name, MAX_NAME), client: None, role });
            lanes.len() - 1
        })
    }

    /// Adds a message to or from a tracker or a node, which is whole in one line.
    fn exchange(&mut self, line: &CaptureLine, time: u64, key: &str) -> Result<(), CaptureError> {
        let url = line.text(key, &format!("a URL at \"{key}\""))?;
        let way = way(line)?;
        let own = line.hex()?;
        let hidden = if self.discreet { hide(url) } else { url.to_owned() };
        let url = hidden.as_str();
        let (lane, to_tracker) = match key {
            "tracker" => (self.lane(url, Role::Tracker), Way::Out),
            "node" => (self.lane(url, Role::Node), Way::Out),
            // Leave out the port: a client asks from a new one each time.
            _ => (self.lane(url.rsplit_once(':').map_or(url, |(ip, _)| ip), Role::Asker), Way::In),
        };
        let describe = |bytes: &[u8]| match key {
            "node" => s21::packet(bytes),
            _ => exchanged(url, way == to_tracker, bytes),
        };
        let (object, own) = match self.discreet {
            true => discreet::describe(&own, describe),
            false => (describe(&own), Cow::Borrowed(&*own)),
        };
        let own = own.into_owned();
        self.fields += object.fields.len() + 1;
        let captured = Box::new(CapturedObject {
            way,
            range: 0..own.len(),
            object,
            is_cut: false,
            changes: Vec::new(),
            rest: 0,
            own,
        });
        self.capture.events.push(Event {
            time,
            lane,
            connection: None,
            kind: EventKind::Object(captured),
            line: line.number,
        });
        Ok(())
    }

    /// Adds a chunk of a stream, and the objects that it completes.
    fn add_chunk(&mut self, place: usize, way: Way, mut bytes: &[u8]) {
        while !self.is_full() {
            let connection = self
                .capture
                .connections
                .get_mut(place)
                .expect("its place was noted when it was added");
            let Some(passed) = connection.talk.next(way, &mut bytes) else { return };
            self.add_object(place, way, passed.object, passed.changes, false);
        }
    }

    /// Adds the next object of a stream.
    fn add_object(
        &mut self,
        place: usize,
        way: Way,
        object: Object,
        changes: Vec<String>,
        is_cut: bool,
    ) {
        let connection =
            self.capture.connections.get_mut(place).expect("its place was noted when it was added");
        let lane = connection.lane;
        let stream = connection.stream_mut(way);
        let range = stream.cut..stream.cut + object.length;
        let (time, line) = stream.came(range.start);
        (stream.cut, stream.last) = (range.end, self.capture.events.len());
        self.fields += object.fields.len() + 1;
        // The summary of a handshake is the name of the program.
        let client = Some(&object.summary)
            .filter(|name| way == Way::In && range.start == 0 && !name.is_empty());
        if let (Some(lane), Some(client)) = (self.capture.lanes.get_mut(lane), client) {
            lane.client = Some(client.clone());
        }
        let captured = Box::new(CapturedObject {
            way,
            range,
            object,
            is_cut,
            changes,
            rest: 0,
            own: Vec::new(),
        });
        self.capture.events.push(Event {
            time,
            lane,
            connection: Some(place),
            kind: EventKind::Object(captured),
            line,
        });
    }

    fn is_full(&self) -> bool {
        self.fields >= MAX_FIELDS
    }

    /// Only counts the bytes of a line.
    fn leave_out(&mut self, line: &CaptureLine) -> Result<(), CaptureError> {
        if line.json.get("hex").is_some() {
            self.capture.left_out += line.hex()?.len();
        }
        Ok(())
    }

    /// Ends all streams, and sorts all events.
    pub fn end(mut self) -> Capture {
        for place in 0..self.capture.connections.len() {
            for way in [Way::In, Way::Out] {
                self.end_of(place, way);
            }
        }
        // A stable sort keeps the order of objects from one line.
        self.capture.events.sort_by_key(|event| (event.time, event.line));
        self.capture
    }

    fn end_of(&mut self, place: usize, way: Way) {
        let Some(connection) = self.capture.connections.get(place) else { return };
        let (stream, rest) = (connection.stream(way), connection.stream(way).rest());
        let count = rest.len();
        if count == 0 {
            return;
        }
        if connection.talk.is_lost(way) {
            if let Some(Event { kind: EventKind::Object(captured), .. }) =
                self.capture.events.get_mut(stream.last)
            {
                captured.rest = count;
            }
        } else if self.is_full() {
            self.capture.left_out += count;
        } else {
            let object = connection.talk.describe(way, rest);
            let is_cut = object.broken.as_ref().is_some_and(|broken| broken.range.start >= count);
            self.add_object(place, way, object, Vec::new(), is_cut);
        }
    }
}

/// Parses `d` as a direction.
fn way(line: &CaptureLine) -> Result<Way, CaptureError> {
    match line.json.get("d").and_then(Value::as_str) {
        Some("in") => Ok(Way::In),
        Some("out") => Ok(Way::Out),
        _ => Err(line.error("\"in\" or \"out\" at \"d\"", line.found("d"))),
    }
}

/// Describes a message to or from a tracker.
fn exchanged(url: &str, to_tracker: bool, bytes: &[u8]) -> Object {
    let udp = url.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("udp://"));
    match (to_tracker, udp) {
        (true, true) => s18::request(bytes),
        (false, true) => {
            s18::answer(bytes, if url.get(6..7) == Some("[") { Family::V6 } else { Family::V4 })
        }
        (true, false) => s03::request(bytes),
        (false, false) => s03::response(bytes),
    }
}
