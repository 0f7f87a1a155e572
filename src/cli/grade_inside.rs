//! Options that `grade --class` gives to the process that grades one student. (grade)

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use piecemeal::grade::class::inside::Inside;
use piecemeal::grade::exam::{Exam, Report};
use piecemeal::grade::guard::Guard;
use piecemeal::grade::learner::Learner;
use serde_json::{Map, Value, json};

use super::Answer;
use super::exit_codes::{BAD_INPUT, OTHER};
use super::failure::Failure;
use super::grade_options::JOBS;

/// How many of a program beside other students that starts fast, and what is fast: three times its
/// start. Even if as many start at once on one core, all of them have begun in three seconds, and
/// no limit is shorter than four.
const JOBS_OF_FAST: usize = 8;
const FAST: Duration = Duration::from_secs(1);

/// The world of one submission. People have no use for these.
#[derive(clap::Args)]
pub struct InsideOptions {
    /// The folder with the copy of the submission
    #[arg(long, value_name = "DIR", hide = true, requires = "run")]
    place: Option<PathBuf>,
    /// This process has namespaces of its own
    #[arg(long, hide = true, requires = "place")]
    isolated: bool,
    /// What must not be seen
    #[arg(long, value_name = "DIR", hide = true, requires = "place")]
    hide: Vec<PathBuf>,
    /// The teacher's home
    #[arg(long, value_name = "DIR", hide = true, requires = "place")]
    home: Option<PathBuf>,
    /// What makes the program
    #[arg(long, value_name = "COMMAND", hide = true, requires = "place")]
    build: Option<String>,
    /// How long all checks may take
    #[arg(long, value_name = "SECONDS", hide = true, requires = "place")]
    within: Option<u64>,
}

/// A world that has been entered.
pub struct Entered {
    /// What starts the submission.
    pub command: Vec<OsString>,
    /// When the time of this submission is over.
    pub deadline: Option<Instant>,
    /// What watches over it.
    pub guard: Guard,
}

impl Entered {
    /// Sets how many checks run at a time, and who ends them all.
    pub fn bounded(&self, learner: Learner, exam: &mut Exam) -> Learner {
        exam.jobs = jobs_in_class(&learner, &self.guard);
        learner.given_up_by(self.guard.hopeless())
    }
}

/// The most bytes of captures that a judge hands out: what it prints has a limit.
const MAX_CAPTURES: usize = 32 << 20;

/// Returns the captures of a report by the ids of their checks: nobody sees the files in here.
pub fn captures(report: &Report) -> Option<Value> {
    let mut room = MAX_CAPTURES;
    let kept: Map<String, Value> = report
        .graded
        .iter()
        .filter_map(|graded| {
            let text = std::fs::read_to_string(graded.capture.as_ref()?).ok()?;
            room = room.checked_sub(text.len())?;
            Some((graded.check.id.to_owned(), text.into()))
        })
        .collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}

impl InsideOptions {
    /// Enters the world of the submission and builds its program, if this process was told to.
    pub fn enter(&self, run: Option<&str>) -> Result<Option<Entered>, Failure> {
        let (Some(place), Some(run)) = (&self.place, run) else { return Ok(None) };
        let inside = Inside {
            place: place.clone(),
            run: run.to_owned(),
            isolated: self.isolated,
            hide: self.hide.clone(),
            home: self.home.clone(),
        };
        let command = inside.enter().map_err(|error| {
            Failure::new(OTHER, error).help("grade this submission alone, without --class")
        })?;
        // Within a world of its own, its file system is as large as it may be.
        let guard = Guard::start((!self.isolated).then(|| place.clone()));
        if let Some(line) = &self.build {
            let built = inside.build(line).unwrap_or_else(|error| Err(error.to_string()));
            built.map_err(|why| {
                let (why, lines) = why.split_once('\n').unwrap_or((&why, ""));
                let json = json!({ "lines": lines.lines().collect::<Vec<_>>() });
                Failure::new(BAD_INPUT, format!("it cannot be built: {why}"))
                    .help("run the build of grade.toml in its folder")
                    .answer(Answer { text: String::new(), json })
            })?;
        }
        let deadline = self.within.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        Ok(Some(Entered { command, deadline, guard }))
    }
}

/// Returns how many checks of a student run at a time: of a program that was over a bound at its
/// first run one, since several would be several times over it.
fn jobs_in_class(learner: &Learner, guard: &Guard) -> usize {
    match learner.start_time() < FAST {
        _ if !guard.notes().is_empty() => 1,
        true => JOBS_OF_FAST,
        false => JOBS,
    }
}
