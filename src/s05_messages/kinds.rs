//! What a message's id alone gives: its name, and the longest it may be.

use super::BLOCK_LENGTH;

/// The longest message that is read, in bytes, unless it is a bitfield. Of the known
/// messages, only blocks and metadata pieces exceed a few KiB, and those stay below 17 KiB.
/// Not more, since fifty peers can each make us keep a message of this length.
pub const MAX_MESSAGE_LENGTH: usize = 128 << 10;

/// Returns the longest that a message may be in a torrent with this many pieces, in bytes, its id
/// included. If the id has not come yet, it may be a bitfield's.
pub fn longest(id: Option<u8>, pieces: u32) -> usize {
    match id {
        // Id, index and begin, before the block. A block that we requested is no longer.
        Some(7) => 9 + BLOCK_LENGTH as usize,
        Some(5) | None => MAX_MESSAGE_LENGTH.max(1 + pieces.div_ceil(8) as usize),
        Some(_) => MAX_MESSAGE_LENGTH,
    }
}

/// The name that BEP 3, 5 or 6 gives to the message with this id.
pub fn name(id: u8) -> Option<&'static str> {
    const BASIC: [&str; 10] = [
        "choke",
        "unchoke",
        "interested",
        "not interested",
        "have",
        "bitfield",
        "request",
        "piece",
        "cancel",
        "port",
    ];
    const FAST: [&str; 5] =
        ["suggest piece", "have all", "have none", "reject request", "allowed fast"];
    // Between the two, these BEPs give no message a number. Number 20 is stage 7's.
    let fast = || FAST.get(usize::from(id).checked_sub(13)?);
    BASIC.get(usize::from(id)).or_else(fast).copied()
}
