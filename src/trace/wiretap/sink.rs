//! Writes events, as text or as a JSON object a line, and all bytes into a capture.
//!
//! A line of the capture has the bytes of one read or one write. Its reader cuts them into
//! messages: see [`capture`](super::super::capture).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::super::conversation::{Conversation, PassedObject};
use super::super::stream::Way;
use super::super::text::{self, TextOptions};
use super::super::{Object, discreet, json as object_json};
use crate::s01_bencode::printable;
use crate::s02_metainfo::{Info, InfoHash};
use crate::s03_tracker::secrets::hide;

/// A warning in the capture, for anyone who would pass it on.
const HOLDS: &str =
    "every byte that was sent and received, with passkeys and passwords: keep it to yourself";
/// The most torrents whose number of pieces is kept.
const MAX_TORRENTS: usize = 64;

/// A place to write to, with its name for warnings.
pub struct Sink {
    /// `the trace in FILE`
    pub name: String,
    /// The writer. Each event is one call of `write_all`.
    pub out: Box<dyn Write + Send>,
}

/// The form of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text {
        /// Whether to use colors, for a terminal.
        color: bool,
    },
    /// For programs: one object a line.
    Json,
}

/// Takes what passes on all connections.
pub struct Tap {
    begun: Instant,
    form: Form,
    warn: Box<dyn Fn(&str) + Send + Sync>,
    /// Whether secrets are shown.
    shows_secrets: AtomicBool,
    /// The state. Its lock is held only while an event is described and written.
    state: Mutex<State>,
}

struct State {
    trace: Option<Sink>,
    capture: Option<Sink>,
    /// The numbers of the last event and of the last connection.
    events: u64,
    connections: u64,
    open: BTreeMap<u64, OpenConnection>,
    /// The number of pieces of each known torrent.
    pieces: BTreeMap<InfoHash, u32>,
    warnings: Vec<String>,
}

/// A connection with a wiretap.
struct OpenConnection {
    peer: SocketAddr,
    talk: Conversation,
}

/// The other side of an event.
#[derive(Clone, Copy)]
pub(super) enum OtherSide<'w> {
    Peer {
        peer: SocketAddr,
        connection: Option<u64>,
    },
    Tracker(&'w str),
    /// A node of the DHT.
    Node(SocketAddr),
    /// A client that asks our own tracker.
    Asker(&'w str),
}

/// What happened.
enum TraceEvent<'w> {
    /// An object that passed.
    Object { way: Way, object: &'w Object, bytes: &'w [u8], changes: &'w [String] },
    /// Anything else, in words.
    Words(&'w str),
}

impl OtherSide<'_> {
    /// Returns the JSON key for it.
    fn role(&self) -> &'static str {
        match self {
            OtherSide::Peer { .. } => "peer",
            OtherSide::Tracker(_) => "tracker",
            OtherSide::Node(_) => "node",
            OtherSide::Asker(_) => "asker",
        }
    }
}

impl fmt::Display for OtherSide<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            OtherSide::Peer { peer, .. } => peer.fmt(out),
            OtherSide::Node(address) => address.fmt(out),
            OtherSide::Tracker(url) | OtherSide::Asker(url) => printable(url).fmt(out),
        }
    }
}

impl Tap {
    /// Makes a tap that writes events to `trace` and bytes to `capture`. After a failed write,
    /// that sink is dropped with one `warn`; a closed pipe needs no warning.
    pub fn new(
        trace: Option<Sink>,
        form: Form,
        capture: Option<Sink>,
        warn: impl Fn(&str) + Send + Sync + 'static,
    ) -> Arc<Tap> {
        let (events, connections, open, pieces, warnings) = Default::default();
        let state =
            Mutex::new(State { trace, capture, events, connections, open, pieces, warnings });
        let tap = Tap {
            begun: Instant::now(),
            form,
            warn: Box::new(warn),
            shows_secrets: AtomicBool::new(false),
            state,
        };
        let started =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        tap.with(|state| {
            state.capture(
                &json!({ "piecemeal_capture": 1, "started": started.to_string(), "holds": HOLDS }),
            )
        });
        Arc::new(tap)
    }

