//! How much one input may hold; it depends on where the input comes from. Skip this on first
//! reading.
//!
//! Decoded, a value of two bytes takes 48, and 64 in a dictionary. A .torrent file of 750,000 files
//! needs three million values, and the user chose it. A peer's message needs ten, and fifty peers
//! can send one at the same time.

use super::{BencodeError, MAX_DEPTH, MAX_ITEMS, Value, read};

/// How much one input may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The deepest nesting of lists and dictionaries: it limits the stack.
    pub depth: usize,
    /// The most values: it limits the memory. Lists and dictionaries count as well.
    pub items: usize,
}

/// The limits of a .torrent file, and of any input that has no tighter ones.
pub const TORRENT: Limits = Limits { depth: MAX_DEPTH, items: MAX_ITEMS };

/// Decodes the value at the start of `input`, within these limits, and ignores what follows it.
///
/// # Errors
/// If the value is broken, or exceeds a limit.
pub fn decode_within(input: &[u8], limits: Limits) -> Result<Value<'_>, BencodeError> {
    read(input, limits, None)
}
