//! The table of stages in `src/lib.rs`, which `stages` prints, and the other texts that must
//! agree with it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Run, commands};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn stages() -> Vec<Value> {
    let outcome = Run::new(["stages", "--json"]).run();
    outcome.succeeds();
    let all: Value = serde_json::from_slice(&outcome.stdout).expect("it is JSON");
    all["stages"].as_array().expect("a list").clone()
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|it| it.as_str().expect("text")).collect()
}

#[test]
fn every_stage_of_the_source_is_in_the_table_in_order() {
    let names =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("there is source");
    let names = names
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned());
    let is_stage = |name: &String| {
        name.starts_with('s') && name[1..3].bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut there: Vec<String> = names
        .filter(is_stage)
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    there.sort();
    let stages = stages();
    let listed: Vec<&Value> = stages.iter().filter(|stage| !stage["number"].is_null()).collect();
    assert_eq!(
        listed.iter().map(|stage| stage["module"].as_str().expect("text")).collect::<Vec<_>>(),
        there
    );
    for (number, stage) in (1..).zip(&listed) {
        assert_eq!(stage["number"], number, "{stage}");
        assert!(!read(stage["chapter"].as_str().expect("a stage has a chapter")).is_empty());
    }
}

#[test]
fn the_table_names_the_beps_of_each_stage_card() {
    for stage in stages().iter().filter(|stage| !stage["number"].is_null()) {
        let source = read(&format!("src/{}.rs", stage["module"].as_str().expect("text")));
        let spec =
            source.lines().find(|line| line.contains("**Spec:**")).expect("a stage has a card");
        let spec = spec.split("**chapter:**").next().expect("the first part is always there");
        // Numbers in quotes are names of sections.
        let outside: String = spec.split('"').step_by(2).collect();
        let numbers = outside
            .split(|letter: char| !letter.is_ascii_digit())
            .filter_map(|digits| digits.parse().ok());
        let card: BTreeSet<u64> = numbers.collect();
        let table: BTreeSet<u64> =
            stage["beps"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
        assert_eq!(table, card, "{stage}\n{spec}");
    }
}

#[test]
fn each_command_is_listed_once_with_the_stage_that_its_file_and_its_help_name() {
    let stages = stages();
    for name in commands() {
        let source = read(&format!("src/commands/{name}.rs"));
        let first = source.lines().next().unwrap_or_default();
        let rows: Vec<&Value> =
            stages.iter().filter(|stage| words(&stage["commands"]).contains(&name)).collect();
        if first.ends_with("(every stage)") {
            assert!(rows.is_empty(), "{name} belongs to no stage: {rows:?}");
            continue;
        }
        assert_eq!(rows.len(), 1, "{name}: {rows:?}");
        let module = rows[0]["module"].as_str().expect("text");
        let place = rows[0]["number"]
            .as_u64()
            .map_or(format!("({module})"), |number| format!("(stage {number})"));
        assert!(first.ends_with(&place), "{name}: {first}, but {}", rows[0]);
        let help = Run::new([name, "--help"]).run().out();
        let about = help.lines().next().unwrap_or_default();
        assert!(about.ends_with(&place), "{name}: {about}, but {}", rows[0]);
    }
}

#[test]
fn the_readme_has_the_same_table() {
    let readme = read("README.md");
    for stage in stages().iter().filter(|stage| !stage["number"].is_null()) {
        let text = |key: &str| stage[key].as_str().expect("text");
        let row =
            readme.lines().find(|line| line.starts_with(&format!("| `{}` |", text("module"))));
        let row = row.unwrap_or_else(|| panic!("README.md has no row for {stage}"));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let commands: Vec<String> =
            words(&stage["commands"]).iter().map(|name| format!("`{name}`")).collect();
        let chapter = format!("[{}]({})", stage["number"], text("chapter"));
        assert_eq!(cells[2..5], [text("does"), &commands.join(", "), &chapter], "{row}");
    }
}

#[test]
fn the_text_tells_what_the_json_does_and_fits_on_a_line() {
    let outcome = Run::new(["stages"]).run();
    outcome.succeeds();
    let text = outcome.out();
    assert!(text.starts_with(" 1  s01_bencode "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for stage in stages() {
        for fact in ["module", "does", "chapter"].into_iter().filter_map(|key| stage[key].as_str())
        {
            assert!(text.contains(fact), "{fact}: {text}");
        }
        for fact in words(&stage["commands"]) {
            assert!(text.contains(fact), "{fact}: {text}");
        }
    }
}

#[test]
fn every_stage_has_its_chapter_inside_the_program() {
    for stage in stages().iter().filter(|stage| !stage["number"].is_null()) {
        let outcome = Run::new(["chapter", &stage["number"].to_string()]).run();
        outcome.succeeds();
        let chapter = read(stage["chapter"].as_str().expect("text"));
        assert!(outcome.out() == chapter, "{stage}");
    }
}

#[test]
fn the_list_of_chapters_has_the_name_of_every_page_that_is_no_chapter() {
    let outcome = Run::new(["chapter"]).run();
    outcome.succeeds();
    assert!(outcome.out().lines().all(|line| line.chars().count() <= 80), "{outcome}");
    let json = Run::new(["chapter", "--json"]).run();
    let pages: Value = serde_json::from_str(&json.succeeds().out()).expect("JSON");
    for page in pages["pages"].as_array().expect("a list") {
        let name = page["name"].as_str().expect("text");
        let listed = outcome.out().lines().any(|line| line == name);
        assert_eq!(listed, page["number"].is_null(), "{name}: {outcome}");
        assert!(
            Run::new(["chapter", name]).run().succeeds().out() == read(&format!("docs/{name}.md"))
        );
    }
}
