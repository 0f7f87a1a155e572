//! How much one input may hold: the input's use decides. A first reading can skip this.
//!
//! Decoded, a value of two bytes takes 40, and 56 in a dictionary. A .torrent file of a million
//! files needs three million values, and it is the user's. A peer's message needs ten, and fifty
//! peers can send one at the same time.

use super::{BencodeError, MAX_DEPTH, MAX_ITEMS, Value, read};

/// How much one input may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep lists and dictionaries may nest.
    pub depth: usize,
    /// How many values there may be, each list and dictionary among them.
    pub items: usize,
}

/// The limits of a .torrent file, and of whatever has no closer ones.
pub const TORRENT: Limits = Limits { depth: MAX_DEPTH, items: MAX_ITEMS };

/// Decodes the value at the start of `input`, within these limits, and ignores what follows it.
///
/// # Errors
/// If the value is broken, or exceeds a limit.
pub fn decode_within(input: &[u8], limits: Limits) -> Result<Value<'_>, BencodeError> {
    read(input, limits, None)
}
