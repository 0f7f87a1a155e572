//! How a command fails: what happened, what to do, where to read on. (stage 1)
//!
//! Each stage's error becomes a [`Failure`] in a file of its own, so that this file knows none of
//! the stages.

mod s01;
pub mod s02;
mod s03;
mod s04;
pub mod s06;
mod s07;
mod s08;
mod s09;
mod s10;
mod s15;
pub mod s19;
mod s20;
mod s21;
mod s22;
mod s23;
mod s24;
pub mod trace;

use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind};

use piecemeal::s01_bencode::printable;

use super::{Answer, shown};

/// The advice for a slow peer.
pub const MORE_TIME: &str = "try another peer, or allow more time with --timeout SECONDS";

/// The advice when the system lets us open no more files.
const MORE_FILES: &str = "this shell allows too few open files: `ulimit -n 1024` allows more, or use fewer connections with --max-peers";

/// Returns the advice for an error of the file system.
pub fn at_the_disk(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "check the path, and the folder you are in",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "check the permissions, or choose another place"
        }
        ErrorKind::NotADirectory => "a part of this path is a file: choose another",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room on the disk, and run the same command again"
        }
        _ => "check the path, its permissions and the free space",
    }
}

/// Why a command failed, in three lines at most.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    what: String,
    help: Option<String>,
    see: Option<Cow<'static, str>>,
    answer: Option<Box<Answer>>,
    /// Its JSON has been printed.
    is_told: bool,
}

impl Failure {
    /// Makes a failure that says what happened: object, place, expected and found. Text from
    /// outside is made safe to print here.
    pub fn new(code: u8, what: impl fmt::Display) -> Failure {
        Failure {
            code,
            what: printable(&shown(&what.to_string())),
            help: None,
            see: None,
            answer: None,
            is_told: false,
        }
    }

    /// Adds what to do next.
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        let help = if self.lacks_descriptors() { MORE_FILES.to_owned() } else { help.into() };
        self.help = Some(shown(&help));
        self
    }

    /// Adds what to do next, with its secrets: a text that the user pastes must be whole.
    pub fn help_to_paste(mut self, help: String) -> Failure {
        self.help = Some(help);
        self
    }

    /// Whether the process may open no more files or connections (EMFILE), which can be
    /// inside any stage's error. std has no [`ErrorKind`] for it, so the number decides.
    fn lacks_descriptors(&self) -> bool {
        cfg!(unix) && self.what.contains("(os error 24)")
    }

    /// Adds the page that explains it: `01-bencode`.
    pub fn see(mut self, chapter: impl Into<Cow<'static, str>>) -> Failure {
        self.see = Some(chapter.into());
        self
    }

    /// Adds a result that goes to stdout all the same, as if the command had worked.
    pub fn answer(mut self, answer: Answer) -> Failure {
        self.answer = Some(Box::new(answer));
        self
    }

    /// The same, whose JSON has been printed already, with a long result.
    pub fn told(self) -> Failure {
        Failure { is_told: true, ..self }
    }

    /// Whether its JSON has been printed already.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// Returns what happened, without the advice.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Returns the text of the result, if there is one.
    pub fn answer_text(&self) -> Option<&str> {
        self.answer.as_deref().map(|answer| answer.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Puts the object in front: a file, an address.
    pub fn about(mut self, object: impl fmt::Display) -> Failure {
        // Mask both together: a key in the object may also be in the text about it.
        self.what = printable(&shown(&format!("{object}: {}", self.what)));
        self
    }

    /// Returns the failure as JSON for programs. The members of a result come first.
    pub fn json(&self) -> serde_json::Value {
        let see = self.see.as_deref().map(page);
        let mut json = self
            .answer
            .as_ref()
            .map_or_else(|| serde_json::json!({}), |answer| answer.json.clone());
        json["error"] = self.what.as_str().into();
        json["help"] = self.help.as_deref().into();
        json["see"] = see.into();
        json["exit_code"] = self.code.into();
        json
    }
}

/// Returns the command that prints a page: `piecemeal chapter 4` for `04-handshake`. A path would
/// lead nowhere for a user who has only the program.
fn page(name: &str) -> String {
    let number = name.split('-').next().and_then(|number| number.parse::<u8>().ok());
    number
        .map_or(format!("piecemeal chapter {name}"), |number| format!("piecemeal chapter {number}"))
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}", self.what)?;
        if let Some(help) = &self.help {
            write!(out, "\nhelp: {help}")?;
        }
        if let Some(chapter) = &self.see {
            write!(out, "\nsee: {}", page(chapter))?;
        }
        Ok(())
    }
}
