//! Everything that a run has started, found in `/proc`: also what has left its group, its session
//! and its parent. (Linux)
//!
//! A process can leave its group and its session, and it can be orphaned. It cannot leave the
//! tree below us once we adopt orphans, as an init does. That is how a daemon is found again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// The variable by which everything that a run has started is known. A run inside a run adds
/// its own mark to that of the outer one.
pub(crate) const MARK: &str = "PIECEMEAL_RUN";

/// What separates the marks.
const BETWEEN: u8 = b':';

/// The first process of a world. All others that were started in there are below it, also those
/// whose parent has ended while the processes were being listed: that hides most of a program which
/// forks on and on. What has come from outside has the parent 0.
const INIT: u32 = 1;

/// How often processes that fork while they are being ended are looked for again.
const MAX_ROUNDS: usize = 200;

/// The runs that are alive, by the process that we have started for each: its mark.
static LIVE: Mutex<BTreeMap<u32, String>> = Mutex::new(BTreeMap::new());

/// Whether orphans become our children.
static ADOPTS: AtomicBool = AtomicBool::new(false);

/// The runs that are alive. While this is held, none is started, and none is ended.
pub(crate) fn live() -> MutexGuard<'static, BTreeMap<u32, String>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes every orphan below us our child, so that none is lost. The program calls it once; a test
/// that starts other children must not.
pub fn adopt_orphans() {
    let ours = Pid::from_raw(i32::try_from(std::process::id()).unwrap_or(0));
    let adopts = rustix::process::set_child_subreaper(ours).is_ok();
    ADOPTS.store(adopts, Ordering::Relaxed);
}

/// A line of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pub pid: u32,
    pub parent: u32,
    /// It has ended, and nobody has asked how.
    pub is_zombie: bool,
    /// The memory that it holds, in bytes.
    pub resident: u64,
}

/// Returns all processes that we can see.
pub(crate) fn processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(process).collect()
}

fn process(pid: u32) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name in parentheses may hold anything; fields are counted after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let pages: u64 = fields.get(21)?.parse().ok()?;
    let is_zombie = matches!(fields.first(), Some(&("Z" | "X")));
    Some(Process {
        pid,
        parent,
        is_zombie,
        resident: pages.saturating_mul(rustix::param::page_size() as u64),
    })
}

/// Returns the processes below this one.
pub(crate) fn below(root: u32, all: &[Process]) -> Vec<Process> {
    if root == INIT {
        let others = all.iter().filter(|process| process.parent != 0 && process.pid != root);
        return others.copied().collect();
    }
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let children = all.iter().filter(|process| process.parent == parent);
        for child in children.filter(|child| child.pid != root) {
            parents.push(child.pid);
            found.push(*child);
        }
    }
    found
}

/// Ends a process now.
pub(crate) fn end(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Ends everything that has this mark. Where orphans become our children, it also ends each that
/// belongs to no run that is alive: a program may have deleted its mark.
pub(crate) fn end_what_is_left(mark: &str) {
    let adopts = ADOPTS.load(Ordering::Relaxed);
    for _ in 0..MAX_ROUNDS {
        let live = live();
        let all = if adopts { children() } else { processes() };
        let mut found = false;
        for process in all.iter().filter(|process| !live.contains_key(&process.pid)) {
            if process.is_zombie && adopts {
                reap(process.pid);
            }
            if process.is_zombie || process.pid == std::process::id() {
                continue;
            }
            let marks = marks(process.pid);
            let marked = |mark: &str| {
                marks.split(|byte| *byte == BETWEEN).any(|found| found == mark.as_bytes())
            };
            if marked(mark) || (adopts && !live.values().any(|mark| marked(mark))) {
                end(process.pid);
                found = true;
            }
        }
        drop(live);
        if !found {
            return;
        }
        std::thread::yield_now();
    }
}

/// Returns our own children. The system keeps a list of them, so that not all processes of the
/// machine have to be looked at after each run.
fn children() -> Vec<Process> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.map(|thread| std::fs::read_to_string(thread.path().join("children")));
    match lists.collect::<Result<Vec<String>, _>>() {
        Ok(lists) => {
            let pids = lists.iter().flat_map(|list| list.split_whitespace());
            pids.filter_map(|pid| process(pid.parse().ok()?)).collect()
        }
        // A thread has just ended, or this system has no such list.
        Err(_) => {
            let ours = std::process::id();
            processes().into_iter().filter(|process| process.parent == ours).collect()
        }
    }
}

fn reap(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Returns the marks in the environment of a process.
fn marks(pid: u32) -> Vec<u8> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0);
    variables
        .find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))
        .map(<[u8]>::to_vec)
        .unwrap_or_default()
}

/// Ends all runs and everything below us.
pub fn end_all() {
    let ours = std::process::id();
    for _ in 0..MAX_ROUNDS {
        let mut alive = below(ours, &processes());
        alive.retain(|process| !process.is_zombie);
        // The oldest first: the end of a namespace's first process is the end of all in it.
        alive.sort_by_key(|process| process.pid);
        alive.iter().for_each(|process| end(process.pid));
        if alive.is_empty() {
            return;
        }
        std::thread::yield_now();
    }
}
