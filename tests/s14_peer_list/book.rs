//! Whom to dial next.

use super::super::support::assert_chosen;
use piecemeal::s14_peer_list::addresses::{Addresses, Found, REMEMBERED};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const RETRY: Duration = Duration::from_secs(15);

fn at(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}

/// The seconds from now after which it is dialed again; it is busy then.
fn next_in(book: &mut Addresses) -> Option<u64> {
    let (due, _) = book.next_due()?;
    let left = due.saturating_duration_since(Instant::now());
    book.next(due).expect("it is due");
    Some((left + Duration::from_millis(500)).as_secs())
}

#[test]
fn a_failed_address_is_dialed_again_later_and_later_and_then_no_more() {
    let mut book = Addresses::new(RETRY);
    assert!(
        book.is_empty()
            && book.is_hopeless()
            && book.all_tried_twice()
            && book.next(Instant::now()).is_none()
    );
    book.found(at(1, 1), Instant::now());
    assert!(!book.is_empty() && !book.is_hopeless() && !book.all_tried_twice());
    let mut pauses = Vec::new();
    while let Some(pause) = next_in(&mut book) {
        assert!(book.next(Instant::now() + Duration::from_secs(10_000)).is_none(), "it is busy");
        assert!(!book.is_hopeless(), "something may come of it");
        pauses.push(pause);
        book.ended(at(1, 1), false, false, Instant::now());
    }
    assert_eq!(pauses, [0, 15, 30, 60, 120, 240]);
    assert!(book.is_hopeless() && book.all_tried_twice() && book.next_due().is_none());
}

#[test]
fn an_address_that_was_of_use_is_as_good_as_new() {
    let mut book = Addresses::new(RETRY);
    book.found(at(1, 1), Instant::now());
    for _ in 0..20 {
        assert!(next_in(&mut book).is_some());
        book.ended(at(1, 1), false, true, Instant::now());
    }
    let pauses: Vec<u64> = std::iter::from_fn(|| {
        let pause = next_in(&mut book)?;
        book.ended(at(1, 1), false, false, Instant::now());
        Some(pause)
    })
    .collect();
    assert_eq!(pauses, [15, 30, 60, 120, 240]);
}

#[test]
fn a_peer_that_was_there_and_hung_up_is_dialed_again_soon_and_then_as_the_others() {
    let mut book = Addresses::new(RETRY);
    book.found(at(1, 1), Instant::now());
    let mut pauses = Vec::new();
    while let Some(pause) = next_in(&mut book) {
        pauses.push(pause);
        book.ended(at(1, 1), true, false, Instant::now());
    }
    assert_eq!(pauses, [0, 2, 15, 30, 60, 120]);
}

#[test]
fn a_peer_that_hung_up_early_gets_one_early_chance_whatever_came_before() {
    let mut book = Addresses::new(RETRY);
    book.found(at(1, 1), Instant::now());
    let mut pauses = Vec::new();
    // Nobody is there at first; then it shakes hands and hangs up; then it is of use.
    for (met, useful) in
        [(false, false), (true, false), (true, false), (true, true), (true, false), (false, false)]
    {
        pauses.push(next_in(&mut book).expect("it is dialed again"));
        book.ended(at(1, 1), met, useful, Instant::now());
    }
    pauses.extend(next_in(&mut book));
    assert_eq!(pauses, [0, 15, 2, 30, 2, 15, 30]);
}

#[test]
fn an_address_that_was_given_up_for_a_peer_that_came_by_itself_is_dialed_when_that_goes() {
    let mut book = Addresses::new(RETRY);
    book.found(at(1, 1), Instant::now());
    assert_eq!(next_in(&mut book), Some(0));
    book.give_up(at(1, 1));
    assert!(book.is_hopeless());
    book.revive(at(1, 1), Instant::now());
    assert_eq!(next_in(&mut book), Some(15));
    // Not one that is banned, nor one that is not known.
    book.ban(at(1, 1));
    book.revive(at(1, 1), Instant::now());
    book.revive(at(2, 1), Instant::now());
    assert!(book.is_hopeless());
}

#[test]
fn the_one_that_has_waited_longest_goes_first_and_none_goes_twice() {
    let mut book = Addresses::new(RETRY);
    let now = Instant::now();
    for (host, after) in [(3, 0), (1, 1), (2, 2)] {
        book.found(at(host, 1), now + Duration::from_millis(after));
        book.found(at(host, 1), now + Duration::from_millis(after));
    }
    let later = now + Duration::from_millis(2);
    let order: Vec<SocketAddr> = std::iter::from_fn(|| book.next(later)).collect();
    assert_chosen(
        "the order of dialing",
        order,
        [at(3, 1), at(1, 1), at(2, 1)],
        "they were named in this order, and the one that has waited longest goes first",
        "BEP 3, peer list",
    );
}

#[test]
fn what_could_not_be_tried_was_not_tried() {
    let mut book = Addresses::new(RETRY);
    book.found(at(1, 1), Instant::now());
    for _ in 0..50 {
        assert_eq!(book.next(Instant::now()), Some(at(1, 1)));
        book.put_back(at(1, 1), Instant::now());
    }
    assert!(!book.all_tried_twice());
}

