//! An exam as one JSON object.

use serde_json::{Value, json};

use super::chapter;
use crate::grade::exam::{Graded, Report};

/// Returns the report.
pub fn of(report: &Report) -> Value {
    let checks: Vec<Value> = report.graded.iter().map(graded).collect();
    json!({ "seed": report.seed, "points": report.points(), "of": report.of(), "checks": checks })
}

fn graded(graded: &Graded) -> Value {
    let check = graded.check;
    json!({
        "id": check.id,
        "stage": check.stage(),
        "title": check.title,
        "points": check.points,
        "credit": graded.credit(),
        "status": graded.status.word(),
        "seconds": (graded.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        "message": graded.miss.as_ref().map(super::super::miss::Miss::message),
        "hint": graded.miss.as_ref().and_then(|miss| miss.hint.as_deref()),
        "clause": check.clause,
        "chapter": format!("docs/{}.md", chapter(check.stage())),
    })
}
