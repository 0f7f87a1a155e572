//! An exam as one JSON object.

use serde_json::{Value, json};

use super::{again, maker, number, sums};
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
        "as": report.name,
        "made": maker(report),
        "again": again(report, None),
    });
    if let Some(hidden) = &report.hidden {
        let checks = hidden.graded.iter().map(|graded| graded.check);
        let described = checks
            .map(|check| json!({ "id": check.id, "stage": check.stage(), "title": check.title }));
        json["hidden"] = json!({
            "until": hidden.until,
            "points": number(sums(&hidden.graded).1),
            "checks": described.collect::<Vec<Value>>(),
        });
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
        "chapter": format!("piecemeal chapter {}", check.stage()),
    })
}
