//! The download's own thread. It starts the other threads, receives their messages, and decides when
//! the download is over, complete or not.

mod ending;
mod places;
mod reports;
mod sources;
mod telling;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::failure_report::PeerRecord;
use super::patience::Patience;
use super::peer_thread::Ended;
use super::summary::Summary;
use super::waiting::Silence;
use super::{Event, Live, Swarm, SwarmError, SwarmMessage};
use crate::s02_metainfo::Info;
use crate::s04_handshake::HandshakeError;
use crate::s04_handshake::descriptors::is_exhausted;
use crate::s05_messages::bitfield::Bitfield;
use crate::s10_storage::{StorageError, Store};
use crate::s11_work_queue::{PeerNumber, WorkQueue};
use crate::s12_session::host::{SessionEnd, Torrent};
use crate::s13_peer_sources::source::PeerSource;
use crate::s14_peer_list::addresses::Addresses;
use crate::s14_peer_list::places::Places;

/// The time between two progress events.
const EVENT_INTERVAL: Duration = Duration::from_millis(100);

/// Above this many `known` peers, the oldest that has gone is forgotten. A peer that reconnects for
/// each block would otherwise fill our memory.
const MAX_KNOWN: usize = 10_000;

/// The limits of a [`Plan`](super::Plan).
pub(super) struct Limits {
    pub max_peers: usize,
    pub patience: Duration,
    pub retry: Duration,
    pub silence: Duration,
}

/// A source that is running.
struct Running {
    name: String,
    /// Whether it only waits for incoming connections.
    passive: bool,
    /// When it looks for peers again, once it has said so.
    again: Option<Instant>,
}

/// Returns where the content is stored and which pieces are on disk, once the torrent is known.
pub(super) type Prepare<'e> =
    Box<dyn FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError> + 'e>;

/// The state of the download's own thread. It is never shared, so it needs no lock.
pub(super) struct TorrentLoop<'e> {
    swarm: Arc<Swarm>,
    addresses: Addresses,
    limits: Limits,
    prepare: Option<Prepare<'e>>,
    event: &'e mut dyn FnMut(Event),
    /// Both ends of the channel. With a sender kept here, it never closes.
    messages: (Sender<SwarmMessage>, Receiver<SwarmMessage>),
    outcome: Summary,
    /// The running peer threads, each with its peer's address. Each has one place.
    threads: HashMap<PeerNumber, SocketAddr>,
    places: Places,
    /// The address of each peer that is here, or has sent blocks: a peer may be gone by the time
    /// its piece turns out to be wrong. Of those that are gone, the latest are kept.
    known: BTreeMap<PeerNumber, SocketAddr>,
    next_number: PeerNumber,
    /// The running sources, by number.
    sources: HashMap<usize, Running>,
    next_source: usize,
    patience: Patience,
    silence: Silence,
    /// When the last progress event was sent.
    told: Instant,
    /// The number of withdrawn pieces that have been reported.
    seen_withdrawn: usize,
    finished: bool,
    /// The peers and sources that we have met, for the error if the download fails.
    record: PeerRecord,
}

