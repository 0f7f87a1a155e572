//! Reports: each form is what its readers expect, and holds nothing that a client could have put in.

use super::scripts::{STRINGS, script};
use super::xml::{Element, parse};
use crate::support::{Outcome, Run, folder};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A client that is right about strings, and shouts markup of every kind otherwise.
fn shouting(folder: &Path) -> std::path::PathBuf {
    let shout = "\\033[31m<script>alert(1)</script> ]]> & \" `x` **b** | [a](http://b) \\001\\377";
    script(
        folder,
        "shouting",
        &format!("case $2 in [0-9]*:*) {STRINGS} ;; *) printf '{shout}\\n' >&2; exit 1 ;; esac"),
    )
}

fn grade(options: &[&str], client: &Path) -> Outcome {
    let run = Run::new(["grade", "--seed", "7", "--as", "Ada <b>"]);
    options.iter().fold(run, |run, word| run.arg(word)).arg("--").arg(client).run()
}

/// Grades the shouting client, with a report of this name; returns the report.
fn report(name: &str) -> String {
    let folder = folder();
    let path = folder.path().join(name);
    let text = path.to_string_lossy();
    let words = ["--check", "1.1", "--check", "1.2", "--check", "1.6", "--report", &text];
    let outcome = grade(&words, &shouting(folder.path()));
    assert_eq!(outcome.code, Some(1), "{outcome}");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}: {outcome}"))
}

