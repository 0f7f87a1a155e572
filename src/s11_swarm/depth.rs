//! How many requests to have on their way to one peer.
//!
//! Too few, and the line is idle while a request travels: with one at a time and a
//! round trip of 50 ms, 20 blocks a second, whatever the line could carry. Too many,
//! and a slow peer sits on work that others would have done long ago, while what a fast
//! one sends waits in the kernel until no cache holds it any more.

use std::time::{Duration, Instant};

use crate::s05_messages::BLOCK_LENGTH;

/// To a peer whose speed is not known yet.
const FIRST: usize = 16;
/// The fewest, so that a slow peer, too, has something to do.
const LEAST: usize = 4;
/// As many as nearly always fill the line, in blocks: 1 MiB.
const PLENTY: usize = 64;
/// A round trip holds what is sent in its time. So often that is asked for, since
/// requests go out in batches and round trips become longer under load.
const ROUND_TRIPS: f64 = 4.0;
/// The most, whatever the peer says it can queue: 8 MiB.
const MOST: usize = 8 * 1024 * 1024 / BLOCK_LENGTH as usize;
/// The longest time between two fittings.
const WINDOW: Duration = Duration::from_secs(1);

/// A second's worth of blocks is kept on its way, which is more than any round trip and
/// little enough to be called back; of a fast peer only `PLENTY`, unless the
/// round trip is so long that more of them fit into it.
pub struct Depth {
    depth: usize,
    /// How many blocks have come since then.
    blocks: usize,
    since: Instant,
    /// Whether nothing was on its way before then, and nothing has come since.
    resumed: bool,
    /// The shortest time between a request and its block.
    round_trip: Duration,
    /// The time for a block, when that was last measured.
    block_time: Option<Duration>,
}

impl Depth {
    /// For a peer that we know nothing of.
    pub fn new(now: Instant) -> Depth {
        Depth { depth: FIRST, blocks: 0, since: now, resumed: false, round_trip: WINDOW, block_time: None }
    }

    /// How many requests may be on their way.
    pub fn get(&self) -> usize {
        self.depth
    }

    /// The time for a block: for now that of the first that came, then as it was last measured.
    pub fn block_time(&self) -> Option<Duration> {
        self.block_time
    }

    /// The peer owed us blocks and has taken that back: how fast it was says nothing any more.
    pub fn forget_block_time(&mut self) {
        self.block_time = None;
    }

    /// Nothing was on its way, and now something is. The time before says nothing of
    /// the speed, and the first answer tells the round trip: it has no other before it.
    pub fn resume(&mut self, now: Instant) {
        (self.blocks, self.since, self.resumed) = (0, now, true);
    }

    /// Blocks have come, from a peer that queues `most` requests.
    pub fn blocks_came(&mut self, count: usize, now: Instant, most: usize) {
        self.blocks += count;
        let time = now.duration_since(self.since).max(Duration::from_micros(1));
        if std::mem::take(&mut self.resumed) {
            self.round_trip = self.round_trip.min(time);
        }
        // Better a rough value than none: the end game may be over before the first fitting.
        self.block_time.get_or_insert(time / self.blocks.max(1) as u32);
        // As soon as all that was on its way has come: so it grows with every round trip.
        if self.blocks >= self.depth || time >= WINDOW {
            self.block_time = Some(time / self.blocks as u32);
            let rate = self.blocks as f64 / time.as_secs_f64();
            let filled = ROUND_TRIPS * self.round_trip.as_secs_f64() * rate;
            // Some more than came, or it could never grow.
            self.depth = rate.min(filled.max(PLENTY as f64)) as usize + LEAST;
            (self.blocks, self.since) = (0, now);
        }
        self.depth = self.depth.min(most.max(1)).min(MOST);
    }
}
