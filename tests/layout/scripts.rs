//! Fakes do not panic on their own threads: a script returns what it has to say.

use super::tree::{assert_none, code, read, root, sources};
use std::path::PathBuf;

/// What a thread of a fake begins with.
const BEGINS: [&str; 8] = [
    "|talk| {",
    "|talk: &mut Talk| {",
    "|mut peer",
    "Script::start(",
    "Fake::start(",
    "thread::spawn(",
    "scope.spawn(",
    "listening(",
];
const PANICS: [&str; 6] =
    ["assert!(", "assert_eq!(", "assert_ne!(", "panic!(", ".expect(", ".expect_err("];

/// The tests of the stages.
fn stage_tests() -> Vec<PathBuf> {
    let is_stage = |path: &PathBuf| {
        path.to_str()
            .is_some_and(|path| path.starts_with("tests/s1") || path.starts_with("tests/s0"))
    };
    sources("tests").into_iter().filter(is_stage).collect()
}

/// A panic there names no test, and the test fails with words about something else.
#[test]
fn scripts_hand_their_verdict_to_the_thread_of_the_test() {
    let (mut wrong, mut scripts) = (Vec::new(), 0);
    for path in stage_tests() {
        // How far the line is indented with which a script, or a function of scripts, begins.
        let mut begun: Option<usize> = None;
        for (number, line) in code(&read(&root().join(&path))) {
            let indent = line.len() - line.trim_start().len();
            if line.trim().is_empty() {
                continue;
            }
            begun = begun.filter(|begun| indent > *begun);
            if begun.is_some() && PANICS.iter().any(|panic| line.contains(panic)) {
                wrong.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
            let is_script = BEGINS.iter().any(|begins| line.contains(begins))
                || line.contains(") -> Verdict") && line.contains("fn ")
                || line.contains("&mut Talk") && line.contains("io::Result");
            if begun.is_none() && is_script && line.ends_with('{') {
                (begun, scripts) = (Some(indent), scripts + 1);
            }
        }
    }
    assert!(scripts > 100, "{scripts} scripts were looked at");
    assert_none("a script panics: use `insist!`, `insist_eq!` or `must`, and return", &wrong);
}
