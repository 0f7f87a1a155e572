//! Who gets a slot: each rule by itself, and then the rules that always hold.

use super::super::support::assert_chosen;
use super::memory::Dice;
use piecemeal::s17_seeding::choking::{Decision, Standing, decide};

/// Somebody who is interested, has been here for long, and has brought so many bytes.
fn brings(bytes: u64) -> Standing {
    Standing { interested: true, bytes, ..Standing::default() }
}

fn holds(bytes: u64) -> Standing {
    Standing { unchoked: true, ..brings(bytes) }
}

fn newcomer() -> Standing {
    Standing { newcomer: true, ..brings(0) }
}

/// Decides; luck always draws the first ticket.
fn first(peers: &[Standing], slots: usize, lucky: Option<usize>) -> Decision {
    decide(peers, slots, lucky, |tickets| {
        assert!(tickets > 0, "nobody draws from an empty hat");
        0
    })
}

/// Who got a slot for what it is worth, in order.
fn by_merit(decision: &Decision) -> Vec<usize> {
    let mut chosen: Vec<usize> = decision
        .unchoked
        .iter()
        .copied()
        .filter(|number| Some(*number) != decision.lucky)
        .collect();
    chosen.sort_unstable();
    chosen
}

/// Fails unless these peers got the slots for what they are worth. `why` says what that is.
#[track_caller]
fn assert_merit(decision: &Decision, expected: &[usize], why: &str) {
    let slots = "the peers that get a slot for what they are worth";
    assert_chosen(slots, &by_merit(decision)[..], expected, why, "BEP 3, choking");
}

/// Fails unless the slot for luck went to this peer.
#[track_caller]
fn assert_lucky(decision: &Decision, expected: Option<usize>, why: &str) {
    assert_chosen("the peer that is lucky", decision.lucky, expected, why, "BEP 3, choking");
}

#[test]
fn who_has_brought_most_gets_the_slots_but_one() {
    let decision = first(&[brings(10), brings(500), brings(0), brings(400), brings(300)], 4, None);
    let why =
        "three of four slots go to the peers that gave most: of 10, 500, 0, 400 and 300 bytes";
    assert_merit(&decision, &[1, 3, 4], why);
    assert_lucky(&decision, Some(0), "of the others, the first that the draw names");
    assert_eq!(decision.unchoked.len(), 4);
}

#[test]
fn among_equals_who_has_a_slot_keeps_it() {
    let decision = first(&[brings(7), brings(7), holds(7), brings(7), holds(7)], 3, None);
    assert_merit(&decision, &[2, 4], "all gave 7 bytes, and these two have a slot already");
    // But only among equals.
    let decision = first(&[brings(8), brings(8), holds(7), brings(7), holds(7)], 3, None);
    assert_merit(&decision, &[0, 1], "they gave 8 bytes, and those that have a slot gave 7");
}

#[test]
fn who_has_made_nothing_of_its_slot_comes_behind_those_that_wait() {
    let idle = Standing { idle: true, ..holds(0) };
    let decision = first(&[idle, idle, brings(0), brings(0)], 3, None);
    assert_merit(&decision, &[2, 3], "the others have made nothing of their slots");
    // Where nobody waits, it may as well keep it.
    assert_merit(&first(&[idle, idle], 3, None), &[0, 1], "nobody else wants a slot");
}

#[test]
fn among_equals_without_a_slot_who_came_first_comes_first() {
    let decision = first(&[brings(7), brings(7), brings(7)], 3, None);
    assert_merit(&decision, &[0, 1], "all gave 7 bytes, and these have waited longest");
}

#[test]
fn who_is_not_interested_gets_no_slot_however_much_it_brings() {
    let idle = Standing { interested: false, ..holds(u64::MAX) };
    let decision = first(&[idle, brings(1), idle], 8, Some(2));
    assert_eq!(decision, Decision { unchoked: vec![1], lucky: None });
    assert_eq!(first(&[idle, idle], 8, None), Decision::default());
}

#[test]
fn who_snubs_us_comes_behind_all_others() {
    let snubs = Standing { snubs: true, ..holds(1000) };
    let decision = first(&[snubs, brings(1), brings(0), brings(0)], 3, None);
    assert_merit(&decision, &[1, 2], "peer 0 has given nothing for a minute: it snubs us");
    // Where there is room, it gets a slot all the same: it would stand empty.
    assert_merit(&first(&[snubs, brings(1)], 3, None), &[0, 1], "there is a slot for each");
    // And it has a ticket for the draw.
    let decision = first(&[brings(3), brings(2), snubs], 3, None);
    assert_lucky(&decision, Some(2), "one that snubs us still has a ticket for the draw");
}

#[test]
fn luck_stays_while_it_may() {
    let peers = [brings(9), brings(8), brings(0), brings(0), brings(0)];
    for number in [2, 3, 4] {
        let decision = decide(&peers, 3, Some(number), |_| panic!("nobody draws"));
        assert_merit(&decision, &[0, 1], "they gave 9 and 8 bytes, and the others nothing");
        assert_lucky(&decision, Some(number), "it had the slot for luck, and may keep it");
    }
}

#[test]
fn luck_passes_on_when_it_is_not_needed_any_more() {
    // It has risen by merit; is not interested; or is gone, and its number nobody's.
    let risen = first(&[brings(9), brings(8), brings(0)], 3, Some(0));
    assert_merit(&risen, &[0, 1], "they gave 9 and 8 bytes, and the other nothing");
    assert_lucky(&risen, Some(2), "peer 0 has a slot for what it gave now");
    let idle = Standing { interested: false, ..holds(0) };
    let left = first(&[brings(9), brings(8), idle, brings(0)], 3, Some(2));
    assert_merit(&left, &[0, 1], "they gave 9 and 8 bytes, and the others nothing");
    assert_lucky(&left, Some(3), "peer 2 is no longer interested");
    let gone = first(&[brings(9), brings(8), brings(0)], 3, Some(77));
    assert_merit(&gone, &[0, 1], "they gave 9 and 8 bytes, and the other nothing");
    assert_lucky(&gone, Some(2), "the one that was lucky is gone");
}

