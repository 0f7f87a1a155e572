//! A class: what comes out for the teacher, and what for each student.

use super::scripts::{STRINGS, script};
use crate::support::{Outcome, Run, folder};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A class in a folder that vanishes, with its report beside it.
pub struct Class {
    folder: tempfile::TempDir,
}

impl Class {
    pub fn new() -> Class {
        let class = Class { folder: folder() };
        std::fs::create_dir(class.path("class")).expect("the folder can be made");
        class
    }

    /// Adds a student whose program is this script.
    pub fn student(self, name: &str, text: &str) -> Class {
        script(&self.path("class").join(name), "run", text);
        self
    }

    pub fn settings(self, text: &str) -> Class {
        std::fs::write(self.path("class/grade.toml"), text).expect("the folder can be written");
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Grades it on these checks.
    pub fn grade(&self, options: &[&str]) -> Outcome {
        let seed: &[&str] = if options.contains(&"--seed") { &[] } else { &["--seed", "7"] };
        self.grade_with(&[&["grade"], seed, &["--class"]].concat(), options)
    }

    /// The same with all words of the command.
    pub fn grade_with(&self, words: &[&str], options: &[&str]) -> Outcome {
        let run = Run::new(words).arg(self.path("class")).within(240);
        options.iter().fold(run, |run, word| run.arg(word)).run()
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path("class-report").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.read("class.json")).expect("class.json is JSON")
    }
}

/// The student of this name.
pub fn student<'a>(json: &'a Value, name: &str) -> &'a Value {
    let students = json["students"].as_array().expect("a list of students");
    students
        .iter()
        .find(|student| student["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {json:#}"))
}

const CHECKS: [&str; 6] = ["--check", "1.1", "--check", "1.2", "--check", "1.8"];

#[test]
fn each_student_has_a_row_and_a_report() {
    let class = Class::new().student("ada", STRINGS).student("bob", "exit 1");
    let outcome = class.grade(&CHECKS);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let json = class.json();
    let ada = student(&json, "ada");
    assert_eq!(ada["checks"]["1.1"], "passed", "{json:#}");
    assert_eq!(ada["checks"]["1.2"], "failed", "{json:#}");
    assert_eq!(ada["checks"]["1.8"], "passed", "{json:#}");
    let bob = student(&json, "bob");
    assert_eq!(
        (&bob["points"], &bob["checks"]["1.1"]),
        (&0.into(), &"not begun".into()),
        "{json:#}"
    );
    let note = "it has no answer to any command yet: exit code 1, stderr is empty";
    assert_eq!(bob["note"], note, "{json:#}");
    let shares = |key: &str| -> Vec<Value> {
        json["checks"].as_array().into_iter().flatten().map(|c| c[key].clone()).collect()
    };
    assert_eq!(
        (shares("passed"), shares("counted")),
        (vec![1.into(), 0.into(), 1.into()], vec![1.into(); 3])
    );

    let csv = class.read("class.csv");
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 4, "{csv}");
    assert!(rows[0].starts_with("student,points,of,seconds,note,stage 1,\"1.1 strings"), "{csv}");
    assert_eq!(rows[1], "\"(of)\",3,3,,\"\",3,1,1,1");
    assert!(rows[2].starts_with("\"ada\",2,3,") && rows[2].ends_with(",2,1,0,1"), "{csv}");
    assert!(rows[3].starts_with("\"bob\",0,3,") && rows[3].ends_with(",0,0,0,0"), "{csv}");

    for (ending, sign) in [
        ("md", "# piecemeal grade: ada"),
        ("html", "</html>"),
        ("json", "\"seed\""),
        ("xml", "</testsuites>"),
        ("results.json", "max_score"),
    ] {
        let report = class.read(&format!("students/ada.{ending}"));
        assert!(report.contains(sign), "{report}");
    }
    let out = outcome.out();
    assert!(
        out.contains("ada ") && out.contains("2 of 3 points") && out.contains("class.html"),
        "{out}"
    );
}

