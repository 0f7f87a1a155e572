//! An event that one thread waits for and another makes happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// An event that has happened, or not yet. A clone is another handle of the same event.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// Makes it happen.
    pub fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it has happened.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until it happens, at most this long; returns whether it did.
    pub fn opens_within(&self, time: Duration) -> bool {
        let begun = Instant::now();
        while !self.is_open() {
            if begun.elapsed() >= time {
                return false;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        true
    }
}
