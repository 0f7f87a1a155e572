//! Who gets one of the places for peers, and who has to leave his.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Conductor;
use crate::s11_swarm::peer::{Ended, start_thread};
use crate::s11_swarm::source::Candidate;
use crate::s11_swarm::traffic::Traffic;

/// How many addresses are dialled at the same time.
const DIALLING: usize = 30;
/// How long a place that is needed is left to a peer to and from which nothing goes.
const USELESS_TIME: Duration = Duration::from_secs(180);
/// And how long to one that has not been of any use yet, if one of us waits to be
/// unchoked, or for the info dictionary...
const WAITING_TIME: Duration = Duration::from_secs(90);
/// ...and if neither wants anything.
const IDLE_TIME: Duration = Duration::from_secs(10);

impl Conductor<'_> {
    /// Fills free places with connections that were made, then with dialled ones.
    pub(super) fn dial(&mut self) {
        let now = Instant::now();
        let live = self.swarm.live().len();
        while self.threads.len() < self.limits.max_peers
            && let Some(connection) = self.met.pop_front()
        {
            self.swarm.signals.met.fetch_sub(1, Ordering::Relaxed);
            let peer = connection.peer;
            self.start(Candidate::Met(Box::new(connection)), peer);
        }
        while self.threads.len() < self.limits.max_peers && self.threads.len() < live + DIALLING {
            let Some(peer) = self.addresses.next(now) else { return };
            if !self.start(Candidate::Dial(peer), peer) {
                self.addresses.put_back(peer);
                return;
            }
        }
        let others_wait = !self.met.is_empty() || self.addresses.next_due().is_some_and(|(due, _)| due <= now);
        if self.threads.len() >= self.limits.max_peers && others_wait {
            self.make_room(now);
        }
    }

    fn start(&mut self, candidate: Candidate, peer: SocketAddr) -> bool {
        let number = self.next_number;
        self.next_number += 1;
        let started = start_thread(&self.swarm, number, candidate, peer);
        if started {
            self.threads.insert(number);
            if !self.gives_only() {
                self.known.insert(number, peer);
            }
        }
        started
    }

    /// All places are taken and others wait: the peer that has been useless longest,
    /// and for too long, goes.
    fn make_room(&self, now: Instant) {
        let learning = self.swarm.torrent.get().is_none();
        // How much longer than it may, each has been useless.
        let over = |traffic: &Traffic| match traffic.last_useful() {
            Some(useful) => now.duration_since(useful).checked_sub(USELESS_TIME),
            None if learning || traffic.terms().is_of_interest() => now.duration_since(traffic.start()).checked_sub(WAITING_TIME),
            None => now.duration_since(traffic.start()).checked_sub(IDLE_TIME),
        };
        let mut live = self.swarm.live();
        let useless = live.values_mut().filter_map(|live| Some((over(&live.traffic)?, live))).max_by_key(|(over, _)| *over);
        let hang_up = useless.map(|(_, live)| {
            live.parted = Some(Ended::MadeRoom);
            Arc::clone(&live.hang_up)
        });
        drop(live);
        if let Some(hang_up) = hang_up {
            hang_up();
        }
    }
}
