//! An exam as Gradescope's autograder wants it: `results.json`.
//!
//! The format is documented by Gradescope under "autograder specifications". Its keys differ from
//! ours, and it adds up the scores itself unless there is one for the whole.
//!
//! A check that is hidden yet is a test like any other to it, with a word on when students see it.
//! As long as there is one, Gradescope does not show them the whole score either, so that score may
//! have everything in it.

use serde_json::{Value, json};

use super::{again, hidden_heading, hint, lines_about, maker, number, points, sums};
use crate::grade::exam::{Graded, Report, Status};

/// A test that students see.
const VISIBLE: &str = "visible";

/// A test that students see once the assignment is due.
const LATER: &str = "after_due_date";

/// Returns the report.
pub fn of(report: &Report) -> Value {
    let mut output = format!(
        "{} of {} points, seed {}\n{}; the same again: {}",
        points(report.points()),
        points(report.of()),
        report.seed,
        maker(report),
        again(report, None)
    );
    if let Some(check) = report.to_do() {
        output += &format!("\nnext is {}: {}", check.id, check.title);
    }
    for note in &report.notes {
        output += &format!("\nnote: {}", crate::s01_bencode::printable(note));
    }
    if let Some(hidden) = &report.hidden {
        output += &format!("\n{}:", hidden_heading(hidden));
        for Graded { check, .. } in &hidden.graded {
            output += &format!("\n  {} {}", check.id, check.title);
        }
    }
    let hidden = report.hidden.iter().flat_map(|hidden| &hidden.graded);
    let (credit, worth) = sums(report.graded.iter().chain(hidden.clone()));
    let shown = report.graded.iter().map(|graded| test(report, graded, VISIBLE));
    let later = hidden.map(|graded| test(report, graded, LATER));
    json!({
        "score": number(credit),
        "execution_time": report.took.as_secs_f64().round(),
        "output": output,
        "output_format": "text",
        "visibility": VISIBLE,
        "stdout_visibility": "hidden",
        "tests": shown.chain(later).collect::<Vec<Value>>(),
        "extra_data": { "seed": report.seed, "max_score": number(worth) },
    })
}

fn test(report: &Report, graded: &Graded, visibility: &str) -> Value {
    let check = graded.check;
    let mut output = lines_about(report, graded);
    output.extend(hint(graded).map(|hint| format!("likely: {hint}")));
    if graded.miss.is_some() {
        output.push(format!("{}; piecemeal chapter {}", check.clause, check.stage()));
    }
    json!({
        "score": number(graded.credit()),
        "max_score": number(graded.worth()),
        "status": if graded.status == Status::Passed { "passed" } else { "failed" },
        "name": check.title,
        "name_format": "text",
        "number": check.id,
        "output": output.join("\n"),
        "output_format": "text",
        "tags": [format!("stage {}", check.stage())],
        "visibility": visibility,
    })
}
