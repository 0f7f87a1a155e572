//! How many requests to keep outstanding to one peer.
//!
//! **Skip at first reading.** A fixed number gives the same bytes, more slowly. With too few, the
//! line is idle while a request travels: one at a time and a round trip of 50 ms make 20 blocks a
//! second, whatever the line can carry. With too many, a slow peer holds work that others would
//! have done long ago, and the data of a fast one waits in the kernel until it has left every
//! cache.
//!
//! The rule is bandwidth times delay, with a margin:
//!
//! ```text
//! depth = blocks a second x round trip x 4, at least 64, but no more than a second's worth
//! ```

use std::time::{Duration, Instant};

use crate::s05_messages::BLOCK_LENGTH;

/// Depth for a peer whose speed is not known yet.
const INITIAL: usize = 16;
/// Added to the measured depth, so that it can grow, and so that a slow peer always has a request.
const MARGIN: usize = 4;
/// Depth that nearly always fills the line: 1 MiB.
const PLENTY: usize = 64;
/// Keep four bandwidth-delay products outstanding: requests go out in batches, and round trips grow
/// under load.
const ROUND_TRIPS: f64 = 4.0;
/// The greatest depth, whatever the peer says it can queue: 8 MiB.
const MAX: usize = 8 * 1024 * 1024 / BLOCK_LENGTH as usize;
/// Longest time between two adjustments.
const WINDOW: Duration = Duration::from_secs(1);

/// Adapts the number of outstanding requests to one peer.
///
/// It keeps about one second of that peer's data outstanding: more than any round trip, and little
/// enough to cancel. Fast peers are capped at 64 requests, because anything more only waits in the
/// kernel, unless a long round trip needs more to keep the line full.
pub struct RequestDepth {
    depth: usize,
    /// Blocks received since `since`.
    blocks: usize,
    since: Instant,
    /// Whether nothing was outstanding before `since`, and nothing has arrived after it.
    resumed: bool,
    /// The shortest time from a request to its block.
    round_trip: Duration,
    /// The time for a block, as last measured.
    block_time: Option<Duration>,
}

impl RequestDepth {
    /// Starts for a peer that we know nothing about.
    pub fn new(now: Instant) -> RequestDepth {
        RequestDepth {
            depth: INITIAL,
            blocks: 0,
            since: now,
            resumed: false,
            round_trip: WINDOW,
            block_time: None,
        }
    }

    /// The number of requests that may be outstanding.
    pub fn get(&self) -> usize {
        self.depth
    }

    /// The time for a block: at first that of the first block, then as last measured.
    pub fn block_time(&self) -> Option<Duration> {
        self.block_time
    }

    /// Forgets how fast the peer was, because it choked us while it owed us blocks.
    pub fn forget_block_time(&mut self) {
        self.block_time = None;
    }

    /// Notes that requests are sent after a time in which nothing was outstanding. That time says
    /// nothing about the speed. The first answer gives the round trip, since it waits for no other.
    pub fn resume(&mut self, now: Instant) {
        (self.blocks, self.since, self.resumed) = (0, now, true);
    }

    /// Counts blocks received from a peer that queues `max` requests.
    pub fn count(&mut self, blocks: usize, now: Instant, max: usize) {
        self.blocks += blocks;
        // Never zero, since it is divided by. On one machine a block may come within a clock tick.
        let time = now.duration_since(self.since).max(Duration::from_micros(1));
        // The first block after nothing was outstanding waited for no other, so its time is a round
        // trip of the network and the peer's disk. The shortest is the one without queues.
        if std::mem::take(&mut self.resumed) {
            self.round_trip = self.round_trip.min(time);
        }
        // Better a rough value than none: the end game may be over before the first adjustment.
        self.block_time.get_or_insert(time / self.blocks.max(1) as u32);
        // Adjust as soon as everything that was outstanding has arrived, so that the depth can grow
        // with every round trip.
        if self.blocks >= self.depth || time >= WINDOW {
            self.block_time = Some(time / self.blocks as u32);
            let rate = self.blocks as f64 / time.as_secs_f64();
            // In words: what the peer sends in one round trip is on its way all the time, so this
            // many requests must be outstanding, or it runs out of them. Four times that, and at
            // least 64; but never more than it sends in a second, or a slow peer would hold work
            // for minutes.
            let fills_the_line = ROUND_TRIPS * self.round_trip.as_secs_f64() * rate;
            self.depth = rate.min(fills_the_line.max(PLENTY as f64)) as usize + MARGIN;
            (self.blocks, self.since) = (0, now);
        }
        // A peer silently drops what it cannot queue. One that claims to queue none gets one.
        self.depth = self.depth.min(max.max(1)).min(MAX);
    }
}
