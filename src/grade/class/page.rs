//! A graded class as one page of HTML: a matrix of students and checks. It needs no network, no
//! font and no script.

use std::fmt::Write;

use super::{Class, Graded, Verdict};
use crate::grade::check::Check;
use crate::grade::exam::Report;
use crate::grade::report::html::{class as css, head, sign};
use crate::grade::report::points;
use crate::s01_bencode::counted;
use crate::trace::capture::page::escaped;

/// How many checks are named as the next lesson.
const LESSONS: usize = 5;

/// Returns the page.
pub fn page(class: &Class, graded: &Graded) -> String {
    let folder = class.folder.canonicalize().unwrap_or_else(|_| class.folder.clone());
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let title = format!("piecemeal grade: {}", crate::s01_bencode::printable(&name));
    let mut out = head(&title).replacen("<body>", "<body class=\"wide\">", 1);
    let _ = writeln!(
        out,
        "<p>{}, {}, seed {}</p>",
        counted(graded.results.len() as u64, "student"),
        counted(class.checks.len() as u64, "check"),
        graded.seed
    );
    for note in &graded.lacks {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(note));
    }
    lessons(class, graded, &mut out);
    out += "<div class=\"matrix\">\n<table>\n<thead><tr><th class=\"student\">student</th><th>points</th>";
    for check in &class.checks {
        let about = escaped(&format!("{} {}", check.id, check.title));
        let _ = write!(out, "<th class=\"check\" scope=\"col\" title=\"{about}\">{about}</th>");
    }
    out += "<th>note</th></tr></thead>\n<tbody>\n";
    share(class, graded, &mut out);
    graded.results.iter().for_each(|result| row(class, result, &mut out));
    out += "</tbody>\n</table>\n</div>\n<p class=\"hint\">✓ passed, ½ half, ✗ failed, – not counted: the check that must pass before it does not</p>\n";
    out + "</body>\n</html>\n"
}

/// Names the checks that most of the class does not pass: the next lesson.
fn lessons(class: &Class, graded: &Graded, out: &mut String) {
    let mut hard: Vec<(&Check, usize)> = class
        .checks
        .iter()
        .map(|check| (*check, graded.passed(check).0))
        .filter(|(_, passed)| *passed < graded.results.len())
        .collect();
    // Stable: among equals the one that comes first in the course.
    hard.sort_by_key(|(_, passed)| *passed);
    if hard.is_empty() {
        return;
    }
    *out += "<h2>The next lesson</h2>\n<ul>\n";
    for (check, passed) in hard.iter().take(LESSONS) {
        let _ = writeln!(
            out,
            "<li><b>{}</b> {} <small>passed by {passed} of {}</small></li>",
            check.id,
            escaped(check.title),
            graded.results.len()
        );
    }
    *out += "</ul>\n";
}

/// Writes the row with each check's share of the class.
fn share(class: &Class, graded: &Graded, out: &mut String) {
    *out +=
        "<tr class=\"share\"><th class=\"student\" scope=\"row\">share that passes</th><td></td>";
    for check in &class.checks {
        let (passed, all) = graded.passed(check);
        let share = 100 * passed / all.max(1);
        let _ = write!(out, "<td title=\"{passed} of {all}\">{share}%</td>");
    }
    *out += "<td></td></tr>\n";
}

fn row(class: &Class, result: &Verdict, out: &mut String) {
    let name = escaped(&result.name);
    let file = urlencoding::encode_binary(result.file.as_encoded_bytes());
    let file = escaped(&file);
    let got = points(result.report.as_ref().map_or(0.0, Report::points));
    let _ = write!(
        out,
        "<tr><th class=\"student\" scope=\"row\"><a href=\"students/{file}.html\">{name}</a></th><td class=\"number\">{got}</td>"
    );
    for check in &class.checks {
        let report = result.report.as_ref();
        let graded = report.and_then(|r| r.graded.iter().find(|g| g.check.id == check.id));
        let _ = match graded {
            Some(graded) => {
                let what = graded.miss.as_ref().map_or("", |miss| miss.what.as_str());
                write!(
                    out,
                    "<td class=\"{}\" title=\"{} {}: {}\">{}</td>",
                    css(graded.status),
                    check.id,
                    graded.status.word(),
                    escaped(what),
                    sign(graded.status)
                )
            }
            None => write!(out, "<td class=\"uncounted\"></td>"),
        };
    }
    let said = escaped(result.said.as_deref().unwrap_or_default());
    let _ = writeln!(out, "<td class=\"said\" title=\"{said}\">{said}</td></tr>");
}
