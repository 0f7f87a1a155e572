//! Tests, each in a process of its own: one that hangs, aborts or takes all memory costs itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::failure::{At, Failure, Result, fail};
use crate::matrix::{Matrix, Test};
use crate::process::{End, MEMORY_KIB, Outcome, limited, run};

/// How many tests run at a time. Most of them mostly wait.
pub const AT_A_TIME: usize = 6;

/// A test that has run.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Which one.
    pub test: Test,
    /// How it ended, and what it printed.
    pub outcome: Outcome,
    /// How long it was allowed to take.
    pub limit: Duration,
}

/// The test programs of a build, and how to run them.
pub struct Runner<'r> {
    /// The programs, by target.
    pub programs: &'r BTreeMap<String, PathBuf>,
    /// The folder to run them in, which is the crate's.
    pub folder: &'r Path,
    /// Where the limits come from.
    pub matrix: &'r Matrix,
    /// Ends all that runs.
    pub stop: &'r AtomicBool,
}

impl Runner<'_> {
    /// Runs tests in this order, some at a time. With `until_red`, no more are begun after one
    /// has failed. Returns those that ran, in the same order.
    ///
    /// # Errors
    /// If a test program is not there, cannot be started or does not know a test.
    pub fn run(&self, tests: &[Test], until_red: bool) -> Result<Vec<Ran>> {
        let next = AtomicUsize::new(0);
        let is_red = AtomicBool::new(false);
        let done = Mutex::new(BTreeMap::new());
        let work = || {
            while !(until_red && is_red.load(Ordering::Relaxed)) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(test) = tests.get(number) else { return };
                let ran = self.run_one(test, self.matrix.limit(test));
                if ran.as_ref().map_or(true, |ran| !ran.is_green()) {
                    is_red.store(true, Ordering::Relaxed);
                }
                done.lock().expect("no thread panics with the lock").insert(number, ran);
            }
        };
        std::thread::scope(|scope| (0..AT_A_TIME).for_each(|_| drop(scope.spawn(work))));
        let done = done.into_inner().expect("no thread panics with the lock");
        let ran: Result<Vec<Ran>> = done.into_values().collect();
        if self.stop.load(Ordering::Relaxed) {
            return fail("interrupted");
        }
        ran
    }

    /// Returns the first test that fails, if any does.
    ///
    /// On a busy machine a limit may come too soon. So with patience, a test that runs out of time
    /// is tried once more before it is called red: alone, and with twice the limit or as many times
    /// more as there is more work than cores.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn first_red(&self, tests: &[Test], is_patient: bool) -> Result<Option<Ran>> {
        let mut rest = tests;
        while !rest.is_empty() {
            let batch = self.run(rest, true)?;
            rest = &rest[batch.len()..];
            for ran in batch.into_iter().filter(|ran| !ran.is_green()) {
                let ran = match ran.outcome.end {
                    End::OutOfTime if is_patient => {
                        let longer = ran.limit.mul_f64(crowd().clamp(2.0, 8.0));
                        self.run_one(&ran.test, longer)?
                    }
                    _ => ran,
                };
                if !ran.is_green() {
                    return Ok(Some(ran));
                }
            }
        }
        Ok(None)
    }

    fn run_one(&self, test: &Test, limit: Duration) -> Result<Ran> {
        let program = self.program(&test.target)?;
        let mut command = limited(program, limit * 4);
        command.args(["--exact", "--nocapture", &test.name]);
        command.current_dir(self.folder).env("RUST_BACKTRACE", "0");
        let outcome = run(&mut command, limit, self.stop).at(program)?;
        let ran = Ran { test: test.clone(), outcome, limit };
        if ran.outcome.end == End::Good && !ran.outcome.stdout.contains("test result: ok. 1 passed")
        {
            return fail(format!("there is no test `{test}`; the matrix is to be made again"));
        }
        Ok(ran)
    }

    /// Returns all tests of a target that are not ignored.
    ///
    /// # Errors
    /// If the program is not there or cannot tell.
    pub fn list(&self, target: &str) -> Result<Vec<Test>> {
        let program = self.program(target)?;
        let list = |more: &[&str]| {
            let mut command = Command::new(program);
            command.arg("--list").args(more).current_dir(self.folder);
            run(&mut command, Duration::from_secs(20), self.stop).at(program)
        };
        let names = |text: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.strip_suffix(": test").map(str::to_owned)).collect()
        };
        let ignored = names(&list(&["--ignored"])?.stdout);
        let all = names(&list(&[])?.stdout).into_iter().filter(|name| !ignored.contains(name));
        Ok(all.map(|name| Test { target: target.to_owned(), name }).collect())
    }

    /// Parts tests into those that the programs have and those that they do not.
    ///
    /// # Errors
    /// As [`Runner::list`].
    pub fn part(&self, tests: &[Test]) -> Result<(Vec<Test>, Vec<Test>)> {
        let targets: BTreeSet<&str> = tests.iter().map(|test| test.target.as_str()).collect();
        let mut there = BTreeSet::new();
        for target in targets {
            there.extend(self.list(target)?);
        }
        Ok(tests.iter().cloned().partition(|test| there.contains(test)))
    }

    fn program(&self, target: &str) -> Result<&Path> {
        self.programs
            .get(target)
            .map(PathBuf::as_path)
            .ok_or_else(|| Failure(format!("there is no test target `{target}`")))
    }
}

