//! When a download is over, complete or not, and how it parts from its peers.
//!
//! There are four ends, and each turn of the loop checks for all of them:
//!
//! | the end | found by | the result |
//! |---|---|---|
//! | we want no more pieces, and need not stay to upload | [`is_over`](TorrentLoop::is_over) | success |
//! | the store failed, or the magnet link's torrent cannot be used | a message, or `learn` | that error |
//! | there is no hope of another block | [`check_hope`](TorrentLoop::check_hope) | an error that says why |
//! | the user wants it to stop | the flag `stop` | an error; for a seed, success |
//!
//! All four then pass through [`end`](TorrentLoop::end). In the first case the download lingers for
//! a moment before that ([`linger`](TorrentLoop::linger)).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::TorrentLoop;
use crate::s03_tracker::PeerId;
use crate::s04_handshake::transport::Hangup;
use crate::s12_session::stats::PeerStats;
use crate::s13_peer_sources::source::SourceReport;
use crate::s15_swarm::{SwarmError, SwarmMessage};

/// The longest time that we go on uploading after the last piece.
const LINGER: Duration = Duration::from_secs(2);
/// A peer that got no block for this long is not downloading from us: it has a slot and makes no
/// use of it, or has none.
const TAKING: Duration = Duration::from_secs(1);
/// The number of messages to handle before something else gets its turn. Beyond it, the rest waits
/// in the channel.
const MAX_MESSAGES: usize = 1000;
/// The longest time that we wait for the other threads to end: the user waits as well. A tracker
/// has as long to answer our `stopped` (stage 13).
const END_TIMEOUT: Duration = Duration::from_secs(2);

