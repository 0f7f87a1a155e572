//! Clients that are not far yet: what is said is what helps, once.

use super::clients::{checks, client, graded, python};
use super::scripts::{STRINGS, script};
use crate::support::{Outcome, Run, folder};
use serde_json::Value;

/// Grades a script; returns what was printed, and the report.
fn grade(text: &str, ids: &[&str]) -> (Outcome, Value, String) {
    let folder = folder();
    let client = script(folder.path(), "client", text);
    let [json, md] = ["a.json", "a.md"].map(|name| folder.path().join(name));
    let run = Run::new(["grade", "--seed", "7", "--report"]).arg(&json).arg("--report").arg(&md);
    let run = ids.iter().fold(run, |run, id| run.arg("--check").arg(id));
    let outcome = run.arg("--").arg(&client).within(240).run();
    let read = |path| std::fs::read_to_string(path).unwrap_or_else(|_| panic!("{outcome}"));
    let report = serde_json::from_str(&read(json)).expect("JSON");
    let md = read(md);
    (outcome, report, md)
}

fn statuses(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().into_iter().flatten();
    checks.filter_map(|check| check["status"].as_str()).collect()
}

#[test]
fn a_command_that_is_not_written_yet_is_said_once() {
    let text =
        format!("[ $1 = decode ] || {{ echo \"unknown command: $1\" >&2; exit 2; }}\n{STRINGS}");
    let (outcome, report, md) = grade(&text, &["1.1", "4.1", "4.2", "4.6"]);
    assert_eq!(statuses(&report), ["passed", "not begun", "not begun", "not begun"], "{report:#}");
    let what =
        "your program has no answer to \"handshake\" yet: exit code 2, unknown command: handshake";
    assert_eq!(report["checks"][1]["message"], what);
    assert_eq!(report["checks"][1]["hint"], Value::Null, "{report:#}");
    assert_eq!(outcome.out().matches("unknown command").count(), 1, "{outcome}");
    assert!(md.contains("### 4.1 to 4.6\n\nnot begun, 0 of "), "{md}");
}

#[test]
fn a_client_with_one_word_for_all_that_is_wrong_has_begun() {
    let text = STRINGS.replace("|| exit 1", "|| { echo 'not a string' >&2; exit 1; }");
    let (_, report, _) = grade(&text, &["1.1", "1.2", "1.6"]);
    assert_eq!(statuses(&report), ["passed", "failed", "not counted"], "{report:#}");
}

#[test]
fn of_a_panic_the_report_has_what_it_says_and_not_only_where_it_was() {
    let text = "printf \"\\nthread 'main' (7) panicked at src/main.rs:3:5:\\nnot yet implemented: decode\\nnote: run with RUST_BACKTRACE=1\\n\" >&2; exit 101";
    let (_, report, _) = grade(text, &["1.1"]);
    let words = "panicked at src/main.rs:3:5: not yet implemented: decode";
    assert!(report.to_string().contains(words), "{report:#}");
}

#[test]
fn a_program_that_never_starts_is_told_why_once() {
    let text =
        "printf '  File \"/x/client.py\", line 21\\nSyntaxError: expected a colon\\n' >&2; exit 1";
    let (outcome, report, md) = grade(text, &["1.1", "1.2", "1.8", "4.1", "4.2"]);
    let why = "it never starts: exit code 1, SyntaxError: expected a colon (client.py, line 21)";
    assert_eq!(report["notes"][0], why, "{report:#}");
    assert_eq!(statuses(&report), ["not begun"; 5], "{report:#}");
    assert_eq!(md.matches("SyntaxError").count(), 2, "the note, and all checks together: {md}");
    outcome.mentions(why);
}

#[test]
fn a_program_that_does_not_end_is_noted() {
    let (_, report, _) = grade("sleep 100", &["1.1"]);
    let note = report["notes"][0].as_str().unwrap_or_default();
    assert!(note.starts_with("it does not end: `decode le` was still running after"), "{report:#}");
}

