//! Blocks that arrived in one read, taken together. Skip this at first reading.
//!
//! Under load, up to four blocks of a piece arrive in one read. If the caller gets them one by one,
//! each costs a write to the disk. If it gets all of them while they are still in the reader's
//! buffer, they cost one write (stage 12).
//!
//! Only this stage knows where a message ends, so the blocks are taken here and not where they
//! are needed: a caller would have to move the reader's index itself.

use super::{BLOCK_LENGTH, Message};

/// The size of a buffer under load, in bytes: exactly four blocks, each after its length, id,
/// index and begin. One system call reads them all, and no part of a fifth.
pub(super) const BUSY_BUFFER: usize = 4 * (4 + 1 + 4 + 4 + BLOCK_LENGTH as usize);

/// Returns the next size of a buffer that a read has filled: fourfold, and never more than a busy
/// one, unless it is longer already.
pub(super) fn busier(length: usize) -> usize {
    match length * 4 {
        next if next < BUSY_BUFFER / 2 => next,
        // Not 64 KiB first, which is 52 bytes less: a vector that grows at all doubles its memory.
        _ => length.max(BUSY_BUFFER),
    }
}

/// The bytes received after a message. It borrows the reader, so it has to be dropped before
/// the next read.
pub struct Rest<'m> {
    /// From the next message to the end of what was received.
    pub(super) bytes: &'m [u8],
    /// The reader's own `next`: what is taken here is not read again.
    pub(super) next: &'m mut usize,
}

impl<'m> Rest<'m> {
    /// Takes the next message if it is whole and brings the block at `begin` of this piece.
    /// Any other message stays, to be read: `None` also means a message that is broken or
    /// too long, since [`MessageReader::read`](super::MessageReader::read) will say what is
    /// wrong with it.
    pub fn block(&mut self, index: u32, begin: u32) -> Option<&'m [u8]> {
        let (prefix, rest) = self.bytes.split_first_chunk()?;
        let (message, rest) = rest.split_at_checked(u32::from_be_bytes(*prefix) as usize)?;
        let Ok(Message::Piece { index: i, begin: b, block }) = Message::decode(message) else {
            return None;
        };
        // Within the limit of a block, which `read` checks by the length prefix.
        let next = (i, b) == (index, begin) && (1..=BLOCK_LENGTH as usize).contains(&block.len());
        next.then(|| {
            self.bytes = rest;
            *self.next += 4 + message.len();
            block
        })
    }
}
