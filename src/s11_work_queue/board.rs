//! The decisions: where every wanted piece is, and which peer gets which.
//!
//! A board knows no lock, thread, socket or file. It is told the time and handed the dice, so a
//! test can play a whole download in a loop, and the same numbers give the same download. The
//! work queue is a board behind a lock.
//!
//! What a peer gets when it asks, in this order:
//!
//! | while | it gets |
//! |---|---|
//! | a begun piece waits | that one: half a piece is useless |
//! | pieces wait | the rarest of those that it has, a random one among equals |
//! | none waits, and it is idle | a seat at a piece that others are fetching: the end game |
//!
//! Two kinds of peers get less. A *suspect* works alone and starts pieces afresh. An unproved peer
//! is kept from pieces whose hash was wrong, for a while ([`trust`]).
//!
//! [`trust`]: super::trust

mod end_game;
pub mod explained;
mod search;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::PeerNumber;
use super::evidence::{Evidence, MAX_BLOCKS};
use super::rarest::Waiting;
use super::seats::{Holders, Seat};
use super::trust::{Contributor, Trust, Verdict};
use crate::s05_messages::bitfield::{Bitfield, PeerPieces};

/// Where every wanted piece is. `P` is the progress that the holders of a piece share; the board
/// hands it on and never looks into it, so a test can use `()`.
///
/// | what happens | from | to | the progress |
/// |---|---|---|---|
/// | [`Board::lend`] | waiting | on loan | goes on, or is replaced by an empty one |
/// | `join_loan` | on loan | on loan | is shared with one more peer |
/// | [`Board::give_back`], the last holder | on loan | waiting | stays, if any was made |
/// | [`Board::spoil`] | on loan | waiting | is discarded; fingerprints stay |
/// | [`Board::done_with`] | on loan | done | is discarded: the hash is right |
///
/// The maps are sorted: the order of a `HashMap` differs from run to run, so the same dice would
/// not give the same download. They are small, since they hold only pieces that are in progress.
pub struct Board<P> {
    waiting: Waiting,
    on_loan: BTreeMap<u32, Loan<P>>,
    done: Bitfield,
    /// Progress of waiting pieces that were begun.
    begun: BTreeMap<u32, Begun<P>>,
    /// Pieces whose hash was wrong, and when; while one is held back, the time when that ends. The
    /// next peer gets such a piece alone, without the work of others, so that it is clear which
    /// peer is to blame.
    spoilt: BTreeMap<u32, Instant>,
    /// The number of peers that can be asked which block of a piece is wrong.
    witnesses: usize,
    /// Fingerprints of blocks that were fetched in vain, for pieces that are not right yet.
    evidence: BTreeMap<u32, Vec<Evidence>>,
    trust: Trust,
    /// Peers found to have lied since [`Board::take_exposed`] was last called.
    exposed: Vec<(u32, PeerNumber)>,
    /// Goes up whenever a piece comes back, so that a peer that found nothing need not search
    /// again until then.
    generation: u64,
}

/// A piece on loan.
struct Loan<P> {
    progress: P,
    /// At least one. When the last one leaves, the loan ends.
    holders: Holders,
    /// No other peer may join, so that only one can be to blame.
    alone: bool,
    /// Earlier progress, not continued because its maker worked alone or this peer does. It waits
    /// again if this loan brings nothing.
    replaced: Option<Begun<P>>,
}

/// The progress of a piece that waits.
struct Begun<P> {
    progress: P,
    /// The peer that made this progress alone. No other peer goes on with it, unless the owner is
    /// cleared. It is kept even if the owner leaves: its fingerprints may show that the owner lied.
    /// `None`: any peer that does not work alone may go on.
    owner: Option<PeerNumber>,
}

/// A peer ready to fetch.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'p> {
    /// The peer and its address.
    pub who: Contributor,
    /// The pieces the peer has.
    pub pieces: &'p PeerPieces,
    /// The time the peer takes for a block, if that is known.
    pub block_time: Option<Duration>,
    /// When the peer last took another's seat in the end game.
    pub tried: Option<Instant>,
}

/// A piece that a peer is to fetch.
pub struct Lent<P> {
    /// The piece.
    pub piece: u32,
    /// The progress that its holders share.
    pub progress: P,
    /// The peer's own seat at the piece.
    pub seat: Arc<Seat>,
    /// The reason for this piece.
    pub why: Why,
}

/// Why a peer got a piece, and not another one. If several reasons apply to a waiting piece,
/// `Suspect` comes first, then `Spoilt`, and then `Begun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was begun, and given back.
    Begun,
    /// This many peers have it, seeds not counted; usually the fewest.
    Rarest(u16),
    /// Its hash was wrong. This peer fetches all of it, alone.
    Spoilt,
    /// The peer is a suspect, and works alone.
    Suspect,
    /// The end game: others are fetching it, and nothing waits.
    EndGame {
        /// The peer took the seat of a slower one.
        takes_over: bool,
    },
}

