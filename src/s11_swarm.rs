//! Stage 11: many peers at once, a thread each, around one queue of pieces.
//!
//! One peer may be slow, lie, choke or vanish. A swarm does not mind: what one does
//! not bring, another will. This stage finds peers, gives each a thread, and ends
//! when the last piece is verified, or when there is no hope.
//!
//! * **Run it:** `piecemeal download -o sample.txt sample.torrent`
//! * **Spec:** BEP 3, 6, 12; **chapter:** `docs/11-swarm.md`
//! * **Builds on:** everything before; it adds no message of its own
//!
//! # The threads
//! ```text
//!         sources (a thread each) --candidates--> swarm --starts--> a thread per peer
//!                                                   ^                     |
//!         events to the user <---- this thread -----+------- notes -------+
//!                                                                         |
//!         work queue (one Mutex)  <------- claim / give back / done ------+
//!         storage (positioned)    <------- each block as it comes --------+
//! ```
//! # Decisions
//! * **[`work_queue`] has the invariant,** [`session`](self) the loop of one peer,
//!   [`lease`] the way of a block from socket to disk, [`addresses`] whom to dial.
//! * **A thread ends its peer, a note ends the thread.** Whatever happens in it, also
//!   a panic, its leases go back and the swarm hears of it.
//! * **What ends one peer and what ends the download are two types,** [`Ended`] and
//!   [`SwarmError`]. A full disk is nobody's fault but ours.
//! * **From a magnet link it is the same download,** only that each thread first
//!   tries to get the info dictionary ([`learning`](self)).
//! * **Left out:** giving. Requests are refused until a later stage takes them.

pub mod addresses;
pub mod announcer;
mod learning;
pub mod lease;
mod peer;
pub mod rarest;
mod session;
pub mod source;
pub mod work_queue;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

use self::addresses::Addresses;
pub use self::peer::Ended;
use self::peer::start_thread;
use self::source::{Candidate, Finder, PeerSource, Signals};
use self::work_queue::{PeerNumber, WorkQueue};
use crate::s02_metainfo::{Info, InfoHash, PieceIndex};
use crate::s03_tracker::PeerId;
use crate::s04_handshake::transport::{Dial, Hangup, Tcp};
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::{Extensions, encode_extended};
use crate::s10_storage::{StorageError, Store};

/// How many addresses are dialled at the same time.
const DIALLING: usize = 30;
/// How often the user hears of progress.
const EVENT_TIME: Duration = Duration::from_millis(100);
/// How long a place that is needed is left to a peer that gives nothing.
const USELESS_TIME: Duration = Duration::from_secs(180);
/// How long the peers' threads and the sources may take to end.
const END_TIME: Duration = Duration::from_secs(1);

/// What to download, and how.
pub struct Plan {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Its info dictionary, if it is known already.
    pub info: Option<Info>,
    /// Ourselves.
    pub peer_id: PeerId,
    /// Where peers come from.
    pub sources: Vec<Box<dyn PeerSource>>,
    /// How they are reached.
    pub dial: Arc<dyn Dial>,
    /// How many may be connected.
    pub max_peers: usize,
    /// How long to go on without any live peer. Ten times as long without a block.
    pub patience: Duration,
    /// Set from outside to end early.
    pub stop: Arc<AtomicBool>,
}

impl Plan {
    /// Over TCP, 50 peers, 60 s of patience, no source yet.
    pub fn new(info_hash: InfoHash, info: Option<Info>, peer_id: PeerId) -> Plan {
        let (sources, dial, stop) = (Vec::new(), Arc::new(Tcp), Arc::default());
        Plan { info_hash, info, peer_id, sources, dial, max_peers: 50, patience: Duration::from_secs(60), stop }
    }

    /// After which time a failed address or tracker is tried again, at first: so that
    /// each gets a second chance while there is patience.
    pub fn retry(&self) -> Duration {
        (self.patience / 4).min(Duration::from_secs(15))
    }
}