#[test]
fn the_seed_and_the_name_have_the_same_scene_again() {
    // The client says what it was asked, so two runs can be compared.
    let class = Class::new().student("ada", "echo \"$2\" >&2; exit 1");
    class.grade(&["--check", "1.1"]);
    let of_class: Value = serde_json::from_str(&class.read("students/ada.json")).expect("JSON");
    let client = class.path("class/ada/run");
    let alone = |name: &str| {
        let words = ["grade", "--json", "--seed", "7", "--check", "1.1", "--as", name, "--"];
        let outcome = Run::new(words).arg(&client).run();
        let json: Value = serde_json::from_slice(&outcome.stdout).expect("JSON");
        json["checks"][0]["message"].clone()
    };
    assert_eq!(of_class["checks"][0]["message"], alone("ada"));
    assert_ne!(of_class["checks"][0]["message"], alone("bob"));
}

#[test]
fn settings_name_the_command_the_build_and_the_weights() {
    let class = Class::new()
        .student("ada", "exit 1")
        .student("bob", "exit 1")
        .settings(
            "run = 'sh made.sh'\n[runs]\nbob = 'no-such-program'\n[builds]\nada = 'cp run.txt made.sh'\n[weights]\n1 = 2\n\"1.2\" = 0.5\n",
        );
    for name in ["ada", "bob"] {
        let file = class.path("class").join(name).join("run.txt");
        std::fs::write(file, STRINGS).expect("the folder can be written");
    }
    let outcome = class.grade(&CHECKS);
    let json = class.json();
    assert_eq!(student(&json, "ada")["points"], 4, "{json:#} {outcome}");
    assert_eq!(json["of"], 4.5, "{json:#}");
    let note = student(&json, "bob")["note"].as_str().unwrap_or_default();
    assert!(note.contains("no-such-program cannot be started"), "{json:#}");
    assert!(!class.path("class/ada/made.sh").exists(), "the build ran in a copy");
}

#[test]
fn a_build_that_fails_is_said() {
    let class = Class::new().student("ada", STRINGS).settings(
        "build = 'echo \"client.c:3: stray\" >&2; echo \"no rule to make it\" >&2; exit 2 #'",
    );
    class.grade(&CHECKS);
    let report = class.read("students/ada.md");
    assert!(report.contains("    client.c:3: stray\n"), "the compiler's own lines: {report}");
    let json = class.json();
    let note = student(&json, "ada")["note"].as_str().unwrap_or_default();
    assert!(note.contains("cannot be built") && note.contains("no rule to make it"), "{json:#}");
}

#[test]
fn a_hidden_check_shows_only_its_title_to_students() {
    let hidden = |until: &str| format!("[hidden]\nuntil = {until}\nchecks = [\"1.2\"]\n");
    let class = Class::new().student("ada", STRINGS).settings(&hidden("2999-12-31"));
    class.grade(&CHECKS);
    let title = class.json()["checks"][1]["title"].as_str().unwrap_or_default().to_owned();
    assert_eq!(student(&class.json(), "ada")["checks"]["1.2"], "failed", "the teacher sees it");
    for ending in ["md", "html"] {
        let report = class.read(&format!("students/ada.{ending}"));
        assert!(
            report.contains("Hidden until 2999-12-31, and not in these points (1 more)")
                && report.contains(&title),
            "{report}"
        );
        assert!(
            report.contains("2</b> of 2 points") || report.contains("**2 of 2 points**"),
            "{report}"
        );
    }
    let json: Value = serde_json::from_str(&class.read("students/ada.json")).expect("JSON");
    assert_eq!(json["checks"].as_array().map(Vec::len), Some(2), "{json:#}");
    assert_eq!(json["hidden"]["checks"][0]["id"], "1.2", "{json:#}");
    // Gradescope hides it itself, and the whole score with it.
    let text = class.read("students/ada.results.json");
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let tests = json["tests"].as_array().expect("a list");
    let word = |test: &Value, key: &str| test[key].as_str().unwrap_or_default().to_owned();
    let visible = tests.iter().map(|test| word(test, "number") + " " + &word(test, "visibility"));
    let visible: Vec<String> = visible.collect();
    assert_eq!(visible, ["1.1 visible", "1.8 visible", "1.2 after_due_date"], "{json:#}");
    assert_eq!((&json["score"], &json["extra_data"]["max_score"]), (&2.into(), &3.into()));
    let output = json["output"].as_str().unwrap_or_default();
    assert!(output.contains(&format!("(1 more):\n  1.2 {title}")), "{output}");
    assert!(output.starts_with("2 of 2 points, "), "{output}");

    let class = Class::new().student("ada", STRINGS).settings(&hidden("2020-01-01"));
    class.grade(&CHECKS);
    assert!(!class.read("students/ada.md").contains("Hidden"), "the day is over");
}