impl<P: Clone> Board<P> {
    /// Makes a board on which every wanted piece waits, except those in `have`. A piece that is in
    /// neither set is nowhere on it, and stays so.
    pub fn new(pieces: u32, have: &Bitfield, wanted: &Bitfield) -> Board<P> {
        Board {
            waiting: Waiting::new(pieces, |piece| wanted.has(piece) && !have.has(piece)),
            on_loan: BTreeMap::new(),
            done: have.clone(),
            begun: BTreeMap::new(),
            spoilt: BTreeMap::new(),
            witnesses: 0,
            evidence: BTreeMap::new(),
            trust: Trust::default(),
            exposed: Vec::new(),
            generation: 0,
        }
    }

    /// The numbers of pieces that are waiting, on loan and done.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.waiting.len(), self.on_loan.len(), self.done.count() as usize)
    }

    /// The pieces that wait.
    pub fn waiting(&self) -> &Bitfield {
        self.waiting.pieces()
    }

    /// The pieces that are done.
    pub fn done(&self) -> &Bitfield {
        &self.done
    }

    /// The pieces on loan, in order, each with the peers that fetch it.
    pub fn loans(&self) -> impl Iterator<Item = (u32, Vec<PeerNumber>)> + '_ {
        self.on_loan.iter().map(|(piece, loan)| (*piece, loan.holders.peers()))
    }

    /// The pieces whose hash was wrong, and which are not right yet.
    pub fn spoilt(&self) -> impl Iterator<Item = u32> + '_ {
        self.spoilt.keys().copied()
    }

    /// Goes up whenever a piece comes back.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether no piece waits.
    pub fn is_all_lent(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a peer.
    pub fn join(&mut self, who: Contributor, now: Instant) {
        self.trust.join(who, now);
    }

    /// Removes a peer that had these pieces. Its loans are not touched: each of its leases gives
    /// itself back.
    pub fn leave(&mut self, who: Contributor, pieces: &PeerPieces) {
        self.count_out(pieces);
        self.trust.leave(who);
    }

    /// Counts the pieces a peer has: they are less rare now. A seed changes nothing in their
    /// order, and is not counted.
    pub fn count_in(&mut self, pieces: &PeerPieces) {
        if let PeerPieces::Some(pieces) = pieces {
            pieces.iter().for_each(|piece| self.waiting.count_up(piece));
        }
    }

    /// Stops counting pieces that a peer no longer has.
    pub fn count_out(&mut self, pieces: &PeerPieces) {
        if let PeerPieces::Some(pieces) = pieces {
            pieces.iter().for_each(|piece| self.waiting.count_down(piece));
        }
    }

    /// Counts one more peer that has this piece, or one fewer.
    pub fn count(&mut self, piece: u32, has: bool) {
        if has { self.waiting.count_up(piece) } else { self.waiting.count_down(piece) }
    }

    /// Sets whether a peer has a piece we lack.
    pub fn set_useful(&mut self, who: Contributor, useful: bool) {
        self.trust.set_useful(who.peer, useful);
    }

    /// Notes that a peer asks for a piece, while some wait. If it leaves a spoilt one, that is no
    /// longer kept for it.
    pub fn asks(&mut self, who: Contributor, now: Instant) {
        self.trust.asks(who.peer, now);
    }

    /// Lends a waiting piece. The peer goes on with earlier progress if it may. If the piece is
    /// fetched from the start, `fresh` makes its progress, given the progress it replaces, if any.
    pub fn lend(
        &mut self,
        asker: &Asker,
        piece: u32,
        now: Instant,
        fresh: impl FnOnce(Option<&P>) -> P,
    ) -> Lent<P> {
        // Suspicion first: it decides whether the peer works alone, whatever the piece is.
        let why = if self.trust.is_suspect(asker.who.peer) {
            Why::Suspect
        } else if self.spoilt.contains_key(&piece) {
            Why::Spoilt
        } else if self.begun.get(&piece).is_some_and(|begun| begun.owner.is_none()) {
            Why::Begun
        } else {
            Why::Rarest(self.waiting.holders(piece))
        };
        self.waiting.remove(piece);
        let alone = matches!(why, Why::Suspect | Why::Spoilt);
        // A lone peer continues only its own progress, and nobody else continues that.
        let owner = alone.then_some(asker.who.peer);
        let (progress, replaced) = match self.begun.remove(&piece) {
            Some(begun) if begun.owner == owner => (begun.progress, None),
            others => (fresh(others.as_ref().map(|begun| &begun.progress)), others),
        };
        let mut holders = Holders::default();
        let seat = holders.sit(asker.who.peer, false, now);
        self.on_loan.insert(piece, Loan { progress: progress.clone(), holders, alone, replaced });
        Lent { piece, progress, seat, why }
    }

    /// Keeps evidence on a piece until the piece is right, if there is room. Beyond the limit the
    /// new evidence is dropped, not the old: otherwise liars could push out what convicts them.
    pub fn keep_evidence(&mut self, piece: u32, evidence: Evidence) {
        let kept: usize = self.evidence.values().flatten().map(Evidence::len).sum();
        if kept + evidence.len() <= MAX_BLOCKS && !self.done.has(piece) {
            self.evidence.entry(piece).or_default().push(evidence);
        }
    }

    /// Returns the evidence about a piece, to be compared with it now that it is right.
    pub fn take_evidence(&mut self, piece: u32) -> Vec<Evidence> {
        self.evidence.remove(&piece).unwrap_or_default()
    }

    /// Records which peers lied about a piece, and which did not.
    pub fn judge(&mut self, piece: u32, verdict: &Verdict) {
        self.trust.judged(verdict);
        verdict.cleared.iter().for_each(|who| self.share_work_of(who.peer));
        self.exposed.extend(verdict.liars.iter().map(|who| (piece, who.peer)));
    }

    /// Returns the peers found to be liars since the last call, each with the piece.
    pub fn take_exposed(&mut self) -> Vec<(u32, PeerNumber)> {
        std::mem::take(&mut self.exposed)
    }

    /// Marks a piece as done; returns whether it was missing until now. `by` are the peers that
    /// brought a block of it. Other holders keep their leases, which can no longer write, until
    /// they hear of it.
    pub fn done_with(&mut self, piece: u32, by: &[Contributor]) -> bool {
        self.on_loan.remove(&piece);
        self.spoilt.remove(&piece);
        self.evidence.remove(&piece);
        if let Some(cleared) = self.trust.right(by) {
            self.share_work_of(cleared);
        }
        self.done.set(piece, true)
    }

    /// Lets all peers go on with what a peer has made alone, and join its loans: it is no suspect
    /// anymore, and its blocks need not be fetched again. A spoilt piece is excepted. It stays with
    /// one peer, whatever else that peer has brought.
    fn share_work_of(&mut self, peer: PeerNumber) {
        let is_spoilt = |piece: &u32| self.spoilt.contains_key(piece);
        for (_, loan) in self.on_loan.iter_mut().filter(|(piece, _)| !is_spoilt(piece)) {
            loan.alone &= !loan.holders.has(peer);
            if let Some(begun) = loan.replaced.as_mut().filter(|begun| begun.owner == Some(peer)) {
                begun.owner = None;
            }
        }
        for (piece, begun) in self.begun.iter_mut().filter(|(piece, _)| !is_spoilt(piece)) {
            if begun.owner == Some(peer) {
                begun.owner = None;
                // It comes before pieces that are not begun.
                self.waiting.remove(*piece);
                self.waiting.insert(*piece, true);
            }
        }
    }

    /// Puts back a complete piece whose hash is wrong. It waits again, and all its progress is
    /// discarded: any block may be the wrong one. There is no `evidence` if one peer brought all of
    /// it, or if the store could not be read. With it, a witness may tell which block is wrong.
    pub fn spoil(
        &mut self,
        piece: u32,
        by: &[Contributor],
        evidence: Option<Evidence>,
        now: Instant,
    ) {
        self.on_loan.remove(&piece);
        self.spoilt.insert(piece, self.lent_from(evidence.as_ref(), now));
        if let Some(evidence) = evidence {
            self.keep_evidence(piece, evidence);
        }
        self.trust.wrong(by, now);
        self.waiting.insert(piece, false); // not as begun: nothing is left of it
        self.generation += 1;
    }

    /// Gives up a peer's seat at an incomplete piece. If it was the last one, the piece waits
    /// again, with its progress if any was made, or else with the progress it had replaced.
    pub fn give_back(&mut self, piece: u32, peer: PeerNumber, seat: &Arc<Seat>, begun: bool) {
        // Another holder may have completed the piece since. If its hash was wrong, it may even be
        // on loan again, and that loan must go on. So the seat must match.
        let Some(loan) = self.on_loan.get_mut(&piece).filter(|loan| loan.holders.includes(seat))
        else {
            return;
        };
        if !loan.holders.leave(seat) {
            return;
        }
        let Some(Loan { progress, alone, replaced, .. }) = self.on_loan.remove(&piece) else {
            return;
        };
        // The progress of a lone peer has an owner, and is not marked as begun: only that peer
        // could go on with it, and it must not come first for all others.
        let left =
            if begun { Some(Begun { progress, owner: alone.then_some(peer) }) } else { replaced };
        self.waiting.insert(piece, left.as_ref().is_some_and(|begun| begun.owner.is_none()));
        self.begun.extend(left.map(|begun| (piece, begun)));
        self.generation += 1;
    }
}
