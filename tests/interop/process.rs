//! Other programs as values: they start, they are waited for with a deadline,
//! and they are gone when the value is, also when a test panics.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program to run, without the proxies that this machine may be told to use:
/// whatever is started here talks to loopback.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command
}

/// A program that runs beside the test, with its output in a file.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it, with no input.
    pub fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let file = File::create(log)?;
        let child = command.stdout(file.try_clone()?).stderr(file).stdin(Stdio::null()).spawn()?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Takes over a child whose pipes the caller keeps.
    pub fn adopt(child: Child, log: &Path) -> Self {
        Self { child, log: log.to_owned() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, once there is one.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL: no farewell to trackers or peers, no last flush.
    pub fn kill(&mut self) {
        // Both fail only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The end of its output, for the message of a failed test.
    pub fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens on at this address. Somebody else may take it
/// before we do, so whoever uses it must be ready to try again.
pub fn free_port(address: Ipv4Addr) -> io::Result<SocketAddrV4> {
    let listener = TcpListener::bind((address, 0))?;
    Ok(SocketAddrV4::new(address, listener.local_addr()?.port()))
}

/// Asks again and again until the answer is good, or until `limit` has passed;
/// then the last answer is part of the error.
pub fn wait_for<T>(
    limit: Duration,
    what: &str,
    mut ask: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(last) if start.elapsed() > limit => {
                return Err(format!("waited {} s for {what}: {last}", limit.as_secs()));
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Runs `attempt` up to three times: a port that was free may be taken by the
/// time a program binds it.
pub fn retry<T>(mut attempt: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let mut last = String::new();
    for _ in 0..3 {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => last = error,
        }
    }
    Err(last)
}
