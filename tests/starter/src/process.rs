//! A process that somebody else's code runs in: with a limit of time and of memory, and ended
//! together with all that it has started.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The most of what a process prints that is kept: this much of the beginning, and of the end.
const KEPT: usize = 64 * 1024;

/// How long a pipe may stay open after the end. A process that left its group may hold it.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// The memory a process may have, in KiB, where the system can hold it to that.
pub const MEMORY_KIB: u64 = 1 << 20;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// On its own, with success.
    Good,
    /// On its own, with an exit code.
    Code(i32),
    /// By a signal: an abort, for instance.
    Signal(i32),
    /// Its time was over.
    OutOfTime,
    /// We were told to stop.
    Stopped,
}

/// What a process has done.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What it printed on stdout.
    pub stdout: String,
    /// What it printed on stderr.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

/// Returns a command that holds itself to [`MEMORY_KIB`] and to this many seconds of CPU, where
/// there is a shell that can. The CPU limit ends an endless loop even if nobody is left to do so.
pub fn limited(program: &std::path::Path, cpu: Duration) -> Command {
    if !cfg!(unix) {
        return Command::new(program);
    }
    let mut command = Command::new("sh");
    let seconds = cpu.as_secs() + 1;
    let script = format!(
        "ulimit -d {MEMORY_KIB} 2>/dev/null; ulimit -t {seconds} 2>/dev/null; ulimit -c 0; exec \"$0\" \"$@\""
    );
    command.args(["-c", &script]).arg(program);
    command
}

/// Runs a command to its end, but no longer than `limit` and until `stop` is set.
///
/// # Errors
/// If it cannot be started.
pub fn run(command: &mut Command, limit: Duration, stop: &AtomicBool) -> io::Result<Outcome> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let stdout = Pipe::read(child.stdout.take());
    let stderr = Pipe::read(child.stderr.take());
    let end = loop {
        if let Some(status) = has_ended(&mut child)? {
            break end(status);
        }
        if stop.load(Ordering::Relaxed) {
            break End::Stopped;
        }
        if begun.elapsed() >= limit {
            break End::OutOfTime;
        }
        thread::sleep(Duration::from_millis(3));
    };
    let took = begun.elapsed();
    if matches!(end, End::OutOfTime | End::Stopped) {
        end_group(&child);
        let _ = child.kill();
        let _ = child.wait();
    }
    let patience = Instant::now() + LAST_OUTPUT;
    Ok(Outcome { end, stdout: stdout.text(patience), stderr: stderr.text(patience), took })
}

/// Whether it has ended. Its id stays its own until `wait` is called, so that the group that we
/// end is its group.
fn has_ended(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            return child.try_wait();
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::Pid(pid), options)?.is_none() {
            return Ok(None);
        }
        end_group(child);
    }
    child.try_wait()
}

#[cfg_attr(not(unix), allow(unused_variables))]
fn end_group(child: &Child) {
    #[cfg(unix)]
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

fn end(status: ExitStatus) -> End {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return End::Signal(signal);
    }
    match status.code() {
        Some(0) => End::Good,
        code => End::Code(code.unwrap_or(-1)),
    }
}

/// What a pipe has brought so far: its beginning and its end.
struct Pipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Pipe {
    fn read(pipe: Option<impl Read + Send + 'static>) -> Pipe {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let thread = pipe.map(|mut pipe| {
            let bytes = bytes.clone();
            thread::spawn(move || {
                let mut chunk = [0; 16_384];
                // All of it is read: a pipe that breaks would change what the program does.
                while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                    let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
                    bytes.extend_from_slice(&chunk[..count]);
                    if bytes.len() > 2 * KEPT {
                        let middle = KEPT..bytes.len() - KEPT;
                        bytes.drain(middle);
                    }
                }
            })
        });
        Pipe { bytes, thread }
    }

    fn text(&self, patience: Instant) -> String {
        let is_over = || self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        while !is_over() && Instant::now() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
