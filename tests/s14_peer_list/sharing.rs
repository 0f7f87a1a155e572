//! Places are shared by address: the rule as a table.

use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s14_peer_list::sharing::{Holder, first_to_go, makes_way, next_in_turn};

fn origin(address: &str) -> Origin {
    Origin::of(address.parse().expect("an address"))
}

/// `A3 B- C0`: addresses of those that have a place, each with its worth; `-` stays in any
/// case.
fn holders(list: &str) -> Vec<Holder<u32>> {
    let holder = |text: &str| Holder { origin: letter(&text[..1]), worth: text[1..].parse().ok() };
    list.split_whitespace().map(holder).collect()
}

/// `A B A`: a line of addresses.
fn line(list: &str) -> Vec<Origin> {
    list.split_whitespace().map(letter).collect()
}

fn letter(name: &str) -> Origin {
    Origin::of([192, 0, 2, name.as_bytes()[0]].into())
}

#[test]
fn an_ipv4_address_counts_by_itself_and_an_ipv6_address_with_its_network() {
    for (one, other, same) in [
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("127.0.0.1", "127.0.0.2", false),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
        ("2001:db8:0:7::1", "2001:db8:0:7:ffff:ffff:ffff:ffff", true),
        ("2001:db8:0:7::1", "2001:db8:0:8::1", false),
        ("::1", "::1", true),
        ("::1", "127.0.0.1", false),
    ] {
        assert_eq!(origin(one) == origin(other), same, "{one} and {other}");
    }
}

#[test]
fn the_address_with_the_most_places_makes_way_with_the_least_of_its_own() {
    for (held, newcomer, goes) in [
        // Everybody has one, or one more than the newcomer: nobody makes way.
        ("", "A", None),
        ("A5", "A", None),
        ("A5", "B", None),
        ("A5 B5 C5", "D", None),
        ("A5 A4 B1", "B", None),
        ("A5 A4 A3 B1 B2", "B", None),
        // Two more than the newcomer: the least of them, wherever it is in the list.
        ("A5 A4", "B", Some(1)),
        ("A4 A5 C0", "B", Some(0)),
        ("C0 D0 A5 A4 A3 E0", "B", Some(4)),
        ("A5 A4 A3 B1", "B", Some(2)),
        // Of two addresses with the same number, the one whose least is worth less.
        ("A5 A4 B3 B9", "C", Some(2)),
        // Nobody makes way for one of their own.
        ("A5 A4 A3", "A", None),
        ("A5 A4 A3 B1", "A", None),
        // One that stays is counted, and is not the one to go.
        ("A- A5 A7", "B", Some(1)),
        ("A- A-", "B", None),
        ("A- A- A- B6 B5", "C", Some(4)),
        ("A- A- A- B6", "C", None),
    ] {
        assert_eq!(
            makes_way(&holders(held), letter(newcomer)),
            goes,
            "{newcomer} comes to {held:?}"
        );
    }
}

#[test]
fn if_one_has_to_go_it_is_the_least_of_the_address_with_the_most() {
    for (held, goes) in [
        ("", None),
        ("A-", None),
        ("A5", Some(0)),
        ("A5 B4 C6", Some(1)),
        ("A9 A8 B1", Some(1)),
        ("A9 A8 B1 B7", Some(2)),
        ("A- A- B1", Some(2)),
        ("A9 A- B1", Some(0)),
    ] {
        assert_eq!(first_to_go(&holders(held)), goes, "{held:?}");
    }
}

#[test]
fn those_that_wait_take_turns_by_address() {
    for (waiting, held, next) in [
        ("", "A", None),
        ("A A B", "", Some(0)),
        ("A A B", "A", Some(2)),
        ("A A B", "A B", Some(0)),
        ("A B C", "A B B", Some(2)),
        ("A B", "A A B", Some(1)),
    ] {
        assert_eq!(
            next_in_turn(&line(waiting), line(held)),
            next,
            "{waiting:?} wait, {held:?} have places"
        );
    }
}

/// Sixty connections of one address, three of another and one of a third knock again and
/// again at ten places.
#[test]
fn places_even_out_and_then_nobody_is_sent_away_any_more() {
    let mut places: Vec<Holder<u32>> = Vec::new();
    let mut sent_away = 0;
    let crowd = "A ".repeat(60) + "B B B C";
    for round in 0..20 {
        let before = sent_away;
        for newcomer in line(&crowd) {
            let has = |origin| places.iter().filter(|place| place.origin == origin).count();
            let enough = match newcomer {
                newcomer if newcomer == letter("B") => has(newcomer) == 3,
                newcomer if newcomer == letter("C") => has(newcomer) == 1,
                _ => false,
            };
            if enough {
                continue;
            }
            let place = Holder { origin: newcomer, worth: Some(round) };
            if places.len() < 10 {
                places.push(place);
            } else if let Some(goes) = makes_way(&places, newcomer) {
                places[goes] = place;
                sent_away += 1;
            }
        }
        assert!(round == 0 || sent_away == before, "round {round}: {sent_away} were sent away");
    }
    let has = |name| places.iter().filter(|place| place.origin == letter(name)).count();
    assert_eq!([has("A"), has("B"), has("C")], [6, 3, 1]);
}
