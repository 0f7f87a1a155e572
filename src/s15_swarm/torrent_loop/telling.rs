//! The events of a running download: how far it is, and what it waits for.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{EVENT_INTERVAL, TorrentLoop};
use crate::s12_session::stats::Supply;
use crate::s15_swarm::Event;
use crate::s15_swarm::magnet;
use crate::s15_swarm::waiting::{Hope, Missing, Snapshot, Waiting, decide};

impl TorrentLoop<'_> {
    pub(super) fn tell(&mut self, now: Instant) {
        if now.duration_since(self.told) < EVENT_INTERVAL {
            return;
        }
        self.told = now;
        let left = self.swarm.host.counters.left.load(Ordering::Relaxed);
        let length = self.swarm.torrent.get().map(|torrent| torrent.queue.info().length);
        let verified = length.map_or(0, |length| length - left);
        let downloaded = self.swarm.host.counters.downloaded.load(Ordering::Relaxed);
        if let Some(torrent) = self.swarm.torrent.get() {
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
    /// that is news.
    fn tell_wait(&mut self, now: Instant) -> Option<Waiting> {
        // A download that has just ended waits for nothing.
        let silent = if self.is_over() { Duration::ZERO } else { self.patience.silent() };
        let waiting = self.silence.is_shown(silent).then(|| decide(&self.snapshot(now))).flatten();
        let news = self.silence.is_news(now, silent, waiting.as_ref().map(|waiting| &waiting.why));
        if let Some(waiting) = waiting.as_ref().filter(|_| news) {
            (self.event)(Event::Waiting(waiting.clone()));
        }
        waiting
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let (peers, wanting): (Vec<Supply>, Vec<bool>) = {
            let live = self.swarm.live();
            live.values()
                .map(|live| live.stats.flags())
                .map(|terms| (terms.supply(), terms.peer_interested()))
                .unzip()
        };
        let torrent = self.swarm.torrent.get();
        // To look at all pieces is worth it only where it matters which are missing.
        let nobody_has_it = peers.iter().all(|peer| *peer == Supply::Nothing)
            && !peers.is_empty()
            && !self.gives_only();
        let missing = torrent.filter(|_| nobody_has_it).map(|torrent| torrent.queue.places());
        let all_tried = self.addresses.all_tried_twice();
        Snapshot {
            now,
            takers: wanting.iter().filter(|wants| **wants).count(),
            learning: torrent.is_none().then(|| magnet::asked(&self.swarm)),
            missing: missing
                .map_or_else(Missing::default, |places| Missing::of(&places.done, places.pieces)),
            rate: self.swarm.host.download_limit.wait_until(now),
            gives_at: self.gives_only().then_some(self.swarm.port),
            hope: Hope {
                known: self.addresses.count(),
                dialing: self.threads.len().saturating_sub(peers.len()),
                dial: self.addresses.next_due(),
                full: self.threads.len() >= self.limits.max_peers,
                sources: self.looking().map(|source| (source.name.clone(), source.again)).collect(),
                gives_up: if self.gives_only() { None } else { self.patience.ends(all_tried) },
            },
            peers,
        }
    }
}
