//! The download's own thread. It starts the other threads, receives their messages, and decides
//! when the download is over, complete or not.
//!
//! It is the thread that called [`download`](super::download). Ten times a second, or as soon as a
//! message comes, it goes once around:
//!
//! ```text
//!   messages -> over? -> dial -> hope? -> stopped? -> events -> wait for a message, at most 0.1 s
//!      ^                                                            |
//!      +------------------------------------------------------------+
//! ```
//! The submodules are the steps of the round: `sources`, `hands`, `reports` and `departures` handle
//! messages, `places` dials, `ending` decides whether all is over or hopeless, `telling` makes
//! events.

mod departures;
mod ending;
mod hands;
mod places;
mod reports;
mod sources;
mod telling;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::failure_report::PeerRecord;
use super::patience::Patience;
use super::plan::LaterSources;
use super::summary::{Giver, Summary};
use super::waiting::Silence;
use super::{Event, Swarm, SwarmError, SwarmMessage};
use crate::s02_metainfo::Info;
use crate::s05_messages::bitfield::Bitfield;
use crate::s10_storage::{StorageError, Store};
use crate::s11_work_queue::{PeerNumber, WorkQueue};
use crate::s12_session::host::Torrent;
use crate::s13_peer_sources::hand::HandStats;
use crate::s13_peer_sources::source::PeerSource;
use crate::s14_peer_list::addresses::Addresses;
use crate::s14_peer_list::places::Places;

/// The time between two progress events, and the longest wait for a message. So a stop is noticed
/// within this time: it is a flag, which cannot wake a thread that waits on a channel.
const EVENT_INTERVAL: Duration = Duration::from_millis(100);

/// The limits of a [`Plan`](super::Plan), which is taken apart when the download begins.
pub(super) struct Limits {
    /// The most peers that are connected or being dialed: the places. Fewer than in the plan, if
    /// the system allows fewer connections.
    pub max_peers: usize,
    /// The longest time without a connected peer.
    pub patience: Duration,
    /// The time after which a failed address is dialed again, at first.
    pub retry: Duration,
    /// The time without a block after which an event says why.
    pub silence: Duration,
}

/// A source that is running.
struct Running {
    /// Its name in messages, such as a tracker's URL.
    name: String,
    /// Whether it only waits for incoming connections. Then it is no reason to hope.
    passive: bool,
    /// Whether it finds peers without the torrent's trackers.
    open: bool,
    /// When it looks for peers again, once it has said so.
    again: Option<Instant>,
}

/// Returns where the content is stored and which pieces are on disk, once the torrent is known. It
/// may take minutes, because it hashes what is on disk.
pub(super) type Prepare<'e> =
    Box<dyn FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError> + 'e>;

/// The state of the download's own thread. It is never shared, so it needs no lock.
pub(super) struct TorrentLoop<'e> {
    swarm: Arc<Swarm>,
    /// Every address that we know, and when to dial it. The address book of stage 14.
    addresses: Addresses,
    limits: Limits,
    /// `None` once the info dictionary is known: it can be called only once.
    prepare: Option<Prepare<'e>>,
    /// Makes sources for names that come with the info dictionary.
    later_sources: LaterSources,
    /// The caller's function for events.
    event: &'e mut dyn FnMut(Event),
    /// Both ends of the channel. With a sender kept here, it never closes.
    messages: (Sender<SwarmMessage>, Receiver<SwarmMessage>),
    /// The results of the peers whose threads have ended.
    outcome: Summary,
    /// The running peer threads, each with its peer's address. Each has one place.
    threads: HashMap<PeerNumber, SocketAddr>,
    /// Decides which peer gets a place, and which makes way (stage 14).
    places: Places,
    /// The running hands: sources that bring pieces themselves.
    hands: HashMap<PeerNumber, Arc<HandStats>>,
    /// The address of each peer that is here, or has sent blocks, and the name of each hand: it may
    /// be gone by the time its piece turns out to be wrong. Of those that are gone, the latest are
    /// kept. Numbers rise, so in a `BTreeMap` the first is the oldest.
    known: BTreeMap<PeerNumber, Giver>,
    /// The number of the next peer thread or hand. No number is used twice. Sources count it up
    /// when they begin a hand.
    numbers: Arc<AtomicU32>,
    /// The running sources, by number.
    sources: HashMap<usize, Running>,
    /// The number of the next source.
    next_source: usize,
    /// Knows how long the download has waited for a block, and for a peer.
    patience: Patience,
    /// Which waits the user has been told of.
    silence: Silence,
    /// When the last progress event was sent.
    told: Instant,
    /// The number of withdrawn pieces that have been reported.
    seen_withdrawn: usize,
    /// No piece is missing: from the start, or since the last one was verified.
    finished: bool,
    /// The peers and sources that we have met, for the error if the download fails.
    record: PeerRecord,
}

