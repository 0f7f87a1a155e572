//! An exam as one page of HTML. It needs no network, no font and no script.

use std::fmt::Write;

use super::{chapter, hint, lines_about, points, title};
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
    }
}

/// Returns the sign of a status, which can be told apart without color.
pub fn sign(status: Status) -> &'static str {
    match status {
        Status::Passed => "✓",
        Status::Half => "½",
        Status::Failed => "✗",
        Status::NotCounted => "–",
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
    for note in &report.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(&printable(note)));
    }
    if let Some(next) = report.next() {
        let _ = writeln!(out, "<p>Next is {}: {}</p>", next.check.id, escaped(next.check.title));
    }
    for stage in report.graded.chunk_by(|a, b| a.check.stage() == b.check.stage()) {
        let number = stage.first().map_or(0, |graded| graded.check.stage());
        let credit: f64 = stage.iter().map(Graded::credit).sum();
        let worth: f64 = stage.iter().map(Graded::worth).sum();
        let _ = writeln!(
            out,
            "<h2>{} <small>{} of {}</small></h2>\n<ul class=\"checks\">",
            chapter(number),
            points(credit),
            points(worth)
        );
        stage.iter().for_each(|graded| item(graded, &mut out));
        out += "</ul>\n";
    }
    if let Some(hidden) = &report.hidden {
        let _ = writeln!(out, "<h2>Hidden until {}</h2>\n<ul>", escaped(&hidden.until));
        for check in &hidden.checks {
            let _ = writeln!(out, "<li>{} {}</li>", check.id, escaped(check.title));
        }
        out += "</ul>\n";
    }
    out + "</body>\n</html>\n"
}

fn item(graded: &Graded, out: &mut String) {
    let (check, status) = (graded.check, graded.status);
    let head = format!(
        "<i>{}</i> <b>{}</b> {} <small>{} of {}</small>",
        sign(status),
        check.id,
        escaped(check.title),
        points(graded.credit()),
        points(graded.worth())
    );
    if graded.miss.is_none() {
        let _ = writeln!(out, "<li class=\"{}\">{head}</li>", class(status));
        return;
    }
    let lines: Vec<String> = lines_about(graded).iter().map(|line| escaped(line)).collect();
    let _ = writeln!(
        out,
        "<li class=\"{}\"><details open><summary>{head}</summary><pre>{}</pre>",
        class(status),
        lines.join("\n")
    );
    if let Some(hint) = hint(graded) {
        let _ = writeln!(out, "<p>Likely: {}</p>", escaped(&hint));
    }
    let _ = writeln!(
        out,
        "<p class=\"hint\">{}; docs/{}.md</p></details></li>",
        escaped(check.clause),
        chapter(check.stage())
    );
}
