//! Which waiting piece a peer gets.
//!
//! The search must be short, because it runs under the queue's lock. So it is made of turns, and
//! the caller may release the lock between two of them. [`Board::find`] changes nothing, so it does
//! no harm if other threads change the board in between.

use std::time::Instant;

use super::{Asker, Board};
use crate::s05_messages::bitfield::PeerPieces;
use crate::s11_work_queue::rarest::{Draw, WORDS_A_TURN};

/// The number of spoilt pieces to look at in one claim.
const MAX_LOOKS: usize = 64;

impl<P> Board<P> {
    /// Returns a waiting piece that a peer can give. Turn 0 searches by rarity first; then each
    /// turn scans one stretch of the pieces.
    ///
    /// The search by rarity is short: of a million pieces, it may miss the few that a peer has. The
    /// turns let the caller release its lock in between. The piece found may be one that the peer
    /// should leave to others; the caller checks that ([`Board::holds_back`]).
    pub fn find(&self, asker: &Asker, turn: usize, now: Instant, draw: Draw) -> Option<u32> {
        let has = |piece| asker.pieces.has(piece);
        let rarest = match turn {
            // A suspect works alone, so it would have to start a begun piece again.
            0 if self.trust.is_suspect(asker.who.peer) => {
                self.waiting.find(false, |piece| has(piece) && !self.is_held(piece, now), draw)
            }
            // Preferably a piece that the peer does not have to leave to others.
            0 => self.waiting.find(
                true,
                |piece| has(piece) && !self.holds_back(asker, piece, now),
                draw,
            ),
            _ => None,
        };
        // `turn 0` also scans, so a torrent of up to 16,384 pieces needs no second turn.
        rarest.or_else(|| match asker.pieces {
            PeerPieces::Some(pieces) => self.waiting.find_from(pieces, turn * WORDS_A_TURN),
            // A seed can give any piece, so no scan is needed, only a search that leaves no piece
            // to others.
            PeerPieces::All if turn == 0 => self.waiting.find(true, has, draw),
            PeerPieces::All => None,
        })
    }

    /// Returns a spoilt piece for a peer that has proved itself. The other peers leave such pieces
    /// to it for a while. It looks at the first 64 only: with more than that, the choice matters
    /// less than the time.
    pub fn find_spoilt(&self, asker: &Asker, now: Instant) -> Option<u32> {
        let waits = |piece: u32| self.waiting.has(piece) && !self.is_held(piece, now);
        let fits = |piece: &u32| waits(*piece) && asker.pieces.has(*piece);
        let mut spoilt = self.spoilt.keys().take(MAX_LOOKS).copied();
        if self.trust.is_proved(asker.who.peer) { spoilt.find(fits) } else { None }
    }

    /// The number of turns after which [`Board::find`] has searched everything.
    pub fn turns(&self) -> usize {
        (self.done.words().len()).div_ceil(WORDS_A_TURN).max(1)
    }

    /// Whether a peer must leave a waiting piece to others that have proved themselves, or until a
    /// witness has told which blocks are wrong. Both end on their own after a while ([`HOLD_BACK`],
    /// [`BLOCK_HASH_TIMEOUT`](super::explained::BLOCK_HASH_TIMEOUT)), so no piece waits forever.
    ///
    /// [`HOLD_BACK`]: crate::s11_work_queue::trust::HOLD_BACK
    pub fn holds_back(&self, asker: &Asker, piece: u32, now: Instant) -> bool {
        let spoilt = self.spoilt.get(&piece).copied();
        self.is_held(piece, now) || self.trust.holds_back(asker.who.peer, spoilt, now)
    }

    /// Whether a peer may fetch exactly this piece, which it has offered (BEP 6: suggested, or
    /// allowed fast). An offer is no way around suspicion: a suspect does not choose its piece.
    pub fn may_lend(&self, asker: &Asker, piece: u32, now: Instant) -> bool {
        let waits = self.waiting.has(piece) && asker.pieces.has(piece);
        waits && !self.trust.is_suspect(asker.who.peer) && !self.holds_back(asker, piece, now)
    }
}
