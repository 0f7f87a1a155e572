//! The pieces that a side says it has: a set of indices, in as little memory as there are messages.

use std::collections::BTreeMap;

/// While the number of pieces is unknown, no `have` above this is counted.
const MAX_KNOWN_PIECES: u32 = 1 << 20;

/// A set of piece indices, or all of them.
#[derive(Debug, Default)]
pub struct Pieces {
    /// A bit for each piece, 64 in a word; empty words are not stored. So a `have` with a high
    /// index takes no more room than another.
    bits: BTreeMap<u32, u64>,
    count: u32,
    /// Whether it said `have all`.
    pub all: bool,
}

impl Pieces {
    /// Adds or removes a piece, if there can be one of this index.
    pub fn set(&mut self, index: u32, has: bool, pieces: Option<u32>) {
        if index >= pieces.unwrap_or(MAX_KNOWN_PIECES) || self.all && has {
            return;
        }
        if self.all {
            // It no longer has all. Without the number of pieces, the rest is unknown.
            let Some(pieces) = pieces else { return };
            self.replace(&vec![0xff; pieces.div_ceil(8) as usize]);
            self.count = pieces;
        }
        let (word, bit) = (self.bits.entry(index / 64).or_default(), 1_u64 << 63 >> (index % 64));
        if (*word & bit != 0) != has {
            *word ^= bit;
            self.count = if has { self.count + 1 } else { self.count.saturating_sub(1) };
        }
    }

    /// Takes a bitfield in place of everything before.
    pub fn replace(&mut self, bits: &[u8]) {
        let word = |eight: &[u8]| {
            (0..8)
                .fold(0_u64, |word, at| word << 8 | u64::from(eight.get(at).copied().unwrap_or(0)))
        };
        let bits: BTreeMap<u32, u64> =
            (0..).zip(bits.chunks(8).map(word)).filter(|(_, word)| *word != 0).collect();
        *self =
            Pieces { count: bits.values().map(|word| word.count_ones()).sum(), bits, all: false };
    }

    /// Returns the number of pieces, or `all` if the number is unknown.
    pub fn shown(&self, pieces: Option<u32>) -> String {
        match pieces {
            _ if !self.all => self.count.to_string(),
            Some(pieces) => pieces.to_string(),
            None => "all".to_owned(),
        }
    }
}
