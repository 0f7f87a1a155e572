//! Reports of an exam, for people and for programs.

pub mod gradescope;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::check::Check;
use super::exam::{Graded, Hidden, Report, Status};
use crate::s01_bencode::printable;
use crate::trace;

/// The name of the file that Gradescope reads.
const GRADESCOPE: &str = "results.json";

/// Returns the name of a stage's chapter, `04-handshake`.
pub fn chapter(stage: u8) -> String {
    trace::chapter(stage).unwrap_or_else(|| "README".to_owned())
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportForm {
    /// The object of the command's `--json`.
    Json,
    /// What Gradescope reads; its name is `results.json`.
    Gradescope,
    /// JUnit's XML, which build servers show.
    Junit,
    /// Text with a table.
    Markdown,
    /// One page that needs no network.
    Html,
}

impl ReportForm {
    /// Returns the form by the file's name.
    ///
    /// # Errors
    /// If the ending is unknown.
    pub fn of(path: &Path) -> Result<ReportForm, String> {
        let is = |name: &str| path.file_name().is_some_and(|file| file == name);
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("json") if is(GRADESCOPE) => Ok(ReportForm::Gradescope),
            Some("json") => Ok(ReportForm::Json),
            Some("xml") => Ok(ReportForm::Junit),
            Some("md") => Ok(ReportForm::Markdown),
            Some("html") => Ok(ReportForm::Html),
            _ => Err(format!(
                "{}: a report's name ends in .md, .json, .xml or .html",
                path.display()
            )),
        }
    }

    /// Returns the report in this form.
    pub fn text(self, report: &Report) -> String {
        match self {
            ReportForm::Json => format!("{}\n", json::of(report)),
            ReportForm::Gradescope => format!("{:#}\n", gradescope::of(report)),
            ReportForm::Junit => junit::of(report),
            ReportForm::Markdown => markdown::of(report),
            ReportForm::Html => html::of(report),
        }
    }
}

/// Writes a report.
///
/// # Errors
/// If the file cannot be written.
pub fn write(report: &Report, path: &Path) -> io::Result<()> {
    save(path, &ReportForm::of(path).map_err(io::Error::other)?.text(report))
}

/// Writes a file, whole or not at all: another grader may write the same one.
///
/// # Errors
/// If the folder takes no file.
pub fn save(path: &Path, text: &str) -> io::Result<()> {
    let mut file = place(path)?;
    file.write_all(text.as_bytes())?;
    #[cfg(unix)]
    {
        // A temporary file is for its owner only; a report is for others.
        use std::os::unix::fs::PermissionsExt;
        let permissions = std::fs::Permissions::from_mode(0o644);
        let _ = file.as_file().set_permissions(permissions);
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Checks whether a file can be written there, and leaves nothing.
///
/// # Errors
/// If it cannot.
pub fn writable(path: &Path) -> io::Result<()> {
    place(path).map(drop)
}

fn place(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "there is a folder of this name"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    tempfile::Builder::new().prefix(".report-").tempfile_in(folder.unwrap_or(Path::new(".")))
}

/// Returns what is said about a check that was not passed, line by line and safe to print. The last
/// line is the command that runs it again.
fn lines_about(report: &Report, graded: &Graded) -> Vec<String> {
    let Some(miss) = &graded.miss else { return Vec::new() };
    let lines = std::iter::once(&miss.what).chain(&miss.details);
    let failed = matches!(graded.status, Status::Failed | Status::Half);
    let again = failed.then(|| format!("$ {}", again(report, Some(graded.check))));
    lines.map(|line| printable(line)).chain(again).collect()
}

/// Returns the command that has the same contents, names and ids again, safe to print.
pub fn again(report: &Report, check: Option<&Check>) -> String {
    let mut line = format!("piecemeal grade --seed {}", report.seed);
    if !report.name.is_empty() {
        line += &format!(" --as={}", shell_word(&report.name));
    }
    if let Some(check) = check {
        line += &format!(" --check {}", check.id);
    }
    printable(&format!("{line} -- {}", report.command))
}

/// Returns a command as a shell wants it.
pub fn shell_line(words: &[OsString]) -> String {
    let words = words.iter().map(|word| shell_word(&word.to_string_lossy()));
    words.collect::<Vec<String>>().join(" ")
}

/// Returns a word as a shell wants it.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Returns which program made a report, and when.
pub(crate) fn maker(report: &Report) -> String {
    let seconds = report.begun.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    format!("piecemeal {}, {}", env!("CARGO_PKG_VERSION"), trace::capture::lines::utc(seconds))
}

/// Returns the checks, one by one; those together that were not tried for the same reason.
pub fn grouped(graded: &[Graded]) -> impl Iterator<Item = &[Graded]> {
    let what = |graded: &Graded| graded.miss.as_ref().map(|miss| miss.what.clone());
    graded.chunk_by(move |a, b| !a.status.is_begun() && a.status == b.status && what(a) == what(b))
}

/// Returns the ids of a group, and its title if it is one check.
fn heading(group: &[Graded]) -> (String, &'static str) {
    match group {
        [] => (String::new(), ""),
        [one] => (one.check.id.to_owned(), one.check.title),
        [first, .., last] => (format!("{} to {}", first.check.id, last.check.id), ""),
    }
}

/// Returns the points that checks bring, and those that they can bring.
pub fn sums<'a>(graded: impl IntoIterator<Item = &'a Graded>) -> (f64, f64) {
    let both = graded.into_iter().map(|graded| (graded.credit(), graded.worth()));
    both.fold((0.0, 0.0), |sums, both| (sums.0 + both.0, sums.1 + both.1))
}

/// Returns the sentence above the checks that are hidden yet.
fn hidden_heading(hidden: &Hidden) -> String {
    let (until, worth) = (&hidden.until, sums(&hidden.graded).1);
    format!("Hidden until {until}, and not in these points ({} more)", points(worth))
}

/// Returns the likely cause, safe to print.
fn hint(graded: &Graded) -> Option<String> {
    graded.miss.as_ref()?.hint.as_deref().map(printable)
}

/// Returns a heading: whose report it is.
fn title(report: &Report) -> String {
    match printable(&report.name) {
        name if name.is_empty() => "piecemeal grade".to_owned(),
        name => format!("piecemeal grade: {name}"),
    }
}

/// Returns points as people write them: `7`, or `7.5`.
pub fn points(points: f64) -> String {
    // Adding 0 makes a zero of a minus zero, which is the sum of nothing.
    let rounded = (points * 100.0).round() / 100.0 + 0.0;
    format!("{rounded}")
}

/// Returns points for programs: `7`, or `7.5`.
pub(crate) fn number(points: f64) -> serde_json::Value {
    let rounded = (points * 100.0).round() / 100.0;
    if rounded.fract() == 0.0 { (rounded as i64).into() } else { rounded.into() }
}
