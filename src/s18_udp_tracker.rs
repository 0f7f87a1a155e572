//! Stage 18: the same phone book over UDP.
//!
//! An announce is a hundred bytes, and its answer is usually not much longer. Opening and closing a
//! TCP connection costs a tracker more than that. So most public trackers speak this protocol: two
//! small packets in each direction. To get fifty peers, BEP 15 counts 618 bytes in all instead of
//! 1,206.
//!
//! * **Run it:** `piecemeal scrape lab/sample.torrent`
//! * **Spec:** BEP 15; BEP 41 (URL data), BEP 48 (scrape); **chapter:** `docs/18-udp-tracker.md`
//! * **Builds on:** [`AnnounceRequest`] and the [`Tracker`] seam from stage 3
//!
//! # On the wire
//! All integers are big-endian. The client sends:
//! ```text
//! connect, 16 bytes       announce, 98 bytes + options        scrape, 16 bytes + 20 n
//!  0  8  41727101980 hex    0  8  connection id                 0  8  connection id
//!  8  4  action 0           8  4  action 1                      8  4  action 2
//! 12  4  transaction id    12  4  transaction id               12  4  transaction id
//!                          16 20  info hash                    16 20  info hash
//!                          36 20  peer id                      .. 20  up to 74 of them
//!                          56  8  downloaded
//!                          64  8  left                         options (BEP 41)
//!                          72  8  uploaded                      0     the end
//!                          80  4  event: 0 none, 1 completed,   1     nothing
//!                                 2 started, 3 stopped          2 n   n bytes of the URL's
//!                          84  4  IP address: 0                       path and query
//!                          88  4  key
//!                          92  4  how many peers, or -1
//!                          96  2  port
//! ```
//! The tracker answers:
//! ```text
//! connect, 16 bytes       announce, 20 bytes + 6 n or 18 n    scrape, 8 bytes + 12 n
//!  0  4  action 0           0  4  action 1                      0  4  action 2
//!  4  4  transaction id     4  4  transaction id                4  4  transaction id
//!  8  8  connection id      8  4  interval, in seconds          8  4  seeders
//!                          12  4  leechers                     12  4  downloads
//! error, 8 bytes + n       16  4  seeders                      16  4  leechers
//!  0  4  action 3          20  4  address (IPv6: 16 bytes)
//!  4  4  transaction id    24  2  port
//!  8  n  text
//! ```
//! # Decisions
//! * **A connection is a socket and an id; a thread takes it off a list.** So no two threads ever
//!   wait at one socket for each other's answers, and no lock is held while waiting.
//! * **A packet that does not fit is ignored; it is not an error.** Anyone can send a
//!   packet with a false sender. An error would let them end our announce.
//! * **Requests are sent again after 2, 4 and 8 s,** not after 15 s and more as BEP 15
//!   says: the announce has a deadline, and the tier has other trackers.
//! * **Left out:** several torrents in one scrape, which only [`packet`] can do.
//!
//! # In two sittings
//! 1. This file, `host`, `line` and [`scrape`]: how one asks over a network that loses packets.
//! 2. [`packet`], with `requests` and `answers`: the tables above as code.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

mod host;
pub mod line;
pub mod packet;
pub mod scrape;

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use thiserror::Error;

use self::host::Place;
use self::line::{Line, Wrap};
use self::packet::{RequestBody, ResponseBody};
use crate::s01_bencode::counted;
use crate::s03_tracker::names::Lookups;
use crate::s03_tracker::reach::{Reach, packet_refusal};
use crate::s03_tracker::{AnnounceRequest, AnnounceResponse, Retry, Tracker, TrackerError};

/// The most connections kept to be used again. Each holds a descriptor, and for a minute saves one
/// of an announce's two round trips.
const MAX_LINES: usize = 64;

