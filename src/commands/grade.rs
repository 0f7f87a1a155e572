//! `piecemeal grade`: checks a client, in any language, against scripted peers. (grade)

use std::ffi::OsString;
use std::sync::atomic::Ordering;

use piecemeal::grade::report::shell_line;

use crate::cli::failure::Failure;
use crate::cli::grade_class::{ClassOptions, grade_class};
use crate::cli::grade_inside::{InsideOptions, captures};
use crate::cli::grade_lines::GradeLines;
use crate::cli::grade_options::{GradeOptions, learner};
use crate::cli::grade_outcome::outcome;
use crate::cli::grade_watch::watch;
use crate::cli::interrupt::interrupt;
use crate::cli::orphans::adopt;
use crate::cli::{Answer, Options};

/// Check a client in any language, with peers that misbehave (grade)
#[derive(clap::Args)]
#[command(
    after_help = "Example (its arguments: piecemeal chapter your-own-client):\n  piecemeal grade --until 2 -- ./my_client"
)]
pub struct Args {
    #[command(flatten)]
    grade: GradeOptions,
    #[command(flatten)]
    class: ClassOptions,
    #[command(flatten)]
    inside: InsideOptions,
    /// The client: python3 my_client.py
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let _orphans = adopt();
        let run = self.class.run.as_deref();
        if let Some(folder) = &self.class.class {
            return grade_class(folder, run, &self.grade, options);
        }
        let mut exam = self.grade.exam()?;
        let inside = self.inside.enter(run)?;
        if self.grade.list {
            return Ok(self.grade.list_of(&exam));
        }
        self.grade.prepare()?;
        // A shell starts what is in the background with Ctrl-C ignored, and what we start would
        // inherit that. It does not inherit a handler, so the client hears Ctrl-C from now on.
        exam.stop = interrupt()?;
        exam.command = shell_line(&self.command);
        if self.grade.watch {
            return watch(&self.grade, &exam, &self.command, options);
        }
        let command = inside.as_ref().map_or(&self.command, |inside| &inside.command);
        exam.deadline = inside.as_ref().and_then(|inside| inside.deadline);
        let mut learner = learner(command, run, &exam)?;
        if let Some(inside) = &inside {
            learner = inside.bounded(learner, &mut exam);
        }
        let mut lines = GradeLines::new(options, &exam);
        let mut report = exam.run(&learner, |graded| lines.graded(graded));
        report.notes.splice(0..0, inside.iter().flat_map(|inside| inside.guard.notes()));
        report.notes.iter().for_each(|note| options.note(note));
        self.grade.write_reports(&report)?;
        let captures = inside.as_ref().and_then(|_| captures(&report));
        outcome(&report, lines.end(&report), captures, exam.stop.load(Ordering::SeqCst))
    }
}
