//! When a download is over, complete or not, and how it parts from its peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::TorrentLoop;
use crate::s04_handshake::transport::Hangup;
use crate::s12_session::stats::PeerStats;
use crate::s13_peer_sources::source::SourceReport;
use crate::s15_swarm::{SwarmError, SwarmMessage};

/// The longest time that we go on uploading after the last piece.
const LINGER: Duration = Duration::from_secs(2);
/// A peer that got no block for this long is not downloading from us.
const TAKING: Duration = Duration::from_secs(1);
/// The number of messages to handle before something else gets its turn.
const MAX_MESSAGES: usize = 1000;
/// The longest time that we wait for the other threads to end.
const END_TIMEOUT: Duration = Duration::from_secs(1);

impl TorrentLoop<'_> {
    /// Handles the messages that are waiting. A limit keeps a flood of them from taking all our
    /// time.
    pub(super) fn catch_up(&mut self) -> Result<(), SwarmError> {
        for _ in 0..MAX_MESSAGES {
            if self.is_over() {
                break;
            }
            let Ok(message) = self.messages.1.try_recv() else { break };
            self.take(message)?;
        }
        Ok(())
    }

    /// Whether we want no more pieces.
    pub(super) fn gives_only(&self) -> bool {
        self.finished || self.swarm.upload_only
    }

    pub(super) fn is_over(&self) -> bool {
        let uploaded = self.swarm.host.counters.uploaded.load(Ordering::Relaxed);
        let length = self.swarm.torrent.get().map_or(0, |torrent| torrent.queue.info().length);
        self.gives_only() && !self.swarm.host.uploads.stays(uploaded, length)
    }

    /// Waits a little for peers that are downloading from us right now.
    pub(super) fn linger(&self, stop: &AtomicBool) {
        let now = Instant::now;
        let deadline = now() + LINGER;
        let taking =
            |traffic: &PeerStats| traffic.last_sent().is_some_and(|went| went.elapsed() < TAKING);
        while now() < deadline && !stop.load(Ordering::SeqCst) {
            if !self.swarm.live().values().any(|live| taking(&live.stats)) {
                return;
            }
            thread::sleep(TAKING / 20);
        }
    }

    /// Returns an error if there is no hope left, so that a download never waits forever.
    pub(super) fn check_hope(&mut self, now: Instant) -> Result<(), SwarmError> {
        let gives_only = self.gives_only();
        let counter = if gives_only {
            &self.swarm.host.counters.uploaded
        } else {
            &self.swarm.host.counters.downloaded
        };
        self.patience.look(now, counter.load(Ordering::Relaxed), !self.swarm.live().is_empty());
        if gives_only {
            return Ok(());
        }
        if let Some(time) = self.patience.without_block() {
            let what = if self.prepare.is_none() {
                "no block came"
            } else {
                "no peer gave the info dictionary"
            };
            return Err(self.no_hope(format!("{what} for {} s", time.as_secs_f64())));
        }
        if self.is_alone() && self.looking().next().is_none() && self.addresses.is_hopeless() {
            return Err(
                self.no_hope("no peer is left, and nobody who could name another".to_owned())
            );
        }
        if let Some(time) =
            self.patience.without_peer().filter(|_| self.addresses.all_tried_twice())
        {
            return Err(self.no_hope(format!("no peer could be used for {} s", time.as_secs_f64())));
        }
        Ok(())
    }

    fn no_hope(&self, what: String) -> SwarmError {
        let pieces = self.swarm.torrent.get().map(|torrent| {
            let (_, _, done) = torrent.queue.counts();
            (done as u32, torrent.queue.info().piece_count())
        });
        let live = self.swarm.live();
        let terms = live.values().map(|live| (live.stats.address(), live.stats.flags()));
        SwarmError::NoHope {
            what,
            standing: Box::new(self.record.sum_up(pieces, self.addresses.all(), terms)),
        }
    }

    /// Hangs up on all peers, lets the sources say goodbye, and waits a little for both.
    pub(super) fn end(&mut self) {
        self.swarm.signals.stop();
        self.swarm.host.stopping.store(true, Ordering::SeqCst);
        let hang_ups: Vec<Hangup> =
            self.swarm.live().values().map(|live| Arc::clone(&live.hang_up)).collect();
        hang_ups.iter().for_each(|hang_up| hang_up());
        let deadline = Instant::now() + END_TIMEOUT;
        // Threads that are still dialing end with the process. The others get a moment.
        while !self.swarm.live().is_empty() || !self.sources.is_empty() {
            match self.messages.1.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(SwarmMessage::Ended(number, ..)) => {
                    self.threads.remove(&number);
                    let live = self.swarm.live().remove(&number);
                    if let Some(live) = live {
                        self.outcome.add(&live.stats);
                    }
                }
                Ok(SwarmMessage::Source(SourceReport::Gone(number))) => {
                    drop(self.sources.remove(&number))
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        // Blocks of peers whose threads have not ended by now count all the same.
        let late: Vec<Arc<PeerStats>> =
            self.swarm.live().values().map(|live| Arc::clone(&live.stats)).collect();
        late.iter().for_each(|traffic| self.outcome.add(traffic));
    }
}
