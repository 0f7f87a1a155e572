//! Bounds for everything that a submission runs at a time: processes, memory, disk.
//!
//! The system's own limits are for one process each. A program that starts a thousand of them, or
//! keeps its data in files that have no name, is within all of those limits. So the sum is looked
//! at twenty times a second, and if it is over a bound, everything that runs is ended.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The most processes at a time. A right client has one for each check that runs.
pub const MAX_PROCESSES: usize = 100;

/// The most memory of all of them together.
pub const MAX_MEMORY: u64 = 1 << 30;

/// The most that they may write to the disk.
pub const MAX_DISK: u64 = 512 << 20;

/// The most files that they may make.
const MAX_FILES: u64 = 100_000;

/// The time between two looks.
const TICK: Duration = Duration::from_millis(50);

/// How often a submission is over the bound of processes before it is run no more. Each time, the
/// whole machine has felt it: a program that doubles itself is faster than any watch.
const MAX_TIMES: usize = 5;

/// How many looks at the processes come to one at the disk.
const DISK_EVERY: u32 = 10;

/// A watch over everything below this process. Dropping it ends the watch.
pub struct Guard {
    over: Arc<AtomicBool>,
    said: Arc<Mutex<Vec<String>>>,
    hopeless: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Guard {
    /// Begins to watch. `folder` is measured if nothing else bounds it.
    pub fn start(folder: Option<PathBuf>) -> Guard {
        let over = Arc::new(AtomicBool::new(false));
        let said = Arc::new(Mutex::new(Vec::new()));
        let hopeless = Arc::new(AtomicBool::new(false));
        let (stop, say, give_up) = (over.clone(), said.clone(), hopeless.clone());
        let thread = std::thread::spawn(move || {
            let (mut looks, mut times) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                looks += 1;
                let at_disk = folder.as_deref().filter(|_| looks % DISK_EVERY == 0);
                let Some(what) = excess().or_else(|| at_disk.and_then(too_large)) else { continue };
                times += usize::from(what == too_many());
                give_up.store(times >= MAX_TIMES, Ordering::Relaxed);
                // Said first: whoever sees that a program has ended finds out why.
                let mut said = say.lock().unwrap_or_else(PoisonError::into_inner);
                if !said.contains(&what) {
                    said.push(what);
                }
                drop(said);
                #[cfg(target_os = "linux")]
                crate::offspring::descendants::end_all();
            }
        });
        Guard { over, said, hopeless, thread: Some(thread) }
    }

    /// Returns the flag that is set once the submission is not to be run any more.
    pub fn hopeless(&self) -> Arc<AtomicBool> {
        self.hopeless.clone()
    }

    /// Returns what has been over its bound, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

/// What is said of a program that starts too many others.
fn too_many() -> String {
    format!("the program ran more than {MAX_PROCESSES} processes at a time: all were ended")
}

/// Says which bound the processes are over, if they are.
#[cfg(target_os = "linux")]
fn excess() -> Option<String> {
    use crate::offspring::descendants::{below, processes};

    let mut alive = below(std::process::id(), &processes());
    alive.retain(|process| !process.is_zombie);
    if alive.len() > MAX_PROCESSES {
        return Some(too_many());
    }
    let memory: u64 = alive.iter().map(|process| process.resident).sum();
    let nameless: u64 = alive.iter().map(|process| held(process.pid)).sum();
    (memory.saturating_add(nameless) > MAX_MEMORY).then(|| {
        format!("the program took more than {} MiB of memory: all was ended", MAX_MEMORY >> 20)
    })
}

#[cfg(not(target_os = "linux"))]
fn excess() -> Option<String> {
    None
}

/// Returns the size of the files that a process has open and that have no name any more, or never
/// had one: they are in no folder, and in no process's memory.
#[cfg(target_os = "linux")]
fn held(pid: u32) -> u64 {
    use std::os::unix::fs::MetadataExt;

    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let sizes = descriptors.filter_map(|entry| {
        let about = entry.path().metadata().ok()?;
        (about.is_file() && about.nlink() == 0).then(|| about.blocks() * 512)
    });
    sizes.sum()
}

/// Says that a folder holds too much, and empties it, if so.
fn too_large(folder: &Path) -> Option<String> {
    let (mut bytes, mut files) = (0, 0);
    measure(folder, &mut bytes, &mut files);
    if bytes <= MAX_DISK && files <= MAX_FILES {
        return None;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
    }
    Some(format!(
        "the program filled the disk with more than {} MiB: all was ended",
        MAX_DISK >> 20
    ))
}

fn measure(folder: &Path, bytes: &mut u64, files: &mut u64) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(about) = entry.metadata() else { continue };
        *files += 1;
        *bytes += about.len();
        if *bytes > MAX_DISK || *files > MAX_FILES {
            return;
        }
        if about.is_dir() {
            measure(&entry.path(), bytes, files);
        }
    }
}
