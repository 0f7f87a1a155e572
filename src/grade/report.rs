//! Reports of an exam, for people and for programs.

pub mod gradescope;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;

use std::io::{self, Write};
use std::path::Path;

use super::exam::{Graded, Report};
use super::miss::MAX_DETAILS;
use crate::s01_bencode::printable;

/// The chapters, by number.
const CHAPTERS: [&str; 18] = [
    "01-bencode",
    "02-metainfo",
    "03-tracker",
    "04-handshake",
    "05-messages",
    "06-magnet",
    "07-extension",
    "08-metadata",
    "09-pieces",
    "10-storage",
    "11-work-queue",
    "12-session",
    "13-peer-sources",
    "14-peer-list",
    "15-swarm",
    "16-uploading",
    "17-seeding",
    "18-udp-tracker",
];

/// The name of the file that Gradescope reads.
const GRADESCOPE: &str = "results.json";

/// Returns the name of a stage's chapter, `04-handshake`.
pub fn chapter(stage: u8) -> &'static str {
    CHAPTERS.get(usize::from(stage).saturating_sub(1)).copied().unwrap_or("README")
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

/// Returns what is said about a check that was not passed, line by line and safe to print.
fn lines_about(graded: &Graded) -> Vec<String> {
    let Some(miss) = &graded.miss else { return Vec::new() };
    let details = miss.details.iter().take(MAX_DETAILS);
    std::iter::once(&miss.what).chain(details).map(|line| printable(line)).collect()
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
    let rounded = (points * 100.0).round() / 100.0;
    format!("{rounded}")
}

/// Returns points for programs: `7`, or `7.5`.
pub(crate) fn number(points: f64) -> serde_json::Value {
    let rounded = (points * 100.0).round() / 100.0;
    if rounded.fract() == 0.0 { (rounded as i64).into() } else { rounded.into() }
}
