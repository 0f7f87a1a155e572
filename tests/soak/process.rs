//! What this process holds.

use std::fmt;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long what has ended may take to be gone: a choker looks twice a second whether it is needed.
const SETTLE: Duration = Duration::from_secs(15);

/// Threads and file descriptors.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    threads: usize,
    files: usize,
}

impl Left {
    pub fn now() -> Left {
        let count = |folder: &str| fs::read_dir(folder).expect("Linux has /proc").count();
        // The listing itself has one open.
        Left { threads: count("/proc/self/task"), files: count("/proc/self/fd") - 1 }
    }

    /// Waits until there is no more than this; or says what there is.
    pub fn settle(self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let now = Left::now();
            if now.threads <= self.threads && now.files <= self.files {
                return Ok(());
            }
            if begun.elapsed() > SETTLE {
                return Err(format!("{now}, and {self} before; the threads are {:?}", threads()));
            }
            sleep(Duration::from_millis(10));
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{} and {}", self.threads, self.files)
    }
}

/// The names of all threads.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux has /proc");
    let name = |task: fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).unwrap_or_default().trim().to_owned()
    };
    tasks.filter_map(|task| Some(name(task.ok()?))).collect()
}

/// The most memory that this process has had, in KiB.
pub fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}
