//! `piecemeal grade`: checks a client in any language against scripted peers and trackers. (grade)

use std::ffi::OsString;

use piecemeal::grade::exam::Status;
use piecemeal::grade::report::json;

use crate::cli::exit_codes::OTHER;
use crate::cli::failure::Failure;
use crate::cli::grade_lines::GradeLines;
use crate::cli::grade_options::{GradeOptions, learner};
use crate::cli::{Answer, Options};

/// Check a client in any language, with peers that misbehave (grade)
#[derive(clap::Args)]
#[command(after_help = "\
COMMAND is run with the arguments of our own commands: `COMMAND decode VALUE`, and so
on; docs/your-own-client.md has them all. Exit code 0: all is passed; 1: not all.

Examples:
  piecemeal grade -- python3 my_client.py
  piecemeal grade --until 5 --seed 7 -- ./my_client")]
pub struct Args {
    #[command(flatten)]
    grade: GradeOptions,
    /// The client's program and its first arguments, after --
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let exam = self.grade.exam()?;
        if self.grade.list {
            return Ok(self.grade.list_of(&exam));
        }
        let learner = learner(&self.command)?;
        let mut lines = GradeLines::new(options, &exam);
        let report = exam.run(&learner, |graded| lines.graded(graded));
        let answer = Answer { text: lines.end(&report), json: json::of(&report) };
        self.grade.write_reports(&report)?;
        let left = report.graded.iter().filter(|graded| graded.status != Status::Passed).count();
        let Some(next) = report.next() else { return Ok(answer) };
        let what = format!("{left} of {} checks are not passed", report.graded.len());
        let help = format!("next is {}: {}", next.check.id, next.check.title);
        Err(Failure::new(OTHER, what).help(help).see(chapter(next.check.stage())).answer(answer))
    }
}

/// Returns the name of a stage's chapter, `04-handshake`.
fn chapter(stage: u8) -> String {
    piecemeal::grade::report::chapter(stage).to_owned()
}