#[test]
fn json_is_what_the_command_prints() {
    let report: Value = serde_json::from_str(&report("a.json")).expect("it is JSON");
    let keys: Vec<&String> = report.as_object().expect("an object").keys().collect();
    assert_eq!(keys[..4], ["seed", "points", "of", "checks"], "{report:#}");
    assert_eq!(
        (&report["seed"], &report["points"], &report["of"]),
        (&7.into(), &1.into(), &3.into())
    );
    let statuses: Vec<&str> = report["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| c["status"].as_str())
        .collect();
    assert_eq!(statuses, ["passed", "failed", "not counted"]);
    let again = report["again"].as_str().unwrap_or_default();
    assert!(again.starts_with("piecemeal grade --seed 7 --as='Ada <b>' -- /"), "{report:#}");
    let keys: Vec<&String> = report["checks"][1].as_object().expect("an object").keys().collect();
    let all = "id stage title points credit status seconds message hint clause chapter";
    assert_eq!(keys, all.split(' ').collect::<Vec<_>>());
}

/// The rules of the schema that Jenkins's plug-in checks (junit-10.xsd): attributes that may and
/// that must be there, and children.
fn check_element(element: &Element) {
    let (may, must, children): (&str, &str, &str) = match element.name.as_str() {
        "testsuites" => ("name time tests failures errors", "", "testsuite"),
        "testsuite" => (
            "name tests failures errors group time skipped timestamp hostname id package file log url",
            "name tests failures errors",
            "testsuite properties testcase system-out system-err",
        ),
        "testcase" => (
            "name time classname group",
            "name",
            "skipped error failure rerunFailure rerunError flakyFailure flakyError system-out system-err",
        ),
        "failure" | "error" | "skipped" => ("type message", "", ""),
        "properties" => ("", "", "property"),
        "property" => ("name value", "name value", ""),
        other => panic!("no element {other}"),
    };
    let has = |list: &str, name: &str| list.split(' ').any(|one| one == name);
    for (name, value) in &element.attributes {
        assert!(has(may, name), "{} has no attribute {name}", element.name);
        if name == "time" {
            let time: f64 = value.parse().expect("a number of seconds");
            assert!(time >= 0.0 && !value.contains('e'), "{value}");
        }
        if ["tests", "failures", "errors", "skipped", "id"].contains(&name.as_str()) {
            value.parse::<u32>().unwrap_or_else(|_| panic!("{name}={value}"));
        }
    }
    for name in must.split(' ').filter(|name| !name.is_empty()) {
        assert!(element.get(name).is_some(), "{} without {name}", element.name);
    }
    for child in &element.children {
        assert!(has(children, &child.name), "{} in {}", child.name, element.name);
        check_element(child);
    }
    let mixed = ["failure", "error", "skipped"].contains(&element.name.as_str());
    assert!(mixed || element.text.trim().is_empty(), "text in {}: {}", element.name, element.text);
}

#[test]
fn junit_keeps_to_the_schema_and_counts_right() {
    let root = parse(&report("a.xml"));
    check_element(&root);
    assert_eq!(root.name, "testsuites");
    for suite in root.all("testsuite") {
        let cases: Vec<&Element> = suite.all("testcase").collect();
        let count = |name: &str| cases.iter().filter(|case| case.all(name).count() == 1).count();
        let said = |name: &str| suite.get(name).and_then(|value| value.parse().ok());
        assert_eq!(said("tests"), Some(cases.len()));
        assert_eq!(said("failures"), Some(count("failure")));
        assert_eq!(said("skipped"), Some(count("skipped")));
        assert!(cases.iter().all(|case| case.children.len() <= 1), "{suite:?}");
    }
    let first = root.all("testsuite").next().expect("a suite");
    assert_eq!(
        (first.get("tests"), first.get("failures"), first.get("skipped")),
        (Some("3"), Some("1"), Some("1"))
    );
    let failure = &first.all("testcase").nth(1).expect("a second").children[0];
    assert!(failure.text.contains("<script>"), "the text is kept: {}", failure.text);
}

#[test]
fn each_suite_of_junit_says_what_its_readers_want_to_know() {
    let folder = folder();
    let path = folder.path().join("a.xml");
    let text = path.to_string_lossy();
    let words = ["--check", "1.1", "--check", "1.2", "--check", "1.6", "--check", "2.1"];
    let words = [&words[..], &["--report", &text]].concat();
    let outcome = grade(&words, &shouting(folder.path()));
    let root = parse(&std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{outcome}")));
    let suites: Vec<&Element> = root.all("testsuite").collect();
    let names: Vec<_> = suites.iter().filter_map(|suite| suite.get("name")).collect();
    assert_eq!(names, ["piecemeal.01-bencode", "piecemeal.02-metainfo"]);
    for (suite, [points, of]) in suites.iter().zip([["1", "3"], ["0", "2"]]) {
        // Jenkins shows those of each suite, and reads none of the whole.
        let all = suite.all("properties").flat_map(|all| all.all("property"));
        let all: Vec<_> = all.map(|one| (one.get("name"), one.get("value"))).collect();
        let expected = [("seed", "7"), ("points", points), ("of", of)];
        assert_eq!(all, expected.map(|(name, value)| (Some(name), Some(value))));
        // GitLab shows the class as the suite.
        assert!(suite.all("testcase").all(|case| case.get("classname") == suite.get("name")));
    }
    let skipped = suites[0].all("testcase").flat_map(|case| case.all("skipped")).next();
    let skipped = skipped.expect("1.6 is not counted");
    // Jenkins reads the one, and GitLab the other.
    assert!(skipped.text.starts_with("not counted until 1.2 passes"), "{}", skipped.text);
    assert_eq!(skipped.get("message"), Some(skipped.text.as_str()));
}

#[test]
fn xmllint_reads_the_junit_report() {
    let folder = folder();
    let path = folder.path().join("a.xml");
    std::fs::write(&path, report("a.xml")).expect("the folder can be written");
    match Command::new("xmllint").arg("--noout").arg(&path).status() {
        Ok(status) => assert!(status.success(), "xmllint refuses it"),
        Err(error) => {
            // tests/interop/install.sh installs it.
            assert!(std::env::var_os("CI").is_none(), "xmllint cannot be started: {error}");
            println!("skipped: there is no xmllint");
        }
    }
}

/// A key of an object, which may be missing.
fn optional<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

#[test]
fn results_json_is_what_gradescope_reads() {
    const VISIBILITIES: [&str; 4] = ["hidden", "after_due_date", "after_published", "visible"];
    const FORMATS: [&str; 5] = ["text", "html", "simple_format", "md", "ansi"];
    let report: Value = serde_json::from_str(&report("results.json")).expect("it is JSON");
    let known = "score execution_time output output_format test_output_format test_name_format visibility stdout_visibility extra_data tests leaderboard";
    for key in report.as_object().expect("an object").keys() {
        assert!(known.split(' ').any(|one| one == key), "Gradescope knows no {key}");
    }
    assert_eq!(report["score"], 1);
    for object in report["tests"].as_array().into_iter().flatten().chain([&report]) {
        for key in ["visibility", "stdout_visibility"] {
            let value = optional(object, key).and_then(Value::as_str);
            assert!(value.is_none_or(|value| VISIBILITIES.contains(&value)), "{object:#}");
        }
        for key in ["output_format", "name_format"] {
            let value = optional(object, key).and_then(Value::as_str);
            assert!(value.is_none_or(|value| FORMATS.contains(&value)), "{object:#}");
        }
    }
    let known = "score max_score status name name_format number output output_format tags visibility extra_data";
    let tests = report["tests"].as_array().expect("a list");
    let mut sum = 0.0;
    for test in tests {
        for key in test.as_object().expect("an object").keys() {
            assert!(known.split(' ').any(|one| one == key), "Gradescope knows no {key}");
        }
        let (score, most) = (test["score"].as_f64(), test["max_score"].as_f64());
        assert!(score.is_some() && score <= most, "{test:#}");
        sum += score.unwrap_or_default();
        assert!(["passed", "failed"].contains(&test["status"].as_str().unwrap_or_default()));
        assert!(
            test["name"].is_string() && test["number"].is_string() && test["output"].is_string()
        );
    }
    assert_eq!((tests.len(), Some(sum)), (3, report["score"].as_f64()));
}

#[test]
fn the_page_runs_and_fetches_nothing() {
    let page = report("a.html");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains("Content-Security-Policy\" content=\"default-src 'none'"));
    for wrong in ["<script", "<img", "<link", "src=", "href=", "url(", "<b>ada", "\u{1b}", "\u{1}"]
    {
        assert!(!page.to_lowercase().contains(wrong), "{wrong} is in {page}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(page.contains("piecemeal grade: Ada &lt;b&gt;"), "{page}");
}

#[test]
fn markdown_shows_markup_as_text() {
    let text = report("a.md");
    assert!(text.contains("**1 of 3 points**, seed 7"), "{text}");
    assert!(
        text.contains("    $ piecemeal grade --seed 7 --as='Ada <b>' --check 1.2 -- /"),
        "{text}"
    );
    assert!(text.contains("Next is 1.2: "), "{text}");
    assert!(text.contains("| 01-bencode | 1 of 3 | 1 | 3 |"), "{text}");
    for line in text.lines().filter(|line| line.contains("script")) {
        let is_block = line.starts_with("    ");
        assert!(is_block || !line.contains("<script"), "this would be markup: {line}");
    }
    assert!(!text.contains(['\u{1b}', '\u{1}']), "{text}");
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_runs() {
    let folder = folder();
    let trace = folder.path().join("has-run");
    let client = script(folder.path(), "client", &format!("touch '{}'", trace.display()));
    for (path, code) in
        [("none/a.md", 7), ("/proc/a.html", 7), (".", 2), ("a.pdf", 2), ("client/a.json", 7)]
    {
        let path = folder.path().join(path).to_string_lossy().into_owned();
        let outcome = grade(&["--check", "1.1", "--report", &path], &client);
        assert!(outcome.code == Some(code) && outcome.stdout.is_empty(), "{outcome}");
        outcome.mentions("help: ");
        assert!(!trace.exists(), "the client has run: {outcome}");
    }
    let outcome = grade(&["--check", "1.1", "--keep", "/proc/none"], &client);
    assert!(outcome.code == Some(7) && outcome.stdout.is_empty(), "{outcome}");
    assert!(!trace.exists(), "the client has run: {outcome}");
}

#[test]
fn a_failed_check_leaves_its_capture_and_a_page() {
    let folder = folder();
    let kept = folder.path().join("kept");
    // It connects to the peer that it is given, sends a word, and leaves.
    let client = script(
        folder.path(),
        "client",
        "exec 3<>/dev/null; [ \"$1\" = handshake ] && exec python3 -c 'import socket, sys
host, port = sys.argv[1].rsplit(\":\", 1)
socket.create_connection((host, int(port))).sendall(b\"GET / HTTP/1.1\")' \"$3\"; exit 1",
    );
    if Command::new("python3").arg("--version").output().is_err() {
        return println!("skipped: there is no python3");
    }
    let keep = kept.to_string_lossy().into_owned();
    grade(&["--check", "4.1", "--keep", &keep], &client);
    let capture = std::fs::read_to_string(kept.join("4.1.capture")).expect("a capture");
    assert!(capture.starts_with("{\"piecemeal_capture\":1"), "{capture}");
    assert!(capture.contains("474554202f20485454502f312e31"), "the bytes of GET: {capture}");
    let page = std::fs::read_to_string(kept.join("4.1.html")).expect("a page");
    assert!(page.starts_with("<!doctype html>") && page.contains("4.1 "), "{page}");
    let explained = Run::new(["explain".as_ref(), kept.join("4.1.capture").as_os_str()]).run();
    explained.mentions("expected byte 19");
}

#[test]
fn a_failed_check_of_the_dht_leaves_what_the_node_saw() {
    let folder = folder();
    let kept = folder.path().join("kept");
    // Its id has 19 bytes.
    let client = script(
        folder.path(),
        "client",
        "[ \"$1\" = dht_ping ] && exec python3 -c 'import socket, sys
host, port = sys.argv[1].rsplit(\":\", 1)
ping = b\"d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe\"
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(ping, (host, int(port)))' \"$2\"; exit 1",
    );
    if Command::new("python3").arg("--version").output().is_err() {
        return println!("skipped: there is no python3");
    }
    let keep = kept.to_string_lossy().into_owned();
    let outcome = grade(&["--check", "21.2", "--keep", &keep], &client);
    let out = outcome.out();
    assert!(out.contains("`id` has 19 bytes, and should have 20"), "{outcome}");
    assert!(out.contains("^ byte 5: expected id to be 20 bytes, found 19"), "{outcome}");
    let capture = std::fs::read_to_string(kept.join("21.2.capture")).expect("a capture");
    assert!(capture.contains("\"node\":\"127.0.0."), "{capture}");
    let explained = Run::new(["explain".as_ref(), kept.join("21.2.capture").as_os_str()]).run();
    explained.mentions("found 19 bytes");
}
