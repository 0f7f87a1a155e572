//! A small tracker inside the process, which says what is wrong with an announce.
//!
//! It takes any torrent, keeps everything in memory, and answers a wrong announce
//! with a `failure reason` that helps whoever is writing a client. Here it is asked over
//! HTTP; at the same port number over UDP, by the thread in `udp.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::announce::{Heard, scraped};
use super::notes::Notes;
use super::phone_book::{Page, PhoneBook};
use super::service::{After, Service};
use super::udp::{UdpDesk, bind_both};
use crate::s01_bencode::{encode, excerpt};
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::{Announce, PeerId};
use crate::s04_handshake::transport::Transport;
use crate::s13_udp_tracker::packet::Counts;

/// How many clients are served at a time.
const MAX_CONNECTIONS: usize = 64;
/// How long a client has, for the whole of its request and our answer.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 8 << 10;
/// How many announces are remembered.
const LONGEST_LOG: usize = 1_000;

/// An announce that came, good or bad.
#[derive(Debug, Clone)]
pub struct Logged {
    /// Who made it: not where it listens.
    pub from: SocketAddr,
    /// The path and query as they came; over UDP, what the URL data option holds.
    pub target: String,
    /// What it said, or what was wrong with it.
    pub outcome: Result<Announce, String>,
}

/// The tracker. Dropping it ends it.
pub struct LabTracker {
    service: Service,
    desk: Arc<Desk>,
    _udp: UdpDesk,
}

/// What the tracker's threads share.
#[derive(Default)]
pub(super) struct Desk {
    book: Mutex<PhoneBook>,
    log: Mutex<VecDeque<Logged>>,
    notes: Notes,
}

