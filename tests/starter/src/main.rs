//! `make starter`, and what a starter's own Makefile calls.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use piecemeal_starter::check::check;
use piecemeal_starter::diff::diff;
use piecemeal_starter::failure::{At, Failure, Result, fail};
use piecemeal_starter::hints::hints;
use piecemeal_starter::learner::{Found, Learner};
use piecemeal_starter::list::Hole;
use piecemeal_starter::matrix::Matrix;
use piecemeal_starter::onward;
use piecemeal_starter::progress::Progress;
use piecemeal_starter::report;
use piecemeal_starter::round::{Which, round};
use piecemeal_starter::starter::{Order, Starter, make, pick};

const USAGE: &str = "usage: piecemeal-starter new ROOT STAGE [HOLE] [OUT]
       piecemeal-starter check | hint | solution [HOLE], in the folder of a starter
       piecemeal-starter next [OUT] [ANYWAY], in the folder of a starter
       piecemeal-starter exercises ROOT [all | STAGE]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // make gives an empty word for what is not set.
    let word = |at: usize| words.get(at).copied().filter(|word| !word.is_empty());
    let here = Path::new(".");
    let done = match word(0) {
        Some("new") => new(word(1), word(2), word(3), word(4)),
        Some("check") => Starter::open(here).and_then(|starter| judge(&starter, word(1))),
        Some("hint") => Starter::open(here).and_then(|starter| hint(&starter, word(1))),
        Some("solution") => Starter::open(here).and_then(|starter| solution(&starter, word(1))),
        Some("exercises") => exercises(word(1), word(2)),
        Some("next") => {
            Starter::open(here).and_then(|starter| next(&starter, word(1), word(2).is_some()))
        }
        _ => fail(USAGE),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

fn exercises(root: Option<&str>, which: Option<&str>) -> Result<ExitCode> {
    let which = match which {
        None => Which::Changed,
        Some("all") => Which::All,
        Some(stage) => {
            Which::Only(stage.parse().map_err(|_| Failure(format!("STAGE={stage} is no number")))?)
        }
    };
    let stop = until_interrupted()?;
    let is_good = round(Path::new(root.unwrap_or(".")), which, &stop)?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn new(
    root: Option<&str>,
    stage: Option<&str>,
    hole: Option<&str>,
    out: Option<&str>,
) -> Result<ExitCode> {
    let (Some(root), Some(stage)) = (root, stage) else {
        return fail(
            "which stage? make starter STAGE=05, perhaps with HOLE=frame and OUT=../my-stage-05",
        );
    };
    let number: usize = stage
        .parse()
        .map_err(|_| Failure(format!("STAGE={stage} is no number; make starter STAGE=05")))?;
    let name = hole.map(|hole| format!("-{hole}")).unwrap_or_default();
    let out =
        out.map_or_else(|| PathBuf::from(format!("../my-stage-{number:02}{name}")), PathBuf::from);
    let order = Order { root: Path::new(root), stage: number, hole, out: &out, carried: &[] };
    let (folder, note) = make(&order)?;
    begin(&folder, note);
    Ok(ExitCode::SUCCESS)
}

fn begin(folder: &Path, note: Option<&str>) {
    if let Some(note) = note {
        say(format!("note: {note}"));
    }
    say(format!("{} is ready. Its README.md says how to begin:", folder.display()));
    say(format!("  cd {} && make check", folder.display()));
}

fn judge(starter: &Starter, hole: Option<&str>) -> Result<ExitCode> {
    let stop = until_interrupted()?;
    let report = check(starter, hole, &stop)?;
    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    say(report::text(&report, color).trim_end());
    Ok(if report.is_solved() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A flag that Ctrl-C sets. Tests run in groups of their own, which Ctrl-C does not reach.
fn until_interrupted() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in signal_hook::consts::TERM_SIGNALS {
        signal_hook::flag::register(*signal, stop.clone()).at(Path::new("Ctrl-C"))?;
    }
    Ok(stop)
}

/// What the commands besides `check` need of a hole.
struct Opened<'s> {
    hole: &'s Hole,
    reference: Vec<String>,
    found: Found,
    is_solved: bool,
}

/// Opens a hole: the one that is named, else the first that is `wanted`.
fn open<'s>(
    starter: &'s Starter,
    name: Option<&str>,
    wanted: impl Fn(bool) -> bool,
) -> Result<Vec<Opened<'s>>> {
    let workshop = starter.workshop("hints")?;
    let learner = Learner::read(&starter.folder, &workshop, &starter.exercises);
    let progress = Progress::read(&starter.progress());
    let all = starter.holes();
    let holes = match name {
        Some(name) => vec![pick(&all, name)?],
        None => all,
    };
    let mut opened = Vec::new();
    for hole in holes {
        let found = learner.find(hole)?;
        let is_solved = match &found {
            Found::Bodies(written) => progress.is_solved(&hole.name, written),
            _ => false,
        };
        if name.is_some() || wanted(is_solved) {
            opened.push(Opened { hole, reference: workshop.bodies(hole)?, found, is_solved });
        }
    }
    Ok(opened)
}

