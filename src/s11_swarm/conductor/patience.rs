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
    /// How much had come when the last block had.
    downloaded: u64,
}

impl Patience {
    /// All of it is left.
    pub fn new(limit: Duration) -> Patience {
        let now = Instant::now();
        Patience { limit, looked: now, live: now, block: now, downloaded: 0 }
    }

    /// How it stands now: so many bytes of blocks have come, and there is, or is not, a
    /// live peer. To be told again and again.
    pub fn look(&mut self, now: Instant, downloaded: u64, live: bool) {
        let held_up = now.duration_since(self.looked).saturating_sub(MOST_COUNTED);
        self.looked = now;
        self.live = if live { now } else { self.live + held_up };
        self.block = if downloaded > self.downloaded { now } else { self.block + held_up };
        self.downloaded = downloaded;
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
