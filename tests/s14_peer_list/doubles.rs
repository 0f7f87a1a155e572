//! Two connections, one peer or two: as tables.

use piecemeal::s03_tracker::PeerId;
use piecemeal::s14_peer_list::doubles::Link;
use std::time::Duration;

/// What a download allows a connection that claims to be a peer: four pauses of 15 s.
const UNPROVED: Duration = Duration::from_secs(60);
const WE: bool = true;
const IT: bool = false;

/// A connection with this peer id from 192.0.2.`host`.
fn link(id: u8, host: u8, dialed: bool, proved: bool, age: u64) -> Link {
    let age = Duration::from_secs(age);
    Link { peer_id: PeerId([id; 20]), ip: [192, 0, 2, host].into(), dialed, proved, age }
}

#[test]
fn a_new_connection_is_a_double_if_id_and_ip_agree_and_the_older_one_can_be_trusted() {
    for (old_dialed, new_dialed, proved, age, doubled) in [
        // We reached the old one by its address. One that comes in is the same peer, at any time.
        (WE, IT, false, 0, true),
        (WE, IT, false, 1000, true),
        (WE, IT, true, 1000, true),
        // The old one came in, and only says who it is. After a minute we try the address itself.
        (IT, WE, false, 0, true),
        (IT, WE, false, 60, true),
        (IT, WE, false, 61, false),
        (IT, WE, true, 60, true),
        (IT, WE, true, 61, false),
        // Both were made by the same side: after a minute the older one must have proved itself.
        (WE, WE, false, 60, true),
        (WE, WE, false, 61, false),
        (WE, WE, true, 61, true),
        (IT, IT, false, 60, true),
        (IT, IT, false, 61, false),
        (IT, IT, true, 61, true),
    ] {
        let old = link(7, 1, old_dialed, proved, age);
        let new = link(7, 1, new_dialed, false, 0);
        let what =
            format!("old dialed {old_dialed}, new dialed {new_dialed}, proved {proved}, {age} s");
        assert_eq!(old.is_doubled_by(&new, UNPROVED), doubled, "{what}");
        // Another id, or another IP, is another peer.
        assert!(!old.is_doubled_by(&Link { peer_id: PeerId([8; 20]), ..new }, UNPROVED), "{what}");
        assert!(!old.is_doubled_by(&Link { ip: [192, 0, 2, 2].into(), ..new }, UNPROVED), "{what}");
    }
}

#[test]
fn an_ipv4_address_is_the_same_in_a_socket_for_ipv6() {
    let old = link(7, 1, WE, false, 0);
    let mapped = Link { ip: "::ffff:192.0.2.1".parse().expect("an address"), ..old };
    assert!(old.claims_to_be(&mapped) && mapped.claims_to_be(&old));
    assert!(
        !old.claims_to_be(&Link { ip: "::ffff:192.0.2.2".parse().expect("an address"), ..old })
    );
}

#[test]
fn of_two_that_cross_the_one_of_the_smaller_id_stays_and_only_while_they_are_young() {
    let [smaller, larger] = [PeerId([1; 20]), PeerId([9; 20])];
    for (us, old_dialed, new_dialed, proved, age, replaced) in [
        // Ours is the smaller id: the connection that we dialed stays.
        (smaller, IT, WE, false, 0, true),
        (smaller, WE, IT, false, 0, false),
        // Theirs is.
        (larger, WE, IT, false, 0, true),
        (larger, IT, WE, false, 0, false),
        // Both by the same side: nothing has crossed.
        (smaller, WE, WE, false, 0, false),
        (larger, IT, IT, false, 0, false),
        // Ten seconds, or five once a block has come.
        (smaller, IT, WE, false, 10, true),
        (smaller, IT, WE, false, 11, false),
        (smaller, IT, WE, true, 5, true),
        (smaller, IT, WE, true, 6, false),
    ] {
        let old = link(5, 1, old_dialed, proved, age);
        let new = link(5, 1, new_dialed, false, 0);
        let what = format!(
            "us {us:?}, old dialed {old_dialed}, new dialed {new_dialed}, proved {proved}, {age} s"
        );
        assert_eq!(old.is_crossed_by(&new, us), replaced, "{what}");
    }
}

/// Each side sees the two connections in its own order, and from the other end.
#[test]
fn both_sides_keep_the_same_one_of_two_that_cross() {
    for (a, b) in [(1, 9), (9, 1)] {
        let keeps_own = |us: u8, them: u8, own_came_first: bool| {
            let (own, other) = (link(them, 1, WE, false, 0), link(them, 1, IT, false, 0));
            let us = PeerId([us; 20]);
            if own_came_first {
                !own.is_crossed_by(&other, us)
            } else {
                other.is_crossed_by(&own, us)
            }
        };
        for first_at_a in [true, false] {
            for first_at_b in [true, false] {
                assert_ne!(keeps_own(a, b, first_at_a), keeps_own(b, a, first_at_b), "{a} and {b}");
            }
        }
    }
}

#[test]
fn a_connection_was_short_if_we_dialed_and_it_ended_at_once_without_a_block() {
    for (dialed, proved, age, short) in [
        (WE, false, 0, true),
        (WE, false, 10, true),
        (WE, false, 11, false),
        (WE, true, 1, false),
        (IT, false, 1, false),
    ] {
        assert_eq!(
            link(5, 1, dialed, proved, age).was_short(),
            short,
            "dialed {dialed}, proved {proved}, {age} s"
        );
    }
}
