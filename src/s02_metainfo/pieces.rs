//! Pieces: their numbers, and how they cover the files.
//!
//! ```text
//! version 1   | first     | second      | third |     pieces cover everything, padding included
//!             | 0    | 1    | 2    | 3    | 4   |
//!
//! aligned     | first     |pad| second     |pad | third |     each file begins at a piece, and a
//!             | 0    | 1  |   | 2    | 3   |    | 4     |     piece ends with its file
//! ```
//! In both, a piece begins at its number times the piece length, so all that reads and writes files
//! is the same. Only [`Info::piece_size`] differs: no piece covers the padding of aligned files.
//! Torrents of version 1 are read in this stage; [`Parts`](super::Parts) makes aligned ones.

use std::fmt;

use super::Info;

/// The number of a piece that exists, counted from 0. Only [`Info`] makes them, so functions
/// that take one need no error for a piece that does not exist. A number from the wire is a
/// `u32` until it has been through [`Info::piece`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PieceIndex(u32);

impl PieceIndex {
    /// The number, as it is sent over the wire.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The number as an index for slices.
    pub fn position(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PieceIndex {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// How the pieces cover the files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The number of pieces. All files together have this many, and there is a hash for each.
    pub pieces: u32,
    /// Whether each file that is not empty begins at a piece, and a piece ends with its file.
    pub is_aligned: bool,
}

impl Info {
    /// The number of pieces.
    pub fn piece_count(&self) -> u32 {
        self.shape.pieces
    }

    /// Whether the hashes of all pieces are known. Those of version 1 are in the info dictionary.
    pub fn is_whole(&self) -> bool {
        self.lacking() == 0
    }

    /// The number of files of which the pieces' hashes are not known.
    pub fn lacking(&self) -> usize {
        self.check.lacking()
    }

    /// The piece with this number, if there is one: the gate for numbers from the wire.
    pub fn piece(&self, index: u32) -> Option<PieceIndex> {
        (index < self.shape.pieces).then_some(PieceIndex(index))
    }

    /// All pieces in order. The iterator borrows nothing from the [`Info`].
    pub fn pieces(&self) -> impl Iterator<Item = PieceIndex> + use<> {
        (0..self.shape.pieces).map(PieceIndex)
    }

    /// The hash that the piece's content must have: 20 bytes of SHA-1 in version 1.
    pub fn piece_hash(&self, piece: PieceIndex) -> &[u8] {
        self.check.expected(piece)
    }

    /// Where the piece starts in the whole content, in bytes.
    pub fn piece_offset(&self, piece: PieceIndex) -> u64 {
        u64::from(piece.get()) * u64::from(self.piece_length) // in 32 bits, 4 GiB would overflow
    }

    /// The length of this piece, in bytes: the last one may be shorter.
    pub fn piece_size(&self, piece: PieceIndex) -> u32 {
        let left = self.end_of_content(piece) - self.piece_offset(piece);
        // If more is left than fits in 32 bits, this is not the last piece.
        u32::try_from(left).map_or(self.piece_length, |left| left.min(self.piece_length))
    }

    /// Returns where the content ends that the piece is cut from: all of it, or the piece's file.
    fn end_of_content(&self, piece: PieceIndex) -> u64 {
        if !self.shape.is_aligned {
            return self.length;
        }
        // The first file that ends after the piece begins: earlier ones, empty ones and padding all
        // end before, or just there.
        let begin = self.piece_offset(piece);
        let file = self.files.partition_point(|file| file.offset + file.length <= begin);
        self.files.get(file).map_or(begin, |file| file.offset + file.length)
    }
}