/// Announces to `udp://` trackers.
///
/// One value serves all trackers and all threads. A download that announces `started` and
/// `completed` within a minute uses one connection.
#[derive(Default)]
pub struct UdpTracker {
    /// Connections that no thread is using, in the order they were put back. A leaf lock, held only
    /// to take one out or to put it back. There may be two to one address: two threads asked at the
    /// same time.
    lines: Mutex<Vec<Line>>,
    /// Counts the names that are being looked up, so that they stay few (stage 3).
    lookups: Lookups,
    /// Wraps each new socket, if somebody wants to see the packets.
    wrap: Option<Wrap>,
}

impl Tracker for UdpTracker {
    fn schemes(&self) -> &[&str] {
        &["udp"]
    }

    fn announce(
        &self,
        url: &str,
        ask: &AnnounceRequest,
        deadline: Instant,
    ) -> Result<AnnounceResponse, TrackerError> {
        // BEP 41: the path travels in the packet, since no request line carries it as in HTTP.
        let request = |path: &str| RequestBody::Announce {
            announce: ask.clone(),
            url_data: path.as_bytes().to_vec(),
        };
        let announced = |said| match said {
            ResponseBody::Announced { interval, leechers, seeders, peers } => {
                Some(AnnounceResponse {
                    peers,
                    interval: Some(interval),
                    complete: Some(seeders.into()),
                    incomplete: Some(leechers.into()),
                    // A packet has no `min interval`, `tracker id` or warning.
                    ..AnnounceResponse::default()
                })
            }
            _ => None,
        };
        let (address, announced) = self.ask(url, request, announced, deadline)?;
        // How far away the tracker is: one on the internet may not name peers in our network.
        Ok(AnnounceResponse { from: Reach::of(address.ip()), ..announced })
    }
}

impl UdpTracker {
    /// Returns the tracker with `wrap` around each socket that it will open.
    pub fn through(self, wrap: Wrap) -> UdpTracker {
        UdpTracker { wrap: Some(wrap), ..self }
    }

