//! What the learner's program leaves in its own folder: noted once, since no command asks for it.

use std::path::{Path, PathBuf};

use super::watch::Snapshot;
use crate::s01_bencode::{counted, printable};

/// The most names in the note.
const MAX_NAMES: usize = 5;

/// The learner's folder before its first run.
#[derive(Debug)]
pub(super) struct LeftBehind {
    folder: Option<PathBuf>,
    before: Snapshot,
}

impl LeftBehind {
    /// Looks at the working folder.
    pub fn before() -> LeftBehind {
        let folder = std::env::current_dir().ok();
        let before = folder.as_deref().map(Snapshot::of).unwrap_or_default();
        LeftBehind { folder, before }
    }

    /// Returns what is to be said about it now. What is kept on purpose in `kept` is not left
    /// behind.
    pub fn notes(&self, kept: Option<&Path>) -> Vec<String> {
        let kept = kept.and_then(|path| path.canonicalize().ok());
        let Some(folder) = &self.folder else {
            return vec!["your program's folder is not there".to_owned()];
        };
        if std::env::current_dir().is_err() {
            return vec!["your program has deleted its own folder".to_owned()];
        }
        let after = Snapshot::of(folder);
        let is_kept = |path: &Path| kept.as_ref().is_some_and(|kept| path.starts_with(kept));
        let names: Vec<String> = self
            .before
            .new_in(&after)
            .filter(|path| !is_kept(path))
            .map(|path| printable(&path.strip_prefix(folder).unwrap_or(path).to_string_lossy()))
            .collect();
        if names.is_empty() {
            return Vec::new();
        }
        let more = if names.len() > MAX_NAMES { ", …" } else { "" };
        vec![format!(
            "your program left {} in its folder that no command asks for: {}{more}",
            counted(names.len() as u64, "file"),
            names[..names.len().min(MAX_NAMES)].join(", ")
        )]
    }
}
