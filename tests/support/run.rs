//! Runs the program, with a deadline that kills it.

use super::LIMIT;
use super::network::enter;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Says that nobody is reached who is not named.
pub const OFFLINE: &str = "PIECEMEAL_OFFLINE";

/// A run of `piecemeal` that is being prepared.
pub struct Run {
    command: Command,
    shown: Vec<OsString>,
    limit: Duration,
}

/// A run that has been started. Dropping it kills it.
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    begun: Instant,
    limit: Duration,
    shown: Vec<OsString>,
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub elapsed: Duration,
    shown: Vec<OsString>,
}

impl Run {
    pub fn new<I, S>(arguments: I) -> Run
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let shown: Vec<OsString> = arguments.into_iter().map(|a| a.as_ref().to_owned()).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_piecemeal"));
        command.args(&shown).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Run { command, shown, limit: LIMIT }
    }

    /// Starts the run with `nohup`: HUP is ignored from the beginning.
    pub fn nohup(mut self) -> Run {
        let mut command = Command::new("nohup");
        command.arg(self.command.get_program()).args(self.command.get_args());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command = command;
        self
    }

    /// Starts the run in a process that may have at most this many descriptors. Call it first.
    pub fn with_descriptors(self, most: usize) -> Run {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("ulimit -n {most} && exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_piecemeal"));
        command
            .args(&self.shown)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Run { command, ..self }
    }

    /// Starts the run in the network of another process. Call it first.
    pub fn in_network_of(mut self, process: u32) -> Run {
        let mut command = enter(process, Path::new(self.command.get_program()));
        command.args(self.command.get_args());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command = command;
        self
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Run {
        self.command.arg(argument.as_ref());
        self.shown.push(argument.as_ref().to_owned());
        self
    }

    /// `--peer ADDR`.
    pub fn peer(self, address: impl ToString) -> Run {
        self.arg("--peer").arg(address.to_string())
    }

    /// The folder to run in.
    pub fn dir(mut self, folder: &Path) -> Run {
        self.command.current_dir(folder);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Run {
        self.command.env(name, value);
        self
    }

    /// Where stdin comes from. Otherwise it is empty.
    pub fn stdin(mut self, from: impl Into<Stdio>) -> Run {
        self.command.stdin(from);
        self
    }

    /// Where stdout goes, when the test does not want to read it.
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Run {
        self.command.stdout(to);
        self
    }

    pub fn stderr(mut self, to: impl Into<Stdio>) -> Run {
        self.command.stderr(to);
        self
    }

    /// Sets another deadline: some tests set a `--timeout` beyond the usual one.
    pub fn within(mut self, seconds: u64) -> Run {
        self.limit = Duration::from_secs(seconds);
        self
    }

    pub fn start(mut self) -> Running {
        // Nobody outside this machine is reached, however a test is started.
        if !self.command.get_envs().any(|(name, _)| name == OFFLINE) {
            self.command.env(OFFLINE, "1");
        }
        let mut child = self.command.spawn().expect("the program starts");
        let stdout = child.stdout.take().map(drain);
        let stderr = child.stderr.take().map(drain);
        Running {
            child,
            stdout,
            stderr,
            begun: Instant::now(),
            limit: self.limit,
            shown: self.shown,
        }
    }

    pub fn run(self) -> Outcome {
        self.start().finish()
    }
}

/// Reads a pipe on a thread, so that a full one does not stop the program.
fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = pipe.read_to_end(&mut all);
        all
    })
}

impl Running {
    /// Waits for the end. A run that takes too long is killed and fails the test, with all its
    /// output so far.
    pub fn finish(mut self) -> Outcome {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the program can be waited for") {
                break status;
            }
            if self.begun.elapsed() > self.limit {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let (stdout, stderr) = self.output();
                panic!(
                    "killed after {:?}: piecemeal {:?}\nstdout: {}\nstderr: {}",
                    self.limit,
                    self.shown,
                    String::from_utf8_lossy(&stdout),
                    String::from_utf8_lossy(&stderr)
                );
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let elapsed = self.begun.elapsed();
        let (stdout, stderr) = self.output();
        Outcome {
            stdout,
            stderr,
            code: status.code(),
            elapsed,
            shown: std::mem::take(&mut self.shown),
        }
    }

