//! `docs/your-own-client.md`, held against the checks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/your-own-client.md");
    std::fs::read_to_string(path).expect("the page is there")
}

/// All checks, as `grade --list` describes them.
pub fn listed() -> Vec<Value> {
    listed_with(&[])
}

/// Those of them that options choose.
fn listed_with(options: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_piecemeal"))
        .args(["grade", "--list", "--json"])
        .args(options)
        .output()
        .expect("the program can be started");
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    list["checks"].as_array().expect("a list of checks").clone()
}

/// The rows of a table with this head, as cells.
fn table(page: &str, head: &str) -> Vec<Vec<String>> {
    let (_, rows) = page.split_once(head).unwrap_or_else(|| panic!("no table {head}"));
    let rows = rows.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[test]
fn the_page_lists_the_twins_of_the_public_course() {
    let mut twins: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in table(&page(), "| stage there | check here |") {
        for id in row[1].split(", ") {
            twins.entry(id.to_owned()).or_default().insert(row[0].to_lowercase());
        }
    }
    for check in listed() {
        let id = check["id"].as_str().expect("an id");
        let named = check["twin"].as_str().map(str::to_lowercase);
        let rows = twins.remove(id).unwrap_or_default();
        assert_eq!(named.is_some(), !rows.is_empty(), "{id}: {named:?}, {rows:?}");
        let known = named.is_none_or(|twin| rows.iter().any(|row| twin.contains(row.as_str())));
        assert!(known, "{id}: {:?}, but the page says {rows:?}", check["twin"]);
    }
    assert!(twins.is_empty(), "checks that are not there: {twins:?}");
}

#[test]
fn the_page_has_a_row_for_each_stage_with_checks() {
    let stages: BTreeSet<u64> =
        listed().iter().filter_map(|check| check["stage"].as_u64()).collect();
    let rows = table(&page(), "| stage | subcommand and arguments | chapter |");
    let rows: BTreeSet<u64> = rows.iter().filter_map(|row| row[0].parse().ok()).collect();
    assert_eq!(rows, stages);
}

#[test]
fn ids_and_ranges_of_them_choose_checks_each_once_and_in_order() {
    let chosen = |options: &[&str]| -> Vec<String> {
        let ids = listed_with(options).into_iter();
        ids.map(|check| check["id"].as_str().expect("it has an id").to_owned()).collect()
    };
    let some = ["1.1", "1.2", "1.3", "1.8", "4.1"];
    assert_eq!(chosen(&["--check", "4.1,1.1-1.3,1.8"]), some);
    assert_eq!(chosen(&["--check", "1.2-1.3,1.1-1.2", "--check", "4.1,1.8"]), some);
    let last = listed().iter().filter(|check| check["stage"] == 1).count();
    let over = chosen(&["--check", &format!("1.{last}-2.1")]);
    assert_eq!(over, [format!("1.{last}"), "2.1".to_owned()], "from one stage into the next");
}