fn hint(starter: &Starter, name: Option<&str>) -> Result<ExitCode> {
    let opened = open(starter, name, |is_solved| !is_solved)?;
    // As `check` does: what was tried comes before what is empty.
    let tried = opened.iter().find(|opened| opened.found != Found::Nothing);
    let Some(opened) = tried.or(opened.first()) else {
        say("All is solved. make solution compares; make next goes on.");
        return Ok(ExitCode::SUCCESS);
    };
    let Opened { hole, reference, .. } = opened;
    let matrix = Matrix::read(&starter.course())?;
    let tests = matrix.tests(hole).unwrap_or_default();
    let hints = hints(hole, starter.exercises.stage(hole.stage)?, reference, tests)?;
    let mut progress = Progress::read(&starter.progress());
    let number = progress.next_hint(&hole.name, hints.len());
    progress.write()?;
    let hint = &hints[number - 1];
    say(format!("{}, hint {number} of {}: {}", hole.name, hints.len(), hint.title));
    say(format!("\n{}", hint.text));
    if let Some(more) = hints.get(number) {
        say(format!("\nmake hint again: {}", more.title));
    }
    Ok(ExitCode::SUCCESS)
}

fn solution(starter: &Starter, name: Option<&str>) -> Result<ExitCode> {
    let opened = open(starter, name, |is_solved| is_solved)?;
    if opened.is_empty() || opened.iter().any(|opened| !opened.is_solved) {
        return fail("the solution is shown once make check has said [x]; until then: make hint");
    }
    say("- is yours, + is the reference's");
    for Opened { hole, reference, found, .. } in &opened {
        let Found::Bodies(written) = found else { continue };
        for ((path, theirs), ours) in hole.paths().zip(&written.bodies).zip(reference) {
            say(format!("\n{} `{path}`\n", hole.name));
            let theirs = without_task(theirs, &hole.task);
            match theirs.split_whitespace().eq(ours.split_whitespace()) {
                true => say("  the same, word for word"),
                false => say(diff(theirs.trim_matches('\n'), ours.trim_matches('\n'))),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns a body without the comment that a hole begins with.
fn without_task(body: &str, task: &str) -> String {
    let is_task = |line: &&str| {
        line.trim_start().strip_prefix("// ").is_some_and(|words| task.contains(words))
    };
    body.split('\n').filter(|line| !is_task(line)).collect::<Vec<_>>().join("\n")
}

/// Prints a line. A reader that has seen enough, such as `head`, is no error.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn next(starter: &Starter, out: Option<&str>, anyway: bool) -> Result<ExitCode> {
    let stop = until_interrupted()?;
    let onward = onward::next(starter, out, anyway, &stop)?;
    for (hole, why) in &onward.left {
        say(format!("left behind, with the reference in its place: {}\n  {why}", hole.name));
    }
    for (holes, what) in [
        (&onward.carried, "taken along, as you wrote them"),
        (&onward.unsolved, "not solved yet; the reference is in their place"),
    ] {
        if !holes.is_empty() {
            let names: Vec<&str> = holes.iter().map(|hole| hole.name.as_str()).collect();
            say(format!("{what}: {}", names.join(", ")));
        }
    }
    begin(&onward.folder, onward.note);
    Ok(ExitCode::SUCCESS)
}
