//! Virtual time: what happens next.

use std::collections::BTreeMap;

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
    /// A piece is complete.
    Finish { peer: u32, loan: u32 },
    /// The state of the swarm is noted.
    Sample,
}

/// When an event comes: its time, and its number among all that were made.
pub type Due = (Micros, u64);

/// What is to come, the next first.
///
/// Not a heap: nothing can be taken out of one. Two of three times that a piece is expected, lines
/// are shared by others before it comes, so it comes sooner or later than that. A heap would keep
/// what was expected until its time.
#[derive(Default)]
pub struct Clock {
    now: Micros,
    /// Events by time; at the same time, in the order in which they were made.
    events: BTreeMap<Due, Event>,
    made: u64,
}

impl Clock {
    /// The time.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Adds an event, and returns when it comes, unless that is never.
    pub fn after(&mut self, pause: Micros, event: Event) -> Option<Due> {
        // Saturating: a rate of nearly nothing makes a time that would wrap round to the past.
        let due = (self.now.saturating_add(pause), self.made);
        if due.0 >= NEVER {
            return None;
        }
        self.events.insert(due, event);
        self.made += 1;
        Some(due)
    }

    /// Takes back an event that is not to come anymore.
    pub fn cancel(&mut self, due: Due) {
        self.events.remove(&due);
    }

    /// Goes on to the next event, and returns it.
    pub fn next(&mut self) -> Option<Event> {
        let ((time, _), event) = self.events.pop_first()?;
        debug_assert!(time >= self.now, "time goes back from {} to {time}", self.now);
        self.now = time;
        Some(event)
    }
}
