//! Clients that are not ours, graded: a naive one in Python, and a careful one in C.

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

/// A file in `tests/clients/`.
pub fn client(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Whether this program can be started.
pub fn is_there(program: &str) -> bool {
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
fn the_naive_client_loses_only_what_it_is_careless_about() {
    if is_there("python3") {
        let expected = NAIVE_LOSES.split_whitespace().map(str::to_owned).collect();
        let naive = [Path::new("python3"), &client("naive.py")];
        assert_eq!(lost(&["--until", "9"], &naive, &expected), expected);
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