impl TorrentLoop<'_> {
    /// Handles the messages that are waiting. A limit keeps a flood of them from taking all our
    /// time.
    pub(super) fn catch_up(&mut self) -> Result<(), SwarmError> {
        for _ in 0..MAX_MESSAGES {
            // Once it is over, the rest is for `end`. A disk error that comes after the last piece
            // must not turn success into failure.
            if self.is_over() {
                break;
            }
            let Ok(message) = self.messages.1.try_recv() else { break };
            self.take(message)?;
        }
        Ok(())
    }

    /// Whether we want no more pieces: a seed, a download that has become one, or a partial seed.
    pub(super) fn gives_only(&self) -> bool {
        self.finished || self.swarm.upload_only
    }

    /// Whether there is nothing left to do: we want no more pieces, and the uploads do not ask us
    /// to stay, or no longer. Asked several times in each turn, so it takes no lock.
    pub(super) fn is_over(&self) -> bool {
        let uploaded = self.swarm.host.counters.uploaded.load(Ordering::Relaxed);
        let length = self.swarm.torrent.get().map_or(0, |torrent| torrent.queue.info().length);
        self.gives_only() && !self.swarm.host.uploads.stays(uploaded, length)
    }

    /// Waits a little for peers that are downloading from us right now. A peer that loses us in the
    /// middle of a piece has to fetch the rest of it elsewhere.
    pub(super) fn linger(&self, stop: &AtomicBool) {
        let deadline = Instant::now() + LINGER;
        let taking =
            |stats: &PeerStats| stats.last_sent().is_some_and(|sent| sent.elapsed() < TAKING);
        while Instant::now() < deadline && !stop.load(Ordering::SeqCst) {
            if !self.swarm.live().values().any(|live| taking(&live.stats)) {
                return;
            }
            // A sleep, and not a wait for messages: whether a peer is taking shows in its counters.
            // Messages collect in the channel, which has no bound, so no thread waits for us.
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
        // Also for a seed, which never gives up: the sentence about its wait needs the time. A hand
        // is as good as a peer, so it counts as one.
        let has_hand = self.working_hands().next().is_some();
        let live = has_hand || !self.swarm.live().is_empty();
        // Hashes of pieces, without which no block can come, are as good as blocks.
        let prepared: u64 = self.swarm.offers.iter().map(|offer| offer.progress()).sum();
        let moved = counter.load(Ordering::Relaxed).saturating_add(prepared);
        self.patience.look(now, moved, live);
        if gives_only {
            return Ok(());
        }
        if let Some(time) = self.patience.without_block() {
            // `prepare` is used up when the info dictionary comes.
            let what = match (self.prepare.is_none(), self.swarm.info.get()) {
                (true, _) => "no block came",
                (false, Some(_)) => "no peer gave the piece hashes",
                (false, None) => "no peer gave the info dictionary",
            };
            return Err(self.no_hope(format!("{what} for {} s", time.as_secs_f64())));
        }
        // At once, without any patience: nothing is left that time could change. An address that
        // waits for its next try is not hopeless, and neither is a tracker that is away.
        let is_alone = self.is_alone() && !has_hand;
        if is_alone && self.looking().next().is_none() && self.addresses.is_hopeless() {
            return Err(
                self.no_hope("no peer is left, and nobody who could name another".to_owned())
            );
        }
        // Each address has its second chance first, even if that takes longer than our patience.
        if let Some(time) =
            self.patience.without_peer().filter(|_| self.addresses.all_tried_twice())
        {
            return Err(self.no_hope(format!("no peer could be used for {} s", time.as_secs_f64())));
        }
        Ok(())
    }

    /// Returns the error for a download that is given up, with all that may explain it.
    fn no_hope(&self, what: String) -> SwarmError {
        // The queue first, and then the peers: no thread holds both locks.
        let pieces = self.swarm.torrent.get().map(|torrent| {
            let (_, _, done) = torrent.queue.counts();
            (done as u32, torrent.queue.info().piece_count())
        });
        let live = self.swarm.live();
        let flags = live.values().map(|live| (live.stats.address(), live.stats.flags()));
        SwarmError::NoHope {
            what,
            standing: Box::new(self.record.sum_up(pieces, self.addresses.all(), flags)),
        }
    }

    /// Hangs up on all peers, lets the sources say goodbye, and waits a little for both.
    pub(super) fn end(&mut self) {
        // The sources first: a tracker takes longest to answer.
        self.swarm.signals.stop();
        // Before the list is read. A peer's thread adds itself to the list and then checks this
        // flag, so each thread either is in the list or sees the flag.
        self.swarm.host.stopping.store(true, Ordering::SeqCst);
        let hang_ups: Vec<Hangup> =
            self.swarm.live().values().map(|live| Arc::clone(&live.hang_up)).collect();
        hang_ups.iter().for_each(|hang_up| hang_up());
        self.wake_hands();
        let deadline = Instant::now() + END_TIMEOUT;
        // Threads that are still dialing end with the process. The others get a moment.
        while !(self.swarm.live().is_empty() && self.sources.is_empty() && self.hands.is_empty()) {
            match self.messages.1.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                // Only the bytes count now. Why a connection ended is clear: we hung up.
                Ok(SwarmMessage::Ended(number, ..)) => {
                    self.threads.remove(&number);
                    // A statement of its own, which releases the lock at its end. In the condition
                    // of an `if let` it would be held for the whole body.
                    let live = self.swarm.live().remove(&number);
                    if let Some(live) = live {
                        self.outcome.add(live.peer_id, &live.stats);
                    }
                }
                Ok(SwarmMessage::Source(SourceReport::Gone(number))) => {
                    drop(self.sources.remove(&number))
                }
                // A disk that fails only now has nothing to do with how the download ended.
                Ok(SwarmMessage::Hand(report)) => drop(self.hear_hand(report)),
                Ok(_) => {}
                // The time is over. We hold a sender ourselves, so it cannot be anything else.
                Err(_) => break,
            }
        }
        // Blocks of threads that have not ended by now count all the same.
        let late: Vec<(PeerId, Arc<PeerStats>)> =
            self.swarm.live().values().map(|it| (it.peer_id, Arc::clone(&it.stats))).collect();
        late.iter().for_each(|(peer_id, stats)| self.outcome.add(*peer_id, stats));
        self.hands.values().for_each(|hand| self.outcome.add_hand(hand));
    }
}