    /// Asks each address of the tracker in turn until one answers. Each gets its share of
    /// the time, like the trackers of a tier. Returns the address and the answer.
    ///
    /// `request` makes the request from the URL's path; `pick` takes the right kind of answer, and
    /// returns `None` for any other.
    ///
    /// # Errors
    /// If no address answers: the error of the last one.
    fn ask<T>(
        &self,
        url: &str,
        request: impl Fn(&str) -> RequestBody,
        pick: impl Fn(ResponseBody) -> Option<T>,
        deadline: Instant,
    ) -> Result<(SocketAddr, T), TrackerError> {
        let place = Place::parse(url)?;
        let ask = request(&place.path);
        let failed = |error| UdpError::Lookup { host: place.host.clone(), error };
        let addresses = self.lookups.find(&place.host, place.port, deadline).map_err(failed)?;
        let mut last = None;
        for (number, address) in addresses.iter().enumerate() {
            // The address counts, and not the URL: a name may lead to our own machine.
            if let Some(why) = packet_refusal(*address) {
                last = Some(UdpError::OffLimits(why));
                continue;
            }
            let now = Instant::now();
            let share = deadline.saturating_duration_since(now) / (addresses.len() - number) as u32;
            match self.ask_at(*address, &ask, &pick, now + share) {
                Ok(answer) => return Ok((*address, answer)),
                // A refusal is an answer. The tracker's other address would give the same one.
                Err(no @ UdpError::Refused(_)) => return Err(no.into()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or(TrackerError::TimedOut, TrackerError::from))
    }

    /// Asks over the connection we have to the address, if any, and otherwise over a new one. A
    /// failed request is repeated once at most.
    fn ask_at<T>(
        &self,
        address: SocketAddr,
        ask: &RequestBody,
        pick: impl Fn(ResponseBody) -> Option<T>,
        deadline: Instant,
    ) -> Result<T, UdpError> {
        let kept = self.take(address);
        let tried = kept.is_some();
        if let Some(line) = kept {
            let now = Instant::now();
            // The other half is for a new connection, in case the tracker ignores the old id.
            let half = now + deadline.saturating_duration_since(now) / 2;
            // A refusal may be about the id instead of the torrent: a tracker that was
            // restarted does not know it. So any failure is tried once more.
            if let Ok(answer) = line.ask(ask, &pick, half) {
                self.keep(line);
                return Ok(answer);
            }
        }
        let mut line = Line::open(address, self.wrap.as_ref(), deadline)?;
        let mut answer = line.ask(ask, &pick, deadline);
        // Some trackers are several machines behind one address. The announce may reach
        // a machine that does not know the id.
        if answer.as_ref().is_err_and(|error| !tried && error.is_about_connection()) {
            line = Line::open(address, self.wrap.as_ref(), deadline)?;
            answer = line.ask(ask, &pick, deadline);
        }
        // After a failure the socket is closed: a late answer must not meet a later request.
        if answer.is_ok() {
            self.keep(line);
        }
        answer
    }

    /// Locks the list. A thread that panicked left it whole: it is changed in single steps.
    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection to this address out of the list, so that no other thread uses it.
    fn take(&self, address: SocketAddr) -> Option<Line> {
        let mut lines = self.lines();
        lines.retain(Line::is_fresh);
        let place = lines.iter().position(|line| line.address == address)?;
        Some(lines.remove(place))
    }

    /// Puts a connection back, or into the list for the first time. If the list is full, the one
    /// that has been in it longest goes.
    fn keep(&self, line: Line) {
        let mut lines = self.lines();
        lines.retain(Line::is_fresh);
        if lines.len() >= MAX_LINES {
            lines.remove(0);
        }
        lines.push(line);
    }
}

/// Why a UDP tracker was not asked, or did not answer. Callers see it inside a [`TrackerError`].
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum UdpError {
    /// The URL is malformed.
    #[error("a udp tracker's URL needs {expected}: udp://HOST:PORT/announce")]
    Url { expected: &'static str },
    /// The name could not be looked up.
    #[error("{host} could not be looked up: {error}")]
    Lookup { host: String, error: io::Error },
    /// The system could not send or receive: there is no route, or nothing at that port. Over the
    /// internet a closed port is usually silent, and the error is `Silent`.
    #[error("{address}: {error}")]
    Socket {
        address: SocketAddr,
        #[source]
        error: io::Error,
    },
    /// No answer that fits came in time. If others came, what was wrong may explain it.
    #[error("{address} gave no answer to {}{}", counted(*sent, "packet"), last_mismatch.as_ref().map(|why| format!("; what came did not fit: {why}")).unwrap_or_default())]
    Silent { address: SocketAddr, sent: u32, last_mismatch: Option<String> },
    /// The tracker refused, for the reason that it gives.
    #[error("the tracker refused: {0}")]
    Refused(String),
    /// The tracker is on this machine or its network, at a port that strangers may not name.
    #[error("{0}")]
    OffLimits(&'static str),
    /// No scrape URL can be made from an HTTP tracker's URL.
    #[error(
        "this tracker cannot be scraped: the last part of its URL does not begin with \"announce\""
    )]
    NoScrape,
}

impl UdpError {
    /// Whether the tracker says that it does not know our connection id. There is no code
    /// for that, but the texts that trackers use all contain "connection".
    fn is_about_connection(&self) -> bool {
        matches!(self, UdpError::Refused(reason) if reason.to_ascii_lowercase().contains("connection"))
    }
}

impl From<UdpError> for TrackerError {
    fn from(error: UdpError) -> TrackerError {
        match error {
            UdpError::Refused(reason) => TrackerError::Failure { reason, retry: Retry::Unsaid },
            UdpError::OffLimits(why) => TrackerError::OffLimits(why),
            error => TrackerError::Transport(Box::new(error)),
        }
    }
}
