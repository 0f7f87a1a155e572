//! The crate as the book sees it: documents, stages, and the files of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::items::{self, Item};
use crate::markdown::Document;

/// What no chapter is about: the judge of other people's clients, its actors, and what commands
/// share.
const LEFT_OUT: [&str; 3] = ["src/actors", "src/cli", "src/grade"];

/// The crate's files.
pub struct Tree {
    /// Where they are.
    pub root: PathBuf,
    /// Rust files by their paths: `src/s04_handshake.rs`.
    pub sources: BTreeMap<String, Source>,
    /// Markdown files by their paths: `README.md`, `docs/04-handshake.md`.
    pub documents: BTreeMap<String, Document>,
}

/// A Rust file.
pub struct Source {
    /// Its text.
    pub text: String,
    /// What it defines.
    pub items: Vec<Item>,
}

impl Tree {
    /// Reads README.md, docs/, src/ without what is left out, and the tests of the stages.
    pub fn read(root: &Path) -> io::Result<Tree> {
        let mut tree =
            Tree { root: root.to_owned(), sources: BTreeMap::new(), documents: BTreeMap::new() };
        tree.add_sources("src", &|path| !LEFT_OUT.contains(&group_of(path)))?;
        tree.add_sources("tests", &|path| stage_number(path).is_some())?;
        tree.add_document("README.md")?;
        for name in names(&root.join("docs"))?.into_iter().filter(|name| name.ends_with(".md")) {
            tree.add_document(&format!("docs/{name}"))?;
        }
        Ok(tree)
    }

    fn add_sources(&mut self, folder: &str, wanted: &dyn Fn(&str) -> bool) -> io::Result<()> {
        for name in names(&self.root.join(folder))? {
            let path = format!("{folder}/{name}");
            if !wanted(&path) {
                continue;
            }
            if self.root.join(&path).is_dir() {
                self.add_sources(&path, wanted)?;
            } else if name.ends_with(".rs") {
                let text = read(&self.root.join(&path))?;
                let items = items::items(&text);
                self.sources.insert(path, Source { text, items });
            }
        }
        Ok(())
    }

    fn add_document(&mut self, path: &str) -> io::Result<()> {
        let whole = read(&self.root.join(path))?;
        self.documents.insert(path.to_owned(), Document::parse(path, &whole));
        Ok(())
    }

    /// The chapters by number.
    pub fn chapters(&self) -> BTreeMap<usize, &Document> {
        let number = |path: &str| path.strip_prefix("docs/")?.split_once('-')?.0.parse().ok();
        self.documents.iter().filter_map(|(path, it)| Some((number(path)?, it))).collect()
    }

    /// The files of a stage, its main file first.
    pub fn stage(&self, number: usize) -> Vec<&str> {
        let of_it = |path: &&str| path.starts_with("src/") && stage_number(path) == Some(number);
        // `.` sorts before `/`.
        self.sources.keys().map(String::as_str).filter(of_it).collect()
    }

    /// The files of a stage's tests.
    pub fn tests(&self, number: usize) -> impl Iterator<Item = &String> {
        let of_it =
            move |path: &&String| path.starts_with("tests/") && stage_number(path) == Some(number);
        self.sources.keys().filter(of_it)
    }

    /// The files that are shown as tabs of one another: a stage, the lab, the commands.
    pub fn group(&self, path: &str) -> Vec<&str> {
        let of_it = |other: &&str| group_of(other) == group_of(path);
        self.sources.keys().map(String::as_str).filter(of_it).collect()
    }
}

/// `src/lab` for `src/lab.rs` and all below it; `src` for what stands alone.
pub fn group_of(path: &str) -> &str {
    let end = path.match_indices('/').nth(1).map_or(path.len(), |(at, _)| at);
    path[..end].strip_suffix(".rs").unwrap_or(&path[..end])
}

/// The stage that a file in src/ or tests/ belongs to.
pub fn stage_number(path: &str) -> Option<usize> {
    let (number, subject) = path.split('/').nth(1)?.strip_prefix('s')?.split_once('_')?;
    (number.len() == 2 && !subject.is_empty()).then(|| number.parse().ok())?
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|error| named(folder, error))?;
    let names: io::Result<Vec<String>> =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
    names.map(|mut names| {
        names.sort();
        names
    })
}

/// Reads a file; an error names it.
pub fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| named(path, error))
}

/// An error that names its file.
pub fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
