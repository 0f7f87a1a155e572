//! A process of the learner: started on its own terms, read up to a limit, and ended for certain.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use super::descendants;
use super::outcome::{End, Outcome};

/// The most that is read of stdout, and of stderr. What comes after that breaks the pipe.
pub const MAX_OUTPUT: usize = 1 << 20;

/// How long a pipe may stay open after all that the program started has been ended. On a busy
/// machine, reading the rest takes a while; and a process that has hidden may hold the pipe.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// A process that is running. Dropping it ends it, with everything that it started.
pub struct Running {
    child: Child,
    stdout: Pipe,
    stderr: Pipe,
    begun: Instant,
    limit: Duration,
    arguments: String,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    mark: String,
    status: Option<ExitStatus>,
    is_ended: bool,
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
        let mark = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = spawn(&mut command, &mark)?;
        let stdout = Pipe::read(child.stdout.take(), keep);
        let stderr = Pipe::read(child.stderr.take(), MAX_OUTPUT);
        let begun = Instant::now();
        Ok(Running {
            child,
            stdout,
            stderr,
            begun,
            limit,
            arguments,
            mark,
            status: None,
            is_ended: false,
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
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status.is_some()
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
        #[cfg(unix)]
        if !self.is_over()
            && let Some(pid) = group(&self.child)
        {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::INT);
        }
        self.limit = self.elapsed() + Duration::from_secs(4);
        self.finish()
    }

    /// Ends it now, and returns what it was until then.
    pub fn stop(mut self) -> Outcome {
        self.limit = Duration::ZERO;
        self.conclude()
    }

    fn conclude(&mut self) -> Outcome {
        let over = self.is_over();
        let elapsed = self.elapsed();
        // What it left behind would keep the pipes open. After that, what is in them still belongs
        // to the outcome.
        self.kill();
        let patience = Instant::now() + LAST_OUTPUT;
        while !(self.stdout.is_over() && self.stderr.is_over()) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(2));
        }
        let outcome = Outcome {
            arguments: std::mem::take(&mut self.arguments),
            stdout: self.stdout.take(),
            stderr: self.stderr.take(),
            end: self.status.filter(|_| over).map_or(End::OutOfTime, end),
            elapsed,
        };
        if let Some(told) = self.told.take() {
            told(&outcome);
        }
        outcome
    }

    /// Ends its group.
    fn end_group(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = group(&self.child).filter(|_| self.status.is_none()) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        if self.status.is_none() {
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
    }

    /// Ends its group and everything else that it has started.
    fn kill(&mut self) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        self.end_group();
        #[cfg(target_os = "linux")]
        {
            descendants::live().remove(&self.child.id());
            descendants::end_what_is_left(&self.mark);
        }
    }
}

/// Starts a command that has this mark, and those of the runs that we are in ourselves.
#[cfg(target_os = "linux")]
fn spawn(command: &mut Command, mark: &str) -> std::io::Result<Child> {
    let outer = std::env::var(descendants::MARK).map(|outer| outer + ":").unwrap_or_default();
    command.env(descendants::MARK, outer + mark);
    // Until its program runs, a child has our environment, and so no mark: nobody may look for
    // orphans at that time.
    let mut live = descendants::live();
    let child = command.spawn()?;
    live.insert(child.id(), mark.to_owned());
    Ok(child)
}

#[cfg(not(target_os = "linux"))]
fn spawn(command: &mut Command, _mark: &str) -> std::io::Result<Child> {
    command.spawn()
}

impl Drop for Running {
    fn drop(&mut self) {
        match self.told {
            Some(_) => drop(self.conclude()),
            None => self.kill(),
        }
    }
}

#[cfg(unix)]
fn group(child: &Child) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// Returns how a process ended.
fn end(status: ExitStatus) -> End {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return End::Signal(signal);
    }
    End::Code(status.code().unwrap_or(-1))
}
