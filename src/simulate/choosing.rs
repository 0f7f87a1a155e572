//! Which piece a peer fetches next, and what the others hear of it.

use super::flows::BLOCK;
use super::peer::{NONE, Peer};
use super::setup::PieceRule;
use super::strategy::PieceQuestion;
use super::swarm::Swarm;
use crate::s05_messages::bitfield::{Bitfield, PeerPieces};
use crate::s11_work_queue::board::{Asker, Lent};
use std::time::Duration;

impl Swarm<'_> {
    /// Returns what a peer fetches next over a connection: a waiting piece, or else a seat at one
    /// that others are giving.
    pub(super) fn choose(&mut self, taker: u32, link: u32) -> Option<Lent<u32>> {
        if self.peer(taker).board.is_all_lent() {
            return if self.setup.end_game { self.join(taker, link) } else { None };
        }
        let piece = self.choose_waiting(taker, link)?;
        let (now, instant) = (self.clock.now(), self.instant());
        let length = f64::from(self.setup.piece_length);
        let giver = self.peer(taker).links.get(link).to;
        let Peer { board, loans, .. } = self.peer_mut(taker);
        // The piece is chosen, so the board need not know which others the giver has.
        let all = PeerPieces::All;
        let asker = Asker { who: giver.into(), pieces: &all, block_time: None, tried: None };
        let lent = board.lend(&asker, piece, instant, |_| loans.begin(piece, length, now));
        if board.is_all_lent() {
            // Nothing waits anymore: those that found nothing may help now.
            self.try_idle(taker);
        }
        Some(lent)
    }

    fn choose_waiting(&mut self, taker: u32, link: u32) -> Option<u32> {
        let our = self.peer(taker).links.get(link);
        let (giver, back) = (our.to, our.back);
        if let Some(piece) = self.ask_for_a_piece(taker, giver, back) {
            return Some(piece);
        }
        let instant = self.instant();
        let rule = self.class(taker).piece_rule;
        let our = self.peer_mut(taker).links.get_mut(link);
        let suggested = std::mem::replace(&mut our.suggested, NONE);
        // The same as `self.offers`, but field by field: the dice are borrowed as well.
        let full = PeerPieces::All;
        let shown = self.peers[giver as usize].extras.shown.as_ref();
        let offers = match shown.and_then(|shown| shown.to.get(back as usize)) {
            Some(shown) => shown,
            None if self.peers[giver as usize].done.is_some() => &full,
            None => &self.pieces[giver as usize],
        };
        let Peer { board, loans, .. } = &self.peers[taker as usize];
        let dice = &mut self.dice;
        if rule == PieceRule::RarestFirst {
            let asker = Asker { who: giver.into(), pieces: offers, block_time: None, tried: None };
            if board.may_lend(&asker, suggested, instant) {
                return Some(suggested);
            }
            let draw = &mut |below| dice.below(below);
            return (0..board.turns()).find_map(|turn| board.find(&asker, turn, instant, draw));
        }
        // First the pieces that were begun: half a piece is useless, whatever the rule.
        let begun = loans.begun.iter().map(|loan| loans.get(*loan).piece);
        let begun = begun.filter(|piece| offers.has(*piece)).min();
        begun.or_else(|| match rule {
            PieceRule::InOrder => both(board.waiting(), offers, 0),
            _ => {
                let count = count_both(board.waiting(), offers) as usize;
                if count == 0 { None } else { both(board.waiting(), offers, dice.below(count)) }
            }
        })
    }

    /// Asks a peer's strategy, if it chooses pieces. An answer that cannot be used is counted.
    fn ask_for_a_piece(&mut self, taker: u32, giver: u32, back: u32) -> Option<u32> {
        let asks = |peer: &Peer| peer.extras.strategy.as_ref().is_some_and(|s| s.chooses_pieces());
        if !asks(self.peer(taker)) {
            return None;
        }
        let offers = self.offers(giver, back);
        let board = &self.peer(taker).board;
        let offers: Vec<u32> = board.waiting().iter().filter(|piece| offers.has(*piece)).collect();
        if offers.is_empty() {
            return None;
        }
        let holds = |piece: &u32| {
            let neighbors = self.peer(taker).links.iter();
            neighbors.filter(|(_, link)| self.offers(link.to, link.back).has(*piece)).count() as u16
        };
        let copies = offers.iter().map(holds).collect();
        let question = PieceQuestion { peer: taker, from: giver, offers, copies };
        let strategy = self.peers[taker as usize].extras.strategy.as_mut()?;
        let answer = strategy.piece(&question)?;
        let is_offered = question.offers.contains(&answer);
        self.books.fallbacks += u64::from(!is_offered);
        is_offered.then_some(answer)
    }

    /// The end game: a seat at a piece that others are giving.
    fn join(&mut self, taker: u32, link: u32) -> Option<Lent<u32>> {
        let instant = self.instant();
        // What has come so far is counted first: a seat is taken from a slower peer.
        let loans: Vec<u32> = self.peer(taker).loans.active().collect();
        for loan in loans {
            self.settle(taker, loan);
        }
        let our = self.peer(taker).links.get(link);
        let (giver, back) = (our.to, our.back);
        let known = (our.came > 0.0 && our.rate > 0.0).then_some(BLOCK / our.rate);
        let block_time = known.and_then(|time| Duration::try_from_secs_f64(time).ok());
        let shown = self.peer(giver).extras.shown.is_some();
        // A copy only where it is small: what a super seed shows lies with the peers.
        let copy = shown.then(|| self.offers(giver, back).clone());
        let full = PeerPieces::All;
        let pieces = match &copy {
            Some(copy) => copy,
            None if self.peer(giver).done.is_some() => &full,
            None => &self.pieces[giver as usize],
        };
        let asker = Asker { who: giver.into(), pieces, block_time, tried: None };
        self.peers[taker as usize].board.join_loan(&asker, instant)
    }

    /// Tells a peer's neighbors that it has another piece. Interest begins and ends.
    pub(super) fn tell(&mut self, peer: u32, piece: u32) {
        let PeerPieces::Some(have) = &mut self.pieces[peer as usize] else { return };
        have.set(piece, true);
        let is_complete = have.is_full();
        if self.books.copied(piece) {
            // What the seeds have given by now, to the last byte.
            self.settle_everything();
            self.books.whole_copy(self.clock.now());
        }
        let super_seeds = self.setup.classes.iter().any(|class| class.super_seed);
        for link in 0..self.peer(peer).links.end() {
            let our = self.peer(peer).links.get(link);
            if !our.is_here() {
                continue;
            }
            let (other, back) = (our.to, our.back);
            if super_seeds && self.peer(other).extras.shown.is_some() {
                self.tell_super_seed(peer, link, piece, is_complete);
                continue;
            }
            if self.pieces[other as usize].has(piece) {
                self.wants_one_less(peer, link);
            } else {
                self.hear(other, back, piece);
            }
        }
        if is_complete {
            self.complete(peer);
        }
    }

    /// A super seed may not have shown the piece to this peer; it sees where it is now.
    fn tell_super_seed(&mut self, peer: u32, link: u32, piece: u32, is_complete: bool) {
        let our = self.peer(peer).links.get(link);
        let (other, back) = (our.to, our.back);
        if self.offers(other, back).has(piece) {
            self.wants_one_less(peer, link);
        }
        self.saw(other, back, piece, is_complete);
    }

    /// A peer has got something that another could have given.
    fn wants_one_less(&mut self, peer: u32, link: u32) {
        let our = self.peer_mut(peer).links.get_mut(link);
        our.wanted -= 1;
        if our.wanted == 0 {
            let (other, back) = (our.to, our.back);
            self.review(other, back);
        }
    }

    /// A peer hears that another has a piece that it lacks. Of a piece that it has, it need not
    /// count the copies: that piece never waits again.
    fn hear(&mut self, peer: u32, link: u32, piece: u32) {
        let Peer { board, links, .. } = self.peer_mut(peer);
        let our = links.get_mut(link);
        if our.flags.counted {
            board.count(piece, true);
        }
        our.wanted += 1;
        let (first, idle, giver, back) = (our.wanted == 1, our.loan == NONE, our.to, our.back);
        if first {
            self.review(giver, back);
        }
        if idle && self.peer(giver).links.get(back).flags.unchoked {
            self.again.push_back((peer, link));
        }
    }
}