#[test]
fn port_zero_is_no_address() {
    let mut book = Addresses::new(RETRY);
    book.found(at(1, 0), Instant::now());
    assert!(book.is_empty());
}

#[test]
fn an_address_that_was_given_up_is_not_dialed_when_it_is_named_again() {
    let mut book = Addresses::new(RETRY);
    book.found(at(1, 1), Instant::now());
    book.next(Instant::now());
    book.give_up(at(1, 1));
    book.ended(at(1, 1), false, true, Instant::now());
    book.found(at(1, 1), Instant::now());
    assert!(book.is_hopeless() && book.next(Instant::now() + RETRY * 1000).is_none());
}

#[test]
fn three_bans_of_one_ip_ban_all_of_it() {
    let mut book = Addresses::new(RETRY);
    // Known before the bans.
    (1..=5).for_each(|port| {
        book.found(at(1, port), Instant::now());
    });
    book.found(at(2, 1), Instant::now());
    for port in 1..=2 {
        book.ban(at(1, port));
        book.ban(at(1, port));
        assert!(book.is_banned(at(1, port)) && !book.is_banned(at(1, 5)));
    }
    book.ban(at(1, 3));
    assert!(book.is_banned(at(1, 4)) && book.is_banned(at(1, 999)) && !book.is_banned(at(2, 1)));
    book.found(at(1, 999), Instant::now());
    let rest: Vec<SocketAddr> = std::iter::from_fn(|| book.next(Instant::now())).collect();
    assert_eq!(rest, [at(2, 1)], "nobody at a banned IP is dialed, whenever it was named");
}

#[test]
fn what_honest_peers_bring_counts_for_the_ip_that_they_share_with_liars() {
    let mut book = Addresses::new(RETRY);
    (1..=6).for_each(|port| assert_eq!(book.found(at(1, port), Instant::now()), Found::New));
    // Two are here, and one of them has brought something before the liars are found out.
    assert!([book.next(Instant::now()), book.next(Instant::now())].iter().all(Option::is_some));
    let [honest, newcomer] = [at(1, 1), at(1, 6)];
    book.brought(honest, 9);
    (3..=5).for_each(|port| book.ban(at(1, port)));
    assert!(!book.is_banned(honest), "it has proved itself");
    book.ended(honest, true, true, Instant::now());
    assert_eq!(book.next(Instant::now() + RETRY), Some(honest), "it may come back");
    assert!(book.is_banned(newcomer) && book.is_banned(at(1, 7)), "the others of the IP have not");
    book.found(newcomer, Instant::now());
    assert_eq!(book.next(Instant::now()), None);
    // With ten pieces in all, three strikes do not bar the IP.
    book.brought(at(1, 40_000), 1);
    assert!(!book.is_banned(newcomer) && book.is_banned(at(1, 3)), "each liar stays banned");
    book.found(newcomer, Instant::now());
    assert_eq!(book.next(Instant::now()), Some(newcomer));
    // A fourth does.
    book.ban(at(1, 50_000));
    assert!(book.is_banned(newcomer) && !book.is_banned(honest));
}

#[test]
fn a_peer_that_is_here_while_its_ip_is_barred_may_still_prove_itself() {
    let mut book = Addresses::new(RETRY);
    (1..=2).for_each(|port| assert_eq!(book.found(at(1, port), Instant::now()), Found::New));
    let [idle, honest] = [at(1, 1), at(1, 2)];
    assert!([book.next(Instant::now()), book.next(Instant::now())].iter().all(Option::is_some));
    (3..=5).for_each(|port| book.ban(at(1, port)));
    assert!(book.is_banned(honest), "a new connection from there is not let in");
    book.brought(honest, 1);
    assert!(book.ended(honest, true, true, Instant::now()).is_some(), "it may come back");
    assert_eq!(book.ended(idle, true, false, Instant::now()), None, "it has brought nothing");
    assert_eq!(book.next(Instant::now() + RETRY), Some(honest));
    assert_eq!(book.count(), 1, "an address that is barred takes no room");
}

#[test]
fn an_ipv6_network_is_one_ip_for_bans() {
    let mut book = Addresses::new(RETRY);
    let host = |host: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 1, 0, 0, 0, host], 6881));
    (1..=3).for_each(|liar| book.ban(host(liar)));
    assert!(book.is_banned(host(4)));
    assert!(!book.is_banned("[2001:db8:0:2::1]:6881".parse().expect("an address")));
}

#[test]
fn two_thousand_are_remembered_and_the_useless_make_room() {
    let mut book = Addresses::new(RETRY);
    let address = |number: usize| at((number / 60_000) as u8, (number % 60_000) as u16 + 1);
    (0..REMEMBERED + 500).for_each(|number| {
        book.found(address(number), Instant::now());
    });
    let known = std::iter::from_fn(|| book.next(Instant::now())).count();
    assert_eq!(known, REMEMBERED);
    book.found(at(9, 9), Instant::now());
    assert_eq!(book.next(Instant::now()), None, "all are busy");
    book.give_up(address(7));
    book.found(at(9, 9), Instant::now());
    assert_eq!(book.next(Instant::now()), Some(at(9, 9)));
}

