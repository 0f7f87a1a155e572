//! Options of `grade`: which checks, whose dice, and where the reports go. (grade)

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use piecemeal::grade::check::Check;
use piecemeal::grade::checks;
use piecemeal::grade::exam::{Exam, Report};
use piecemeal::grade::learner::Learner;
use piecemeal::grade::report::{ReportForm, writable, write};
use serde_json::{Value, json};

use super::Answer;
use super::exit_codes::{BAD_INPUT, LOCAL, USAGE};
use super::failure::Failure;

/// The page about what a client is asked for.
const PAGE: &str = "your-own-client";

/// How many checks run at a time on one core, and beside other students: most of them wait.
pub const JOBS: usize = 4;

/// The same where there are more cores. Each limit has room for three starts of the program, so
/// that up to three at a time on each core do not take longer than that.
const MORE_JOBS: usize = 5;

/// What is checked, and how.
#[derive(clap::Args)]
pub struct GradeOptions {
    /// Only the checks of this stage [repeatable]
    #[arg(long, value_name = "N")]
    stage: Vec<u8>,
    /// Only the checks up to this stage
    #[arg(long, value_name = "N", conflicts_with = "stage")]
    until: Option<u8>,
    /// Only these checks, by their ids: 5.3,5.6-5.9 [repeatable]
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with_all = ["stage", "until"])]
    check: Vec<String>,
    /// The same contents, names and ids again
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// This student's contents; of a class only this one
    #[arg(long = "as", value_name = "NAME", default_value = "", hide_default_value = true)]
    name: String,
    /// List the checks, and run none
    #[arg(long)]
    pub list: bool,
    /// Run again whenever a file in this folder changes
    #[arg(long)]
    pub watch: bool,
    /// Keep what the peers saw of each failed check here
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write a report: .md, .html, .json, .xml; results.json
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
    /// How many of a class at a time [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: Option<u8>,
}

impl GradeOptions {
    /// Returns the checks that were asked for, with their dice.
    pub fn exam(&self) -> Result<Exam, Failure> {
        let checks: Vec<&Check> = if self.check.is_empty() {
            let stages = |check: &&Check| {
                (self.stage.is_empty() || self.stage.contains(&check.stage()))
                    && self.until.is_none_or(|until| check.stage() <= until)
            };
            checks::all().filter(stages).collect()
        } else {
            let mut places = BTreeSet::new();
            for ids in &self.check {
                places.extend(places_of(ids)?);
            }
            let is_named = |(place, _): &(usize, &Check)| places.contains(place);
            checks::all().enumerate().filter(is_named).map(|(_, check)| check).collect()
        };
        if checks.is_empty() {
            return Err(Failure::new(USAGE, "there is no check in this stage")
                .help("`piecemeal grade --list` has them all")
                .see(PAGE));
        }
        Ok(Exam {
            checks,
            seed: self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
            name: self.name.clone(),
            jobs: if cores() > 1 { MORE_JOBS } else { JOBS },
            keep: self.keep.clone(),
            ..Exam::default()
        })
    }

    /// Checks whether what was asked for can be written, before anything runs.
    pub fn prepare(&self) -> Result<(), Failure> {
        let local = |path: &Path, error: &std::io::Error| {
            Failure::new(LOCAL, format!("{}: {error}", path.display()))
                .help(super::failure::at_the_disk(error))
                .see(PAGE)
        };
        for report in &self.report {
            ReportForm::of(report).map_err(|error| {
                Failure::new(USAGE, error).help("a folder of reports goes with --class").see(PAGE)
            })?;
            writable(report).map_err(|error| local(report, &error))?;
        }
        if let Some(folder) = &self.keep {
            std::fs::create_dir_all(folder).map_err(|error| local(folder, &error))?;
            writable(&folder.join("0.html")).map_err(|error| local(folder, &error))?;
        }
        Ok(())
    }

    /// Returns the seed that was asked for.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Returns the only student of a class that was asked for.
    pub fn only(&self) -> Option<String> {
        Some(self.name.clone()).filter(|name| !name.is_empty())
    }

    /// Returns where the captures go.
    pub fn keep(&self) -> Option<&Path> {
        self.keep.as_deref()
    }

