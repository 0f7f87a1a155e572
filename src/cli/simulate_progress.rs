//! How many runs of a simulation are over, on stderr now and then. (simulate)

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Options;

/// No line before this, and none sooner after another.
const PAUSE: Duration = Duration::from_secs(2);

/// The runs of a simulation.
pub struct Runs<'o> {
    options: &'o Options,
    told: Mutex<(Instant, u64)>,
}

impl<'o> Runs<'o> {
    /// Begins now.
    pub fn new(options: &'o Options) -> Runs<'o> {
        Runs { options, told: Mutex::new((Instant::now(), 0)) }
    }

    /// Says how many are over, unless that was said a moment ago. Any thread may call it.
    pub fn tell(&self, done: u64, all: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.0.elapsed() >= PAUSE && done > told.1 {
            *told = (Instant::now(), done);
            let percent = done * 100 / all.max(1);
            self.options.note(&format!("simulating: {percent}%, {done} of {all} runs"));
        }
    }
}
