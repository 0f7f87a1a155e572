//! What the tracker and the seeders see, a line each, for whoever wants to look.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

use crate::s01_bencode::printable;
use crate::trace::wiretap::Tap;

/// How many notes wait to be read. The oldest make room.
const MOST: usize = 1_000;

/// Something that was seen.
#[derive(Debug, Clone)]
pub struct Note {
    /// Who saw it: the tracker, or a seeder by its address.
    pub who: String,
    /// What, on one line that is safe to print.
    pub text: String,
    /// The same for programs: an object with `event` and `who`.
    pub json: Value,
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}: {}", self.who, self.text)
    }
}

/// Notes that wait to be read. Copies share them.
#[derive(Clone, Default)]
pub struct Notes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    closely: AtomicBool,
    tap: OnceLock<Arc<Tap>>,
}

#[derive(Debug, Default)]
struct Waiting {
    notes: VecDeque<Note>,
    lost: u64,
}

impl Notes {
    /// Adds a note. `more` is an object with what programs want to know.
    pub fn add(&self, who: impl fmt::Display, event: &str, text: String, more: Value) {
        let who = who.to_string();
        let mut json = json!({ "event": event, "who": who });
        if let (Some(all), Value::Object(more)) = (json.as_object_mut(), more) {
            all.extend(more);
        }
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.notes.len() == MOST {
            waiting.notes.pop_front();
            waiting.lost += 1;
        }
        waiting.notes.push_back(Note { who, text: printable(&text), json });
    }

    /// Counts what is not told of: it was too much of the same.
    pub(super) fn pass_over(&self, count: u64) {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).lost += count;
    }

    /// From now on, each single message is of interest.
    pub fn watch_closely(&self) {
        self.0.closely.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn closely(&self) -> bool {
        self.0.closely.load(Ordering::Relaxed)
    }

    /// From now on, all bytes that come and go pass this wiretap. A second one does not count.
    pub fn listen_in(&self, tap: Arc<Tap>) {
        let _ = self.0.tap.set(tap);
    }

    /// The wiretap, if there is one.
    pub(super) fn tap(&self) -> Option<&Arc<Tap>> {
        self.0.tap.get()
    }

    /// Takes the notes that have come since the last time, oldest first. Where some had
    /// to make room, the first one says how many.
    pub fn take(&self) -> Vec<Note> {
        let Waiting { notes, lost } = std::mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let gap = (lost > 0).then(|| Note {
            who: "notes".to_owned(),
            text: format!("{lost} came too fast to be shown"),
            json: json!({ "event": "lost", "who": "notes", "count": lost }),
        });
        gap.into_iter().chain(notes).collect()
    }
}