    /// Returns where the reports go.
    pub fn reports(&self) -> &[PathBuf] {
        &self.report
    }

    /// Returns how many students are graded at a time: one for each core, unless it was said.
    pub fn students_at_a_time(&self) -> usize {
        self.jobs.map_or_else(cores, usize::from)
    }

    /// Returns the list of these checks.
    pub fn list_of(&self, exam: &Exam) -> Answer {
        let line = |check: &&Check| {
            let points = check.points;
            format!("{:<6}{points}  {}  [{}]", check.id, check.title, check.clause)
        };
        let points: u32 = exam.checks.iter().map(|check| check.points).sum();
        let mut lines: Vec<String> = exam.checks.iter().map(line).collect();
        lines.push(format!("{} checks, {points} points", exam.checks.len()));
        let checks: Vec<Value> = exam.checks.iter().map(|check| described(check)).collect();
        Answer { text: lines.join("\n"), json: json!({ "of": points, "checks": checks }) }
    }

    /// Writes the reports that were asked for.
    pub fn write_reports(&self, report: &Report) -> Result<(), Failure> {
        for path in &self.report {
            write(report, path).map_err(|error| {
                Failure::new(LOCAL, format!("{}: {error}", path.display()))
                    .help(super::failure::at_the_disk(&error))
                    .see(PAGE)
            })?;
        }
        Ok(())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns where in the list of all checks an id is, or a range such as `5.6-5.9`.
fn places_of(ids: &str) -> Result<RangeInclusive<usize>, Failure> {
    let place = |id: &str| {
        checks::all().position(|check| check.id == id).ok_or_else(|| {
            Failure::new(USAGE, format!("there is no check {id}")).help(meant(id)).see(PAGE)
        })
    };
    let (first, last) = ids.split_once('-').unwrap_or((ids, ids));
    let places = place(first)?..=place(last)?;
    if places.is_empty() {
        return Err(Failure::new(USAGE, format!("{ids}: a range begins with its first check"))
            .help(format!("write {last}-{first}"))
            .see(PAGE));
    }
    Ok(places)
}

/// Returns what may have been meant by the id of a check that is not there.
fn meant(id: &str) -> String {
    let (stage, number) =
        id.split_once('.').map_or((id, None), |(stage, rest)| (stage, Some(rest)));
    let is_of_stage = |check: &&Check| stage.parse() == Ok(check.stage());
    let of_stage: Vec<&Check> = checks::all().filter(is_of_stage).collect();
    match (&of_stage[..], number) {
        ([], _) => "`piecemeal grade --list` has them all".to_owned(),
        ([first, ..], None) => {
            format!("all of stage {stage} is --stage {stage}, one check of it --check {}", first.id)
        }
        ([first, .., last], Some(_)) => {
            format!("stage {stage} has the checks {} to {}", first.id, last.id)
        }
        ([only], Some(_)) => format!("stage {stage} has only the check {}", only.id),
    }
}

/// Returns a check for programs.
fn described(check: &Check) -> Value {
    json!({
        "id": check.id,
        "stage": check.stage(),
        "title": check.title,
        "points": check.points,
        "clause": check.clause,
        "control": check.control,
        "twin": check.twin,
    })
}

/// Takes the learner's command; `shown` is what people know it by.
pub fn learner(command: &[OsString], shown: Option<&str>, exam: &Exam) -> Result<Learner, Failure> {
    let Some(program) = command.first() else {
        return Err(Failure::new(USAGE, "there is no command to grade")
            .help("put it after --: piecemeal grade -- python3 my_client.py")
            .see(PAGE));
    };
    let learner = Learner::new(command).map_err(|error| {
        let shown = shown.map_or_else(|| program.to_string_lossy(), Into::into);
        Failure::new(BAD_INPUT, format!("{shown} cannot be started: {error}"))
            .help(match error.kind() {
                ErrorKind::PermissionDenied => "make it executable: chmod +x",
                ErrorKind::NotFound => "check its path, and the folder you are in",
                _ => "a script needs its interpreter in front: -- python3 my_client.py",
            })
            .see(PAGE)
    })?;
    let learner = learner.stopped_by(exam.stop.clone());
    Ok(match exam.deadline {
        Some(deadline) => learner.until(deadline),
        None => learner,
    })
}
