//! Recognizing a piece by its tree, and in a hybrid by its SHA-1 too.
//!
//! | SHA-1 | tree | the piece is |
//! |---|---|---|
//! | right | right | right |
//! | wrong | wrong | wrong: a peer has sent wrong bytes |
//! | right | wrong | impossible: the torrent contradicts itself |
//! | wrong | right | the same, unless the padding behind the file is not zeros: then it is wrong |
//!
//! The last row matters. Padding is in the SHA-1 and not in the tree, so a peer that sends a byte
//! of it wrong could make us believe that the torrent is at fault, and end the download.
//!
//! A block is hashed as it comes, while it is in the cache: twice in a hybrid. A piece in progress
//! keeps 32 bytes for each bit of its number of blocks ([`Tree`]).

use std::sync::Arc;

use super::merkle::{BLOCK_LENGTH, Hash, Tree};
use super::trees::Trees;
use crate::s02_metainfo::PieceIndex;
use crate::s02_metainfo::piece_check::{Judgment, PieceCheck, PieceHasher};

/// Checks the pieces of a torrent that has trees.
#[derive(Debug)]
pub(super) struct TreeCheck {
    pub trees: Arc<Trees>,
    /// The check of version 1, in a hybrid.
    pub sha1: Option<Arc<dyn PieceCheck>>,
}

impl PieceCheck for TreeCheck {
    fn begin(&self, piece: PieceIndex) -> Box<dyn PieceHasher> {
        let tree = self.tree_hasher(piece);
        match (&self.sha1, tree) {
            (None, Some(tree)) => Box::new(tree),
            (Some(sha1), Some(tree)) => Box::new(BothHasher { sha1: sha1.begin(piece), tree }),
            // A hybrid whose layer is not known yet is checked as version 1.
            (Some(sha1), None) => sha1.begin(piece),
            // Nothing can be right. There is no need to hash it.
            (None, None) => Box::new(Unknown),
        }
    }

    /// In a hybrid, the SHA-1: whoever looks at one hash looks at the one that all clients know.
    fn expected(&self, piece: PieceIndex) -> &[u8] {
        match &self.sha1 {
            Some(sha1) => sha1.expected(piece),
            None => self.trees.piece_hash(piece.get()).map_or(&[], |hash| &hash.0),
        }
    }

    fn block_hash(&self, piece: PieceIndex, block: u32, bytes: &[u8]) -> Option<[u8; 32]> {
        let left = self.tree_hasher(piece)?.left;
        // Padding behind the file has no hash. A block may end with some of it.
        let in_file = left.checked_sub(block as usize * BLOCK_LENGTH).filter(|left| *left > 0)?;
        let (file, padding) = bytes.split_at(in_file.min(bytes.len()));
        let is_zero_after = padding.iter().all(|byte| *byte == 0);
        Some(if is_zero_after { Hash::of_block(file) } else { Hash::ZERO }.0)
    }

    /// A hybrid has all that version 1 needs, and most of its peers know of nothing else.
    fn lacking(&self) -> usize {
        if self.sha1.is_some() { 0 } else { self.trees.missing() }
    }

    /// Judges by the table at the top of this file.
    fn judge(&self, piece: PieceIndex, found: &[u8]) -> Judgment {
        let root = self.trees.piece_hash(piece.get());
        let Some(sha1) = &self.sha1 else {
            let is_right = root.is_some_and(|root| root.0 == found);
            return if is_right { Judgment::Right } else { Judgment::Wrong };
        };
        // What `BothHasher` has joined: 20 bytes, and 32.
        let (first, second) = found.split_at_checked(20).unwrap_or((found, &[]));
        let is_right = sha1.judge(piece, first) == Judgment::Right;
        // The second is missing if the layer came while the piece was being hashed.
        match root.filter(|_| !second.is_empty()).map(|root| root.0 == second) {
            Some(also) if also != is_right => Judgment::Contradiction,
            _ if is_right => Judgment::Right,
            _ => Judgment::Wrong,
        }
    }
}

impl TreeCheck {
    /// Begins the tree of a piece, if its hash is known. The last piece of a file is as high as the
    /// others, however short it is; only a file of one piece has a lower tree.
    fn tree_hasher(&self, piece: PieceIndex) -> Option<TreeHasher> {
        let file = self.trees.file_of(piece.get())?;
        file.layer()?;
        let left = self.trees.bytes_of(file, piece.get()) as usize; // at most 512 MiB
        Some(TreeHasher::new(self.trees.height_at(file), left))
    }
}

/// The tree of one piece, as its blocks come.
pub(super) struct TreeHasher {
    tree: Tree,
    /// Of the whole tree: the leaves that are missing are filled in at the end.
    height: u32,
    /// How many bytes of the file are still to come. What comes after them is padding.
    left: usize,
    /// Whether nothing but zeros has come after the file.
    is_zero_after: bool,
}

impl TreeHasher {
    /// Begins a tree of this height, for this many bytes of a file.
    pub fn new(height: u32, left: usize) -> TreeHasher {
        TreeHasher { tree: Tree::new(), height, left, is_zero_after: true }
    }
}

impl PieceHasher for TreeHasher {
    fn update(&mut self, blocks: &[u8]) {
        // The blocks come whole, but for the last one. So each chunk is a leaf, and none is put
        // together from two calls.
        let (file, padding) = blocks.split_at(self.left.min(blocks.len()));
        for block in file.chunks(BLOCK_LENGTH) {
            self.tree.push(Hash::of_block(block));
        }
        self.left -= file.len();
        self.is_zero_after &= padding.iter().all(|byte| *byte == 0);
    }

    fn finish(&mut self) -> Vec<u8> {
        let root = std::mem::take(&mut self.tree).root(self.height);
        // No tree has the root zero, so padding that is not zeros is never right.
        let hash = if self.is_zero_after { root } else { Hash::ZERO };
        hash.0.to_vec()
    }
}

/// Both hashes of a piece: 20 bytes, and 32.
pub(super) struct BothHasher {
    pub sha1: Box<dyn PieceHasher>,
    pub tree: TreeHasher,
}

impl PieceHasher for BothHasher {
    /// Hashes twice, and so takes twice the time of either version. Nothing less would show that
    /// the halves differ.
    fn update(&mut self, blocks: &[u8]) {
        // Block by block, so that it is still in the cache when it is hashed again.
        for block in blocks.chunks(BLOCK_LENGTH) {
            self.sha1.update(block);
            self.tree.update(block);
        }
    }

    fn finish(&mut self) -> Vec<u8> {
        let mut hashes = self.sha1.finish();
        hashes.extend(self.tree.finish());
        hashes
    }
}

/// The hash of a piece that cannot be checked yet: none, which is never right. No piece is asked
/// for before its hash is known, but files on disk may be looked at.
struct Unknown;

impl PieceHasher for Unknown {
    fn update(&mut self, _blocks: &[u8]) {}

    fn finish(&mut self) -> Vec<u8> {
        Vec::new()
    }
}
