//! The thread that holds a download together: it starts the others, hears what became
//! of them, and decides when it is over, for better or worse.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::addresses::Addresses;
use super::peer::{Ended, start_source, start_thread};
use super::source::{Candidate, Finder, PeerSource};
use super::work_queue::{PeerNumber, WorkQueue};
use super::{Event, Note, Outcome, Plan, Swarm, SwarmError, Torrent};
use crate::s02_metainfo::Info;
use crate::s04_handshake::transport::Hangup;
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::connection::Connection;
use crate::s10_storage::{StorageError, Store};

/// How many addresses are dialled at the same time.
const DIALLING: usize = 30;
/// How often the user hears of progress.
const EVENT_TIME: Duration = Duration::from_millis(100);
/// How long a place that is needed is left to a peer that gives nothing.
const USELESS_TIME: Duration = Duration::from_secs(180);
/// How long the peers' threads and the sources may take to end.
const END_TIME: Duration = Duration::from_secs(1);

/// What this thread knows; no other sees it.
pub(super) struct Conductor<'e, P> {
    swarm: Arc<Swarm>,
    addresses: Addresses,
    max_peers: usize,
    patience: Duration,
    prepare: Option<P>,
    event: &'e mut dyn FnMut(Event),
    /// Both ends of the channel: with one sender kept here, it never closes.
    notes: (Sender<Note>, Receiver<Note>),
    outcome: Outcome,
    /// Connections that were made elsewhere and wait for a place.
    met: Vec<Connection>,
    /// The peers' threads that run.
    threads: HashSet<PeerNumber>,
    /// The address of each there has been: who spoilt a piece may have gone since.
    known: HashMap<PeerNumber, SocketAddr>,
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
    /// Whether any source had something good to say.
    answered: bool,
    /// Why peers and sources failed, the latest of each.
    reasons: Vec<(String, String)>,
}

impl<'e, P> Conductor<'e, P>
where
    P: FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError>,
{
    pub(super) fn new(
        swarm: Arc<Swarm>,
        plan: &Plan,
        prepare: P,
        event: &'e mut dyn FnMut(Event),
        notes: (Sender<Note>, Receiver<Note>),
    ) -> Conductor<'e, P> {
        let now = Instant::now();
        Conductor {
            addresses: Addresses::new(plan.retry()),
            swarm,
            max_peers: plan.max_peers,
            patience: plan.patience,
            prepare: Some(prepare),
            event,
            notes,
            outcome: Outcome::default(),
            met: Vec::new(),
            threads: HashSet::new(),
            known: HashMap::new(),
            next_number: 0,
            sources: 0,
            last_live: now,
            last_progress: now,
            downloaded: 0,
            told: now,
            finished: false,
            answered: false,
            reasons: Vec::new(),
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
        self.end(result.is_ok());
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
        if !self.finished {
            for source in sources {
                let finder = Finder::new(source.name(), Arc::clone(&self.swarm.signals), self.notes.0.clone());
                self.sources += 1;
                start_source(source, finder);
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
            match self.notes.1.recv_timeout(EVENT_TIME) {
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
        (self.last_progress, self.last_live) = (Instant::now(), Instant::now());
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
        if self.threads.len() >= self.max_peers && self.addresses.next_due().is_some_and(|due| due <= now) {
            self.make_room(now);
        }
    }

    fn start(&mut self, candidate: Candidate, peer: SocketAddr) -> bool {
        let number = self.next_number;
        self.next_number += 1;
        let started = start_thread(&self.swarm, number, candidate, peer);
        if started {
            self.threads.insert(number);
            self.known.insert(number, peer);
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
        // A source that is called by a URL is a tracker.
        let failed = self.reasons.iter().any(|(who, _)| who.contains("://"));
        let no_tracker = self.addresses.is_empty() && failed && !self.answered;
        SwarmError::NoHope { what, no_tracker, reasons: self.reasons.clone() }
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
        let peers = self.swarm.live().len();
        (self.event)(Event::Progress { verified, downloaded, peers });
    }

    fn take(&mut self, note: Note) -> Result<(), SwarmError> {
        match note {
            Note::Found(candidates) => {
                let mut full = false;
                for candidate in candidates {
                    match candidate {
                        // An answer may hold more than will ever be dialled, and to find that
                        // out is not free: once is enough.
                        Candidate::Dial(address) => {
                            full = full || self.addresses.is_full();
                            if !full {
                                self.addresses.found(address);
                            }
                        }
                        Candidate::Met(connection) if self.addresses.is_banned(connection.peer) => {}
                        Candidate::Met(connection) => self.met.push(*connection),
                    }
                }
                if self.threads.is_empty() && self.met.is_empty() && self.addresses.next_due().is_none() {
                    self.swarm.signals.hungry();
                }
            }
            Note::Said { source, what, failed } => {
                self.answered |= !failed;
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
                let who: Vec<SocketAddr> = by.iter().filter_map(|number| self.known.get(number).copied()).collect();
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
            Ended::Ourselves => self.addresses.forget(address),
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
    fn end(&mut self, complete: bool) {
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
            match self.notes.1.recv_timeout(until.saturating_duration_since(Instant::now())) {
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
