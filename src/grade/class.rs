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
use super::kept;
use super::report::{ReportForm, save};
use crate::s01_bencode::printable;

/// The folder of the students' own reports.
const STUDENTS: &str = "students";

/// The forms of a student's report.
const FORMS: [(ReportForm, &str); 5] = [
    (ReportForm::Markdown, ".md"),
    (ReportForm::Html, ".html"),
    (ReportForm::Gradescope, ".results.json"),
    (ReportForm::Json, ".json"),
    (ReportForm::Junit, ".xml"),
];

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
    /// The folder of the only student to grade, if it is not all.
    pub only: Option<String>,
    /// Where the captures of failed checks go.
    pub keep: Option<PathBuf>,
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
    /// Its checks with the weights of the class.
    pub report: Report,
    /// Why it could not be run, or what is to be known about its run.
    pub said: Option<String>,
    /// What the peers saw of failed checks, if that is kept.
    pub captures: Vec<(&'static Check, String)>,
}

impl Class {
    /// Returns the name of the class: that of its folder.
    pub fn name(&self) -> String {
        printable(&self.folder.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Returns the points that there are.
    pub fn of(&self) -> f64 {
        self.checks.iter().map(|check| f64::from(check.points) * self.weight(check)).sum()
    }

    /// Returns the students, by name, and the names of what is no folder and so is passed over.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn students(&self) -> io::Result<(Vec<Student>, Vec<String>)> {
        let out = self.out.canonicalize().ok();
        let (mut students, mut others) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || self.only.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            let kind = entry.file_type()?;
            let is_report = out.is_some() && entry.path().canonicalize().ok() == out;
            if kind.is_dir() || kind.is_symlink() {
                if !is_report {
                    students.push(Student::new(entry.path(), kind.is_symlink()));
                }
            } else if name != settings::FILE {
                others.push(printable(&name));
            }
        }
        students.sort_by_key(|student| (student.name.to_lowercase(), student.folder.clone()));
        others.sort();
        Ok((students, others))
    }

    /// Whether the students' reports would be written into the folder of the class.
    pub fn writes_into_itself(&self) -> bool {
        let place = self.out.join(STUDENTS).canonicalize();
        place.is_ok_and(|place| Some(place) == self.folder.canonicalize().ok())
    }

    /// Moves the report of another run out of the way; returns where it is now.
    ///
    /// # Errors
    /// If the folder cannot be renamed.
    pub fn set_aside(&self) -> io::Result<Option<PathBuf>> {
        let old = self.old_report();
        let is_ours = old["seed"] == self.seed && old["class"] == self.name().as_str();
        let Some(seed) = old["seed"].as_u64().filter(|_| !is_ours) else { return Ok(None) };
        let place = |number: usize| {
            let mut name = self.out.clone().into_os_string();
            name.push(format!("-seed-{seed}"));
            name.push(if number > 1 { format!("-{number}") } else { String::new() });
            PathBuf::from(name)
        };
        let free = (1..).map(place).find(|place| !place.exists()).unwrap_or_default();
        std::fs::rename(&self.out, &free)?;
        Ok(Some(free))
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
        let (students, others) = self.students()?;
        let base = tempfile::Builder::new().prefix("piecemeal-class-").tempdir()?;
        let sandbox = Sandbox::find(self, base.path());
        std::fs::create_dir_all(self.out.join(STUDENTS))?;
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
                        let mut result = student.grade(self, &sandbox, &place, stop);
                        if let Err(error) = self.report(&result) {
                            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        }
                        result.captures.clear();
                        done(&result);
                        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                        results[number] = Some(result);
                    }
                });
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let results = results.into_iter().zip(&students).map(|(result, student)| {
            result.unwrap_or_else(|| student.not_run(self, "not graded: it was stopped before"))
        });
        let mut notes = sandbox.lacks;
        notes.extend(others.into_iter().map(|name| format!("{name} is no folder: passed over")));
        let graded = Graded { results: results.collect(), notes };
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

    /// Writes the report of one student. What is hidden yet is not in it, but in what goes to
    /// Gradescope, which hides it itself.
    fn report(&self, result: &Verdict) -> io::Result<()> {
        let mut report = result.report.clone();
        if let Some((until, hidden)) = self.settings.hidden_now() {
            let (now, later): (Vec<_>, Vec<_>) =
                report.graded.into_iter().partition(|graded| !hidden(graded.check));
            report.graded = now;
            report.hidden = Some(Hidden { until, graded: later });
        }
        for (form, ending) in FORMS {
            save(&self.out.join(STUDENTS).join(result.with(ending)), &form.text(&report))?;
        }
        if let Some(folder) = &self.keep {
            for (check, capture) in &result.captures {
                kept::write(capture.as_bytes(), check, &folder.join(&result.file))?;
            }
        }
        Ok(())
    }

    /// Deletes the reports of students that the same run had before and that are gone now.
    fn forget_others(&self, results: &[Verdict]) -> io::Result<()> {
        let old = self.old_report();
        let names = old["students"].as_array().into_iter().flatten();
        let names = names.filter_map(|student| student["name"].as_str());
        let is_here = |name: &str| results.iter().any(|result| result.name == name);
        for name in names.filter(|name| !is_here(name) && !name.contains('/')) {
            for (_, ending) in FORMS {
                let path = self.out.join(STUDENTS).join(format!("{name}{ending}"));
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Returns the report that is there already, or nothing.
    fn old_report(&self) -> serde_json::Value {
        let old = std::fs::read(self.out.join(table::FILE)).unwrap_or_default();
        serde_json::from_slice(&old).unwrap_or_default()
    }
}

impl Verdict {
    fn with(&self, ending: &str) -> OsString {
        let mut name = self.file.clone();
        name.push(ending);
        name
    }
}

/// A class that has been graded.
pub struct Graded {
    /// The students, by name.
    pub results: Vec<Verdict>,
    /// What this system lacks to keep the submissions apart, and what was passed over.
    pub notes: Vec<String>,
}

impl Graded {
    fn write(&self, class: &Class) -> io::Result<()> {
        let place = |name: &str| class.out.join(name);
        save(&place("class.csv"), &table::csv(class, self))?;
        class.forget_others(&self.results)?;
        save(&place(table::FILE), &format!("{:#}\n", table::json(class, self)))?;
        save(&place("class.html"), &page::page(class, self))
    }

    /// Returns how many students pass a check, and how many have got as far as it.
    pub fn passed(&self, check: &Check) -> (usize, usize) {
        let all = self.results.iter().flat_map(|result| &result.report.graded);
        let counts = |status: Status| status.is_begun() && status != Status::NotCounted;
        let so_far = all.filter(|graded| graded.check.id == check.id && counts(graded.status));
        so_far.fold((0, 0), |(passed, all), graded| {
            (passed + usize::from(graded.status == Status::Passed), all + 1)
        })
    }
}

/// Checks whether the reports can be written, before anything runs.
///
/// # Errors
/// If they cannot.
pub fn prepare(out: &Path) -> io::Result<()> {
    std::fs::create_dir_all(out.join(STUDENTS))?;
    super::report::writable(&out.join("class.csv"))?;
    super::report::writable(&out.join(table::FILE))?;
    super::report::writable(&out.join("class.html"))?;
    super::report::writable(&out.join(STUDENTS).join("name.md"))
}