/// What has happened, for the user.
#[derive(Debug)]
pub enum Event {
    /// The info dictionary is known.
    Metadata {
        /// The name in it.
        name: String,
        /// Bytes in all.
        length: u64,
    },
    /// So many bytes were there before the download began.
    Resumed(u64),
    /// A few times a second.
    Progress {
        /// Bytes in verified pieces.
        verified: u64,
        /// Bytes in blocks that came in this session.
        downloaded: u64,
        /// Peers whose handshake is done.
        peers: usize,
    },
    /// A peer's handshake is done.
    Joined(SocketAddr),
    /// A peer is gone.
    Left(SocketAddr, Ended),
    /// A piece had the wrong hash; these peers had a part in it. A single one is banned.
    Corrupt(PieceIndex, Vec<SocketAddr>),
    /// What a source has to say.
    Source {
        /// Its name.
        name: String,
        /// Its words.
        what: String,
        /// Whether it could not find peers.
        failed: bool,
    },
}

/// What a download came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Bytes of blocks that came in this session.
    pub downloaded: u64,
    /// Bytes by peer, for those that brought any.
    pub from: Vec<(SocketAddr, u64)>,
    /// Peers that were banned.
    pub banned: Vec<SocketAddr>,
}

/// What a thread tells the swarm. The channel is not bounded, since a thread that
/// ends must never wait; but its notes are few, and none is sent for a block.
enum Note {
    Found(Vec<Candidate>),
    Said { source: String, what: String, failed: bool },
    SourceGone,
    Joined(SocketAddr),
    Ended(PeerNumber, SocketAddr, Ended),
    Metadata(Box<Info>),
    Corrupt(PieceIndex, Vec<PeerNumber>),
    Finished,
}

/// A torrent that can be downloaded: its info dictionary is known, and its place
/// on disk.
pub(crate) struct Torrent {
    queue: Arc<WorkQueue>,
    store: Arc<dyn Store>,
    metadata: Arc<[u8]>,
}

/// What all threads of a download share.
pub(crate) struct Swarm {
    info_hash: InfoHash,
    peer_id: PeerId,
    dial: Arc<dyn Dial>,
    torrent: OnceLock<Arc<Torrent>>,
    signals: Arc<Signals>,
    stopping: AtomicBool,
    notes: Mutex<Sender<Note>>,
    /// The connected peers: a leaf lock.
    live: Mutex<HashMap<PeerNumber, Live>>,
    /// How many are fetching the info dictionary.
    fetching: Mutex<usize>,
}

struct Live {
    address: SocketAddr,
    peer_id: PeerId,
    hang_up: Hangup,
    stats: Arc<Stats>,
}

/// What a peer has brought. Its thread writes, everybody else reads.
struct Stats {
    start: Instant,
    downloaded: AtomicU64,
    /// When it last brought something, in milliseconds from its start.
    last_block: AtomicU64,
}

impl Stats {
    fn new() -> Stats {
        Stats { start: Instant::now(), downloaded: AtomicU64::new(0), last_block: AtomicU64::new(0) }
    }

    fn downloaded(&self) -> u64 {
        self.downloaded.load(Ordering::Relaxed)
    }

    /// When it last was of use; at the latest, when it came.
    fn last_useful(&self) -> Instant {
        self.start + Duration::from_millis(self.last_block.load(Ordering::Relaxed))
    }
}

impl Swarm {
    fn note(&self, note: Note) {
        // The swarm is over when nobody listens.
        let _ = self.notes.lock().unwrap_or_else(PoisonError::into_inner).send(note);
    }

    fn live(&self) -> MutexGuard<'_, HashMap<PeerNumber, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Appends our extension handshake, if the peer understands it.
    fn greet(&self, connection: &Connection, extensions: &Extensions, out: &mut Vec<u8>) {
        if connection.theirs.has_bit(crate::s07_extension::EXTENSION_BIT) {
            encode_extended(0, &extensions.greeting(connection.peer.ip()).encode(), out);
        }
    }

    fn count_block(&self, stats: &Stats, length: usize, now: Instant) {
        self.signals.downloaded.fetch_add(length as u64, Ordering::Relaxed);
        stats.downloaded.fetch_add(length as u64, Ordering::Relaxed);
        stats.last_block.store(now.duration_since(stats.start).as_millis() as u64, Ordering::Relaxed);
    }

    fn piece_done(&self, torrent: &Torrent) {
        let left = torrent.queue.bytes_left();
        self.signals.left.store(left, Ordering::Relaxed);
        if left == 0 {
            self.note(Note::Finished);
        }
    }

