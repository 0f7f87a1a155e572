//! A rate: how many bytes may go now, and when the next ones may.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes go in portions of about this time, so that a rate looks smooth.
const PORTION: Duration = Duration::from_millis(50);

/// A limit that all connections of a seeder share.
#[derive(Debug)]
pub struct Pace {
    /// Bytes per second.
    rate: Option<u64>,
    /// What has been sent is paid for at this time.
    paid: Mutex<Instant>,
}

impl Pace {
    /// So many bytes per second, or as fast as it goes.
    pub fn new(rate: Option<u64>) -> Pace {
        Pace { rate: rate.map(|rate| rate.max(1)), paid: Mutex::new(Instant::now()) }
    }

    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.rate.is_some()
    }

    /// How many of `wanted` bytes may be sent now; they count as sent.
    ///
    /// # Errors
    /// When it is too early for any: the time to come back.
    pub fn take(&self, wanted: usize, now: Instant) -> Result<usize, Instant> {
        let Some(rate) = self.rate else { return Ok(wanted) };
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        if *paid > now {
            return Err(*paid);
        }
        let portion = (rate as f64 * PORTION.as_secs_f64()) as usize;
        let count = wanted.min(portion.max(1));
        // Time in which nobody asked is lost, but for one portion.
        let since = now.checked_sub(PORTION).map_or(*paid, |earliest| earliest.max(*paid));
        *paid = since + Duration::from_secs_f64(count as f64 / rate as f64);
        Ok(count)
    }
}
