//! A capture: what has gone over all connections of a session, with times, from a file.
//!
//! A wiretap writes one; here it is read again, and each stream is cut into its objects.
//!
//! ```text
//! {"piecemeal_capture":1,"started":"1792230000"}                 the first line
//! {"t":813,"c":1,"peer":"127.0.0.2:6881","d":"out","hex":"13.."} bytes of connection 1, from us
//! {"t":991,"c":1,"peer":"127.0.0.2:6881","d":"in","hex":"13.."}  and to us
//! {"t":5012,"c":1,"peer":"127.0.0.2:6881","d":"end"}             the end of connection 1
//! {"t":12,"tracker":"http://..","d":"out","hex":".."}            to a tracker: an object a line
//! {"t":12,"asker":"udp://127.0.0.1:4242","d":"in","hex":".."}    to us, where we are the tracker
//! ```
//! `t` is in microseconds since the start. Keys that are not known here are passed over.
//!
//! # Decisions
//! * **A line is a chunk, not an object.** A read ends where the network likes. The chunks
//!   of a stream are put together, and then cut where the objects end.
//! * **An object's time is that of its first byte.**
//! * **What the ids of extensions mean** is in the handshakes, so that an extension's
//!   message is known by its name here, and not by its looks only.
//! * **A broken object ends its stream,** since nobody knows where the next one begins. The
//!   other streams go on. Only inside of an extension's message may be what it likes: its
//!   length says where it ends.

pub mod fold;
pub mod lines;
pub mod mermaid;
pub mod page;

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;
use thiserror::Error;

use super::client::Client;
use super::stream::{Next, Way};
use super::{Context, Object, clipped, excerpt, printable, s03, s07, s13};
use crate::s03_tracker::PeerId;
use crate::s04_handshake::HANDSHAKE_LENGTH;
use crate::s07_extension::{EXTENDED, ExtensionHandshake};
use crate::s13_udp_tracker::packet::Family;

/// The key by which a capture is known, and the one version that there is.
const KEY: &str = "piecemeal_capture";
const VERSION: u64 = 1;

/// The longest line. A wiretap's chunks are far shorter.
pub const LONGEST_LINE: usize = 8 << 20;

/// How many fields are described, of all objects together. A connection and its end count as one
/// each, so that this bounds the rest, too.
const MOST_FIELDS: usize = 300_000;

/// How much is kept of the name of a peer or a tracker.
const MOST_NAME: usize = 120;

/// Somebody that we talked to: a peer or a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Its address or URL, safe to print.
    pub name: String,
    /// The program that it says it is.
    pub client: Option<String>,
    /// What it is to us.
    pub role: Role,
}

/// What somebody is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A peer.
    Peer,
    /// A tracker.
    Tracker,
    /// Somebody to whom we are the tracker.
    Asker,
}

impl Role {
    /// What to call it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Peer => "peer",
            Role::Tracker => "tracker",
            Role::Asker => "asker",
        }
    }
}

/// A connection to a peer.
#[derive(Debug)]
pub struct Connection {
    /// Its number in the file.
    pub number: u64,
    /// Who is on the other side: a place in [`Capture::lanes`].
    pub lane: usize,
    /// What went each way, [`Way::In`] first.
    streams: [Stream; 2],
    ended: bool,
}

/// One direction of a connection.
#[derive(Debug)]
struct Stream {
    bytes: Vec<u8>,
    /// Where the chunks begin, when they came, and in which line they stand.
    chunks: Vec<(usize, u64, usize)>,
    /// How much of it has been cut into objects, and what comes next.
    cut: usize,
    next: Next,
    /// Where it is broken: the place of that event in the order of the file.
    broken: Option<usize>,
    context: Context,
}

/// Something that has happened.
#[derive(Debug)]
pub struct Event {
    /// When, in microseconds since the start.
    pub time: u64,
    /// With whom: a place in [`Capture::lanes`].
    pub lane: usize,
    /// On which connection: a place in [`Capture::connections`]. `None` for a tracker.
    pub connection: Option<usize>,
    /// What.
    pub what: What,
    /// The line of the file in which it begins.
    line: usize,
}

/// What has happened.
#[derive(Debug)]
pub enum What {
    /// Something was said.
    Said(Box<Said>),
    /// The connection has ended.
    End,
}

