//! The learner's folder: what is in it, and whether that has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Folders that programs make on their own, and that nobody edits by hand.
const MADE: [&str; 6] = ["target", "node_modules", "__pycache__", "build", "dist", "venv"];

/// The most files that are looked at.
const MAX_FILES: usize = 20_000;

/// The deepest folder that is looked at.
const MAX_DEPTH: usize = 12;

/// The time between two looks at the folder.
const TICK: Duration = Duration::from_millis(250);

/// How many rounds in a row a file may cut short. After that it is one that the program writes.
const MAX_CUTS: u32 = 3;

/// The files of a folder, with their sizes and times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, (u64, Option<SystemTime>)>);

impl Snapshot {
    /// Returns the files that are there now, without those that are hidden or made by programs.
    /// Links are not followed.
    pub fn of(folder: &Path) -> Snapshot {
        let mut found = Snapshot::default();
        found.walk(folder, 0);
        found
    }

    fn walk(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else { continue };
            if name.starts_with('.') || self.0.len() >= MAX_FILES {
                continue;
            }
            if kind.is_dir() {
                if depth < MAX_DEPTH && !MADE.contains(&name.as_ref()) {
                    self.walk(&entry.path(), depth + 1);
                }
            } else if let Ok(about) = entry.metadata() {
                self.0.insert(entry.path(), (about.len(), about.modified().ok()));
            }
        }
    }

    /// Returns the files that the later one has otherwise, or that only one of them has.
    pub fn changes_to<'a>(&'a self, later: &'a Snapshot) -> impl Iterator<Item = &'a PathBuf> {
        let changed = later.0.iter().filter(|(path, about)| self.0.get(*path) != Some(about));
        let gone = self.0.iter().filter(|(path, _)| !later.has(path));
        changed.chain(gone).map(|(path, _)| path)
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Returns the files that only the later one has.
    pub fn new_in<'a>(&'a self, later: &'a Snapshot) -> impl Iterator<Item = &'a PathBuf> {
        later.0.keys().filter(|path| !self.has(path))
    }
}

/// The learner's folder from one round of checks to the next, and who has changed it.
pub struct Watched {
    folder: PathBuf,
    /// Ctrl-C was pressed.
    stop: Arc<AtomicBool>,
    /// How the folder was when this round began.
    begun: Snapshot,
    /// What the program wrote when it was tried out.
    own: BTreeSet<PathBuf>,
    /// What has cut rounds short, and how many in a row.
    cuts: BTreeMap<PathBuf, u32>,
    /// What has changed while the last whole round ran.
    during: BTreeSet<PathBuf>,
}

impl Watched {
    /// Watches a folder until the flag is set.
    pub fn new(folder: PathBuf, stop: Arc<AtomicBool>) -> Watched {
        let (own, cuts, during) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        Watched { folder, stop, begun: Snapshot::default(), own, cuts, during }
    }

    /// Whether Ctrl-C was pressed.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Begins a round with a trial run. What changes meanwhile is a file of the program's own. If
    /// somebody saves one at that moment, nothing is lost: the checks come after it.
    pub fn try_out<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let before = Snapshot::of(&self.folder);
        let tried = run();
        self.begun = Snapshot::of(&self.folder);
        self.own = before.changes_to(&self.begun).cloned().collect();
        tried
    }

    /// Runs a round. Sets the flag as soon as a file is saved meanwhile, or Ctrl-C is pressed.
    pub fn beside<T>(&mut self, flag: &AtomicBool, round: impl FnOnce() -> T) -> T {
        let watched = &*self;
        let (result, saved) = thread::scope(|scope| {
            let (over, ended) = mpsc::channel::<()>();
            let watching = scope.spawn(move || {
                let mut pause = TICK;
                while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    let looked = Instant::now();
                    let saved = watched.saved();
                    if watched.is_stopped() || !saved.is_empty() {
                        flag.store(true, Ordering::SeqCst);
                        return saved;
                    }
                    // A large folder takes long to look at, and the checks need the disk too.
                    pause = TICK.max(10 * looked.elapsed());
                }
                BTreeSet::new()
            });
            let result = round();
            drop(over);
            (result, watching.join().unwrap_or_default())
        });
        if flag.load(Ordering::SeqCst) {
            self.during.clear();
        }
        for path in saved {
            *self.cuts.entry(path).or_default() += 1;
        }
        result
    }

    /// Returns the files that somebody has saved since the round began.
    fn saved(&self) -> BTreeSet<PathBuf> {
        let mut changed = self.changed(&Snapshot::of(&self.folder));
        changed.retain(|path| self.cuts.get(path).is_none_or(|cuts| *cuts < MAX_CUTS));
        changed
    }

    /// Returns what has changed since the round began, but for what is known to be the program's
    /// own, and for new files: those are what it leaves behind.
    fn changed(&self, now: &Snapshot) -> BTreeSet<PathBuf> {
        let changed = self.begun.changes_to(now).filter(|path| self.begun.has(path));
        changed.filter(|path| !self.own.contains(*path)).cloned().collect()
    }

    /// Ends a whole round; says whether a file was saved meanwhile. One that has changed in the
    /// round before as well is the program's own.
    pub fn end_round(&mut self) -> bool {
        let now = Snapshot::of(&self.folder);
        let changed = self.changed(&now);
        let saved = changed.difference(&self.during).next().is_some();
        self.cuts.retain(|path, _| changed.contains(path));
        self.during = changed;
        self.begun = now;
        saved
    }

    /// Waits for a change, now that nothing runs, or for Ctrl-C.
    pub fn wait(&self) {
        while !self.is_stopped() && Snapshot::of(&self.folder) == self.begun {
            thread::sleep(TICK);
        }
    }

    /// Waits until nothing changes any more: an editor writes several times.
    pub fn settle(&self) {
        let mut last = Snapshot::of(&self.folder);
        while !self.is_stopped() {
            thread::sleep(TICK / 2);
            let now = Snapshot::of(&self.folder);
            if now == last {
                return;
            }
            last = now;
        }
    }
}
