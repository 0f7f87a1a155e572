//! What is known about swarms comes out of the simulation: each experiment, with a band for it.
//!
//! The seeds are fixed, so a test fails only if the simulator or a rule of the client has changed.
//! Then look at the experiment first (`piecemeal simulate NAME`), and only then at the band.

use super::asked::run;
use piecemeal::simulate::outcome::Outcome;

/// The number in a row and a column of an experiment's table.
#[track_caller]
fn value(outcome: &Outcome, row: &str, column: &str) -> f64 {
    let at = outcome.columns.iter().position(|head| head == column);
    let at = at.unwrap_or_else(|| panic!("no column {column:?} in {:?}", outcome.columns));
    let found = outcome.rows.iter().find(|other| other.label == row);
    let found = found.unwrap_or_else(|| panic!("no row {row:?}"));
    found.values[at].unwrap_or_else(|| panic!("{row}: nothing in the column {column:?}"))
}

/// Fails unless a number is in its band.
#[track_caller]
fn assert_in(what: &str, found: f64, least: f64, most: f64, table: &Outcome) {
    let rows: Vec<String> =
        table.rows.iter().map(|row| format!("{}: {}", row.label, row.cells.join(", "))).collect();
    assert!(
        (least..=most).contains(&found),
        "{what} is {found:.3}, and should be from {least} to {most}; {}:\n  {}",
        table.columns.join(", "),
        rows.join("\n  ")
    );
}

#[test]
fn a_missing_piece_stays_missing_if_peers_come_faster_than_the_seed_gives_it() {
    let table = run("missing-piece", "pieces=10").expect("nothing is wrong");
    let off = |row: &str| value(&table, row, "growth a second") - value(&table, row, "in theory");
    for rate in [4, 2, 1] {
        let row = format!("{rate} a second, rarest first");
        assert_in(&format!("off by, {row}"), off(&row), -0.15, 0.15, &table);
    }
    let left = value(&table, "0.25 a second, rarest first", "peers after 400 s");
    assert_in("the club at 0.25 a second", left, 0.0, 20.0, &table);
    let (rarest, random) = (off("4 a second, rarest first"), off("4 a second, random"));
    assert_in("rarest first against random", rarest - random, -0.1, 0.1, &table);
    // And with four a second the club does grow.
    let grown = value(&table, "4 a second, random", "peers after 400 s");
    assert_in("the club at 4 a second", grown, 1000.0, 2000.0, &table);
}

#[test]
fn the_time_does_not_depend_on_how_many_come_only_on_how_long_they_stay() {
    let table = run("fluid", "").expect("nothing is wrong");
    let mut ratios = Vec::new();
    for stay in ["0", "200", "400"] {
        let row = |rate: &str| format!("{rate} a second, stay {stay} s");
        for rate in ["0.05", "0.2"] {
            assert_in(&row(rate), value(&table, &row(rate), "eta"), 0.88, 1.0, &table);
            ratios.push(value(&table, &row(rate), "L / (lambda T)"));
        }
        let few = value(&table, &row("0.05"), "time");
        let many = value(&table, &row("0.2"), "time");
        assert_in(&format!("many by few, stay {stay}"), many / few, 0.94, 1.06, &table);
    }
    // Of each row alone, the edges of the time that is looked at make more of a difference.
    let little = ratios.iter().sum::<f64>() / ratios.len() as f64;
    assert_in("Little's law", little, 0.95, 1.05, &table);
}

#[test]
fn rarest_first_survives_the_seed_that_leaves() {
    let table = run("leaving-seed", "peers=50 pieces=80").expect("nothing is wrong");
    let survives = |row| value(&table, row, "survives");
    assert_in("rarest first", survives("rarest first"), 8.0, 10.0, &table);
    assert_in("random", survives("random"), 0.0, 2.0, &table);
    assert_in("in order", survives("in order"), 0.0, 0.0, &table);
}

#[test]
fn with_rarest_first_a_whole_copy_is_out_soonest() {
    let table = run("pieces", "peers=100").expect("nothing is wrong");
    let by_least = |row| value(&table, row, "by the least time");
    let (rarest, random) = (by_least("rarest first"), by_least("random"));
    assert_in("rarest first", rarest, 1.0, 1.5, &table);
    assert_in("random by rarest first", random / rarest, 1.7, 4.0, &table);
    assert_in("in order by random", by_least("in order") / random, 1.5, 10.0, &table);
    let median = |row| value(&table, row, "median time");
    assert!(median("rarest first") < median("random"));
    assert!(median("random") < median("in order"));
    // A seed that gives in turn serves more peers, which know less of what the others have.
    let in_turn = by_least("rarest first, in turn");
    assert_in("rarest first from a seed that gives in turn", in_turn, rarest, 1.9, &table);
}

#[test]
fn like_gives_to_like_unless_the_seed_is_weak() {
    let table = run("clustering", "repeat=1").expect("nothing is wrong");
    let fast = |row| value(&table, row, "fast to fast");
    assert_in("with a strong seed", fast("seed 400 KiB/s"), 0.6, 1.0, &table);
    assert_in("with a weak seed", fast("seed 100 KiB/s"), 0.0, 0.4, &table);
    let third = 1.0 / 3.0;
    let random = fast("seed 1,000, random slots");
    assert_in("with random slots", random, third - 0.05, third + 0.05, &table);
    let times = ["slow", "medium", "fast"].map(|class| value(&table, "seed 100 KiB/s", class));
    let (least, most) =
        (times.iter().copied().fold(f64::MAX, f64::min), times.iter().copied().fold(0.0, f64::max));
    assert_in(
        "the slowest class by the fastest, with a weak seed",
        most / least,
        1.0,
        1.03,
        &table,
    );
}

