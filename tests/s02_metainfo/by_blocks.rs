//! A check that is not SHA-1, and that insists on what every check may rely on: the blocks of a
//! piece come whole and in order, and only the last may be shorter.

use piecemeal::actors::torrent::sha1;
use piecemeal::s02_metainfo::piece_check::{PieceCheck, PieceHasher};
use piecemeal::s02_metainfo::{Info, PieceIndex};
use std::sync::Arc;

const BLOCK: usize = 16_384;

/// The hash of a piece is the SHA-1 of each of its blocks, one after the other.
#[derive(Debug)]
struct ByBlocks(Vec<Vec<u8>>);

/// The same torrent, whose pieces are now checked block by block.
pub fn by_blocks(mut info: Info, content: &[u8]) -> Info {
    let pieces = content.chunks(info.piece_length as usize);
    let hashes = pieces.map(|piece| piece.chunks(BLOCK).flat_map(sha1).collect::<Vec<u8>>());
    info.check = Arc::new(ByBlocks(hashes.collect()));
    info
}

impl PieceCheck for ByBlocks {
    fn begin(&self, _: PieceIndex) -> Box<dyn PieceHasher> {
        Box::<Hasher>::default()
    }

    fn expected(&self, piece: PieceIndex) -> &[u8] {
        &self.0[piece.position()]
    }
}

#[derive(Default)]
struct Hasher {
    hash: Vec<u8>,
    /// A block has come that was not whole.
    over: bool,
}

impl PieceHasher for Hasher {
    fn update(&mut self, blocks: &[u8]) {
        assert!(!self.over, "only the last block of a piece may be short");
        self.over = !blocks.len().is_multiple_of(BLOCK);
        self.hash.extend(blocks.chunks(BLOCK).flat_map(sha1));
    }

    fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.hash)
    }
}