/// Hundreds of ports of one IP, all named before the others.
#[test]
fn one_ip_with_many_ports_does_not_take_all_turns_to_be_dialed() {
    for six in [false, true] {
        let stranger = |port: u16| if six { of_network(7, port, 1) } else { at(1, port) };
        let mut book = Addresses::new(RETRY);
        (1..=400).for_each(|port| {
            book.found(stranger(port), Instant::now());
        });
        std::thread::sleep(Duration::from_millis(2));
        (2..=30).for_each(|host| {
            book.found(at(host, 1), Instant::now());
        });
        let dialed: Vec<SocketAddr> =
            std::iter::from_fn(|| book.next(Instant::now())).take(30).collect();
        let strangers =
            dialed.iter().filter(|address| !(2..=30).any(|host| **address == at(host, 1))).count();
        assert_eq!(strangers, 1, "of the first thirty, IPv6: {six}");
        // Whoever fails leaves its turn to an IP with fewer.
        book.ended(at(5, 1), false, false, Instant::now());
        book.found(at(31, 1), Instant::now());
        assert_eq!(book.next(Instant::now()), Some(at(31, 1)));
    }
}

/// An address in 2001:db8:0:`network`::/64.
fn of_network(network: u16, host: u16, port: u16) -> SocketAddr {
    SocketAddr::from(([0x2001, 0xdb8, 0, network, 0, 0, 0, host], port))
}

#[test]
fn a_network_of_ipv6_is_banned_as_an_ip_is() {
    let mut book = Addresses::new(RETRY);
    (1..=3).for_each(|host| book.ban(of_network(7, host, 6881)));
    assert!(book.is_banned(of_network(7, 4, 6881)), "three were banned");
    assert!(!book.is_banned(of_network(8, 4, 6881)), "another network");
}

#[test]
fn many_ports_of_one_ip_or_network_make_room_in_a_full_book() {
    for six in [false, true] {
        let stranger = |port: u16| if six { of_network(7, port, 1) } else { at(1, port) };
        let mut book = Addresses::new(RETRY);
        (1..=REMEMBERED as u16 + 100).for_each(|port| {
            book.found(stranger(port), Instant::now());
        });
        assert_eq!(book.count(), REMEMBERED);
        assert_eq!(book.found(stranger(9000), Instant::now()), Found::NoRoom, "it has enough");
        for host in 2..=201 {
            assert_eq!(book.found(at(host, 1), Instant::now()), Found::New, "{host}, IPv6: {six}");
        }
        assert!(
            (REMEMBERED * 9 / 10..=REMEMBERED).contains(&book.count()),
            "{} are known",
            book.count()
        );
        assert_eq!(
            (2..=201).filter(|host| book.all().any(|known| known == at(*host, 1))).count(),
            200
        );
    }
}

#[test]
fn an_address_that_may_be_a_double_is_dialed_again_after_a_minute() {
    let mut book = Addresses::new(RETRY);
    book.found(at(1, 1), Instant::now());
    assert_eq!(next_in(&mut book), Some(0));
    book.may_be_a_double(at(1, 1), Instant::now());
    assert!(!book.is_hopeless());
    assert_eq!(next_in(&mut book), Some(60));
    book.may_be_a_double(at(1, 1), Instant::now());
    book.double_gone(at(1, 1), Instant::now());
    assert_eq!(next_in(&mut book), Some(2), "the other has gone");
    // It was one, and the other has gone.
    book.give_up(at(1, 1));
    assert!(book.is_hopeless());
    book.double_gone(at(1, 1), Instant::now());
    assert_eq!(next_in(&mut book), Some(2));
}

#[test]
fn what_only_open_sources_have_named_is_forgotten_for_a_private_torrent() {
    let (mut book, now) = (Addresses::new(RETRY), Instant::now());
    assert_eq!(book.found_openly(at(1, 1), now), Found::New);
    assert_eq!(book.found(at(2, 1), now), Found::New);
    // A tracker names it as well, before or after.
    assert_eq!(book.found_openly(at(3, 1), now), Found::New);
    assert_eq!(book.found(at(3, 1), now), Found::Known);
    assert_eq!(book.found(at(4, 1), now), Found::New);
    assert_eq!(book.found_openly(at(4, 1), now), Found::Known);
    // This one is connected. It stays so, but it is not dialed again.
    assert_eq!(book.found_openly(at(5, 1), now - RETRY), Found::New);
    assert_eq!(book.next(now), Some(at(5, 1)));
    book.forget_open();
    assert_eq!(book.ended(at(5, 1), true, true, now), None);
    let mut left: Vec<SocketAddr> = std::iter::from_fn(|| book.next(now)).collect();
    left.sort();
    assert_eq!(left, [at(2, 1), at(3, 1), at(4, 1)]);
    // A tracker may still name it.
    assert_eq!(book.found(at(1, 1), now), Found::New);
}