#[test]
fn names_are_text_everywhere() {
    let name = "=cmd|'x'!A1 <script>alert(1)</script>&\"\u{1b}[31m";
    let name = name.replace('/', "-");
    let class = Class::new().student(&name, "echo '<script>alert(2)</script>' >&2; exit 1");
    let outcome = class.grade(&CHECKS);
    assert!(!outcome.out().contains('\u{1b}'), "{outcome}");
    for page in [class.read("class.html"), class.read(&format!("students/{name}.html"))] {
        assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }
    let csv = class.read("class.csv");
    assert!(csv.lines().nth(2).is_some_and(|row| row.starts_with("\"'=cmd|")), "{csv}");
}

#[test]
fn a_class_that_makes_no_sense_is_told_before_anything_runs() {
    let fails = |class: &Class, options: &[&str], code: i32, words: &str| {
        let outcome = class.grade(options);
        assert!(outcome.code == Some(code) && outcome.stdout.is_empty(), "{outcome}");
        outcome.mentions(words).mentions("help: ");
    };
    fails(&Class::new(), &[], 3, "no folder of a student");
    let class = Class::new().student("ada", STRINGS);
    fails(&class, &["--report", "/proc/none"], 7, "/proc/none");
    let file = class.path("class/ada/run").to_string_lossy().into_owned();
    fails(&class, &["--report", &file], 7, "run");
    fails(&class, &["--report", "a", "--report", "b"], 2, "one folder");
    let broken = Class::new().student("ada", STRINGS).settings("run = 'x'\nweight = 1\n");
    fails(&broken, &[], 3, "there is no setting \"weight\"");
    assert!(!broken.path("class-report").exists(), "nothing was made");
    let outcome = Run::new(["grade", "--class", "/no/such/class"]).run();
    assert!(outcome.code == Some(7), "{outcome}");
}

#[test]
fn two_graders_at_once_do_not_meet() {
    let class = Class::new().student("ada", STRINGS).student("bob", STRINGS);
    let run = |out: &Path| {
        let words = ["grade", "--seed", "7", "--check", "1.1", "--class"];
        Run::new(words).arg(class.path("class")).arg("--report").arg(out).within(240).start()
    };
    let outs = [class.path("one"), class.path("two"), class.path("two")];
    let running: Vec<_> = outs.iter().map(|out| run(out)).collect();
    for (running, out) in running.into_iter().zip(&outs) {
        let outcome = running.finish();
        assert_eq!(outcome.code, Some(0), "{outcome}");
        let text = std::fs::read_to_string(out.join("class.json")).expect("a report");
        let json: Value = serde_json::from_str(&text).expect("a whole report");
        assert_eq!(json["checks"][0]["passed"], 2, "{json:#}");
    }
}

#[test]
fn a_right_client_passes_in_its_world_as_it_does_outside() {
    let class = Class::new();
    let folder = class.path("class/own");
    std::fs::create_dir(&folder).expect("the folder can be made");
    std::fs::copy(env!("CARGO_BIN_EXE_piecemeal"), folder.join("run")).expect("it can be copied");
    // 16.21 ends it with Ctrl-C, which all processes around it hear as well.
    let ids = ["2.1", "4.1", "5.1", "16.21"];
    class.grade(&ids.map(|id| ["--check", id]).concat());
    let json = class.json();
    let checks = &student(&json, "own")["checks"];
    for id in ids {
        assert_eq!(checks[id], "passed", "{}", class.read("students/own.md"));
    }
}
