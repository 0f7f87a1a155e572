//! Options and lines of `grade --class`: every folder of a folder. (grade)

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use piecemeal::grade::class::settings::Settings;
use piecemeal::grade::class::{Class, Verdict, prepare, table};
use piecemeal::grade::report::points;
use piecemeal::s01_bencode::{counted, printable};

use super::exit_codes::{BAD_INPUT, LOCAL, OTHER, USAGE, stopped};
use super::failure::{Failure, at_the_disk};
use super::grade_options::GradeOptions;
use super::interrupt::interrupt;
use super::{Answer, Options, print_line};

/// The page about grading a class.
const PAGE: &str = "grading-a-class";

/// The folder of the reports, beside that of the class.
const OUT: &str = "class-report";

/// A class in place of one client.
#[derive(clap::Args)]
pub struct ClassOptions {
    /// Grade each folder in this one, isolated; --report DIR
    #[arg(long, value_name = "DIR", conflicts_with_all = ["command", "watch", "keep"])]
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
    let students = class.students().map_err(|error| local(folder, &error))?;
    if students.is_empty() {
        let what = format!("{}: there is no folder of a student in it", folder.display());
        return Err(Failure::new(BAD_INPUT, what)
            .help("a class is a folder with a folder for each student")
            .see(PAGE));
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
        }
    };
    let graded = class.run(&stop, done).map_err(|error| local(&class.out, &error))?;
    graded.lacks.iter().for_each(|lack| options.note(lack));
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
    let exam = grade.exam()?;
    let mut chosen: Vec<OsString> = Vec::new();
    for check in &exam.checks {
        chosen.extend(["--check".into(), check.id.into()]);
    }
    let out = match grade.reports() {
        [] => folder.parent().unwrap_or(&folder).join(OUT),
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
    let jobs = grade.students_at_a_time();
    Ok(Class { folder, out, settings, checks: exam.checks, chosen, seed: exam.seed, jobs, program })
}

fn local(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(LOCAL, format!("{}: {error}", path.display())).help(at_the_disk(error)).see(PAGE)
}

/// Returns the line about a student.
fn line(class: &Class, verdict: &Verdict, width: usize) -> String {
    let of: f64 = class.checks.iter().map(|c| f64::from(c.points) * class.weight(c)).sum();
    let got = verdict.report.as_ref().map_or(0.0, |report| report.points());
    let said = verdict.said.as_deref().map(|said| format!("  {said}")).unwrap_or_default();
    let seconds = verdict.seconds;
    printable(&format!(
        "{:<width$}  {:>6} of {} points  {seconds:>4.0} s{said}",
        verdict.name,
        points(got),
        points(of)
    ))
}
