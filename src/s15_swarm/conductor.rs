//! The thread that holds a download together: it starts the others, hears what became
//! of them, and decides when it is over, for better or worse.

mod ending;
mod places;
mod reports;
mod telling;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::outcome::Outcome;
use super::patience::Patience;
use super::peer::Ended;
use super::standing::Record;
use super::waiting::Silence;
use super::{Event, Live, Note, Swarm, SwarmError};
use crate::s01_bencode::counted;
use crate::s02_metainfo::Info;
use crate::s04_handshake::HandshakeError;
use crate::s04_handshake::descriptors::is_exhausted;
use crate::s04_handshake::origin::Origin;
use crate::s05_messages::bitfield::Bitfield;
use crate::s10_storage::{StorageError, Store};
use crate::s11_work_queue::{PeerNumber, WorkQueue};
use crate::s12_session::host::{SessionEnd, Torrent};
use crate::s13_peer_sources::source::{PeerSource, SourceHost, SourceReport};
use crate::s13_peer_sources::start;
use crate::s14_peer_list::addresses::Addresses;
use crate::s14_peer_list::places::Places;

/// How many IPs have to be turned away before the rest of an answer is not looked at.
const MOST_REFUSED: usize = 50;
/// How often the user hears of progress.
const EVENT_TIME: Duration = Duration::from_millis(100);

/// How many addresses are remembered of peers that brought something. One that comes and goes
/// with a block each time would otherwise fill our memory.
const MOST_KNOWN: usize = 10_000;

/// The limits of a [`Plan`](super::Plan).
pub(super) struct Limits {
    pub max_peers: usize,
    pub patience: Duration,
    pub retry: Duration,
    pub silence: Duration,
}

/// A source that runs.
struct Running {
    name: String,
    /// Whether it only waits for others to come.
    passive: bool,
    /// When it looks for peers again; nothing, as long as it has not said so.
    again: Option<Instant>,
}

/// Says where the content goes and what is there of it, once the torrent is known.
pub(super) type Prepare<'e> = Box<dyn FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError> + 'e>;

/// State of the download's own thread; never shared.
pub(super) struct Conductor<'e> {
    swarm: Arc<Swarm>,
    addresses: Addresses,
    limits: Limits,
    prepare: Option<Prepare<'e>>,
    event: &'e mut dyn FnMut(Event),
    /// Both ends of the channel: with one sender kept here, it never closes.
    notes: (Sender<Note>, Receiver<Note>),
    outcome: Outcome,
    /// The peers' threads that run, each with its peer: these are the places.
    threads: HashMap<PeerNumber, SocketAddr>,
    places: Places,
    /// The address of each that is here, or was of use: who spoilt a piece may have gone since.
    /// Of those that have gone, the latest are kept.
    known: BTreeMap<PeerNumber, SocketAddr>,
    next_number: PeerNumber,
    /// The sources that run, by their numbers.
    sources: HashMap<usize, Running>,
    next_source: usize,
    patience: Patience,
    silence: Silence,
    /// When the user last heard of progress.
    told: Instant,
    /// How many withdrawn pieces have been told of.
    seen_withdrawn: usize,
    finished: bool,
    /// Whom we have met, for the error that may come of it.
    record: Record,
}

