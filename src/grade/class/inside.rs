//! The judge of one student, in its own world: enters it, builds the program, and runs it with
//! limits.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::grade::outcome::End;
use crate::grade::process::Running;

/// How long a build may take.
pub const BUILD_TIME: Duration = Duration::from_secs(300);

/// What each process of a submission may use, in the words of every shell: no core file, 1 GiB of
/// data, files of 256 MiB (in blocks of 512 bytes), 256 descriptors, two minutes of CPU.
const LIMITS: &str =
    "ulimit -c 0; ulimit -d 1048576; ulimit -f 524288; ulimit -n 256; ulimit -t 120";

/// The most lines of a build that failed.
const MAX_LINES: usize = 20;

/// The most processes and threads of one run. In a world of its own only its own count.
const PROCESSES: u32 = 256;

/// The same without one, where all programs of the user count.
const PROCESSES_OF_ALL: u32 = 4000;

/// Begins a second world inside the first: a run sees no process but its own.
const ANOTHER_WORLD: &str =
    "unshare --user --map-user=1000 --map-group=1000 --pid --fork --kill-child --mount-proc";

/// The place of one submission.
#[derive(Debug, Clone)]
pub struct Inside {
    /// The folder with the copy of the submission in `work`.
    pub place: PathBuf,
    /// The shell's words that start it.
    pub run: String,
    /// Whether this process is in a world of its own.
    pub isolated: bool,
    /// What must not be seen there.
    pub hide: Vec<PathBuf>,
    /// The teacher's home. Only what the search path names in it is seen.
    pub home: Option<PathBuf>,
}

impl Inside {
    /// Enters the world: from now on the working folder is that of the submission. Returns its
    /// command.
    ///
    /// # Errors
    /// If the system does not allow a part of it.
    pub fn enter(&self) -> io::Result<Vec<OsString>> {
        #[cfg(target_os = "linux")]
        let work = if self.isolated {
            super::mounts::enter(&self.place, &self.hide, self.home.as_deref())?
        } else {
            self.place.join("work")
        };
        #[cfg(not(target_os = "linux"))]
        let work = self.place.join("work");
        if !self.isolated {
            std::fs::create_dir_all(self.place.join("home"))?;
            std::fs::create_dir_all(self.place.join("tmp"))?;
        }
        std::env::set_current_dir(work)?;
        let trial = self.shell("true", &[], Duration::from_secs(60))?;
        match trial {
            Ok(()) => Ok(self.command(&self.run)),
            Err(why) => Err(io::Error::other(format!("a run cannot be kept apart: {why}"))),
        }
    }

    /// Runs a line of the teacher's before the checks; the inner `Err` says how it failed.
    ///
    /// # Errors
    /// If no shell can be started.
    pub fn build(&self, line: &str) -> io::Result<Result<(), String>> {
        self.shell(line, &[], BUILD_TIME)
    }

    fn shell(
        &self,
        line: &str,
        arguments: &[&str],
        time: Duration,
    ) -> io::Result<Result<(), String>> {
        let words = self.command(line);
        let (program, rest) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(rest).args(arguments);
        let outcome = Running::start(command, String::new(), time, 0)?.finish();
        // A compiler's first errors are the cause of those that follow.
        let said = String::from_utf8_lossy(&outcome.stderr);
        let lines = said.lines().take(MAX_LINES).map(|line| format!("\n{line}"));
        let words = outcome.last_words().map(|words| format!(": {words}")).unwrap_or_default();
        let words = words + &lines.collect::<String>();
        Ok(match outcome.end {
            End::Code(0) => Ok(()),
            End::Code(code) => Err(format!("exit code {code}{words}")),
            End::Signal(signal) => Err(format!("signal {signal}{words}")),
            End::OutOfTime => Err(format!("not over after {} s", time.as_secs())),
        })
    }

    /// Returns the command that runs a line of shell with limits, and the arguments behind it.
    fn command(&self, line: &str) -> Vec<OsString> {
        // The shell stays, as the first process of its world: signals pass such a one by.
        let most = if self.isolated { PROCESSES } else { PROCESSES_OF_ALL };
        // Each shell knows one of these words. Root is above this limit: the guard is not.
        let processes = format!("{{ ulimit -u {most} || ulimit -p {most}; }} 2>/dev/null");
        // Without a trap, some shells die of Ctrl-C though the program that they wait for ends
        // well. What a shell starts does not inherit it.
        let script = format!("trap : INT; {LIMITS}; {processes}; {line} \"$@\"; exit $?");
        let apart = if self.isolated { ANOTHER_WORLD } else { "" };
        let words = apart.split_whitespace().chain(["sh", "-c"]).map(OsString::from);
        words.chain([script.into(), "run".into()]).collect()
    }
}
