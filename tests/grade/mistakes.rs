//! Copies of clients with one classic mistake each: the check that is about the mistake catches it,
//! and its message names it. The tables are in `tests/clients/`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::clients::{Client, PYTHON, checks, client, graded, python};
use super::contract::listed;

/// How many clients are graded at a time. Most of the time each of them waits.
const AT_A_TIME: usize = 8;

/// The least number of mistakes in each stage.
const AT_LEAST: usize = 5;

/// What a report says of a client whose time was up, and of one whose control was not passed.
const TOO_SLOW: [&str; 2] = ["was still running", "not counted until"];

/// A mistake.
struct Mistake {
    name: String,
    /// The check that catches it.
    check: String,
    /// Words of which the report has at least one.
    words: Vec<String>,
    /// The client that makes it.
    program: String,
}

fn read(name: &str) -> String {
    std::fs::read_to_string(client(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The mistakes of all tables, with the clients that they describe.
fn mistakes() -> Vec<Mistake> {
    PYTHON.iter().flat_map(of_table).collect()
}

fn of_table(client: &Client) -> Vec<Mistake> {
    let (program, table) = (read(client.program), read(client.mistakes));
    let blocks = table.split("\n\n").filter(|block| !block.starts_with('#'));
    blocks.map(|block| mistake(block, &program, client.loses)).collect()
}

fn mistake(block: &str, program: &str, loses: &str) -> Mistake {
    let mut lines = block.trim_matches('\n').lines();
    let name = lines.next().unwrap_or_default().to_owned();
    let caught = lines.next().and_then(|line| line.split_once(": "));
    let (check, words) = caught.unwrap_or_else(|| panic!("{name}: by which check?"));
    let mut changes: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.split_at_checked(2), changes.last_mut()) {
            (Some(("- ", old)), Some((text, new))) if new.is_empty() => {
                *text += &format!("\n{old}");
            }
            (Some(("- ", old)), _) => changes.push((old.to_owned(), String::new())),
            (Some(("+ ", new)), Some((_, text))) if text.is_empty() => new.clone_into(text),
            (Some(("+ ", new)), Some((_, text))) => *text += &format!("\n{new}"),
            _ => panic!("{name}: {line}"),
        }
    }
    assert!(!changes.is_empty(), "{name}: nothing is changed");
    let mut program = program.to_owned();
    for (old, new) in changes {
        assert_eq!(program.matches(&old).count(), 1, "{name}: {old}");
        program = program.replace(&old, &new);
    }
    let is_lost = loses.split_whitespace().any(|lost| lost == check);
    assert!(!is_lost, "{name}: without it, {check} is not passed either");
    let words = words.split(" | ").map(str::to_lowercase).collect();
    Mistake { name, check: check.to_owned(), words, program }
}

/// Says what is wrong with the report on a client, if anything is.
fn fault(mistake: &Mistake, python: &Path, file: &Path) -> Option<String> {
    let Mistake { check, program, .. } = mistake;
    std::fs::write(file, program).expect("the folder takes a file");
    let grade = || fault_in(mistake, &graded(&["--check", check], &[python, file]));
    // On a busy machine the time may be up before the client has come to its mistake.
    let is_slow = |fault: &String| TOO_SLOW.iter().any(|words| fault.contains(words));
    grade().and_then(|fault| if is_slow(&fault) { grade() } else { Some(fault) })
}

/// Says what is wrong with this report, if anything is.
fn fault_in(mistake: &Mistake, report: &Value) -> Option<String> {
    let Mistake { name, check, words, .. } = mistake;
    let [result] = checks(report) else { return Some(format!("{name}: {report:#}")) };
    let said = format!("{} {}", result["message"], result["hint"]).to_lowercase();
    if result["status"] == "passed" {
        Some(format!("{name}: passes {check}"))
    } else if words.iter().any(|word| said.contains(word)) {
        None
    } else {
        Some(format!("{name}: {check} says nothing of {words:?}: {said}"))
    }
}

#[test]
fn each_classic_mistake_is_caught_by_the_check_that_names_it() {
    let Some(python) = python() else { return };
    let mistakes = mistakes();
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(mistake) = mistakes.get(number) else { return };
                    let file = folder.path().join(format!("client-{number}.py"));
                    let fault = fault(mistake, &python, &file);
                    faults.lock().expect("nobody panics with the lock").extend(fault);
                }
            });
        }
    });
    let faults = faults.into_inner().expect("nobody panics with the lock");
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn each_stage_has_its_classic_mistakes() {
    let stage = |id: &str| id.split('.').next().unwrap_or_default().to_owned();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for check in listed() {
        counts.entry(stage(check["id"].as_str().expect("an id"))).or_default();
    }
    for mistake in mistakes() {
        *counts.entry(stage(&mistake.check)).or_default() += 1;
    }
    assert!(counts.values().all(|count| *count >= AT_LEAST), "{counts:?}");
}
