//! Stage 3: ask a tracker who else has the torrent.
//!
//! A tracker is a phone book: each client tells it "I am here, I want this
//! torrent", and gets the addresses of some other peers. Over HTTP this is one
//! GET request, the *announce*, and a bencoded answer.
//!
//! * **Run it:** `piecemeal peers lab/sample.torrent`
//! * **Spec:** BEP 3, "trackers"; BEP 7, 12, 23, 31; **chapter:** `docs/03-tracker.md`
//! * **Builds on:** bencode from stage 1, [`InfoHash`] from stage 2
//!
//! # On the wire
//! ```text
//! GET /announce?info_hash=%d6%9f..&peer_id=-PM0001-..&port=6881&uploaded=0&downloaded=0&left=92063&compact=1
//!
//! d 8:interval i1800e 5:peers 12:<7f 00 00 02 1a e1> <7f 00 00 03 1a e2> e
//!                                 127.0.0.2   6881    127.0.0.3   6882
//! ```
//! # Decisions
//! * **The query is built by hand.** `info_hash` is 20 raw bytes, percent-encoded
//!   one by one. A URL library would take them for text and spoil them.
//! * **The answer is decoded as a prefix.** Trackers append newlines and worse.
//! * **[`Tracker`] is a seam.** A tier ([`tiers`]) works over any list of trackers, so
//!   another kind of URL needs no change here.
//! * **Strict about `peers`, lenient about the rest.** Most other keys of the wrong type, and
//!   repeated keys, are passed over with a note ([`AnnounceResponse::passed_over`]).
//! * **Left out:** when to announce again. That is stage 13.
//!
//! # In two sittings
//! 1. This file, [`tiers`], [`http`], [`peers`] and [`names`]: the request, and the answer.
//! 2. [`reach`], which says which addresses a tracker may name; [`secrets`], which keeps
//!    passkeys off the screen.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod http;
pub mod names;
pub mod peers;
pub mod reach;
pub mod secrets;
pub mod tiers;

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use thiserror::Error;

use self::peers::{PeerAddress, Peers};
use self::reach::Reach;
use crate::s01_bencode::forgiving::{PassedOver, decode_first_keys};
use crate::s01_bencode::limits::Limits;
use crate::s01_bencode::{BencodeError, Value, printable};
use crate::s02_metainfo::InfoHash;

/// The 20 bytes a client identifies itself with; new for each run.
///
/// By a convention (BEP 20), the first eight name the program: `-PM0001-` is
/// piecemeal 0.1. The rest is random. It is no secret and proves nothing: any peer can send
/// any id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub [u8; 20]);

impl PeerId {
    /// Generates a new id. Twelve random bytes are enough to make each id unique, so no one has to
    /// hand ids out.
    pub fn random() -> PeerId {
        let mut id = *b"-PM0001-............";
        for byte in &mut id[8..] {
            *byte = rand::random();
        }
        PeerId(id)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "PeerId({self})")
    }
}

/// What a client tells a tracker. Each announce says everything again: a tracker that was
/// restarted knows nothing of us.
#[derive(Debug, Clone)]
pub struct AnnounceRequest {
    /// The torrent whose peers we want.
    pub info_hash: InfoHash,
    /// Ourselves. Stage 4's handshakes carry the same id.
    pub peer_id: PeerId,
    /// The port we listen on. The tracker sees our IP address; it must be told the port.
    pub port: u16,
    /// Bytes of blocks sent in this session. Private trackers keep track of it.
    pub uploaded: u64,
    /// Bytes of blocks received in this session. What is read from disk does not count.
    pub downloaded: u64,
    /// Bytes still missing; 0 says that we are a seed. With only a magnet link the
    /// length is unknown, so we say 1.
    pub left: u64,
    /// What has just happened, if anything.
    pub event: Option<Event>,
    /// The number of peers we would like; the tracker decides if `None`. Stage 13's goodbye asks
    /// for 0.
    pub numwant: Option<u32>,
    /// A secret by which the tracker recognizes us after our address has changed.
    pub key: Option<u32>,
    /// The tracker's id from its last answer, sent back ([`AnnounceResponse::tracker_id`]).
    pub tracker_id: Option<Vec<u8>>,
}

impl AnnounceRequest {
    /// A first announce, without an event: nothing transferred yet.
    pub fn new(info_hash: InfoHash, peer_id: PeerId, left: u64) -> AnnounceRequest {
        AnnounceRequest {
            info_hash,
            peer_id,
            port: DEFAULT_PORT,
            uploaded: 0,
            downloaded: 0,
            left,
            event: None,
            numwant: None,
            key: None,
            tracker_id: None,
        }
    }

