//! An exam: many checks of one client, and what became of each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::check::Check;
use super::dice::Dice;
use super::evidence;
use super::kept;
use super::learner::Learner;
use super::miss::Miss;
use super::scene::Scene;

/// What is to be checked, and how.
#[derive(Debug, Clone, Default)]
pub struct Exam {
    /// The checks, in the order of the report.
    pub checks: Vec<&'static Check>,
    /// The start of all dice.
    pub seed: u64,
    /// Whose dice they are.
    pub name: String,
    /// How many checks run at a time.
    pub jobs: usize,
    /// Where the capture of a failed check goes.
    pub keep: Option<PathBuf>,
    /// No check begins after this.
    pub deadline: Option<Instant>,
    /// Once this is set, no check begins either.
    pub stop: Arc<AtomicBool>,
}

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is true of this client.
    Passed,
    /// Right in what it did, wrong in how.
    Half,
    /// It is not true of this client.
    Failed,
    /// The check that must pass for this one to count has not.
    NotCounted,
}

impl Status {
    /// Returns the word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Half => "half",
            Status::Failed => "failed",
            Status::NotCounted => "not counted",
        }
    }
}

/// A check that has been run.
#[derive(Debug, Clone)]
pub struct Graded {
    /// The check.
    pub check: &'static Check,
    /// What became of it.
    pub status: Status,
    /// What was wrong.
    pub miss: Option<Miss>,
    /// How long it took.
    pub elapsed: Duration,
    /// The capture of what the peers saw, if it was kept.
    pub capture: Option<PathBuf>,
    /// What a teacher multiplies its points by; 1 otherwise.
    pub weight: f64,
}

impl Graded {
    /// Returns the points that it can bring.
    pub fn worth(&self) -> f64 {
        f64::from(self.check.points) * self.weight
    }

    /// Returns the points that it brings.
    pub fn credit(&self) -> f64 {
        match self.status {
            Status::Passed => self.worth(),
            Status::Half => self.worth() / 2.0,
            Status::Failed | Status::NotCounted => 0.0,
        }
    }
}

/// Checks whose result is not shown yet.
#[derive(Debug, Clone)]
pub struct Hidden {
    /// The day from which on it is.
    pub until: String,
    /// The checks. Their titles are shown.
    pub checks: Vec<&'static Check>,
}

/// The result of an exam.
#[derive(Debug, Clone)]
pub struct Report {
    /// The start of all dice.
    pub seed: u64,
    /// Whose dice they were.
    pub name: String,
    /// The checks, in order.
    pub graded: Vec<Graded>,
    /// What is to be said about the whole.
    pub notes: Vec<String>,
    /// Checks that are not among them yet.
    pub hidden: Option<Hidden>,
}

impl Report {
    /// Returns the points of this client.
    pub fn points(&self) -> f64 {
        self.graded.iter().map(Graded::credit).sum()
    }

    /// Returns the points that there are.
    pub fn of(&self) -> f64 {
        self.graded.iter().map(Graded::worth).sum()
    }

    /// Returns the first check that is not passed: the next one to do.
    pub fn next(&self) -> Option<&Graded> {
        self.graded.iter().find(|graded| graded.status != Status::Passed)
    }
}

impl Exam {
    /// Runs all checks. `done` is told of each in the order of the report, as soon as it is known.
    pub fn run(&self, learner: &Learner, mut done: impl FnMut(&Graded)) -> Report {
        // A control that was not asked for still decides whether a refusal counts.
        let mut all = self.checks.clone();
        for control in self.checks.iter().filter_map(|check| check.control) {
            if !all.iter().any(|check| check.id == control) {
                all.extend(super::checks::find(control));
            }
        }
        let (alone, together): (Vec<_>, Vec<_>) =
            all.iter().copied().partition(|check| check.alone);
        let (sender, results) = mpsc::channel();
        let mut known: BTreeMap<&str, Graded> = BTreeMap::new();
        let mut graded: Vec<Graded> = Vec::new();
        thread::scope(|scope| {
            let runner = scope.spawn(move || {
                let next = AtomicUsize::new(0);
                thread::scope(|scope| {
                    for _ in 0..self.jobs.clamp(1, together.len().max(1)) {
                        let sender = sender.clone();
                        let (next, together) = (&next, &together);
                        scope.spawn(move || {
                            while let Some(check) =
                                together.get(next.fetch_add(1, Ordering::Relaxed))
                            {
                                self.check(check, learner, &sender);
                            }
                        });
                    }
                });
                alone.iter().for_each(|check| self.check(check, learner, &sender));
            });
            for result in results {
                known.insert(result.check.id, result);
                while let Some(next) = self.checks.get(graded.len()).and_then(|check| {
                    let known = |id| known.get(id);
                    decided(known(check.id)?, check.control.map(known))
                }) {
                    done(&next);
                    graded.push(next);
                }
            }
            let _ = runner.join();
        });
        let notes = learner.left_behind().notes(self.keep.as_deref());
        Report { seed: self.seed, name: self.name.clone(), graded, notes, hidden: None }
    }

    /// Runs one check, and sends what became of it.
    fn check(&self, check: &'static Check, learner: &Learner, results: &Sender<Graded>) {
        let begun = Instant::now();
        if self.deadline.is_some_and(|deadline| begun >= deadline) {
            let miss = Miss::new("the time for the whole exam was over before this check began");
            return send(results, check, Some(miss), begun, None);
        }
        if self.stop.load(Ordering::Relaxed) {
            return send(results, check, Some(Miss::new("it was stopped before")), begun, None);
        }
        let dice = Dice::new(self.seed, &self.name, check.id);
        let (miss, recordings) = match Scene::new(dice, learner, check.stage()) {
            Ok(mut scene) => {
                let finding = (check.run)(&mut scene);
                let recordings = scene.recordings();
                let clues = scene.clues(&recordings, check.stage());
                (finding.err().map(|miss| evidence::add_to(miss, clues)), recordings)
            }
            Err(error) => {
                let miss = Miss::new(format!("the grader has no temporary folder: {error}"));
                (Some(miss), Vec::new())
            }
        };
        let capture = miss
            .as_ref()
            .and(self.keep.as_ref())
            .filter(|_| !recordings.is_empty())
            .and_then(|folder| kept::keep(&recordings, check, folder).ok());
        send(results, check, miss, begun, capture);
    }
}

/// Sends what became of a check.
fn send(
    results: &Sender<Graded>,
    check: &'static Check,
    miss: Option<Miss>,
    begun: Instant,
    capture: Option<PathBuf>,
) {
    let elapsed = begun.elapsed();
    let status = match &miss {
        None => Status::Passed,
        Some(miss) if miss.half => Status::Half,
        Some(_) => Status::Failed,
    };
    // Whoever listens stays until all are sent.
    let _ = results.send(Graded { check, status, miss, elapsed, capture, weight: 1.0 });
}

/// Returns a result once it is decided: a refusal waits for its control.
fn decided(result: &Graded, control: Option<Option<&Graded>>) -> Option<Graded> {
    match control {
        None => Some(result.clone()),
        Some(control) => {
            let control = control?;
            if control.status == Status::Passed || result.status == Status::Failed {
                return Some(result.clone());
            }
            let what = format!(
                "not counted until {} passes: a client that always fails would pass this one",
                control.check.id
            );
            Some(Graded {
                status: Status::NotCounted,
                miss: Some(Miss::new(what)),
                ..result.clone()
            })
        }
    }
}
