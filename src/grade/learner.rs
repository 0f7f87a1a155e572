//! The learner's command: how it is started, and how long it needs for that.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::left_behind::LeftBehind;
use super::miss::Miss;
use super::outcome::{End, Outcome};
use super::process::Running;

/// The longest start that is added to every limit, three times.
const MAX_START: Duration = Duration::from_secs(10);

/// The most of stdout that is kept. The longest right answer has a third of this.
const MAX_ANSWER: usize = 256 << 10;

/// How many subcommands, and how many runs of each, a program gets to end at least once.
const CHANCES: usize = 3;

/// The exit codes by which a shell says that a program cannot be started.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// The client that is graded: a program, and the arguments before those of a check.
#[derive(Debug)]
pub struct Learner {
    program: OsString,
    arguments: Vec<OsString>,
    /// Added to every limit: three times what a short run took.
    start: Duration,
    /// How it answers to a command that there is not; none if it does not end, or prints something.
    unknown: Option<Arc<Outcome>>,
    /// What is wrong with every run, if that is known from the first one.
    trouble: Option<String>,
    /// Every run is ended then.
    deadline: Option<Instant>,
    /// Every run is ended once this is set.
    stop: Arc<AtomicBool>,
    /// No further run begins once this is set.
    hopeless: Arc<AtomicBool>,
    left_behind: LeftBehind,
    /// One of its runs has ended by itself.
    ends: AtomicBool,
    /// The runs of each subcommand that did not.
    endless: Mutex<BTreeMap<OsString, usize>>,
}

/// A subcommand that no client has.
const UNKNOWN: &str = "no_such_command";

