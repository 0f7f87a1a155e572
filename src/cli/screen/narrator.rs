//! `-v`: a sentence for each step, what and why, with the chapter that explains it. (stage 1)

use std::fmt::Display;
use std::io::{self, Write};

use piecemeal::s01_bencode::printable;

use crate::cli::shown;

/// Prints the steps of a command if `-v` was given. Any thread may have a copy.
#[derive(Clone, Copy)]
pub struct Narrator {
    /// Whether the user wants to hear it: `-v`.
    pub wanted: bool,
    /// Whether even notes are unwanted: `-q`.
    pub quiet: bool,
}

impl Narrator {
    /// Prints a note that the user needs to understand the answer.
    pub fn note(self, what: impl Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "note: {}", printable(&shown(&what.to_string())));
        }
    }

    /// Explains what happens now, and why, with the number of its chapter.
    pub fn say(self, chapter: u8, what: impl Display) {
        if self.wanted {
            // A closed stderr is no reason to stop.
            let _ = writeln!(io::stderr(), "{}", sentence(chapter, what));
        }
    }
}

/// Returns a sentence with its chapter. Text from strangers is made safe to print.
pub fn sentence(chapter: u8, what: impl Display) -> String {
    format!("{} (chapter {chapter})", printable(&shown(&what.to_string())))
}
