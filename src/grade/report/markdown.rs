//! An exam as Markdown: the sum, a table of the stages, and what is not passed.

use std::fmt::Write;

use super::{again, chapter, grouped, heading, hidden_heading, hint, lines_about, maker};
use super::{points, sums, title};
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
    let _ = writeln!(out, "{}. The same again:\n\n    {}\n", maker(report), again(report, None));
    for note in &report.notes {
        let _ = writeln!(out, "Note: {}\n", escaped(&printable(note)));
    }
    if let Some(check) = report.to_do() {
        let _ = writeln!(out, "Next is {}: {}\n", check.id, escaped(check.title));
    }
    out += "| stage | passed | points | of |\n|---|---:|---:|---:|\n";
    for stage in report.graded.chunk_by(|a, b| a.check.stage() == b.check.stage()) {
        let number = stage.first().map_or(0, |graded| graded.check.stage());
        let passed = stage.iter().filter(|graded| graded.status == Status::Passed).count();
        let (credit, worth) = sums(stage);
        let _ = writeln!(
            out,
            "| {} | {passed} of {} | {} | {} |",
            chapter(number),
            stage.len(),
            points(credit),
            points(worth)
        );
    }
    if report.next().is_some() {
        out += "\n## Not passed\n";
    }
    grouped(&report.graded).for_each(|group| missed(report, group, &mut out));
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
        let _ = writeln!(out, "\n## {}\n", escaped(&hidden_heading(hidden)));
        for Graded { check, .. } in &hidden.graded {
            let _ = writeln!(out, "* {} {}", check.id, escaped(check.title));
        }
    }
    out
}

fn missed(report: &Report, group: &[Graded], out: &mut String) {
    let Some(graded) = group.first().filter(|graded| graded.miss.is_some()) else { return };
    let (ids, title) = heading(group);
    let (credit, worth) = sums(group);
    let _ = writeln!(
        out,
        "\n### {}\n\n{}, {} of {}\n",
        format!("{ids} {}", escaped(title)).trim_end(),
        graded.status.word(),
        points(credit),
        points(worth)
    );
    // An indented block shows its text as it is: nothing in it is markup, and no fence can end it.
    for line in lines_about(report, graded) {
        let _ = writeln!(out, "    {line}");
    }
    if let Some(hint) = hint(graded) {
        let _ = writeln!(out, "\nLikely: {}", escaped(&hint));
    }
    if graded.status != Status::NotRun {
        let check = graded.check;
        let _ = writeln!(out, "\n{}; `piecemeal chapter {}`", escaped(check.clause), check.stage());
    }
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
