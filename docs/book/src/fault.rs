//! What is wrong in a document, and where.

use std::fmt;

/// A mistake in a line of Markdown. All of them are collected, so that one run names every one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The document, relative to the crate: `docs/04-handshake.md`.
    pub document: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What was found, and what was expected.
    pub what: String,
}

impl Fault {
    /// A mistake in this line.
    pub fn new(document: &str, line: usize, what: impl Into<String>) -> Fault {
        Fault { document: document.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.document, self.line, self.what)
    }
}

/// The known name that is closest to a name that is not known, if any is close.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let most = name.chars().count() / 3 + 1;
    known
        .map(|other| (distance(name, other), other))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, other)| other)
}

/// The number of letters to insert, delete or replace between two words (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, wanted) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
