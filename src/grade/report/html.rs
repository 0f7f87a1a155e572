//! An exam as one page of HTML. It needs no network, no font and no script.

use std::fmt::Write;

use super::{again, chapter, grouped, heading, hidden_heading, hint, lines_about, maker};
use super::{points, sums, title};
use crate::grade::exam::{Graded, Report, Status};
use crate::s01_bencode::printable;
use crate::trace::capture::page::{META, escaped};

/// The style of this page and of the class's.
pub const STYLE: &str = include_str!("page.css");

/// Returns the beginning of a page, up to its heading.
pub fn head(title: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n{META}<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    )
}

/// Returns the CSS class of a status.
pub fn class(status: Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Half => "half",
        Status::Failed => "failed",
        Status::NotCounted => "uncounted",
        Status::NotBegun | Status::NotRun => "unbegun",
    }
}

/// Returns the sign of a status, which can be told apart without color.
pub fn sign(status: Status) -> &'static str {
    match status {
        Status::Passed => "✓",
        Status::Half => "½",
        Status::Failed => "✗",
        Status::NotCounted => "–",
        Status::NotBegun => "·",
        Status::NotRun => "?",
    }
}

/// Returns the report.
pub fn of(report: &Report) -> String {
    let mut out = head(&title(report));
    let _ = writeln!(
        out,
        "<p class=\"sum\"><b>{}</b> of {} points, seed {}</p>",
        points(report.points()),
        points(report.of()),
        report.seed
    );
    let _ = writeln!(out, "<p class=\"hint\">{}. The same again:</p>", maker(report));
    let _ = writeln!(out, "<pre>{}</pre>", escaped(&again(report, None)));
    for note in &report.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(&printable(note)));
    }
    if let Some(check) = report.to_do() {
        let _ = writeln!(out, "<p>Next is {}: {}</p>", check.id, escaped(check.title));
    }
    let mut last = None;
    for stage in report.graded.chunk_by(|a, b| a.check.stage() == b.check.stage()) {
        let number = stage.first().map_or(0, |graded| graded.check.stage());
        let (credit, worth) = sums(stage);
        let _ = writeln!(
            out,
            "<h2>{} <small>{} of {}</small></h2>\n<ul class=\"checks\">",
            chapter(number),
            points(credit),
            points(worth)
        );
        for group in grouped(stage) {
            let what = group.first().and_then(|graded| graded.miss.as_ref()).map(|miss| &miss.what);
            let is_new = what.is_none() || what != last;
            last = what;
            item(report, group, is_new, &mut out);
        }
        out += "</ul>\n";
    }
    if let Some(hidden) = &report.hidden {
        let _ = writeln!(out, "<h2>{}</h2>\n<ul>", escaped(&hidden_heading(hidden)));
        for Graded { check, .. } in &hidden.graded {
            let _ = writeln!(out, "<li>{} {}</li>", check.id, escaped(check.title));
        }
        out += "</ul>\n";
    }
    out + "</body>\n</html>\n"
}

/// Writes a check, or several that were not tried. Why that is so is said once.
fn item(report: &Report, group: &[Graded], is_new: bool, out: &mut String) {
    let Some(graded) = group.first() else { return };
    let (check, status) = (graded.check, graded.status);
    let ((ids, title), (credit, worth)) = (heading(group), sums(group));
    let head = format!(
        "<i>{}</i> <b>{ids}</b> {} <small>{} of {}</small>",
        sign(status),
        escaped(if title.is_empty() { status.word() } else { title }),
        points(credit),
        points(worth)
    );
    if graded.miss.is_none() || !(is_new || status.is_begun()) {
        let _ = writeln!(out, "<li class=\"{}\">{head}</li>", class(status));
        return;
    }
    let lines: Vec<String> = lines_about(report, graded).iter().map(|line| escaped(line)).collect();
    // On a narrow screen, only what has columns should have to be scrolled.
    let (what, details) = lines.split_first().map_or(("", &[][..]), |(what, all)| (what, all));
    let _ = writeln!(
        out,
        "<li class=\"{}\"><details open><summary>{head}</summary><p>{what}</p>",
        class(status)
    );
    if !details.is_empty() {
        let _ = writeln!(out, "<pre>{}</pre>", details.join("\n"));
    }
    if let Some(hint) = hint(graded) {
        let _ = writeln!(out, "<p>Likely: {}</p>", escaped(&hint));
    }
    let _ = writeln!(
        out,
        "<p class=\"hint\">{}; piecemeal chapter {}</p></details></li>",
        escaped(check.clause),
        check.stage()
    );
}
