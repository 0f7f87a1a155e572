//! The command: the stage's own rules and a simulated crowd.

use super::super::support::{Outcome, Run};
use serde_json::Value;
use std::collections::BTreeSet;

fn run(options: &[&str]) -> Outcome {
    Run::new(["peer_list"].iter().chain(options).copied()).run()
}

fn story(options: &[&str]) -> String {
    let outcome = run(options);
    outcome.succeeds();
    outcome.out()
}

fn moves(options: &[&str]) -> (Vec<Value>, Value) {
    let options: Vec<&str> = options.iter().chain(&["--json"]).copied().collect();
    let told = story(&options);
    let mut lines: Vec<Value> =
        told.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let sum = lines.pop().expect("there is a last line");
    (lines, sum)
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_tells_another() {
    assert_eq!(story(&["--seed", "3"]), story(&["--seed", "3"]));
    assert_ne!(story(&["--seed", "3"]), story(&["--seed", "4"]));
}

#[test]
fn there_are_never_more_peers_than_places_and_no_banned_one_among_them() {
    for seed in ["1", "2", "3"] {
        let (moves, sum) = moves(&[
            "--places",
            "3",
            "--minutes",
            "30",
            "--faults",
            "dead,liars,crowd,slow,idle",
            "--seed",
            seed,
        ]);
        let (mut taken, mut banned) = (BTreeSet::new(), BTreeSet::new());
        for step in &moves {
            let address = step["address"].as_str().unwrap_or_default().to_owned();
            match step["what"].as_str().expect("a move is named") {
                "dials" | "comes in" => {
                    assert!(!banned.contains(&address), "{step}");
                    assert!(taken.insert(address), "{step}");
                }
                "lies" => {
                    assert!(taken.remove(&address) && banned.insert(address), "{step}");
                }
                "fails" | "makes way" | "leaves" => assert!(taken.remove(&address), "{step}"),
                _ => {}
            }
            assert!(taken.len() <= 3, "{step}");
        }
        let with_fate = |fates: [&str; 2]| {
            let rows = sum["addresses"].as_array().expect("a list").iter();
            let rows = rows.filter(|row| fates.contains(&row["fate"].as_str().expect("text")));
            rows.map(|row| row["address"].as_str().expect("text").to_owned())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(with_fate(["has a place", "dialed"]), taken);
        assert_eq!(with_fate(["banned", "banned"]), banned);
    }
}

/// Each of these is a rule of the stage, and each has a sentence.
#[test]
fn every_rule_of_the_stage_shows_in_some_story() {
    let mut told = String::new();
    for faults in ["dead,liars,crowd,slow", "idle,crowd", "ports"] {
        told += &story(&["--faults", faults, "--minutes", "60"]);
    }
    for words in [
        "its IP has no place, and it has been due longest",
        "and no IP with fewer is due",
        "has its turn after",
        "does not answer; it is dialed again in 15 s",
        "does not answer; it is dialed again in 120 s",
        "does not answer; it is given up",
        "leaves; it is dialed again in 2 s",
        "makes way: its IP has",
        "makes way: it gave nothing yet",
        "it gave nothing for 10 s",
        "the slowest whose speed is known",
        "sent a wrong piece, and is banned\n",
        "the IP is barred",
        "is refused: it is banned",
        "has nobody at any port",
        "of an IP where nobody answers",
        "has waited long enough, and hangs up",
    ] {
        assert!(told.contains(words), "{words}");
    }
}

#[test]
fn a_dead_address_is_dialed_six_times_with_longer_and_longer_pauses() {
    let (moves, sum) =
        moves(&["--places", "1", "--peers", "1", "--faults", "dead", "--minutes", "60"]);
    let again = |step: &&Value| step["what"] == "fails";
    let pauses: Vec<Option<u64>> = moves
        .iter()
        .filter(again)
        .map(|step| Some(step["again"].as_u64()? - step["second"].as_u64().expect("a number")))
        .collect();
    assert_eq!(pauses, [Some(15), Some(30), Some(60), Some(120), Some(240), None]);
    assert_eq!(sum["addresses"][0]["fate"], "given up");
}
