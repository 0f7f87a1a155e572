//! Noticing that another program has changed a file after it was verified.

use std::fs::Metadata;
use std::time::SystemTime;

/// The state of all files when they were last checked.
#[derive(Default)]
pub(super) struct Seals {
    /// The number of changes found so far.
    generation: u32,
    files: Vec<Seal>,
}

/// A file's length and the time of its last change, and the generation in which
/// these were found.
struct Seal {
    stamp: Option<(u64, Option<SystemTime>)>,
    found: u32,
}

impl Seals {
    /// Records the files as they are now.
    pub fn of(files: impl Iterator<Item = Option<Metadata>>) -> Seals {
        let seal = |file: Option<Metadata>| Seal { stamp: file.map(stamp), found: 0 };
        Seals { generation: 0, files: files.map(seal).collect() }
    }

    /// Compares a file with its last state, and returns the generation of its last change; 0
    /// if there was none.
    pub fn look(&mut self, number: usize, now: Option<Metadata>) -> u32 {
        let Some(seal) = self.files.get_mut(number) else { return 0 };
        let now = now.map(stamp);
        if now != seal.stamp {
            self.generation += 1;
            *seal = Seal { stamp: now, found: self.generation };
        }
        seal.found
    }
}

fn stamp(file: Metadata) -> (u64, Option<SystemTime>) {
    (file.len(), file.modified().ok())
}
