//! The stages: numbers, direction, headers, length.

use std::path::{Path, PathBuf};

use super::tree::{Stage, assert_none, code, has_word, names, read, root, stage_number, stages};

#[test]
fn stages_are_numbered_from_one_without_a_gap() {
    let numbers: Vec<usize> = stages().iter().map(|s| s.number).collect();
    assert!(!numbers.is_empty());
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

#[test]
fn a_folder_of_child_modules_belongs_to_a_file_of_the_same_name() {
    let mut orphans = Vec::new();
    for folder in ["src", "src/cli", "src/commands"] {
        for name in names(folder) {
            if root().join(folder).join(&name).is_dir()
                && !root().join(folder).join(format!("{name}.rs")).is_file()
            {
                orphans.push(format!("{folder}/{name}/ without {folder}/{name}.rs"));
            }
        }
    }
    assert_none("child modules without their parent", &orphans);
}

/// The modules that code refers to by `crate::` or `piecemeal::`.
fn referred(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::", "piecemeal::"] {
        for (at, _) in line.match_indices(root) {
            let rest = &line[at + root.len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
                None => vec![rest],
            };
            for name in names {
                let name: String =
                    name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn a_stage_uses_only_earlier_stages() {
    let mut wrong = Vec::new();
    let all = stages();
    for stage in &all {
        for file in &stage.files {
            for (number, line) in code(&read(&root().join(file))) {
                let later = all.iter().filter(|other| other.number > stage.number);
                wrong.extend(
                    later
                        .filter(|other| has_word(&line, &other.name))
                        .map(|_| format!("{}:{number}: {}", file.display(), line.trim())),
                );
                for module in referred(&line) {
                    let allowed = match stage_number(&module) {
                        Some(other) => other < stage.number || module == stage.name,
                        None => false,
                    };
                    if !allowed {
                        wrong.push(format!("{}:{number}: {}", file.display(), line.trim()));
                    }
                }
            }
        }
    }
    wrong.dedup();
    assert_none(
        "a stage may use crate::sMM only where MM is smaller, and none of lab, trace, report",
        &wrong,
    );
}

/// Files that decide: which piece, which peer, how much. They get the time and the dice as arguments,
/// so a test or a simulation can run them without waiting, and get the same result twice.
const DECISIONS: [&str; 38] = [
    "s11_work_queue/board.rs",
    "s11_work_queue/board/end_game.rs",
    "s11_work_queue/board/explained.rs",
    "s11_work_queue/board/search.rs",
    "s11_work_queue/evidence.rs",
    "s11_work_queue/rarest.rs",
    "s11_work_queue/seats.rs",
    "s11_work_queue/trust.rs",
    "s12_session/deadlines.rs",
    "s12_session/request_depth.rs",
    "s14_peer_list/addresses.rs",
    "s14_peer_list/bans.rs",
    "s14_peer_list/budget.rs",
    "s14_peer_list/doubles.rs",
    "s14_peer_list/failed_ports.rs",
    "s14_peer_list/places.rs",
    "s14_peer_list/sharing.rs",
    "s15_swarm/waiting.rs",
    "s17_seeding/choking.rs",
    "s17_seeding/sharing_slots.rs",
    "s17_seeding/slots.rs",
    "s20_lsd/neighbors.rs",
    "s20_lsd/pace.rs",
    "s21_dht_lookup.rs",
    "s21_dht_lookup/candidates.rs",
    "s21_dht_lookup/steps.rs",
    "s22_dht_node/answers.rs",
    "s22_dht_node/filter.rs",
    "s22_dht_node/own_address.rs",
    "s22_dht_node/rates.rs",
    "s22_dht_node/store.rs",
    "s22_dht_node/table.rs",
    "s22_dht_node/table/rules.rs",
    "s22_dht_node/tokens.rs",
    "s24_hash_transfer/asking.rs",
    "s24_hash_transfer/budget.rs",
    "s24_hash_transfer/layers.rs",
    "s24_hash_transfer/proof.rs",
];

#[test]
fn what_decides_knows_no_clock_dice_lock_thread_or_socket() {
    let foreign =
        ["Instant::now", "rand::", "Mutex", "thread::", "TcpStream", "TcpListener", "UdpSocket"];
    let mut wrong = Vec::new();
    for name in DECISIONS {
        let path = root().join("src").join(name);
        for (number, line) in code(read(&path).split("#[cfg(test)]").next().unwrap_or_default()) {
            if foreign.iter().any(|word| line.contains(word)) {
                wrong.push(format!("src/{name}:{number}: {}", line.trim()));
            }
        }
    }
    assert_none("the time and the dice are arguments of what decides", &wrong);
}

#[test]
fn a_path_by_super_does_not_leave_its_stage() {
    // `super::` in a child module is its stage; `super::super::` there, or
    // `super::` in a stage's own file, is the crate and hides the direction.
    let mut wrong = Vec::new();
    for stage in stages() {
        for file in &stage.files {
            let own = file == stage.main();
            let mut in_tests = false;
            for (number, line) in code(&read(&root().join(file))) {
                in_tests |= line.contains("mod tests");
                let deep = line.contains("super::super::") && !in_tests;
                let leaves =
                    own && !in_tests && line.contains("super::") && !line.contains("pub(super)");
                if deep || leaves {
                    wrong.push(format!("{}:{number}: {}", file.display(), line.trim()));
                }
            }
        }
    }
    assert_none("paths that leave the stage", &wrong);
}

fn header(text: &str) -> Vec<&str> {
    text.lines().take_while(|line| line.starts_with("//!")).collect()
}

fn header_faults(stage: &Stage) -> Vec<String> {
    let text = read(&root().join(stage.main()));
    let header = header(&text);
    let mut faults = Vec::new();
    let mut fault = |what: &str| faults.push(format!("{}: {what}", stage.main().display()));
    let first = header.first().copied().unwrap_or_default();
    let begins = format!("//! Stage {}: ", stage.number);
    if !first.starts_with(&begins) || !first.ends_with('.') {
        fault(&format!("the first line is to read `{begins}what it does.`, and reads `{first}`"));
    }
    if header.get(1) != Some(&"//!") {
        fault("the first line is to stand alone, a blank `//!` after it");
    }
    let whole = header.join("\n");
    for part in ["**Run it:**", "**Spec:**"] {
        if !whole.contains(part) {
            fault(&format!("the header has no {part}"));
        }
    }
    let chapter = format!("docs/{:02}-", stage.number);
    let link = whole.split('`').find(|part| part.starts_with(&chapter) && part.ends_with(".md"));
    match link {
        None => fault(&format!("the header does not name its chapter, `{chapter}...md`")),
        Some(link) if !root().join(link).is_file() => fault(&format!("{link} does not exist")),
        Some(_) => {}
    }
    faults
}

#[test]
fn a_stage_opens_with_its_card() {
    let faults: Vec<String> = stages().iter().flat_map(header_faults).collect();
    assert_none("headers", &faults);
}

#[test]
fn a_child_module_says_what_it_is_for() {
    let mut bare = Vec::new();
    for stage in stages() {
        for file in &stage.files[1..] {
            let text = read(&root().join(file));
            if header(&text).first().is_none_or(|line| line.len() < "//! A word.".len()) {
                bare.push(file.display().to_string());
            }
        }
    }
    assert_none("child modules without a header", &bare);
}

/// The most lines in a sitting: 45 minutes (15 for a main file), at 25 non-blank lines a minute.
const SITTING: usize = 45 * 25;
const MAIN: usize = 15 * 25;
const FILES: usize = 9;

/// The files of each sitting. A card without a list of sittings has one. Otherwise each item of the
/// list names files, or a file with its children, by their modules.
fn sittings(stage: &Stage) -> Result<Vec<Vec<&Path>>, String> {
    let text = read(&root().join(stage.main()));
    let header = header(&text).join("\n");
    let Some((_, list)) = header.split_once(" sittings\n") else {
        return Ok(vec![stage.files.iter().map(PathBuf::as_path).collect()]);
    };
    let items: Vec<&str> = list.split("\n//! ").filter(|item| !item.is_empty()).collect();
    let starts =
        |item: &&str| item.trim_start_matches("//! ").starts_with(|c: char| c.is_ascii_digit());
    let mut sittings: Vec<String> = Vec::new();
    for line in items {
        match sittings.last_mut() {
            Some(last) if !starts(&line) => *last += line,
            _ => sittings.push(line.to_owned()),
        }
    }
    let mut files: Vec<Vec<&Path>> = vec![Vec::new(); sittings.len()];
    for file in &stage.files {
        let named = |module: &std::ffi::OsStr| {
            let name = format!("`{}`", Path::new(module).with_extension("").display());
            sittings.iter().position(|sitting| sitting.contains(&name))
        };
        // A child may be named on its own, or come with its parent.
        let sitting =
            if file == stage.main() { Some(0) } else { file.iter().rev().find_map(named) };
        let sitting = sitting.ok_or_else(|| format!("{} is in no sitting", file.display()))?;
        files[sitting].push(file);
    }
    Ok(files)
}

#[test]
fn a_stage_is_read_in_sittings_of_45_minutes() {
    let lines = |file: &Path| {
        read(&root().join(file)).lines().filter(|line| !line.trim().is_empty()).count()
    };
    let mut long = Vec::new();
    for stage in stages() {
        let main = lines(stage.main());
        if main > MAIN {
            long.push(format!("{}: {main} lines of {MAIN}", stage.main().display()));
        }
        match sittings(&stage) {
            Err(fault) => long.push(fault),
            Ok(sittings) => {
                for (number, files) in (1..).zip(&sittings) {
                    let sum: usize = files.iter().map(|file| lines(file)).sum();
                    println!(
                        "{}, sitting {number}: {sum} lines in {} files",
                        stage.name,
                        files.len()
                    );
                    if sum > SITTING || files.len() > FILES {
                        long.push(format!(
                            "{}, sitting {number}: {sum} lines of {SITTING}, {} files of {FILES}",
                            stage.name,
                            files.len()
                        ));
                    }
                }
            }
        }
    }
    assert_none("what does not fit a sitting", &long);
}

/// The least share of comments, in percent of the lines that are not blank.
const MIN_COMMENTS: usize = 30;

#[test]
fn a_stage_explains_itself() {
    let share = |files: &[PathBuf]| {
        let texts: Vec<String> = files.iter().map(|file| read(&root().join(file))).collect();
        let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let comments = lines.iter().filter(|line| line.starts_with("//")).count();
        100 * comments / lines.len().max(1)
    };
    let mut bare = Vec::new();
    for stage in stages() {
        let (main, all) = (share(&stage.files[..1]), share(&stage.files));
        println!("{}: {main}% comments in the main file, {all}% in all", stage.name);
        if main < MIN_COMMENTS || all < MIN_COMMENTS {
            bare.push(format!("{}: {main}% and {all}% of {MIN_COMMENTS}%", stage.name));
        }
    }
    assert_none("stages with too few comments", &bare);
}

/// The modules that are no stages.
const UNNUMBERED: [&str; 9] =
    ["actors", "grade", "lab", "trace", "offspring", "report", "simulate", "cli", "commands"];

#[test]
fn a_stage_does_not_mention_unnumbered_modules_in_its_code() {
    let mut wrong = Vec::new();
    for stage in stages() {
        for file in &stage.files {
            for (number, line) in code(&read(&root().join(file))) {
                let line = line.trim();
                let import = line.starts_with("use ") || line.starts_with("pub use ");
                if import && UNNUMBERED.iter().any(|module| has_word(line, module)) {
                    wrong.push(format!("{}:{number}: {line}", file.display()));
                }
            }
        }
    }
    assert_none(&format!("no stage imports one of {}", UNNUMBERED.join(", ")), &wrong);
}
