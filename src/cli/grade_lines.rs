//! The lines of `grade` on the terminal: one for each check, and under a failure why. (grade)

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};

use piecemeal::grade::exam::{Exam, Graded, Report, Status};
use piecemeal::grade::miss::MAX_DETAILS;
use piecemeal::grade::report::shell_word;
use piecemeal::s01_bencode::{counted, printable};

use super::{Options, print_line};

/// The width of a line up to the verdict.
const WIDTH: usize = 74;

/// Prints a line for each check, as soon as it is known.
pub struct GradeLines {
    prints: bool,
    color: bool,
    stage: u8,
    /// Why the check before was not tried.
    untried: Option<String>,
}

impl GradeLines {
    /// Begins the report.
    pub fn new(options: &Options, exam: &Exam) -> GradeLines {
        let color = options.color.wanted(io::stdout().is_terminal());
        if !options.json {
            let name = match exam.name.as_str() {
                "" => String::new(),
                name => format!(" --as={}", shell_word(name)),
            };
            options.note(&format!(
                "{}, seed {}; --seed {}{name} has the same again",
                counted(exam.checks.len(), "check"),
                exam.seed,
                exam.seed
            ));
        }
        GradeLines { color, ..GradeLines::plain(options) }
    }

    /// Begins lines without color, and without a word before them.
    pub fn plain(options: &Options) -> GradeLines {
        GradeLines { prints: !options.json, color: false, stage: 0, untried: None }
    }

    /// Prints a check that has been run.
    pub fn graded(&mut self, graded: &Graded) {
        if !self.prints {
            return;
        }
        if self.stage != graded.check.stage() && self.stage != 0 {
            print_line("");
        }
        self.stage = graded.check.stage();
        print_line(&self.head(graded));
        let what = graded.miss.as_ref().map(|miss| miss.what.clone());
        let untried = what.filter(|_| !graded.status.is_begun());
        // One sentence is enough for a row of checks that were not tried for the same reason.
        if untried.is_some() && untried == self.untried {
            return;
        }
        self.untried = untried;
        for line in lines_of(graded) {
            print_line(&format!("     {}", printable(&line)));
        }
    }

    /// Returns the sum, and what more there is behind a control that is not passed yet.
    pub fn end(&self, report: &Report) -> String {
        let sum = format!("\n{} of {} points", report.points(), report.of());
        let waiting = || report.graded.iter().filter(|one| one.status == Status::NotCounted);
        let controls: BTreeSet<&str> = waiting().filter_map(|one| one.check.control).collect();
        let more: f64 = waiting().map(Graded::worth).sum();
        match Vec::from_iter(controls)[..] {
            [] => sum,
            [control] => format!("{sum}, and up to {more} more once {control} is passed"),
            [first, ..] => {
                format!("{sum}, and up to {more} more once {first} and others are passed")
            }
        }
    }

    fn head(&self, graded: &Graded) -> String {
        let (word, color) = match graded.status {
            Status::Passed => ("passed", "32"),
            Status::Half => ("HALF", "33"),
            Status::Failed => ("FAILED", "31"),
            _ => (graded.status.word(), "2"),
        };
        let start = format!("{:<6}{}", graded.check.id, graded.check.title);
        let start: String = start.chars().take(WIDTH - 2).collect();
        let word = if self.color { format!("\x1b[{color}m{word}\x1b[0m") } else { word.to_owned() };
        let credit = match graded.status {
            Status::Passed => String::new(),
            _ => format!("  {} of {}", graded.credit(), graded.worth()),
        };
        format!("{start:<WIDTH$}{word}{credit}")
    }
}

/// Returns the lines under a check that was not passed, at most six.
fn lines_of(graded: &Graded) -> Vec<String> {
    let Some(miss) = &graded.miss else { return Vec::new() };
    let mut lines = vec![miss.what.clone()];
    lines.extend(miss.details.iter().take(MAX_DETAILS).map(|line| format!("  {line}")));
    let place = format!("{}; piecemeal chapter {}", graded.check.clause, graded.check.stage());
    lines.push(match &miss.hint {
        Some(hint) => format!("likely: {hint}  [{place}]"),
        None => format!("[{place}]"),
    });
    lines
}
