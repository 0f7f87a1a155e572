//! Finds out which of several peers spoilt a piece, once the piece is right.
//!
//! **Skip at first reading.** A wrong hash does not say which peer lied, and guessing would be a
//! weapon: a liar could get honest peers banned just by working beside them. So for each block of a
//! spoilt piece we keep a fingerprint, and the peer that brought it. When the piece has been
//! fetched again and is right, a block that differs was a lie, and the other peers are cleared. If
//! a begun piece is started again, its blocks also leave fingerprints; otherwise a liar would only
//! have to leave in time.
//!
//! The fingerprints use a random key, so no one can make a wrong block that looks like the right
//! one.
//!
//! In some torrents, blocks have hashes of their own, and peers can be asked for the right ones.
//! Then nobody has to fetch the piece again: the fingerprint is one of the block's hash, so the
//! right hashes show which blocks were lies.

use std::hash::{BuildHasher, RandomState};

use super::trust::{Contributor, Verdict};
use crate::s02_metainfo::{Info, PieceIndex};
use crate::s05_messages::BLOCK_LENGTH;
use crate::s10_storage::{StorageError, Store};

/// The most blocks to remember, of all spoilt pieces together, at 16 bytes each.
pub(super) const MAX_BLOCKS: usize = 65_536;

/// Fingerprints of discarded blocks of a piece, and the peers that brought them.
#[derive(Default)]
pub struct Evidence {
    /// The peers, each once.
    contributors: Vec<Contributor>,
    blocks: Vec<Brought>,
    /// The key of the fingerprints. Each piece of evidence has its own.
    key: RandomState,
    /// Whether they are fingerprints of the blocks' hashes, and not of the blocks.
    of_hashes: bool,
}

/// One block: 16 bytes, where the block itself has 16,384.
struct Brought {
    /// 64 bits of a keyed hash. That is enough: a peer that does not know the key cannot look for
    /// collisions.
    fingerprint: u64,
    /// The block's number within the piece.
    block: u32,
    /// The position in `contributors` of the peer that brought it.
    by: u16,
}

impl Evidence {
    /// Takes the fingerprints of blocks, as they were written. Each block comes with the position
    /// in `contributors` of the peer that brought it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn gather(
        info: &Info,
        piece: PieceIndex,
        contributors: Vec<Contributor>,
        brought: impl Iterator<Item = (u32, u16)>,
        store: &dyn Store,
    ) -> Result<Evidence, StorageError> {
        // Asked about no bytes, and once: what the hashes lead to may become known meanwhile, and
        // the fingerprints of one kind must not be compared with those of the other.
        let of_hashes = info.check.block_hash(piece, 0, &[]).is_some();
        let mut evidence = Evidence { contributors, of_hashes, ..Evidence::default() };
        let mut buffer = Vec::new();
        for (block, by) in brought {
            let fingerprint = evidence.fingerprint(info, piece, block, &mut buffer, store)?;
            evidence.blocks.push(Brought { fingerprint, block, by });
        }
        Ok(evidence)
    }

    /// Whether it can be judged by the hashes of blocks.
    pub(super) fn is_of_hashes(&self) -> bool {
        self.of_hashes
    }

    /// Compares the fingerprints with the right hashes of the piece's blocks, in order. Returns the
    /// verdict, and the blocks that were right, each with the peer that brought it. Nothing is
    /// concluded from a block that has no hash.
    pub(super) fn judge_by_hashes(
        &self,
        hashes: &[[u8; 32]],
        blocks: u32,
    ) -> (Verdict, Vec<(u32, Contributor)>) {
        let mut lied = vec![false; self.contributors.len()];
        let mut right = Vec::new();
        for brought in &self.blocks {
            let Some(hash) = hashes.get(brought.block as usize) else { continue };
            let by = usize::from(brought.by);
            if brought.fingerprint != self.key.hash_one(hash) {
                lied.get_mut(by).into_iter().for_each(|lied| *lied = true);
            } else if let Some(who) = self.contributors.get(by) {
                right.push((brought.block, *who));
            }
        }
        (self.verdict(lied, blocks), right)
    }

    /// Sorts the peers into liars and others. Those are cleared, but only if all of the piece's
    /// blocks are in the evidence.
    fn verdict(&self, lied: Vec<bool>, blocks: u32) -> Verdict {
        let mut verdict = Verdict::default();
        for (who, lied) in self.contributors.iter().zip(lied) {
            if lied { verdict.liars.push(*who) } else { verdict.cleared.push(*who) }
        }
        // Some blocks are missing: the piece was never complete.
        if self.blocks.len() < blocks as usize {
            verdict.cleared.clear();
        }
        verdict
    }

    /// The number of blocks in the evidence.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Compares the fingerprints with the piece, whose hash is now right. A peer with a block that
    /// differs is a liar, and is listed once, however many differ.
    ///
    /// The other peers are cleared, but only if the evidence has every block of the piece. A piece
    /// that was never complete made no peer a suspect, so it clears none, even if it shows a liar.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn judge(
        &self,
        info: &Info,
        piece: PieceIndex,
        store: &dyn Store,
    ) -> Result<Verdict, StorageError> {
        let (mut lied, mut buffer) = (vec![false; self.contributors.len()], Vec::new());
        // All blocks, even after the first lie: each of several peers may have lied.
        for brought in &self.blocks {
            let right = self.fingerprint(info, piece, brought.block, &mut buffer, store)?;
            if let Some(lied) = lied.get_mut(usize::from(brought.by)) {
                *lied |= brought.fingerprint != right;
            }
        }
        Ok(self.verdict(lied, info.piece_size(piece).div_ceil(BLOCK_LENGTH)))
    }

    /// Returns the fingerprint of a block as it is in the store now.
    fn fingerprint(
        &self,
        info: &Info,
        piece: PieceIndex,
        block: u32,
        buffer: &mut Vec<u8>,
        store: &dyn Store,
    ) -> Result<u64, StorageError> {
        let begin = block * BLOCK_LENGTH;
        buffer.resize(BLOCK_LENGTH.min(info.piece_size(piece) - begin) as usize, 0);
        store.read(info.piece_offset(piece) + u64::from(begin), buffer)?;
        let hash = info.check.block_hash(piece, block, buffer).filter(|_| self.of_hashes);
        Ok(hash.map_or_else(|| self.key.hash_one(&*buffer), |hash| self.key.hash_one(hash)))
    }
}