/// An object on its way.
#[derive(Debug)]
pub struct Said {
    /// Which way.
    pub way: Way,
    /// Where it stands in its stream.
    pub range: Range<usize>,
    /// What it is.
    pub object: Object,
    /// Whether the capture ends in the middle of it.
    pub is_cut: bool,
    /// How many bytes follow it that nobody can make sense of: it is broken.
    pub rest: usize,
    /// The bytes, where they stand in no stream: a tracker's.
    own: Vec<u8>,
}

/// All of it, in the order of time.
#[derive(Debug)]
pub struct Capture {
    /// When it began, in seconds since 1970.
    pub started: Option<u64>,
    /// Everybody that was talked to, in the order of the file.
    pub lanes: Vec<Lane>,
    /// The connections, in the order of the file.
    pub connections: Vec<Connection>,
    /// What has happened.
    pub events: Vec<Event>,
    /// How many bytes were not looked at, since there were too many objects before them.
    pub left_out: usize,
}

/// Why a capture cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: expected {expected}, found {found}")]
pub struct CaptureError {
    /// The line, counted from 1.
    pub line: usize,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// Whether these bytes begin as a capture does.
pub fn is_capture(bytes: &[u8]) -> bool {
    let start = bytes.get(..200).unwrap_or(bytes);
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.first() == Some(&b'{') && line.windows(KEY.len()).any(|window| window == KEY.as_bytes())
}

impl Capture {
    /// Reads a capture.
    ///
    /// # Errors
    /// If a line is not what it should be.
    pub fn read(bytes: &[u8]) -> Result<Capture, CaptureError> {
        let mut reader = Reader {
            capture: Capture { started: None, lanes: Vec::new(), connections: Vec::new(), events: Vec::new(), left_out: 0 },
            connections: HashMap::new(),
            lanes: HashMap::new(),
            fields: 0,
        };
        let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        for (number, line) in (1..).zip(whole.split(|byte| *byte == b'\n')) {
            // Without a newline behind it.
            let last = line.as_ptr_range().end == bytes.as_ptr_range().end;
            reader.line(&Line::parse(number, line, last)?)?;
        }
        Ok(reader.end())
    }

    /// The bytes of something that was said.
    pub fn bytes<'c>(&'c self, event: &'c Event) -> &'c [u8] {
        match (&event.what, event.connection.and_then(|place| self.connections.get(place))) {
            (What::Said(said), Some(connection)) => connection.stream(said.way).bytes.get(said.range.clone()).unwrap_or_default(),
            (What::Said(said), None) => &said.own,
            (What::End, _) => &[],
        }
    }

    /// Whom an event has to do with.
    pub fn lane(&self, event: &Event) -> &Lane {
        self.lanes.get(event.lane).expect("an event's lane is in the list")
    }

    /// All events with their numbers, from 1.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &Event)> {
        (1..).zip(&self.events)
    }

    /// The first thing that is broken, if anything is, and its number.
    pub fn broken(&self) -> Option<(usize, &Event, &Said)> {
        self.numbered().find_map(|(number, event)| match &event.what {
            What::Said(said) if said.object.broken.is_some() && !said.is_cut => Some((number, event, &**said)),
            _ => None,
        })
    }
}

impl Connection {
    fn stream(&self, way: Way) -> &Stream {
        let [to_us, from_us] = &self.streams;
        if way == Way::In { to_us } else { from_us }
    }

    fn stream_mut(&mut self, way: Way) -> &mut Stream {
        let [to_us, from_us] = &mut self.streams;
        if way == Way::In { to_us } else { from_us }
    }
}

impl Stream {
    fn new() -> Stream {
        let (next, context) = (Next::Handshake, Context::default());
        Stream { bytes: Vec::new(), chunks: Vec::new(), cut: 0, next, broken: None, context }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.cut..).unwrap_or_default()
    }

    /// The chunk in which this byte came: its time and its line.
    fn came(&self, at: usize) -> (u64, usize) {
        let after = self.chunks.partition_point(|(start, _, _)| *start <= at);
        let chunk = after.checked_sub(1).and_then(|place| self.chunks.get(place));
        chunk.map_or((0, 0), |(_, time, line)| (*time, *line))
    }
}

/// A line of the file, and how to complain about it.
struct Line {
    number: usize,
    json: Value,
}

