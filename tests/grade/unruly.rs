//! Clients that do not end, do not stop, or do not clean up: each check is over in time, and nothing
//! stays.

use super::clients::{client, python};
use super::scripts::{STRINGS, assert_gone, script, unique, with_argument};
use crate::support::{Outcome, Run, Running, folder};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// Grades a client in its own folder.
fn grade(folder: &Path, client: &Path, options: &[&str]) -> Outcome {
    let run = Run::new(["grade", "--seed", "7"]).dir(folder);
    options.iter().fold(run, |run, word| run.arg(word)).arg("--").arg(client).run()
}

/// Grades a script about strings; returns the check.
#[track_caller]
fn strings(text: &str) -> Value {
    let folder = folder();
    let client = script(folder.path(), "client", text);
    let outcome = grade(folder.path(), &client, &["--json", "--check", "1.1"]);
    let report: Value = serde_json::from_slice(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {outcome}"));
    report["checks"][0].clone()
}

#[test]
fn an_orphan_that_holds_the_pipe_from_its_own_session_does_not_stay() {
    let word = unique();
    let check = strings(&format!("setsid sleep {word} &\n{STRINGS}"));
    assert_eq!(check["status"], "passed", "{check:#}");
    assert_gone(&word);
}

#[test]
fn an_orphan_that_has_deleted_its_mark_does_not_stay() {
    let word = unique();
    let check = strings(&format!("env -i setsid sleep {word} >/dev/null 2>&1 &\n{STRINGS}"));
    assert_eq!(check["status"], "passed", "{check:#}");
    assert_gone(&word);
}

#[test]
fn children_that_fork_on_and_on_do_not_stay() {
    let word = unique();
    let forks = format!(
        "n=0; while [ $n -lt 40 ]; do setsid sh -c 'sleep {word} & sleep {word}' & n=$((n+1)); done"
    );
    strings(&format!("{forks}\n{STRINGS}"));
    assert_gone(&word);
}

#[test]
fn a_client_that_ignores_every_polite_signal_is_ended() {
    let word = unique();
    let check =
        strings(&format!("trap '' TERM INT HUP PIPE; while :; do sleep 1{word} & wait; done"));
    let message = check["message"].as_str().unwrap_or_default();
    assert!(message.contains("still running"), "{check:#}");
    assert_gone(&format!("1{word}"));
}

#[test]
fn a_client_that_never_ends_is_not_asked_forever() {
    let folder = folder();
    let client = script(folder.path(), "client", "while :; do sleep 1; done");
    // Several run at a time, so a few more than 3.3 have begun when the third chance is over.
    let ids = "1.1 1.2 1.3 2.1 2.2 2.3 3.1 3.2 3.3 4.1 4.2 4.3 4.4 4.5 4.6 4.7 4.8 5.1 5.2 5.3";
    let options: Vec<&str> = ids.split(' ').flat_map(|id| ["--check", id]).collect();
    let outcome = grade(folder.path(), &client, &[&["--json"], &options[..]].concat());
    let report: Value = serde_json::from_slice(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {outcome}"));
    let message = |place: usize| report["checks"][place]["message"].as_str().unwrap_or_default();
    assert!(!message(8).contains("not tried"), "3.3 is the third chance: {report:#}");
    assert!(message(19).contains("not tried"), "{report:#}");
}

/// The peak of its memory in KiB, and how it ended.
fn peak(mut running: Running) -> (u64, Outcome) {
    let begun = Instant::now();
    let mut most = 0;
    while !running.is_over() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it does not end");
        most = most.max(running.status("VmHWM").unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    (most, running.finish())
}

#[test]
fn a_flood_takes_neither_memory_nor_time() {
    let folder = folder();
    let client = script(folder.path(), "client", "yes flood; yes flood >&2; exit 0");
    let word = client.to_string_lossy().into_owned();
    let run = Run::new(["grade", "--seed", "7", "--check", "1.1", "--"]).arg(&word).start();
    let (most, outcome) = peak(run);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(most < 64 << 10, "{most} KiB");
    assert!(outcome.stdout.len() < 10_000, "{} bytes", outcome.stdout.len());
}

/// A client whose every connection to a peer begins with a flood of these messages. 64 rounds are
/// some megabytes. 14 are less than one, so that nothing is lost of them.
fn flooding(messages: &str, rounds: usize) -> String {
    let end = "        self.extensible = bool(theirs[25] & 0x10)\n";
    let flood = format!(
        "        for _ in range({rounds}):\n            self.socket.sendall({messages})\n        sys.exit(\"enough\")\n"
    );
    let naive = std::fs::read_to_string(client("naive.py")).expect("it is there");
    assert_eq!(naive.matches(end).count(), 1, "where the handshakes are done");
    naive.replace(end, &format!("{end}{flood}"))
}

#[test]
fn a_flood_of_a_peer_takes_no_memory() {
    let Some(python) = python() else { return };
    let haves = "struct.pack(\">IBI\", 5, 4, 0) * 7000";
    let chokes = "struct.pack(\">IB\", 1, 0) * 12600";
    let requests = "struct.pack(\">IBIII\", 13, 6, 0, 0, 16384) * 3700";
    for (messages, rounds, words) in [
        (haves, 64, "bytes of you"),
        (haves, 14, "bytes of you"),
        (chokes, 64, "bytes of you"),
        (requests, 64, "it asks while it is choked"),
    ] {
        let folder = folder();
        let file = folder.path().join("client.py");
        std::fs::write(&file, flooding(messages, rounds)).expect("the folder takes a file");
        let ids = "5.1 5.3 5.4 5.9 8.1 8.2 9.1 9.5 9.12 9.18 15.1 15.2 15.5";
        let ids = ids.split(' ').flat_map(|id| ["--check", id]);
        let run = Run::new(["grade", "--json", "--seed", "7"]);
        let run = ids.fold(run, |run, word| run.arg(word)).arg("--").arg(&python).arg(&file);
        let (most, outcome) = peak(run.within(120).start());
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.out().contains(words), "the flood came: {outcome}");
        assert!(most < 64 << 10, "{rounds} times {messages}: {most} KiB");
    }
}

#[test]
fn a_client_that_closes_its_output_is_just_wrong() {
    let check = strings("exec >&- 2>&-; exit 0");
    assert_eq!(check["status"], "failed", "{check:#}");
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let folder = folder();
    let shout = r"printf '\033[2J\033]0;title\007\302\233' ; printf '\033c\r\b' >&2; exit 1";
    let client = script(folder.path(), "client", shout);
    let outcome = grade(folder.path(), &client, &["--check", "1.1", "--check", "1.6"]);
    for text in [outcome.out(), outcome.err()] {
        let bad: Vec<char> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(bad.is_empty(), "{bad:?} in {text}");
    }
}

#[test]
fn a_client_that_deletes_its_folder_is_told_so() {
    let folder = folder();
    let own = folder.path().join("own");
    let client = script(&own, "client", &format!("rm -rf '{}'; {STRINGS}", own.display()));
    let outcome = grade(&own, &client, &["--check", "1.1", "--check", "1.2"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.out().contains("can no longer be started"), "{outcome}");
    outcome.mentions("deleted its own folder");
}

#[test]
fn what_a_client_leaves_in_its_folder_is_noted_once() {
    let folder = folder();
    let client = script(folder.path(), "client", &format!("echo x > left.tmp; {STRINGS}"));
    let outcome = grade(folder.path(), &client, &["--check", "1.1"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert_eq!(outcome.err().matches("left.tmp").count(), 1, "{outcome}");
    let again = grade(folder.path(), &client, &["--check", "1.1"]);
    assert!(!again.err().contains("left.tmp"), "it was there before: {again}");
}

#[test]
fn a_command_that_cannot_be_started_is_exit_code_3() {
    let folder = folder();
    let text = folder.path().join("text");
    std::fs::write(&text, "no program").expect("the folder can be written");
    let missing = folder.path().join("none");
    let through_a_shell = script(folder.path(), "client", "exec /no/such/program");
    for client in [&text, &missing, &through_a_shell] {
        let outcome = grade(folder.path(), client, &["--check", "1.1"]);
        assert!(outcome.code == Some(3) && outcome.stdout.is_empty(), "{outcome}");
        outcome.mentions("cannot be started");
    }
}

#[test]
fn ctrl_c_ends_the_client_too() {
    let word = unique();
    let folder = folder();
    let client = script(folder.path(), "client", &format!("sleep {word}"));
    let run = Run::new(["grade", "--seed", "7", "--check", "1.1", "--"]).arg(&client);
    let mut running = run.start();
    let begun = Instant::now();
    while with_argument(&format!("sleep {word}")).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30) && !running.is_over(), "it never runs");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The trial run at the start is not stopped by it, but is over after ten seconds.
    running.interrupt();
    let outcome = running.finish();
    assert_eq!(outcome.code, Some(130), "{outcome}");
    assert_gone(&word);
}

#[test]
fn a_client_that_only_calls_ours_is_noted() {
    let folder = folder();
    let ours = env!("CARGO_BIN_EXE_piecemeal");
    let calls = script(folder.path(), "calls", &format!("exec {ours} \"$@\""));
    let outcome = grade(folder.path(), &calls, &["--json", "--check", "4.1"]);
    let report: Value = serde_json::from_slice(&outcome.stdout).expect("JSON");
    let note = report["notes"][0].as_str().unwrap_or_default();
    assert!(note.contains("begins with -PM"), "{report:#}");
    assert_eq!(report["points"], 2, "it is seen, not punished: {report:#}");
    if let Some(python) = python() {
        let naive = client("naive.py");
        let options = ["--json", "--check", "4.1", "--"];
        let run = Run::new(["grade"]).dir(folder.path());
        let run = options.iter().fold(run, |run, word| run.arg(word));
        let outcome = run.arg(&python).arg(&naive).run();
        let report: Value = serde_json::from_slice(&outcome.stdout).expect("JSON");
        assert_eq!(report["notes"].as_array().map(Vec::len), Some(0), "{report:#}");
    }
}
