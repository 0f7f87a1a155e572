//! What changes for a piece once the right hashes of its blocks are known.
//!
//! **Skip at first reading.** A wrong piece is a riddle as long as any of its blocks may be the
//! wrong one. So all are fetched again, by one peer alone. Once the wrong blocks are known, the
//! others are as good as those of any begun piece.
//!
//! A peer that can be asked for the hashes is a *witness*. While there is one, a wrong piece is
//! held back for a moment: lent at once, its right blocks would be on their way again before the
//! answer has come. Without a witness nothing is ever held back, as in all torrents of version 1.

use std::time::{Duration, Instant};

use super::{Begun, Board};
use crate::s11_work_queue::evidence::Evidence;

/// How long a wrong piece waits for the hashes of its blocks. They usually come within a round
/// trip. If they do not, the piece is fetched again as if there were none.
pub const BLOCK_HASH_TIMEOUT: Duration = Duration::from_secs(2);
/// The most blocks of a piece whose hashes can be asked for at once. A longer piece does not wait.
const MAX_TOLD: usize = 512;

impl<P: Clone> Board<P> {
    /// The pieces of which we have evidence that the hashes of their blocks explain.
    pub fn unexplained(&self) -> impl Iterator<Item = u32> + '_ {
        let explained = |all: &Vec<Evidence>| all.iter().any(Evidence::is_of_hashes);
        self.evidence.iter().filter(move |(_, all)| explained(all)).map(|(piece, _)| *piece)
    }

    /// Counts one more witness, or one fewer. Without any, no piece is held back any longer.
    pub fn count_witness(&mut self, comes: bool) {
        self.witnesses = if comes { self.witnesses + 1 } else { self.witnesses.saturating_sub(1) };
        self.generation += u64::from(self.witnesses == 0); // what was held is as if it came back
    }

    /// Returns from when on a piece that has turned out wrong may be lent again.
    pub(super) fn lent_from(&self, evidence: Option<&Evidence>, now: Instant) -> Instant {
        // Alone, a peer is known to have lied, and there is no block of others to save.
        let is_told = evidence.is_some_and(|evidence| evidence.len() <= MAX_TOLD);
        if is_told && self.witnesses > 0 { now + BLOCK_HASH_TIMEOUT } else { now }
    }

    /// Notes that it is known which blocks of a piece are right, if the piece is on loan again. Any
    /// peer may fetch the others. Returns the progress that is being made of it.
    pub fn explained(&mut self, piece: u32) -> Option<P> {
        let loan = self.on_loan.get_mut(&piece)?;
        self.spoilt.remove(&piece);
        // It was lent to one peer alone, so that only that one could be to blame. That peer may be
        // the liar, and then others go on with what is right.
        loan.alone = false;
        Some(loan.progress.clone())
    }

    /// Makes a waiting piece one that was begun, with this progress; it is held back no longer.
    /// Returns whether it did: the piece may have been lent meanwhile, and then what is on disk may
    /// have changed.
    pub fn begin_with(&mut self, piece: u32, progress: P) -> bool {
        // Only now: without the progress, the next peer would have begun afresh.
        self.spoilt.remove(&piece);
        if !self.waiting.has(piece) || self.begun.contains_key(&piece) {
            return false;
        }
        self.waiting.remove(piece);
        self.waiting.insert(piece, true);
        self.begun.insert(piece, Begun { progress, owner: None });
        self.generation += 1;
        true
    }
}

impl<P> Board<P> {
    /// Whether no peer may have a waiting piece yet, because a witness may tell which of its blocks
    /// are wrong.
    pub(super) fn is_held(&self, piece: u32, now: Instant) -> bool {
        self.witnesses > 0 && self.spoilt.get(&piece).is_some_and(|from| now < *from)
    }
}
