//! The learner's folder: what is in it, and whether that has changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders that programs make on their own, and that nobody edits by hand.
const MADE: [&str; 6] = ["target", "node_modules", "__pycache__", "build", "dist", "venv"];

/// The most files that are looked at.
const MAX_FILES: usize = 20_000;

/// The deepest folder that is looked at.
const MAX_DEPTH: usize = 12;

/// The files of a folder, with their sizes and times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, (u64, Option<SystemTime>)>);

impl Snapshot {
    /// Returns the files that are there now, without those that are hidden or made by programs.
    /// Links are not followed.
    pub fn of(folder: &Path) -> Snapshot {
        let mut found = Snapshot::default();
        found.walk(folder, 0);
        found
    }

    fn walk(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else { continue };
            if name.starts_with('.') || self.0.len() >= MAX_FILES {
                continue;
            }
            if kind.is_dir() {
                if depth < MAX_DEPTH && !MADE.contains(&name.as_ref()) {
                    self.walk(&entry.path(), depth + 1);
                }
            } else if let Ok(about) = entry.metadata() {
                self.0.insert(entry.path(), (about.len(), about.modified().ok()));
            }
        }
    }

    /// Returns the files that the later one has otherwise, or that only one of them has.
    pub fn changes_to<'a>(&'a self, later: &'a Snapshot) -> impl Iterator<Item = &'a PathBuf> {
        let changed = later.0.iter().filter(|(path, about)| self.0.get(*path) != Some(about));
        let gone = self.0.iter().filter(|(path, _)| !later.has(path));
        changed.chain(gone).map(|(path, _)| path)
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Returns the files that only the later one has.
    pub fn new_in<'a>(&'a self, later: &'a Snapshot) -> impl Iterator<Item = &'a PathBuf> {
        later.0.keys().filter(|path| !self.has(path))
    }
}
