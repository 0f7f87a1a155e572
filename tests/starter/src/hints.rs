//! Hints, each of which gives away a little more. None is written: they are made of the list's
//! sentence and of the reference's body, so they cannot drift.

use crate::failure::Result;
use crate::list::{Hole, Stage};
use crate::matrix::Test;
use crate::skeleton::skeleton;

/// One hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// What it is: `its skeleton`.
    pub title: &'static str,
    /// Its text, of any number of lines.
    pub text: String,
}

/// The most tests that a hint names.
const MOST_TESTS: usize = 3;

/// Returns the hints for a hole, from the task and its tests to the body. Bodies without comments
/// have no hint of comments.
///
/// # Errors
/// If a body is not Rust.
pub fn hints(hole: &Hole, stage: &Stage, bodies: &[String], tests: &[Test]) -> Result<Vec<Hint>> {
    let place =
        format!("{}, {:?}; the function is in {}", stage.chapter, hole.section, hole.source());
    let mut task = format!("{}\n{place}", hole.task);
    if !tests.is_empty() {
        task += "\nThe tests that ask for it, the most telling first:";
        tests.iter().take(MOST_TESTS).for_each(|test| task += &format!("\n  {test}"));
        if tests.len() > MOST_TESTS {
            task += &format!("\n  and {} more", tests.len() - MOST_TESTS);
        }
    }
    let mut hints = vec![Hint { title: "the task and its tests", text: task }];
    let of_each = |make: &dyn Fn(&str) -> Result<String>| -> Result<String> {
        let mut parts = Vec::new();
        for (path, body) in hole.paths().zip(bodies) {
            let part = make(body)?;
            let name = if bodies.len() > 1 { format!("{path}\n") } else { String::new() };
            if !part.trim().is_empty() {
                parts.push(name + part.trim_end());
            }
        }
        Ok(parts.join("\n\n"))
    };
    let comments = of_each(&|body| Ok(comments(body)))?;
    if !comments.is_empty() {
        hints.push(Hint { title: "the comments of the reference", text: comments });
    }
    let outline = of_each(&skeleton)?;
    // The skeleton of one expression tells nothing.
    if outline.trim() != "…" {
        hints.push(Hint { title: "its skeleton, with the names of what it calls", text: outline });
    }
    let body = of_each(&|body| Ok(body.trim_matches('\n').to_owned()))?;
    hints.push(Hint { title: "the reference", text: body });
    Ok(hints)
}

/// Returns the comments of a body, in order, a line each.
fn comments(body: &str) -> String {
    let of_line = |line: &str| {
        let (code, comment) = line.split_once("// ")?;
        // Behind code, a comment means nothing without it.
        code.trim().is_empty().then(|| format!("// {comment}"))
    };
    body.lines().filter_map(of_line).collect::<Vec<_>>().join("\n")
}