impl LabTracker {
    /// Listens at `address`, over TCP and UDP; port 0 lets the system choose one.
    ///
    /// # Errors
    /// If the address is taken, or there is no thread to be had.
    pub fn start(address: SocketAddr, notes: Notes) -> io::Result<LabTracker> {
        let desk = Arc::new(Desk { notes, ..Desk::default() });
        let for_threads = Arc::clone(&desk);
        let serve = move |transport| {
            for_threads.serve(transport);
            After::GoOn
        };
        let (listener, socket) = bind_both(address)?;
        let service = Service::start(listener, "tracker", MAX_CONNECTIONS, Arc::new(serve))?;
        let _udp = UdpDesk::start(socket, Arc::clone(&desk))?;
        Ok(LabTracker { service, desk, _udp })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// The announce URL.
    pub fn url(&self) -> String {
        format!("http://{}/announce", self.address())
    }

    /// The same over UDP.
    pub fn udp_url(&self) -> String {
        format!("udp://{}/announce", self.address())
    }

    /// Enters a complete peer that need not announce itself.
    pub fn add_peer(&self, info_hash: InfoHash, peer_id: PeerId, address: SocketAddr) {
        lock(&self.desk.book).add(info_hash, peer_id, address);
    }

    /// The last thousand announces, oldest first.
    pub fn announces(&self) -> Vec<Logged> {
        lock(&self.desk.log).iter().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// One request, one answer.
    fn serve(&self, mut transport: Transport) {
        transport.set_deadline(Instant::now() + REQUEST_TIME);
        let answered = match read_request(&mut transport) {
            Ok(Some(request)) => self.answer(transport.peer, &request),
            Ok(None) => (400, failure("this is not an HTTP request that a tracker understands")),
            Err(_) => return, // gone, or too slow
        };
        // Whoever has hung up meanwhile does not want the answer.
        let _ = respond(&mut transport, answered.0, &answered.1);
        (transport.hang_up)();
    }

    /// The status and the body for a request.
    fn answer(&self, from: SocketAddr, request: &Request) -> (u16, Vec<u8>) {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        // A private tracker puts a key of the user's before the last part.
        let last = path.rsplit('/').next();
        if last != Some("announce") && last != Some("scrape") {
            let reason = format!("this tracker answers at /announce, not at {}", excerpt(path.as_bytes()));
            return (404, failure(&self.refuse(from, &request.target, reason)));
        }
        if request.method != "GET" {
            let reason = format!("an announce is a GET request, not {}", excerpt(request.method.as_bytes()));
            return (405, failure(&self.refuse(from, &request.target, reason)));
        }
        if last == Some("scrape") {
            return match scraped(query) {
                Err(error) => (200, failure(&self.refuse(from, &request.target, error.to_string()))),
                Ok(torrents) => (200, encode_counts(self.scrape(from, torrents))),
            };
        }
        let page = match Heard::decode(query) {
            Err(error) => Err(self.refuse(from, &request.target, error.to_string())),
            Ok(heard) => self.announce(from, heard, &request.target),
        };
        (200, page.map_or_else(|reason| failure(&reason), |page| page.encode()))
    }

    /// Looks an announce up, and notes it; over whatever it came.
    pub(super) fn announce(&self, from: SocketAddr, heard: Heard, target: &str) -> Result<Page, String> {
        let ask = &heard.announce;
        let listens = SocketAddr::new(from.ip().to_canonical(), ask.port);
        let page = lock(&self.book).announce(listens, &heard, Instant::now());
        let page = page.map_err(|reason| self.refuse(from, target, reason.to_owned()))?;
        let event = ask.event.map(|event| format!(" {event},")).unwrap_or_default();
        let count = page.peers.len();
        self.notes.add(format!("tracker: {listens}:{event} {} bytes left of {}; told of {count} peers", ask.left, ask.info_hash));
        self.log(from, target, Ok(heard.announce));
        Ok(page)
    }

    /// The counts of some torrents, in their order.
    pub(super) fn scrape(&self, from: SocketAddr, torrents: Vec<InfoHash>) -> Vec<(InfoHash, Counts)> {
        self.notes.add(format!("tracker: {from} asks for the counts of {} torrents", torrents.len()));
        let (mut book, now) = (lock(&self.book), Instant::now());
        torrents.into_iter().map(|info_hash| (info_hash, book.counts(info_hash, now))).collect()
    }

    /// Notes a request that is wrong, and hands back what to answer. Trackers say no
    /// with HTTP status 200; where HTTP has a status for it, that is sent too.
    pub(super) fn refuse(&self, from: SocketAddr, target: &str, reason: String) -> String {
        self.notes.add(format!("tracker: refused {from}: {reason}"));
        self.log(from, target, Err(reason.clone()));
        reason
    }

    fn log(&self, from: SocketAddr, target: &str, outcome: Result<Announce, String>) {
        let mut log = lock(&self.log);
        if log.len() == LONGEST_LOG {
            log.pop_front();
        }
        log.push_back(Logged { from, target: target.to_owned(), outcome });
    }
}

fn failure(reason: &str) -> Vec<u8> {
    encode::dictionary([("failure reason", encode::bytes(reason))])
}

/// Keys are raw bytes here, each once, in their order.
fn encode_counts(counts: Vec<(InfoHash, Counts)>) -> Vec<u8> {
    let mut files = b"d".to_vec();
    for (info_hash, counts) in counts.into_iter().collect::<BTreeMap<_, _>>() {
        files.extend(encode::bytes(info_hash.0));
        files.extend(encode::dictionary([
            ("complete", encode::integer(counts.seeders)),
            ("downloaded", encode::integer(counts.downloads)),
            ("incomplete", encode::integer(counts.leechers)),
        ]));
    }
    files.push(b'e');
    encode::dictionary([("files", files)])
}

struct Request {
    method: String,
    target: String,
}

/// Reads a request's head; its body, if it has one, is of no use to us. `None` if it
/// is no HTTP, or too long.
fn read_request(transport: &mut Transport) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    let mut part = [0; 2048];
    loop {
        let count = transport.read(&mut part)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(part.get(..count).unwrap_or_default());
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&head) {
            Ok(httparse::Status::Complete(_)) => {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                return Ok(Some(Request { method: text(request.method), target: text(request.path) }));
            }
            Ok(httparse::Status::Partial) if head.len() < LONGEST_HEAD => {}
            _ => return Ok(None),
        }
    }
}

fn respond(transport: &mut Transport, status: u16, body: &[u8]) -> io::Result<()> {
    let reason = match status {
        200 => "OK",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Bad Request",
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    transport.write_all(&[head.as_bytes(), body].concat())?;
    if status == 200 {
        return Ok(());
    }
    // Closing over bytes that were not read would reset the connection, and the
    // answer might be lost with it: the rest of a body gets a moment to arrive.
    transport.reader.set_deadline(Instant::now() + Duration::from_millis(250));
    io::copy(&mut Read::by_ref(&mut transport.reader).take(1 << 20), &mut io::sink()).map(drop)
}
