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
//! asking.

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

/// The times of a session's last events.
pub(super) struct Deadlines {
    /// The current time, looked up once per turn of the loop and once per message. Looking it up
    /// for each use would cost more, and the uses would not agree.
    pub now: Instant,
    /// When the last block arrived, or the first request after none was sent.
    pub block: Instant,
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
        Deadlines { now, block: now, received: now, sent: now, begun: None }
    }

    /// Notes that a whole message has arrived. A keep-alive counts: the peer is there.
    pub fn message_received(&mut self) {
        self.now = Instant::now();
        self.received = self.now;
        self.begun = None;
    }

    /// Notes that something was sent.
    pub fn message_sent(&mut self) {
        self.sent = self.now;
    }

    /// Whether it is time for a keep-alive.
    pub fn needs_keep_alive(&self) -> bool {
        self.now.duration_since(self.sent) > KEEP_ALIVE
    }

    /// Checks all deadlines. `begun`: a message is there in part; `owing`: the peer owes blocks.
    /// `piece` is the oldest piece it owes us: since when, and its length in bytes.
    pub fn check(
        &mut self,
        begun: bool,
        owing: bool,
        piece: Option<(Instant, u32)>,
    ) -> Result<(), SessionEnd> {
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
        if owing && over(self.block, BLOCK_TIMEOUT) {
            return Err(SessionEnd::Slow("no block came for 20 s"));
        }
        if let Some((since, size)) = piece
            && over(since, PIECE_TIMEOUT.max(Duration::from_secs(u64::from(size / MIN_RATE))))
        {
            return Err(SessionEnd::Slow("a piece took too long"));
        }
        Ok(())
    }
}
