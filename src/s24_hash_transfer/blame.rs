//! Which block of a wrong piece is wrong: its hashes tell, and so who sent it.
//!
//! ```text
//!          P        known: the hash of the piece
//!        /   \
//!      .       .    computed
//!     / \     / \
//!    b0  b1  b2  b3     asked for, with no uncle: together they must lead to P
//!    A   B   A   C      who sent each block; b1 is another one than B's block has
//! ```
//! The piece had a wrong hash, and A, B and C are all suspects. With the four hashes, only b1 is
//! fetched again, and only B is banned.

use super::layers::MAX_LENGTH;
use super::message::HashRequest;
use crate::s12_session::host::Torrent;
use crate::s23_v2::merkle::{BLOCK_LENGTH, Hash};
use crate::s23_v2::trees::Trees;

/// A piece with a block that is wrong.
pub struct SpoiltPiece {
    /// The piece's number.
    piece: u32,
    /// Asks for the hashes of all its blocks, and for no proof: the hash of the piece is known.
    pub request: HashRequest,
    /// That hash.
    pub expected: Hash,
    /// The number of its blocks. What is after them in the tree is beyond the end of the file.
    blocks: usize,
}

impl SpoiltPiece {
    /// Returns what to ask for, about a piece. `None` if it has a single block, or more than are
    /// given at a time: pieces longer than 8 MiB are fetched again, as in version 1.
    pub fn of_piece(trees: &Trees, piece: u32) -> Option<SpoiltPiece> {
        let file = trees.file_of(piece)?;
        let layer = trees.height_at(file);
        let length = 1u32.checked_shl(layer).filter(|length| (2..=MAX_LENGTH).contains(length))?;
        let request = HashRequest {
            root: file.root,
            base_layer: 0,
            index: (piece - file.first_piece).checked_mul(length)?,
            length,
            proof_layers: layer - 1, // those that we compute ourselves
        };
        let blocks = trees.bytes_of(file, piece).div_ceil(BLOCK_LENGTH as u64) as usize;
        Some(SpoiltPiece { piece, request, expected: *trees.piece_hash(piece)?, blocks })
    }

    /// Returns the pieces about which we have made this request: one for each file with this root,
    /// or none if it was about a layer.
    pub fn of_request(trees: &Trees, request: &HashRequest) -> Vec<SpoiltPiece> {
        let files = trees.of_root(request.root);
        let spoilt = files.filter_map(|file| {
            let piece = file.first_piece + (request.index >> trees.height_at(file));
            SpoiltPiece::of_piece(trees, piece).filter(|spoilt| spoilt.request == *request)
        });
        spoilt.collect()
    }

    /// Tells the work queue which hashes the blocks must have.
    pub fn explain(&self, hashes: &[Hash], torrent: &Torrent) {
        let Some(piece) = torrent.queue.info().piece(self.piece) else { return };
        let hashes: Vec<[u8; 32]> = hashes.iter().take(self.blocks).map(|hash| hash.0).collect();
        torrent.queue.explain(piece, &hashes, &*torrent.store);
    }
}
