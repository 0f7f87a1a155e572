//! An exam as Markdown: the sum, a table of the stages, and what is not passed.

use std::fmt::Write;

use super::{chapter, hint, lines_about, points, title};
use crate::grade::exam::{Graded, Report, Status};
use crate::s01_bencode::printable;

/// Returns the report.
pub fn of(report: &Report) -> String {
    let mut out = format!(
        "# {}\n\n**{} of {} points**, seed {}\n\n",
        escaped(&title(report)),
        points(report.points()),
        points(report.of()),
        report.seed
    );
    for note in &report.notes {
        let _ = writeln!(out, "Note: {}\n", escaped(&printable(note)));
    }
    out += "| stage | passed | points | of |\n|---|---:|---:|---:|\n";
    for stage in report.graded.chunk_by(|a, b| a.check.stage() == b.check.stage()) {
        let number = stage.first().map_or(0, |graded| graded.check.stage());
        let passed = stage.iter().filter(|graded| graded.status == Status::Passed).count();
        let credit: f64 = stage.iter().map(Graded::credit).sum();
        let worth: f64 = stage.iter().map(Graded::worth).sum();
        let _ = writeln!(
            out,
            "| {} | {passed} of {} | {} | {} |",
            chapter(number),
            stage.len(),
            points(credit),
            points(worth)
        );
    }
    let missed: Vec<&Graded> = report.graded.iter().filter(|g| g.miss.is_some()).collect();
    if !missed.is_empty() {
        out += "\n## Not passed\n";
    }
    missed.iter().for_each(|graded| missed_check(graded, &mut out));
    out += "\n## All checks\n\n| id | check | result | points | of |\n|---|---|---|---:|---:|\n";
    for graded in &report.graded {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            graded.check.id,
            escaped(graded.check.title),
            graded.status.word(),
            points(graded.credit()),
            points(graded.worth())
        );
    }
    if let Some(hidden) = &report.hidden {
        let _ = writeln!(out, "\n## Hidden until {}\n", escaped(&hidden.until));
        for check in &hidden.checks {
            let _ = writeln!(out, "* {} {}", check.id, escaped(check.title));
        }
    }
    out
}

fn missed_check(graded: &Graded, out: &mut String) {
    let check = graded.check;
    let _ = writeln!(
        out,
        "\n### {} {}\n\n{}, {} of {}\n",
        check.id,
        escaped(check.title),
        graded.status.word(),
        points(graded.credit()),
        points(graded.worth())
    );
    // An indented block shows its text as it is: nothing in it is markup, and no fence can end it.
    for line in lines_about(graded) {
        let _ = writeln!(out, "    {line}");
    }
    if let Some(hint) = hint(graded) {
        let _ = writeln!(out, "\nLikely: {}", escaped(&hint));
    }
    let _ = writeln!(out, "\n{}; `piecemeal chapter {}`", escaped(check.clause), check.stage());
}

/// Escapes what Markdown, or HTML inside it, would obey.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(letter);
            }
            _ if letter.is_control() => out.push(' '),
            _ => out.push(letter),
        }
    }
    // A bare address would become a link.
    out.replace("://", ":&#47;/").replace("www.", "www&#46;").replace('@', "&#64;")
}
