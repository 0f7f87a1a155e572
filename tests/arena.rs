//! Programs in the arena: what they are asked, which answers count, and what becomes of those that
//! print too much, too little or nonsense. Each is a line of `sh`, and one is Python.
#![cfg(unix)]

mod support;

use piecemeal::simulate::arena::voice::{Manners, Voice};
use piecemeal::simulate::strategy::{ChokeQuestion, Known, PieceQuestion, Strategy};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::folder;

/// Peer 7 is asked, with three slots; it knows 3, 9 and 4.
fn question() -> ChokeQuestion {
    let known = |id, came| Known {
        id,
        interested: true,
        unchoked: false,
        chokes_us: true,
        interesting: true,
        came,
        went: 0,
        came_in_all: came,
        went_in_all: 0,
        has: 12,
        since: 40.0,
    };
    ChokeQuestion {
        peer: 7,
        round: 12,
        now: 120.0,
        slots: 3,
        up: 131_072.0,
        seeding: false,
        piece_length: 262_144,
        peers: vec![known(3, 10), known(9, 2_000), known(4, 300)],
    }
}

fn pieces() -> PieceQuestion {
    PieceQuestion { peer: 7, from: 3, offers: vec![4, 9, 17], copies: vec![1, 1, 3] }
}

/// A program that gives this answer to every question.
fn always(answer: &str) -> String {
    format!("while read -r line; do echo '{answer}'; done")
}

/// Starts a program; the flag stops what it does.
fn voice(command_line: &str) -> Voice {
    Voice::start(command_line, Arc::default())
}

/// Asks a program until the rule has to decide in its place; returns what is said of it.
#[track_caller]
fn fault(command_line: &str) -> String {
    let mut voice = voice(command_line);
    for _ in 0..100 {
        let answer = voice.choke(&question());
        let manners = voice.manners();
        if manners.by_rule > 0 {
            assert_eq!(answer, None, "{command_line}: an answer that is a fault must not count");
            assert_eq!(manners.by_rule, 1, "{command_line}: {manners:?}");
            return manners.fault.unwrap_or_else(|| panic!("{command_line}: no fault is named"));
        }
    }
    panic!("{command_line}: all of its answers count");
}

#[test]
fn a_program_is_asked_in_json_and_its_answer_is_what_happens() {
    let folder = folder();
    let heard = folder.path().join("heard");
    let answer = r#"{"unchoke":[9,3],"weights":[2,0.5]}"#;
    let mut voice =
        voice(&format!("read -r line; echo \"$line\" > '{}'; echo '{answer}'", heard.display()));
    assert_eq!(voice.choke(&question()), Some(vec![(1, 2.0), (0, 0.5)]));
    assert_eq!(voice.finish(), Manners { questions: 1, ..Manners::default() });
    let line = fs::read_to_string(heard).expect("it was asked");
    let expected = concat!(
        r#"{"ask":"choke","peer":7,"round":12,"now":120.0,"slots":3,"up":131072.0,"seeding":false,"#,
        r#""piece_length":262144,"peers":["#,
        r#"{"id":3,"interested":true,"unchoked":false,"chokes_us":true,"interesting":true,"came":10,"#,
        r#""went":0,"came_in_all":10,"went_in_all":0,"has":12,"since":40.0},"#,
    );
    assert!(line.starts_with(expected) && line.ends_with("}]}\n"), "{line}");
}

