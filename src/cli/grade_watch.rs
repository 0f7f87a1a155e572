//! `grade --watch`: again whenever a file of the learner's folder changes. (grade)

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use piecemeal::grade::exam::{Exam, Report, Status};
use piecemeal::grade::watch::Snapshot;

use super::exit_codes::{LOCAL, USAGE};
use super::failure::{Failure, at_the_disk};
use super::grade_lines::GradeLines;
use super::grade_options::{GradeOptions, learner};
use super::{Answer, Options, print_line};

/// The time between two looks at the folder.
const TICK: Duration = Duration::from_millis(250);

/// Clears a terminal, and what has been scrolled away.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

/// Checks the client now, and whenever it changes, until Ctrl-C.
///
/// While the next check to do is not passed, nothing else is run: the answer is there at once.
pub fn watch(
    grade: &GradeOptions,
    exam: &Exam,
    command: &[OsString],
    options: &Options,
) -> Result<Answer, Failure> {
    if options.json {
        return Err(Failure::new(USAGE, "--watch prints for people, and has no --json")
            .help("run `piecemeal grade --json` without it")
            .see("your-own-client"));
    }
    let folder = std::env::current_dir().map_err(|error| {
        Failure::new(LOCAL, format!("this folder: {error}")).help(at_the_disk(&error))
    })?;
    let mut lines = GradeLines::new(options, exam);
    let mut watched = Watched::default();
    let mut next: Option<usize> = None;
    // A command that cannot be started at all is an error, as without --watch. Later on, it is
    // one that is just being built.
    learner(command, None, exam)?;
    loop {
        let before = Snapshot::of(&folder);
        if io::stdout().is_terminal() {
            print_line(CLEAR);
        }
        match rounds(exam, next, command, &mut lines) {
            Ok(report) => {
                if report.graded.len() == exam.checks.len() {
                    grade.write_reports(&report)?;
                }
                let id = report.next().map(|graded| graded.check.id);
                next = id.and_then(|id| exam.checks.iter().position(|check| check.id == id));
            }
            Err(failure) => print_line(&failure.to_string()),
        }
        // Before the line below: whoever reads it may change a file at once.
        let after = Snapshot::of(&folder);
        print_line("\nwaits for a change in this folder; Ctrl-C ends");
        if !watched.changes(&folder, &before, after, &exam.stop) {
            return Ok(Answer { text: String::new(), json: serde_json::Value::Null });
        }
    }
}

/// Runs what was to be done next, and all checks once that works.
fn rounds(
    exam: &Exam,
    next: Option<usize>,
    command: &[OsString],
    lines: &mut GradeLines,
) -> Result<Report, Failure> {
    if let Some(number) = next {
        let report = round(&one(exam, number), command, lines)?;
        if report.next().is_some() {
            return Ok(report);
        }
    }
    round(exam, command, lines)
}

/// Returns the exam of one check.
fn one(exam: &Exam, number: usize) -> Exam {
    let checks = exam.checks.get(number).copied().into_iter().collect();
    Exam { checks, ..exam.clone() }
}

/// Runs an exam once, and says what is passed and what is next.
fn round(exam: &Exam, command: &[OsString], lines: &mut GradeLines) -> Result<Report, Failure> {
    // Each time again: the command may have become slower, or may not start any more.
    let learner = learner(command, None, exam)?;
    // What is next is known long before all is: it is shown at once.
    let mut shown = false;
    let report = exam.run(&learner, |graded| {
        if graded.status != Status::Passed && !shown {
            shown = true;
            lines.graded(graded);
        }
    });
    let passed = report.graded.iter().filter(|graded| graded.status == Status::Passed).count();
    match report.next() {
        Some(_) => {}
        None if exam.checks.len() == 1 => report.graded.iter().for_each(|one| lines.graded(one)),
        None => print_line("all is passed"),
    }
    if exam.checks.len() > 1 {
        let all = report.graded.len();
        print_line(&format!("{}; {passed} of {all} checks are passed", lines.end(&report)));
    }
    Ok(report)
}

/// The learner's folder, between two rounds.
#[derive(Default)]
struct Watched {
    /// What has changed while the last round ran.
    during: BTreeSet<PathBuf>,
}

impl Watched {
    /// Waits for a change that the program has not made itself. False means Ctrl-C.
    fn changes(
        &mut self,
        folder: &Path,
        before: &Snapshot,
        mut last: Snapshot,
        stop: &AtomicBool,
    ) -> bool {
        // A file that was saved while the checks ran is a change. One that changes in every round
        // is a file that the program itself writes.
        let during = before.changes_to(&last).filter(|path| before.has(path)).cloned();
        let during: BTreeSet<PathBuf> = during.collect();
        let saved = during.difference(&self.during).next().is_some();
        self.during = during;
        let stopped = || stop.load(Ordering::SeqCst);
        if saved {
            return !stopped();
        }
        loop {
            if stopped() {
                return false;
            }
            std::thread::sleep(TICK);
            let now = Snapshot::of(folder);
            if now != last {
                last = now;
                break;
            }
        }
        // An editor writes several times: wait until it is done.
        loop {
            std::thread::sleep(TICK / 2);
            let now = Snapshot::of(folder);
            if now == last || stopped() {
                return !stopped();
            }
            last = now;
        }
    }
}
