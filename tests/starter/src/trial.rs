//! Tries the holes of the list: which tests each one breaks, and whether it can be a hole at all.
//!
//! | what is empty | what is expected |
//! |---|---|
//! | nothing | all tests of the stage pass; how long that takes is the usual time |
//! | all holes of the stage | it compiles without a warning, and a test fails |
//! | one hole | a test fails, none ends by a signal, and all is over in time |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::failure::{Result, fail};
use crate::list::{Exercises, Hole, Stage};
use crate::mark::mark;
use crate::matrix::{Matrix, Row, Test, Tried};
use crate::prefix::read;
use crate::process::End;
use crate::source::Source;
use crate::tests::{Ran, Runner};
use crate::workshop::{Built, Files, Workshop};

/// What a test is taken to need before anyone has measured it, in seconds.
const UNKNOWN: f64 = 30.0;

/// What came of trying a stage, or one hole of it.
#[derive(Debug, Default)]
pub struct Findings {
    /// A line for each hole: its name, how many tests it breaks, how long they took.
    pub lines: Vec<String>,
    /// What is wrong with the list, the tests or the reference.
    pub faults: Vec<String>,
}

/// A stage on the bench: its reference, and a crate in which holes are emptied.
pub struct Bench<'b> {
    stage: &'b Stage,
    holes: Vec<&'b Hole>,
    workshop: Workshop,
    stop: &'b AtomicBool,
    /// What was found so far.
    pub findings: Findings,
}

/// All tests of a stage, run with something empty or nothing.
struct Run {
    ran: Vec<Ran>,
    took: Duration,
}

