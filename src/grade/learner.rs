//! The learner's command: how it is started, and how long it needs for that.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Command;
#[cfg(unix)]
use std::sync::{Arc, OnceLock, atomic::AtomicBool};
use std::time::{Duration, Instant};

use super::outcome::Outcome;
use super::process::Running;

/// The longest start that is added to every limit, three times.
const MAX_START: Duration = Duration::from_secs(10);

/// The client that is graded: a program, and the arguments before those of a check.
#[derive(Debug)]
pub struct Learner {
    program: OsString,
    arguments: Vec<OsString>,
    /// Added to every limit: three times what a short run took.
    start: Duration,
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
            program: program.clone(),
            arguments: arguments.to_vec(),
            start: Duration::ZERO,
        };
        #[cfg(unix)]
        hear_ctrl_c()?;
        let begun = Instant::now();
        learner.run(&["decode", "le"], MAX_START)?;
        Ok(Learner { start: 3 * begun.elapsed(), ..learner })
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
        Running::start(command, shown, limit + self.start)
    }
}

/// Lets every program that is started from now on hear Ctrl-C. A shell starts what it puts into the
/// background with Ctrl-C ignored, and its children inherit that. They do not inherit a handler, so
/// we set one, which does what would happen without it.
#[cfg(unix)]
fn hear_ctrl_c() -> io::Result<()> {
    static HANDLED: OnceLock<()> = OnceLock::new();
    if HANDLED.set(()).is_ok() {
        let always = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_default(signal_hook::consts::SIGINT, always)?;
    }
    Ok(())
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
