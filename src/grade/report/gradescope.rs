//! An exam as Gradescope's autograder wants it: `results.json`.
//!
//! The format is documented by Gradescope under "autograder specifications". Its keys differ from
//! ours, and it adds up the scores itself unless there is one for the whole.

use serde_json::{Value, json};

use super::{chapter, hint, lines_about, number, points};
use crate::grade::exam::{Graded, Report, Status};

/// Returns the report.
pub fn of(report: &Report) -> Value {
    let seconds: f64 = report.graded.iter().map(|graded| graded.elapsed.as_secs_f64()).sum();
    let mut output = format!(
        "{} of {} points, seed {}",
        points(report.points()),
        points(report.of()),
        report.seed
    );
    if let Some(next) = report.next() {
        output += &format!("\nnext is {}: {}", next.check.id, next.check.title);
    }
    for note in &report.notes {
        output += &format!("\nnote: {}", crate::s01_bencode::printable(note));
    }
    let shown = report.graded.iter().map(test);
    let hidden = report.hidden.iter().flat_map(|hidden| &hidden.checks).map(|check| {
        json!({ "name": check.title, "number": check.id, "visibility": "visible",
            "output": "this check is hidden for now", "output_format": "text" })
    });
    json!({
        "score": number(report.points()),
        "execution_time": seconds.round(),
        "output": output,
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": shown.chain(hidden).collect::<Vec<Value>>(),
        "extra_data": { "seed": report.seed, "max_score": number(report.of()) },
    })
}

fn test(graded: &Graded) -> Value {
    let check = graded.check;
    let mut output = lines_about(graded);
    output.extend(hint(graded).map(|hint| format!("likely: {hint}")));
    if graded.miss.is_some() {
        output.push(format!("{}; docs/{}.md", check.clause, chapter(check.stage())));
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
        "visibility": "visible",
    })
}
