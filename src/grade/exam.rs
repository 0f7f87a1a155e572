//! An exam: many checks of one client, and what became of each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::check::Check;
use super::dice::Dice;
use super::evidence;
use super::kept;
use super::learner::Learner;
use super::miss::Miss;
use super::scene::Scene;

/// Why a run fails that ends, before a byte came to anybody, as that of an unknown subcommand does.
const NO_SUBCOMMAND: &str = "it ends as it does for a subcommand that it does not have; if it has \
                             this one, say in each error what is wrong";

/// What is said of a client that its peers take for this program. It cannot be prevented.
const IS_OURS: &str = "its peer id begins with -PM, as that of piecemeal does: it is piecemeal, or \
                       calls it";

/// What is to be checked, and how.
#[derive(Debug, Clone, Default)]
pub struct Exam {
    /// The checks, in the order of the report.
    pub checks: Vec<&'static Check>,
    /// The start of all dice.
    pub seed: u64,
    /// Whose dice they are.
    pub name: String,
    /// The client's command, as a shell would want it.
    pub command: String,
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
    /// The client does not have the subcommand that it asks for.
    NotBegun,
    /// It has not been run.
    NotRun,
}

impl Status {
    /// Returns the word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Half => "half",
            Status::Failed => "failed",
            Status::NotCounted => "not counted",
            Status::NotBegun => "not begun",
            Status::NotRun => "not run",
        }
    }

    /// Whether the client has been tried, and says something about itself in it.
    pub fn is_begun(self) -> bool {
        !matches!(self, Status::NotBegun | Status::NotRun)
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
            _ => 0.0,
        }
    }
}

/// Checks whose result is not shown yet.
#[derive(Debug, Clone)]
pub struct Hidden {
    /// The day from which on it is.
    pub until: String,
    /// The checks. Their titles are shown.
    pub graded: Vec<Graded>,
}

/// The result of an exam.
#[derive(Debug, Clone)]
pub struct Report {
    /// The start of all dice.
    pub seed: u64,
    /// Whose dice they were.
    pub name: String,
    /// The client's command, as a shell would want it.
    pub command: String,
    /// When it began.
    pub begun: SystemTime,
    /// How long it took.
    pub took: Duration,
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

    /// Returns the first check that is not passed.
    pub fn next(&self) -> Option<&Graded> {
        self.graded.iter().find(|graded| graded.status != Status::Passed)
    }

    /// Returns the check to do next. If the first that is not passed waits for its control, it is
    /// that one.
    pub fn to_do(&self) -> Option<&'static Check> {
        let next = self.next()?;
        let control = next.check.control.filter(|_| next.status == Status::NotCounted);
        control.and_then(super::checks::find).or(Some(next.check))
    }
}

impl Exam {
    /// Runs all checks. `done` is told of each in the order of the report, as soon as it is known.
    pub fn run(&self, learner: &Learner, mut done: impl FnMut(&Graded)) -> Report {
        let (begun, clock) = (SystemTime::now(), Instant::now());
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
        let mut known: BTreeMap<&str, Done> = BTreeMap::new();
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
                known.insert(result.graded.check.id, result);
                let so_far = Known { all: &all, known: &known, learner };
                while let Some(next) =
                    self.checks.get(graded.len()).and_then(|check| so_far.decided(check))
                {
                    done(&next);
                    graded.push(next);
                }
            }
            let _ = runner.join();
        });
        let mut notes = learner.left_behind().notes(self.keep.as_deref());
        let is_nothing = |graded: &Graded| graded.credit() == 0.0;
        if let Some(trouble) = learner.trouble().filter(|_| graded.iter().all(is_nothing)) {
            notes.insert(0, trouble.to_owned());
            let untried = graded.iter_mut().filter(|graded| graded.status == Status::NotBegun);
            untried.for_each(|graded| graded.miss = Some(Miss::new(trouble)));
        }
        notes.splice(0..0, self.out_of_time(&graded));
        notes.extend(known.values().any(|done| done.is_ours).then(|| IS_OURS.to_owned()));
        Report {
            seed: self.seed,
            name: self.name.clone(),
            command: self.command.clone(),
            begun,
            took: clock.elapsed(),
            graded,
            notes,
            hidden: None,
        }
    }

    /// Returns the note about the checks for which there was no time.
    fn out_of_time(&self, graded: &[Graded]) -> Option<String> {
        let is_over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let left = || graded.iter().filter(|graded| graded.status == Status::NotRun);
        let first = left().next().filter(|_| is_over)?.check.id;
        let count = match left().count() {
            1 => "1 check was".to_owned(),
            count => format!("{count} checks were"),
        };
        Some(format!("the time for all checks was over at {first}: {count} not run"))
    }

    /// Runs one check, and sends what became of it.
    fn check(&self, check: &'static Check, learner: &Learner, results: &Sender<Done>) {
        let begun = Instant::now();
        let send = |status, miss, capture, runs, is_ours| {
            let elapsed = begun.elapsed();
            let graded = Graded { check, status, miss, elapsed, capture, weight: 1.0 };
            // Whoever listens stays until all are sent.
            let _ = results.send(Done { graded, runs, is_ours });
        };
        if let Some(why) = self.over() {
            return send(Status::NotRun, Some(Miss::new(why)), None, Vec::new(), false);
        }
        if let Some(miss) = learner.is_hopeless() {
            return send(Status::NotRun, Some(miss), None, Vec::new(), false);
        }
        let dice = Dice::new(self.seed, &self.name, check.id);
        let mut runs = Vec::new();
        let (miss, recordings) = match Scene::new(dice, learner, check.stage()) {
            Ok(mut scene) => {
                let finding = (check.run)(&mut scene);
                let recordings = scene.recordings();
                runs = scene.unknown(&recordings);
                let mut clues = scene.clues(&recordings, check.stage());
                // A refusal may be right before anybody is dialed.
                clues.dials &= check.control.is_none();
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
        let (status, miss) = match (miss, self.over()) {
            (None, _) => (Status::Passed, None),
            // Its runs were cut short, so it says nothing about the client.
            (_, Some(why)) => (Status::NotRun, Some(Miss::new(why))),
            (Some(miss), _) if miss.half => (Status::Half, Some(miss)),
            (miss, _) => (Status::Failed, miss),
        };
        send(status, miss, capture, runs, evidence::is_ours(&recordings));
    }

    /// Says why no check runs any more.
    fn over(&self) -> Option<&'static str> {
        if self.stop.load(Ordering::Relaxed) {
            Some("it was stopped before")
        } else {
            let is_over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            is_over.then_some("the time for all checks was over before it was done")
        }
    }
}