/// Returns how many threads want each core, where the system tells: 1 elsewhere.
fn crowd() -> f64 {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let wanting: f64 = told.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    wanting / cores as f64
}

impl Ran {
    /// Whether it passed.
    pub fn is_green(&self) -> bool {
        self.outcome.end == End::Good
    }

    /// Returns what a learner needs to read of a failure: how it ended, what the code printed,
    /// and what the panics said. The test program's own lines are left out.
    pub fn message(&self) -> String {
        let mut parts = Vec::new();
        match self.outcome.end {
            End::OutOfTime => parts.push(format!(
                "It was ended after {:.0} s. Does something wait, or go around, forever?",
                self.limit.as_secs_f64()
            )),
            End::Signal(signal) => parts.push(self.signal_words(signal)),
            End::Good | End::Code(_) | End::Stopped => {}
        }
        let own = |line: &&str| {
            let libtest = ["running 1 test", "test result:", "failures:"];
            let of_test = ["test ", "    "].iter().any(|start| {
                line.strip_prefix(start).is_some_and(|rest| rest.starts_with(&self.test.name))
            });
            !(line.is_empty() || of_test || libtest.iter().any(|start| line.starts_with(start)))
        };
        let printed: Vec<&str> = self.outcome.stdout.lines().filter(own).collect();
        if !printed.is_empty() {
            parts.push(printed.join("\n"));
        }
        let said = self.outcome.stderr.lines().filter(|line| {
            !line.starts_with("note: run with `RUST_BACKTRACE")
                && !line.starts_with("error: test failed")
        });
        let said: Vec<&str> = said.collect();
        let said = said.join("\n");
        if !said.trim().is_empty() {
            parts.push(said.trim().to_owned());
        }
        parts.join("\n")
    }

    /// Tells a panic's line in a file by the file that the learner sees. `place` says which one
    /// that is, and `None` for a line that is not the learner's.
    pub fn place(&mut self, file: &str, place: impl Fn(usize) -> Option<usize>) {
        let start = format!(" panicked at {file}:");
        let told = |line: &str| -> Option<String> {
            let (who, at) = line.split_once(&start)?;
            let (number, column) = at.split_once(':')?;
            Some(format!("{who}{start}{}:{column}", place(number.parse().ok()?)?))
        };
        let lines = self.outcome.stderr.lines();
        let lines: Vec<String> =
            lines.map(|line| told(line).unwrap_or_else(|| line.to_owned())).collect();
        self.outcome.stderr = lines.join("\n");
    }

    fn signal_words(&self, signal: i32) -> String {
        const CPU_IS_USED_UP: i32 = 24;
        if self.outcome.stderr.contains("memory allocation of") {
            return format!("It wanted more memory than the {} MiB it may have.", MEMORY_KIB >> 10);
        }
        match signal {
            CPU_IS_USED_UP => "It used up its time. Does something go around forever?".to_owned(),
            signal => format!(
                "It ended by signal {signal}: a panic during a panic, or a stack that overflowed."
            ),
        }
    }
}
