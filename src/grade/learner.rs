//! The learner's command: how it is started, and how long it needs for that.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::left_behind::LeftBehind;
use super::outcome::{End, Outcome};
use super::process::Running;

/// The longest start that is added to every limit, three times.
const MAX_START: Duration = Duration::from_secs(10);

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
    /// Every run is ended then.
    deadline: Option<Instant>,
    /// Every run is ended once this is set.
    stop: Arc<AtomicBool>,
    left_behind: LeftBehind,
}

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
            deadline: None,
            stop: Arc::default(),
            left_behind: LeftBehind::before(),
        };
        let outcome = learner.run(&["decode", "le"], MAX_START)?;
        let start = match outcome.end {
            // It does not end at all, so more time would not help it either.
            End::OutOfTime => Duration::ZERO,
            // A shell says so of what it was to start.
            End::Code(NOT_EXECUTABLE | NOT_FOUND) => {
                let words = outcome.last_words();
                return Err(io::Error::other(words.unwrap_or_else(|| "not found".to_owned())));
            }
            _ => 3 * outcome.elapsed,
        };
        Ok(Learner { start, ..learner })
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

    /// Returns what is added to every limit.
    pub fn start_time(&self) -> Duration {
        self.start
    }

    /// Runs it to its end; after this long, and the time for a start, it is ended.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S], limit: Duration) -> io::Result<Outcome> {
        Ok(self.start(arguments, limit)?.finish())
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
        Running::start(command, shown, left.map_or(limit, |left| limit.min(left)))
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
