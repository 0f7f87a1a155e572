//! Puts only the wrong blocks of a piece back, once the right hashes of its blocks are known.
//!
//! **Skip at first reading.** In some torrents, blocks have hashes of their own. When a piece is
//! wrong that several peers brought, any peer can be asked for them; they come with proof, so it
//! need not be trusted. Then nobody has to bring the right blocks again, and whoever sent a wrong
//! one is known at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::WorkQueue;
use super::evidence::Evidence;
use super::lease::Progress;
use super::trust::Contributor;
use crate::s02_metainfo::PieceIndex;
use crate::s05_messages::BLOCK_LENGTH;
use crate::s10_storage::Store;

/// A peer that can be asked for the hashes of a piece's blocks. As long as there is one, a wrong
/// piece that several peers brought is held back for a moment ([`BLOCK_HASH_TIMEOUT`]). Dropped
/// when the peer leaves, or refuses.
///
/// [`BLOCK_HASH_TIMEOUT`]: super::board::explained::BLOCK_HASH_TIMEOUT
pub struct Witness(Arc<WorkQueue>);

impl Witness {
    /// Counts one more witness.
    pub fn join(queue: &Arc<WorkQueue>) -> Witness {
        queue.lock().board.count_witness(true);
        Witness(Arc::clone(queue))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.board.count_witness(false);
        // Without the last one, pieces that were held back can be lent.
        self.0.wake_sleepers(&state);
    }
}

impl WorkQueue {
    /// The pieces that were wrong and that several peers brought, if it is not known yet which
    /// blocks are wrong.
    pub fn unexplained(&self) -> Vec<PieceIndex> {
        let unexplained: Vec<u32> = self.lock().board.unexplained().collect();
        unexplained.into_iter().map(|piece| self.piece(piece)).collect()
    }

    /// Finds the liars by the right hashes of a piece's blocks, in order, and counts all blocks as
    /// written that are right. They were written when they came, and nothing is fetched for them.
    pub fn explain(&self, piece: PieceIndex, hashes: &[[u8; 32]], store: &dyn Store) {
        let (evidence, others) =
            self.take_evidence(piece).into_iter().partition::<Vec<_>, _>(Evidence::is_of_hashes);
        others.into_iter().for_each(|other| self.keep_evidence(piece, other));
        if evidence.is_empty() {
            return; // somebody else was faster
        }
        let mut right = BTreeMap::new();
        for evidence in evidence {
            let (verdict, blocks) = evidence.judge_by_hashes(hashes, self.blocks(piece));
            self.judge(piece, &verdict);
            right.extend(blocks);
        }
        // A peer may have begun to fetch it again. Then what is right of it goes on.
        let on_loan = self.lock().board.explained(piece.get());
        if let Some(progress) = on_loan {
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            return self.adopt(&mut progress, piece, &right, hashes, store);
        }
        let mut progress = Progress::replacing(None, self, piece);
        self.adopt(&mut progress, piece, &right, hashes, store);
        let mut state = self.lock();
        if state.board.begin_with(piece.get(), Arc::new(Mutex::new(progress))) {
            self.wake_sleepers(&state);
        }
    }

    /// Counts blocks as written, if they are in the store and right.
    fn adopt(
        &self,
        progress: &mut Progress,
        piece: PieceIndex,
        right: &BTreeMap<u32, Contributor>,
        hashes: &[[u8; 32]],
        store: &dyn Store,
    ) {
        let (info, mut buffer) = (self.info(), Vec::new());
        for (block, who) in right {
            let begin = block * BLOCK_LENGTH;
            buffer.resize(BLOCK_LENGTH.min(info.piece_size(piece) - begin) as usize, 0);
            // A block that cannot be read, or that another peer has overwritten, is fetched again.
            let read = store.read(info.piece_offset(piece) + u64::from(begin), &mut buffer);
            let found = info.check.block_hash(piece, *block, &buffer);
            if read.is_ok() && found.as_ref() == hashes.get(*block as usize) {
                progress.adopt(*block, &buffer, *who);
            }
        }
    }
}
