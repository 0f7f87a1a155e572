//! One student: a folder, the process that grades it, and what that says.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use sha1::{Digest, Sha1};

use super::copy::copy;
use super::inside::BUILD_TIME;
use super::sandbox::{Sandbox, make_place};
use super::{Class, Verdict};
use crate::grade::check::Check;
use crate::grade::exam::{Graded, Report, Status};
use crate::grade::miss::{MAX_DETAILS, Miss};
use crate::grade::outcome::{End, Outcome};
use crate::grade::process::Running;
use crate::s01_bencode::printable;

/// How much longer than its own limit a judge may run: it ends runs, and starts itself.
const MORE: Duration = Duration::from_secs(60);

/// The longest text of a judge that is kept.
const MAX_TEXT: usize = 400;

/// The most notes of a judge that are kept.
const MAX_NOTES: usize = 8;

/// The most lines that say why a submission cannot be graded.
const MAX_REASONS: usize = 20;

/// The most that a judge prints, with captures in it.
const MAX_JUDGED: usize = 64 << 20;

/// A student of the class.
#[derive(Debug, Clone)]
pub struct Student {
    /// The folder.
    pub folder: PathBuf,
    /// Its name, safe to print.
    pub name: String,
    is_link: bool,
}

impl Student {
    pub(super) fn new(folder: PathBuf, is_link: bool) -> Student {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        Student { name: printable(&name), folder, is_link }
    }

    /// Returns the name of the student's reports, without an ending: that of the folder, unless it
    /// is so long that no ending has room behind it.
    fn file(&self) -> OsString {
        const MAX_NAME: usize = 200;
        let name = self.folder.file_name().unwrap_or_default();
        if name.len() <= MAX_NAME {
            return name.to_owned();
        }
        let hash = hex::encode(Sha1::digest(name.as_encoded_bytes()));
        let text = name.to_string_lossy();
        format!("{}-{}", &text[..text.floor_char_boundary(MAX_NAME - 40)], &hash[..8]).into()
    }

    /// Returns the result of a student whose program was not run. Lines behind the first show why.
    pub fn not_run(&self, class: &Class, why: &str) -> Verdict {
        let mut lines = why.lines().map(text);
        let what = lines.next().unwrap_or_default();
        let details = lines.take(MAX_REASONS).collect();
        let miss = Miss { details, ..Miss::new(what.clone()) };
        let graded = class.checks.iter().map(|check| Graded {
            check,
            status: Status::NotRun,
            miss: Some(miss.clone()),
            elapsed: Duration::ZERO,
            capture: None,
            weight: class.weight(check),
        });
        self.verdict(class, graded.collect(), vec![what])
    }

    /// Returns a result; its first note is the one that the table shows.
    fn verdict(&self, class: &Class, graded: Vec<Graded>, notes: Vec<String>) -> Verdict {
        let said = notes.first().cloned();
        let report = Report {
            seed: class.seed,
            name: self.name.clone(),
            command: class.settings.run_of(&self.name).to_owned(),
            begun: SystemTime::now(),
            took: Duration::ZERO,
            graded,
            notes,
            hidden: None,
        };
        let (name, file) = (self.name.clone(), self.file());
        Verdict { name, file, report, said, captures: Vec::new() }
    }

    /// Grades the submission at a place of its own; the place is empty afterwards.
    pub(super) fn grade(
        &self,
        class: &Class,
        sandbox: &Sandbox,
        place: &Path,
        stop: &AtomicBool,
    ) -> Verdict {
        let (begun, clock) = (SystemTime::now(), Instant::now());
        let mut result = match self.prepared(class, sandbox, place) {
            Ok(notes) => match self.judged(class, sandbox, place, stop) {
                Ok(mut result) => {
                    result.report.notes.extend(notes);
                    result.report.notes.extend(sandbox.lacks.iter().cloned());
                    result
                }
                Err(error) => self.not_run(class, &format!("its judge cannot be started: {error}")),
            },
            Err(why) => self.not_run(class, &why),
        };
        (result.report.begun, result.report.took) = (begun, clock.elapsed());
        // Only what runs without isolation can leave anything there.
        let _ = std::fs::remove_dir_all(place);
        result
    }

    /// Copies the submission; returns what was left out, or why it cannot be graded.
    fn prepared(
        &self,
        class: &Class,
        sandbox: &Sandbox,
        place: &Path,
    ) -> Result<Vec<String>, String> {
        if self.is_link {
            return Err("it is a link, not a folder: links are not followed".to_owned());
        }
        let io = |error: io::Error| printable(&error.to_string());
        let _ = std::fs::remove_dir_all(place);
        make_place(place).map_err(io)?;
        let work = place.join("work");
        let copied = copy(&self.folder, &work).map_err(io)?;
        if copied.files == 0 {
            return Err("the folder is empty".to_owned());
        }
        let run = class.settings.run_of(&self.name);
        if let Some(file) = run.split_whitespace().next().and_then(|word| word.strip_prefix("./"))
            && class.settings.build_of(&self.name).is_none()
        {
            startable(&work, file)?;
        }
        sandbox.give(place).map_err(io)?;
        Ok(copied.notes.iter().map(|note| printable(note)).collect())
    }

