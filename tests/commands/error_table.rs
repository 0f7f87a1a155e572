//! The table of errors in `errors.txt`: a command line, everything that it prints, and its exit
//! code. Read it with one question: would a learner know what to do next?
//!
//! The things that a command line names are made here: `NAME.torrent`, `{NAME}` for the address
//! of a peer or a tracker that behaves in one way, `NAME-tracker.torrent` for the sample with the
//! URL of a tracker. Texts that vary are replaced: addresses by those names, the number of an
//! error (`os error N`), and the system's message for a name that does not exist.
//!
//! stderr is compared byte for byte. `verify` and `explain` also print to stdout, which is ignored
//! here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error_scene::Scene;
use crate::support::{Run, commands};

const TABLE: &str = include_str!("errors.txt");

/// One block of the table.
struct Entry {
    command: &'static str,
    /// Everything below the command line: stderr, and `exit N`.
    text: String,
}

/// Blocks are separated by empty lines; `#` begins a heading.
fn entries() -> Vec<Entry> {
    let blocks = TABLE
        .split("\n\n")
        .map(str::trim)
        .filter(|block| !block.is_empty() && !block.starts_with('#'));
    let entry = |block: &'static str| {
        let (command, text) = block.split_once('\n').unwrap_or((block, ""));
        let command = command
            .strip_prefix("$ piecemeal ")
            .unwrap_or_else(|| panic!("a block begins with a command: {block}"));
        Entry { command, text: text.to_owned() }
    };
    blocks.map(entry).collect()
}

/// Splits a line into words as a shell does, with single quotes only.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for letter in line.chars() {
        match letter {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted && begun => {
                words.push(std::mem::take(&mut word));
                begun = false;
            }
            ' ' if !quoted => {}
            letter => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// Runs an entry, and returns the text for below its command line.
fn outcome(command: &str) -> String {
    let mut scene = Scene::new();
    let words: Vec<String> = words(command).iter().map(|word| scene.set(word)).collect();
    let outcome =
        Run::new(words).dir(scene.folder.path()).env("TMPDIR", &scene.temporary(command)).run();
    let code = outcome.code.map_or("a signal".to_owned(), |code| code.to_string());
    let lines: Vec<String> = scene
        .shown(&outcome.err())
        .lines()
        .filter(|line| !line.is_empty() && !is_progress(line))
        .map(str::to_owned)
        .collect();
    format!("{}\nexit {code}", lines.join("\n"))
}

fn is_progress(line: &str) -> bool {
    // `verifying: 21%, 32 KiB of 148 KiB`: how many of them come depends on the moment.
    let Some((label, (percent, rest))) =
        line.split_once(": ").and_then(|(label, rest)| Some((label, rest.split_once('%')?)))
    else {
        return false;
    };
    label.ends_with("ing")
        && percent.parse::<u8>().is_ok()
        && (rest.is_empty() || rest.starts_with(", "))
}

#[test]
fn every_error_says_what_the_table_says() {
    let mut entries = entries();
    // Those that wait longest begin first.
    entries.sort_by_key(|entry| {
        ![" for 20 s", " for 15 s"].iter().any(|long| entry.text.contains(long))
    });
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    // Most of them wait for a deadline.
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = outcome(entry.command);
                    if found != entry.text {
                        let mut wrong = wrong.lock().expect("nobody panics with the lock");
                        wrong.insert(
                            entry.command,
                            format!("$ piecemeal {}\n{found}\n", entry.command),
                        );
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panicked with the lock");
    let found: Vec<&String> = entries.iter().filter_map(|entry| wrong.get(entry.command)).collect();
    assert!(
        found.is_empty(),
        "{} of {} differ; found:\n\n{}",
        found.len(),
        entries.len(),
        join(&found)
    );
}

fn join(blocks: &[&String]) -> String {
    blocks.iter().map(|block| block.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_table_has_every_command_and_sixty_errors_or_more() {
    let entries = entries();
    assert!(entries.len() >= 60, "{} entries", entries.len());
    let first = |entry: &Entry| entry.command.split(' ').next().unwrap_or_default().to_owned();
    for name in commands().into_iter().filter(|name| *name != "stages") {
        assert!(entries.iter().any(|entry| first(entry) == name), "no error of {name}");
    }
    let mut all: Vec<&str> = entries.iter().map(|entry| entry.command).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), entries.len(), "an entry stands twice");
}

#[test]
fn every_error_in_the_table_has_its_three_lines() {
    let mut pages = BTreeSet::new();
    for Entry { command, text } in entries() {
        let lines: Vec<&str> = text.lines().collect();
        let error = lines
            .iter()
            .position(|line| line.starts_with("error: "))
            .unwrap_or_else(|| panic!("{command}: no error"));
        if lines.contains(&"exit 2")
            && lines.iter().any(|line| line.starts_with("For more information"))
        {
            // The errors of the argument parser have their own form, and then our example.
            assert!(
                lines[error..].iter().any(|line| line.starts_with("Example")),
                "{command}: {text}"
            );
            continue;
        }
        let [help, see, exit] = lines[error + 1..] else {
            panic!("{command}: three lines, and how it ends: {text}")
        };
        assert!(help.starts_with("help: "), "{command}: {help}");
        let page = see.strip_prefix("see: piecemeal ");
        pages.insert(page.unwrap_or_else(|| panic!("{command}: {see}")).to_owned());
        let code: u8 = exit.strip_prefix("exit ").and_then(|code| code.parse().ok()).unwrap_or(0);
        assert!((1..=7).contains(&code), "{command}: {exit}");
    }
    for page in pages {
        assert!(Run::new(page.split(' ')).run().succeeds().out().starts_with("# "), "{page}");
    }
}
