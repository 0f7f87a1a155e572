//! How many requests to have on their way to one peer.
//!
//! Too few, and the line is idle while a request travels: with one at a time and a
//! round trip of 50 ms, 20 blocks a second, whatever the line could carry. Too many,
//! and a slow peer sits on work that others would have done long ago.

use std::time::{Duration, Instant};

use crate::s05_messages::BLOCK_LENGTH;

/// To a peer whose speed is not known yet.
const FIRST: usize = 16;
/// The fewest, so that a slow peer, too, has something to do.
const LEAST: usize = 4;
/// The most, whatever the peer says it can queue: 8 MiB.
const MOST: usize = 8 * 1024 * 1024 / BLOCK_LENGTH as usize;
/// How often the depth is fitted to the speed.
const WINDOW: Duration = Duration::from_secs(1);

/// A second's worth of blocks is kept on its way: more than any round trip, and
/// little enough to be called back. Until the first second is over, every block that
/// comes makes room for one more.
pub struct Depth {
    depth: usize,
    blocks: usize,
    since: Instant,
    fitted: bool,
}

impl Depth {
    /// For a peer that we know nothing of.
    pub fn new(now: Instant) -> Depth {
        Depth { depth: FIRST, blocks: 0, since: now, fitted: false }
    }

    /// How many requests may be on their way.
    pub fn get(&self) -> usize {
        self.depth
    }

    /// Nothing was on its way: the time before now says nothing of the speed.
    pub fn resume(&mut self, now: Instant) {
        (self.blocks, self.since) = (0, now);
    }

    /// Blocks have come, from a peer that queues `most` requests.
    pub fn blocks_came(&mut self, count: usize, now: Instant, most: usize) {
        self.blocks += count;
        let time = now.duration_since(self.since);
        if time >= WINDOW {
            let rate = self.blocks as f64 / time.as_secs_f64();
            // A few more than came, or a peer with a long round trip would never be
            // asked for more than it was asked for before.
            self.depth = rate as usize + LEAST;
            (self.blocks, self.since, self.fitted) = (0, now, true);
        } else if !self.fitted {
            self.depth += count;
        }
        self.depth = self.depth.min(most.max(1)).min(MOST);
    }
}