#[test]
fn a_newcomer_has_three_tickets_and_others_one() {
    // One slot, so that all are in the draw: 3 + 1 + 3 + 1 tickets.
    let peers = [newcomer(), brings(5), newcomer(), holds(5)];
    let mut wins = [0; 4];
    for ticket in 0..8 {
        let decision = decide(&peers, 1, None, |tickets| {
            assert_eq!(tickets, 8);
            ticket
        });
        wins[decision.lucky.expect("somebody wins")] += 1;
        assert_eq!(decision.unchoked, [decision.lucky.expect("somebody wins")]);
    }
    assert_eq!(wins, [3, 1, 3, 1]);
}

#[test]
fn who_has_a_slot_by_merit_takes_no_part_in_the_draw() {
    let seen = decide(&[brings(9), brings(8), newcomer(), brings(0)], 3, None, |tickets| {
        assert_eq!(tickets, 4);
        3
    });
    assert_eq!(seen.lucky, Some(3));
}

#[test]
fn no_slot_is_nobody_and_one_slot_is_all_luck() {
    let peers = [brings(9), brings(8), brings(7)];
    let nobody = decide(&peers, 0, Some(1), |_| panic!("nobody draws"));
    assert_eq!(nobody, Decision::default());
    assert_eq!(decide(&peers, 1, None, |_| 2), Decision { unchoked: vec![2], lucky: Some(2) });
    assert_eq!(
        decide(&peers, 1, Some(1), |_| panic!("nobody draws")),
        Decision { unchoked: vec![1], lucky: Some(1) }
    );
}

#[test]
fn where_there_are_fewer_peers_than_slots_all_have_one_and_nobody_is_lucky() {
    let peers = [brings(9), brings(0), newcomer()];
    for slots in 4..10 {
        let decision = decide(&peers, slots, None, |_| panic!("nobody draws"));
        assert_merit(&decision, &[0, 1, 2], &format!("there are {slots} slots, one for each"));
        assert_lucky(&decision, None, "nobody needs luck where there is a slot for each");
    }
    // As many as slots: the last one is there by luck, and has nobody to fear.
    let decision = first(&peers, 3, None);
    assert_eq!((decision.unchoked.len(), decision.lucky.is_some()), (3, true));
    assert_eq!(first(&[], 4, Some(0)), Decision::default());
}

/// What holds whatever the peers are like.
fn holds_always(peers: &[Standing], slots: usize, lucky: Option<usize>, decision: &Decision) {
    let Decision { unchoked, lucky: drawn } = decision;
    let interested: Vec<usize> =
        (0..peers.len()).filter(|number| peers[*number].interested).collect();
    assert_eq!(
        unchoked.len(),
        interested.len().min(slots),
        "no slot stands empty while somebody wants it"
    );
    for (at, number) in unchoked.iter().enumerate() {
        assert!(interested.contains(number), "{number} wants nothing");
        assert!(!unchoked[..at].contains(number), "{number} has two slots");
    }
    assert_eq!(
        drawn.is_some(),
        slots > 0 && interested.len() >= slots,
        "one slot is for luck, if all are needed"
    );
    assert!(drawn.is_none_or(|drawn| unchoked.contains(&drawn)));
    // Nobody with a slot by merit has earned less than somebody without one.
    let worth = |number: usize| (!peers[number].snubs, peers[number].bytes, peers[number].unchoked);
    let merit = by_merit(decision);
    for other in interested.iter().filter(|other| !merit.contains(other)) {
        assert!(
            merit.iter().all(|number| worth(*number) >= worth(*other)),
            "{other} has earned more"
        );
    }
    if let Some(before) =
        lucky.filter(|before| interested.contains(before) && !merit.contains(before) && slots > 0)
    {
        assert_eq!(*drawn, Some(before), "luck stays");
    }
}

#[test]
fn the_rules_hold_for_peers_of_all_kinds() {
    let mut dice = Dice::new(12);
    for _ in 0..20_000 {
        let peers: Vec<Standing> = (0..dice.roll(9))
            .map(|_| Standing {
                interested: !dice.one_in(4),
                unchoked: dice.one_in(2),
                bytes: u64::from(dice.roll(4)),
                snubs: dice.one_in(4),
                newcomer: dice.one_in(3),
                ..Standing::default()
            })
            .collect();
        let slots = dice.roll(6) as usize;
        let lucky = dice.one_in(2).then(|| dice.roll(10) as usize);
        let decision = decide(&peers, slots, lucky, |tickets| dice.roll(tickets as u32) as usize);
        holds_always(&peers, slots, lucky, &decision);
    }
}

#[test]
fn the_rules_hold_for_all_small_swarms() {
    // Three peers, each of 24 kinds, with 0 to 4 slots and every luck there can be.
    let kind = |number: u32| Standing {
        interested: number & 1 != 0,
        unchoked: number & 2 != 0,
        snubs: number & 4 != 0,
        bytes: u64::from(number / 8),
        ..Standing::default()
    };
    for kinds in 0..24u32.pow(3) {
        let peers = [kind(kinds % 24), kind(kinds / 24 % 24), kind(kinds / 576)];
        for slots in 0..5 {
            for lucky in [None, Some(0), Some(1), Some(2), Some(3)] {
                let decision = first(&peers, slots, lucky);
                holds_always(&peers, slots, lucky, &decision);
            }
        }
    }
}
