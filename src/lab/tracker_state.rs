//! The state that the tracker's threads share, and the answer to each request.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::announce::{ReceivedAnnounce, scraped};
use super::checklist::Step;
use super::hints;
use super::http::{Request, read_request, respond};
use super::notes::Notes;
use super::phone_book::{AnnounceReply, Asker, PhoneBook};
use super::quota::Quotas;
use crate::s01_bencode::{counted, encode, excerpt};
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::{AnnounceRequest, Event};
use crate::s04_handshake::origin::Origin;
use crate::s04_handshake::transport::Transport;
use crate::s18_udp_tracker::packet::ScrapeCounts;
use crate::trace::client;

/// The longest time for a client's whole request and our answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The most announces remembered.
const MAX_LOG_LENGTH: usize = 1_000;

/// The state that the tracker's threads share.
#[derive(Default)]
pub(super) struct TrackerState {
    pub(super) book: Mutex<PhoneBook>,
    pub(super) log: Mutex<VecDeque<LoggedAnnounce>>,
    pub(super) refused: AtomicU64,
    pub(super) known: Mutex<KnownTorrents>,
    /// The notes that are still allowed for each address. A leaf lock.
    pub(super) quotas: Mutex<Quotas>,
    pub(super) notes: Notes,
}

/// An announce that was received, good or bad.
#[derive(Debug, Clone)]
pub struct LoggedAnnounce {
    /// The address of the sender, which is not where it listens.
    pub from: SocketAddr,
    /// The path and query as they came; over UDP, the value of the URL data option.
    pub target: String,
    /// The announce, or what is wrong with it.
    pub outcome: Result<AnnounceRequest, String>,
}

/// The torrents of a lab. A tracker for a class has none.
#[derive(Default)]
pub(super) struct KnownTorrents {
    pub(super) torrents: HashSet<InfoHash>,
    pub(super) wrong: hints::WrongHashes,
}

impl TrackerState {
    /// Reads one request and sends one answer.
    pub(super) fn serve(&self, mut transport: Transport, reached: IpAddr) {
        transport.set_deadline(Instant::now() + REQUEST_TIMEOUT);
        // The client is gone, or it sent nothing.
        let Ok((head, request)) = read_request(&mut transport) else { return };
        transport.set_deadline(Instant::now() + REQUEST_TIMEOUT);
        let (asker, tap) = (transport.peer, self.notes.tap());
        tap.inspect(|tap| tap.asked(asker, &head));
        let (status, body) = match request {
            Some(request) => self.answer(asker, reached, &request),
            None => (400, failure(&self.refuse(asker, "", hints::http(&head), hints::TRACKER))),
        };
        tap.inspect(|tap| tap.answered(asker, status, &body));
        // A client that has hung up meanwhile does not want the answer.
        let _ = respond(&mut transport, status, &body);
        (transport.hang_up)();
    }

    /// Returns the status and the body for a request. Trackers refuse with status 200; if HTTP
    /// has its own status for the case, that is sent.
    fn answer(&self, from: SocketAddr, reached: IpAddr, request: &Request) -> (u16, Vec<u8>) {
        let target = request.target.as_str();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // The URL of a private tracker has the user's key before the last part.
        let last = path.rsplit('/').next();
        if last != Some("announce") && last != Some("scrape") {
            let reason =
                format!("this tracker answers at /announce, not at {}", excerpt(path.as_bytes()));
            return (404, failure(&self.refuse(from, target, reason, hints::TRACKER)));
        }
        if request.method != "GET" {
            let reason =
                format!("an announce is a GET request, not {}", excerpt(request.method.as_bytes()));
            return (405, failure(&self.refuse(from, target, reason, hints::TRACKER)));
        }
        if last == Some("scrape") {
            return match scraped(query) {
                Err(error) => {
                    (200, failure(&self.refuse(from, target, error.to_string(), hints::TRACKER)))
                }
                Ok(torrents) => (200, encode_counts(self.scrape(from, torrents))),
            };
        }
        let reply = match ReceivedAnnounce::decode(query) {
            Err(error) => Err(self.refuse(from, target, error.to_string(), hints::TRACKER)),
            Ok(received) => Ok(self.announce(from, reached, received, target, request.odd)),
        };
        (200, reply.map_or_else(|reason| failure(&reason), |reply| reply.encode()))
    }

