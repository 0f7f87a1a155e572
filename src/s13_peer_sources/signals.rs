//! What all sources are told, and how a source waits for it.
//!
//! A source waits for minutes, and must wake at once when something happens. A channel for each
//! source would do. One shared state with a condition variable is simpler, and a busy source cannot
//! miss anything: it reads the state when it next waits.
//!
//! The state only grows: a count goes up, a flag goes from false to true. So a source needs to
//! remember only how much of it is old news (`Heard`), and it does not matter when it looks.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why a source's wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The time is over.
    Due,
    /// There are no peers. Returned once for all times it was said.
    Hungry,
    /// The last piece has arrived. Returned once, and never for a torrent that was complete from
    /// the start.
    Completed,
    /// The source is to end.
    Stop,
}

/// What is said to all sources. The torrent loop speaks, and each source listens on its own thread.
#[derive(Default)]
pub struct Signals {
    /// A leaf lock, held only to read or change a flag, and released while a source waits.
    phase: Mutex<Phase>,
    /// Wakes all sources, not one: each has to hear of a change.
    changed: Condvar,
}

/// Everything that has been said so far.
#[derive(Default, Clone, Copy)]
struct Phase {
    /// Number of times that there were no peers. A flag would have to be taken back, and each
    /// source hears it at a different time.
    hunger: u32,
    /// The last piece has arrived.
    completed: bool,
    /// The torrent is private, so the open sources are to end.
    private: bool,
    /// All sources are to end.
    stop: bool,
}

/// What one source has heard of this. `stop` is not in it: after that, a source does not wait
/// again.
pub(super) struct Heard {
    hunger: u32,
    completed: bool,
    /// Whether `private` is said to this source.
    open: bool,
}

impl Heard {
    /// Earlier signals are news to the source.
    pub(super) fn nothing_yet(open: bool) -> Heard {
        Heard { hunger: 0, completed: false, open }
    }
}

impl Signals {
    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that there are no peers.
    pub fn hungry(&self) {
        self.lock().hunger += 1;
        self.changed.notify_all();
    }

    /// Says that the torrent is known now, to those that wait for it.
    pub fn learned(&self) {
        // Under the lock: a source that has just looked in vain is asleep by now, and hears it.
        let _phase = self.lock();
        self.changed.notify_all();
    }

    /// Says that the last piece has arrived.
    pub fn completed(&self) {
        self.lock().completed = true;
        self.changed.notify_all();
    }

    /// Says that the torrent is private, which ends the sources that are open.
    pub fn private(&self) {
        self.lock().private = true;
        self.changed.notify_all();
    }

    /// Tells the sources to end. Each says goodbye first.
    pub fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_all();
    }

    /// Waits until `there` returns something. `None` if the sources are to end first. `there` is
    /// called while the lock is held, so it must take none.
    pub(super) fn wait_for<T>(&self, there: impl Fn() -> Option<T>) -> Option<T> {
        let mut phase = self.lock();
        while !phase.stop {
            if let Some(found) = there() {
                return Some(found);
            }
            phase = self.changed.wait(phase).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Waits for this long, or until there is something that this source has not heard.
    pub(super) fn wait(&self, time: Duration, heard: &mut Heard) -> Wake {
        let deadline = Instant::now() + time;
        let mut phase = self.lock();
        loop {
            // What happened first is returned first. A download that is complete stops at once, and
            // the tracker must hear of both.
            if phase.completed && !heard.completed {
                heard.completed = true;
                return Wake::Completed;
            }
            if phase.stop || (phase.private && heard.open) {
                return Wake::Stop;
            }
            // Said three times during one announce, it is heard once: one announce is all it asks
            // for.
            if phase.hunger > heard.hunger {
                heard.hunger = phase.hunger;
                return Wake::Hungry;
            }
            // Not `time` again: a wakeup without news must not make the wait longer.
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wake::Due;
            }
            phase =
                self.changed.wait_timeout(phase, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
