//! Who waits, who has a slot, and since when: without a connection, and in invented time.

use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s17_seeding::choking::{ROUND, deal};
use piecemeal::s17_seeding::slots::{Change, Moment, Slots, Traffic};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// Slots, peers that are known by a letter, and a clock that is set by hand.
struct Desk {
    slots: Slots<char>,
    start: Instant,
    seconds: u64,
    seeding: bool,
    /// Bytes that have come from a peer, and gone to it.
    moved: fn(char, u64) -> (u64, u64),
}

/// A piece is this long.
const PIECE: u64 = 1000;

impl Desk {
    fn new(slots: usize, scarce: bool) -> Desk {
        let slots = Slots::new(slots, ROUND, scarce);
        Desk { slots, start: Instant::now(), seconds: 0, seeding: false, moved: |_, _| (0, 0) }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.seconds)
    }

    /// Each letter has an address of its own; they all came at the start.
    fn decide(
        &mut self,
        decide: impl FnOnce(&mut Slots<char>, &Moment<char>) -> Vec<Change<char>>,
    ) -> Vec<Change<char>> {
        let (start, seconds, moved) = (self.start, self.seconds, self.moved);
        let traffic = move |peer: &char| {
            let (came, went) = moved(*peer, seconds);
            let origin = Origin::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, *peer as u8)));
            Traffic { came, went, heard: start, start, origin }
        };
        let (now, seeding) = (self.now(), self.seeding);
        let moment = Moment { now, seeding, piece_length: PIECE, traffic: &traffic };
        decide(&mut self.slots, &moment)
    }

    fn fill(&mut self) -> Vec<Change<char>> {
        self.decide(|slots, moment| slots.fill(moment))
    }

    /// A round in which luck always draws the first ticket.
    fn round(&mut self) -> Vec<Change<char>> {
        let seeding = self.seeding;
        self.decide(|slots, moment| {
            slots.round(moment, |standings, count, lucky| {
                deal(seeding, standings, count, lucky, |_| 0)
            })
        })
    }

    /// A peer comes and is interested, in this second.
    fn comes(&mut self, peer: char, second: u64) {
        self.seconds = second;
        let now = self.now();
        let origin = Origin::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, peer as u8)));
        let traffic = Traffic { came: 0, went: 0, heard: now, start: now, origin };
        self.slots.enter(peer, &traffic, now);
        self.slots.set_interested(&peer, true, now);
    }
}

#[test]
fn a_free_slot_goes_to_the_peer_that_has_waited_longest_whatever_the_order_of_coming_in() {
    let mut desk = Desk::new(1, false);
    desk.comes('A', 3);
    desk.comes('B', 1);
    desk.comes('C', 2);
    assert_eq!(desk.fill(), [('B', true)], "B is interested since second 1, C since 2, A since 3");
    assert_eq!(desk.fill(), [], "nothing is free");
    desk.slots.leave(&'B');
    assert_eq!(desk.fill(), [('C', true)], "B has gone, and C is next in line");
}

#[test]
fn a_holder_that_wants_nothing_makes_room_only_for_a_peer_that_waits() {
    let mut desk = Desk::new(1, false);
    desk.comes('A', 0);
    assert_eq!(desk.fill(), [('A', true)]);
    let now = desk.now();
    desk.slots.set_interested(&'A', false, now);
    assert_eq!(desk.fill(), [], "nobody waits, so A keeps its slot");
    desk.comes('B', 1);
    assert_eq!(desk.fill(), [('A', false), ('B', true)], "B has a use for the slot");
}

#[test]
fn a_peer_that_was_uninterested_for_a_moment_goes_to_the_end_of_the_line() {
    let mut desk = Desk::new(1, false);
    for (peer, second) in [('A', 0), ('B', 1), ('C', 2)] {
        desk.comes(peer, second);
    }
    assert_eq!(desk.fill(), [('A', true)]);
    desk.seconds = 3;
    let now = desk.now();
    desk.slots.set_interested(&'B', false, now);
    desk.slots.set_interested(&'B', true, now);
    desk.slots.leave(&'A');
    assert_eq!(desk.fill(), [('C', true)], "C has waited since second 2, B only since 3");
}

#[test]
fn a_round_counts_what_came_in_the_last_two_rounds_and_not_what_came_before() {
    let mut desk = Desk::new(2, false);
    // A was generous in the first second; B gives a byte a second.
    desk.moved = |peer, seconds| match (peer, seconds) {
        ('A', 1..) => (5000, 0),
        ('B', _) => (seconds, 0),
        _ => (0, 0),
    };
    for (peer, second) in [('A', 0), ('B', 0), ('C', 0)] {
        desk.comes(peer, second);
    }
    assert_eq!(desk.fill(), [('A', true), ('B', true)]);
    let mut has = |second: u64| {
        desk.seconds = second;
        desk.round()
    };
    assert_eq!(has(10), [], "A gave 5,000 bytes, and B is lucky");
    assert_eq!(has(20), [], "A's bytes came after the round before the last one: they count");
    let third = has(30);
    assert_eq!(third, [('A', false), ('C', true)], "A has given nothing for two rounds; B has");
}

#[test]
fn a_seed_with_a_limit_takes_the_slot_of_a_peer_that_is_ahead_and_any_other_does_not() {
    for scarce in [true, false] {
        let mut desk = Desk::new(2, scarce);
        desk.seeding = true;
        // Once it has a slot, A takes much more than B.
        desk.moved = |peer, seconds| match (peer, seconds) {
            ('A', 1..) => (0, 50 * PIECE),
            ('B', 1..) => (0, PIECE),
            _ => (0, 0),
        };
        for peer in ['A', 'B', 'C'] {
            desk.comes(peer, 0);
        }
        assert_eq!(desk.fill(), [('A', true), ('B', true)]);
        desk.seconds = 5;
        let expected: &[Change<char>] = if scarce { &[('A', false), ('C', true)] } else { &[] };
        assert_eq!(desk.fill(), expected, "with a limit: {scarce}");
    }
}
