//! The pieces a peer has: one bit each, the first piece in the highest bit.
//!
//! ```text
//! byte     0          1               ten pieces, of which the peer has 0, 2 and 9
//! bit      1010 0000  01.. ....
//! piece    0123 4567  89              the last six bits are spare
//! ```

use thiserror::Error;

use crate::s01_bencode::counted;

/// A set of pieces of one torrent.
///
/// Stored as words of 64 bits. The first piece is the highest bit, as in the bytes
/// on the wire. So two sets can be compared 64 pieces at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitfield {
    /// Spare bits of the last word are always 0, so counting and comparing need not mask them.
    words: Vec<u64>,
    pieces: u32,
}

impl Bitfield {
    /// The empty set of a torrent with this many pieces.
    pub fn new(pieces: u32) -> Bitfield {
        Bitfield { words: vec![0; pieces.div_ceil(64) as usize], pieces }
    }

    /// The set of all pieces.
    pub fn full(pieces: u32) -> Bitfield {
        let mut full = Bitfield { words: vec![u64::MAX; pieces.div_ceil(64) as usize], pieces };
        if let Some(last) = full.words.last_mut()
            && !pieces.is_multiple_of(64)
        {
            *last <<= 64 - pieces % 64;
        }
        full
    }

    /// Decodes the payload of a `bitfield` message. Spare bits at its end are cleared:
    /// BEP 3 wants them zero, but nothing depends on them ([`has_spare_bits`]).
    ///
    /// # Errors
    /// If it is too short or too long for this many pieces. Then it is unclear which bit is
    /// which piece.
    pub fn decode(bytes: &[u8], pieces: u32) -> Result<Bitfield, BitfieldError> {
        let expected = pieces.div_ceil(8) as usize;
        if bytes.len() != expected {
            return Err(BitfieldError::Length { expected, pieces, found: bytes.len() });
        }
        let word = |chunk: &[u8]| {
            // The last chunk may have fewer than eight bytes; zeros follow it.
            let mut whole = [0; 8];
            whole.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(whole)
        };
        let mut bitfield = Bitfield { words: bytes.chunks(8).map(word).collect(), pieces };
        if let (Some(last), used @ 1..) = (bitfield.words.last_mut(), pieces % 64) {
            *last &= u64::MAX << (64 - used);
        }
        Ok(bitfield)
    }

    /// The payload of a `bitfield` message, without the bytes that only fill the last word.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.truncate(self.pieces.div_ceil(8) as usize);
        bytes
    }

    /// Whether the piece is in the set.
    pub fn has(&self, index: u32) -> bool {
        self.words.get(index as usize / 64).is_some_and(|word| word & mask(index) != 0)
    }

    /// Adds or removes a piece and returns whether the set changed. An index out of range changes
    /// nothing.
    pub fn set(&mut self, index: u32, has: bool) -> bool {
        if index >= self.pieces || self.has(index) == has {
            return false;
        }
        if let Some(word) = self.words.get_mut(index as usize / 64) {
            *word ^= mask(index); // the bit differs from `has`, as was checked above
        }
        true
    }

    /// The number of pieces in the set.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether every piece is in the set.
    pub fn is_full(&self) -> bool {
        self.count() == self.pieces
    }

    /// The pieces in the set, in rising order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.pieces).filter(|index| self.has(*index))
    }

    /// The words, first piece in the highest bit of the first: for comparing whole sets.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

/// The pieces a peer has. A seed says so in one byte (`have all`), and needs no bits here either:
/// those of fifty seeds would take 12 MiB in a torrent of two million pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerPieces {
    /// Everything: the peer is a seed.
    All,
    /// These.
    Some(Bitfield),
}

impl PeerPieces {
    /// Whether the peer has a piece.
    pub fn has(&self, index: u32) -> bool {
        match self {
            PeerPieces::All => true,
            PeerPieces::Some(pieces) => pieces.has(index),
        }
    }
}

/// The bit of a piece in its word.
fn mask(index: u32) -> u64 {
    1 << (63 - index % 64)
}

/// The note about a bitfield with a spare bit set.
pub const SPARE_BITS: &str = "its bitfield sets bits beyond the last piece, which must be zero (BEP 3); they are passed over";

/// Whether a bit is set for a piece that does not exist, in a payload of the right length.
pub fn has_spare_bits(bytes: &[u8], pieces: u32) -> bool {
    let spare = bytes.len().saturating_mul(8).saturating_sub(pieces as usize);
    bytes.last().is_some_and(|last| (1..8).contains(&spare) && last << (8 - spare) != 0)
}

/// Why a bitfield is refused.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum BitfieldError {
    /// It does not have one bit for each piece.
    #[error("a bitfield for {pieces} pieces must be {}, but is {found}", counted(*expected, "byte"))]
    Length { expected: usize, pieces: u32, found: usize },
}
