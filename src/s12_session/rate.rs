//! A limit on bytes a second, shared by many threads.
//!
//! ```text
//!   paid for until     now
//! -------|--------------|-----> time      nothing is owed: the next bytes may go now
//! ----------------------|--|--> time      the next bytes must wait until then
//!                      now paid for until
//! ```
//! It is a token bucket seen from the other side. Instead of counting tokens, it
//! keeps the time until which everything sent so far is paid for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most unused time that may be made up for later: the limit is on the average.
const BURST: Duration = Duration::from_millis(250);

/// A limit, or none. Its lock is a leaf.
#[derive(Debug)]
pub struct Rate {
    /// Bytes a second.
    limit: Option<u64>,
    /// The most unused time that may be made up for.
    burst: Duration,
    paid_until: Mutex<Option<Instant>>,
}

impl Default for Rate {
    /// No limit.
    fn default() -> Rate {
        Rate::new(None)
    }
}

impl Rate {
    /// Makes a limit of this many bytes a second; unlimited if `None`.
    pub fn new(limit: Option<u64>) -> Rate {
        Rate::with_burst(limit, BURST)
    }

    /// Makes a limit that lets less, or more, unused time be made up for. The lab's slow seeders
    /// drip from their first byte on.
    pub fn with_burst(limit: Option<u64>, burst: Duration) -> Rate {
        Rate { limit: limit.map(|limit| limit.max(1)), burst, paid_until: Mutex::default() }
    }

    /// Whether there is a limit at all.
    pub fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Returns the bytes that the limit allows in this time, at least one; `None` without a limit.
    pub fn bytes_in(&self, time: Duration) -> Option<usize> {
        self.limit.map(|limit| ((limit as f64 * time.as_secs_f64()) as usize).max(1))
    }

    /// Returns until when the next bytes must wait, if they must. Several threads may
    /// find at the same time that they need not wait; then the next wait is longer, and
    /// pays for all that they send.
    pub fn wait_until(&self, now: Instant) -> Option<Instant> {
        self.limit?;
        let paid_until = *self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        paid_until.filter(|paid_until| *paid_until > now)
    }

    /// Takes back this many bytes that were counted, but will not come after all.
    pub fn refund(&self, bytes: usize) {
        let Some(limit) = self.limit else { return };
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier =
            |paid: Instant| paid.checked_sub(Duration::from_secs_f64(bytes as f64 / limit as f64));
        *paid_until = paid_until.and_then(earlier);
    }

    /// Counts this many bytes that were sent or requested.
    pub fn spend(&self, bytes: usize, now: Instant) {
        let Some(limit) = self.limit else { return };
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let from = now.checked_sub(self.burst).unwrap_or(now);
        let from = paid_until.map_or(from, |paid_until| paid_until.max(from));
        *paid_until = Some(from + Duration::from_secs_f64(bytes as f64 / limit as f64));
    }
}
