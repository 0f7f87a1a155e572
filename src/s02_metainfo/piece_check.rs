//! How a piece is recognized: by a hash, computed as its bytes arrive.
//!
//! ```text
//! check.begin(piece) -> hasher.update(block), for each block in order -> hasher.finish()
//!                                                 the same as check.expected(piece)?
//! ```
//! All code that hashes pieces uses these two traits, and compares whole hashes, however long they
//! are. So a torrent of version 2 (BEP 52), which has trees of SHA-256, needs another check and no
//! other code. A torrent of version 1 has a SHA-1 for each piece (BEP 3), the only kind here.

use std::fmt::Debug;

use sha1::{Digest, Sha1};

use super::PieceIndex;

/// The hash that each piece of a torrent must have.
pub trait PieceCheck: Debug + Send + Sync {
    /// Begins to hash a piece. Any number of them may be in progress at the same time.
    fn begin(&self, piece: PieceIndex) -> Box<dyn PieceHasher>;

    /// Returns the hash that the piece must have.
    fn expected(&self, piece: PieceIndex) -> &[u8];
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
