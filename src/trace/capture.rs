//! A capture: a file with all bytes of all connections of a session, and their times.
//!
//! A wiretap writes it; this module reads it back, and shows it as the trace did.
//!
//! ```text
//! {"piecemeal_capture":1,"started":"1792230000","holds":".."}    the first line
//! {"t":813,"c":1,"peer":"127.0.0.2:6881","d":"out","hex":"13.."} bytes of connection 1, from us
//! {"t":991,"c":1,"peer":"127.0.0.2:6881","d":"in","hex":"13.."}  and to us
//! {"t":5012,"c":1,"peer":"127.0.0.2:6881","d":"end"}             the end of connection 1
//! {"t":12,"tracker":"http://..","d":"out","hex":".."}            to a tracker: an object a line
//! {"t":12,"node":"127.0.0.2:6881","d":"out","hex":".."}          to a node of the DHT
//! {"t":12,"asker":"udp://127.0.0.1:4242","d":"in","hex":".."}    to us, where we are the tracker
//! ```
//! `t` is in microseconds since the start. Unknown keys are passed over.
//!
//! # Decisions
//! * **A line is a chunk, not an object.** A read can end anywhere. The chunks go through
//!   the same `conversation` as live ones, in the order of the file, so the objects and
//!   their changes are those of the trace.
//! * **An object's time is that of its first byte.** Its changes happen with its last.
//! * **All bytes are kept,** even those of blocks: `replay` needs them.
//! * **Bytes after a broken object are only counted.** The other streams go on.

pub mod fold;
pub mod lines;
pub mod mermaid;
pub mod page;
mod read;

use std::ops::Range;

use thiserror::Error;

use self::read::{CaptureLine, Reader};
use super::Object;
use super::conversation::Conversation;
use super::stream::Way;

/// The key that marks a capture.
const KEY: &str = "piecemeal_capture";

/// The other side of a conversation: a peer, a tracker or a node of the DHT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The address or URL, safe to print.
    pub name: String,
    /// The program that it claims to be.
    pub client: Option<String>,
    /// Its role.
    pub role: Role,
}

/// The role of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A peer.
    Peer,
    /// A tracker.
    Tracker,
    /// A node of the DHT.
    Node,
    /// A client of our own tracker.
    Asker,
}

impl Role {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Peer => "peer",
            Role::Tracker => "tracker",
            Role::Node => "node",
            Role::Asker => "asker",
        }
    }
}

/// A connection to a peer.
#[derive(Debug)]
pub struct Connection {
    /// The number in the file.
    pub number: u64,
    /// The other side: an index into [`Capture::lanes`].
    pub lane: usize,
    /// The two directions, [`Way::In`] first.
    streams: [Stream; 2],
    talk: Conversation,
    ended: bool,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    /// For each chunk: its start, its time, and its line.
    chunks: Vec<(usize, u64, usize)>,
    /// The bytes that have been cut into objects.
    cut: usize,
    /// The last object: an index into [`Capture::events`] before they are sorted.
    last: usize,
}

/// An event.
#[derive(Debug)]
pub struct Event {
    /// The time in microseconds since the start.
    pub time: u64,
    /// The other side: an index into [`Capture::lanes`].
    pub lane: usize,
    /// The connection: an index into [`Capture::connections`]; `None` for a tracker.
    pub connection: Option<usize>,
    /// What happened.
    pub kind: EventKind,
    /// The line of the file in which it begins.
    line: usize,
}

/// The content of an event.
#[derive(Debug)]
pub enum EventKind {
    /// An object was sent.
    Object(Box<CapturedObject>),
    /// The connection has ended.
    End,
}

/// An object that was sent.
#[derive(Debug)]
pub struct CapturedObject {
    /// The direction.
    pub way: Way,
    /// The bytes in its stream.
    pub range: Range<usize>,
    /// The object.
    pub object: Object,
    /// Whether the capture ends in the middle of it.
    pub is_cut: bool,
    /// The changes that it made, a line each.
    pub changes: Vec<String>,
    /// The number of bytes after a broken object, which cannot be interpreted.
    pub rest: usize,
    /// The bytes of an object outside any stream: a tracker's.
    own: Vec<u8>,
}

/// A whole capture, in the order of time.
#[derive(Debug)]
pub struct Capture {
    /// The time of the start, in seconds since 1970.
    pub started: Option<u64>,
    /// The peers and trackers, in the order of the file.
    pub lanes: Vec<Lane>,
    /// The connections, in the order of the file.
    pub connections: Vec<Connection>,
    /// The events.
    pub events: Vec<Event>,
    /// The number of bytes that were not described, after too many objects.
    pub left_out: usize,
}

/// Why a capture cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: expected {expected}, found {found}")]
pub struct CaptureError {
    /// The line, counted from 1.
    pub line: usize,
    /// What should be there.
    pub expected: String,
    /// What is there.
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
        Capture::read_by(Reader::new(false), bytes)
    }

    /// Reads a capture to be shown, without the secrets that trackers were sent.
    ///
    /// # Errors
    /// As [`Capture::read`].
    pub fn read_discreetly(bytes: &[u8]) -> Result<Capture, CaptureError> {
        Capture::read_by(Reader::new(true), bytes)
    }

    fn read_by(mut reader: Reader, bytes: &[u8]) -> Result<Capture, CaptureError> {
        let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        for (number, line) in (1..).zip(whole.split(|byte| *byte == b'\n')) {
            // The last line may have no newline.
            let last = line.as_ptr_range().end == bytes.as_ptr_range().end;
            reader.line(&CaptureLine::parse(number, line, last)?)?;
        }
        Ok(reader.end())
    }

    /// Returns the bytes of an event's object.
    pub fn bytes<'c>(&'c self, event: &'c Event) -> &'c [u8] {
        match (&event.kind, event.connection.and_then(|place| self.connections.get(place))) {
            (EventKind::Object(captured), Some(connection)) => connection
                .stream(captured.way)
                .bytes
                .get(captured.range.clone())
                .unwrap_or_default(),
            (EventKind::Object(captured), None) => &captured.own,
            (EventKind::End, _) => &[],
        }
    }

    /// Returns the other side of an event.
    pub fn lane(&self, event: &Event) -> &Lane {
        self.lanes.get(event.lane).expect("an event's lane is in the list")
    }

    /// Returns all events with their numbers, from 1.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &Event)> {
        (1..).zip(&self.events)
    }

    /// Returns the first broken object and the number of its event, if there is one.
    pub fn broken(&self) -> Option<(u64, &Event, &CapturedObject)> {
        self.numbered().find_map(|(number, event)| match &event.kind {
            EventKind::Object(captured) if captured.object.broken.is_some() && !captured.is_cut => {
                Some((number, event, &**captured))
            }
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
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.cut..).unwrap_or_default()
    }

    /// Returns the time and the line of the chunk with this byte.
    fn came(&self, at: usize) -> (u64, usize) {
        let after = self.chunks.partition_point(|(start, _, _)| *start <= at);
        let chunk = after.checked_sub(1).and_then(|place| self.chunks.get(place));
        chunk.map_or((0, 0), |(_, time, line)| (*time, *line))
    }
}
