//! For how long nothing has come, and nobody was there.

use std::time::{Duration, Instant};

/// Of the time since the last look, no more than this counts. What has held us up for longer,
/// Ctrl-Z or a terminal that takes nothing, says nothing against the peers.
const MOST_COUNTED: Duration = Duration::from_secs(1);

/// A download's patience with its peers.
pub(super) struct Patience {
    /// Without a live peer. Ten times as long without a block.
    limit: Duration,
    looked: Instant,
    live: Instant,
    block: Instant,
    /// How much had come, or gone, when the last block had.
    moved: u64,
}

impl Patience {
    /// All of it is left.
    pub fn new(limit: Duration) -> Patience {
        let now = Instant::now();
        Patience { limit, looked: now, live: now, block: now, moved: 0 }
    }

    /// Takes in how it is now: this many bytes of blocks have come (of a seed: have gone), and
    /// there is, or is not, a live peer. To be told again and again.
    pub fn look(&mut self, now: Instant, moved: u64, live: bool) {
        let held_up = now.duration_since(self.looked).saturating_sub(MOST_COUNTED);
        self.looked = now;
        self.live = if live { now } else { self.live + held_up };
        self.block = if moved == self.moved { self.block + held_up } else { now };
        self.moved = moved;
    }

    /// How long there has been no block.
    pub fn silent(&self) -> Duration {
        self.looked - self.block
    }

    /// When it ends, if nothing changes. Without a live peer that is sooner, once each address
    /// has had its chances.
    pub fn ends(&self, all_tried: bool) -> Option<Instant> {
        let without_peer = (all_tried && self.live < self.looked).then(|| self.live.checked_add(self.limit)).flatten();
        without_peer.into_iter().chain(self.block.checked_add(self.limit * 10)).min()
    }

    /// The limit, if there has been no live peer for longer.
    pub fn without_peer(&self) -> Option<Duration> {
        (self.looked - self.live > self.limit).then_some(self.limit)
    }

    /// The same for blocks.
    pub fn without_block(&self) -> Option<Duration> {
        (self.looked - self.block > self.limit * 10).then_some(self.limit * 10)
    }
}
