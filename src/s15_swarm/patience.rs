//! How long a download goes on without a block, and without a peer.
//!
//! A download must not wait forever, and must not give up while there is a chance. So there are two
//! clocks. The one for blocks runs ten times as long: while peers are connected, one of them may
//! unchoke us at any time. Hashes that a download needs before its first block count as blocks do.
//! Time in which this program did not run is counted by neither.

use std::time::{Duration, Instant};

/// The longest time between two looks that counts. If we were held up for longer, by Ctrl-Z or by a
/// terminal that takes no output, that is not the peers' fault.
const MAX_COUNTED: Duration = Duration::from_secs(1);

/// A download's patience with its peers.
pub(super) struct Patience {
    /// The longest time without a connected peer. Ten times as long without a block.
    limit: Duration,
    /// When things were last noted.
    looked: Instant,
    /// When a peer was last connected, moved on by the time that we were held up.
    live: Instant,
    /// When a block last came or went, moved on likewise.
    block: Instant,
    /// The counter's value when the last block moved it.
    moved: u64,
}

impl Patience {
    /// Starts both clocks now, as if a peer had just been connected and a block had just come.
    pub fn new(limit: Duration) -> Patience {
        let now = Instant::now();
        Patience { limit, looked: now, live: now, block: now, moved: 0 }
    }

    /// Notes how things are now: what has come so far (for a seed, gone), and whether a peer
    /// is connected. Called several times a second. A longer pause between two calls means that we
    /// were held up.
    pub fn look(&mut self, now: Instant, moved: u64, live: bool) {
        // Zero as long as the calls come in time.
        let held_up = now.duration_since(self.looked).saturating_sub(MAX_COUNTED);
        self.looked = now;
        self.live = if live { now } else { self.live + held_up };
        // Compared for equality only: when a download becomes a seed, the counter is another one.
        self.block = if moved == self.moved { self.block + held_up } else { now };
        self.moved = moved;
    }

    /// Returns the time since the last block, without the time in which we were held up.
    pub fn silent(&self) -> Duration {
        self.looked - self.block
    }

    /// Returns when patience ends if nothing changes. Without a connected peer that is sooner, once
    /// each address has had its chances. `None` if the limit is too long for the clock.
    pub fn ends(&self, all_tried: bool) -> Option<Instant> {
        let without_peer = (all_tried && self.live < self.looked)
            .then(|| self.live.checked_add(self.limit))
            .flatten();
        without_peer.into_iter().chain(self.block.checked_add(self.limit.saturating_mul(10))).min()
    }

    /// Returns the limit, if no peer has been connected for longer. `None` while there is patience.
    pub fn without_peer(&self) -> Option<Duration> {
        (self.looked - self.live > self.limit).then_some(self.limit)
    }

    /// Returns the limit for blocks, if none has come for longer.
    pub fn without_block(&self) -> Option<Duration> {
        let limit = self.limit.saturating_mul(10);
        (self.looked - self.block > limit).then_some(limit)
    }
}
