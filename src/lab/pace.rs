//! A rate limit: how many bytes may be sent now, and when the next ones may.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes are sent in portions of about this time, so that the rate looks smooth.
const PORTION: Duration = Duration::from_millis(50);

/// A limit that all connections of a seeder share.
#[derive(Debug)]
pub struct Pace {
    /// Bytes per second.
    rate: Option<u64>,
    /// The time at which all bytes sent so far are within the rate.
    paid: Mutex<Instant>,
}

impl Pace {
    /// Makes a limit of this many bytes a second, or none.
    pub fn new(rate: Option<u64>) -> Pace {
        Pace { rate: rate.map(|rate| rate.max(1)), paid: Mutex::new(Instant::now()) }
    }

    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.rate.is_some()
    }

    /// Returns how many of `wanted` bytes may be sent now; they count as sent.
    ///
    /// # Errors
    /// If it is too early for any: the time to try again.
    pub fn take(&self, wanted: usize, now: Instant) -> Result<usize, Instant> {
        let Some(rate) = self.rate else { return Ok(wanted) };
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        if *paid > now {
            return Err(*paid);
        }
        let portion = (rate as f64 * PORTION.as_secs_f64()) as usize;
        let count = wanted.min(portion.max(1));
        // Idle time is lost, except for one portion.
        let since = now.checked_sub(PORTION).map_or(*paid, |earliest| earliest.max(*paid));
        *paid = since + Duration::from_secs_f64(count as f64 / rate as f64);
        Ok(count)
    }
}
