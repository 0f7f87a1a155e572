//! What a peer can do when no piece waits: help with one that others fetch, or take one over.
//!
//! **Skip at first reading.** Without the end game, the slowest peer of all would decide when a
//! download ends: it holds the last piece, and everyone else has nothing to do.
//!
//! | the piece's holders | an idle peer |
//! |---|---|
//! | one or two | takes a free seat |
//! | three, one of them less than half as fast | takes that one's seat |
//! | three, all about as fast | waits: a fourth copy would only waste their bytes |
//! | one that works alone | takes the piece over, if only the idle peer has proved itself |

use std::time::Instant;

use super::{Asker, Board, Lent, Loan, Why};
use crate::s11_work_queue::seats::{Offer, TRIAL};

impl<P: Clone> Board<P> {
    /// Lends a piece that others are fetching, if the peer can have a seat. The piece stays where
    /// it is, on loan, and its progress is shared: whoever brings the next block writes it.
    ///
    /// A free seat comes first, and then the piece with the fewest seats taken. A peer whose seat
    /// is taken loses it. A peer of unknown speed that took one less than `TRIAL` ago may have only
    /// a free one.
    pub fn join_loan(&mut self, asker: &Asker, now: Instant) -> Option<Lent<P>> {
        // A suspect works alone. Beside others, it could spoil their piece and stay hidden.
        if self.trust.is_suspect(asker.who.peer) {
            return None;
        }
        // A peer of unknown speed may be fast, so it gets a try; but if it brought nothing the last
        // time, not another one soon.
        let unknown = asker.block_time.is_none();
        let had_its_chance = unknown
            && asker.tried.is_some_and(|tried| now.saturating_duration_since(tried) < TRIAL);
        let may_join = |(piece, loan): &(&u32, &mut Loan<P>)| {
            !loan.alone && !loan.holders.has(asker.who.peer) && asker.pieces.has(**piece)
        };
        let offers = self.on_loan.iter_mut().filter(may_join).filter_map(|(piece, loan)| {
            let offer = loan.holders.offer(asker.block_time, now)?;
            (!offer.is_taken() || !had_its_chance).then_some((offer, *piece, loan))
        });
        // Prefer a free seat to another peer's, and then the piece with the fewest seats taken.
        let (offer, piece, loan) =
            offers.min_by_key(|(offer, _, loan)| (offer.is_taken(), loan.holders.taken()))?;
        let takes_over = offer.is_taken();
        // The slower peer's thread sees this at its next request. What it was asked for still
        // counts.
        if let Offer::Of(slower) = offer {
            slower.lose();
        }
        let seat = loan.holders.sit(asker.who.peer, takes_over && unknown, now);
        Some(Lent {
            piece,
            progress: loan.progress.clone(),
            seat,
            why: Why::EndGame { takes_over },
        })
    }

    /// Takes a piece from a slow peer that works on it alone, if that peer has not proved itself
    /// and the asker has. The piece waits again in a moment. Without this, a suspect could keep the
    /// last piece forever.
    pub fn take_over(&mut self, asker: &Asker, now: Instant) {
        if !self.trust.is_proved(asker.who.peer) {
            return;
        }
        let alone =
            self.on_loan.iter().filter(|(piece, loan)| loan.alone && asker.pieces.has(**piece));
        let mut slow = alone.filter_map(|(piece, loan)| {
            let (owner, seat) = loan.holders.slow_owner(asker.block_time, now)?;
            (!self.trust.is_proved(owner)).then_some((*piece, owner, seat))
        });
        let Some((piece, owner, seat)) = slow.next() else { return };
        // Only marked here: its thread gives the piece back on the next turn of its loop.
        seat.take_over();
        // Both times start again, or the owner would get the same piece back at once.
        self.trust.gave_way(owner, now);
        self.spoilt.entry(piece).and_modify(|since| *since = now);
    }
}
