//! A graded class as a table for spreadsheets, and as an object for programs.

use serde_json::{Value, json};

use super::{Class, Graded, Verdict};
use crate::grade::exam;
use crate::grade::report::{maker, number, points};

/// The name of the file for programs.
pub const FILE: &str = "class.json";

/// Returns a row a student, and a column a stage and a check with the points that it brings. The
/// second row is what it can bring.
pub fn csv(class: &Class, graded: &Graded) -> String {
    let heads = ["student", "points", "of", "seconds", "note"].map(str::to_owned);
    let stages = class.checks.chunk_by(|a, b| a.stage() == b.stage());
    let stages = stages.map(|checks| format!("stage {}", checks[0].stage()));
    // A number alone would not do: to a spreadsheet, 1.1 and 1.10 are the same one.
    let ids = class.checks.iter().map(|check| quoted(&format!("{} {}", check.id, check.title)));
    let mut rows = vec![heads.into_iter().chain(stages).chain(ids).collect::<Vec<_>>().join(",")];
    if let Some(first) = graded.results.first() {
        let of = points(class.of());
        let start = [quoted("(of)"), of.clone(), of, String::new(), quoted("")];
        let cells = cells(&first.report.graded, exam::Graded::worth);
        rows.push(start.into_iter().chain(cells).collect::<Vec<_>>().join(","));
    }
    rows.extend(graded.results.iter().map(|result| row(class, result)));
    rows.join("\r\n") + "\r\n"
}

fn row(class: &Class, result: &Verdict) -> String {
    let start = [
        quoted(&result.name),
        points(result.report.points()),
        points(class.of()),
        format!("{:.0}", result.report.took.as_secs_f64()),
        quoted(result.said.as_deref().unwrap_or_default()),
    ];
    let cells = cells(&result.report.graded, exam::Graded::credit);
    start.into_iter().chain(cells).collect::<Vec<String>>().join(",")
}

/// Returns the points of each stage, and then of each check.
fn cells(graded: &[exam::Graded], of: fn(&exam::Graded) -> f64) -> Vec<String> {
    let stages = graded.chunk_by(|a, b| a.check.stage() == b.check.stage());
    let stages = stages.map(|stage| points(stage.iter().map(of).sum()));
    stages.chain(graded.iter().map(|graded| points(of(graded)))).collect()
}

/// Quotes a text. A spreadsheet would compute what begins like a formula.
fn quoted(text: &str) -> String {
    let sign = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{sign}{}\"", text.replace('"', "\"\""))
}

/// Returns the class as one object: what was asked, and what became of each.
pub fn json(class: &Class, graded: &Graded) -> Value {
    let checks = class.checks.iter().map(|check| {
        let (passed, counted) = graded.passed(check);
        json!({
            "id": check.id,
            "stage": check.stage(),
            "title": check.title,
            "points": number(f64::from(check.points) * class.weight(check)),
            "passed": passed,
            "counted": counted,
        })
    });
    let students = graded.results.iter().map(student);
    json!({
        "class": class.name(),
        "seed": class.seed,
        "made": graded.results.first().map(|first| maker(&first.report)),
        "settings": class.settings.text,
        "of": number(class.of()),
        "notes": graded.notes,
        "checks": checks.collect::<Vec<Value>>(),
        "students": students.collect::<Vec<Value>>(),
    })
}

fn student(result: &Verdict) -> Value {
    let graded = result.report.graded.iter();
    let status = |one: &exam::Graded| (one.check.id.to_owned(), one.status.word().into());
    let statuses: serde_json::Map<String, Value> = graded.map(status).collect();
    json!({
        "name": result.name,
        "points": number(result.report.points()),
        "seconds": (result.report.took.as_secs_f64() * 10.0).round() / 10.0,
        "note": result.said,
        "checks": statuses,
    })
}
