//! A process of the learner: started on its own terms, read up to a limit, and ended for certain.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::outcome::{End, Outcome};
use crate::offspring::Offspring;

/// The most that is read of stdout, and of stderr. What comes after that breaks the pipe.
pub const MAX_OUTPUT: usize = 1 << 20;

/// How long a pipe may stay open after all that the program started has been ended. On a busy
/// machine, reading the rest takes a while; and a process that has hidden may hold the pipe.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// A process that is running. Dropping it ends it, with everything that it started.
pub struct Running {
    program: Offspring,
    stdout: Pipe,
    stderr: Pipe,
    begun: Instant,
    limit: Duration,
    arguments: String,
    stop: Arc<AtomicBool>,
    told: Option<Told>,
}

/// What is told how a run ended.
type Told = Box<dyn FnOnce(&Outcome) + Send>;

/// What a pipe has brought so far.
struct Pipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Pipe {
    fn read(pipe: Option<impl Read + Send + 'static>, keep: usize) -> Pipe {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let thread = pipe.map(|mut pipe| {
            let bytes = bytes.clone();
            std::thread::spawn(move || {
                let mut chunk = [0; 16_384];
                let mut all = 0;
                while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                    let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = keep.saturating_sub(all);
                    bytes.extend_from_slice(&chunk[..count.min(room)]);
                    all += count;
                    if all >= keep.max(MAX_OUTPUT) {
                        return;
                    }
                }
            })
        });
        Pipe { bytes, thread }
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns all that it has brought, and keeps no copy: of a flood, that is a megabyte.
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Running {
    /// Starts a command, which gets this long. This much of its stdout is kept.
    pub(super) fn start(
        mut command: Command,
        arguments: String,
        limit: Duration,
        keep: usize,
    ) -> std::io::Result<Running> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = Offspring::start(&mut command)?;
        let (_, stdout, stderr) = program.pipes();
        let stdout = Pipe::read(stdout, keep);
        let stderr = Pipe::read(stderr, MAX_OUTPUT);
        let begun = Instant::now();
        Ok(Running {
            program,
            stdout,
            stderr,
            begun,
            limit,
            arguments,
            stop: Arc::default(),
            told: None,
        })
    }

    /// Sets what is told how it ended, whoever ends it.
    pub(super) fn telling(mut self, told: impl FnOnce(&Outcome) + Send + 'static) -> Running {
        self.told = Some(Box::new(told));
        self
    }

    /// Sets the flag that ends it before its time is over.
    pub(super) fn stopped_by(mut self, stop: Arc<AtomicBool>) -> Running {
        self.stop = stop;
        self
    }

    /// Returns the time that it has been running for.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Returns what it has printed on stdout so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.bytes()
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.program.status().is_some()
    }

    /// Waits until the condition holds, the program ends, or its time is over; says whether it
    /// holds.
    pub fn wait_for(&mut self, mut holds: impl FnMut(&Running) -> bool) -> bool {
        loop {
            if holds(self) {
                return true;
            }
            let stopped = self.stop.load(Ordering::Relaxed);
            if self.is_over() || self.elapsed() >= self.limit || stopped {
                return holds(self);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end; when its time is over, it is ended.
    pub fn finish(mut self) -> Outcome {
        self.wait_for(|_| false);
        self.conclude()
    }

    /// Asks it to end, as Ctrl-C does, and waits for the end.
    pub fn interrupt(mut self) -> Outcome {
        self.program.interrupt();
        self.limit = self.elapsed() + Duration::from_secs(4);
        self.finish()
    }

    /// Ends it now, and returns what it was until then.
    pub fn stop(mut self) -> Outcome {
        self.limit = Duration::ZERO;
        self.conclude()
    }

    fn conclude(&mut self) -> Outcome {
        let status = self.program.status();
        let elapsed = self.elapsed();
        // What it left behind would keep the pipes open. After that, what is in them still belongs
        // to the outcome.
        self.program.end();
        let patience = Instant::now() + LAST_OUTPUT;
        while !(self.stdout.is_over() && self.stderr.is_over()) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(2));
        }
        let outcome = Outcome {
            arguments: std::mem::take(&mut self.arguments),
            stdout: self.stdout.take(),
            stderr: self.stderr.take(),
            end: status.map_or(End::OutOfTime, end),
            elapsed,
        };
        if let Some(told) = self.told.take() {
            told(&outcome);
        }
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without anybody to be told, ending the program is enough.
        if self.told.is_some() {
            self.conclude();
        }
    }
}

/// Returns how a process ended.
fn end(status: ExitStatus) -> End {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return End::Signal(signal);
    }
    End::Code(status.code().unwrap_or(-1))
}
