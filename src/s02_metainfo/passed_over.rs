//! What is broken in a torrent, and not needed. Skip it at a first reading.
//!
//! A comment in the wrong encoding costs nobody a byte of the content, so it is no
//! reason to refuse the torrent. But a key that is silently ignored is a riddle, so
//! each leaves a note. Lengths, hashes and paths are never passed over.

use super::{Value, found};

/// The most notes that are kept: whoever made the torrent decides how many there are.
const MOST: usize = 20;

/// Notes, each a sentence for the user.
#[derive(Default)]
pub(super) struct PassedOver {
    notes: Vec<String>,
    /// How many came after [`MOST`].
    more: usize,
}

impl PassedOver {
    /// Adds a note.
    pub fn add(&mut self, note: impl FnOnce() -> String) {
        if self.notes.len() < MOST {
            self.notes.push(note());
        } else {
            self.more += 1;
        }
    }

    /// Adds the note that a value is not what its key promises.
    pub fn skip(&mut self, path: &str, expected: &str, value: &Value) {
        self.add(|| format!("{path} must be {expected}, but is {}; it is passed over", found(value)));
    }

    /// Returns what `read` makes of an optional key; `None` if it is missing or broken.
    pub fn read<'v, 'a, T>(
        &mut self,
        dictionary: &'v Value<'a>,
        at: &str,
        key: &str,
        expected: &str,
        read: impl Fn(&'v Value<'a>) -> Option<T>,
    ) -> Option<T> {
        let value = dictionary.get(key)?;
        let good = read(value);
        if good.is_none() {
            let path = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
            self.skip(&path, expected, value);
        }
        good
    }

    /// Returns the notes, with a last one for those that were not kept.
    pub fn into_notes(mut self) -> Vec<String> {
        if self.more > 0 {
            self.notes.push(format!("there are {} more notes like these", self.more));
        }
        self.notes
    }
}
