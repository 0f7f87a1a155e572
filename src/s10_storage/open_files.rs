//! The files that are kept open, since to open one for each block would cost too much.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::sync::Arc;

/// How many files are kept open. The system allows for 1,024 in all, by default,
/// and sockets need theirs.
const OPEN_FILES: usize = 64;

/// Open files by number.
#[derive(Default)]
pub(super) struct OpenFiles {
    by_number: HashMap<usize, Arc<File>>,
    oldest_first: VecDeque<usize>,
}

impl OpenFiles {
    /// The file with this number, if it is open.
    pub fn get(&self, number: usize) -> Option<Arc<File>> {
        self.by_number.get(&number).map(Arc::clone)
    }

    /// Keeps it open, and closes the oldest if there are too many.
    pub fn keep(&mut self, number: usize, file: &Arc<File>) {
        if self.by_number.insert(number, Arc::clone(file)).is_none() {
            self.oldest_first.push_back(number);
        }
        if self.oldest_first.len() > OPEN_FILES {
            self.close_oldest();
        }
    }

    /// Closes the one that was opened first, once nobody reads or writes it any more. `false` if
    /// none is open.
    pub fn close_oldest(&mut self) -> bool {
        let oldest = self.oldest_first.pop_front();
        oldest.and_then(|oldest| self.by_number.remove(&oldest)).is_some()
    }
}