impl<'e> TorrentLoop<'e> {
    /// Makes the loop. Nothing runs yet.
    pub(super) fn new(
        swarm: Arc<Swarm>,
        later_sources: LaterSources,
        limits: Limits,
        prepare: Prepare<'e>,
        event: &'e mut dyn FnMut(Event),
        messages: (Sender<SwarmMessage>, Receiver<SwarmMessage>),
    ) -> TorrentLoop<'e> {
        let (patience, silence) = (Patience::new(limits.patience), Silence::new(limits.silence));
        TorrentLoop {
            addresses: Addresses::new(limits.retry),
            later_sources,
            swarm,
            limits,
            prepare: Some(prepare),
            event,
            messages,
            outcome: Summary::default(),
            threads: HashMap::new(),
            places: Places::default(),
            hands: HashMap::new(),
            known: BTreeMap::new(),
            numbers: Arc::default(),
            sources: HashMap::new(),
            next_source: 0,
            patience,
            silence,
            told: Instant::now(),
            seen_withdrawn: 0,
            finished: false,
            record: PeerRecord::default(),
        }
    }

    /// Runs the download from start to end, and says goodbye. Returns what the peers have sent and
    /// got.
    ///
    /// # Errors
    /// If the download ended before it was complete. The summary then goes out as an event.
    pub(super) fn run(
        mut self,
        info: Option<Info>,
        sources: Vec<Box<dyn PeerSource>>,
        stop: &AtomicBool,
    ) -> Result<Summary, SwarmError> {
        let result = self.until_finished(info, sources, stop);
        // Even after an error: trackers are told that we leave.
        self.end();
        if result.is_err() {
            (self.event)(Event::Unfinished(self.outcome.clone()));
        }
        result.map(|()| self.outcome)
    }

    /// Runs until the download is over and nothing is left to give, or fails.
    fn until_finished(
        &mut self,
        info: Option<Info>,
        sources: Vec<Box<dyn PeerSource>>,
        stop: &AtomicBool,
    ) -> Result<(), SwarmError> {
        // Before any source starts, so that the first announce has the true number of missing
        // bytes.
        if let Some(info) = info {
            let info = Arc::new(info);
            match info.is_whole() {
                true => self.learn(info)?,
                // Without the hashes of all pieces it is as if we had a magnet link.
                false => self.swarm.know(&info),
            }
        }
        // A torrent that is complete, and that nobody wants to seed, asks no tracker.
        if !self.is_over() {
            sources.into_iter().for_each(|source| self.start_source(source));
        }
        loop {
            // Messages first, decisions second: a download stopped just after its last piece is
            // complete.
            self.catch_up()?;
            if self.is_over() {
                break;
            }
            // In every round: a place may have become free, or an address due.
            self.dial();
            let now = Instant::now();
            self.check_hope(now)?;
            if stop.load(Ordering::SeqCst) {
                // A seed has no unfinished work: stopping it is success.
                return if self.gives_only() { Ok(()) } else { Err(SwarmError::Stopped) };
            }
            self.tell(now);
            // One message ends the wait. The others that came with it are handled by `catch_up`.
            match self.messages.1.recv_timeout(EVENT_INTERVAL) {
                Ok(message) => self.take(message)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("we hold a sender ourselves"),
            }
        }
        self.linger(stop);
        // A last progress event, even if one was sent a moment ago: it has all the bytes.
        self.tell(Instant::now() + EVENT_INTERVAL);
        Ok(())
    }

    /// Sets up the store and the queue, now that the info dictionary is known, and the hash of each
    /// piece. From here on, peers' threads download.
    fn learn(&mut self, info: Arc<Info>) -> Result<(), SwarmError> {
        // Several peers may have sent the info dictionary at once. All had the right hash, so they
        // are equal.
        let Some(prepare) = self.prepare.take() else { return Ok(()) };
        (self.event)(Event::Metadata { name: info.name.clone(), length: info.length });
        let (store, have) = prepare(&info)?;
        // Before `torrent`, so that later sessions offer it in their extension handshakes.
        self.swarm.know(&info);
        let length = info.length;
        let all = Bitfield::full(info.piece_count());
        let queue = WorkQueue::new(info, &have, &all);
        let left = queue.bytes_left();
        (self.event)(Event::Resumed(length - left));
        self.swarm.host.counters.left.store(left, Ordering::Relaxed);
        // Not by `finish`. BEP 3: "No completed is sent if the file was complete when started."
        self.finished = left == 0;
        // Hashing what is on disk may have taken minutes. That is not the peers' fault.
        self.patience = Patience::new(self.limits.patience);
        if queue.info().private {
            self.close_sources();
        }
        // Last: threads that waited for this, such as those of a magnet link, go on from here.
        let _ = self.swarm.torrent.set(Arc::new(Torrent {
            queue,
            store,
            upload_only: self.swarm.upload_only,
        }));
        self.swarm.signals.learned();
        // Only now it is sure that there is something to look for.
        let new: Vec<_> = self.swarm.names.learned().flat_map(&self.later_sources).collect();
        new.into_iter().for_each(|source| self.start_source(source));
        Ok(())
    }

    /// Handles one message.
    ///
    /// # Errors
    /// If it ends the download: our store fails, or the magnet link's torrent is unusable.
    fn take(&mut self, message: SwarmMessage) -> Result<(), SwarmError> {
        match message {
            SwarmMessage::Source(report) => self.hear_source(report),
            SwarmMessage::Came => {} // it has woken us, and `dial` looks into the lobby next
            SwarmMessage::Joined(address) => {
                self.record.met(address);
                // So other ports of this IP are worth dialing.
                self.addresses.answered(address.ip());
                (self.event)(Event::Joined(address));
            }
            SwarmMessage::Lacks(address, lacks) => self.record.lacks(address, lacks),
            SwarmMessage::Session(report) => self.hear(report),
            SwarmMessage::Hand(report) => return self.hear_hand(report),
            SwarmMessage::Ended(number, address, why) => return self.ended(number, address, why),
            SwarmMessage::Metadata(info) => self.learn(info)?,
        }
        Ok(())
    }

    /// Whether no peer has a place or waits for one. A peer that is being dialed has one.
    fn is_alone(&self) -> bool {
        self.threads.is_empty() && self.swarm.lobby.is_empty()
    }

    /// Tells sources that there is nobody to download from, so a tracker may be asked sooner. A
    /// seed can wait until peers find it.
    fn signal_hungry(&self) {
        if !self.gives_only() {
            self.swarm.signals.hungry();
        }
    }

    /// The sources that look for peers, as opposed to waiting for incoming connections.
    fn looking(&self) -> impl Iterator<Item = &Running> {
        self.sources.values().filter(|source| !source.passive)
    }

    /// Notes that the last piece is verified, and says so. Two sessions may report it: each saw
    /// that nothing is left.
    fn finish(&mut self) {
        if !self.finished {
            self.finished = true;
            (self.event)(Event::Completed);
            // Announcers tell their trackers.
            self.swarm.signals.completed();
        }
    }
}
