//! A class that is graded again: nothing is lost or mixed, and one student alone is graded the same.

use super::classes::{Class, student};
use super::scripts::STRINGS;
use serde_json::Value;

#[test]
fn a_report_with_another_seed_is_set_aside_and_one_with_the_same_is_renewed() {
    let class = Class::new().student("ada", STRINGS).student("bob", STRINGS);
    class.grade(&["--check", "1.1"]);
    std::fs::remove_dir_all(class.path("class/bob")).expect("it is ours");
    class.grade(&["--check", "1.1"]);
    assert!(class.path("class-report/students/ada.md").exists());
    assert!(!class.path("class-report/students/bob.md").exists(), "bob is not in this class");
    assert!(!class.path("class-report-seed-7").exists(), "it is the same run again");

    let outcome = class.grade(&["--check", "1.1", "--seed", "8"]);
    outcome.mentions("the report of another run is now in").mentions("class-report-seed-7");
    assert_eq!(class.json()["seed"], 8);
    let old = class.path("class-report-seed-7/class.json");
    let old = std::fs::read(old).expect("the first report is kept");
    let old: Value = serde_json::from_slice(&old).expect("JSON");
    assert_eq!((&old["seed"], &old["class"]), (&7.into(), &"class".into()));
}

#[test]
fn the_settings_may_name_the_seed() {
    let class = Class::new().student("ada", STRINGS).settings("seed = 5");
    let outcome = class.grade_with(&["grade", "--class"], &["--check", "1.1"]);
    assert_eq!(class.json()["seed"], 5, "{outcome}");
}

#[test]
fn one_student_alone_is_graded_as_in_the_class_and_its_captures_are_kept() {
    let dials = "[ $1 = handshake ] || exit 3
exec python3 -c 'import socket, sys
host, port = sys.argv[1].rsplit(\":\", 1)
socket.create_connection((host, int(port))).sendall(b\"GET / HTTP/1.1\")' \"$3\"";
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        return println!("skipped: there is no python3");
    }
    let class = Class::new().student("ada", dials).student("bob", STRINGS);
    let class = class.settings("[weights]\n\"4.1\" = 3");
    let kept = class.path("kept").to_string_lossy().into_owned();
    let outcome = class.grade(&["--as", "ada", "--check", "4.1", "--keep", &kept]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.out().contains("4.1 ") && !outcome.out().contains("bob"), "{outcome}");
    let capture = class.path("kept/ada/4.1.capture");
    let capture = std::fs::read_to_string(capture).expect("a capture");
    assert!(capture.contains("474554202f20485454502f312e31"), "the bytes of GET: {capture}");
    let page = std::fs::read_to_string(class.path("kept/ada/4.1.html")).expect("a page");
    assert!(page.contains("<b>your client</b>"), "{page}");
    let json = std::fs::read(class.path("class-ada-report/class.json")).expect("a report");
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["students"].as_array().map(Vec::len), Some(1), "{json:#}");
    assert_eq!(student(&json, "ada")["checks"]["4.1"], "failed", "{json:#}");
    assert!(json["of"].as_f64() >= Some(3.0), "{json:#}");
    let outcome = class.grade(&["--as", "eve", "--check", "4.1"]);
    assert_eq!(outcome.code, Some(3), "{outcome}");
    outcome.mentions("there is no folder \"eve\"");
}

#[test]
fn checks_without_time_are_not_run_and_a_note_says_so() {
    // The first run is the trial: it ends. The others take all the time that there is.
    let text = "[ $2 = le ] && exit 1; sleep 60";
    let class = Class::new().student("ada", text).settings("seconds = 2");
    class.grade(&["--check", "1.1", "--check", "1.2"]);
    let json = class.json();
    let ada = student(&json, "ada");
    assert_eq!(ada["checks"]["1.2"], "not run", "{json:#}");
    let note = "the time for all checks was over at 1.1: 2 checks were not run";
    assert_eq!(ada["note"], note, "{json:#}");
}
