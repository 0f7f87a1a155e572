//! Fills the free places in the crowd's story, and picks the peers that make way. (stage 14)

use std::net::SocketAddr;

use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s14_peer_list::places::{Contenders, Member};
use piecemeal::s14_peer_list::sharing::next_in_turn;

use super::{AIMS, RETRY, Story, TakenPlace, WaitingConnection};
use crate::cli::crowd_moves::{Move, Rival};

impl Story {
    fn held(&self) -> Vec<Origin> {
        self.taken.iter().map(|place| self.origin(place.peer)).collect()
    }

    /// The place in the lobby of the connection whose turn it is, and the address that is due.
    fn contenders(&self) -> (Option<usize>, Option<SocketAddr>) {
        let line: Vec<Origin> =
            self.lobby.iter().map(|waiting| self.origin(waiting.peer)).collect();
        (next_in_turn(&line, self.held()), self.addresses.due(self.now()))
    }

    fn origins(&self, (waits, named): (Option<usize>, Option<SocketAddr>)) -> Contenders {
        let waits = waits.map(|at| self.origin(self.lobby[at].peer));
        Contenders { waits, named: named.map(|address| Origin::of(address.ip())) }
    }

    fn rival(&self, address: SocketAddr) -> Rival {
        let origin = Origin::of(address.ip());
        Rival { address, places: self.held().into_iter().filter(|held| *held == origin).count() }
    }

    /// Fills free places, and makes room until nobody has to go.
    pub fn fill(&mut self) {
        loop {
            while self.taken.len() < self.max_places && self.fill_one() {}
            if self.taken.len() < self.max_places || !self.make_room() {
                return;
            }
        }
    }

    fn fill_one(&mut self) -> bool {
        let (waits, named) = self.contenders();
        let waiting = waits.map(|at| self.rival(self.address(self.lobby[at].peer)));
        let due = named.map(|address| self.rival(address));
        let receives = self.places.lobby_first(&self.held(), self.origins((waits, named)));
        match (receives, waits, named) {
            (true, Some(at), _) => {
                let WaitingConnection { peer, .. } = self.lobby.remove(at);
                self.places.note_filled(false);
                self.say(Move::ComesIn { address: self.rival(self.address(peer)), over: due });
                let at = self.take(peer);
                self.connect(at);
                true
            }
            (false, _, Some(_)) => {
                let Some(address) = self.addresses.next(self.now()) else { return false };
                let Some(peer) = self.crowd.peers.iter().position(|peer| peer.address == address)
                else {
                    return false;
                };
                self.places.note_filled(true);
                self.crowd.peers[peer].tally.dialed += 1;
                let attempt = self.crowd.peers[peer].tally.dialed;
                self.say(Move::Dials { address: self.rival(address), attempt, over: waiting });
                self.take(peer);
                true
            }
            _ => false,
        }
    }

    fn take(&mut self, peer: usize) -> usize {
        self.next_number += 1;
        self.taken.push(TakenPlace {
            number: self.next_number,
            peer,
            connected: None,
            since: self.second,
        });
        self.taken.len() - 1
    }

    /// All places are taken. Returns whether a peer has made way.
    fn make_room(&mut self) -> bool {
        let (waits, named) = self.contenders();
        let member = |place: &TakenPlace| {
            let activity = place.connected.map(|(activity, _)| activity);
            Member { number: place.number, origin: self.origin(place.peer), activity }
        };
        let members: Vec<Member> = self.taken.iter().map(member).collect();
        let contenders = self.origins((waits, named));
        let goes = self.places.who_leaves(&members, contenders, AIMS, RETRY, self.now());
        let Some((number, why)) = goes else { return false };
        let Some(at) = self.taken.iter().position(|place| place.number == number) else {
            return false;
        };
        let waiting = waits.map(|at| self.rival(self.address(self.lobby[at].peer)));
        let goes = self.rival(self.address(self.taken[at].peer));
        let activity = self.taken[at].connected.map(|(activity, _)| activity);
        let idle = activity.map_or(0, |activity| {
            (self.now() - activity.last_useful.unwrap_or(activity.since)).as_secs()
        });
        self.say(Move::MakesWay {
            address: goes,
            why,
            idle,
            waits: waiting,
            named: named.map(|address| self.rival(address)),
        });
        self.end(at);
        true
    }
}