/// Returns the piece at this position among those that are in both sets, from the first on.
fn both(waiting: &Bitfield, offers: &PeerPieces, position: usize) -> Option<u32> {
    let mut left = position as u32;
    for (number, word) in (0..).zip(both_words(waiting, offers)) {
        let mut word = word;
        if word.count_ones() <= left {
            left -= word.count_ones();
            continue;
        }
        // The first piece is the highest bit.
        for _ in 0..left {
            word &= !(1 << (63 - word.leading_zeros()));
        }
        return Some(number * 64 + word.leading_zeros());
    }
    None
}

fn count_both(waiting: &Bitfield, offers: &PeerPieces) -> u32 {
    both_words(waiting, offers).map(u64::count_ones).sum()
}

/// The words of both sets, bit for bit.
fn both_words<'b>(waiting: &'b Bitfield, offers: &'b PeerPieces) -> impl Iterator<Item = u64> + 'b {
    let theirs: &[u64] = match offers {
        PeerPieces::All => &[],
        PeerPieces::Some(pieces) => pieces.words(),
    };
    let all = matches!(offers, PeerPieces::All);
    waiting.words().iter().enumerate().map(move |(at, word)| {
        if all { *word } else { word & theirs.get(at).copied().unwrap_or(0) }
    })
}
