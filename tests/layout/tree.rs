//! The source tree as the tests see it.

use std::path::{Path, PathBuf};

/// The crate's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names in a folder, sorted; empty if there is no such folder.
pub fn names(folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root().join(folder)) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .map(|e| e.expect("the folder can be read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Every .rs file under a folder, relative to the crate.
pub fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = format!("{folder}/{name}");
        if root().join(&path).is_dir() {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") {
            found.push(PathBuf::from(path));
        }
    }
    found
}

/// A numbered stage.
pub struct Stage {
    pub number: usize,
    /// `s04_handshake`
    pub name: String,
    /// The stage's own file, and then its child modules.
    pub files: Vec<PathBuf>,
}

impl Stage {
    /// The stage's own file.
    pub fn main(&self) -> &Path {
        &self.files[0]
    }
}

/// `s04_handshake` is stage 4.
pub fn stage_number(module: &str) -> Option<usize> {
    let (number, subject) = module.strip_prefix('s')?.split_once('_')?;
    (number.len() == 2 && !subject.is_empty()).then(|| number.parse().ok())?
}

/// The stages in the tree, in order.
pub fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for file in names("src") {
        let Some(name) = file.strip_suffix(".rs") else { continue };
        let Some(number) = stage_number(name) else { continue };
        let mut files = vec![PathBuf::from(format!("src/{file}"))];
        files.extend(sources(&format!("src/{name}")));
        stages.push(Stage { number, name: name.to_owned(), files });
    }
    stages
}

/// The lines of code with their numbers: comments blanked out, string literals kept. A
/// comment starts with `//` outside a string; block comments are not used in this
/// project, and a test checks that.
pub fn code(text: &str) -> Vec<(usize, String)> {
    text.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, without_comment(line).to_owned()))
        .collect()
}

fn without_comment(line: &str) -> &str {
    let mut in_string = false;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            // A quote as a character or byte literal opens no string.
            '"' if !in_string && line[..at].ends_with('\'') => {}
            '"' => in_string = !in_string,
            '/' if !in_string && line[at..].starts_with("//") => return &line[..at],
            _ => {}
        }
    }
    line
}

/// Whether `word` is in `text` as a whole word.
pub fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(is_part)
            && !text[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// Fails with all findings, one a line.
#[track_caller]
pub fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}
