//! What all sources are told, and how they wait for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why a source's waiting has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The time is over.
    Due,
    /// There are no peers. Said once each time that this happens.
    Hungry,
    /// The last piece has come. Said once, and not if it was there from the start.
    Completed,
    /// It is over.
    Stop,
}

/// What is said to all sources. One lock, held for as long as it takes to look.
#[derive(Default)]
pub struct Signals {
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Default, Clone, Copy)]
struct Phase {
    /// Goes up each time that the last peer has left.
    hunger: u32,
    completed: bool,
    stop: bool,
}

/// What one source has heard of it.
#[derive(Default)]
pub(super) struct Heard {
    hunger: u32,
    completed: bool,
}

impl Signals {
    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There are no peers.
    pub fn hungry(&self) {
        self.lock().hunger += 1;
        self.changed.notify_all();
    }

    /// The last piece has come.
    pub fn completed(&self) {
        self.lock().completed = true;
        self.changed.notify_all();
    }

    /// It is over. A source says goodbye and ends.
    pub fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_all();
    }

    /// Waits for this long, or until there is something to hear.
    pub(super) fn wait(&self, time: Duration, heard: &mut Heard) -> Wake {
        let deadline = Instant::now() + time;
        let mut phase = self.lock();
        loop {
            // What happened first is said first: `completed` is not lost to `stop`.
            if phase.completed && !heard.completed {
                heard.completed = true;
                return Wake::Completed;
            }
            if phase.stop {
                return Wake::Stop;
            }
            if phase.hunger > heard.hunger {
                heard.hunger = phase.hunger;
                return Wake::Hungry;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wake::Due;
            }
            phase = self.changed.wait_timeout(phase, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