    /// The query string, without the `?`. An optional parameter that is not set is left out.
    pub fn query(&self) -> String {
        // `compact=1` asks for six bytes a peer (BEP 23). The tracker may send a list anyway.
        let mut query = format!(
            "info_hash={}&peer_id={}&port={}&uploaded={}&downloaded={}&left={}&compact=1",
            urlencoding::encode_binary(&self.info_hash.0),
            urlencoding::encode_binary(&self.peer_id.0),
            self.port,
            self.uploaded,
            self.downloaded,
            self.left,
        );
        if let Some(event) = self.event {
            query += &format!("&event={event}");
        }
        if let Some(numwant) = self.numwant {
            query += &format!("&numwant={numwant}");
        }
        if let Some(key) = self.key {
            query += &format!("&key={key:08x}");
        }
        if let Some(id) = &self.tracker_id {
            query += &format!("&trackerid={}", urlencoding::encode_binary(id));
        }
        query
    }
}

/// The port that BEP 3 suggests for listening. Also sent by a client that does not listen,
/// since the parameter is mandatory.
pub const DEFAULT_PORT: u16 = 6881;

/// What has just happened (BEP 3). A regular announce has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The first announce of a session.
    Started,
    /// The last piece has arrived. Never sent for a torrent that was complete at the start.
    Completed,
    /// We are leaving: the tracker should stop naming us.
    Stopped,
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(match self {
            Event::Started => "started",
            Event::Completed => "completed",
            Event::Stopped => "stopped",
        })
    }
}

/// What a tracker answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnounceResponse {
    /// Other peers: those of `peers`, then `peers6`; at most [`peers::MAX_PEERS`] each. Those with
    /// port 0 are left out.
    pub peers: Vec<SocketAddr>,
    /// Other peers by host name, which the caller has to look up. Only the list form can hold them.
    pub named: Vec<PeerAddress>,
    /// When to announce again. As the tracker gives it: 0 or a billion years is possible.
    pub interval: Option<Duration>,
    /// When to announce again at the earliest, even if we run out of peers.
    pub min_interval: Option<Duration>,
    /// To be sent back with each later announce (`tracker id`).
    pub tracker_id: Option<Vec<u8>>,
    /// Text that the tracker wants the user to read; the announce worked.
    pub warning: Option<String>,
    /// The number of seeds (`complete`). Both counts are only shown.
    pub complete: Option<u64>,
    /// The number of peers that are still downloading (`incomplete`).
    pub incomplete: Option<u64>,
    /// What in the answer breaks a rule and was passed over: a sentence each, a few at most.
    pub passed_over: Vec<String>,
    /// How far away the answering tracker is. It limits the addresses that this tracker may
    /// name. It is not in the answer: whoever sent the request sets it. [`Reach::Internet`],
    /// the default, is the strictest.
    pub from: Reach,
}

impl AnnounceResponse {
    /// Decodes a tracker's answer. Bytes after the dictionary are ignored. Most keys of the wrong
    /// type are passed over; of two equal keys the first counts.
    ///
    /// # Errors
    /// If it is not a dictionary, if it holds a `failure reason`, or if `peers`
    /// is neither compact nor a list.
    pub fn decode(answer: &[u8]) -> Result<AnnounceResponse, TrackerError> {
        let mut notes = PassedOver::default();
        let top = decode_first_keys(answer, LIMITS, &mut notes)?;
        if top.dictionary().is_none() {
            return Err(TrackerError::Answer {
                key: "the answer",
                expected: "a dictionary",
                found: top.type_name().to_owned(),
            });
        }
        // Before all other keys. BEP 3: with a failure reason, "no other keys are required".
        if let Some(failure) = failure(&top) {
            return Err(failure);
        }
        let Peers { addresses: peers, named } = peers::of_answer(&top, &mut notes)?;
        // The rest is useful, not needed: good peers must not be lost over a bad interval.
        let mut number = |key, expected| notes.read(&top, key, expected, Value::unsigned);
        let [interval, min_interval] =
            ["interval", "min interval"].map(|key| number(key, "a number of seconds"));
        let [complete, incomplete] =
            ["complete", "incomplete"].map(|key| number(key, "a number of peers"));
        let id = |value: &Value| {
            value.bytes().filter(|id| id.len() <= MAX_TRACKER_ID_LENGTH).map(<[u8]>::to_vec)
        };
        Ok(AnnounceResponse {
            peers,
            named,
            interval: interval.map(Duration::from_secs),
            min_interval: min_interval.map(Duration::from_secs),
            tracker_id: notes.read(&top, "tracker id", "a byte string of at most 1000 bytes", id),
            warning: notes.read(&top, "warning message", "a byte string", Value::bytes).map(words),
            complete,
            incomplete,
            passed_over: notes.into_notes(),
            from: Reach::default(),
        })
    }
}