impl Learner {
    /// Takes a command, and measures how long it needs to start.
    ///
    /// # Errors
    /// If there is no command, or it cannot be started.
    pub fn new(command: &[OsString]) -> io::Result<Learner> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| io::Error::other("there is no command"))?;
        let learner = Learner {
            program: found(program),
            arguments: arguments.to_vec(),
            start: Duration::ZERO,
            unknown: None,
            trouble: None,
            deadline: None,
            stop: Arc::default(),
            hopeless: Arc::default(),
            left_behind: LeftBehind::before(),
            ends: AtomicBool::new(false),
            endless: Mutex::default(),
        };
        let outcome = learner.run(&["decode", "le"], MAX_START)?;
        let start = match outcome.end {
            // It does not end at all, so more time would not help it either.
            End::OutOfTime => {
                let trouble =
                    Some(format!("it does not end: `decode le` was {}", outcome.ending()));
                return Ok(Learner { trouble, ..learner });
            }
            // A shell says so of what it was to start.
            End::Code(NOT_EXECUTABLE | NOT_FOUND) => {
                let words = outcome.last_words();
                return Err(io::Error::other(words.unwrap_or_else(|| "not found".to_owned())));
            }
            _ => 3 * outcome.elapsed,
        };
        // The first run may have left nothing to start.
        let unknown = learner.run(&[UNKNOWN, "le"], MAX_START).ok();
        let unknown = unknown.filter(|unknown| unknown.ends_like(unknown));
        let is_known = !unknown.as_ref().is_some_and(|unknown| outcome.ends_like(unknown));
        let trouble = (!is_known).then(|| {
            let starts = !outcome.names_an_error();
            let what =
                if starts { "it has no answer to any command yet" } else { "it never starts" };
            format!("{what}: {}", outcome.ending())
        });
        Ok(Learner { start, unknown: unknown.map(Arc::new), trouble, ..learner })
    }

    /// Sets when every run is ended, whatever its own limit is.
    pub fn until(self, deadline: Instant) -> Learner {
        Learner { deadline: Some(deadline), ..self }
    }

    /// Sets the flag that ends every run.
    pub fn stopped_by(self, stop: Arc<AtomicBool>) -> Learner {
        Learner { stop, ..self }
    }

    /// Returns its folder as it was before the first run.
    pub(super) fn left_behind(&self) -> &LeftBehind {
        &self.left_behind
    }

    /// Returns how it answers to a command that there is not, if that can be told from an answer.
    pub(super) fn unknown(&self) -> Option<&Arc<Outcome>> {
        self.unknown.as_ref()
    }

    /// Returns what is wrong with every run, if that is known.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Returns the miss of a subcommand that it does not know.
    pub(super) fn has_none(&self, subcommand: &str) -> Miss {
        let ending = self.unknown.as_ref().map(|unknown| unknown.ending()).unwrap_or_default();
        let ending = ending.replace(UNKNOWN, subcommand);
        Miss::new(format!("your program has no answer to \"{subcommand}\" yet: {ending}"))
    }

    /// Returns what is added to every limit.
    pub fn start_time(&self) -> Duration {
        self.start
    }

    /// Runs it to its end; after this long, and the time for a start, it is ended.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S], limit: Duration) -> io::Result<Outcome> {
        let outcome = self.start(arguments, limit)?.finish();
        self.note(arguments, &outcome);
        Ok(outcome)
    }

    /// Notes whether a run that was to end has ended by itself.
    pub(super) fn note<S: AsRef<OsStr>>(&self, arguments: &[S], outcome: &Outcome) {
        if outcome.end != End::OutOfTime {
            self.ends.store(true, Ordering::Relaxed);
        } else if let Some(subcommand) = arguments.first() {
            let mut endless = self.endless.lock().unwrap_or_else(PoisonError::into_inner);
            *endless.entry(subcommand.as_ref().to_owned()).or_default() += 1;
        }
    }

    /// Sets the flag that says that it must not run any more.
    pub fn given_up_by(self, hopeless: Arc<AtomicBool>) -> Learner {
        Learner { hopeless, ..self }
    }

    /// Returns why it is not asked any more, if so.
    pub(super) fn is_hopeless(&self) -> Option<Miss> {
        if self.hopeless.load(Ordering::Relaxed) {
            let what = "not tried: each time it ran, your program started too many others";
            return Some(Miss::new(what).likely("what starts a process must not start itself"));
        }
        self.is_endless().then(|| {
            Miss::new("not tried: no run of your program has ended, whatever it was asked")
                .likely("it waits for something: end after each answer")
        })
    }

    /// Whether it has never ended by itself, whatever it was asked. Then each further check would
    /// wait until its time is over.
    fn is_endless(&self) -> bool {
        let endless = self.endless.lock().unwrap_or_else(PoisonError::into_inner);
        let tried = endless.values().filter(|runs| **runs >= CHANCES).count();
        tried >= CHANCES && !self.ends.load(Ordering::Relaxed)
    }

    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: &[S], limit: Duration) -> io::Result<Running> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(arguments);
        command.env_remove("PIECEMEAL_JITTER");
        if let Some(path) = path_without_us() {
            command.env("PATH", path);
        }
        let words = arguments.iter().map(|word| word.as_ref().to_string_lossy());
        let shown = words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ");
        let left = self.deadline.map(|time| time.saturating_duration_since(Instant::now()));
        let limit = limit + self.start;
        Running::start(command, shown, left.map_or(limit, |left| limit.min(left)), MAX_ANSWER)
            .map(|running| running.stopped_by(self.stop.clone()))
    }
}

/// Returns a program where the search path has it. The learner's own path may lack the folder.
fn found(program: &OsStr) -> OsString {
    let named = Path::new(program);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).map(|folder| folder.join(named));
    let place = places.filter(|_| named.components().count() == 1).find(|place| place.is_file());
    place.map_or_else(|| program.to_owned(), Into::into)
}

/// Returns the search path without the folders that have a piecemeal, but for those that every
/// program needs: a client is to be one, not to call one.
fn path_without_us() -> Option<OsString> {
    const NEEDED: [&str; 4] = ["/bin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"];
    let path = std::env::var_os("PATH")?;
    let others = std::env::split_paths(&path).filter(|folder| {
        NEEDED.iter().any(|needed| folder == Path::new(needed))
            || !folder.join("piecemeal").is_file()
    });
    std::env::join_paths(others).ok()
}

/// Returns a word as a shell would want it, cut short if it is long.
fn quoted(word: &str) -> String {
    let cut: String = word.chars().take(60).collect();
    let more = if cut.len() < word.len() { "…" } else { "" };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,".contains(c);
    if !cut.is_empty() && cut.chars().all(plain) {
        cut + more
    } else {
        format!("'{}{more}'", crate::s01_bencode::printable(&cut))
    }
}
