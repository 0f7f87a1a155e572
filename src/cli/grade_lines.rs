//! The lines of `grade` on the terminal: one for each check, and under a failure why. (grade)

use std::io::{self, IsTerminal};

use piecemeal::grade::exam::{Exam, Graded, Report, Status};
use piecemeal::grade::miss::MAX_DETAILS;
use piecemeal::s01_bencode::{counted, printable};

use super::{Options, print_line};

/// The width of a line up to the verdict.
const WIDTH: usize = 74;

/// Prints a line for each check, as soon as it is known.
pub struct GradeLines {
    prints: bool,
    color: bool,
    stage: u8,
}

impl GradeLines {
    /// Begins the report.
    pub fn new(options: &Options, exam: &Exam) -> GradeLines {
        let color = options.color.wanted(io::stdout().is_terminal());
        if !options.json {
            options.note(&format!(
                "{}, seed {}; --seed {} has the same again",
                counted(exam.checks.len(), "check"),
                exam.seed,
                exam.seed
            ));
        }
        GradeLines { prints: !options.json, color, stage: 0 }
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
        for line in lines_of(graded) {
            print_line(&format!("     {}", printable(&line)));
        }
    }

    /// Returns the sum.
    pub fn end(&self, report: &Report) -> String {
        format!("\n{} of {} points", report.points(), report.of())
    }

    fn head(&self, graded: &Graded) -> String {
        let (word, color) = match graded.status {
            Status::Passed => ("passed", "32"),
            Status::Half => ("HALF", "33"),
            Status::Failed => ("FAILED", "31"),
            Status::NotCounted => ("not counted", "2"),
        };
        let start = format!("{:<6}{}", graded.check.id, graded.check.title);
        let start: String = start.chars().take(WIDTH - 2).collect();
        let word = if self.color { format!("\x1b[{color}m{word}\x1b[0m") } else { word.to_owned() };
        let credit = match graded.status {
            Status::Passed => String::new(),
            _ => format!("  {} of {}", graded.credit(), graded.check.points),
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
