//! What is set wrongly is refused in words, and what nobody can finish ends.

use super::asked::{experiment, run};
use piecemeal::simulate::outcome::Ending;
use piecemeal::simulate::setup::{Class, Setup, Stay};
use piecemeal::simulate::{Settings, experiments, simulate};
use std::sync::atomic::AtomicBool;

#[test]
fn settings_that_cannot_be_used_are_refused_in_words() {
    let cases = [
        ("peers=0", "peers is 0, but must be from 1 to 20000"),
        ("peers=1000000", "peers is 1000000, but must be from 1 to 20000"),
        ("pieces=0", "pieces is 0, but must be from 1 to 20000"),
        ("repeat=0", "repeat is 0, but must be from 1 to 1000"),
        (
            "peers=20000 pieces=20000",
            "20000 peers x 20000 pieces are more than the 20000000 that fit into memory and time",
        ),
        (
            "peers=10000 pieces=10 view=all",
            "100010000 connections are more than the 4000000 that fit into memory; let each peer know fewer others (view)",
        ),
        ("seed-up=-1", "seed-up is -1, but must be from 0 to 10000000"),
        ("up=NaN", "up is NaN, but must be from 0 to 10000000"),
        ("down=inf", "down is inf, but must be from 0 to 10000000"),
        ("up=0.0000001", "up=0.0000001: 0 or at least half a KiB/s is expected"),
        ("slots=0", "slots is 0, but must be from 1 to 10000"),
        ("slots=many", "slots=many: a number is expected"),
        ("view=0", "view is 0, but must be from 1 to 10000"),
        ("end-game=maybe", "end-game=maybe: on or off is expected"),
        ("announce=0", "announce is 0, but must be from 30 to 86400"),
    ];
    for (settings, expected) in cases {
        let refused = run("pieces", settings).expect_err(settings);
        assert_eq!(refused.to_string(), expected, "{settings}");
    }
    let refused = run("pieces", "speed=3").expect_err("there is no such setting").to_string();
    assert!(refused.contains("\"speed\"") && refused.contains("seed-up"), "{refused}");
    let refused = run("slots", "seed-rule=best").expect_err("there is no such rule").to_string();
    assert_eq!(refused, "seed-rule=best: turns or fastest is expected");
    let refused = run("seeds", "speed=3").expect_err("there is no such setting").to_string();
    assert!(refused.contains("stay") && !refused.contains("evenly"), "{refused}");
    let refused = run("slots", "slots=3").expect_err("the rows differ in it").to_string();
    assert_eq!(refused, "slots is what this experiment compares, so it cannot be set");
}

#[test]
fn the_smallest_swarms_are_simulated() {
    for experiment in experiments() {
        let outcome = run(experiment.name, "peers=1 pieces=1 repeat=1").expect(experiment.name);
        assert_eq!(outcome.rows.len(), outcome.runs.len(), "{}: one run a row", experiment.name);
    }
}

#[test]
fn a_swarm_in_which_nobody_can_finish_ends_and_says_so() {
    let endless = [("seed-up=0", "the seed gives nothing"), ("down=0", "nobody takes anything")];
    for (settings, why) in endless {
        let outcome = run("pieces", &format!("peers=10 pieces=10 {settings}")).expect("it ends");
        for run in &outcome.runs {
            assert_eq!(run.ending, Ending::NobodyCanFinish, "{why}");
            assert!(run.times.is_empty(), "{why}");
        }
        let warned = outcome.warnings.iter().any(|w| w.contains("in 4 of 4 runs nobody could"));
        assert!(warned, "{why}: {:?}", outcome.warnings);
    }
    // The only seed leaves after half a copy: the others share what they have, and then it is over.
    let seed = Class { stay: Stay::Copies(0.5), ..Class::seed(65536.0) };
    let setup = Setup::new(20, vec![seed, Class::new("peer", 10, 65536.0)]);
    let run = simulate(&setup, "", 0, &AtomicBool::new(false));
    assert_eq!((run.ending, run.times.len()), (Ending::NobodyCanFinish, 0));
    assert!((0.4..0.7).contains(&run.alive), "half of the pieces are left: {}", run.alive);
    let leech = run.samples.last().expect("there are samples");
    assert_eq!((leech.leechers, leech.rarest), (10, 0));
}

#[test]
fn a_swarm_is_slow_as_long_as_something_moves() {
    // Half an hour and more from one piece to the next.
    let outcome = run("pieces", "peers=3 pieces=2 down=0.5 piece-length=1024").expect("it ends");
    assert!(outcome.runs.iter().all(|run| run.ending == Ending::AllDone), "{:?}", outcome.warnings);
}

#[test]
fn a_run_that_is_stopped_says_so() {
    let stop = AtomicBool::new(true);
    let outcome = experiment("pieces").run(&Settings::new(&stop)).expect("nothing is wrong");
    assert!(outcome.runs.iter().all(|run| run.ending == Ending::Stopped));
    assert_eq!(outcome.warnings, ["in 4 of 4 runs the run was stopped"]);
}

#[test]
fn a_seed_that_hides_what_giving_is_worth_is_warned_of() {
    let outcome = run("free-riders", "peers=10 pieces=200 repeat=1 seed-up=100").expect("it runs");
    let weak = outcome.warnings.iter().find(|w| w.contains("the seed gives 100 KiB/s"));
    assert!(weak.is_some(), "{:?}", outcome.warnings);
    let outcome = run("free-riders", "peers=10 pieces=4 repeat=1").expect("it runs");
    let short = outcome.warnings.iter().find(|w| w.contains("nobody has time to trade"));
    assert!(short.is_some(), "{:?}", outcome.warnings);
    let outcome = run("free-riders", "peers=10 pieces=200 repeat=1").expect("it runs");
    assert_eq!(outcome.warnings, Vec::<String>::new());
}
