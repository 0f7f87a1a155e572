//! Virtual time: what happens next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Virtual time, in whole microseconds since the start. Fractions would depend on the order of
/// additions, and two events at the same time could change places.
pub type Micros = u64;

/// A second.
pub const SECOND: Micros = 1_000_000;

/// Times from here on never come: the finish of a flow with no rate.
const NEVER: Micros = Micros::MAX / 4;

/// Returns this many seconds in virtual time. What does not fit is never.
pub fn micros(seconds: f64) -> Micros {
    // The cast saturates, and makes 0 of what is not a number.
    (seconds * SECOND as f64).ceil() as Micros
}

/// Returns a virtual time in seconds.
pub fn seconds(time: Micros) -> f64 {
    time as f64 / SECOND as f64
}

/// Something that happens. Peers, classes and loans go by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A peer of this class comes.
    Arrive { class: u16 },
    /// A peer leaves.
    Leave { peer: u32 },
    /// A peer asks the tracker for others.
    Announce { peer: u32 },
    /// A peer deals out its slots.
    Round { peer: u32 },
    /// A piece is complete, if the loan has not changed since.
    Finish { peer: u32, loan: u32, version: u32 },
    /// The state of the swarm is noted.
    Sample,
}

/// What is to come, the next first.
#[derive(Default)]
pub struct Clock {
    now: Micros,
    /// Events by time; at the same time, in the order in which they were made.
    events: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    made: u64,
}

impl Clock {
    /// The time.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Adds an event, unless it never comes.
    pub fn after(&mut self, pause: Micros, event: Event) {
        // Saturating: a rate of nearly nothing makes a time that would wrap round to the past.
        let time = self.now.saturating_add(pause);
        if time < NEVER {
            self.events.push(Reverse((time, self.made, event)));
            self.made += 1;
        }
    }

    /// Goes on to the next event, and returns it.
    pub fn next(&mut self) -> Option<Event> {
        let Reverse((time, _, event)) = self.events.pop()?;
        debug_assert!(time >= self.now, "time goes back from {} to {time}", self.now);
        self.now = time;
        Some(event)
    }
}
