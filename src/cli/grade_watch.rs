//! `grade --watch`: again whenever a file of the learner's folder changes. (grade)

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use piecemeal::grade::exam::{Exam, Report, Status};
use piecemeal::grade::learner::Learner;
use piecemeal::grade::watch::Watched;

use super::exit_codes::{LOCAL, USAGE};
use super::failure::{Failure, at_the_disk};
use super::grade_lines::GradeLines;
use super::grade_options::{GradeOptions, learner};
use super::{Answer, Options, print_line};

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
    let mut watched = Watched::new(folder, exam.stop.clone());
    let mut next: Option<usize> = None;
    // A command that cannot be started at all is an error, as without --watch. Later on, it is
    // one that is just being built.
    learner(command, None, exam)?;
    while !watched.is_stopped() {
        if io::stdout().is_terminal() {
            print_line(CLEAR);
        }
        // A save ends this round, and Ctrl-C ends them all.
        let this = Exam { stop: Arc::default(), ..exam.clone() };
        // Each time again: the command may have become slower, or may not start any more.
        let started = watched.try_out(|| learner(command, None, &this));
        let round = started.map(|learner| {
            watched.beside(&this.stop, || rounds(&this, next, &learner, &mut lines))
        });
        if watched.is_stopped() {
            break;
        }
        if this.stop.load(Ordering::SeqCst) {
            print_line("\na file was saved: from the start");
            watched.settle();
            continue;
        }
        match round {
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
        let saved = watched.end_round();
        print_line("\nwaits for a change in this folder; Ctrl-C ends");
        if !saved {
            watched.wait();
        }
        watched.settle();
    }
    Ok(Answer { text: String::new(), json: serde_json::Value::Null })
}

/// Runs what was to be done next, and all checks once that works.
fn rounds(exam: &Exam, next: Option<usize>, learner: &Learner, lines: &mut GradeLines) -> Report {
    if let Some(number) = next {
        let report = round(&one(exam, number), learner, lines);
        if report.next().is_some() {
            return report;
        }
    }
    round(exam, learner, lines)
}

/// Returns the exam of one check.
fn one(exam: &Exam, number: usize) -> Exam {
    let checks = exam.checks.get(number).copied().into_iter().collect();
    Exam { checks, ..exam.clone() }
}

/// Runs an exam once, and says what is passed and what is next.
fn round(exam: &Exam, learner: &Learner, lines: &mut GradeLines) -> Report {
    // What is next is known long before all is: it is shown at once.
    let mut shown = false;
    let stopped = || exam.stop.load(Ordering::SeqCst);
    let report = exam.run(learner, |graded| {
        // A check that was ended says nothing about the client.
        if graded.status != Status::Passed && !shown && !stopped() {
            shown = true;
            lines.graded(graded);
        }
    });
    if stopped() {
        return report;
    }
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
    report
}
