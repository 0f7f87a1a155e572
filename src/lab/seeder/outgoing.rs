//! The blocks on their way to a peer: encoded at once, sent in portions, counted when whole.

/// The bytes of an encoded `piece` message before its block: length, id, index and begin.
const HEAD: usize = 4 + 1 + 4 + 4;

/// The messages that bring blocks, as far as they are not sent.
#[derive(Default)]
pub struct Outgoing {
    encoded: Vec<u8>,
    /// How much of `encoded` is sent, in bytes.
    gone: usize,
    sum: Sent,
}

/// What was sent once all of it has gone: the number of blocks, and the bytes in them.
#[derive(Clone, Copy, Default)]
pub struct Sent {
    pub blocks: u64,
    pub bytes: u64,
}

impl Outgoing {
    /// Adds an encoded `piece` message.
    pub fn add(&mut self, piece: &[u8]) {
        self.encoded.extend_from_slice(piece);
        self.sum.blocks += 1;
        self.sum.bytes += piece.len().saturating_sub(HEAD) as u64;
    }

    /// Changes the last byte of the last block.
    pub fn spoil_last(&mut self) {
        if let Some(last) = self.encoded.last_mut() {
            *last ^= 0x55;
        }
    }

    /// Whether no block is on its way.
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// Returns the number of blocks.
    pub fn count(&self) -> u64 {
        self.sum.blocks
    }

    /// Returns the bytes that are still to be sent.
    pub fn left(&self) -> &[u8] {
        self.encoded.get(self.gone..).unwrap_or_default()
    }

    /// Records that this many bytes were sent. Returns the sum once nothing is left, and starts
    /// over.
    pub fn sent(&mut self, count: usize) -> Option<Sent> {
        self.gone += count;
        if self.gone < self.encoded.len() {
            return None;
        }
        self.gone = 0;
        self.encoded.clear(); // it keeps its room for the next blocks
        Some(std::mem::take(&mut self.sum))
    }
}