impl<'e> TorrentLoop<'e> {
    pub(super) fn new(
        swarm: Arc<Swarm>,
        limits: Limits,
        prepare: Prepare<'e>,
        event: &'e mut dyn FnMut(Event),
        messages: (Sender<SwarmMessage>, Receiver<SwarmMessage>),
    ) -> TorrentLoop<'e> {
        let (patience, silence) = (Patience::new(limits.patience), Silence::new(limits.silence));
        TorrentLoop {
            addresses: Addresses::new(limits.retry),
            swarm,
            limits,
            prepare: Some(prepare),
            event,
            messages,
            outcome: Summary::default(),
            threads: HashMap::new(),
            places: Places::default(),
            known: BTreeMap::new(),
            next_number: 0,
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

    /// Runs from the first source to the last piece, and says goodbye.
    pub(super) fn run(
        mut self,
        info: Option<Info>,
        sources: Vec<Box<dyn PeerSource>>,
        stop: &AtomicBool,
    ) -> Result<Summary, SwarmError> {
        let result = self.until_finished(info, sources, stop);
        self.end();
        if result.is_err() {
            (self.event)(Event::Unfinished(self.outcome.clone()));
        }
        result.map(|()| self.outcome)
    }

    fn until_finished(
        &mut self,
        info: Option<Info>,
        sources: Vec<Box<dyn PeerSource>>,
        stop: &AtomicBool,
    ) -> Result<(), SwarmError> {
        if let Some(info) = info {
            self.learn(info)?;
        }
        if !self.is_over() {
            sources.into_iter().for_each(|source| self.start_source(source));
        }
        loop {
            // Messages first, decisions second: stopped just after its last piece, a download is
            // complete.
            self.catch_up()?;
            if self.is_over() {
                break;
            }
            self.dial();
            let now = Instant::now();
            self.check_hope(now)?;
            if stop.load(Ordering::SeqCst) {
                // A seed has no unfinished work: stopping it is success.
                return if self.gives_only() { Ok(()) } else { Err(SwarmError::Stopped) };
            }
            self.tell(now);
            match self.messages.1.recv_timeout(EVENT_INTERVAL) {
                Ok(message) => self.take(message)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("we hold a sender ourselves"),
            }
        }
        self.linger(stop);
        self.tell(Instant::now() + EVENT_INTERVAL);
        Ok(())
    }

    /// The info dictionary is known. Sets up store and queue.
    fn learn(&mut self, info: Info) -> Result<(), SwarmError> {
        let Some(prepare) = self.prepare.take() else { return Ok(()) };
        (self.event)(Event::Metadata { name: info.name.clone(), length: info.length });
        let (store, have) = prepare(&info)?;
        let _ = self.swarm.metadata.set(info.raw.clone().into());
        let length = info.length;
        let queue = WorkQueue::new(Arc::new(info), &have);
        let left = queue.bytes_left();
        (self.event)(Event::Resumed(length - left));
        self.swarm.host.counters.left.store(left, Ordering::Relaxed);
        self.finished = left == 0;
        // Hashing what is on disk may have taken minutes. That is not the peers' fault.
        self.patience = Patience::new(self.limits.patience);
        let _ = self.swarm.torrent.set(Arc::new(Torrent {
            queue,
            store,
            upload_only: self.swarm.upload_only,
        }));
        Ok(())
    }

    fn take(&mut self, message: SwarmMessage) -> Result<(), SwarmError> {
        match message {
            SwarmMessage::Source(report) => self.hear_source(report),
            SwarmMessage::Came => {}
            SwarmMessage::Joined(address) => {
                self.record.met(address);
                self.addresses.answered(address.ip());
                (self.event)(Event::Joined(address));
            }
            SwarmMessage::Lacks(address, lacks) => self.record.lacks(address, lacks),
            SwarmMessage::Session(report) => self.hear(report),
            SwarmMessage::Ended(number, address, why) => return self.ended(number, address, why),
            SwarmMessage::Metadata(info) => self.learn(*info)?,
        }
        Ok(())
    }

    /// Whether no peer has a place or waits for one.
    fn is_alone(&self) -> bool {
        self.threads.is_empty() && self.swarm.lobby.is_empty()
    }

    /// Tells sources that there is nobody to download from. A seed can wait.
    fn signal_hungry(&self) {
        if !self.gives_only() {
            self.swarm.signals.hungry();
        }
    }

    /// The sources that look for peers, as opposed to waiting for incoming connections.
    fn looking(&self) -> impl Iterator<Item = &Running> {
        self.sources.values().filter(|source| !source.passive)
    }

    /// The last piece is verified.
    fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            (self.event)(Event::Completed);
            self.swarm.signals.completed();
        }
    }

    /// A peer's thread has ended. The first row that fits decides about its address:
    ///
    /// | it ended because | the address is |
    /// |---|---|
    /// | our disk failed, or the magnet link's torrent is unusable | of no interest: the download ends |
    /// | a wrong piece or wrong metadata came from this peer alone | banned |
    /// | the peer is ourselves, or both sides are complete | not dialed again |
    /// | it ended at once, and its peer is already connected | dialed again after a minute |
    /// | we had no socket left | dialed again in 1 s |
    /// | the peer is connected twice | not dialed while that is certain, else after a minute |
    /// | anything else | dialed again, later each time, then never; sooner if it had connected, as if new if it sent blocks |
    fn ended(
        &mut self,
        number: PeerNumber,
        address: SocketAddr,
        why: Ended,
    ) -> Result<(), SwarmError> {
        let now = Instant::now();
        self.threads.remove(&number);
        let live = self.swarm.live().remove(&number);
        let met = live.is_some();
        let brought = live.as_ref().map_or(0, |live| live.stats.downloaded());
        if brought == 0 {
            self.known.remove(&number);
        }
        if self.known.len() > MAX_KNOWN
            && let Some(oldest) =
                self.known.keys().find(|known| !self.threads.contains_key(known)).copied()
        {
            self.known.remove(&oldest);
        }
        let listened = live.as_ref().map(|live| live.stats.address());
        let here_too = live.as_ref().is_some_and(|live| self.note_double(live, address));
        let (parted, doubles) = live.map_or_else(Default::default, |live| {
            self.outcome.add(&live.stats);
            self.addresses.brought(address, live.stats.take_pieces());
            (live.parted, live.doubles)
        });
        if self.swarm.live().is_empty() {
            self.signal_hungry();
        }
        match why {
            Ended::Session(SessionEnd::Local(error)) => return Err(error.into()),
            Ended::Unusable(error) => return Err(SwarmError::Unusable(error)),
            Ended::Session(SessionEnd::Corrupt(_)) | Ended::WrongMetadata(_) => self.ban(address),
            Ended::Ourselves | Ended::Session(SessionEnd::BothComplete) => {
                self.addresses.give_up(address)
            }
            _ if here_too => self.addresses.may_be_a_double(address, now),
            // We are out of sockets, which is not the peer's fault.
            Ended::Handshake(HandshakeError::Io(ref error)) if is_exhausted(error) => {
                self.addresses.put_back(address, now);
                self.places.pause_dialing(now);
            }
            Ended::Twice => self.left_double(address, now),
            _ => {
                self.addresses.ended(address, met, brought > 0, now);
                // Meanwhile, the address it listens on may have been dialed and given up.
                if let Some(listened) = listened.filter(|listened| *listened != address) {
                    self.addresses.revive(listened, now);
                }
            }
        }
        doubles.into_iter().for_each(|double| self.addresses.double_gone(double, now));
        let why = parted.unwrap_or(why);
        match why {
            // The peer's other connection stays.
            Ended::Twice | Ended::Crossed => {}
            Ended::Ourselves => self.record.ourselves(address),
            _ => self.record.lost(address, why.to_string()),
        }
        (self.event)(Event::Left(address, why));
        Ok(())
    }

    /// We hung up because this peer seems to be connected already. As long as that is proved, the
    /// address is not dialed.
    fn left_double(&mut self, address: SocketAddr, now: Instant) {
        let live = self.swarm.live();
        let certain = live
            .values()
            .find(|live| live.doubles.contains(&address))
            .map(|live| live.dialed && live.link().proved);
        drop(live);
        match certain {
            Some(true) => self.addresses.give_up(address),
            Some(false) => self.addresses.may_be_a_double(address, now),
            // Gone by now: given up, then revived.
            None => {
                self.addresses.give_up(address);
                self.addresses.double_gone(address, now);
            }
        }
    }

    /// Notes, and returns, whether a dialed connection ended at once while one that claims to be
    /// the same peer is up. The address is dialed again when that one ends, if not before.
    fn note_double(&self, gone: &Live, address: SocketAddr) -> bool {
        let mut live = self.swarm.live();
        let gone = gone.link();
        let here =
            live.values_mut().find(|here| gone.was_short() && here.link().claims_to_be(&gone));
        here.map(|here| here.add_double(address)).is_some()
    }
}