    fn piece_corrupt(&self, piece: PieceIndex, by: Vec<PeerNumber>) {
        self.note(Note::Corrupt(piece, by));
    }
}

/// Downloads a torrent and returns when all of it is verified and stored.
///
/// `prepare` is called once the info dictionary is known; it returns where to store
/// the content, and which pieces are there already. `event` is called on this thread.
///
/// # Errors
/// If the store fails, if there is no hope or no patience left, or if it was stopped.
pub fn download<P>(plan: Plan, prepare: P, event: &mut dyn FnMut(Event)) -> Result<Outcome, SwarmError>
where
    P: FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError>,
{
    let (notes, noted) = mpsc::channel();
    let signals = Arc::new(Signals::default());
    signals.left.store(1, Ordering::Relaxed);
    let swarm = Arc::new(Swarm {
        info_hash: plan.info_hash,
        peer_id: plan.peer_id,
        dial: Arc::clone(&plan.dial),
        torrent: OnceLock::new(),
        signals: Arc::clone(&signals),
        stopping: AtomicBool::new(false),
        notes: Mutex::new(notes.clone()),
        live: Mutex::default(),
        fetching: Mutex::default(),
    });
    let now = Instant::now();
    let mut download = Download {
        addresses: Addresses::new(plan.retry()),
        swarm,
        max_peers: plan.max_peers,
        patience: plan.patience,
        prepare: Some(prepare),
        event,
        outcome: Outcome::default(),
        met: Vec::new(),
        threads: HashMap::new(),
        next_number: 0,
        sources: plan.sources.len(),
        last_live: now,
        last_progress: now,
        downloaded: 0,
        told: now,
        finished: false,
        reasons: Vec::new(),
    };
    let result = download.run(plan.info, plan.sources, &plan.stop, &notes, &noted);
    download.end(result.is_ok(), &noted);
    result.map(|()| download.outcome)
}

/// The thread that holds it all together. What is in here, no other thread sees.
struct Download<'e, P> {
    swarm: Arc<Swarm>,
    addresses: Addresses,
    max_peers: usize,
    patience: Duration,
    prepare: Option<P>,
    event: &'e mut dyn FnMut(Event),
    outcome: Outcome,
    /// Connections that were made elsewhere and wait for a place.
    met: Vec<Connection>,
    /// The peers' threads, and the address each was started for.
    threads: HashMap<PeerNumber, SocketAddr>,
    next_number: PeerNumber,
    /// How many sources are still looking.
    sources: usize,
    /// When there last was a live peer, and a block.
    last_live: Instant,
    last_progress: Instant,
    /// How much had come then.
    downloaded: u64,
    told: Instant,
    finished: bool,
    /// Why peers and sources failed, the latest of each.
    reasons: Vec<(String, String)>,
}

