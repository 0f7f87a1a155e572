//! Noticing that somebody has changed a file after it was verified.

use std::fs::Metadata;
use std::time::SystemTime;

/// A file's length and the time of its last change, and how often they were found
/// to differ from the time before.
pub(super) struct Seal {
    last: Option<(u64, Option<SystemTime>)>,
    changes: u32,
}

impl Seal {
    pub fn of(file: Option<Metadata>) -> Seal {
        Seal { last: file.map(stamp), changes: 0 }
    }

    /// How often it has changed up to now.
    pub fn changes(&mut self, now: Option<Metadata>) -> u32 {
        let now = now.map(stamp);
        if now != self.last {
            (self.last, self.changes) = (now, self.changes + 1);
        }
        self.changes
    }
}

fn stamp(file: Metadata) -> (u64, Option<SystemTime>) {
    (file.len(), file.modified().ok())
}
