//! Trees of hashes: what identifies a file in a version 2 torrent (BEP 52).
//!
//! A file is cut into blocks of 16 KiB, and each block has a SHA-256: a leaf. Two neighbors
//! together have a hash, their parent, and so on up to a single one, the root. Five blocks:
//! ```text
//! height 3                     root
//!                     /                  \
//!       2            .                    .
//!                /       \            /       \
//!       1       .         .          .         0        0: the same as zeros(1)
//!             /   \     /   \      /   \     /   \
//!       0    b0   b1   b2   b3    b4    0   0     0     0: Hash::ZERO, no hash of anything
//! ```
//! * A block at the end of a file is hashed as short as it is, and never filled up with zeros.
//! * Leaves that are missing to a power of two are 32 zero bytes. So the tree of a file depends on
//!   the file alone, and not on the length of a torrent's pieces.
//! * A piece is a subtree, and the hashes at its height are the *piece layer*. Those of pieces that
//!   a file does not have are left out of it; [`zeros`] has their value.
//!
//! Everything here is arithmetic: no file, no torrent, no network.

use std::fmt;

use sha2::{Digest, Sha256};

/// The number of bytes under one leaf. Only the last block of a file may be shorter.
pub const BLOCK_LENGTH: usize = 16 * 1024;

/// A SHA-256: of a block, or of two hashes side by side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The leaf of a block that a file does not have: the value zero, and not the hash of zeros. No
    /// content is known that has this hash, so nobody can pass off a block as a missing one.
    pub const ZERO: Hash = Hash([0; 32]);

    /// Returns the leaf of a block: of 16 KiB, or of what a file has left at its end.
    pub fn of_block(block: &[u8]) -> Hash {
        Hash(Sha256::digest(block).into())
    }

    /// Returns the hash above two others.
    pub fn parent(left: Hash, right: Hash) -> Hash {
        Hash(Sha256::new().chain_update(left.0).chain_update(right.0).finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "Hash({self})")
    }
}

/// Returns the root of 2^height leaves that are all [`Hash::ZERO`].
pub fn zeros(height: u32) -> Hash {
    (0..height).fold(Hash::ZERO, |below, _| Hash::parent(below, below))
}

/// Returns the height of the tree of a file with this many bytes: the number of steps from a leaf
/// to the root. A file of one block has a tree of one hash, and the height 0.
pub fn height_of(length: u64) -> u32 {
    // Rounding up cannot overflow: 2^64 bytes are 2^50 blocks.
    length.div_ceil(BLOCK_LENGTH as u64).next_power_of_two().trailing_zeros()
}

/// A tree that grows by a leaf at a time, and keeps only what the root will need.
///
/// It works like counting in binary. Two subtrees of the same height are at once replaced by
/// their parent, as 1 + 1 is replaced by a carry. So after 13 leaves, binary 1101, three hashes
/// are kept: of eight leaves, of four, and of one. A piece of 512 MiB needs at most 16 hashes,
/// where all its leaves would take a megabyte.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// The number of leaves so far. Its bits tell the heights of `subtrees`.
    leaves: u64,
    /// The roots of whole subtrees, the largest first: one for each bit of `leaves` that is 1.
    subtrees: Vec<Hash>,
}

impl Tree {
    /// A tree without a leaf.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // The carry: it goes up for as long as there is a left neighbor of the same height.
        for _ in 0..self.leaves.trailing_ones() {
            let left = self.subtrees.pop().expect("each bit that is 1 has its subtree");
            hash = Hash::parent(left, hash);
        }
        self.subtrees.push(hash);
        self.leaves += 1;
    }

    /// Returns the root, with the leaves filled up to 2^height by [`Hash::ZERO`]. If there are more
    /// leaves than that, the tree is as high as they need.
    pub fn root(self, height: u32) -> Hash {
        self.filled(height, Hash::ZERO)
    }

    /// Does the same with any filler, since the leaves may be the roots of smaller trees.
    fn filled(mut self, height: u32, mut filler: Hash) -> Hash {
        let mut root = None;
        for level in 0..height.max(self.leaves.next_power_of_two().trailing_zeros()) {
            // A bit that is 1 is a subtree of this height which waits for a right neighbor.
            let waits = (self.leaves >> level) & 1 == 1;
            root = match root {
                Some(right) if waits => self.subtrees.pop().map(|left| Hash::parent(left, right)),
                // The smallest subtree is the last one. Nothing comes after it but fillers.
                None if waits => self.subtrees.pop().map(|left| Hash::parent(left, filler)),
                Some(left) => Some(Hash::parent(left, filler)),
                None => None,
            };
            // Always the root of nothing but fillers, as high as the next level.
            filler = Hash::parent(filler, filler);
        }
        // Otherwise the leaves are exactly as many as there is room for, and so one subtree; or
        // there is none at all.
        root.or_else(|| self.subtrees.pop()).unwrap_or(filler)
    }
}

/// Returns the root of the file that has this piece layer: a hash for each of its pieces, with
/// trees of `layer_height`. The hashes of pieces that would lie beyond the file's end are not in
/// the layer; they are filled in here.
pub fn root_of_layer(layer: &[Hash], layer_height: u32, file_length: u64) -> Hash {
    let mut tree = Tree::new();
    layer.iter().for_each(|&piece| tree.push(piece));
    tree.filled(height_of(file_length).saturating_sub(layer_height), zeros(layer_height))
}
