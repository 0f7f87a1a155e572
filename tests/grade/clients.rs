//! Clients that are not ours, graded: five in Python, one of them naive, and one in C.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What the naive client loses: it believes what it reads, and asks only the first peer.
pub const NAIVE_LOSES: &str = "
    1.6 1.7 1.8 1.9 1.10 1.11 1.12 1.13 1.14 1.15 1.17 1.19
    2.7 2.9 2.10 2.11 2.12 2.13 2.15 2.16 2.17 2.19 2.20
    3.5 3.8 3.9 3.10 3.12 3.13 3.14 3.15 3.17
    4.6 4.8 4.9 4.10 4.11 4.12
    5.10 5.11
    6.3 6.4 6.5 6.7 6.9 6.10 6.11 6.12 6.16 6.17
    7.10 7.11 7.15
    8.8 8.9 8.12 8.14 8.15
    9.6 9.7 9.11 9.12 9.14 9.15 9.17 9.18";

/// A client in Python, and a table of copies of it with a mistake each.
pub struct Client {
    pub program: &'static str,
    pub mistakes: &'static str,
    /// The checks that it does not pass itself.
    pub loses: &'static str,
    /// The stages that it has.
    stages: &'static str,
}

/// The clients in Python. That of trackers is first: its mistakes wait longest.
pub const PYTHON: [Client; 5] = [
    Client { program: "trackers.py", mistakes: "trackers.txt", loses: "", stages: "3 13 18" },
    Client { program: "nodes.py", mistakes: "nodes.txt", loses: "", stages: "21 22" },
    Client { program: "trees.py", mistakes: "trees.txt", loses: "", stages: "23 24" },
    Client {
        program: "careful.py",
        mistakes: "careful.txt",
        loses: "",
        stages: "1 2 4 5 6 7 8 9 10 12 15 16 17",
    },
    Client {
        program: "naive.py",
        mistakes: "mistakes.txt",
        loses: NAIVE_LOSES,
        stages: "1 2 3 4 5 6 7 8 9 19 20",
    },
];

/// A file in `tests/clients/`.
pub fn client(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Python itself: `python3` may be a script that looks for it, each time that it is started.
pub fn python() -> Option<PathBuf> {
    let words = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new("python3").args(words).output();
    let path = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let path = path.map(|path| PathBuf::from(path.trim())).filter(|path| path.is_file());
    if path.is_none() {
        println!("skipped: there is no python3");
    }
    path
}

/// Whether this program can be started.
fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        println!("skipped: there is no {program}");
    }
    there
}

/// The report of `grade --json` on a client.
pub fn graded(options: &[&str], client: &[&Path]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_piecemeal"))
        .args(["grade", "--json", "--seed", "7"])
        .args(options)
        .arg("--")
        .args(client)
        .output()
        .expect("the program can be started");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let words = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {}{words}", String::from_utf8_lossy(&output.stdout))
    })
}

/// The checks of a report.
pub fn checks(report: &Value) -> &[Value] {
    report["checks"].as_array().expect("a list of checks")
}

/// The ids of the checks that a client does not pass. One that is not expected is asked for again: on a
/// machine whose cores are all busy, a program may take longer to start than a check allows for.
fn lost(options: &[&str], client: &[&Path], expected: &BTreeSet<String>) -> BTreeSet<String> {
    let lost = |report: &Value| -> BTreeSet<String> {
        let lost = checks(report).iter().filter(|check| check["status"] != "passed");
        lost.filter_map(|check| check["id"].as_str().map(str::to_owned)).collect()
    };
    let mut all = lost(&graded(options, client));
    for id in all.difference(expected).cloned().collect::<Vec<_>>() {
        let again = graded(&["--check", &id], client);
        if lost(&again).is_empty() {
            all.remove(&id);
        } else {
            println!("{again:#}");
        }
    }
    all
}

#[test]
fn each_client_in_python_loses_only_what_it_is_careless_about() {
    let Some(python) = python() else { return };
    for Client { program, loses, stages, .. } in &PYTHON {
        let expected = loses.split_whitespace().map(str::to_owned).collect();
        let stages = stages.split(' ').flat_map(|stage| ["--stage", stage]);
        let command = [&*python, &client(program)];
        let found = lost(&stages.collect::<Vec<_>>(), &command, &expected);
        assert_eq!(found, expected, "{program}");
    }
}

#[test]
fn a_client_in_c_passes_all_of_stages_1_to_5() {
    if is_there("cc") {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small");
        let built = Command::new("cc").arg("-o").arg(&program).arg(client("small.c")).status();
        assert!(built.expect("cc was there a moment ago").success(), "small.c compiles");
        assert_eq!(lost(&["--until", "5"], &[&program], &BTreeSet::new()), BTreeSet::new());
    }
}

#[test]
fn a_client_that_has_not_got_so_far_is_told_nothing_of_what_a_peer_did() {
    let folder = crate::support::folder();
    let client = super::scripts::script(folder.path(), "client", super::scripts::STRINGS);
    for check in ["4.3", "5.3", "5.5", "8.4", "9.5", "9.7", "12.7", "15.4"] {
        let report = graded(&["--check", check], &[&client]);
        let hint = checks(&report)[0]["hint"].as_str();
        // It is told that it has not begun, by what it asked or by how it ended.
        let not_begun = ["neither the tracker nor a peer", "a subcommand that it does not have"];
        let is_right = hint.is_none_or(|hint| not_begun.iter().any(|words| hint.contains(words)));
        assert!(is_right, "{report:#}");
    }
}
