//! How a command fails: what happened, what to do, where to read on. (stage 1)
//!
//! Each stage's error becomes a [`Failure`] in the file of the first command that
//! meets it, so that this file knows none of the later ones.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind};

use piecemeal::s01_bencode::printable;

use super::{Answer, shown};

/// Exit code: none of the others.
pub const OTHER: u8 = 1;
/// Exit code: the arguments are wrong.
pub const USAGE: u8 = 2;
/// Exit code: a torrent, link or value is broken.
pub const BAD_INPUT: u8 = 3;
/// Exit code: no tracker gave a good answer.
pub const TRACKER: u8 = 4;
/// Exit code: no peer could be used.
pub const NO_PEER: u8 = 5;
/// Exit code: content has the wrong hash.
pub const WRONG_HASH: u8 = 6;
/// Exit code: a file could not be read or written.
pub const LOCAL: u8 = 7;

/// Exit code: Ctrl-C. A shell shows a signal as 128 and its number; so do we.
pub const INTERRUPTED: u8 = 130;
/// Exit code: SIGTERM.
pub const TERMINATED: u8 = 143;
/// Exit code: SIGHUP, of a terminal that closes.
pub const HUNG_UP: u8 = 129;

/// What to do when a peer is slow.
pub const MORE_TIME: &str = "try another peer, or allow for more time with --timeout SECONDS";

/// What to do when the system lets us open no more files.
const MORE_FILES: &str =
    "this shell allows too few open files: `ulimit -n 1024` allows more, or use fewer connections with --max-peers";

/// What to look at when the system refuses.
pub fn at_the_disk(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "check the path, and the folder you are in",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "check the permissions, or choose another place",
        ErrorKind::NotADirectory => "a part of this path is a file: choose another",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on the disk, and use the same command again",
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
}

impl Failure {
    /// What happened: object, place, expected and found. Whatever came from outside in
    /// it is made safe to print here.
    pub fn new(code: u8, what: impl fmt::Display) -> Failure {
        Failure { code, what: printable(&shown(&what.to_string())), help: None, see: None, answer: None }
    }

    /// What to do next.
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        let help = if self.lacks_descriptors() { MORE_FILES.to_owned() } else { help.into() };
        self.help = Some(shown(&help));
        self
    }

    /// The same with secrets in it: what is to be pasted must be whole.
    pub fn help_to_paste(mut self, help: String) -> Failure {
        self.help = Some(help);
        self
    }

    /// Whether the system lets this process open no more files or connections: EMFILE, which
    /// may sit in any stage's error. std has no [`ErrorKind`] for it, so its number tells.
    fn lacks_descriptors(&self) -> bool {
        cfg!(unix) && self.what.contains("(os error 24)")
    }

    /// The chapter that explains it: `01-bencode`.
    pub fn see(mut self, chapter: impl Into<Cow<'static, str>>) -> Failure {
        self.see = Some(chapter.into());
        self
    }

    /// What was found out nonetheless, and goes to stdout as if it had worked.
    pub fn answer(mut self, answer: Answer) -> Failure {
        self.answer = Some(Box::new(answer));
        self
    }

    /// What happened, without what to do.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The text of that answer.
    pub fn answer_text(&self) -> Option<&str> {
        self.answer.as_deref().map(|answer| answer.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Names the object that it is about: a file, an address.
    pub fn about(mut self, object: impl fmt::Display) -> Failure {
        // Together: a key in the object may be in the words about it, too.
        self.what = printable(&shown(&format!("{object}: {}", self.what)));
        self
    }

    /// The same for programs: with an answer, its members come first.
    pub fn json(&self) -> serde_json::Value {
        let see = self.see.as_ref().map(|chapter| format!("docs/{chapter}.md"));
        let mut json = self.answer.as_ref().map_or_else(|| serde_json::json!({}), |answer| answer.json.clone());
        json["error"] = self.what.as_str().into();
        json["help"] = self.help.as_deref().into();
        json["see"] = see.into();
        json["exit_code"] = self.code.into();
        json
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}", self.what)?;
        if let Some(help) = &self.help {
            write!(out, "\nhelp: {help}")?;
        }
        if let Some(chapter) = &self.see {
            write!(out, "\nsee: docs/{chapter}.md")?;
        }
        Ok(())
    }
}
