//! The events of a running download: how far it is, and what it waits for.
//!
//! Nothing here is told by the peers' threads. They count, and the loop reads the counters ten
//! times a second: at 100 MiB/s, an event for each block would be 6,400 a second, for the same bar
//! on the screen. What a thread *reports* is rare: a piece, a choke, an end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{EVENT_INTERVAL, TorrentLoop};
use crate::s12_session::stats::{PeerFlags, Supply};
use crate::s15_swarm::Event;
use crate::s15_swarm::magnet;
use crate::s15_swarm::waiting::{Hope, Learning, Missing, Snapshot, Waiting, decide};

impl TorrentLoop<'_> {
    /// Sends a progress event, and those that may come with it, unless the last one was a moment
    /// ago. Called in each turn of the loop, and each message that arrives ends a turn early.
    ///
    /// The progress comes last. An observer that draws when it comes has all the rest by then.
    pub(super) fn tell(&mut self, now: Instant) {
        if now.duration_since(self.told) < EVENT_INTERVAL {
            return;
        }
        self.told = now;
        // The counter and not `queue.bytes_left()`: that would take the lock by which all sessions
        // claim their pieces.
        let left = self.swarm.host.counters.left.load(Ordering::Relaxed);
        let length = self.swarm.torrent.get().map(|torrent| torrent.queue.info().length);
        // Without the info dictionary `left` is 1, which means nothing, and nothing is verified.
        let verified = length.map_or(0, |length| length - left);
        let downloaded = self.swarm.host.counters.downloaded.load(Ordering::Relaxed);
        if let Some(torrent) = self.swarm.torrent.get() {
            // The writers that withdraw pieces report nothing. The queue keeps a log of them, and
            // we read on from where we stopped.
            for piece in torrent.queue.withdrawn_since(&mut self.seen_withdrawn) {
                (self.event)(Event::Withdrawn(piece));
            }
        }
        let uploaded = self.swarm.host.counters.uploaded.load(Ordering::Relaxed);
        let peers = self.swarm.live().len();
        let waiting = self.tell_wait(now);
        (self.event)(Event::Progress { verified, downloaded, uploaded, peers, waiting });
    }

    /// Returns what the download waits for, once no block has come for a while. Sends an event if
    /// that is news. The value is for a terminal, where it is redrawn; the event for a log, where
    /// lines stay.
    fn tell_wait(&mut self, now: Instant) -> Option<Waiting> {
        // A download that has just ended waits for nothing. (The last event is sent after that.)
        let silent = if self.is_over() { Duration::ZERO } else { self.patience.silent() };
        // The snapshot is taken only here, in silence. While blocks come, it would cost them time.
        let waiting = self.silence.is_shown(silent).then(|| decide(&self.snapshot(now))).flatten();
        let news = self.silence.is_news(now, silent, waiting.as_ref().map(|waiting| &waiting.why));
        if let Some(waiting) = waiting.as_ref().filter(|_| news) {
            (self.event)(Event::Waiting(waiting.clone()));
        }
        waiting
    }

    /// Returns what is missing before a piece can be requested.
    fn learning(&self) -> Learning {
        match self.swarm.info.get().map(|info| info.lacking()) {
            Some(files @ 1..) => Learning::Hashes { files, liars: self.record.liars() },
            _ => Learning::Info { asked: magnet::asked(&self.swarm) },
        }
    }

    /// Collects what [`decide`] needs. Each lock is taken and released by itself, so the parts may
    /// be a moment apart. At worst the sentence is a tenth of a second old.
    fn snapshot(&self, now: Instant) -> Snapshot {
        // The flags are what the peers' threads have stored last. Reading them waits for no thread,
        // not even for one that hangs in a write to the disk.
        let live = self.swarm.live();
        let flags = || live.values().map(|live| live.stats.flags());
        let mut peers: Vec<Supply> = flags().map(PeerFlags::supply).collect();
        let takers = flags().filter(|flags| flags.peer_interested()).count();
        drop(live);
        // A thread whose connection is not among the live ones has not got that far.
        let dialing = self.threads.len().saturating_sub(peers.len());
        peers.extend(self.working_hands().map(|hand| hand.supply()));
        let torrent = self.swarm.torrent.get();
        // Looking at all pieces is worth it only where it matters which are missing. If we only
        // upload, nothing is missing, whatever is not there.
        let nobody_has_it = peers.iter().all(|peer| *peer == Supply::Nothing)
            && !peers.is_empty()
            && !self.gives_only();
        let missing = torrent.filter(|_| nobody_has_it).map(|torrent| torrent.queue.places());
        let all_tried = self.addresses.all_tried_twice();
        Snapshot {
            now,
            takers,
            learning: torrent.is_none().then(|| self.learning()),
            missing: missing
                .map_or_else(Missing::default, |places| Missing::of(&places.done, places.pieces)),
            // Only asked: nothing is spent.
            rate: self.swarm.host.download_limit.wait_until(now),
            // A seed waits for peers to come, so it is the port that matters.
            gives_at: self.gives_only().then_some(self.swarm.port),
            hope: Hope {
                known: self.addresses.count(), // those given up as well
                dialing,
                dial: self.addresses.next_due(),
                // As `dial` counts: a peer that is being dialed has a place already.
                full: self.threads.len() >= self.limits.max_peers,
                sources: self.looking().map(|source| (source.name.clone(), source.again)).collect(),
                // A seed has patience without end: somebody may come tomorrow.
                gives_up: if self.gives_only() { None } else { self.patience.ends(all_tried) },
            },
            peers,
        }
    }
}
