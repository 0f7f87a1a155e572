//! Trees of SHA-256 (BEP 52), written out in full, and the messages about them.
//!
//! A stage keeps as little of a tree as it can. Here every hash of it is in memory, from the leaves
//! to the root, so that each answer is a copy of some of them.

use super::wire;
use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The length of a block, and so of what a leaf covers.
pub const BLOCK: usize = 16_384;

/// The bytes of a request for hashes, without its length and id.
pub const REQUEST_SIZE: usize = 48;

/// The SHA-256 of some bytes.
pub fn sha256(data: &[u8]) -> Hash {
    Sha256::digest(data).into()
}

/// A whole tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The leaves first, filled up with zeros to a power of two, and the root last.
    layers: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree of a file.
    pub fn of(content: &[u8]) -> Tree {
        Tree::of_leaves(content.chunks(BLOCK).map(sha256).collect())
    }

    /// The tree above these leaves. They need not be the hashes of anything.
    pub fn of_leaves(mut leaves: Vec<Hash>) -> Tree {
        leaves.resize(leaves.len().next_power_of_two(), [0; 32]);
        let mut layers = vec![leaves];
        while let Some(below) = layers.last().filter(|below| below.len() > 1) {
            layers.push(below.chunks(2).map(|pair| sha256(&pair.concat())).collect());
        }
        Tree { layers }
    }

    /// The number of steps from a leaf to the root.
    pub fn height(&self) -> usize {
        self.layers.len() - 1
    }

    /// The hash at the top.
    pub fn root(&self) -> Hash {
        self.layers.last().and_then(|top| top.first()).copied().unwrap_or_default()
    }

    /// The hashes at this height, padding included; none above the root.
    pub fn layer(&self, height: usize) -> &[Hash] {
        self.layers.get(height).map(Vec::as_slice).unwrap_or_default()
    }

    /// The hashes that answer a request, and behind them the uncles; `None` if there is no answer.
    pub fn answer(&self, asked: &Asked) -> Option<Vec<Hash>> {
        let [base, index, length, proof] =
            [asked.base, asked.index, asked.length, asked.proof].map(|number| number as usize);
        let is_subtree = length >= 2 && length.is_power_of_two() && index.is_multiple_of(length);
        if !is_subtree || base >= self.height() || proof >= self.height() - base {
            return None;
        }
        let mut hashes = self.layer(base).get(index..index.checked_add(length)?)?.to_vec();
        // The receiver computes the hashes above the range itself, so no uncle is sent below.
        let implied = length.ilog2() as usize - 1;
        for up in implied + 1..=proof {
            hashes.push(*self.layer(base + up).get((index >> up) ^ 1)?);
        }
        Some(hashes)
    }
}

/// What a request asks for, and an answer repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The root of the file's tree.
    pub root: Hash,
    /// The layer of the hashes, the leaves being 0.
    pub base: u32,
    /// The first hash.
    pub index: u32,
    /// How many.
    pub length: u32,
    /// Layers of proof above.
    pub proof: u32,
}

impl Asked {
    /// Reads the first 48 bytes of a payload.
    pub fn read(payload: &[u8]) -> Option<Asked> {
        let (root, rest) = payload.split_first_chunk()?;
        let number = |at: usize| rest.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let (base, index, length, proof) = (number(0)?, number(4)?, number(8)?, number(12)?);
        Some(Asked { root: *root, base, index, length, proof })
    }

    /// The 48 bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let numbers = [self.base, self.index, self.length, self.proof].map(u32::to_be_bytes);
        [&self.root[..], &numbers.concat()].concat()
    }

    /// The message that asks.
    pub fn request(&self) -> Vec<u8> {
        wire::message(wire::HASH_REQUEST, &self.bytes())
    }

    /// The message that refuses.
    pub fn reject(&self) -> Vec<u8> {
        wire::message(wire::HASH_REJECT, &self.bytes())
    }

    /// The message that answers with these hashes, right or wrong.
    pub fn hashes(&self, hashes: &[Hash]) -> Vec<u8> {
        wire::message(wire::HASHES, &[self.bytes(), hashes.concat()].concat())
    }
}

/// What version 2 adds to a torrent.
#[derive(Debug, Clone)]
pub struct VersionTwo {
    /// The SHA-256 of the info dictionary.
    pub name: Hash,
    /// Whether it is a torrent of version 1 as well.
    pub hybrid: bool,
    /// The number of pieces.
    pub pieces: usize,
    /// In the order of the tree.
    pub files: Vec<TreeFile>,
}

/// A file of a tree.
#[derive(Debug, Clone)]
pub struct TreeFile {
    /// With `/` between the components.
    pub path: String,
    /// Where it begins in the content, padding included.
    pub offset: usize,
    /// In bytes.
    pub length: usize,
    /// Of no use if the file is empty.
    pub tree: Tree,
}

impl VersionTwo {
    /// The name on the wire: the first 20 bytes.
    pub fn short(&self) -> [u8; 20] {
        self.name.first_chunk().copied().unwrap_or_default()
    }

    /// The hashes that answer a request; `None` if no file has this root, or there is no answer.
    pub fn answer(&self, asked: &Asked) -> Option<Vec<Hash>> {
        let mut files = self.files.iter().filter(|file| file.length > 0);
        files.find(|file| file.tree.root() == asked.root)?.tree.answer(asked)
    }
}
