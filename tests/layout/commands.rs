//! The commands: a file each, short enough to read as a conversation.

use super::tree::{assert_none, code, has_word, read, root, sources, stages};

/// The most lines of code in a command. The design asks for 15 to 40, so that it reads
/// as a conversation.
const MAX_LINES: usize = 60;

/// The commands, and what they share: each file names its stage in its first line.
fn files() -> Vec<String> {
    let files = ["src/commands", "src/cli"].into_iter().flat_map(sources);
    files.map(|path| path.display().to_string()).collect()
}

/// `(stage 4)`, `(lab)`, `(trace)` or `(every stage)` at the end of the first line.
fn place(first: &str) -> Option<&str> {
    let (_, last) = first.rsplit_once('(')?;
    let (place, rest) = last.split_once(')')?;
    rest.trim_matches('.').is_empty().then_some(place)
}

#[test]
fn a_command_file_says_in_its_first_line_which_stage_it_shows() {
    let most = stages().len();
    let mut wrong = Vec::new();
    for name in files() {
        let text = read(&root().join(&name));
        let first = text.lines().next().unwrap_or_default();
        let good = match place(first) {
            Some("lab" | "trace" | "grade" | "simulate" | "every stage") => true,
            Some(place) => place
                .strip_prefix("stage ")
                .and_then(|n| n.parse().ok())
                .is_some_and(|n: usize| (1..=most).contains(&n)),
            None => false,
        };
        if !first.starts_with("//! ") || !good {
            wrong.push(format!("{name}: {first}"));
        }
    }
    assert_none(
        "`//! ... (stage N)`, with a stage that is there, or `(lab)`, or `(trace)`",
        &wrong,
    );
}

#[test]
fn a_command_reads_like_the_conversation() {
    let mut long = Vec::new();
    for name in files() {
        let text = read(&root().join(&name));
        let tests = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code(tests).iter().filter(|(_, line)| !line.trim().is_empty()).count();
        let is_command = tests.contains("struct Args");
        if is_command && !(15..=40).contains(&lines) {
            println!("hint: {name}: {lines} lines of code (15 to 40 are meant)");
        }
        if is_command && lines > MAX_LINES {
            long.push(format!("{name}: {lines} lines of code"));
        }
    }
    assert_none(&format!("commands of more than {MAX_LINES} lines of code"), &long);
}

#[test]
fn a_command_uses_no_stage_later_than_its_own() {
    let mut wrong = Vec::new();
    for name in files() {
        let text = read(&root().join(&name));
        let place = place(text.lines().next().unwrap_or_default()).unwrap_or_default();
        let own = match place {
            "lab" | "trace" | "grade" => continue,
            "every stage" => 0,
            // A starter of this stage keeps it.
            "simulate" => 17,
            place => place.strip_prefix("stage ").and_then(|n| n.parse().ok()).unwrap_or(0),
        };
        for stage in stages().iter().filter(|stage| stage.number > own) {
            let raw: Vec<&str> = text.lines().collect();
            for (number, line) in code(&text) {
                // `make prefixes` deletes these, and what is left must still compile.
                let plugged = raw.get(number - 1).is_some_and(|line| line.ends_with("plugged in"));
                if has_word(&line, &stage.name) && !plugged {
                    wrong.push(format!("{name}:{number} (stage {own}): {}", line.trim()));
                }
            }
        }
    }
    assert_none("a prefix of the stages would not compile with these", &wrong);
}

#[test]
fn every_command_file_has_its_line() {
    let mut wrong = Vec::new();
    for name in files() {
        let (parent, module) =
            name.trim_end_matches(".rs").rsplit_once('/').expect("it is in a folder");
        let commands = read(&root().join(parent).with_extension("rs"));
        let lines = commands
            .lines()
            .map(str::trim)
            .filter(|line| {
                let line = line.trim_start_matches("pub ").trim_start_matches("mod ");
                line.trim_end_matches([',', ';']) == module
            })
            .count();
        if lines != 1 {
            wrong.push(format!("{name}: {lines} lines"));
        }
    }
    assert_none("one line a file in its parent, so that cutting is deleting lines", &wrong);
}

/// Prefixes are cut by deleting whole lines, so such a line must be a whole statement. A formatter may
/// have broken one that was too long.
#[test]
fn what_is_plugged_in_is_whole_on_its_line() {
    let pairs = [('(', ')'), ('[', ']'), ('{', '}')];
    let mut broken = Vec::new();
    for name in files() {
        let text = read(&root().join(&name));
        let lines = code(&text);
        for ((number, code), line) in lines.iter().zip(text.lines()) {
            let is_whole = |(open, close): &(char, char)| {
                code.matches(*open).count() == code.matches(*close).count()
            };
            if line.ends_with("plugged in") && !pairs.iter().all(is_whole) {
                broken.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    assert_none("statements that are plugged in on more than one line", &broken);
}
