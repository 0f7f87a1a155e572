//! Who gets a free place, and who makes way when there is none.

use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s14_peer_list::places::{Activity, Aims, Contenders, Member, Places, Why};
use std::time::{Duration, Instant};

const DOWNLOAD: Aims = Aims { learning: false, gives_only: false };
const SEED: Aims = Aims { learning: false, gives_only: true };
const LEARNING: Aims = Aims { learning: true, gives_only: false };
const TURN: Duration = Duration::from_secs(15);
/// Longer than any test's time.
const NO_TURN: Duration = Duration::from_secs(100_000);

fn letter(name: &str) -> Origin {
    Origin::of([192, 0, 2, name.as_bytes()[0]].into())
}

fn origins(names: &str) -> Vec<Origin> {
    names.split_whitespace().map(letter).collect()
}

/// `-` is nobody.
fn contenders(waits: &str, named: &str) -> Contenders {
    let contender = |name: &str| (name != "-").then(|| letter(name));
    Contenders { waits: contender(waits), named: contender(named) }
}

fn after(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

/// A peer that has been connected since `start`, and wants nothing.
fn idle(number: u32, name: &str, start: Instant) -> Member {
    let activity = Activity {
        since: start,
        last_useful: None,
        bytes: 0,
        am_interested: false,
        peer_interested: false,
    };
    Member { number, origin: letter(name), activity: Some(activity) }
}

/// A peer that has given this many bytes, the last of them at a certain time.
fn giver(number: u32, name: &str, bytes: u64, last: Instant) -> Member {
    let activity = Activity {
        since: last,
        last_useful: Some(last),
        bytes,
        am_interested: true,
        peer_interested: false,
    };
    Member { number, origin: letter(name), activity: Some(activity) }
}

fn dialed(number: u32, name: &str) -> Member {
    Member { number, origin: letter(name), activity: None }
}

#[test]
fn a_free_place_goes_to_the_ip_with_fewer_and_equals_take_turns() {
    for (held, waits, named, after_a_dial, after_a_connection) in [
        // There is only one, or nobody.
        ("", "-", "-", false, false),
        ("", "-", "B", false, false),
        ("A A A", "A", "-", true, true),
        // The IP with fewer places, whoever was last.
        ("A", "A", "B", false, false),
        ("B", "A", "B", true, true),
        ("A A B", "A", "B", false, false),
        ("A B B C C C", "A", "B", true, true),
        // Equals, and two of one IP.
        ("", "A", "B", true, false),
        ("A B C C", "A", "B", true, false),
        ("A A", "A", "A", true, false),
    ] {
        for (last_was_dialed, receives) in [(true, after_a_dial), (false, after_a_connection)] {
            let mut places = Places::default();
            places.note_filled(last_was_dialed);
            let first = places.lobby_first(&origins(held), contenders(waits, named));
            assert_eq!(
                first, receives,
                "{held:?} have places, {waits} waits, {named} is named, dialed: {last_was_dialed}"
            );
        }
    }
}

#[test]
fn a_connection_that_waits_displaces_a_peer_of_a_crowded_ip() {
    let now = Instant::now();
    for (waits, goes) in
        [("C", Some((2, Why::Crowded))), ("B", Some((2, Why::Crowded))), ("A", None), ("-", None)]
    {
        // All of them are useful. The third has given least of those from A.
        let members = [
            giver(0, "A", 30, now),
            giver(1, "A", 20, now),
            giver(2, "A", 10, now),
            giver(3, "B", 1, now),
        ];
        assert_eq!(
            Places::default().who_leaves(&members, contenders(waits, "-"), DOWNLOAD, NO_TURN, now),
            goes,
            "{waits}"
        );
    }
    // One more than the newcomer is no crowd.
    let members = [giver(0, "A", 30, now), giver(1, "A", 20, now), giver(2, "B", 1, now)];
    assert_eq!(
        Places::default().who_leaves(&members, contenders("B", "-"), DOWNLOAD, NO_TURN, now),
        None
    );
}

#[test]
fn an_address_that_is_only_named_displaces_nobody_but_an_unproved_peer_of_a_crowded_ip() {
    let start = Instant::now();
    let mut members =
        [idle(0, "A", start), idle(1, "A", start), giver(2, "B", 5, after(start, 300))];
    for member in &mut members[..2] {
        // What they want gives them time, if nobody else of their IP is here.
        member.activity.as_mut().expect("it is connected").am_interested = true;
    }
    let asked = |members: &[Member], named, aims, seconds| {
        Places::default().who_leaves(
            members,
            contenders("-", named),
            aims,
            NO_TURN,
            after(start, seconds),
        )
    };
    assert_eq!(asked(&members, "C", DOWNLOAD, 9), None, "there was no time yet to be of use");
    let goes = asked(&members, "C", DOWNLOAD, 10).expect("one makes way");
    assert!(goes.0 < 2 && goes.1 == Why::Unproved, "{goes:?}");
    assert_eq!(asked(&members, "A", DOWNLOAD, 10), None, "not for another of its own IP");
    assert_eq!(asked(&members, "C", SEED, 10), None, "a seed's peers wait for a slot");
    assert_eq!(asked(&members[1..], "C", DOWNLOAD, 10), None, "one of an IP is no crowd");
    for member in &mut members[..2] {
        member.activity.as_mut().expect("it is connected").last_useful = Some(start);
    }
    assert_eq!(asked(&members, "C", DOWNLOAD, 10), None, "they have been of use");
}

#[test]
fn a_useless_peer_keeps_its_place_for_a_time_that_depends_on_what_it_is_for() {
    let start = Instant::now();
    for (was_useful, am_interested, peer_interested, aims, seconds) in [
        (false, false, false, DOWNLOAD, 10),
        (false, true, false, DOWNLOAD, 90),
        (false, false, true, DOWNLOAD, 90),
        (false, true, true, DOWNLOAD, 90),
        (true, false, false, DOWNLOAD, 180),
        (true, true, true, DOWNLOAD, 180),
        // It may bring the info dictionary, which is no block.
        (false, false, false, LEARNING, 90),
        // It is in line for a slot.
        (false, false, true, SEED, 180),
        (false, false, false, SEED, 10),
        (true, false, true, SEED, 180),
    ] {
        let last_useful = was_useful.then_some(start);
        let activity =
            Activity { since: start, last_useful, bytes: 0, am_interested, peer_interested };
        let member = Member { number: 7, origin: letter("A"), activity: Some(activity) };
        for (waits, named) in [("B", "-"), ("-", "B")] {
            let goes = |at: u64| {
                Places::default().who_leaves(
                    &[member],
                    contenders(waits, named),
                    aims,
                    NO_TURN,
                    after(start, at),
                )
            };
            let what = format!(
                "useful {was_useful}, interested {am_interested} and {peer_interested}, {aims:?}"
            );
            assert_eq!(goes(seconds - 1), None, "{what}");
            assert_eq!(goes(seconds), Some((7, Why::Useless)), "{what}");
        }
        let long_after = after(start, 10_000);
        assert_eq!(
            Places::default().who_leaves(
                &[member],
                contenders("-", "-"),
                aims,
                NO_TURN,
                long_after
            ),
            None,
            "nobody waits"
        );
    }
}

#[test]
fn of_useless_peers_the_one_that_has_overstayed_most_goes() {
    let start = Instant::now();
    // 90 s beyond its 10 s; 20 s beyond its 180 s, although it has not given anything for longer.
    let members = [
        giver(1, "A", 5, start),
        idle(2, "B", after(start, 100)),
        giver(3, "C", 5, after(start, 199)),
    ];
    let goes = Places::default().who_leaves(
        &members,
        contenders("D", "-"),
        DOWNLOAD,
        NO_TURN,
        after(start, 200),
    );
    assert_eq!(goes, Some((2, Why::Useless)));
}

#[test]
fn the_slowest_goes_once_in_a_turn_and_only_among_those_whose_speed_is_known() {
    let start = Instant::now();
    let mut places = Places::default();
    // A gives 100 bytes a second, B 10, and D, which comes after 20 s, a single one. C is being dialed.
    let mut asked = |second: u64| {
        let now = after(start, second);
        let mut members =
            vec![giver(1, "A", 100 * second, now), giver(2, "B", 10 * second, now), dialed(3, "C")];
        if second >= 20 {
            members.push(giver(4, "D", second - 19, now));
        }
        places.who_leaves(&members, contenders("E", "-"), DOWNLOAD, TURN, now)
    };
    assert_eq!(asked(0), None, "a turn begins");
    assert_eq!(asked(14), None);
    assert_eq!(asked(15), None, "what went before is not known, only what went in all");
    assert_eq!(asked(29), None, "the turn is not over");
    assert_eq!(
        asked(30),
        Some((2, Why::Slowest)),
        "D is slower, and was not here for a whole turn"
    );
    assert_eq!(asked(31), None, "one in a turn");
    assert_eq!(asked(44), None);
    assert_eq!(asked(45), Some((4, Why::Slowest)));
}

#[test]
fn the_slowest_is_told_by_what_went_lately_and_not_by_what_went_in_all() {
    let start = Instant::now();
    let mut places = Places::default();
    let mut asked = |second: u64, bytes: [u64; 2]| {
        let now = after(start, second);
        let members = [giver(1, "A", bytes[0], now), giver(2, "B", bytes[1], now)];
        places.who_leaves(&members, contenders("-", "C"), DOWNLOAD, TURN, now)
    };
    asked(0, [0, 0]);
    asked(15, [1_000_000, 10]);
    asked(30, [1_000_010, 500]);
    // A was fast once. In the last two turns B was faster.
    assert_eq!(asked(45, [1_000_020, 1000]), Some((1, Why::Slowest)));
}

#[test]
fn a_peer_that_is_being_dialed_never_makes_way_and_still_counts_for_its_ip() {
    let start = Instant::now();
    let mut places = Places::default();
    let members = [dialed(0, "A"), dialed(1, "A"), dialed(2, "A")];
    for second in (0..1000).step_by(15) {
        let goes =
            places.who_leaves(&members, contenders("B", "C"), DOWNLOAD, TURN, after(start, second));
        assert_eq!(goes, None, "after {second} s");
    }
    let members = [
        dialed(0, "A"),
        giver(1, "A", 1_000_000, start),
        giver(2, "B", 1, start),
        giver(3, "D", 1, start),
    ];
    let goes = Places::default().who_leaves(&members, contenders("C", "-"), DOWNLOAD, TURN, start);
    assert_eq!(goes, Some((1, Why::Crowded)));
}

#[test]
fn when_the_system_refuses_a_connection_nobody_is_dialed_for_a_second() {
    let (mut places, now) = (Places::default(), Instant::now());
    assert!(!places.is_paused(now));
    places.pause_dialing(now);
    assert!(places.is_paused(now) && places.is_paused(now + Duration::from_millis(999)));
    assert!(!places.is_paused(after(now, 1)));
}