    /// SIGKILL: no destructor, no last word.
    pub fn kill(mut self) {
        self.child.kill().expect("the program is still running");
        self.child.wait().expect("the program can be waited for");
    }

    /// SIGINT, as Ctrl-C sends it.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// A signal by its name: `TERM`, `HUP`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "the program is still running");
    }

    /// The CPU time of all its threads so far, in hundredths of a second. `None` if the system
    /// does not report it.
    pub fn computed(&self) -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name in parentheses may hold anything; fields are counted after it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    }

    /// A number in `/proc/PID/status`: `Threads`, or `VmHWM`, the peak of the memory in KiB.
    /// `None` if the system does not report it.
    pub fn status(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status
            .lines()
            .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("the program can be waited for").is_some()
    }

    fn output(&mut self) -> (Vec<u8>, Vec<u8>) {
        let take = |pipe: Option<JoinHandle<Vec<u8>>>| {
            pipe.and_then(|p| p.join().ok()).unwrap_or_default()
        };
        (take(self.stdout.take()), take(self.stderr.take()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Checks for exit code 0 with exactly this on stdout.
    #[track_caller]
    pub fn prints(&self, expected: &str) -> &Outcome {
        assert!(
            self.code == Some(0) && self.out() == expected,
            "expected {expected:?}, got {self:#}"
        );
        self
    }

    #[track_caller]
    pub fn succeeds(&self) -> &Outcome {
        assert!(self.code == Some(0), "expected success, got {self:#}");
        self
    }

    /// Checks for one of these exit codes, nothing on stdout, and an error in the three lines of
    /// the contract: what, what to do, where to read on.
    #[track_caller]
    pub fn fails(&self, codes: &[i32]) -> &Outcome {
        assert!(
            self.code.is_some_and(|code| codes.contains(&code)),
            "expected exit code {codes:?}, got {self:#}"
        );
        assert!(self.stdout.is_empty(), "an error leaves stdout empty: {self:#}");
        self.explains_itself();
        self
    }

    /// Checks that stderr ends with `error: `, `help: `, `see: piecemeal chapter N`.
    #[track_caller]
    pub fn explains_itself(&self) -> &Outcome {
        let err = self.err();
        assert!(!err.contains("panicked"), "a panic: {self:#}");
        let lines: Vec<&str> = err.lines().collect();
        let error =
            lines.iter().position(|l| l.starts_with("error: ") && l.len() > "error: ".len());
        let error = error.unwrap_or_else(|| panic!("no `error: ` line: {self:#}"));
        let rest = &lines[error + 1..];
        let help = rest.iter().position(|l| l.starts_with("help: ") && l.len() > "help: ".len());
        let help = help.unwrap_or_else(|| panic!("no `help: ` line after the error: {self:#}"));
        let see = rest[help + 1..].first().copied().unwrap_or_default();
        let chapter = see.strip_prefix("see: piecemeal chapter ").unwrap_or_default();
        assert!(
            chapter.parse::<u8>().is_ok_and(|number| number > 0),
            "no `see: piecemeal chapter N` line after the help: {self:#}"
        );
        self
    }

    /// Checks that the error's text names this.
    #[track_caller]
    pub fn mentions(&self, words: &str) -> &Outcome {
        assert!(
            self.err().to_lowercase().contains(&words.to_lowercase()),
            "no word of {words:?}: {self:#}"
        );
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<_> = self.shown.iter().map(|a| a.to_string_lossy()).collect();
        writeln!(f, "piecemeal {}", words.join(" "))?;
        writeln!(f, "exit code {:?} after {:?}", self.code, self.elapsed)?;
        writeln!(f, "stdout: {}", self.out())?;
        write!(f, "stderr: {}", self.err())
    }
}