    /// Runs the judge, and reads what it says.
    fn judged(
        &self,
        class: &Class,
        sandbox: &Sandbox,
        place: &Path,
        stop: &AtomicBool,
    ) -> io::Result<Verdict> {
        let run = class.settings.run_of(&self.name);
        let mut command = sandbox.command(class, place, run);
        command.arg("--seed").arg(class.seed.to_string());
        command.arg(format!("--as={}", self.name));
        command.arg("--within").arg(class.settings.time.as_secs().to_string());
        let mut time = class.settings.time + MORE;
        if class.keep.is_some() {
            command.args(["--keep", "../captures"]);
        }
        if let Some(build) = class.settings.build_of(&self.name) {
            command.arg("--build").arg(build);
            time += BUILD_TIME;
        }
        let mut running = Running::start(command, String::new(), time, MAX_JUDGED)?;
        running.wait_for(|_| stop.load(Ordering::Relaxed));
        let outcome = running.stop();
        if stop.load(Ordering::Relaxed) && outcome.end == End::OutOfTime {
            return Ok(self.not_run(class, "not graded: it was stopped"));
        }
        Ok(self.read(class, &outcome))
    }

    /// Makes a result of what the judge has printed. It is not believed more than it has to be:
    /// without isolation, a submission could have written it.
    fn read(&self, class: &Class, outcome: &Outcome) -> Verdict {
        let json: Value = serde_json::from_slice(&outcome.stdout).unwrap_or_default();
        let said = || {
            let lines = json["lines"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let error = json.get("error").and_then(Value::as_str)?;
            Some(lines.fold(error.to_owned(), |text, line| text + "\n" + line))
        };
        let Some(found) = json.get("checks").and_then(Value::as_array) else {
            let why = said().unwrap_or_else(|| match outcome.end {
                End::OutOfTime => "its judge did not end in time, and was ended".to_owned(),
                End::Signal(signal) => format!("its judge was ended by signal {signal}"),
                End::Code(code) => {
                    let words = outcome.last_words().unwrap_or_default();
                    format!("its judge ended with exit code {code}, without a verdict: {words}")
                }
            });
            return self.not_run(class, &why);
        };
        let graded = class.checks.iter().map(|check| {
            let of_check = found
                .iter()
                .find(|graded| graded.get("id").and_then(Value::as_str) == Some(check.id));
            verdict(check, of_check.unwrap_or(&Value::Null), class.weight(check))
        });
        let notes = json.get("notes").and_then(Value::as_array);
        let notes = notes.into_iter().flatten().filter_map(Value::as_str).take(MAX_NOTES);
        let mut verdict = self.verdict(class, graded.collect(), notes.map(text).collect());
        let captures = json.get("captures");
        let capture =
            |check: &&'static Check| Some((*check, captures?.get(check.id)?.as_str()?.to_owned()));
        verdict.captures = class.checks.iter().filter_map(capture).collect();
        verdict
    }
}

/// Checks whether a file of the submission can be started.
fn startable(work: &Path, file: &str) -> Result<(), String> {
    let path = work.join(file);
    let about = path.metadata().map_err(|_| match inner_folder(work, file) {
        Some(inner) => {
            format!("there is no `{file}` in its folder, but one in {inner}/: move it up")
        }
        None => format!(
            "there is no program `{file}` in its folder, and no other command in grade.toml"
        ),
    })?;
    if !about.is_file() {
        return Err(format!("`{file}` is a folder, not a program"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if about.permissions().mode() & 0o111 == 0 {
            return Err(format!("`{file}` is not executable: chmod +x {file}"));
        }
    }
    // A kernel looks for an interpreter whose name ends in CR, and finds none.
    let mut line = Vec::new();
    let _ = std::fs::File::open(&path).and_then(|file| file.take(256).read_to_end(&mut line));
    let first = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if first.starts_with(b"#!") && first.ends_with(b"\r") {
        return Err(format!("`{file}` has Windows line ends (CR LF): save it with LF"));
    }
    Ok(())
}

/// Returns the folder in a submission in which the program is: some archives have one more.
fn inner_folder(work: &Path, file: &str) -> Option<String> {
    let entries = std::fs::read_dir(work).ok()?.flatten();
    let mut inner = entries.filter(|entry| entry.path().join(file).is_file());
    inner.next().map(|entry| printable(&entry.file_name().to_string_lossy()))
}

/// Reads what a judge says of one check.
fn verdict(check: &'static Check, said: &Value, weight: f64) -> Graded {
    let word = |key: &str| said.get(key).and_then(Value::as_str);
    let known =
        [Status::Passed, Status::Half, Status::NotCounted, Status::NotBegun, Status::NotRun];
    let status = known.into_iter().find(|status| word("status") == Some(status.word()));
    let status = status.unwrap_or(Status::Failed);
    let seconds = said.get("seconds").and_then(Value::as_f64).unwrap_or(0.0);
    let miss = (status != Status::Passed).then(|| {
        let mut lines = word("message").unwrap_or("its judge says nothing about it").lines();
        let mut miss = Miss::new(lines.next().map(text).unwrap_or_default());
        miss.details = lines.take(MAX_DETAILS).map(text).collect();
        miss.hint = word("hint").map(text);
        miss.half = status == Status::Half;
        miss
    });
    let elapsed = Duration::try_from_secs_f64(seconds.min(86_400.0)).unwrap_or_default();
    Graded { check, status, miss, elapsed, capture: None, weight }
}

/// Returns text of a judge: one line, not too long, safe to print.
fn text(said: &str) -> String {
    printable(&said.chars().take(MAX_TEXT).collect::<String>())
}
