//! The files that are kept open, since opening one for each block would cost too much.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::sync::Arc;

/// The most files that are kept open. By default the system allows 1,024 descriptors
/// in all, and sockets need some of them.
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

    /// Keeps a file open, and closes the oldest if there are too many.
    pub fn keep(&mut self, number: usize, file: &Arc<File>) {
        if self.by_number.insert(number, Arc::clone(file)).is_none() {
            self.oldest_first.push_back(number);
        }
        if self.oldest_first.len() > OPEN_FILES {
            self.close_oldest();
        }
    }

    /// Closes the file that was opened first, as soon as no thread is using it. Returns `false`
    /// if none is open.
    pub fn close_oldest(&mut self) -> bool {
        let oldest = self.oldest_first.pop_front();
        oldest.and_then(|oldest| self.by_number.remove(&oldest)).is_some()
    }
}
