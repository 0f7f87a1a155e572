//! The deadlines of one session.
//!
//! Each demands *progress*: a byte now and then keeps a read alive, but does not extend these.
//!
//! | limit | on what | runs while | starts again with |
//! |---|---|---|---|
//! | 20 s | a message | a part of one is there | each whole message |
//! | 20 s | the next block | the peer owes us blocks | each block; a request when none is open |
//! | 60 s or more | the oldest piece | the peer owes us blocks | the end of that piece |
//! | 180 s | any message | always | each whole message, a keep-alive included |
//!
//! A peer that chokes us owes nothing. Nor does one that our own rate limit has kept us from
//! asking: while nothing is outstanding, the clocks of blocks and pieces stop. At 2 KiB/s, a piece
//! of 256 KiB takes 128 s, and even a perfect peer would have been too slow.

use std::time::{Duration, Instant};

use super::host::SessionEnd;

/// Longest time for one message, once it has begun.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time between blocks while the peer owes us any.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time for a piece: this, or the time that its length takes at [`MIN_RATE`], if longer.
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);
/// The slowest rate for a large piece, in bytes a second. At this rate, 16 MiB take over an hour,
/// so a fixed time would either throw out slow peers or let a small piece wait that long.
const MIN_RATE: u32 = 4 * 1024;
/// Longest time without any message at all.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(180);
/// We send a keep-alive after this long. Others hang up after 120 s of silence.
const KEEP_ALIVE: Duration = Duration::from_secs(100);

/// The times of a session's last events. It is told the time, and never asks for it.
pub struct Deadlines {
    /// The time of what happens now. The loop sets it before it decides what to request, and again
    /// before it waits. Looking it up for each use would cost more, and the uses would not agree.
    pub now: Instant,
    /// When the last block arrived, or when the peer last owed us nothing.
    block: Instant,
    /// When the oldest piece became the oldest, plus the time in which the peer owed us nothing.
    piece: Instant,
    /// When the last whole message arrived.
    received: Instant,
    /// When we last handed messages to the send path.
    sent: Instant,
    /// When the message that is only partly there began.
    begun: Option<Instant>,
}

impl Deadlines {
    /// Starts all of them now. So a peer has the full time for its first message.
    pub fn new(now: Instant) -> Deadlines {
        Deadlines { now, block: now, piece: now, received: now, sent: now, begun: None }
    }

    /// Notes that a whole message has arrived. A keep-alive counts: the peer is there.
    pub fn message_received(&mut self, now: Instant) {
        self.now = now;
        self.received = now;
        self.begun = None;
    }

    /// Notes that a block has arrived that the peer owed us.
    pub fn block_received(&mut self) {
        self.block = self.now;
    }

    /// Notes that another piece is the oldest one now.
    pub fn next_piece(&mut self) {
        self.piece = self.now;
    }

    /// Notes that the peer owes us no block at this moment. The time since its last block was not
    /// the peer's: both clocks, of the next block and of the piece, leave it out.
    pub fn nothing_owed(&mut self) {
        // Not later than now: the piece may have become the oldest after that block.
        self.piece = (self.piece + self.owed_for()).min(self.now);
        self.block = self.now;
    }

    /// The time since the last block, or since the peer last owed us nothing.
    pub fn owed_for(&self) -> Duration {
        self.now.duration_since(self.block)
    }

    /// Notes that something was sent.
    pub fn message_sent(&mut self) {
        self.sent = self.now;
    }

    /// Whether it is time for a keep-alive.
    pub fn needs_keep_alive(&self) -> bool {
        self.now.duration_since(self.sent) > KEEP_ALIVE
    }

    /// Checks all deadlines. `begun`: a message is there in part; `owed`: the length of the oldest
    /// piece, if the peer owes us blocks.
    ///
    /// # Errors
    /// If one has passed: what took too long.
    pub fn check(&mut self, begun: bool, owed: Option<u32>) -> Result<(), SessionEnd> {
        // The clock of a message starts when we first see it incomplete: the reader does not say
        // when its first byte came, but it cannot be long ago.
        let since = if begun { *self.begun.get_or_insert(self.now) } else { self.now };
        let over = |since: Instant, limit: Duration| self.now.duration_since(since) > limit;
        if over(since, MESSAGE_TIMEOUT) {
            return Err(SessionEnd::Slow("a message took over 20 s"));
        }
        if over(self.received, IDLE_TIMEOUT) {
            return Err(SessionEnd::Slow("it said nothing for 180 s"));
        }
        let Some(length) = owed else { return Ok(()) };
        if over(self.block, BLOCK_TIMEOUT) {
            return Err(SessionEnd::Slow("no block came for 20 s"));
        }
        if over(self.piece, PIECE_TIMEOUT.max(Duration::from_secs((length / MIN_RATE).into()))) {
            return Err(SessionEnd::Slow("a piece took too long"));
        }
        Ok(())
    }
}