    /// Adds a torrent, so that its bitfields can be counted and checked.
    pub fn learn(&self, info: &Info) {
        self.with(|state| {
            if state.pieces.len() < MAX_TORRENTS {
                state.pieces.insert(info.info_hash, info.piece_count());
            }
        });
    }

    /// Runs `act` under the lock, and warns afterwards.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let done = act(&mut state);
        let warnings = std::mem::take(&mut state.warnings);
        drop(state);
        warnings.iter().for_each(|warning| (self.warn)(warning));
        done
    }

    /// Records a new connection, and returns its number.
    pub(super) fn opened(&self, peer: SocketAddr, how: &str) -> u64 {
        self.with(|state| {
            state.connections += 1;
            let number = state.connections;
            state.open.insert(number, OpenConnection { peer, talk: Conversation::default() });
            self.tell(
                state,
                OtherSide::Peer { peer, connection: Some(number) },
                &TraceEvent::Words(how),
            );
            number
        })
    }

    /// Writes an event about a peer without a connection.
    pub(super) fn say_of(&self, peer: SocketAddr, what: &str) {
        self.with(|state| {
            self.tell(state, OtherSide::Peer { peer, connection: None }, &TraceEvent::Words(what))
        });
    }

    /// Writes an event about a connection.
    pub(super) fn say(&self, number: u64, what: &str) {
        self.with(|state| {
            let Some(peer) = state.open.get(&number).map(|open| open.peer) else { return };
            self.tell(
                state,
                OtherSide::Peer { peer, connection: Some(number) },
                &TraceEvent::Words(what),
            );
        });
    }

    /// Records the end of a connection, once both halves are dropped.
    pub(super) fn closed(&self, number: u64) {
        self.with(|state| {
            let Some(open) = state.open.remove(&number) else { return };
            let t = self.micros();
            state.capture(
                &json!({ "t": t, "c": number, "peer": open.peer.to_string(), "d": "end" }),
            );
            let what = format!("closed: {}", open.talk.summary());
            self.tell(
                state,
                OtherSide::Peer { peer: open.peer, connection: Some(number) },
                &TraceEvent::Words(&what),
            );
        });
    }

    /// Records bytes that pass on a connection.
    pub(super) fn pass(&self, number: u64, way: Way, bytes: &[u8]) {
        self.with(|state| {
            let Some(mut open) = state.open.remove(&number) else { return };
            let (peer, t) = (open.peer, self.micros());
            let chunk = |hex| json!({ "t": t, "c": number, "peer": peer.to_string(), "d": way.word(), "hex": hex });
            if state.capture.is_some() {
                state.capture(&chunk(digits(bytes)));
            }
            if state.trace.is_some() {
                let (whom, mut rest) = (OtherSide::Peer { peer, connection: Some(number) }, bytes);
                loop {
                    open.talk.pieces = open.talk.info_hash().and_then(|info_hash| state.pieces.get(&info_hash).copied());
                    let Some(PassedObject { object, bytes, changes }) = open.talk.next(way, &mut rest) else { break };
                    self.tell(state, whom, &TraceEvent::Object { way, object: &object, bytes: &bytes, changes: &changes });
                }
            }
            state.open.insert(number, open);
        });
    }

    /// Records a whole request to a tracker or a node, or the answer. The capture gets every byte,
    /// the trace no secrets.
    pub(super) fn tracker(
        &self,
        whom: OtherSide,
        way: Way,
        bytes: &[u8],
        changes: &[String],
        describe: impl Fn(&[u8]) -> Object,
    ) {
        self.with(|state| {
            if state.capture.is_some() {
                let t = self.micros();
                let (role, name) = (whom.role(), whom.to_string());
                state
                    .capture(&json!({ "t": t, role: name, "d": way.word(), "hex": digits(bytes) }));
            }
            // Describing a long answer holds up all other threads, so skip it without a trace.
            if state.trace.is_none() {
                return;
            }
            let (object, bytes) = match self.shows_secrets.load(Ordering::Relaxed) {
                true => (describe(bytes), Cow::Borrowed(bytes)),
                false => discreet::describe(bytes, describe),
            };
            self.tell(
                state,
                whom,
                &TraceEvent::Object { way, object: &object, bytes: &bytes, changes },
            );
        });
    }

    /// Shows secrets in the trace from now on.
    pub fn show_secrets(&self) {
        self.shows_secrets.store(true, Ordering::Relaxed);
    }

    /// Writes an event about a tracker or a node that failed.
    pub(super) fn failed(&self, whom: OtherSide, why: &str) {
        self.with(|state| self.tell(state, whom, &TraceEvent::Words(why)));
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Writes one event.
    fn tell(&self, state: &mut State, whom: OtherSide, what: &TraceEvent) {
        if state.trace.is_none() {
            return;
        }
        state.events += 1;
        let time = self.micros();
        let thread = thread::current();
        let thread = printable(thread.name().unwrap_or("(no name)"));
        let name = match (whom, self.shows_secrets.load(Ordering::Relaxed)) {
            (OtherSide::Tracker(url), false) => hide(url),
            _ => String::new(),
        };
        let hidden = match *what {
            TraceEvent::Words(words) if !name.is_empty() => hide(words),
            _ => String::new(),
        };
        let whom = if name.is_empty() { whom } else { OtherSide::Tracker(&name) };
        let what = if hidden.is_empty() { what } else { &TraceEvent::Words(&hidden) };
        let event = match self.form {
            Form::Text { color } => as_text(state.events, time, whom, what, &thread, color),
            Form::Json => format!("{}\n", as_json(state.events, time, whom, what, &thread)),
        };
        put(&mut state.trace, &mut state.warnings, event.as_bytes());
    }
}