#[test]
fn a_crash_is_not_taken_for_a_refusal_that_only_lacks_words() {
    let text = "case $2 in
i0?*e|i-0*e) printf 'Traceback (most recent call last):\\nIndexError: out of range\\n' >&2; exit 1;;
i*e) n=${2#i}; echo \"${n%e}\";;
*) echo 'not an integer' >&2; exit 1;; esac";
    let (_, report, _) = grade(text, &["1.2", "1.6"]);
    assert_eq!(statuses(&report), ["passed", "half"], "{report:#}");
    let hint = report["checks"][1]["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("no refusal but a crash"), "{report:#}");
}

#[test]
fn giving_up_at_once_is_not_waiting() {
    let text = "[ $1 = handshake ] || exit 3
printf 'Traceback (most recent call last):\\nIndexError: out of range\\n' >&2; exit 1";
    let (_, report, _) = grade(text, &["4.11"]);
    assert_eq!(statuses(&report), ["failed"], "{report:#}");
    let message = report["checks"][0]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("it gave up after 0."), "{report:#}");
}

#[test]
fn a_debugging_line_is_named_as_the_cause() {
    let (_, report, _) = grade(&format!("echo 'DEBUG 7'\n{STRINGS}"), &["1.1"]);
    let hint = report["checks"][0]["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("print it on stderr"), "{report:#}");
}

#[test]
fn what_is_next_of_a_refusal_alone_is_its_control() {
    let (outcome, report, _) = grade(STRINGS, &["1.6"]);
    assert_eq!(statuses(&report), ["not counted"], "{report:#}");
    outcome.mentions("help: next is 1.2: ");
}

/// The naive client with one word for all that goes wrong, and with this at the end of the
/// handshakes.
fn one_word(then: &str) -> String {
    let naive = std::fs::read_to_string(client("naive.py")).expect("it is there");
    let (met, main) =
        ("        self.extensible = bool(theirs[25] & 0x10)\n", "\nmain(*sys.argv[1:])\n");
    assert_eq!((naive.matches(met).count(), naive.matches(main).count()), (1, 1));
    let caught = "\ntry:\n    main(*sys.argv[1:])\nexcept BaseException:\n    os.write(2, b\"error\\n\")\n    os._exit(1)\n";
    naive.replace(met, &format!("{met}{then}")).replace(main, caught)
}

/// Grades such a client; returns the hint of each check that it does not pass.
fn lost_hints(text: &str, options: &[&str]) -> Option<Vec<(String, Option<String>)>> {
    let python = python()?;
    let folder = folder();
    let file = folder.path().join("client.py");
    std::fs::write(&file, text).expect("the folder takes a file");
    let report = graded(options, &[&python, &file]);
    let lost = checks(&report).iter().filter(|check| check["status"] == "failed");
    let of = |check: &Value| {
        let (id, hint) = (check["id"].as_str(), check["hint"].as_str());
        (id.unwrap_or_default().to_owned(), hint.map(str::to_owned))
    };
    Some(lost.map(of).collect())
}

#[test]
fn what_is_special_about_a_check_is_no_cause_if_the_plain_one_fails() {
    let then = "        raise OSError\n";
    for (stage, plain) in [("5", "interested"), ("8", "extension handshake"), ("9", "interested")] {
        let Some(hints) = lost_hints(&one_word(then), &["--stage", stage]) else { return };
        assert!(hints.len() > 5, "{hints:?}");
        // The first peer of 9.11 is dead: this client ends before it meets the other one.
        for (id, hint) in hints.into_iter().filter(|(id, _)| id != "9.11") {
            let is_right = hint.as_ref().is_none_or(|hint| hint.contains(plain));
            assert!(is_right, "{id}: {hint:?}");
        }
    }
}

#[test]
fn what_is_special_about_a_check_is_the_cause_if_the_plain_one_passes() {
    for (id, words) in [("9.12", "one bit"), ("9.17", "lacks"), ("8.12", "the first one rejected")]
    {
        let stage = id.split('.').next().unwrap_or(id);
        let Some(hints) = lost_hints(&one_word(""), &["--stage", stage]) else { return };
        let (_, hint) = hints.iter().find(|(of, _)| of == id).expect("it is lost");
        assert!(hint.as_ref().is_some_and(|hint| hint.contains(words)), "{id}: {hint:?}");
    }
}

#[test]
fn a_client_that_asks_nobody_is_blamed_for_nothing_that_comes_later() {
    let text =
        one_word("").replace("def join(source):\n", "def join(source):\n    raise OSError\n");
    for id in ["5.3", "8.4", "9.7", "9.11", "15.4"] {
        let Some(hints) = lost_hints(&text, &["--check", id]) else { return };
        let (_, hint) = hints.first().expect("it is lost");
        let hint = hint.as_deref().unwrap_or_default();
        assert!(hint.starts_with("it ends as it does for a subcommand that it does not"), "{hint}");
    }
}