impl Line {
    fn parse(number: usize, line: &[u8], last: bool) -> Result<Line, CaptureError> {
        let error = |expected: &str, found: String| CaptureError { line: number, expected: expected.to_owned(), found };
        if line.len() > LONGEST_LINE {
            return Err(error(&format!("at most {LONGEST_LINE} bytes in a line"), line.len().to_string()));
        }
        match serde_json::from_slice::<Value>(line) {
            Ok(json @ Value::Object(_)) => Ok(Line { number, json }),
            Err(why) if why.is_eof() && last => Err(error("a JSON object", "that the file is cut short".to_owned())),
            _ => Err(error("a JSON object", super::quoted(line))),
        }
    }

    fn error(&self, expected: &str, found: impl Into<String>) -> CaptureError {
        CaptureError { line: self.number, expected: expected.to_owned(), found: found.into() }
    }

    /// What stands at a key, for an error.
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
struct Reader {
    capture: Capture,
    /// Connections by their number, lanes by their name.
    connections: HashMap<u64, usize>,
    lanes: HashMap<String, usize>,
    /// How many fields have been described.
    fields: usize,
}

impl Reader {
    fn line(&mut self, line: &Line) -> Result<(), CaptureError> {
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
        if line.json.get("asker").is_some() {
            return self.exchange(line, time, "asker");
        }
        let number = line.number("c", "the number of a connection at \"c\", or a URL at \"tracker\"")?;
        let way = line.text("d", "\"in\", \"out\" or \"end\" at \"d\"")?;
        let place = match self.connections.get(&number) {
            Some(place) => *place,
            None => self.connection(line, number)?,
        };
        let capture = &mut self.capture;
        let connection = capture.connections.get_mut(place).expect("its place was noted when it was added");
        if std::mem::replace(&mut connection.ended, way == "end") {
            return Err(line.error(&format!("nothing more of connection {number}, which has ended"), line.found("d")));
        }
        let way = match way {
            "end" => {
                let lane = connection.lane;
                self.fields += 1;
                capture.events.push(Event { time, lane, connection: Some(place), what: What::End, line: line.number });
                return Ok(());
            }
            _ => self::way(line)?,
        };
        let bytes = line.hex()?;
        let stream = connection.stream_mut(way);
        if !bytes.is_empty() {
            stream.chunks.push((stream.bytes.len(), time, line.number));
            stream.bytes.extend(bytes);
            self.cut(place, way);
        }
        Ok(())
    }

    fn head(&mut self, line: &Line) -> Result<(), CaptureError> {
        let what = format!("\"{KEY}\":{VERSION}");
        if line.number(KEY, &what)? != VERSION {
            return Err(line.error(&what, line.found(KEY)));
        }
        let started = line.json.get("started");
        self.capture.started = started.and_then(|at| at.as_u64().or_else(|| at.as_str()?.parse().ok()));
        Ok(())
    }

    fn connection(&mut self, line: &Line, number: u64) -> Result<usize, CaptureError> {
        let peer = line.text("peer", "the peer's address at \"peer\"")?;
        let lane = self.lane(peer, Role::Peer);
        self.fields += 1;
        let place = self.capture.connections.len();
        self.capture.connections.push(Connection { number, lane, streams: [Stream::new(), Stream::new()], ended: false });
        self.connections.insert(number, place);
        Ok(place)
    }

    fn lane(&mut self, name: &str, role: Role) -> usize {
        let lanes = &mut self.capture.lanes;
        *self.lanes.entry(name.to_owned()).or_insert_with(|| {
            lanes.push(Lane { name: clipped(name, MOST_NAME), client: None, role });
            lanes.len() - 1
        })
    }

    /// What is said to or by a tracker, whole in one line.
    fn exchange(&mut self, line: &Line, time: u64, key: &str) -> Result<(), CaptureError> {
        let url = line.text(key, &format!("a URL at \"{key}\""))?;
        let way = way(line)?;
        let own = line.hex()?;
        let (lane, to_tracker) = match key {
            "tracker" => (self.lane(url, Role::Tracker), Way::Out),
            // Without the port: a client asks from a new one each time.
            _ => (self.lane(url.rsplit_once(':').map_or(url, |(ip, _)| ip), Role::Asker), Way::In),
        };
        let object = exchanged(url, way == to_tracker, &own);
        self.fields += object.fields.len() + 1;
        let said = Box::new(Said { way, range: 0..own.len(), object, is_cut: false, rest: 0, own });
        self.capture.events.push(Event { time, lane, connection: None, what: What::Said(said), line: line.number });
        Ok(())
    }

    /// Cuts off the objects that are whole.
    fn cut(&mut self, place: usize, way: Way) {
        while !self.is_full() {
            let connection = self.capture.connections.get_mut(place).expect("its place was noted when it was added");
            let stream = connection.stream_mut(way);
            let length = stream.next.length(stream.rest()).filter(|_| stream.broken.is_none());
            let Some(length) = length else { return };
            self.describe(place, way, length);
        }
    }

