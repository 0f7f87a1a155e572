//! A capture: what has gone over all connections of a session, with times, from a file.
//!
//! A wiretap writes one; here it is read again, and told as it was then.
//!
//! ```text
//! {"piecemeal_capture":1,"started":"1792230000","holds":".."}    the first line
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
//!   go through the same `conversation` as live ones do, in the order
//!   of the file, so what an object is and changes is what the trace said then.
//! * **An object's time is that of its first byte.** What it changes, it changes with its last.
//! * **All bytes are kept,** those of blocks, too: `replay` needs them.
//! * **What follows a broken object is counted.** The other streams go on.

pub mod fold;
pub mod lines;
pub mod mermaid;
pub mod page;
mod read;

use std::ops::Range;

use thiserror::Error;

use self::read::{Line, Reader};
use super::Object;
use super::conversation::Conversation;
use super::stream::Way;

/// The key by which a capture is known.
const KEY: &str = "piecemeal_capture";

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
    talk: Conversation,
    ended: bool,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    /// Where the chunks begin, when they came, and in which line they stand.
    chunks: Vec<(usize, u64, usize)>,
    /// How much of it has been cut into objects.
    cut: usize,
    /// The last of these, as a place in [`Capture::events`] before they are in order.
    last: usize,
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
    /// What it changed, a line each.
    pub changes: Vec<String>,
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
        Capture::read_by(Reader::new(false), bytes)
    }

    /// The same without the secrets that trackers were told, to be shown.
    ///
    /// # Errors
    /// As [`Capture::read`].
    pub fn read_discreetly(bytes: &[u8]) -> Result<Capture, CaptureError> {
        Capture::read_by(Reader::new(true), bytes)
    }

    fn read_by(mut reader: Reader, bytes: &[u8]) -> Result<Capture, CaptureError> {
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
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &Event)> {
        (1..).zip(&self.events)
    }

    /// The first thing that is broken, if anything is, and its number.
    pub fn broken(&self) -> Option<(u64, &Event, &Said)> {
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
