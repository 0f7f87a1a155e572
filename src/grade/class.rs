//! A class: grades each folder of a folder, every one in a world of its own.
//!
//! # How a submission is run
//! ```text
//! this process ── copies a folder, bounded ──> BASE/N/work
//!   │
//!   └── unshare ──> piecemeal grade --json ...      the judge of one student: pid 1 of its world
//!         │           everything read-only but /tmp, which is a bounded file system in memory;
//!         │           no network but its own loopback; the class and your home are not there
//!         │
//!         └── unshare ──> sh -c 'ulimit ...; ./run "$@"'      one run: it cannot see its judge
//! ```
//! # Decisions
//! * **A submission is hostile input.** What it starts ends with its world. What it writes is
//!   in memory, and is gone afterwards. What it prints comes back only as text.
//! * **A process a student.** A judge that is killed, or that runs out of something, costs one
//!   result. The others do not notice.
//! * **Two worlds, one inside the other.** If the submission saw its judge, it could end it, or
//!   write its own verdict into the judge's pipe.
//! * **What does not work is said.** Where the system has no `unshare`, limits, the copy and the
//!   watch remain, and each report says so.

pub mod copy;
pub mod inside;
#[cfg(target_os = "linux")]
pub mod mounts;
pub mod page;
pub mod sandbox;
pub mod settings;
pub mod student;
pub mod table;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use self::sandbox::Sandbox;
use self::settings::Settings;
use self::student::Student;
use super::check::Check;
use super::exam::{Hidden, Report, Status};
use super::report::{ReportForm, save};

/// A class that is to be graded.
pub struct Class {
    /// The folder with a folder for each student.
    pub folder: PathBuf,
    /// Where the reports go.
    pub out: PathBuf,
    /// What the teacher has set.
    pub settings: Settings,
    /// The checks.
    pub checks: Vec<&'static Check>,
    /// The options that choose these checks, for the process that runs them.
    pub chosen: Vec<OsString>,
    /// The start of all dice.
    pub seed: u64,
    /// How many students are graded at a time.
    pub jobs: usize,
    /// Our own program.
    pub program: PathBuf,
}

/// What became of a student's submission.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The name of the folder.
    pub name: String,
    /// The name of its reports, without an ending.
    pub file: OsString,
    /// Its checks with the weights of the class, if it could be run at all.
    pub report: Option<Report>,
    /// Why it could not be run, or what is to be known about its run.
    pub said: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Class {
    /// Returns the students, by name.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn students(&self) -> io::Result<Vec<Student>> {
        let out = self.out.canonicalize().ok();
        let mut students = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let kind = entry.file_type()?;
            let is_report = out.is_some() && entry.path().canonicalize().ok() == out;
            if !hidden && !is_report && (kind.is_dir() || kind.is_symlink()) {
                students.push(Student::new(entry.path(), kind.is_symlink()));
            }
        }
        students.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(students)
    }

    /// Grades the class. `done` is told of each student, as soon as it is over; once `stop` is
    /// set, no further one begins.
    ///
    /// # Errors
    /// If a folder cannot be made, or a report cannot be written.
    pub fn run(
        &self,
        stop: &AtomicBool,
        done: impl Fn(&Verdict) + Send + Sync,
    ) -> io::Result<Graded> {
        let students = self.students()?;
        let base = tempfile::Builder::new().prefix("piecemeal-class-").tempdir()?;
        let sandbox = Sandbox::find(self, base.path());
        std::fs::create_dir_all(self.out.join("students"))?;
        let results = Mutex::new(vec![None; students.len()]);
        let failed = Mutex::new(None);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.clamp(1, students.len().max(1)) {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(student) = students.get(number) else { return };
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let place = base.path().join(number.to_string());
                        let result = student.grade(self, &sandbox, &place, stop);
                        if let Err(error) = self.report(&result) {
                            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        }
                        done(&result);
                        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                        results[number] = Some(result);
                    }
                });
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let results = results.into_iter().zip(&students).map(|(result, student)| {
            result.unwrap_or_else(|| student.not_run("not graded: it was stopped before"))
        });
        let graded = Graded { results: results.collect(), lacks: sandbox.lacks, seed: self.seed };
        // One report that cannot be written must not cost the others.
        graded.write(self)?;
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(graded),
        }
    }

    /// Returns how much a check counts.
    pub fn weight(&self, check: &Check) -> f64 {
        self.settings.weight(check)
    }

    /// Writes the report of one student: what is hidden yet is not in it.
    fn report(&self, result: &Verdict) -> io::Result<()> {
        let folder = self.out.join("students");
        let mut report = result.report.clone().unwrap_or_else(|| Report {
            seed: self.seed,
            name: result.name.clone(),
            graded: Vec::new(),
            notes: Vec::new(),
            hidden: None,
        });
        let said = result.said.iter().filter(|said| !report.notes.contains(said)).cloned();
        report.notes.splice(0..0, said.collect::<Vec<String>>());
        if let Some((until, hidden)) = self.settings.hidden_now() {
            let (now, later): (Vec<_>, Vec<_>) =
                report.graded.into_iter().partition(|graded| !hidden(graded.check));
            report.graded = now;
            let checks = later.iter().map(|graded| graded.check).collect();
            report.hidden = Some(Hidden { until, checks });
        }
        let forms = [ReportForm::Markdown, ReportForm::Html, ReportForm::Json];
        for (form, ending) in forms.into_iter().zip([".md", ".html", ".json"]) {
            let mut name = result.file.clone();
            name.push(ending);
            save(&folder.join(name), &form.text(&report))?;
        }
        Ok(())
    }
}

/// A class that has been graded.
pub struct Graded {
    /// The students, by name.
    pub results: Vec<Verdict>,
    /// What this system lacks to keep the submissions apart.
    pub lacks: Vec<String>,
    /// The start of all dice.
    pub seed: u64,
}

impl Graded {
    fn write(&self, class: &Class) -> io::Result<()> {
        let place = |name: &str| class.out.join(name);
        save(&place("class.csv"), &table::csv(class, self))?;
        save(&place("class.json"), &format!("{:#}\n", table::json(class, self)))?;
        save(&place("class.html"), &page::page(class, self))
    }

    /// Returns how many students pass a check, and how many have run it.
    pub fn passed(&self, check: &Check) -> (usize, usize) {
        let of = |result: &Verdict| {
            let report = result.report.as_ref()?;
            report.graded.iter().find(|graded| graded.check.id == check.id).map(|g| g.status)
        };
        let statuses: Vec<Status> = self.results.iter().filter_map(of).collect();
        (statuses.iter().filter(|status| **status == Status::Passed).count(), self.results.len())
    }
}

/// Checks whether the reports can be written, before anything runs.
///
/// # Errors
/// If they cannot.
pub fn prepare(out: &Path) -> io::Result<()> {
    std::fs::create_dir_all(out.join("students"))?;
    super::report::writable(&out.join("class.csv"))?;
    super::report::writable(&out.join("class.json"))?;
    super::report::writable(&out.join("class.html"))?;
    super::report::writable(&out.join("students").join("name.md"))
}
