//! What a learner has done so far: `.starter/progress.toml`. Losing it loses no work.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{At, Result};
use crate::learner::Written;
use crate::prefix::read;

/// Which bodies have passed, which have failed, and how many hints were asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The mark of the learner's own files that passed last.
    whole: Option<String>,
    /// By hole: the mark of the bodies that passed last.
    #[serde(default)]
    solved: BTreeMap<String, String>,
    /// By hole: the mark of the bodies that failed last.
    #[serde(default)]
    failed: BTreeMap<String, String>,
    /// By hole: how many hints were shown.
    #[serde(default)]
    hints: BTreeMap<String, usize>,
    #[serde(skip)]
    place: PathBuf,
}

impl Progress {
    /// Reads what is noted. A note that is not there or broken is a beginning.
    pub fn read(place: &Path) -> Progress {
        let text = read(place).unwrap_or_default();
        let noted: Progress = toml::from_str(&text).unwrap_or_default();
        Progress { place: place.to_owned(), ..noted }
    }

    /// Writes it down. Another process sees the old text or the new one, never half of it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self) -> Result<()> {
        let text = toml::to_string(self).at(&self.place)?;
        let half = self.place.with_extension(format!("{}.half", std::process::id()));
        fs::write(&half, text).at(&half)?;
        fs::rename(&half, &self.place).at(&self.place)
    }

    /// Whether these bodies have passed before.
    pub fn is_solved(&self, hole: &str, written: &Written) -> bool {
        self.solved.get(hole).is_some_and(|known| written.has(known))
    }

    /// Whether these bodies have failed before.
    pub fn has_failed(&self, hole: &str, written: &Written) -> bool {
        self.failed.get(hole).is_some_and(|known| written.has(known))
    }

    /// Whether whole files with this mark have passed before.
    pub fn is_whole(&self, mark: &str) -> bool {
        self.whole.as_deref() == Some(mark)
    }

    /// Notes that whole files have passed.
    pub fn note_whole(&mut self, mark: String) {
        self.whole = Some(mark);
    }

    /// Notes what came of bodies.
    pub fn note(&mut self, hole: &str, mark: &str, is_solved: bool) {
        let (to, from) = match is_solved {
            true => (&mut self.solved, &mut self.failed),
            false => (&mut self.failed, &mut self.solved),
        };
        from.remove(hole);
        to.insert(hole.to_owned(), mark.to_owned());
    }

    /// Counts one more hint, up to `most`, and returns which it is, from 1.
    pub fn next_hint(&mut self, hole: &str, most: usize) -> usize {
        let shown = self.hints.entry(hole.to_owned()).or_default();
        *shown = (*shown + 1).min(most);
        *shown
    }
}
