//! An exam as one JSON object.

use serde_json::{Value, json};

use super::{chapter, number};
use crate::grade::exam::{Graded, Report};
use crate::grade::miss::Miss;

/// Returns the report.
pub fn of(report: &Report) -> Value {
    let checks: Vec<Value> = report.graded.iter().map(graded).collect();
    let mut json = json!({
        "seed": report.seed,
        "points": number(report.points()),
        "of": number(report.of()),
        "checks": checks,
        "notes": report.notes,
    });
    if let Some(hidden) = &report.hidden {
        let described = |check: &&crate::grade::check::Check| json!({ "id": check.id, "stage": check.stage(), "title": check.title });
        let checks: Vec<Value> = hidden.checks.iter().map(described).collect();
        json["hidden"] = json!({ "until": hidden.until, "checks": checks });
    }
    json
}

fn graded(graded: &Graded) -> Value {
    let check = graded.check;
    json!({
        "id": check.id,
        "stage": check.stage(),
        "title": check.title,
        "points": number(graded.worth()),
        "credit": number(graded.credit()),
        "status": graded.status.word(),
        "seconds": (graded.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        "message": graded.miss.as_ref().map(Miss::message),
        "hint": graded.miss.as_ref().and_then(|miss| miss.hint.as_deref()),
        "clause": check.clause,
        "chapter": format!("docs/{}.md", chapter(check.stage())),
    })
}
