//! How long a download goes on without a block, and without a peer.

use std::time::{Duration, Instant};

/// The longest time between two looks that counts. If we were held up for longer, by Ctrl-Z or by a
/// terminal that takes no output, that is not the peers' fault.
const MAX_COUNTED: Duration = Duration::from_secs(1);

/// A download's patience with its peers.
pub(super) struct Patience {
    /// The longest time without a connected peer. Ten times as long without a block.
    limit: Duration,
    looked: Instant,
    live: Instant,
    block: Instant,
    /// The counter's value when the last block moved it.
    moved: u64,
}

impl Patience {
    /// Starts with all of it left.
    pub fn new(limit: Duration) -> Patience {
        let now = Instant::now();
        Patience { limit, looked: now, live: now, block: now, moved: 0 }
    }

    /// Notes how things are now: the bytes received so far (for a seed, sent), and whether a peer is
    /// connected. To be called again and again.
    pub fn look(&mut self, now: Instant, moved: u64, live: bool) {
        let held_up = now.duration_since(self.looked).saturating_sub(MAX_COUNTED);
        self.looked = now;
        self.live = if live { now } else { self.live + held_up };
        self.block = if moved == self.moved { self.block + held_up } else { now };
        self.moved = moved;
    }

    /// The time since the last block.
    pub fn silent(&self) -> Duration {
        self.looked - self.block
    }

    /// When patience ends if nothing changes. Without a connected peer that is sooner, once each
    /// address has had its chances.
    pub fn ends(&self, all_tried: bool) -> Option<Instant> {
        let without_peer = (all_tried && self.live < self.looked)
            .then(|| self.live.checked_add(self.limit))
            .flatten();
        without_peer.into_iter().chain(self.block.checked_add(self.limit * 10)).min()
    }

    /// The limit, if no peer has been connected for longer.
    pub fn without_peer(&self) -> Option<Duration> {
        (self.looked - self.live > self.limit).then_some(self.limit)
    }

    /// The limit for blocks, if none has come for longer.
    pub fn without_block(&self) -> Option<Duration> {
        (self.looked - self.block > self.limit * 10).then_some(self.limit * 10)
    }
}