impl<'b> Bench<'b> {
    /// Cuts the stage's prefix in a folder. All stages may have the same folder, one at a time:
    /// what they share is compiled once.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn open(
        root: &Path,
        exercises: &'b Exercises,
        stage: &'b Stage,
        folder: &Path,
        stop: &'b AtomicBool,
    ) -> Result<Bench<'b>> {
        let workshop = Workshop::open(root, stage.number, folder, &folder.join("build"))?;
        let holes = exercises.of_stage(stage.number).collect();
        Ok(Bench { stage, holes, workshop, stop, findings: Findings::default() })
    }

    /// Tries everything, and puts what was found in place of what the matrix has about this stage.
    /// A stage with a fault leaves the matrix as it is.
    ///
    /// # Errors
    /// If it does not compile, or for a reason that is not in the list.
    pub fn try_all(&mut self, root: &Path, matrix: &mut Matrix) -> Result<()> {
        // First: a source that is saved meanwhile is not the one that is tried.
        let mark = mark(root, self.stage, &self.holes)?;
        let (tests, usual) = self.try_whole(matrix)?;
        let times = usual.ran.iter().map(|ran| (ran.test.clone(), seconds(ran.outcome.took)));
        let limits = Matrix { seconds: times.collect(), ..Matrix::default() };
        self.try_empty(&tests, &limits)?;
        let mut rows = Vec::new();
        for hole in self.holes.clone() {
            let run = self.run_without(&[hole], &tests, &limits)?;
            let broken = self.judge(hole, &run, usual.took);
            rows.push((hole, broken));
        }
        if self.findings.faults.is_empty() {
            let tried = Tried { number: self.stage.number, mark, seconds: seconds(usual.took) };
            matrix.replace(tried, self.stage, limits.seconds, in_order(root, rows));
        }
        Ok(())
    }

    /// Tries one hole with the tests that the matrix has for it.
    ///
    /// # Errors
    /// As [`Bench::try_all`].
    pub fn try_one(&mut self, hole: &'b Hole, matrix: &Matrix) -> Result<()> {
        let tests = matrix.tests(hole).unwrap_or_default().to_vec();
        let usual = matrix.stages.iter().find(|tried| tried.number == self.stage.number);
        let usual = usual.map_or(Duration::ZERO, |tried| Duration::from_secs_f64(tried.seconds));
        let run = self.run_without(&[hole], &tests, matrix)?;
        self.judge(hole, &run, usual);
        Ok(())
    }

    /// Runs all tests of the reference. Each must pass, and with its own bodies put back the
    /// source must be what it was.
    fn try_whole(&mut self, matrix: &Matrix) -> Result<(Vec<Test>, Run)> {
        for hole in &self.holes {
            let bodies = self.workshop.bodies(hole)?;
            let back = self.workshop.with([(*hole, bodies.as_slice())])?;
            let source = Source::read(self.workshop.reference(), &hole.source())?;
            if back.get(&hole.source()) != Some(&source.text) {
                self.findings.faults.push(format!("{}: it cannot be put back", self.name(hole)));
            }
        }
        let programs = self.build(&Files::new())?;
        let tests = self.runner(&programs, matrix).list(&self.stage.module)?;
        let patient = Matrix {
            seconds: tests.iter().map(|test| (test.clone(), UNKNOWN)).collect(),
            ..Matrix::default()
        };
        let run = self.run(&programs, &tests, &patient)?;
        for ran in run.ran.iter().filter(|ran| !ran.is_green()) {
            self.findings.faults.push(format!(
                "stage {}: {} fails with nothing empty:\n{}",
                self.stage.number,
                ran.test,
                ran.message()
            ));
        }
        Ok((tests, run))
    }

    /// Empties all holes at once.
    fn try_empty(&mut self, tests: &[Test], usual: &Matrix) -> Result<()> {
        let files = self.workshop.emptied(&self.holes)?;
        let programs = self.build(&files)?;
        let warnings = self.workshop.warnings([self.stage.module.as_str()])?;
        if !warnings.is_empty() {
            self.findings.faults.push(format!(
                "stage {}: with all holes empty the compiler warns:\n{}",
                self.stage.number,
                warnings.join("\n")
            ));
        }
        let ran = self.runner(&programs, usual).run(tests, true)?;
        if ran.iter().all(Ran::is_green) {
            let what = format!("stage {}: no test fails with all holes empty", self.stage.number);
            self.findings.faults.push(what);
        }
        Ok(())
    }

    fn run_without(&self, holes: &[&Hole], tests: &[Test], limits: &Matrix) -> Result<Run> {
        let programs = self.build(&self.workshop.emptied(holes)?)?;
        self.run(&programs, tests, limits)
    }

    fn run(
        &self,
        programs: &BTreeMap<String, PathBuf>,
        tests: &[Test],
        limits: &Matrix,
    ) -> Result<Run> {
        let begun = Instant::now();
        let ran = self.runner(programs, limits).run(tests, false)?;
        Ok(Run { ran, took: begun.elapsed() })
    }

    fn build(&self, files: &Files) -> Result<BTreeMap<String, PathBuf>> {
        self.workshop.fill(files)?;
        match self.workshop.build([self.stage.module.as_str()])? {
            Built::Ready(programs) => Ok(programs),
            Built::Broken(words) => {
                fail(format!("stage {} does not compile:\n{words}", self.stage.number))
            }
        }
    }

    fn runner<'r>(
        &'r self,
        programs: &'r BTreeMap<String, PathBuf>,
        matrix: &'r Matrix,
    ) -> Runner<'r> {
        Runner { programs, folder: self.workshop.crate_folder(), matrix, stop: self.stop }
    }

    /// Notes what is wrong with a hole, and returns the tests that it breaks; last those that have
    /// to be ended, since a learner waits for these.
    fn judge(&mut self, hole: &Hole, run: &Run, usual: Duration) -> Vec<(bool, Test)> {
        let name = self.name(hole);
        let limit = usual * 3 + Duration::from_secs(10);
        let red: Vec<&Ran> = run.ran.iter().filter(|ran| !ran.is_green()).collect();
        let is_late = |ran: &Ran| ran.outcome.end == End::OutOfTime;
        let late = red.iter().filter(|ran| is_late(ran)).count();
        self.findings.lines.push(format!(
            "{:>5}  {:<18} {:>4} of {:<4} {late:>5} {:>7.1}",
            self.stage.number,
            hole.name,
            red.len(),
            run.ran.len(),
            seconds(run.took)
        ));
        if red.is_empty() {
            self.findings.faults.push(format!("{name}: no test fails without it"));
        }
        if run.took > limit {
            let (took, limit) = (seconds(run.took), seconds(limit));
            self.findings.faults.push(format!(
                "{name}: the tests take {took:.1} s without it, and {limit:.1} s are allowed"
            ));
        }
        for ran in &red {
            if let End::Signal(signal) = ran.outcome.end {
                let what = format!("{name}: {} ends by signal {signal} without it", ran.test);
                self.findings.faults.push(what);
            }
        }
        red.iter().map(|ran| (is_late(ran), ran.test.clone())).collect()
    }

    fn name(&self, hole: &Hole) -> String {
        format!("stage {}, {}", self.stage.number, hole.name)
    }
}

/// Puts the most telling test of each hole first: the one that the fewest holes break, and of
/// several the first in the file, which goes from plain cases to odd ones.
fn in_order(root: &Path, rows: Vec<(&Hole, Vec<(bool, Test)>)>) -> Vec<Row> {
    let mut holes: BTreeMap<Test, usize> = BTreeMap::new();
    for (_, test) in rows.iter().flat_map(|(_, broken)| broken) {
        *holes.entry(test.clone()).or_default() += 1;
    }
    let row = |(hole, mut broken): (&Hole, Vec<(bool, Test)>)| {
        broken.sort_by_key(|(late, test)| (*late, holes.get(test).copied(), place(root, test)));
        let breaks = broken.into_iter().map(|(_, test)| test).collect();
        Row { stage: hole.stage, name: hole.name.clone(), breaks }
    };
    rows.into_iter().map(row).collect()
}

/// Returns where a test is written: its module, and how far down in the module's file.
fn place(root: &Path, test: &Test) -> (String, Option<usize>) {
    let (module, name) = test.name.rsplit_once("::").unwrap_or((&test.target, &test.name));
    let text = read(&root.join("tests").join(module.replace("::", "/")).with_extension("rs"));
    (module.to_owned(), text.unwrap_or_default().find(&format!("fn {name}(")))
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}
