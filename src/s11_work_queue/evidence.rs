//! Which of several peers spoilt a piece. It shows once the piece is right.
//!
//! **Skip at first reading.** A wrong hash does not say who lied, and guessing would be a weapon: a
//! liar could have honest peers banned just by working beside them. So a spoilt piece leaves a
//! fingerprint of each block, and who brought that block. When the piece has been fetched again and
//! is right, a block that differs was a lie, and everybody else is cleared.
//!
//! The fingerprints are keyed at random, so nobody can make a wrong block that looks like the right
//! one.

use std::hash::{BuildHasher, RandomState};

use super::trust::Contributor;
use crate::s02_metainfo::{Info, PieceIndex};
use crate::s05_messages::BLOCK_LENGTH;
use crate::s10_storage::{StorageError, Store};

/// The number of blocks to remember, of all spoilt pieces together, at 16 bytes each.
pub(super) const MAX_BLOCKS: usize = 65_536;

/// The blocks of a piece that was wrong.
pub struct Evidence {
    by: Vec<Contributor>,
    /// The fingerprint of each block, and the position in `by` of the peer that brought it.
    blocks: Vec<(u64, u16)>,
    key: RandomState,
}

/// What becomes of the peers once the piece is right.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Peers that brought a wrong block.
    pub liars: Vec<Contributor>,
    /// Peers that did not.
    pub cleared: Vec<Contributor>,
}

impl Evidence {
    /// Reads a spoilt piece as it was written, and notes who brought which block. Returns `None` if
    /// one peer brought all of it: then there is nothing to find out.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn gather(
        info: &Info,
        piece: PieceIndex,
        by: &[Contributor],
        bringers: &[u16],
        store: &dyn Store,
    ) -> Result<Option<Evidence>, StorageError> {
        if by.len() < 2 {
            return Ok(None);
        }
        let key = RandomState::new();
        let fingerprints = fingerprints(info, piece, &key, store)?;
        let blocks = fingerprints.into_iter().zip(bringers.iter().copied()).collect();
        Ok(Some(Evidence { by: by.to_vec(), blocks, key }))
    }

    /// The number of blocks that it is about.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Compares with the piece as it is now, when its hash is right.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn judge(&self, info: &Info, piece: PieceIndex, store: &dyn Store) -> Result<Verdict, StorageError> {
        let right = fingerprints(info, piece, &self.key, store)?;
        let mut lied = vec![false; self.by.len()];
        for ((found, bringer), right) in self.blocks.iter().zip(&right) {
            if let Some(lied) = lied.get_mut(usize::from(*bringer)) {
                *lied |= found != right;
            }
        }
        let mut verdict = Verdict::default();
        for (who, lied) in self.by.iter().zip(lied) {
            if lied { verdict.liars.push(*who) } else { verdict.cleared.push(*who) }
        }
        Ok(verdict)
    }
}

fn fingerprints(info: &Info, piece: PieceIndex, key: &RandomState, store: &dyn Store) -> Result<Vec<u64>, StorageError> {
    let (offset, size) = (info.piece_offset(piece), info.piece_size(piece));
    let mut buffer = Vec::new();
    let blocks = (0..size).step_by(BLOCK_LENGTH as usize);
    blocks
        .map(|begin| {
            buffer.resize(BLOCK_LENGTH.min(size - begin) as usize, 0);
            store.read(offset + u64::from(begin), &mut buffer)?;
            Ok(key.hash_one(&buffer))
        })
        .collect()
}