#[test]
fn a_piece_is_chosen_among_those_on_offer() {
    let mut voice = voice(&always(r#"{"piece":17}"#));
    assert!(voice.chooses_pieces());
    assert_eq!(voice.piece(&pieces()), Some(17));
    assert_eq!(voice.finish(), Manners { questions: 1, ..Manners::default() });
}

#[test]
fn an_empty_object_leaves_it_to_the_rule_and_is_no_fault() {
    let mut voice = voice(&always("{}"));
    assert_eq!((voice.choke(&question()), voice.piece(&pieces())), (None, None));
    assert!(!voice.chooses_pieces(), "it does not care about pieces, and is asked no more");
    assert_eq!(voice.finish(), Manners { questions: 2, ..Manners::default() });
}

#[test]
fn an_answer_that_cheats_counts_for_nothing_and_is_named() {
    for (answer, fault_expected) in [
        (r#"{"unchoke":[3,9,4,3]}"#, "it unchokes 4 peers, with 3 slots"),
        (r#"{"unchoke":[3,77]}"#, "it unchokes peer 77, which is not in `peers`"),
        (r#"{"unchoke":[18446744073709551615]}"#, "it unchokes peer 18446744073709551615, which"),
        (r#"{"unchoke":[3,9,3]}"#, "it unchokes peer 3 twice"),
        (r#"{"unchoke":[-3]}"#, "`unchoke` must be a list of peers' ids"),
        (r#"{"unchoke":"all"}"#, "`unchoke` must be a list of peers' ids"),
        (r#"{"weights":[1]}"#, "`unchoke` is missing"),
        (
            r#"{"unchoke":[3,9],"weights":[1]}"#,
            "`weights` must be a list of a number for each peer",
        ),
        (r#"{"unchoke":[3,9],"weights":[1,-1]}"#, "a weight of -1 is not between 0.001 and 1000"),
        (r#"{"unchoke":[3],"weights":[0]}"#, "a weight of 0 is not between 0.001 and 1000"),
        (
            r#"{"unchoke":[3],"weights":[1e300]}"#,
            "a weight of 1e+300 is not between 0.001 and 1000",
        ),
        (r#"{"unchoke":[3],"weights":["2"]}"#, "a weight of \"2\" is not between 0.001 and 1000"),
        // Not JSON, though Python writes it.
        (r#"{"unchoke":[3],"weights":[NaN]}"#, "a JSON object on one line is expected, not `{"),
        (r#"{"unchoke":[3],"weights":[1e999]}"#, "a JSON object on one line is expected, not `{"),
        ("I give to 3", "a JSON object on one line is expected, not `I give to 3`"),
        ("[3,9]", "a JSON object on one line is expected, not `[3,9]`"),
        ("", "a JSON object on one line is expected, not ``"),
    ] {
        let found = fault(&always(answer));
        assert!(found.starts_with(fault_expected), "{answer}: {found}");
    }
    let mut voice = voice(&always(r#"{"piece":5}"#));
    assert_eq!(voice.piece(&pieces()), None);
    let manners = voice.finish();
    assert_eq!(
        (manners.by_rule, manners.fault.as_deref()),
        (1, Some("piece 5 is not in `offers`"))
    );
}

#[test]
fn what_it_says_is_safe_to_print() {
    let found = fault(r"while read -r line; do printf '\033[31mred\007\n'; done");
    assert!(found.contains("red") && !found.contains(char::is_control), "{found:?}");
    let found = fault(r"printf '\033[2Jgone\n' >&2; exit 1");
    assert!(!found.contains(char::is_control), "{found:?}");
}

#[test]
fn a_program_that_ends_is_named_with_its_last_words() {
    let found = fault("echo notes >&2; echo 'NameError: name mine is not defined' >&2; exit 3");
    assert_eq!(found, "it ended (exit status: 3): NameError: name mine is not defined");
    let found = fault("read -r line; echo '{}'; exit 0");
    assert_eq!(found, "it ended (exit status: 0)");
    let begun = Instant::now();
    let found = fault("sleep 1000 & exit 4");
    assert_eq!(found, "it ended (exit status: 4)", "though a child of it holds its stdout");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let found = fault("no-such-program-at-all");
    assert!(found.starts_with("it ended (exit status: 127): "), "{found}");
}

#[test]
fn a_program_that_is_silent_is_asked_no_more_and_was_late() {
    let begun = Instant::now();
    let mut voice = voice("read -r line; echo '{}'; read -r line; sleep 1000");
    voice.choke(&question());
    assert_eq!(voice.manners(), Manners { questions: 1, ..Manners::default() });
    assert_eq!((voice.choke(&question()), voice.choke(&question())), (None, None));
    let fault = Some("it was silent for 10 s (does it flush what it prints?)".to_owned());
    assert_eq!(voice.finish(), Manners { questions: 3, by_rule: 2, late: 1, fault });
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn an_answer_that_takes_seconds_counts_as_on_a_busy_machine_it_must() {
    let mut voice = voice("while read -r line; do sleep 3; echo '{\"unchoke\":[9]}'; done");
    assert_eq!(voice.choke(&question()), Some(vec![(1, 1.0)]));
    assert_eq!(voice.finish(), Manners { questions: 1, ..Manners::default() });
}

#[test]
fn a_flood_is_no_answer_and_fills_nothing() {
    assert_eq!(
        fault("yes '{\"unchoke\":[3]}' | cat").split(" (").next(),
        Some("it prints more than one line for each question")
    );
    assert_eq!(
        fault("read -r line; tr '\\0' x < /dev/zero"),
        "it printed a line of more than 64 KiB"
    );
    // On stderr it may say what it likes: the end of it is kept.
    let mut voice = voice(&format!("yes notes >&2 & {}", always("{}")));
    for _ in 0..20 {
        voice.choke(&question());
    }
    assert_eq!(voice.finish(), Manners { questions: 20, ..Manners::default() });
}

/// Waits until a process is gone, and not even a zombie.
fn is_gone(process: &str) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    let there = || Path::new("/proc").join(process).exists();
    while there() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    !there()
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_and_what_it_has_started_end_with_the_game() {
    let folder = folder();
    let pids = folder.path().join("pids");
    // It pays no attention to the end of its questions, nor to a polite signal.
    let script = format!(
        "trap '' TERM INT HUP; sleep 1000 & echo $$ $! > '{}'; read -r line; echo '{{}}'; sleep 1000",
        pids.display()
    );
    let mut voice = voice(&script);
    voice.choke(&question());
    assert_eq!(voice.finish().by_rule, 0);
    let pids = fs::read_to_string(pids).expect("it was started");
    for process in pids.split_whitespace() {
        assert!(is_gone(process), "{process} of {pids}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_has_left_its_group_and_its_session_ends_with_the_game_as_well() {
    let folder = folder();
    let pid = folder.path().join("pid");
    let daemon = format!("setsid sh -c 'echo $$ > {}; exec sleep 1000' &", pid.display());
    let wait = format!("while [ ! -s {} ]; do sleep 0.01; done", pid.display());
    let mut voice = voice(&format!("{daemon} {wait}; {}", always("{}")));
    voice.choke(&question());
    assert_eq!(voice.finish(), Manners { questions: 1, ..Manners::default() });
    let pid = fs::read_to_string(pid).expect("it was started");
    assert!(is_gone(pid.trim()), "{pid}");
}

#[test]
fn a_signal_ends_the_wait_for_an_answer() {
    let stop = Arc::new(AtomicBool::new(false));
    let mut voice = Voice::start("sleep 1000", Arc::clone(&stop));
    let begun = Instant::now();
    stop.store(true, Ordering::SeqCst);
    assert_eq!(voice.choke(&question()), None);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(voice.finish().fault, None, "that was not the program's doing");
}

#[test]
fn the_program_of_the_chapter_answers() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policies.md"));
    let page = page.expect("the chapter is there");
    let (_, program) = page.split_once("```python\n").expect("the chapter has a program");
    let (program, _) = program.split_once("\n```").expect("it has an end");
    if Command::new("python3").arg("--version").output().is_err() {
        return println!("SKIPPED: there is no python3");
    }
    let folder = folder();
    let file = folder.path().join("mine.py");
    fs::write(&file, program).expect("the folder takes a file");
    let mut voice = voice(&format!("python3 '{}'", file.display()));
    let answer = voice.choke(&question());
    assert!(answer.is_some_and(|chosen| chosen.first().map(|(position, _)| *position) == Some(1)));
    assert_eq!(voice.finish(), Manners { questions: 1, ..Manners::default() });
}