impl<P> Download<'_, P>
where
    P: FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError>,
{
    fn run(
        &mut self,
        info: Option<Info>,
        sources: Vec<Box<dyn PeerSource>>,
        stop: &AtomicBool,
        notes: &Sender<Note>,
        noted: &Receiver<Note>,
    ) -> Result<(), SwarmError> {
        if let Some(info) = info {
            self.learn(info)?;
        }
        if !self.finished {
            for source in sources {
                let finder = Finder::new(source.name(), Arc::clone(&self.swarm.signals), notes.clone());
                peer::start_source(source, finder);
            }
        }
        while !self.finished {
            self.dial();
            let now = Instant::now();
            self.check_hope(now)?;
            if stop.load(Ordering::SeqCst) {
                return Err(SwarmError::Stopped);
            }
            self.tell(now);
            match noted.recv_timeout(EVENT_TIME) {
                Ok(note) => self.take(note)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("we hold a sender ourselves"),
            }
        }
        self.tell(Instant::now() + EVENT_TIME);
        Ok(())
    }

    /// The info dictionary is known: everything is made ready for pieces.
    fn learn(&mut self, info: Info) -> Result<(), SwarmError> {
        let Some(prepare) = self.prepare.take() else { return Ok(()) };
        (self.event)(Event::Metadata { name: info.name.clone(), length: info.length });
        let (store, have) = prepare(&info)?;
        let metadata = info.raw.clone().into();
        let length = info.length;
        let queue = WorkQueue::new(Arc::new(info), &have);
        let left = queue.bytes_left();
        (self.event)(Event::Resumed(length - left));
        self.swarm.signals.left.store(left, Ordering::Relaxed);
        self.finished = left == 0;
        self.last_progress = Instant::now();
        let _ = self.swarm.torrent.set(Arc::new(Torrent { queue, store, metadata }));
        Ok(())
    }

    /// Fills free places with connections that were made, then with dialled ones.
    fn dial(&mut self) {
        let now = Instant::now();
        let live = self.swarm.live().len();
        while self.threads.len() < self.max_peers
            && let Some(connection) = self.met.pop()
        {
            let peer = connection.peer;
            self.start(Candidate::Met(Box::new(connection)), peer);
        }
        while self.threads.len() < self.max_peers && self.threads.len() < live + DIALLING {
            let Some(peer) = self.addresses.next(now) else { return };
            if !self.start(Candidate::Dial(peer), peer) {
                self.addresses.put_back(peer);
                return;
            }
        }
        if self.addresses.next_due().is_some_and(|due| due <= now) {
            self.make_room(now);
        }
    }

    fn start(&mut self, candidate: Candidate, peer: SocketAddr) -> bool {
        let number = self.next_number;
        self.next_number += 1;
        let started = start_thread(&self.swarm, number, candidate, peer);
        if started {
            self.threads.insert(number, peer);
        }
        started
    }

    /// All places are taken and others wait: the peer that has been useless longest,
    /// and for too long, goes.
    fn make_room(&self, now: Instant) {
        let live = self.swarm.live();
        let longest = live.values().min_by_key(|live| live.stats.last_useful());
        let useless = longest.filter(|live| now.duration_since(live.stats.last_useful()) > USELESS_TIME);
        let hang_up = useless.map(|live| Arc::clone(&live.hang_up));
        drop(live);
        if let Some(hang_up) = hang_up {
            hang_up();
        }
    }

    /// It never waits for ever.
    fn check_hope(&mut self, now: Instant) -> Result<(), SwarmError> {
        let downloaded = self.swarm.signals.downloaded.load(Ordering::Relaxed);
        if downloaded > self.downloaded {
            (self.downloaded, self.last_progress) = (downloaded, now);
        }
        if !self.swarm.live().is_empty() {
            self.last_live = now;
        }
        let silent = now.duration_since(self.last_progress);
        if silent > self.patience * 10 {
            return Err(self.no_hope(format!("no block came for {} s", silent.as_secs())));
        }
        let nobody = self.threads.is_empty() && self.met.is_empty();
        if nobody && self.sources == 0 && self.addresses.is_hopeless() {
            return Err(self.no_hope("no peer is left, and nobody who could name another".to_owned()));
        }
        let alone = now.duration_since(self.last_live);
        if alone > self.patience && self.addresses.all_tried_twice() {
            return Err(self.no_hope(format!("no peer could be used for {} s", alone.as_secs())));
        }
        Ok(())
    }

    fn no_hope(&self, what: String) -> SwarmError {
        SwarmError::NoHope { what, no_peers: self.addresses.is_empty(), reasons: self.reasons.clone() }
    }

    fn tell(&mut self, now: Instant) {
        if now.duration_since(self.told) < EVENT_TIME {
            return;
        }
        self.told = now;
        let left = self.swarm.signals.left.load(Ordering::Relaxed);
        let length = self.swarm.torrent.get().map(|torrent| torrent.queue.info().length);
        let verified = length.map_or(0, |length| length - left);
        let downloaded = self.swarm.signals.downloaded.load(Ordering::Relaxed);
        (self.event)(Event::Progress { verified, downloaded, peers: self.swarm.live().len() });
    }

    fn take(&mut self, note: Note) -> Result<(), SwarmError> {
        match note {
            Note::Found(candidates) => {
                for candidate in candidates {
                    match candidate {
                        Candidate::Dial(address) => self.addresses.found(address),
                        Candidate::Met(connection) if self.addresses.is_banned(connection.peer) => {}
                        Candidate::Met(connection) => self.met.push(*connection),
                    }
                }
            }
            Note::Said { source, what, failed } => {
                if failed {
                    self.because(source.clone(), what.clone());
                }
                (self.event)(Event::Source { name: source, what, failed });
            }
            Note::SourceGone => self.sources -= 1,
            Note::Joined(address) => (self.event)(Event::Joined(address)),
            Note::Ended(number, address, why) => return self.ended(number, address, why),
            Note::Metadata(info) => self.learn(*info)?,
            Note::Corrupt(piece, by) => {
                let who: Vec<SocketAddr> = by.iter().filter_map(|number| self.threads.get(number).copied()).collect();
                if let ([_], [address]) = (by.as_slice(), who.as_slice()) {
                    self.ban(*address);
                }
                (self.event)(Event::Corrupt(piece, who));
            }
            Note::Finished => self.finished = true,
        }
        Ok(())
    }

    /// A peer's thread is over.
    fn ended(&mut self, number: PeerNumber, address: SocketAddr, why: Ended) -> Result<(), SwarmError> {
        self.threads.remove(&number);
        let live = self.swarm.live().remove(&number);
        let brought = live.map_or(0, |live| live.stats.downloaded());
        self.add(address, brought);
        if self.swarm.live().is_empty() {
            self.swarm.signals.hungry();
        }
        match why {
            Ended::Local(error) => return Err(error.into()),
            Ended::Unusable(error) => return Err(SwarmError::Unusable(error)),
            Ended::Corrupt(_) | Ended::WrongMetadata(_) => self.ban(address),
            Ended::Ourselves | Ended::Twice => self.addresses.forget(address),
            _ => self.addresses.ended(address, brought > 0),
        }
        self.because(address.to_string(), why.to_string());
        (self.event)(Event::Left(address, why));
        Ok(())
    }

    fn add(&mut self, address: SocketAddr, bytes: u64) {
        self.outcome.downloaded += bytes;
        match self.outcome.from.iter_mut().find(|(known, _)| *known == address) {
            Some((_, sum)) => *sum += bytes,
            None if bytes > 0 => self.outcome.from.push((address, bytes)),
            None => {}
        }
    }

    fn ban(&mut self, address: SocketAddr) {
        self.addresses.ban(address);
        if !self.outcome.banned.contains(&address) {
            self.outcome.banned.push(address);
        }
    }

    /// Keeps the latest reason for each, for the error that may come of it.
    fn because(&mut self, who: String, why: String) {
        self.reasons.retain(|(known, _)| *known != who);
        self.reasons.push((who, why));
        if self.reasons.len() > 20 {
            self.reasons.remove(0);
        }
    }

    /// Hangs up, says goodbye, and waits a little for both.
    fn end(&mut self, complete: bool, noted: &Receiver<Note>) {
        let signals = Arc::clone(&self.swarm.signals);
        if complete && signals.downloaded.load(Ordering::Relaxed) > 0 {
            signals.completed();
        }
        signals.stop();
        self.swarm.stopping.store(true, Ordering::SeqCst);
        let hang_ups: Vec<Hangup> = self.swarm.live().values().map(|live| Arc::clone(&live.hang_up)).collect();
        hang_ups.iter().for_each(|hang_up| hang_up());
        let until = Instant::now() + END_TIME;
        // Threads that still dial end with the process; the others have a moment.
        while !self.swarm.live().is_empty() || self.sources > 0 {
            match noted.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Note::Ended(number, address, _)) => {
                    self.threads.remove(&number);
                    let live = self.swarm.live().remove(&number);
                    self.add(address, live.map_or(0, |live| live.stats.downloaded()));
                }
                Ok(Note::SourceGone) => self.sources -= 1,
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
}

/// Why a download ended without being complete.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum SwarmError {
    /// The content could not be stored (stage 10).
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The magnet link leads to an info dictionary that is no torrent we can use.
    #[error(transparent)]
    Unusable(crate::s02_metainfo::MetainfoError),
    /// Nobody can, or wants to, give us what is missing.
    #[error("{what}{}", reasons_text(reasons))]
    NoHope { what: String, no_peers: bool, reasons: Vec<(String, String)> },
    /// It was told to stop.
    #[error("stopped; what is verified is kept")]
    Stopped,
}

/// The latest few reasons, one behind the other.
fn reasons_text(reasons: &[(String, String)]) -> String {
    let last = reasons.iter().rev().take(5).map(|(who, why)| format!("{who}: {why}"));
    let text = last.collect::<Vec<_>>().join("; ");
    if text.is_empty() { text } else { format!(" ({text})") }
}