    /// Enters an announce from either protocol, and notes it. `reached` is our address as the
    /// client dialed it, or unspecified.
    pub(super) fn announce(
        &self,
        from: SocketAddr,
        reached: IpAddr,
        received: ReceivedAnnounce,
        target: &str,
        strict: Option<&'static str>,
    ) -> AnnounceReply {
        let ask = &received.announce;
        let asker = Asker::new(from.ip(), ask.port, reached);
        let reply = lock(&self.book).announce(&asker, &received, Instant::now());
        let (listens, client, told) =
            (asker.listens, client::named(&ask.peer_id), reply.peers.len());
        let KnownTorrents { torrents, wrong } = &*lock(&self.known);
        let nobodys = (!torrents.is_empty() && !torrents.contains(&ask.info_hash)).then(|| {
            format!(
                "no seeder has this torrent: {}; see {}",
                hints::other_torrent(ask.info_hash, wrong),
                hints::METAINFO
            )
        });
        let odd: Vec<String> = received
            .oddities()
            .into_iter()
            .chain(strict.map(str::to_owned))
            .chain(nobodys)
            .collect();
        let event = ask.event.map_or("announces".to_owned(), |event| event.to_string());
        let text = format!(
            "{listens} ({client}) {event}: uploaded {}, downloaded {}, {} left of {}; told of {}{}",
            ask.uploaded,
            ask.downloaded,
            counted(ask.left, "byte"),
            ask.info_hash,
            counted(told, "peer"),
            odd.iter().map(|what| format!("; {what}")).collect::<String>()
        );
        let more = json!({
            "peer": listens.to_string(), "client": client, "peer_id": ask.peer_id.to_string(),
            "info_hash": ask.info_hash.to_string(), "said": ask.event.map(|event| event.to_string()),
            "uploaded": ask.uploaded, "downloaded": ask.downloaded, "left": ask.left, "told": told, "odd": odd,
        });
        self.note(Some(from), "announce", text, more);
        let said = match ask.event {
            Some(Event::Completed) => Some(Step::Completed),
            Some(Event::Stopped) => Some(Step::Stopped),
            _ => None,
        };
        self.notes.checklist().update(&(from.ip().to_canonical(), client), |shown| {
            shown.steps.extend([Some(Step::Announced), said].into_iter().flatten());
        });
        self.log(from, target, Ok(received.announce));
        reply
    }

    /// Returns the counts of some torrents, in their order.
    pub(super) fn scrape(
        &self,
        from: SocketAddr,
        torrents: Vec<InfoHash>,
    ) -> Vec<(InfoHash, ScrapeCounts)> {
        let (shown, count) =
            (SocketAddr::new(from.ip().to_canonical(), from.port()), torrents.len());
        let more = json!({ "from": shown.to_string(), "torrents": count });
        self.note(
            Some(from),
            "scrape",
            format!("{shown} asks for the counts of {}", counted(count, "torrent")),
            more,
        );
        let (mut book, now) = (lock(&self.book), Instant::now());
        torrents.into_iter().map(|info_hash| (info_hash, book.counts(info_hash, now))).collect()
    }

    /// Notes a request that is wrong, and returns the reason to answer with.
    pub(super) fn refuse(
        &self,
        from: SocketAddr,
        target: &str,
        reason: String,
        see: &'static str,
    ) -> String {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.tell_refused(Some(from), from, &reason, see);
        self.log(from, target, Err(reason.clone()));
        reason
    }

    /// Notes a packet that is wrong. The address on it proves nothing about its sender.
    pub(super) fn refuse_stranger(&self, from: SocketAddr, reason: &str, see: &'static str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if self.tell_refused(None, from, reason, see) {
            self.log(from, "", Err(reason.to_owned()));
        }
    }

    fn tell_refused(
        &self,
        proved: Option<SocketAddr>,
        from: SocketAddr,
        reason: &str,
        see: &'static str,
    ) -> bool {
        let shown = SocketAddr::new(from.ip().to_canonical(), from.port());
        let more = json!({ "from": shown.to_string(), "why": reason, "see": see });
        self.note(proved, "refused", format!("refused {shown}: {reason}; see {see}"), more)
    }

    /// Adds a note about an address, or about an unproved one (`None`), and returns whether the
    /// quota allowed it. Refused notes are counted.
    fn note(&self, about: Option<SocketAddr>, event: &str, text: String, more: Value) -> bool {
        let about = about.map(|address| Origin::of(address.ip()));
        let passed_over = lock(&self.quotas).take(about, Instant::now());
        let Some(passed_over) = passed_over else { return false };
        self.notes.pass_over(passed_over);
        self.notes.add("tracker", event, text, more);
        true
    }

    fn log(&self, from: SocketAddr, target: &str, outcome: Result<AnnounceRequest, String>) {
        let mut log = lock(&self.log);
        if log.len() == MAX_LOG_LENGTH {
            log.pop_front();
        }
        log.push_back(LoggedAnnounce { from, target: target.to_owned(), outcome });
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failure(reason: &str) -> Vec<u8> {
    encode::dictionary([("failure reason", encode::bytes(reason))])
}

/// The keys are raw bytes, each once, in order.
fn encode_counts(counts: Vec<(InfoHash, ScrapeCounts)>) -> Vec<u8> {
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
