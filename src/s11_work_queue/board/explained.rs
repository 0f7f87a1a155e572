//! What changes for a piece once the right hashes of its blocks are known.
//!
//! **Skip at first reading.** A wrong piece is a riddle as long as any of its blocks may be the
//! wrong one. So all are fetched again, by one peer alone. Once the wrong blocks are known, the
//! others are as good as those of any begun piece.

use super::{Begun, Board};

impl<P: Clone> Board<P> {
    /// The pieces of which we have evidence, and do not know what is wrong.
    pub fn unexplained(&self) -> impl Iterator<Item = u32> + '_ {
        self.evidence.keys().copied()
    }

    /// Notes that it is known which blocks of a piece are right. Any peer may fetch the others.
    /// Returns the progress that is being made of the piece, if it is on loan again.
    pub fn explained(&mut self, piece: u32) -> Option<P> {
        self.spoilt.remove(&piece);
        let loan = self.on_loan.get_mut(&piece)?;
        // It was lent to one peer alone, so that only that one could be to blame. That peer may be
        // the liar, and then others go on with what is right.
        loan.alone = false;
        Some(loan.progress.clone())
    }

    /// Makes a waiting piece one that was begun, with this progress. Returns whether it did: the
    /// piece may have been lent meanwhile, and then what is on disk may have changed.
    pub fn begin_with(&mut self, piece: u32, progress: P) -> bool {
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
