//! Noticing that another program has changed a file after it was verified.
//!
//! A seed sends blocks that were hashed hours ago, and the user may have saved the file since.
//! Hashing the piece for each block is too much work. So a file's length and time of change are
//! compared, which is one cheap call, and only if they differ is the piece hashed again (stage 16).
//!
//! A change gets a number, the *generation*, that counts up over all files. So a piece that lies in
//! several files has one number to remember: the highest of theirs.

use std::fs::Metadata;
use std::time::SystemTime;

/// The state of all files when they were last checked.
#[derive(Default)]
pub(super) struct Seals {
    /// The number of changes found so far.
    generation: u32,
    files: Vec<Seal>,
}

/// What was found when a file was last looked at.
struct Seal {
    /// Length in bytes, and the time of the last change if the file system has it. `None` if the
    /// file was not there.
    stamp: Option<(u64, Option<SystemTime>)>,
    /// The generation in which the stamp was first found; 0 if the file is as it was verified.
    found: u32,
}

impl Seals {
    /// Records the files as they are now, in the order of the torrent.
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
            // The new state is the one to compare with from now on: a file that is changed once is
            // hashed again once, and not at every look.
            self.generation += 1;
            *seal = Seal { stamp: now, found: self.generation };
        }
        seal.found
    }
}

/// What every change of the content also changes, unless the program sets the time back on purpose.
fn stamp(file: Metadata) -> (u64, Option<SystemTime>) {
    (file.len(), file.modified().ok())
}