impl State {
    /// Writes one line of the capture.
    fn capture(&mut self, line: &Value) {
        put(&mut self.capture, &mut self.warnings, format!("{line}\n").as_bytes());
    }
}

/// Writes to a sink, and drops it if that fails.
fn put(sink: &mut Option<Sink>, warnings: &mut Vec<String>, bytes: &[u8]) {
    let Some(Sink { name, out }) = sink else { return };
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        if error.kind() != ErrorKind::BrokenPipe {
            warnings.push(format!("{name} ends here: {error}"));
        }
        *sink = None;
    }
}

/// Encodes bytes as hex. All bytes of a session go through here, and `hex::encode`, which
/// pushes letter by letter, would take most of a capture's time.
fn digits(bytes: &[u8]) -> String {
    let mut digits = vec![0; 2 * bytes.len()];
    let _ = hex::encode_to_slice(bytes, &mut digits); // fails only for a wrong length
    String::from_utf8(digits).unwrap_or_default()
}

fn as_text(
    number: u64,
    time: u64,
    whom: OtherSide,
    what: &TraceEvent,
    thread: &str,
    color: bool,
) -> String {
    let whom = whom.to_string();
    // Many threads are named after their peer.
    let thread =
        format!("(thread {})", thread.strip_suffix(whom.as_str()).map_or(thread, str::trim_end));
    match what {
        TraceEvent::Words(words) => format!(
            "{}   {thread}\n",
            text::event(number, time, "   ---", &whom, &printable(words))
        ),
        TraceEvent::Object { way, object, bytes, changes } => {
            let line = text::event(number, time, way.arrow(), &whom, &text::head(object));
            let line = text::passing(&line, object, &format!(" {thread}"), color);
            format!(
                "{line}{}{}\n",
                text::fields(object, bytes, TextOptions { at: 0, color }),
                text::changes(changes)
            )
        }
    }
}

fn as_json(number: u64, time: u64, whom: OtherSide, what: &TraceEvent, thread: &str) -> Value {
    let head = [
        ("event", json!("trace")),
        ("number", json!(number)),
        ("t", json!(time)),
        ("thread", json!(thread)),
    ];
    let connection = match whom {
        OtherSide::Peer { connection, .. } => Some(("connection", json!(connection))),
        _ => None,
    };
    let whom = connection.into_iter().chain([(whom.role(), json!(whom.to_string()))]);
    let what = match what {
        TraceEvent::Object { way, object, bytes, changes } => {
            vec![
                ("direction", json!(way.word())),
                ("object", object_json::object(object, bytes, 0)),
                ("changes", json!(changes)),
            ]
        }
        TraceEvent::Words(words) => vec![("what", json!(printable(words)))],
    };
    let all = head.into_iter().chain(whom).chain(what);
    Value::Object(all.map(|(key, value)| (key.to_owned(), value)).collect())
}