/// A check that has been run, and not yet compared with the others.
struct Done {
    graded: Graded,
    /// The subcommand of each run, and whether it ended as one that there is not.
    runs: Vec<(String, bool)>,
    /// Whether a peer took it for this program.
    is_ours: bool,
}

impl Done {
    /// Returns the subcommand that the client seems not to have.
    fn missing(&self) -> Option<&str> {
        let all = self.runs.iter().all(|(_, is_unknown)| *is_unknown);
        self.runs.first().filter(|_| all).map(|(command, _)| command.as_str())
    }
}

/// What is known so far.
struct Known<'a> {
    all: &'a [&'static Check],
    known: &'a BTreeMap<&'a str, Done>,
    learner: &'a Learner,
}

impl Known<'_> {
    /// Returns a result once it is decided: a refusal waits for its control.
    fn decided(&self, check: &Check) -> Option<Graded> {
        let result = self.begun(check.id)?;
        let passes_plain = self.passes_plain(check)?;
        let result = Graded { miss: result.miss.map(|miss| miss.settled(passes_plain)), ..result };
        let Some(control) = check.control else { return Some(result) };
        let control = self.begun(control)?;
        let is_nothing = !result.status.is_begun() || result.status == Status::Failed;
        if control.status == Status::Passed || is_nothing {
            return Some(result);
        }
        let what = format!(
            "not counted until {} passes: a client that always fails would pass this one",
            control.check.id
        );
        Some(Graded { status: Status::NotCounted, miss: Some(Miss::new(what)), ..result })
    }

    /// Whether the client passes the plain case of a check: its control, or else the first check of
    /// its stage. One that is not run is taken for passed.
    fn passes_plain(&self, check: &Check) -> Option<bool> {
        let first = super::checks::all().find(|one| one.stage() == check.stage())?;
        let plain = check.control.unwrap_or(first.id);
        if plain == check.id || self.all.iter().all(|one| one.id != plain) {
            return Some(true);
        }
        Some(matches!(self.begun(plain)?.status, Status::Passed | Status::Half))
    }

    /// Returns a result. If the client seems not to have the subcommand, all checks of the stage
    /// decide: many clients say the same of a bad value and of an unknown command.
    fn begun(&self, id: &str) -> Option<Graded> {
        let done = self.known.get(id)?;
        let Some(command) = done.missing() else { return Some(done.graded.clone()) };
        let of_stage = self.all.iter().filter(|check| check.stage() == done.graded.check.stage());
        let of_stage =
            of_stage.map(|check| self.known.get(check.id)).collect::<Option<Vec<_>>>()?;
        let answers = |run: &(String, bool)| run.0 == command && !run.1;
        let has = of_stage.iter().any(|done| done.runs.iter().any(answers));
        let tries = of_stage.iter().filter(|done| done.missing() == Some(command)).count();
        let result = done.graded.clone();
        if has || result.status == Status::NotRun {
            return Some(result);
        }
        // One run alone is no proof.
        if tries < 2 {
            let miss = result.miss.map(|miss| miss.rather(NO_SUBCOMMAND));
            return Some(Graded { miss, ..result });
        }
        let miss = Some(self.learner.has_none(command));
        Some(Graded { status: Status::NotBegun, miss, ..result })
    }
}
