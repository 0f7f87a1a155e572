//! What the tracker and the seeders see, a line each, for whoever wants to look.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How many lines wait to be read. The oldest make room.
const MOST: usize = 1_000;

/// Lines of text. Copies share them.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Mutex<VecDeque<String>>>);

impl Notes {
    /// Adds a line.
    pub fn add(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MOST {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Takes the lines that have come since the last time, oldest first.
    pub fn take(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}
