//! `-v`: one sentence a step, what and why, and the chapter that tells more.

use std::fmt::Display;
use std::io::{self, Write};

use piecemeal::s01_bencode::printable;

/// Tells the story of a command to who asked for it. Any thread may have a copy.
#[derive(Clone, Copy)]
pub struct Narrator {
    /// Whether anybody wants to hear it.
    pub wanted: bool,
    /// Whether not even notes are wanted.
    pub quiet: bool,
}

impl Narrator {
    /// Tells something that the user must know to understand the answer.
    pub fn note(self, what: impl Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "note: {}", printable(&super::shown(&what.to_string())));
        }
    }

    /// What happens now, and why; chapter 3 has more about it.
    pub fn say(self, chapter: u8, what: impl Display) {
        if self.wanted {
            // A closed stderr is no reason to stop.
            let _ = writeln!(io::stderr(), "{}", sentence(chapter, what));
        }
    }
}

/// Strangers' words in it are made safe to print.
pub fn sentence(chapter: u8, what: impl Display) -> String {
    format!("{} (chapter {chapter})", printable(&super::shown(&what.to_string())))
}
