//! Filling places, and emptying one when others wait. Stage 14 decides which.
//!
//! A *place* is the right to one peer's thread, and there are `max_peers`. A thread takes it when
//! it is started and gives it back when we hear of its end, so a dial counts from its first moment:
//!
//! ```text
//!                       |<------------- a place ------------>|
//!   an address, due --> | dialing, 30 at most --.            |
//!                       |                        >--> live --|--> its thread has ended
//!   the lobby --------> | ----------------------'            |
//! ```
//! Each turn of the loop passes through [`dial`](TorrentLoop::dial). It updates the facts that
//! stage 14 needs, asks it, and carries out what it says. Nothing here waits for a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::TorrentLoop;
use crate::s04_handshake::origin::Origin;
use crate::s12_session::stats::PeerStats;
use crate::s14_peer_list::places::{Activity, Aims, Contenders, Member};
use crate::s15_swarm::ended::Ended;
use crate::s15_swarm::peer_thread::{Candidate, start_thread};
use crate::s15_swarm::summary::Giver;

/// How many addresses are dialed at the same time. Most addresses of a real swarm are dead or
/// behind a router, and dialing one of those takes seconds. One after the other they would take
/// minutes. Many more at once look like a scan to a home router, and may fill its table of
/// connections.
const DIALING: usize = 30;

impl TorrentLoop<'_> {
    /// Fills free places: with connections that others have made and with addresses to dial. If
    /// none is left, a peer may have to make room. Called in each turn of the loop, at least ten
    /// times a second.
    pub(super) fn dial(&mut self) {
        let now = Instant::now();
        let live = self.count_live();
        while self.threads.len() < self.limits.max_peers {
            // The threads that are not live are dialing, or shaking hands.
            let may_dial = self.threads.len() < live + DIALING && !self.places.is_paused(now);
            // Asked again for each place: the one just filled counts against its IP.
            let held = self.held();
            // The other kind is tried if the first cannot be had: an address may be due while
            // dialing is paused.
            let filled = match self.places.lobby_first(&held, self.contenders(&held, now)) {
                true => self.receive() || (may_dial && self.dial_next(now)),
                false => (may_dial && self.dial_next(now)) || self.receive(),
            };
            if !filled {
                return; // a place is free: nobody has to make room
            }
        }
        self.make_room(now);
    }

    /// Returns the number of connected peers. Also notes the pieces that each has completed since
    /// the last turn: they count in favor of its IP (stage 14), and a connection may last for days.
    fn count_live(&mut self) -> usize {
        let live = self.swarm.live();
        for (number, live) in live.iter() {
            if let Some(address) = self.threads.get(number) {
                self.addresses.brought(*address, live.stats.take_pieces());
            }
        }
        live.len()
    }

    /// The origins of the next connection and of the next address to dial. Neither is taken yet.
    fn contenders(&self, held: &[Origin], now: Instant) -> Contenders {
        let named = self.addresses.due(now).map(|address| Origin::of(address.ip()));
        Contenders { waits: self.swarm.lobby.turn(held), named }
    }

    /// Takes in a connection that waits. `false` if there is none, or if the system refuses a
    /// thread: then it waits on.
    fn receive(&mut self) -> bool {
        let Some(connection) = self.swarm.lobby.next(&self.held()) else { return false };
        let peer = connection.peer;
        // Before anything can go wrong: the turn is used up, and an address to dial is next.
        self.places.note_filled(false);
        // Only now, when it would get a place: the ban may be newer than the connection. Dropping
        // it hangs up, and the place is still free for the next.
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
        let name = self.swarm.names.to_dial(self.addresses.hung_up(peer));
        let started = self.start(Candidate::Dial(peer, name), peer).is_ok();
        if !started {
            // Not the address's fault: this was no attempt.
            self.addresses.put_back(peer, now);
        }
        started
    }

    /// Gives a candidate a place and a thread. If the system refuses the thread, returns the
    /// candidate.
    fn start(&mut self, candidate: Candidate, peer: SocketAddr) -> Result<(), Candidate> {
        // Used up even if the thread does not start: a number must never mean two peers.
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let started = start_thread(&self.swarm, number, candidate, peer);
        if started.is_ok() {
            self.threads.insert(number, peer);
            // A peer that only takes from us can spoil nothing, so nothing need be known of it.
            if !self.gives_only() {
                self.known.insert(number, Giver::Peer(peer));
            }
        }
        started
    }

    /// The origin of the peer in each place. From the addresses of the connections, not from what
    /// peers say of themselves.
    fn held(&self) -> Vec<Origin> {
        self.threads.values().map(|peer| Origin::of(peer.ip())).collect()
    }

    /// All that have a place, in any order. One that is dialing has no activity yet, and so cannot
    /// be sent away: about such a peer nothing is known.
    fn members(&self) -> Vec<Member> {
        let live = self.swarm.live();
        let member = |(number, peer): (&u32, &SocketAddr)| {
            let activity = live.get(number).map(|live| activity(&live.stats));
            Member { number: *number, origin: Origin::of(peer.ip()), activity }
        };
        self.threads.iter().map(member).collect()
    }

    /// All places are taken. If others wait, one peer may have to go. One at a time: its place is
    /// not free before its thread has ended, and until then the same question would cost us another
    /// peer in each turn.
    fn make_room(&mut self, now: Instant) {
        let aims =
            Aims { learning: self.swarm.torrent.get().is_none(), gives_only: self.gives_only() };
        let others = self.contenders(&self.held(), now);
        // Asked even if the answer cannot be used below: it counts bytes in turns of `retry`, and
        // must not miss the end of one.
        let goes = self.places.who_leaves(&self.members(), others, aims, self.limits.retry, now);
        let mut live = self.swarm.live();
        // A peer that we have hung up on already is about to leave a place.
        if live.values().any(|live| live.parted.is_some()) {
            return;
        }
        let hang_up = goes.and_then(|(number, why)| {
            let live = live.get_mut(&number)?;
            live.parted = Some(Ended::MadeRoom(why));
            Some(Arc::clone(&live.hang_up))
        });
        // A hang-up is a system call, so the lock is released first.
        drop(live);
        if let Some(hang_up) = hang_up {
            hang_up();
        }
    }
}

/// What stage 14 judges a connection by, read from its counters. Its threads go on counting
/// meanwhile.
fn activity(stats: &PeerStats) -> Activity {
    let flags = stats.flags();
    Activity {
        since: stats.start(),
        last_useful: stats.last_useful(),
        // Both directions: a peer that takes what we give is of use to the swarm, and may trade.
        bytes: stats.downloaded() + stats.uploaded(),
        am_interested: flags.am_interested(),
        peer_interested: flags.peer_interested(),
    }
}
