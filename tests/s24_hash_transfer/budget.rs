//! The budget that all peers share: how much in a time, and who gets it. The clock is a number.

use super::super::support::assert_number;
use super::giving::CLAUSE;
use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s24_hash_transfer::budget::Budget;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// The stranger with this number, and an IP of its own.
fn stranger(number: u8) -> Origin {
    Origin::of(Ipv4Addr::new(192, 0, 2, number).into())
}

/// How many times somebody gets this many bytes, before the first no.
fn times(budget: &mut Budget, bytes: u64, who: Origin, now: Instant) -> usize {
    (0..10_000).take_while(|_| budget.take(bytes, who, now)).count()
}

#[test]
fn one_stranger_gets_half_and_the_other_half_is_for_those_that_have_had_nothing() {
    let mut budget = Budget::new(32 * MIB, 128 * MIB);
    let start = Instant::now();
    assert_number("a flood gets", times(&mut budget, 8 * MIB, stranger(1), start), 8, CLAUSE, &[]);
    for number in 2..10 {
        let got = times(&mut budget, 8 * MIB, stranger(number), start);
        assert_number("each of the others gets, once", got, 1, CLAUSE, &[]);
    }
    assert_number("nothing is left", times(&mut budget, 1, stranger(10), start), 0, CLAUSE, &[]);
    // It fills up with time: three seconds are 96 of the 128 MiB.
    let later = start + Duration::from_secs(3);
    assert_number("after 3 s", times(&mut budget, 8 * MIB, stranger(1), later), 4, CLAUSE, &[]);
}

#[test]
fn a_budget_is_never_more_than_full() {
    let mut budget = Budget::new(32 * MIB, 128 * MIB);
    let start = Instant::now();
    for day in 0..3 {
        let now = start + Duration::from_secs(86_400 * day);
        assert_number("a day", times(&mut budget, MIB, stranger(1), now), 64, CLAUSE, &[]);
    }
    assert_number(
        "more than all at once",
        usize::from(budget.take(129 * MIB, stranger(2), start + Duration::from_secs(500_000))),
        0,
        CLAUSE,
        &[],
    );
}

/// Fifty strangers ask a hundred times a second each, for more than two minutes. A peer that was
/// sent a wrong piece asks, and asks again after two seconds if it must.
#[test]
fn under_a_flood_from_fifty_strangers_whoever_asks_seldom_gets_what_it_asks_for() {
    let mut budget = Budget::new(32 * MIB, 128 * MIB);
    let (start, mut flood) = (Instant::now(), 0);
    let mut waited: Vec<Option<u32>> = vec![None; 13];
    for tick in 0..14_000 {
        let now = start + Duration::from_millis(10) * tick;
        flood += (1..=50).filter(|one| budget.take(8 * MIB, stranger(*one), now)).count() as u64;
        // One peer after the other begins to ask, ten seconds apart.
        for (number, waited) in waited.iter_mut().enumerate() {
            let since = tick.checked_sub(500 + number as u32 * 1_000);
            let asks = waited.is_none() && since.is_some_and(|since| since % 200 == 0);
            if asks && budget.take(8 * MIB, stranger(100 + number as u8), now) {
                *waited = since;
            }
        }
    }
    let in_time = |waited: &Option<u32>| waited.is_some_and(|ticks| ticks <= 1_000);
    assert!(waited.iter().all(in_time), "got it after hundredths of a second: {waited:?}");
    let most = 128 + 32 * 140;
    assert!(flood * 8 <= most, "{} MiB were given, {most} are allowed", flood * 8);
    assert!(flood * 8 > most / 2, "what nobody else needs is given: {} MiB", flood * 8);
}

#[test]
fn asking_again_and_again_does_not_keep_a_budget_from_filling_up() {
    // A byte takes 1 ms to come in. A count of whole bytes would stay where it is.
    let mut budget = Budget::new(1_000, 2_000);
    let start = Instant::now();
    assert_number("at once", times(&mut budget, 1, stranger(1), start), 1_000, CLAUSE, &[]);
    let got = (1..=50_000)
        .filter(|step| budget.take(1, stranger(1), start + Duration::from_micros(20) * *step))
        .count();
    assert!((999..=1_001).contains(&got), "{got} bytes in a second of 1,000");
}
