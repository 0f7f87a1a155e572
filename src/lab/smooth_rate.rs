//! A rate limit without bursts: how many bytes may be sent now, and when the next ones may.
//!
//! The limit of stage 12 is on the average: after a pause it lets the bytes of a quarter of a
//! second go at once. A slow seeder of the lab must drip from its first byte on, or a client sees
//! a block at full speed and then nothing.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes are sent in portions of about this time, so that the rate looks smooth.
const PORTION: Duration = Duration::from_millis(50);

/// A limit that all connections of a seeder share.
#[derive(Debug)]
pub struct SmoothRate {
    /// Bytes per second.
    rate: Option<u64>,
    /// The time at which all bytes sent so far are within the rate.
    paid: Mutex<Instant>,
}

impl SmoothRate {
    /// Makes a limit of this many bytes a second, or none.
    pub fn new(rate: Option<u64>) -> SmoothRate {
        SmoothRate { rate: rate.map(|rate| rate.max(1)), paid: Mutex::new(Instant::now()) }
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
