//! Options and lines of `grade --class`: every folder of a folder. (grade)

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use piecemeal::grade::class::settings::{FILE, Settings};
use piecemeal::grade::class::{Class, Verdict, prepare, table};
use piecemeal::grade::report::points;
use piecemeal::s01_bencode::{counted, printable};

use super::exit_codes::{BAD_INPUT, LOCAL, OTHER, USAGE, stopped};
use super::failure::{Failure, at_the_disk};
use super::grade_lines::GradeLines;
use super::grade_options::GradeOptions;
use super::interrupt::interrupt;
use super::{Answer, Options, print_line};

/// The page about grading a class.
const PAGE: &str = "grading-a-class";

/// A class in place of one client.
#[derive(clap::Args)]
pub struct ClassOptions {
    /// Grade each folder in this one, isolated; --report DIR
    #[arg(long, value_name = "DIR", conflicts_with_all = ["command", "watch"])]
    pub class: Option<PathBuf>,
    /// What starts each client of a class [default: ./run]
    #[arg(long, value_name = "COMMAND", conflicts_with = "command")]
    pub run: Option<String>,
}

/// Grades a class.
pub fn grade_class(
    folder: &Path,
    run: Option<&str>,
    grade: &GradeOptions,
    options: &Options,
) -> Result<Answer, Failure> {
    let class = class(folder, run, grade)?;
    let (students, _) = class.students().map_err(|error| local(folder, &error))?;
    if students.is_empty() {
        let (what, help) = match &class.only {
            Some(name) => (format!("folder {name:?}"), "--as is the name of a student's folder"),
            None => {
                ("folder of a student".into(), "a class is a folder with a folder for each student")
            }
        };
        let what = format!("{}: there is no {what} in it", folder.display());
        return Err(Failure::new(BAD_INPUT, what).help(help).see(PAGE));
    }
    if class.writes_into_itself() {
        let what = format!("{}: the reports would be among the submissions", class.out.display());
        return Err(Failure::new(USAGE, what).help("choose another folder for --report").see(PAGE));
    }
    let is_known = |name: &str| class.folder.join(name).is_dir();
    if let Some((table, name)) = class.settings.stranger(is_known) {
        let file = class.folder.join(FILE);
        let what = format!("{}: {table}.{name}: no student has this name", file.display());
        return Err(Failure::new(BAD_INPUT, what)
            .help("it is the name of a folder in the class's folder")
            .see(PAGE));
    }
    if let Some(folder) = &class.keep {
        std::fs::create_dir_all(folder).map_err(|error| local(folder, &error))?;
    }
    if let Some(aside) = class.set_aside().map_err(|error| local(&class.out, &error))? {
        options.note(&format!("the report of another run is now in {}", aside.display()));
    }
    prepare(&class.out).map_err(|error| local(&class.out, &error))?;
    let stop = interrupt()?;
    options.note(&format!(
        "{}, {}, seed {}; the reports go to {}",
        counted(students.len() as u64, "student"),
        counted(class.checks.len() as u64, "check"),
        class.seed,
        class.out.display()
    ));
    let width = students.iter().map(|student| student.name.chars().count()).max().unwrap_or(0);
    let done = |verdict: &Verdict| {
        if !options.json {
            print_line(&line(&class, verdict, width.min(40)));
            // Of one student, all is of interest.
            if class.only.is_some() {
                let mut lines = GradeLines::plain(options);
                verdict.report.graded.iter().for_each(|graded| lines.graded(graded));
            }
        }
    };
    let graded = class.run(&stop, done).map_err(|error| local(&class.out, &error))?;
    graded.notes.iter().for_each(|note| options.note(note));
    if stop.load(Ordering::SeqCst) {
        let what = "the class was stopped before its end";
        return Err(Failure::new(stopped(), what)
            .help("the reports say who has not been graded; run the same command again")
            .see(PAGE));
    }
    let text = format!("\nopen {}", class.out.join("class.html").display());
    Ok(Answer { text, json: table::json(&class, &graded) })
}

/// Takes the arguments together with the settings of the folder.
fn class(folder: &Path, run: Option<&str>, grade: &GradeOptions) -> Result<Class, Failure> {
    let folder = folder.canonicalize().map_err(|error| local(folder, &error))?;
    let mut settings = Settings::read(&folder).map_err(|error| {
        Failure::new(BAD_INPUT, error).help("the page below has an example of this file").see(PAGE)
    })?;
    if let Some(run) = run {
        settings.run = run.to_owned();
    }
    let mut exam = grade.exam()?;
    if grade.seed().is_none() {
        exam.seed = settings.seed.unwrap_or(exam.seed);
    }
    let only = grade.only();
    let name = folder.file_name().unwrap_or("class".as_ref()).to_string_lossy().into_owned();
    let name = only.iter().fold(name, |name, only| format!("{name}-{only}"));
    let mut chosen: Vec<OsString> = Vec::new();
    for check in &exam.checks {
        chosen.extend(["--check".into(), check.id.into()]);
    }
    let out = match grade.reports() {
        [] => folder.with_file_name(format!("{name}-report")),
        [out] => out.clone(),
        _ => {
            return Err(Failure::new(USAGE, "a class has one folder of reports")
                .help("give --report once, with the name of a folder")
                .see(PAGE));
        }
    };
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(OTHER, format!("where piecemeal itself is cannot be found out: {error}"))
            .help("start it by its whole path")
    })?;
    Ok(Class {
        folder,
        out,
        settings,
        checks: exam.checks,
        chosen,
        seed: exam.seed,
        jobs: grade.students_at_a_time(),
        only,
        keep: grade.keep().map(Path::to_owned),
        program,
    })
}

fn local(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(LOCAL, format!("{}: {error}", path.display())).help(at_the_disk(error)).see(PAGE)
}

/// Returns the line about a student.
fn line(class: &Class, verdict: &Verdict, width: usize) -> String {
    let said = verdict.said.as_deref().map(|said| format!("  {said}")).unwrap_or_default();
    let seconds = verdict.report.took.as_secs_f64();
    printable(&format!(
        "{:<width$}  {:>6} of {} points  {seconds:>4.0} s{said}",
        verdict.name,
        points(verdict.report.points()),
        points(class.of())
    ))
}
