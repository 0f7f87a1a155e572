//! How peers meet and part: the tracker, dialing, and what two peers know of each other at first.

use super::clock::{Event, micros};
use super::peer::{Flags, Link, NONE, Peer};
use super::swarm::Swarm;
use crate::s05_messages::bitfield::{Bitfield, PeerPieces};

/// Seconds until a peer with too few connections asks the tracker again.
const HUNGRY: f64 = 30.0;

/// A seed's pieces: to say "all" is cheaper than to have a bit for each.
static ALL: PeerPieces = PeerPieces::All;

impl Swarm<'_> {
    /// A peer asks the tracker for names, and dials. Seeds do so too: otherwise the peers that knew
    /// a seed would leave when they are done, and those that did not know it would wait forever.
    pub(super) fn announce(&mut self, peer: u32) {
        if !self.peer(peer).here || self.peer(peer).announces > self.clock.now() {
            return;
        }
        let meeting = self.setup.meeting;
        let wanted = self.class(peer).view.unwrap_or(meeting.dials);
        let names = meeting.names.max(self.class(peer).view.unwrap_or(0));
        if self.peer(peer).links.count() < wanted {
            for position in self.dice.choose(self.listed.len(), names) {
                if self.peer(peer).links.count() >= wanted {
                    break;
                }
                self.dial(peer, self.listed[position]);
            }
        }
        self.announce_again(peer, meeting.interval);
        self.hurry(peer);
    }

    /// A peer that has too few connections asks again soon, as the client does.
    fn hurry(&mut self, peer: u32) {
        let wanted = self.class(peer).view.unwrap_or(self.setup.meeting.dials);
        let count = self.peer(peer).links.count();
        let others = self.listed.len() - 1;
        if self.peer(peer).here && count < wanted && count < others {
            self.announce_again(peer, HUNGRY);
        }
    }

    /// Sets the time of a peer's next announce, unless there is one sooner.
    fn announce_again(&mut self, peer: u32, pause: f64) {
        // Not all at the same moment, although a flash crowd has begun so.
        let pause = micros(pause * (0.9 + 0.2 * self.dice.unit()));
        let now = self.clock.now();
        let next = &mut self.peer_mut(peer).announces;
        if *next <= now || *next > now + pause {
            *next = now + pause;
            self.clock.after(pause, Event::Announce { peer });
        }
    }

    /// Connects two peers if the other has room, and if they have a use for each other.
    fn dial(&mut self, peer: u32, other: u32) {
        let room = self.peer(other).links.count() < self.most(other);
        let both_done = self.peer(peer).done.is_some() && self.peer(other).done.is_some();
        let known = || self.peer(peer).links.iter().any(|(_, link)| link.to == other);
        if peer != other && room && !both_done && !known() {
            self.connect(peer, other);
        }
    }

    /// The most connections that a peer has.
    fn most(&self, peer: u32) -> usize {
        self.setup.meeting.most.max(self.class(peer).view.unwrap_or(0))
    }

    fn connect(&mut self, one: u32, other: u32) {
        self.books.connected();
        let (at_one, at_other) = (self.peer(one).links.next(), self.peer(other).links.next());
        self.add_link(one, other, at_other);
        self.add_link(other, one, at_one);
        for (giver, at_giver, taker) in [(one, at_one, other), (other, at_other, one)] {
            self.first_show(giver, at_giver);
            self.introduce(giver, at_giver, taker);
        }
    }

    fn add_link(&mut self, peer: u32, to: u32, back: u32) {
        let now = self.clock.now();
        let Peer { links, extras, .. } = self.peer_mut(peer);
        if let Some(weight) = extras.weights.get_mut(links.next() as usize) {
            *weight = 1.0;
        }
        links.add(Link {
            to,
            back,
            loan: NONE,
            suggested: NONE,
            wanted: 0,
            rate: 0.0,
            came: 0.0,
            went: 0.0,
            since: now,
            heard: now,
            flags: Flags::default(),
        });
    }

    /// The taker hears which pieces the giver has, for the first time.
    pub(super) fn introduce(&mut self, giver: u32, at_giver: u32, taker: u32) {
        let at_taker = self.peer(giver).links.get(at_giver).back;
        let partial = match self.offers(giver, at_giver) {
            PeerPieces::All => None,
            // A copy: the taker's board is changed while it is read.
            PeerPieces::Some(pieces) => Some(pieces.clone()),
        };
        let has_all = partial.is_none();
        let theirs = &self.pieces[taker as usize];
        let wanted = match (&partial, theirs) {
            (_, PeerPieces::All) => 0,
            (None, PeerPieces::Some(have)) => self.setup.pieces - have.count(),
            (Some(pieces), PeerPieces::Some(have)) => missing(pieces, have),
        };
        let peer = self.peer_mut(taker);
        // A seed changes nothing in the order of rarity, and is not counted, as in the client.
        if let Some(pieces) = partial.filter(|_| peer.done.is_none()) {
            peer.board.count_in(&PeerPieces::Some(pieces));
        }
        let link = peer.links.get_mut(at_taker);
        link.flags.counted = !has_all;
        let before = std::mem::replace(&mut link.wanted, wanted);
        if (before > 0) != (wanted > 0) {
            self.review(giver, at_giver);
        }
    }

    /// Ends a connection, at both ends.
    pub(super) fn disconnect(&mut self, peer: u32, link: u32) {
        let (other, back) = {
            let link = self.peer(peer).links.get(link);
            (link.to, link.back)
        };
        // What is being fetched goes back first, while both ends still know of it.
        for (taker, link) in [(peer, link), (other, back)] {
            self.put_back(taker, link);
            self.stop_flow(taker, link);
        }
        for (one, its, giver, theirs) in [(peer, link, other, back), (other, back, peer, link)] {
            if self.peer(one).links.get(its).flags.counted && self.peer(one).done.is_none() {
                self.count_out(one, giver, theirs);
            }
        }
        self.books.disconnected();
        for (one, its) in [(peer, link), (other, back)] {
            let one = self.peer_mut(one);
            one.slots.leave(&its);
            one.links.remove(its);
        }
        for one in [peer, other] {
            self.fill(one);
            self.hurry(one);
        }
    }

    /// A peer stops counting what another has, or what it was shown.
    fn count_out(&mut self, peer: u32, giver: u32, at_giver: u32) {
        let shown = self.peer(giver).extras.shown.as_ref();
        let shown = shown.and_then(|shown| shown.to.get(at_giver as usize)).cloned();
        let pieces = shown.as_ref().unwrap_or(&self.pieces[giver as usize]);
        match pieces {
            // It became complete while we counted its pieces one by one.
            PeerPieces::All => {
                let all = PeerPieces::Some(Bitfield::full(self.setup.pieces));
                self.peers[peer as usize].board.count_out(&all);
            }
            some => self.peers[peer as usize].board.count_out(some),
        }
    }

    /// What a giver offers over one of its connections.
    pub(super) fn offers(&self, giver: u32, at_giver: u32) -> &PeerPieces {
        let peer = self.peer(giver);
        match &peer.extras.shown {
            Some(shown) => shown.to.get(at_giver as usize).unwrap_or(&ALL),
            None if peer.done.is_some() => &ALL,
            None => &self.pieces[giver as usize],
        }
    }
}

/// Returns the number of pieces in the first set that are not in the second.
fn missing(pieces: &Bitfield, have: &Bitfield) -> u32 {
    let words = pieces.words().iter().zip(have.words());
    words.map(|(theirs, ours)| (theirs & !ours).count_ones()).sum()
}