#[test]
fn free_riders_wait_only_where_others_trade() {
    let table = run("free-riders", "repeat=1").expect("nothing is wrong");
    let ratio = |row| value(&table, row, "ratio");
    assert_in("30 %, tit for tat", ratio("30 %, tit for tat"), 1.2, 3.0, &table);
    for row in ["30 %, random slots", "30 %, slots for all"] {
        assert_in(row, ratio(row), 0.96, 1.04, &table);
    }
    for row in &table.rows {
        let done = value(&table, &row.label, "free riders done");
        assert_in(&format!("{}: nobody starves", row.label), done, 100.0, 100.0, &table);
    }
}

#[test]
fn free_riders_that_know_all_win_while_they_are_few() {
    let table = run("large-view", "").expect("nothing is wrong");
    let ratio = |row| value(&table, row, "ratio");
    assert_in("2 %", ratio("2 % that know all"), 0.0, 0.9, &table);
    assert_in("40 %", ratio("40 % that know all"), 1.3, 9.0, &table);
    // With as few connections as the honest have, it does not help to be few.
    assert_in("2 % that know 35", ratio("2 % that know 35"), 1.2, 9.0, &table);
}

#[test]
fn a_seed_that_gives_in_turn_does_not_feed_free_riders() {
    let table = run("seeds", "peers=40 pieces=800").expect("nothing is wrong");
    let share = |row| value(&table, row, "of the seed's bytes");
    let by_half = share("in turn") / share("to the fastest");
    assert_in("in turn, by what it was", by_half, 0.0, 0.5, &table);
    let evenly = share("in turn, evenly");
    assert_in("in turn and evenly", evenly, 0.0, share("in turn"), &table);
}

#[test]
fn a_super_seed_gives_little_more_than_one_copy() {
    let table = run("super-seed", "repeat=1").expect("nothing is wrong");
    let copies = |row| value(&table, row, "copies given by then");
    assert_in("a super seed", copies("super seed"), 1.0, 1.25, &table);
    assert_in("a seed", copies("shows all"), 1.4, 3.0, &table);
}

#[test]
fn shares_are_better_than_slots_and_nothing_is_worse() {
    let table = run("strategies", "peers=60 repeat=10").expect("nothing is wrong");
    let time = |row| value(&table, row, "its time");
    let tit = time("tit for tat");
    assert_in("proportional share", time("proportional share") / tit, 0.5, 1.0, &table);
    assert_in("the free rider", time("free rider") / tit, 1.8, 9.0, &table);
}

#[test]
fn tit_for_tat_is_good_for_oneself_and_random_slots_are_good_for_the_swarm() {
    let table = run("everybody", "repeat=1").expect("nothing is wrong");
    let (tit, random) = ("tit for tat", "random slots");
    let mean = |row| value(&table, row, "mean");
    assert!(mean(random) < mean(tit), "{:?}", table.rows);
    // Fair is 1 for each.
    let unfair = |row| {
        let gave =
            ["slow gave", "medium gave", "fast gave"].map(|column| value(&table, row, column));
        gave.iter().map(|gave| (gave - 1.0).abs()).sum::<f64>()
    };
    assert_in(
        "counting blocks, by tit for tat",
        unfair("counting blocks") / unfair(tit),
        0.0,
        1.0,
        &table,
    );
    assert_in("random, by tit for tat", unfair(random) / unfair(tit), 1.0, 9.0, &table);
    assert!(value(&table, tit, "fast") < value(&table, random, "fast"), "{:?}", table.rows);
}

#[test]
fn the_end_game_helps_those_that_wait_for_a_slow_peer() {
    let table = run("end-game", "").expect("nothing is wrong");
    let last = |row: String| value(&table, &row, "last peer");
    let gain =
        |rows: &str| 1.0 - last(format!("{rows}, with it")) / last(format!("{rows}, without"));
    assert_in("gain where a third is slow", gain("a third is slow"), 0.15, 0.9, &table);
    assert_in("gain where all are alike", gain("all alike"), -0.01, 0.04, &table);
}

#[test]
fn with_more_slots_less_of_the_lines_is_used() {
    let table = run("slots", "peers=100 pieces=100").expect("nothing is wrong");
    let used: Vec<f64> = table.rows.iter().filter_map(|row| row.values[0]).collect();
    assert_eq!(used.len(), 6);
    // Monotone, up to noise.
    assert!(used.windows(2).all(|pair| pair[1] <= pair[0] + 0.02), "{used:?}");
    assert_in("2 slots against 20", used[0] - used[5], 0.2, 1.0, &table);
}

#[test]
fn a_fast_newcomer_finds_partners_where_there_is_luck_or_free_slots() {
    // Nothing is claimed of luck itself: free slots go to whoever has waited longest, which is luck
    // of another kind.
    let table = run("luck", "repeat=1").expect("nothing is wrong");
    let rate = |row| value(&table, row, "the newcomer gets");
    for row in ["with luck", "without luck", "random slots"] {
        assert_in(row, rate(row), 64.0, 512.0, &table);
    }
}
