//! Super-seeding (BEP 16): a seed that shows each peer one piece at a time.
//!
//! An ordinary seed gives some pieces twice before it has given each once. A super seed seems to
//! have nothing, and tells each peer of one piece only: the one that it has shown least. When
//! another peer is seen to have that piece, the first has passed it on, and is shown another. When
//! all pieces have been seen elsewhere, it is a seed like any other.

use super::peer::{NONE, Peer, Shown};
use super::swarm::Swarm;
use crate::s05_messages::bitfield::{Bitfield, PeerPieces};

impl Shown {
    /// Begins with none of this many pieces shown.
    pub fn new(pieces: u32) -> Shown {
        Shown {
            to: Vec::new(),
            last: Vec::new(),
            times: vec![0; pieces as usize],
            seen: Bitfield::new(pieces),
        }
    }

    /// Forgets what was shown over a connection of this number before.
    fn begin(&mut self, link: u32, pieces: u32) {
        let number = link as usize;
        if self.to.len() <= number {
            self.to.resize(number + 1, PeerPieces::Some(Bitfield::new(0)));
            self.last.resize(number + 1, NONE);
        }
        self.to[number] = PeerPieces::Some(Bitfield::new(pieces));
        self.last[number] = NONE;
    }
}

impl Swarm<'_> {
    /// A super seed meets a peer, and shows it a first piece.
    pub(super) fn first_show(&mut self, giver: u32, link: u32) {
        let pieces = self.setup.pieces;
        let taker = self.peer(giver).links.get(link).to;
        let theirs = match &self.pieces[taker as usize] {
            PeerPieces::All => Bitfield::full(pieces),
            PeerPieces::Some(have) => have.clone(),
        };
        let Some(shown) = &mut self.peer_mut(giver).extras.shown else { return };
        shown.begin(link, pieces);
        for piece in theirs.iter() {
            shown.seen.set(piece, true);
        }
        self.pick(giver, link);
    }

    /// Chooses the piece that a peer is shown next, and notes it as shown.
    fn pick(&mut self, giver: u32, link: u32) -> Option<u32> {
        let taker = self.peer(giver).links.get(link).to;
        let theirs = &self.pieces[taker as usize];
        let dice = &mut self.dice;
        let shown = self.peers[giver as usize].extras.shown.as_mut()?;
        let number = link as usize;
        let fits = |piece: &u32| !theirs.has(*piece) && !shown.to[number].has(*piece);
        let candidates: Vec<u32> = (0..shown.times.len() as u32).filter(fits).collect();
        let least = candidates.iter().map(|piece| shown.times[*piece as usize]).min()?;
        let rare: Vec<u32> =
            candidates.into_iter().filter(|piece| shown.times[*piece as usize] == least).collect();
        let piece = rare[dice.below(rare.len())];
        shown.times[piece as usize] += 1;
        shown.last[number] = piece;
        if let PeerPieces::Some(to) = &mut shown.to[number] {
            to.set(piece, true);
        }
        Some(piece)
    }

    /// A super seed sees that a peer has a piece.
    pub(super) fn saw(&mut self, giver: u32, from: u32, piece: u32, is_complete: bool) {
        let Some(shown) = &mut self.peer_mut(giver).extras.shown else { return };
        shown.seen.set(piece, true);
        if is_complete || shown.seen.is_full() {
            return self.show_all(giver);
        }
        // Whoever was shown this piece last, and is not the one that has it now, has passed it on.
        let last = shown.last.iter().enumerate();
        let passed_on: Vec<u32> = last
            .filter(|(link, last)| **last == piece && *link != from as usize)
            .map(|(link, _)| link as u32)
            .collect();
        for link in passed_on {
            if self.peer(giver).links.get(link).is_here() {
                self.show_another(giver, link);
            }
        }
    }

    fn show_another(&mut self, giver: u32, link: u32) {
        let Some(piece) = self.pick(giver, link) else { return };
        let our = self.peer(giver).links.get(link);
        let (taker, back) = (our.to, our.back);
        let Peer { board, links, .. } = self.peer_mut(taker);
        let theirs = links.get_mut(back);
        if theirs.flags.counted {
            board.count(piece, true);
        }
        theirs.wanted += 1;
        self.review(giver, link);
        self.again.push_back((taker, back));
    }

    /// From now on it is a seed like any other.
    fn show_all(&mut self, giver: u32) {
        let links: Vec<(u32, u32, u32)> = {
            let links = self.peer(giver).links.iter();
            links.map(|(number, link)| (number, link.to, link.back)).collect()
        };
        let Some(shown) = self.peer_mut(giver).extras.shown.take() else { return };
        for (number, taker, back) in links {
            let other = self.peer_mut(taker);
            if other.links.get(back).flags.counted && other.done.is_none() {
                other.board.count_out(&shown.to[number as usize]);
            }
            self.introduce(giver, number, taker);
            self.again.push_back((taker, back));
        }
    }
}
