//! How an exam of one client ends: with all passed, or with what is next. (grade)

use piecemeal::grade::exam::{Report, Status};
use piecemeal::grade::report::{chapter, json};
use serde_json::Value;

use super::Answer;
use super::exit_codes::{OTHER, stopped};
use super::failure::Failure;

/// Returns the answer, which is also a failure unless all is passed: it says what is next.
pub fn outcome(
    report: &Report,
    text: String,
    captures: Option<Value>,
    was_stopped: bool,
) -> Result<Answer, Failure> {
    let mut answer = Answer { text, json: json::of(report) };
    if let Some(captures) = captures {
        answer.json["captures"] = captures;
    }
    let left = report.graded.iter().filter(|graded| graded.status != Status::Passed).count();
    let Some(next) = report.to_do() else { return Ok(answer) };
    let what = format!("{left} of {} checks are not passed", report.graded.len());
    let help = format!("next is {}: {}", next.id, next.title);
    let code = if was_stopped { stopped() } else { OTHER };
    Err(Failure::new(code, what).help(help).see(chapter(next.stage())).answer(answer))
}