/// Limits of the dictionary. Two thousand peers in a list are eight thousand values: each peer is a
/// dictionary of three.
pub const LIMITS: Limits = Limits { depth: 8, items: 20_000 };
/// The longest `tracker id` that is sent back, in bytes: it goes into the next URL.
const MAX_TRACKER_ID_LENGTH: usize = 1000;
/// The most bytes of a tracker's or a library's text that are shown.
const MAX_WORDS_LENGTH: usize = 500;

/// Returns the refusal in an answer, if there is one. The key alone makes it a refusal, even if
/// the reason is empty, or is not a string.
pub(crate) fn failure(answer: &Value) -> Option<TrackerError> {
    let reason = answer.get("failure reason")?.bytes().filter(|reason| !reason.is_empty());
    let reason = words(reason.unwrap_or(b"(it gives no reason)"));
    Some(TrackerError::Failure { reason, retry: Retry::decode(answer.get("retry in")) })
}

/// Returns the first 500 bytes of a tracker's text, safe to print. Text that is not UTF-8, or is
/// cut inside a character, gets a `�` in that place.
pub(crate) fn words(text: &[u8]) -> String {
    printable(&String::from_utf8_lossy(text.get(..MAX_WORDS_LENGTH).unwrap_or(text)))
}

/// A way to announce: HTTP here, UDP in a later stage. One value serves the threads of all
/// tiers at the same time.
pub trait Tracker: Send + Sync {
    /// The URL schemes it speaks, in lower case: `["http", "https"]`. They decide which URLs it
    /// gets.
    fn schemes(&self) -> &[&str];

    /// Announces once; returns by `deadline` whatever the other side does. The URL has one of
    /// [`Tracker::schemes`].
    ///
    /// # Errors
    /// If there is no good answer by then.
    fn announce(
        &self,
        url: &str,
        ask: &AnnounceRequest,
        deadline: Instant,
    ) -> Result<AnnounceResponse, TrackerError>;
}

/// When a tracker that refused may be asked again (BEP 31). A wish that this stage only reads:
/// obeying it takes a clock, which is stage 13's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It does not say.
    Unsaid,
    /// After this long.
    After(Duration),
    /// Not in this session.
    Never,
}

impl Retry {
    /// Reads `retry in`: minutes, or the word `never`. A string of digits also counts as minutes;
    /// anything else says nothing.
    fn decode(value: Option<&Value>) -> Retry {
        let Some(value) = value else { return Retry::Unsaid };
        match value.unsigned().or_else(|| value.text()?.parse().ok()) {
            Some(minutes) => Retry::After(Duration::from_secs(minutes.saturating_mul(60))),
            None if value.text() == Some("never") => Retry::Never,
            None => Retry::Unsaid,
        }
    }
}

/// Why an announce failed.
///
/// Three are final: [`Scheme`](TrackerError::Scheme), [`OffLimits`](TrackerError::OffLimits), and a
/// [`Failure`](TrackerError::Failure) with [`Retry::Never`]. Any other may be gone the next time:
/// trackers are restarted, moved and overloaded.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum TrackerError {
    /// The tracker refused, for the reason that it gives.
    #[error("the tracker refused: {reason}")]
    Failure { reason: String, retry: Retry },
    /// The answer is not bencode.
    #[error("the tracker's answer is not bencode: {0}")]
    Bencode(#[from] BencodeError),
    /// The answer is valid bencode, but a key has the wrong type.
    #[error("{key} must be {expected}, but is {found}")]
    Answer { key: &'static str, expected: &'static str, found: String },
    /// The HTTP status is not 200, and there is no failure reason. A proxy in front of the tracker
    /// may have answered.
    #[error("the tracker answered with HTTP status {0}")]
    Status(u16),
    /// The answer is over this limit, in bytes.
    #[error("the tracker's answer is over {0} bytes")]
    TooLong(usize),
    /// No complete answer arrived by the deadline.
    #[error("the tracker gave no whole answer in time")]
    TimedOut,
    /// None of our trackers speaks the URL's scheme.
    #[error("a URL of {spoken} was expected, but {}", if scheme.is_empty() { "there is no ://".to_owned() } else { format!("found the scheme \"{scheme}\"") })]
    Scheme { scheme: String, spoken: String },
    /// The tracker is on this machine or its network, which strangers may not make us contact: the
    /// text is [`reach`]'s.
    #[error("{0}")]
    OffLimits(&'static str),
    /// The request itself failed: nothing listens, TLS, or too many redirects. Also carries the
    /// errors of a later stage's tracker, whose types this stage cannot know.
    #[error("{0}")]
    Transport(Box<dyn std::error::Error + Send + Sync>),
}
