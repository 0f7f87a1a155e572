//! An HTTP tracker that answers as it is told, and records its requests.

use super::bencode::{bytes, dict, int, list};
use super::jitter;
use super::line::Line;
use super::recording::Recording;
use super::scripted::Scripted;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use super::wire::percent_decoded;

/// The time for a request to come, and for the client to take a byte of the answer.
const LIMIT: Duration = Duration::from_secs(60);
/// The time between two checks whether the client is still there.
const LOOK: Duration = Duration::from_millis(20);
/// The longest head of a request.
const MAX_HEAD: usize = 8_192;
/// The most requests whose targets are kept. Any more are only counted.
const MAX_TARGETS: usize = 1_000;

/// The tracker's reaction to a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// HTTP 200 with this body.
    Body(Vec<u8>),
    /// Another status with this body.
    Status(u16, Vec<u8>),
    /// HTTP 302 to here.
    Redirect(String),
    /// These bytes instead of HTTP.
    Raw(Vec<u8>),
    /// A long announced body that comes one byte a second, forever.
    Drip,
    /// This body, a few bytes at a time, without its length: it ends where the connection does.
    Slowly(Vec<u8>),
    /// Headers, and then a body that never ends, up to 16 MiB a second.
    Flood,
    /// Takes the request and says nothing.
    Silence,
    /// Takes the request and hangs up.
    HangUp,
}

impl Reply {
    /// The usual answer: `interval` and `peers`, six bytes each.
    pub fn peers(peers: &[SocketAddr]) -> Reply {
        Reply::Body(dict(&[("interval", int(1800)), ("peers", bytes(compact(peers)))]))
    }

    /// The old answer: a dictionary for each peer.
    pub fn peer_dictionaries(peers: &[SocketAddr]) -> Reply {
        let peers: Vec<Vec<u8>> = peers
            .iter()
            .map(|p| {
                dict(&[
                    ("ip", bytes(p.ip().to_string())),
                    ("peer id", bytes("-XX0000-abcdefghijkl")),
                    ("port", int(i64::from(p.port()))),
                ])
            })
            .collect();
        Reply::Body(dict(&[("interval", int(1800)), ("peers", list(&peers))]))
    }

    /// A refusal, in words.
    pub fn failure(reason: &str) -> Reply {
        Reply::Body(dict(&[("failure reason", bytes(reason))]))
    }
}

/// Peers in the compact form: BEP 23's six bytes, or BEP 7's eighteen.
pub fn compact(peers: &[SocketAddr]) -> Vec<u8> {
    let mut out = Vec::new();
    for peer in peers {
        match peer.ip() {
            IpAddr::V4(ip) => out.extend(ip.octets()),
            IpAddr::V6(ip) => out.extend(ip.octets()),
        }
        out.extend(peer.port().to_be_bytes());
    }
    out
}

/// A running tracker. Dropping it closes everything.
#[derive(Debug)]
pub struct FakeTracker {
    scripted: Scripted,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeTracker {
    /// The same answer each time.
    ///
    /// # Errors
    /// Like all that start: if there is no free port on 127.0.0.1.
    pub fn saying(reply: Reply) -> io::Result<FakeTracker> {
        FakeTracker::start(move |_, _| reply.clone())
    }

    /// A good tracker that knows these peers.
    ///
    /// # Errors
    /// If there is no free port on 127.0.0.1.
    pub fn knowing(peers: &[SocketAddr]) -> io::Result<FakeTracker> {
        FakeTracker::saying(Reply::peers(peers))
    }

    /// This many redirects, each to the next, and then these peers.
    ///
    /// # Errors
    /// If there is no free port on 127.0.0.1.
    pub fn redirecting(times: usize, peers: &[SocketAddr]) -> io::Result<FakeTracker> {
        let last = Reply::peers(peers);
        FakeTracker::start(move |target, _| {
            let digits: String = target
                .strip_prefix("/hop")
                .unwrap_or("0")
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            match digits.parse::<usize>() {
                Ok(hop) if hop < times => Reply::Redirect(format!("/hop{}?x=1", hop + 1)),
                _ => last.clone(),
            }
        })
    }

    /// Starts a tracker. `answer` sees the request's target, and how many came before it.
    ///
    /// # Errors
    /// If there is no free port on 127.0.0.1.
    pub fn start(
        answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> io::Result<FakeTracker> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let scripted = Scripted::start(Ipv4Addr::LOCALHOST.into(), &url_of, Arc::default(), {
            let asked = asked.clone();
            move |line, _| {
                // An error is the client hanging up, which is its right.
                let _ = converse(line, &answer, &asked);
            }
        })?;
        Ok(FakeTracker { scripted, asked })
    }

    /// The announce URL.
    pub fn url(&self) -> String {
        url_of(self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.scripted.address()
    }

    /// The targets of all requests, in order: `/announce?info_hash=...`.
    pub fn asked(&self) -> Vec<String> {
        jitter::lock(&self.asked).clone()
    }

    /// The recordings of all connections so far, in order: a request and its answer each.
    pub fn recordings(&self) -> Vec<Recording> {
        self.scripted.recordings()
    }
}

fn url_of(address: SocketAddr) -> String {
    format!("http://{address}/announce")
}

/// The pairs of a target's query.
pub fn query_of(target: &str) -> Vec<(String, String)> {
    let query = target.split_once('?').map(|(_, q)| q).unwrap_or_default();
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The request's head, once all of it has come.
fn head_of(line: &mut Line) -> Option<String> {
    let begun = Instant::now();
    let end = b"\r\n\r\n";
    while !line.input().windows(end.len()).any(|bytes| bytes == end) {
        let came = line.fill(LOOK).ok()?;
        if line.input().len() > MAX_HEAD || !came && begun.elapsed() > LIMIT {
            return None;
        }
    }
    Some(String::from_utf8_lossy(line.input()).into_owned())
}

fn converse(
    line: &mut Line,
    answer: &dyn Fn(&str, usize) -> Reply,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    line.set_stall(LIMIT);
    let Some(head) = head_of(line) else { return Ok(()) };
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let number = {
        let mut asked = jitter::lock(asked);
        let is_kept = asked.len() < MAX_TARGETS;
        asked.push(if is_kept { target.clone() } else { String::new() });
        asked.len() - 1
    };
    jitter::pause();
    match answer(&target, number) {
        Reply::Body(body) => respond(line, "200 OK", &body),
        Reply::Status(status, body) => respond(line, &format!("{status} Whatever"), &body),
        Reply::Redirect(to) => {
            let head = format!(
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            line.send(head.as_bytes())
        }
        Reply::Raw(bytes) => line.send(&bytes),
        Reply::Drip => {
            line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nd8:intervali")?;
            loop {
                let next = Instant::now() + Duration::from_secs(1);
                while Instant::now() < next {
                    line.fill(LOOK)?;
                }
                line.send(b"1")?;
            }
        }
        Reply::Slowly(body) => {
            line.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            line.send_slowly(&body, 5, LOOK)
        }
        Reply::Flood => {
            line.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n999999999:")?;
            loop {
                line.send(&[b'x'; 16_384])?;
                // A client without a limit keeps all of it in memory until its time is over.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Reply::Silence => loop {
            line.fill(LOOK)?;
        },
        Reply::HangUp => Ok(()),
    }
}

fn respond(line: &mut Line, status: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    line.send(head.as_bytes())?;
    line.send(body)
}
