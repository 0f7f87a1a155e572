//! A graded class as a table for spreadsheets, and as an object for programs.

use serde_json::{Value, json};

use super::{Class, Graded, Verdict};
use crate::grade::exam::Report;
use crate::grade::report::{number, points};

/// Returns a row a student, and a column a check with the points that it brings.
pub fn csv(class: &Class, graded: &Graded) -> String {
    let heads = ["student", "points", "of", "seconds", "note"].map(str::to_owned);
    let ids = class.checks.iter().map(|check| check.id.to_owned());
    let mut rows = vec![heads.into_iter().chain(ids).collect::<Vec<String>>().join(",")];
    rows.extend(graded.results.iter().map(|result| row(class, result)));
    rows.join("\r\n") + "\r\n"
}

fn row(class: &Class, result: &Verdict) -> String {
    let of: f64 = class.checks.iter().map(|c| f64::from(c.points) * class.weight(c)).sum();
    let got = result.report.as_ref().map_or(0.0, Report::points);
    let mut cells = vec![
        quoted(&result.name),
        points(got),
        points(of),
        format!("{:.0}", result.seconds),
        quoted(result.said.as_deref().unwrap_or_default()),
    ];
    cells.extend(class.checks.iter().map(|check| {
        let report = result.report.as_ref();
        let found = report.and_then(|r| r.graded.iter().find(|g| g.check.id == check.id));
        found.map_or(String::new(), |graded| points(graded.credit()))
    }));
    cells.join(",")
}

/// Quotes a text. A spreadsheet would compute what begins like a formula.
fn quoted(text: &str) -> String {
    let sign = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{sign}{}\"", text.replace('"', "\"\""))
}

/// Returns the class as one object: what was asked, and what became of each.
pub fn json(class: &Class, graded: &Graded) -> Value {
    let checks = class.checks.iter().map(|check| {
        let (passed, _) = graded.passed(check);
        json!({
            "id": check.id,
            "stage": check.stage(),
            "title": check.title,
            "points": number(f64::from(check.points) * class.weight(check)),
            "passed": passed,
        })
    });
    let students = graded.results.iter().map(|result| student(class, result));
    json!({
        "seed": graded.seed,
        "of": number(class.checks.iter().map(|c| f64::from(c.points) * class.weight(c)).sum()),
        "notes": graded.lacks,
        "checks": checks.collect::<Vec<Value>>(),
        "students": students.collect::<Vec<Value>>(),
    })
}

fn student(class: &Class, result: &Verdict) -> Value {
    let statuses: serde_json::Map<String, Value> = class
        .checks
        .iter()
        .filter_map(|check| {
            let report = result.report.as_ref()?;
            let graded = report.graded.iter().find(|graded| graded.check.id == check.id)?;
            Some((check.id.to_owned(), graded.status.word().into()))
        })
        .collect();
    json!({
        "name": result.name,
        "points": number(result.report.as_ref().map_or(0.0, Report::points)),
        "seconds": (result.seconds * 10.0).round() / 10.0,
        "note": result.said,
        "checks": statuses,
    })
}
