//! A graded class as one page of HTML: a matrix of students and checks. It needs no network, no
//! font and no script.

use std::fmt::Write;

use super::{Class, Graded, Verdict};
use crate::grade::check::Check;
use crate::grade::exam;
use crate::grade::report::html::{class as css, head, sign};
use crate::grade::report::{chapter, maker, points, shell_word, sums};
use crate::s01_bencode::{counted, printable};
use crate::trace::capture::page::escaped;

/// How many checks are named as the next lesson.
const LESSONS: usize = 5;

/// Returns the page.
pub fn page(class: &Class, graded: &Graded) -> String {
    let title = format!("piecemeal grade: {}", class.name());
    let mut out = head(&title).replacen("<body>", "<body class=\"wide\">", 1);
    let _ = writeln!(
        out,
        "<p>{}, {}, seed {}</p>",
        counted(graded.results.len() as u64, "student"),
        counted(class.checks.len() as u64, "check"),
        class.seed
    );
    if let Some(first) = graded.results.first() {
        let again = format!("piecemeal grade --class {} --seed", shell_word(&class.name()));
        let (maker, again) = (maker(&first.report), escaped(&again));
        let seed = class.seed;
        let _ = writeln!(out, "<p class=\"hint\">{maker}. The same again: {again} {seed}</p>");
    }
    if !class.settings.text.is_empty() {
        let text = escaped(&printable_lines(&class.settings.text));
        let _ = writeln!(
            out,
            "<details><summary class=\"hint\">grade.toml</summary><pre>{text}</pre></details>"
        );
    }
    for note in &graded.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(note));
    }
    stages(class, graded, &mut out);
    lessons(class, graded, &mut out);
    out += "<h2>Students and checks</h2>\n<div class=\"matrix\">\n<table>\n<thead><tr><th class=\"student\">student</th><th>points</th>";
    for check in &class.checks {
        let about = escaped(&format!("{} {}", check.id, check.title));
        let _ = write!(out, "<th class=\"check\" scope=\"col\" title=\"{about}\">{about}</th>");
    }
    out += "</tr></thead>\n<tbody>\n";
    share(class, graded, &mut out);
    graded.results.iter().for_each(|result| row(result, &mut out));
    out += "</tbody>\n</table>\n</div>\n<p class=\"hint\">✓ passed, ½ half, ✗ failed, – not counted: a check that it builds on has not passed, · not begun: the program does not have this subcommand, ? not run: see the note</p>\n";
    out + "</body>\n</html>\n"
}

/// Returns lines of a file, safe to show.
fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}

/// Writes the table of students and stages. With the points that there are in its head alone, it
/// fits a screen, and the notes at its end are seen.
fn stages(class: &Class, graded: &Graded, out: &mut String) {
    *out += "<h2>Students and stages</h2>\n<div class=\"matrix\">\n<table class=\"stages\">\n<thead><tr><th class=\"student\">student</th><th>points</th>";
    for checks in class.checks.chunk_by(|a, b| a.stage() == b.stage()) {
        let stage = checks[0].stage();
        let of: f64 =
            checks.iter().map(|check| f64::from(check.points) * class.weight(check)).sum();
        let _ = write!(
            out,
            "<th title=\"{}\">{stage}<br><small>of {}</small></th>",
            chapter(stage),
            points(of)
        );
    }
    *out += "<th>note</th></tr></thead>\n<tbody>\n";
    for result in &graded.results {
        start(result, out);
        let all = &result.report.graded;
        for stage in all.chunk_by(|a, b| a.check.stage() == b.check.stage()) {
            let (credit, worth) = sums(stage);
            let status = match stage.iter().find(|graded| graded.status.is_begun()) {
                None => stage[0].status,
                Some(_) if credit == worth => exam::Status::Passed,
                Some(_) if credit == 0.0 => exam::Status::Failed,
                Some(_) => exam::Status::Half,
            };
            let text = match status.is_begun() {
                true => points(credit),
                false => sign(status).to_owned(),
            };
            let _ = write!(out, "<td class=\"{}\">{text}</td>", css(status));
        }
        let said = escaped(result.said.as_deref().unwrap_or_default());
        let _ = writeln!(out, "<td class=\"said\" title=\"{said}\">{said}</td></tr>");
    }
    *out += "</tbody>\n</table>\n</div>\n";
}

/// Names the checks that the smallest share passes of those who got this far, by stage: the next
/// lesson.
fn lessons(class: &Class, graded: &Graded, out: &mut String) {
    let counted = class.checks.iter().map(|check| (*check, graded.passed(check)));
    let mut hard: Vec<_> = counted.filter(|(_, (passed, so_far))| passed < so_far).collect();
    // Stable: among equals the one that comes first in the course.
    hard.sort_by_key(|(_, (passed, so_far))| 1000 * passed / so_far);
    hard.truncate(LESSONS);
    if hard.is_empty() {
        return;
    }
    let place = |check: &Check| class.checks.iter().position(|one| one.id == check.id);
    hard.sort_by_key(|(check, _)| place(check));
    *out += "<h2>The next lesson</h2>\n<ul>\n";
    for stage in hard.chunk_by(|(a, _), (b, _)| a.stage() == b.stage()) {
        let number = stage[0].0.stage();
        let _ = writeln!(out, "<li>Stage {number}, {}\n<ul>", chapter(number));
        for (check, (passed, so_far)) in stage {
            let (id, title) = (check.id, escaped(check.title));
            let share = format!("passed by {passed} of the {so_far} who got this far");
            let _ = writeln!(out, "<li><b>{id}</b> {title} <small>{share}</small></li>");
        }
        *out += "</ul></li>\n";
    }
    *out += "</ul>\n";
}

/// Writes the row with each check's share of the class.
fn share(class: &Class, graded: &Graded, out: &mut String) {
    *out += "<tr class=\"share\"><th class=\"student\" scope=\"row\">share of those who got this far</th><td></td>";
    for check in &class.checks {
        let (passed, all) = graded.passed(check);
        let share = match all {
            0 => "·".to_owned(),
            _ => format!("{}%", 100 * passed / all),
        };
        let _ = write!(out, "<td title=\"{passed} of {all}\">{share}</td>");
    }
    *out += "</tr>\n";
}

/// Writes the beginning of a student's row.
fn start(result: &Verdict, out: &mut String) {
    let name = escaped(&result.name);
    let file = urlencoding::encode_binary(result.file.as_encoded_bytes());
    let file = escaped(&file);
    let (got, of) = (points(result.report.points()), points(result.report.of()));
    let _ = write!(
        out,
        "<tr><th class=\"student\" scope=\"row\"><a href=\"students/{file}.html\">{name}</a></th><td class=\"number\">{got} of {of}</td>"
    );
}

fn row(result: &Verdict, out: &mut String) {
    start(result, out);
    for graded in &result.report.graded {
        let what = graded.miss.as_ref().map_or("", |miss| miss.what.as_str());
        let _ = write!(
            out,
            "<td class=\"{}\" title=\"{} {}: {}\">{}</td>",
            css(graded.status),
            graded.check.id,
            graded.status.word(),
            escaped(what),
            sign(graded.status)
        );
    }
    *out += "</tr>\n";
}
