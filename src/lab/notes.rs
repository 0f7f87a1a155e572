//! Notes of what the tracker and the seeders see, a line each.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

use super::checklist::Checklist;
use crate::s01_bencode::printable;
use crate::trace::wiretap::Tap;

/// The most notes that wait to be read. The oldest make room.
const MAX_NOTES: usize = 1_000;

/// One observation.
#[derive(Debug, Clone)]
pub struct Note {
    /// The observer: the tracker, or a seeder by its address.
    pub who: String,
    /// What it saw, on one line that is safe to print.
    pub text: String,
    /// The note for programs: an object with `event` and `who`.
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
    checklist: Checklist,
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
        if waiting.notes.len() == MAX_NOTES {
            waiting.notes.pop_front();
            waiting.lost += 1;
        }
        waiting.notes.push_back(Note { who, text: printable(&text), json });
    }

    /// Counts notes that were left out because there were too many like them.
    pub(super) fn pass_over(&self, count: u64) {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).lost += count;
    }

    /// Asks for a note of every message from now on.
    pub fn watch_closely(&self) {
        self.0.closely.store(true, Ordering::Relaxed);
    }

    /// Whether a note of every message is wanted.
    pub fn closely(&self) -> bool {
        self.0.closely.load(Ordering::Relaxed)
    }

    /// Returns what each client has shown so far.
    pub fn checklist(&self) -> &Checklist {
        &self.0.checklist
    }

    /// Sends all bytes through this wiretap from now on. A second wiretap is ignored.
    pub fn listen_in(&self, tap: Arc<Tap>) {
        let _ = self.0.tap.set(tap);
    }

    /// Returns the wiretap, if there is one.
    pub(super) fn tap(&self) -> Option<&Arc<Tap>> {
        self.0.tap.get()
    }

    /// Takes the notes since the last call, oldest first. If some had to make room, the first
    /// note says how many.
    pub fn take(&self) -> Vec<Note> {
        let Waiting { notes, lost } =
            std::mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let gap = (lost > 0).then(|| Note {
            who: "notes".to_owned(),
            text: format!("{lost} came too fast to be shown"),
            json: json!({ "event": "lost", "who": "notes", "count": lost }),
        });
        gap.into_iter().chain(notes).collect()
    }
}
