//! Copies of the naive client with one classic mistake each: the check that is about the mistake
//! catches it, and its message names it. The table is `tests/clients/mistakes.txt`.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::clients::{NAIVE_LOSES, checks, client, graded, is_there};

/// How many clients are graded at a time. Most of the time each of them waits.
const AT_A_TIME: usize = 6;

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

/// The table, with the clients that it describes.
fn mistakes() -> Vec<Mistake> {
    let (naive, table) = (read("naive.py"), read("mistakes.txt"));
    let blocks = table.split("\n\n").filter(|block| !block.starts_with('#'));
    blocks.map(|block| mistake(block, &naive)).collect()
}

fn mistake(block: &str, naive: &str) -> Mistake {
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
    let mut program = naive.to_owned();
    for (old, new) in changes {
        assert_eq!(program.matches(&old).count(), 1, "{name}: {old}");
        program = program.replace(&old, &new);
    }
    let is_lost = NAIVE_LOSES.split_whitespace().any(|lost| lost == check);
    assert!(!is_lost, "{name}: without it, {check} is not passed either");
    let words = words.split(" | ").map(str::to_lowercase).collect();
    Mistake { name, check: check.to_owned(), words, program }
}

/// Says what is wrong with the report on a client, if anything is.
fn fault(mistake: &Mistake, folder: &Path, number: usize) -> Option<String> {
    let Mistake { name, check, words, program } = mistake;
    let file = folder.join(format!("client-{number}.py"));
    std::fs::write(&file, program).expect("the folder takes a file");
    let grade = || graded(&["--check", check], &[Path::new("python3"), &file]);
    let mut report = grade();
    // On a busy machine the time may be up before the client has come to its mistake.
    if report.to_string().contains("was still running") {
        report = grade();
    }
    let [result] = checks(&report) else { return Some(format!("{name}: {report:#}")) };
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
    let mistakes = mistakes();
    assert!(mistakes.len() >= 25, "{} mistakes", mistakes.len());
    if !is_there("python3") {
        return;
    }
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(mistake) = mistakes.get(number) else { return };
                    let fault = fault(mistake, folder.path(), number);
                    faults.lock().expect("nobody panics with the lock").extend(fault);
                }
            });
        }
    });
    let faults = faults.into_inner().expect("nobody panics with the lock");
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
