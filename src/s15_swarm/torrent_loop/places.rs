//! Filling places, and emptying one when others wait. Stage 14 decides which.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::TorrentLoop;
use crate::s04_handshake::origin::Origin;
use crate::s12_session::stats::PeerStats;
use crate::s14_peer_list::places::{Activity, Aims, Contenders, Member};
use crate::s15_swarm::Live;
use crate::s15_swarm::peer_thread::{Candidate, Ended, start_thread};

/// How many addresses are dialed at the same time.
const DIALING: usize = 30;

impl TorrentLoop<'_> {
    /// Fills free places: with connections that others have made and with addresses to dial.
    pub(super) fn dial(&mut self) {
        let now = Instant::now();
        let live = self.count_live();
        while self.threads.len() < self.limits.max_peers {
            let may_dial = self.threads.len() < live + DIALING && !self.places.is_paused(now);
            let held = self.held();
            let filled = match self.places.lobby_first(&held, self.contenders(&held, now)) {
                true => self.receive() || (may_dial && self.dial_next(now)),
                false => (may_dial && self.dial_next(now)) || self.receive(),
            };
            if !filled {
                return;
            }
        }
        self.make_room(now);
    }

    /// Counts the peers that are connected, and what they have brought for their IPs.
    fn count_live(&mut self) -> usize {
        let live = self.swarm.live();
        for (number, live) in live.iter() {
            let address = self.threads.get(number);
            address
                .into_iter()
                .for_each(|address| self.addresses.brought(*address, live.stats.take_pieces()));
        }
        live.len()
    }

    /// What the next connection and the next address to dial count against.
    fn contenders(&self, held: &[Origin], now: Instant) -> Contenders {
        let named = self.addresses.due(now).map(|address| Origin::of(address.ip()));
        Contenders { waits: self.swarm.lobby.turn(held), named }
    }

    /// Takes in a connection that waits. `false` if there is none, or if the system refuses a
    /// thread: then it waits on.
    fn receive(&mut self) -> bool {
        let Some(connection) = self.swarm.lobby.next(&self.held()) else { return false };
        let peer = connection.peer;
        self.places.note_filled(false);
        if self.addresses.is_banned(peer) {
            return true;
        }
        match self.start(Candidate::Met(Box::new(connection)), peer) {
            Err(Candidate::Met(connection)) => {
                self.swarm.lobby.put_back(*connection);
                false
            }
            _ => true,
        }
    }

    /// Dials an address that is due. `false` if there is none, or if the system refuses
    /// a thread.
    fn dial_next(&mut self, now: Instant) -> bool {
        let Some(peer) = self.addresses.next(now) else { return false };
        self.places.note_filled(true);
        let started = self.start(Candidate::Dial(peer), peer).is_ok();
        if !started {
            self.addresses.put_back(peer, now);
        }
        started
    }

    fn start(&mut self, candidate: Candidate, peer: SocketAddr) -> Result<(), Candidate> {
        let number = self.next_number;
        self.next_number += 1;
        let started = start_thread(&self.swarm, number, candidate, peer);
        if started.is_ok() {
            self.threads.insert(number, peer);
            if !self.gives_only() {
                self.known.insert(number, peer);
            }
        }
        started
    }

    /// What the places count against, one for each.
    fn held(&self) -> Vec<Origin> {
        self.threads.values().map(|peer| Origin::of(peer.ip())).collect()
    }

    /// All that have a place.
    fn members(&self) -> Vec<Member> {
        let live = self.swarm.live();
        let member = |(number, peer): (&u32, &SocketAddr)| {
            let activity = live.get(number).map(|live| activity(&live.stats));
            Member { number: *number, origin: Origin::of(peer.ip()), activity }
        };
        self.threads.iter().map(member).collect()
    }

    /// All places are taken. If others wait, one peer may have to go. One at a time: its place is not
    /// free before its thread has ended.
    fn make_room(&mut self, now: Instant) {
        let aims =
            Aims { learning: self.swarm.torrent.get().is_none(), gives_only: self.gives_only() };
        let others = self.contenders(&self.held(), now);
        let goes = self.places.who_leaves(&self.members(), others, aims, self.limits.retry, now);
        let mut live = self.swarm.live();
        if live.values().any(|live| live.parted.is_some()) {
            return;
        }
        let parts = |live: &mut Live| {
            live.parted = Some(Ended::MadeRoom);
            Arc::clone(&live.hang_up)
        };
        let hang_up = goes.and_then(|(number, _)| live.get_mut(&number)).map(parts);
        drop(live);
        if let Some(hang_up) = hang_up {
            hang_up();
        }
    }
}

fn activity(stats: &PeerStats) -> Activity {
    let flags = stats.flags();
    Activity {
        since: stats.start(),
        last_useful: stats.last_useful(),
        bytes: stats.downloaded() + stats.uploaded(),
        am_interested: flags.am_interested(),
        peer_interested: flags.peer_interested(),
    }
}
