//! A small process that starts one other, waits for it, and says what it used.
//!
//! The kernel hands a process the peak memory of the one it was forked from. So the
//! one that forks must be small: this one holds nothing.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

use crate::Summary;
use crate::helper;
use crate::table::Sample;

/// `LOG SECONDS PROGRAM ARGUMENT...`; prints exit code, wall, CPU (microseconds), peak (KiB).
pub fn play(arguments: &[String]) -> Summary<()> {
    let [log, seconds, program, arguments @ ..] = arguments else {
        return Err("starter: LOG SECONDS PROGRAM".into());
    };
    let limit = Duration::from_secs(seconds.parse()?);
    let output = File::create(log)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);

    let start = Instant::now();
    let mut child = command.spawn()?;
    let id = Pid::from_raw(child.id().cast_signed());
    let (done, is_done) = mpsc::channel::<()>();
    thread::Builder::new().stack_size(64 << 10).spawn(move || {
        if is_done.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = kill(id, Signal::SIGKILL);
        }
    })?;
    let status = child.wait()?;
    let wall = start.elapsed();
    drop(done);

    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = used.user_time().num_microseconds() + used.system_time().num_microseconds();
    // macOS counts bytes.
    let peak = if cfg!(target_os = "macos") { used.max_rss() / 1024 } else { used.max_rss() };
    println!("{} {} {cpu} {peak}", status.code().unwrap_or(-1), wall.as_micros());
    Ok(())
}

/// Runs a command to its end and measures it. Whatever is started here talks to
/// loopback only, so it is not told of proxies.
pub fn measure(command: &Command, log: &Path, limit: Duration) -> Summary<Sample> {
    let mut starter = helper::command("starter")?;
    starter
        .arg(log)
        .arg(limit.as_secs().to_string())
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        value.map(|value: &OsStr| starter.env(name, value));
    }
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        starter.env_remove(name).env_remove(name.to_uppercase());
    }
    let output = starter.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<i64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    match numbers[..] {
        [0, wall, cpu, peak] => Ok(Sample {
            wall: wall as f64 / 1e6,
            cpu: cpu as f64 / 1e6,
            peak: peak as f64 / 1024.0,
        }),
        [-1, wall, ..] if wall >= limit.as_micros() as i64 => {
            Err(format!("not done after {} s", limit.as_secs()).into())
        }
        [code, ..] => Err(format!("exit code {code}: {}", last_line(log)).into()),
        [] => Err("could not be started".into()),
    }
}

/// The end of what a program said.
pub fn last_line(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("none");
    line.chars().filter(|letter| !letter.is_control()).take(200).collect()
}