impl<'e> Conductor<'e> {
    pub(super) fn new(
        swarm: Arc<Swarm>,
        limits: Limits,
        prepare: Prepare<'e>,
        event: &'e mut dyn FnMut(Event),
        notes: (Sender<Note>, Receiver<Note>),
    ) -> Conductor<'e> {
        let (patience, silence) = (Patience::new(limits.patience), Silence::new(limits.silence));
        Conductor {
            addresses: Addresses::new(limits.retry),
            swarm,
            limits,
            prepare: Some(prepare),
            event,
            notes,
            outcome: Outcome::default(),
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
            record: Record::default(),
        }
    }

    /// From the first source to the last piece, and the goodbyes.
    pub(super) fn run(
        mut self,
        info: Option<Info>,
        sources: Vec<Box<dyn PeerSource>>,
        stop: &AtomicBool,
    ) -> Result<Outcome, SwarmError> {
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
            // What has happened comes before any verdict: who is told to stop when the last
            // piece is there has it.
            self.catch_up()?;
            if self.is_over() {
                break;
            }
            self.dial();
            let now = Instant::now();
            self.check_hope(now)?;
            if stop.load(Ordering::SeqCst) {
                // A seed has no unfinished work, so stopping it is success.
                return if self.gives_only() { Ok(()) } else { Err(SwarmError::Stopped) };
            }
            self.tell(now);
            match self.notes.1.recv_timeout(EVENT_TIME) {
                Ok(note) => self.take(note)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("we hold a sender ourselves"),
            }
        }
        self.linger(stop);
        self.tell(Instant::now() + EVENT_TIME);
        Ok(())
    }

    fn start_source(&mut self, source: Box<dyn PeerSource>) {
        let (number, name, passive) = (self.next_source, source.name(), source.is_passive());
        self.next_source += 1;
        if !passive {
            self.record.source(name.clone());
        }
        self.sources.insert(number, Running { name, passive, again: None });
        start(source, number, &source_host(&self.swarm));
    }

    /// The info dictionary is known: everything is made ready for pieces.
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
        // Hashing what is there took as long as it took.
        self.patience = Patience::new(self.limits.patience);
        let _ = self.swarm.torrent.set(Arc::new(Torrent { queue, store, upload_only: self.swarm.upload_only }));
        Ok(())
    }

    fn take(&mut self, note: Note) -> Result<(), SwarmError> {
        match note {
            Note::Source(report) => self.hear_source(report),
            Note::Came => {}
            Note::Joined(address) => {
                self.record.met(address);
                self.addresses.answered(address.ip());
                (self.event)(Event::Joined(address));
            }
            Note::Lacks(address, lacks) => self.record.lacks(address, lacks),
            Note::Session(report) => self.hear(report),
            Note::Ended(number, address, why) => return self.ended(number, address, why),
            Note::Metadata(info) => self.learn(*info)?,
        }
        Ok(())
    }

    fn hear_source(&mut self, report: SourceReport) {
        match report {
            SourceReport::Found(addresses) => {
                self.found(addresses);
                if self.is_alone() && self.addresses.next_due().is_none() {
                    self.hungry();
                }
            }
            SourceReport::Met(_) => {} // in the lobby already
            SourceReport::Announced { source, tracker, peers, notes, .. } => {
                let names = format!("{tracker} names {}", counted(peers, "peer"));
                self.said(source, [vec![names], notes].concat().join("; "), false);
            }
            SourceReport::Said { source, what, failed } => self.said(source, what, failed),
            SourceReport::Again { source, since, pause } => {
                if let Some(source) = self.sources.get_mut(&source) {
                    source.again = Some(since + pause);
                }
            }
            SourceReport::Gone(number) => drop(self.sources.remove(&number)),
        }
    }

    /// A source has said something that the user may read.
    fn said(&mut self, name: String, what: String, failed: bool) {
        self.record.said(&name, &what, failed);
        (self.event)(Event::Source { name, what, failed });
    }

    /// A source names peers.
    fn found(&mut self, addresses: Vec<SocketAddr>) {
        // An answer may hold more than will ever be dialled, and to find that out is not free.
        let (mut refused, now) = (HashSet::new(), Instant::now());
        for address in addresses {
            let origin = Origin::of(address.ip());
            let full = refused.len() >= MOST_REFUSED || refused.contains(&origin);
            if !full && !self.addresses.found(address, now) {
                refused.insert(origin);
            }
        }
    }

    /// Whether nobody has a place, and nobody waits for one.
    fn is_alone(&self) -> bool {
        self.threads.is_empty() && self.swarm.lobby.is_empty()
    }

    /// There is nobody to take from. Who only gives can wait until somebody comes.
    fn hungry(&self) {
        if !self.gives_only() {
            self.swarm.signals.hungry();
        }
    }

    /// The sources that look for peers, and do not only wait for them to come.
    fn looking(&self) -> impl Iterator<Item = &Running> {
        self.sources.values().filter(|source| !source.passive)
    }

    /// The last piece is verified.
    fn finished(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            (self.event)(Event::Completed);
            self.swarm.signals.completed();
        }
    }

    /// A peer's thread is over.
    fn ended(&mut self, number: PeerNumber, address: SocketAddr, why: Ended) -> Result<(), SwarmError> {
        let now = Instant::now();
        self.threads.remove(&number);
        let live = self.swarm.live().remove(&number);
        let met = live.is_some();
        let brought = live.as_ref().map_or(0, |live| live.stats.downloaded());
        if brought == 0 {
            self.known.remove(&number);
        }
        if self.known.len() > MOST_KNOWN
            && let Some(oldest) = self.known.keys().find(|known| !self.threads.contains_key(known)).copied()
        {
            self.known.remove(&oldest);
        }
        let listened = live.as_ref().map(|live| live.stats.address());
        let here_too = live.as_ref().is_some_and(|live| self.is_here_too(live, address));
        let (parted, doubles) = live.map_or_else(Default::default, |live| {
            self.outcome.add(&live.stats);
            self.addresses.brought(address, live.stats.take_pieces());
            (live.parted, live.doubles)
        });
        if self.swarm.live().is_empty() {
            self.hungry();
        }
        match why {
            Ended::Session(SessionEnd::Local(error)) => return Err(error.into()),
            Ended::Unusable(error) => return Err(SwarmError::Unusable(error)),
            Ended::Session(SessionEnd::Corrupt(_)) | Ended::WrongMetadata(_) => self.ban(address),
            Ended::Ourselves | Ended::Session(SessionEnd::BothComplete) => self.addresses.forget(address),
            _ if here_too => self.addresses.may_be_a_double(address, now),
            // That is not the peer's fault.
            Ended::Handshake(HandshakeError::Io(ref error)) if is_exhausted(error) => {
                self.addresses.put_back(address, now);
                self.places.rest(now);
            }
            Ended::Twice => self.left_double(address, now),
            _ => {
                self.addresses.ended(address, met, brought > 0, now);
                // One that came by itself may have been dialled in vain meanwhile.
                if let Some(listened) = listened.filter(|listened| *listened != address) {
                    self.addresses.revive(listened, now);
                }
            }
        }
        doubles.into_iter().for_each(|double| self.addresses.was_no_double(double, now));
        let why = parted.unwrap_or(why);
        match why {
            // It is here all the same, or nobody.
            Ended::Twice | Ended::Crossed => {}
            Ended::Ourselves => self.record.ourselves(address),
            _ => self.record.lost(address, why.to_string()),
        }
        (self.event)(Event::Left(address, why));
        Ok(())
    }

    /// An address was left, as its peer seems to be here already. It is dialled no more as long as
    /// that is certain.
    fn left_double(&mut self, address: SocketAddr, now: Instant) {
        let live = self.swarm.live();
        let certain = live.values().find(|live| live.doubles.contains(&address)).map(|live| live.dialled && live.link().proved);
        drop(live);
        match certain {
            Some(true) => self.addresses.forget(address),
            Some(false) => self.addresses.may_be_a_double(address, now),
            // It has just gone.
            None => {
                self.addresses.forget(address);
                self.addresses.was_no_double(address, now);
            }
        }
    }

    /// Whether a connection that we dialled has ended at once, and its peer is here by another one,
    /// or so that says. The address is dialled again when that goes, if not before.
    fn is_here_too(&self, gone: &Live, address: SocketAddr) -> bool {
        let mut live = self.swarm.live();
        let gone = gone.link();
        let here = live.values_mut().find(|here| gone.was_short() && here.link().claims_to_be(&gone));
        here.map(|here| here.add_double(address)).is_some()
    }
}

/// What the sources get of us.
fn source_host(swarm: &Arc<Swarm>) -> SourceHost {
    let (introduces, listens) = (Arc::clone(swarm), Arc::clone(swarm));
    SourceHost {
        signals: Arc::clone(&swarm.signals),
        counters: Arc::clone(&swarm.host.counters),
        handshake: Arc::new(move || introduces.handshake()),
        max_handshakes: swarm.max_handshakes,
        report: Arc::new(move |report| match report {
            // One note for all that wait: a flood of connections is not a flood of notes.
            SourceReport::Met(connection) => !listens.lobby.enter(*connection) || listens.notes.send(Note::Came).is_ok(),
            report => listens.notes.send(Note::Source(report)).is_ok(),
        }),
    }
}
