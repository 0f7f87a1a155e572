//! How a piece is recognized: by a hash, computed as its bytes arrive.
//!
//! ```text
//! check.begin(piece) -> hasher.update(block), for each block in order -> hasher.finish()
//!                                   check.judge(piece, hash): the same as check.expected(piece)?
//! ```
//! All code that hashes pieces uses these two traits. So a torrent of version 2 (BEP 52), which has
//! trees of SHA-256, needs another check and no other code. A torrent of version 1 has a SHA-1 for
//! each piece (BEP 3), the only kind here.

use std::any::Any;
use std::fmt::Debug;

use sha1::{Digest, Sha1};

use super::PieceIndex;

/// What the hash of a piece says about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgment {
    /// It is the piece.
    Right,
    /// It is not: somebody sent wrong bytes, or they were changed.
    Wrong,
    /// One of several hashes of the piece is right and another one is not. So no content can be
    /// right, and whoever sent it is not to blame: the torrent contradicts itself.
    Contradiction,
}

/// The hash that each piece of a torrent must have. A later stage that has made a check can find it
/// again, by its type: hence `Any`.
pub trait PieceCheck: Any + Debug + Send + Sync {
    /// Begins to hash a piece. Any number of them may be in progress at the same time.
    fn begin(&self, piece: PieceIndex) -> Box<dyn PieceHasher>;

    /// Returns the hash that the piece must have; the first one, if there are several.
    fn expected(&self, piece: PieceIndex) -> &[u8];

    /// Judges a piece by the hash that [`PieceHasher::finish`] has returned.
    fn judge(&self, piece: PieceIndex, found: &[u8]) -> Judgment {
        if self.expected(piece) == found { Judgment::Right } else { Judgment::Wrong }
    }

    /// Returns the hash of one block of a piece, if a piece's blocks have hashes of their own: then
    /// it can be told which block of a wrong piece is wrong. SHA-1 runs over whole pieces, and
    /// cannot.
    fn block_hash(&self, _piece: PieceIndex, _block: u32, _bytes: &[u8]) -> Option<[u8; 32]> {
        None
    }

    /// The number of files of which the pieces' hashes are not known yet. No piece may be asked
    /// about before there is none.
    fn lacking(&self) -> usize {
        0
    }
}

/// The hash of one piece in progress.
pub trait PieceHasher: Send {
    /// Adds the next bytes of the piece: blocks of 16 KiB, of which only the piece's last may be
    /// shorter. A tree has a leaf for each of them.
    fn update(&mut self, blocks: &[u8]);

    /// Returns the hash of all that was added. It is called once, at the end.
    fn finish(&mut self) -> Vec<u8>;
}

/// The SHA-1 of each piece: `pieces`, cut into 20 bytes each.
#[derive(Debug)]
pub(super) struct PieceHashes(pub(super) Vec<[u8; 20]>);

impl PieceCheck for PieceHashes {
    fn begin(&self, _piece: PieceIndex) -> Box<dyn PieceHasher> {
        sha1_hasher() // one piece is hashed like any other
    }

    fn expected(&self, piece: PieceIndex) -> &[u8] {
        self.0
            .get(piece.position())
            .expect("a PieceIndex is made by its own Info, for a piece that exists")
    }
}

/// Begins a SHA-1, for a piece that has no expected hash yet: stage 10 makes torrents.
pub fn sha1_hasher() -> Box<dyn PieceHasher> {
    Box::new(Sha1::new())
}

/// SHA-1 knows no blocks: in whatever parts the bytes come, the hash is the same.
impl PieceHasher for Sha1 {
    fn update(&mut self, blocks: &[u8]) {
        Digest::update(self, blocks);
    }

    fn finish(&mut self) -> Vec<u8> {
        std::mem::take(self).finalize().to_vec()
    }
}
