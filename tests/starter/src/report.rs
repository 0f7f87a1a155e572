//! What `make check` prints.

use std::fmt::Write;

use crate::check::{Checked, Report, Verdict};

/// The most lines of a compiler or a test that are shown.
const MOST_LINES: usize = 40;

/// The most characters of a line that are shown. A failed comparison of two blocks has thousands.
const MOST_COLUMNS: usize = 200;

/// Returns a report as text, in color or not.
pub fn text(report: &Report, color: bool) -> String {
    let paint = |code: &str, text: &str| match color {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let is_begin = report.checked.iter().all(|c| matches!(c.verdict, Verdict::Empty));
    let begin = if is_begin { "; this is where you begin" } else { "" };
    let stage = &report.stage;
    let mut out =
        format!("Stage {}, {}: {}{begin}\n\n", stage.number, stage.subject(), report.score());
    let next = next(report);
    let width = report.checked.iter().map(|c| c.hole.name.len()).max().unwrap_or(0);
    for checked in &report.checked {
        let is_next = next.is_some_and(|next| next.hole.name == checked.hole.name);
        let mark = match checked.verdict {
            Verdict::Solved => paint("32", "[x]"),
            _ => "[ ]".to_owned(),
        };
        let what = match &checked.verdict {
            Verdict::Solved => "",
            Verdict::Empty => "empty",
            Verdict::AsBefore | Verdict::Red(_) => "red",
            Verdict::Broken(_) => "does not compile",
            Verdict::Gone(_) => "gone",
        };
        let next = if is_next { "  <- next; hint: make hint" } else { "" };
        let (number, name) = (checked.number, &checked.hole.name);
        let line = format!("  {mark} {number} {name:width$}  {what}{next}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for note in &report.notes {
        let _ = writeln!(out, "\nnote: {note}");
    }
    let bold = |text: &str| paint("1", text);
    match (next, &report.own) {
        (Some(next), _) => out += &details(next, report, &bold),
        (None, Some((verdict, changes))) => {
            out += "\nEach function is right, but your program is not";
            if !changes.is_empty() {
                let _ = write!(out, ": it differs outside of them, {}", changes.join("; "));
            }
            out += ".\n";
            out += &words(verdict, &bold);
        }
        (None, None) if report.is_one => {
            out += &paint(
                "32",
                "\nIt is solved. make solution compares; make check goes on with the others.\n",
            )
        }
        (None, None) => {
            out += &paint("32", "\nAll is solved. make solution compares; make next goes on.\n")
        }
    }
    out
}

/// The hole to work on: the first that was tried and is not right, else the first empty one.
fn next(report: &Report) -> Option<&Checked> {
    let is_tried = |c: &&Checked| !matches!(c.verdict, Verdict::Solved | Verdict::Empty);
    let is_empty = |c: &&Checked| matches!(c.verdict, Verdict::Empty);
    report.checked.iter().find(is_tried).or_else(|| report.checked.iter().find(is_empty))
}

fn details(checked: &Checked, report: &Report, bold: &dyn Fn(&str) -> String) -> String {
    let hole = &checked.hole;
    let mut out = format!("\n{}: {}\n", bold(&hole.name), hole.task);
    let paths: Vec<String> = hole.paths().map(|path| format!("`{path}`")).collect();
    let _ = writeln!(
        out,
        "  {} in {}, about {} minutes; {}, {:?}",
        paths.join(", "),
        hole.source(),
        hole.minutes,
        report.stage.chapter,
        hole.section
    );
    out + &words(&checked.verdict, bold)
}

/// What is wrong.
fn words(verdict: &Verdict, bold: &dyn Fn(&str) -> String) -> String {
    let mut out = String::new();
    match verdict {
        Verdict::Red(ran) => {
            let _ = writeln!(out, "\nThis test is red: {}\n", bold(&ran.test.name));
            out += &indented(&ran.message());
        }
        Verdict::Broken(words) => {
            out += "\nIt does not compile:\n\n";
            out += &indented(words);
        }
        Verdict::Gone(why) => {
            let _ = writeln!(out, "\n{why}");
        }
        Verdict::Solved | Verdict::Empty | Verdict::AsBefore => {}
    }
    out
}

fn indented(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    let mut out = String::new();
    for line in lines.iter().take(MOST_LINES) {
        let _ = writeln!(out, "{}", format!("  {}", cut(line)).trim_end());
    }
    if lines.len() > MOST_LINES {
        let _ = writeln!(out, "  .. {} more lines", lines.len() - MOST_LINES);
    }
    out
}

/// Returns a line without what goes beyond [`MOST_COLUMNS`], and how much that is.
fn cut(line: &str) -> String {
    match line.char_indices().nth(MOST_COLUMNS) {
        None => line.to_owned(),
        Some((at, _)) => {
            let (shown, rest) = line.split_at(at);
            format!("{shown} .. {} more characters", rest.chars().count())
        }
    }
}
