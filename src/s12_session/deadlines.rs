//! What one peer may take its time for, and for how long.
//!
//! Each limit is a deadline on *progress*: a peer that sends a byte now and then keeps
//! a read alive, but not these.

use std::time::{Duration, Instant};

use super::Ended;

/// The longest that one message may take, once begun.
const MESSAGE_TIME: Duration = Duration::from_secs(20);
/// The longest between blocks, while we are owed any.
const BLOCK_TIME: Duration = Duration::from_secs(20);
/// The longest for a piece: this, or what its length takes at [`SLOWEST`].
const PIECE_TIME: Duration = Duration::from_secs(60);
/// In bytes a second.
const SLOWEST: u32 = 4 * 1024;
/// The longest without any message at all.
const IDLE_TIME: Duration = Duration::from_secs(180);
/// How long we are silent before we send a keep-alive. Others hang up after 120 s.
const KEEP_ALIVE: Duration = Duration::from_secs(100);

/// When a session last did this or that.
pub(super) struct Clock {
    /// The time, looked at once a turn.
    pub now: Instant,
    /// When the last block came, or the first of several was asked for.
    pub block: Instant,
    heard: Instant,
    sent: Instant,
    begun: Option<Instant>,
}

impl Clock {
    pub fn new(now: Instant) -> Clock {
        Clock { now, block: now, heard: now, sent: now, begun: None }
    }

    /// A message has come, whole. A keep-alive counts: the peer is there.
    pub fn heard(&mut self) {
        self.now = Instant::now();
        self.heard = self.now;
        self.begun = None;
    }

    /// Something was sent.
    pub fn sent(&mut self) {
        self.sent = self.now;
    }

    /// Whether it is time for a keep-alive.
    pub fn must_speak(&self) -> bool {
        self.now.duration_since(self.sent) > KEEP_ALIVE
    }

    /// Looks at all limits: a message has `begun`; the peer is `owing` us blocks, the
    /// first of them of a `piece` that was begun then and has so many bytes.
    pub fn check(&mut self, begun: bool, owing: bool, piece: Option<(Instant, u32)>) -> Result<(), Ended> {
        // The clock of a message starts when we first see it incomplete.
        let since = if begun { *self.begun.get_or_insert(self.now) } else { self.now };
        let over = |since: Instant, limit: Duration| self.now.duration_since(since) > limit;
        if over(since, MESSAGE_TIME) {
            return Err(Ended::Slow("a message took over 20 s"));
        }
        if over(self.heard, IDLE_TIME) {
            return Err(Ended::Slow("it said nothing for 180 s"));
        }
        if owing && over(self.block, BLOCK_TIME) {
            return Err(Ended::Slow("no block came for 20 s"));
        }
        if let Some((since, size)) = piece
            && over(since, PIECE_TIME.max(Duration::from_secs(u64::from(size / SLOWEST))))
        {
            return Err(Ended::Slow("a piece took too long"));
        }
        Ok(())
    }
}