    /// Describes the next object of a stream, which has so many bytes.
    fn describe(&mut self, place: usize, way: Way, length: usize) {
        let connection = self.capture.connections.get_mut(place).expect("its place was noted when it was added");
        let lane = connection.lane;
        let stream = connection.stream_mut(way);
        let range = stream.cut..stream.cut + length;
        let bytes = stream.bytes.get(range.clone()).unwrap_or_default();
        let object = stream.next.describe(bytes, &stream.context);
        let (time, line) = stream.came(range.start);
        let client = bytes.get(48..HANDSHAKE_LENGTH).filter(|_| stream.next == Next::Handshake && way == Way::In);
        let client = client.and_then(|id| Client::of(&PeerId(*id.first_chunk()?))).map(|client| client.to_string());
        let names = greeting(bytes).filter(|_| stream.next == Next::Message);
        let lost = object.broken.is_some() && (stream.next == Next::Handshake || bytes.get(4) != Some(&EXTENDED));
        (stream.cut, stream.next) = (range.end, Next::Message);
        stream.broken = lost.then_some(self.capture.events.len());
        self.fields += object.fields.len() + 1;
        // Who names a number by which to reach it is who will be sent it.
        if let Some(names) = names {
            s07::learn(&mut connection.stream_mut(way.back()).context.extensions, names);
        }
        if let (Some(lane), Some(client)) = (self.capture.lanes.get_mut(lane), client) {
            lane.client = Some(client);
        }
        let said = Box::new(Said { way, range, object, is_cut: false, rest: 0, own: Vec::new() });
        self.capture.events.push(Event { time, lane, connection: Some(place), what: What::Said(said), line });
    }

    fn is_full(&self) -> bool {
        self.fields >= MOST_FIELDS
    }

    /// Only counts the bytes of a line.
    fn leave_out(&mut self, line: &Line) -> Result<(), CaptureError> {
        if line.json.get("hex").is_some() {
            self.capture.left_out += line.hex()?.len();
        }
        Ok(())
    }

    /// The ends of all streams, and everything in its order.
    fn end(mut self) -> Capture {
        for place in 0..self.capture.connections.len() {
            for way in [Way::In, Way::Out] {
                self.end_of(place, way);
            }
        }
        // Stable, so that objects of one line stay as they are.
        self.capture.events.sort_by_key(|event| (event.time, event.line));
        self.capture
    }

    fn end_of(&mut self, place: usize, way: Way) {
        let Some(connection) = self.capture.connections.get_mut(place) else { return };
        let stream = connection.stream_mut(way);
        let rest = stream.rest().len();
        if rest == 0 {
            return;
        }
        if let Some(broken) = stream.broken {
            if let Some(Event { what: What::Said(said), .. }) = self.capture.events.get_mut(broken) {
                said.rest = rest;
            }
        } else if self.is_full() {
            self.capture.left_out += rest;
        } else {
            self.describe(place, way, rest);
            if let Some(Event { what: What::Said(said), .. }) = self.capture.events.last_mut() {
                said.is_cut = said.object.broken.as_ref().is_some_and(|broken| broken.range.start >= rest);
            }
        }
    }
}

/// `d` where it must be a way.
fn way(line: &Line) -> Result<Way, CaptureError> {
    match line.json.get("d").and_then(Value::as_str) {
        Some("in") => Ok(Way::In),
        Some("out") => Ok(Way::Out),
        _ => Err(line.error("\"in\" or \"out\" at \"d\"", line.found("d"))),
    }
}

/// What an extension handshake says, if this message is one.
fn greeting(message: &[u8]) -> Option<ExtensionHandshake> {
    match message.get(4..)? {
        [EXTENDED, 0, payload @ ..] => ExtensionHandshake::decode(payload).ok(),
        _ => None,
    }
}

/// What was said to a tracker, or by it.
fn exchanged(url: &str, to_tracker: bool, bytes: &[u8]) -> Object {
    let udp = url.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("udp://"));
    match (to_tracker, udp) {
        (true, true) => s13::request(bytes),
        (false, true) => s13::answer(bytes, if url.get(6..7) == Some("[") { Family::V6 } else { Family::V4 }),
        (true, false) => s03::request(bytes),
        (false, false) => s03::response(bytes),
    }
}
