//! A process of the learner: started on its own terms, read up to a limit, and ended for certain.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::outcome::{End, Outcome};

/// The most that is read of stdout, and of stderr. What comes after that breaks the pipe.
const MAX_OUTPUT: usize = 1 << 20;

/// How long a pipe may stay open after all that the program started has been ended. On a busy
/// machine, reading the rest takes a while; and a process that has hidden may hold the pipe.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// The variable by which everything that a run has started is known.
const MARK: &str = "PIECEMEAL_RUN";

/// A process that is running. Dropping it ends it, with everything that it started.
pub struct Running {
    child: Child,
    stdout: Pipe,
    stderr: Pipe,
    begun: Instant,
    limit: Duration,
    arguments: String,
    mark: String,
    status: Option<ExitStatus>,
}

/// What a pipe has brought so far.
struct Pipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Pipe {
    fn read(pipe: Option<impl Read + Send + 'static>) -> Pipe {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let thread = pipe.map(|mut pipe| {
            let bytes = bytes.clone();
            std::thread::spawn(move || {
                let mut chunk = [0; 16_384];
                while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                    let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = MAX_OUTPUT - bytes.len();
                    bytes.extend_from_slice(&chunk[..count.min(room)]);
                    if room <= count {
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

    fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Running {
    /// Starts a command, which gets this long.
    pub(super) fn start(
        mut command: Command,
        arguments: String,
        limit: Duration,
    ) -> std::io::Result<Running> {
        let mark = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
        command.env(MARK, &mark);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let stdout = Pipe::read(child.stdout.take());
        let stderr = Pipe::read(child.stderr.take());
        let begun = Instant::now();
        Ok(Running { child, stdout, stderr, begun, limit, arguments, mark, status: None })
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
            if self.is_over() || self.elapsed() >= self.limit {
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
        Outcome {
            arguments: std::mem::take(&mut self.arguments),
            stdout: self.stdout.bytes(),
            stderr: self.stderr.bytes(),
            end: self.status.filter(|_| over).map_or(End::OutOfTime, end),
            elapsed,
        }
    }

    /// Ends its group and everything else that it has started.
    fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = group(&self.child).filter(|_| self.status.is_none()) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        if self.status.is_none() {
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
        #[cfg(target_os = "linux")]
        end_marked(&self.mark);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(unix)]
fn group(child: &Child) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// Ends every process with this mark in its environment: also one that has left the group.
#[cfg(target_os = "linux")]
fn end_marked(mark: &str) {
    let wanted = format!("{MARK}={mark}");
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
    for entry in processes.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
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
