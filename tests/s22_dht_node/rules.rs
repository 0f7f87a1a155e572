//! Tokens, rates, counting filters and our own address: rules that get the clock and the dice as
//! arguments.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s22_dht_node::bootstrap::{Bootstrap, Hosts};
use piecemeal::s22_dht_node::filter::Filter;
use piecemeal::s22_dht_node::own_address::OwnAddress;
use piecemeal::s22_dht_node::rates::Rates;
use piecemeal::s22_dht_node::tokens::Tokens;
use sha1::{Digest, Sha1};

use crate::support::{assert_bytes, assert_chosen, assert_number, assert_value};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Secrets one after the other: sixteen 1, sixteen 2, ...
fn counting() -> impl FnMut() -> [u8; 16] {
    let mut number = 0;
    move || {
        number += 1;
        [number; 16]
    }
}

#[test]
fn a_token_is_good_for_five_to_ten_minutes() {
    let begin = Instant::now();
    let mut dice = counting();
    // It is made at this minute, and shown so many minutes later.
    let cases = [(0, 0, true), (0, 4, true), (0, 9, true), (0, 10, false), (4, 5, true)];
    for (made, later, good) in cases {
        let mut tokens = Tokens::new(begin, &mut dice);
        for minute in 0..made {
            tokens.rotate(begin + minutes(minute), &mut dice);
        }
        let token = tokens.token(ip("192.0.2.1"));
        for minute in made..=made + later {
            tokens.rotate(begin + minutes(minute), &mut dice);
        }
        assert_chosen(
            &format!("a token of minute {made}, {later} minutes later"),
            tokens.knows(&token, ip("192.0.2.1")),
            good,
            "the secret changes every five minutes, and the one before counts as well",
            "BEP 5, tokens",
        );
    }
}

#[test]
fn quiet_minutes_do_not_make_a_token_good_for_longer() {
    let begin = Instant::now();
    let mut dice = counting();
    let mut tokens = Tokens::new(begin, &mut dice);
    let token = tokens.token(ip("192.0.2.1"));
    for (minute, good) in [(9, true), (10, false)] {
        tokens.rotate(begin + minutes(minute), &mut dice);
        assert_chosen(
            &format!("a token of minute 0, at minute {minute}"),
            tokens.knows(&token, ip("192.0.2.1")),
            good,
            "the secret changes every five minutes, whether somebody asks or not",
            "BEP 5, tokens",
        );
    }
}

#[test]
fn after_a_quiet_hour_no_earlier_token_is_good() {
    let begin = Instant::now();
    let mut dice = counting();
    let mut tokens = Tokens::new(begin, &mut dice);
    let token = tokens.token(ip("192.0.2.1"));
    // Nobody has asked for an hour, so nothing has turned.
    tokens.rotate(begin + minutes(60), &mut dice);
    assert!(!tokens.knows(&token, ip("192.0.2.1")), "a token of an hour ago");
    assert!(tokens.knows(&tokens.token(ip("192.0.2.1")), ip("192.0.2.1")));
}

#[test]
fn a_token_belongs_to_one_ip_at_any_port() {
    let now = Instant::now();
    let tokens = Tokens::new(now, &mut counting());
    let token = tokens.token(ip("192.0.2.1"));
    assert!(tokens.knows(&token, ip("192.0.2.1")));
    for other in ["192.0.2.2", "::ffff:192.0.2.1", "2001:db8::1"] {
        assert!(!tokens.knows(&token, ip(other)), "{other} has shown the token of 192.0.2.1");
    }
    for wrong in [&b""[..], b"aoeusnth", &token[..7], &[&token[..], b"x"].concat()] {
        assert!(!tokens.knows(wrong, ip("192.0.2.1")), "{wrong:?} was taken");
    }
    // Nobody else has the secret.
    let others = Tokens::new(now, &mut || [9; 16]);
    assert_ne!(token, others.token(ip("192.0.2.1")));
}

#[test]
fn ten_answers_a_second_go_to_one_address_and_a_hundred_to_all() {
    let begin = Instant::now();
    let mut rates = Rates::new(begin);
    let one = (0..1000).filter(|_| rates.may_answer(ip("203.0.113.1"), begin)).count();
    assert_number("answers to one address in a second", one, 10, "BEP 5, rates", &[]);
    let all = (0..=255_u8)
        .flat_map(|last| [last; 5])
        .filter(|last| rates.may_answer(IpAddr::from([198, 51, 100, *last]), begin))
        .count();
    assert_number("answers to all others in that second", all, 90, "BEP 5, rates", &[]);
    let later = begin + Duration::from_secs(1);
    assert!(rates.may_answer(ip("203.0.113.1"), later), "a new second has begun");
    // All of a /64 are one.
    let six = (0..100_u16)
        .filter(|last| rates.may_answer(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, *last]), later))
        .count();
    assert_number("answers to one network of IPv6", six, 10, "BEP 5, rates", &[]);
}

#[test]
fn a_lab_on_this_computer_has_more_and_is_bounded_as_well() {
    let begin = Instant::now();
    let mut rates = Rates::new(begin);
    let near = (0..10_000).filter(|_| rates.may_answer(ip("127.0.0.1"), begin)).count();
    assert_number("answers to this computer in a second", near, 2_000, "BEP 5, rates", &[]);
    assert!(rates.may_answer(ip("203.0.113.1"), begin), "others are not kept out by it");
}

#[test]
fn we_ask_fifty_questions_a_second_and_ten_of_them_for_strangers() {
    let begin = Instant::now();
    let mut rates = Rates::new(begin);
    let checks = (0..100).filter(|_| rates.may_check(begin)).count();
    assert_number("pings that strangers cause", checks, 10, "BEP 5, rates", &[]);
    let mut asked = 0;
    while rates.may_ask(begin) {
        rates.asked();
        asked += 1;
    }
    assert_number("the other questions", asked, 40, "BEP 5, rates", &[]);
    assert!(!rates.may_check(begin));
    assert!(rates.next() == begin + Duration::from_secs(1) && rates.may_ask(rates.next()));
}

#[test]
fn the_filter_is_the_one_of_bep_33() {
    let mut filter = Filter::default();
    (0..=255).for_each(|last| filter.add(IpAddr::from([192, 0, 2, last])));
    (0..0x3e8).for_each(|last| filter.add(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])));
    let clause = "BEP 33, filter of addresses";
    assert_bytes(
        "the start of the filter",
        &filter.bytes()[..8],
        b"\xf6\xc3\xf5\xea\xa0\x7f\xfd\x91",
        clause,
    );
    let hash = hex::encode(Sha1::digest(filter.bytes()));
    assert_value(
        "the SHA-1 of it",
        hash.as_str(),
        "e4dabf3c822dcd0030ee21df8369bfef2594b52b",
        clause,
    );
    assert_value(
        "how many it says there are",
        format!("{:.4}", filter.estimate()),
        "1224.9309",
        clause,
    );
    assert_eq!(Filter::default().estimate(), 0.0);
}

#[test]
fn a_new_id_is_taken_when_four_nodes_agree_on_our_address_and_not_twice_in_an_hour() {
    let begin = Instant::now();
    let clause = "BEP 42, ids tied to addresses";
    let mut address = OwnAddress::default();
    let ours = NodeId(*b"abcdefghij0123456789");
    let we = ip("124.31.75.21");
    for last in 1..=3 {
        address.heard(IpAddr::from([198, 51, 100, last]), we);
        assert_eq!(address.new_id(ours, [1; 20], begin), None, "{last} nodes are too few");
    }
    // The same one again, whatever it says, has one voice.
    address.heard(ip("198.51.100.3"), we);
    assert_eq!(address.new_id(ours, [1; 20], begin), None, "one node with two voices");
    address.heard(ip("198.51.100.4"), we);
    let id = address.new_id(ours, [1; 20], begin).expect("four agree");
    // BEP 42 with r = 1: 5fbfbf.., and the lower three bits of the third byte are free.
    let [a, b, c, ..] = id.0;
    assert_value("the tied bits", (a, b, c & 0xf8), (0x5f, 0xbf, 0xb8), clause);
    assert_eq!(address.new_id(id, [2; 20], begin), None, "it fits now");
    // All of them say something else an hour later, or earlier.
    let moved = ip("21.75.31.124");
    (1..=8).for_each(|last| address.heard(IpAddr::from([198, 51, 100, last]), moved));
    assert_eq!(address.new_id(id, [2; 20], begin + minutes(59)), None, "59 minutes later");
    assert!(address.new_id(id, [2; 20], begin + minutes(60)).is_some(), "an hour later");
}

#[test]
fn no_id_is_taken_for_an_address_of_this_network_or_if_most_disagree() {
    let now = Instant::now();
    let ours = NodeId(*b"abcdefghij0123456789");
    let mut address = OwnAddress::default();
    (1..=8).for_each(|last| address.heard(IpAddr::from([127, 0, 0, last]), ip("10.1.2.3")));
    assert_eq!(address.new_id(ours, [1; 20], now), None, "an address of this network");
    let mut address = OwnAddress::default();
    (1..=4).for_each(|last| address.heard(IpAddr::from([198, 51, 100, last]), ip("9.9.9.9")));
    (5..=8).for_each(|last| address.heard(IpAddr::from([198, 51, 100, last]), ip("8.8.8.8")));
    assert_eq!(address.new_id(ours, [1; 20], now), None, "four against four");
}

#[test]
fn hosts_of_the_user_are_asked_at_the_start_and_built_in_ones_only_if_nobody_answers() {
    let begin = Instant::now();
    let seconds = |seconds| begin + Duration::from_secs(seconds);
    let host = |name: &str| vec![name.to_owned()];
    let (named, linked, known) = (host("user:1"), host("torrent:1"), host("built.in:1"));
    let all = Hosts { named: named.clone(), linked: linked.clone(), known: known.clone() };
    let mut bootstrap = Bootstrap::new(all.clone());
    let first = Hosts { known: Vec::new(), ..all.clone() };
    assert_eq!(
        bootstrap.due(false, false, begin),
        Some(first),
        "we know others, but the user names these"
    );
    bootstrap.looked_up();
    assert_eq!(bootstrap.due(false, false, seconds(1_000)), None, "we know others");
    // Then everybody is silent.
    assert_eq!(bootstrap.due(true, true, seconds(1_000)), None, "somebody may still be found");
    assert_eq!(bootstrap.due(true, false, seconds(1_000)), Some(all.clone()));
    assert_eq!(
        bootstrap.due(true, false, seconds(2_000)),
        None,
        "their names are still being looked up"
    );
    bootstrap.looked_up();
    // While the saved ones are asked, only the built-in hosts wait for what comes of it.
    let mut bootstrap = Bootstrap::new(all.clone());
    assert_eq!(bootstrap.due(true, true, begin), Some(Hosts { known: Vec::new(), ..all }));
    // Alone, built-in ones are not asked by somebody who knows others.
    let mut bootstrap = Bootstrap::new(Hosts { known, ..Hosts::default() });
    assert_eq!(bootstrap.due(false, false, begin), None);
    assert!(bootstrap.due(true, false, begin).is_some());
}

#[test]
fn hosts_are_asked_again_after_15_s_30_s_and_so_on() {
    let begin = Instant::now();
    let mut bootstrap =
        Bootstrap::new(Hosts { known: vec!["built.in:1".to_owned()], ..Hosts::default() });
    let asked: Vec<u64> = (0..3_000)
        .filter(|second| {
            let due = bootstrap.due(true, false, begin + Duration::from_secs(*second)).is_some();
            bootstrap.looked_up();
            due
        })
        .collect();
    let expected = vec![0, 15, 45, 105, 225, 465, 945, 1545, 2145, 2745];
    assert_value(
        "the seconds at which they are asked",
        asked,
        expected,
        "BEP 5, a node's questions",
    );
}

#[test]
fn a_node_that_knows_few_looks_for_others_again_and_one_that_knows_eight_does_not() {
    let begin = Instant::now();
    let seconds = |known: usize| -> Vec<u64> {
        let mut bootstrap = Bootstrap::new(Hosts::default());
        let looks =
            |second: &u64| bootstrap.looks_again(known, begin + Duration::from_secs(*second));
        (0..100).filter(looks).collect()
    };
    let clause = "BEP 5, a node's questions";
    assert_value("the seconds at which it looks", seconds(7), vec![2, 6, 14, 30, 62], clause);
    assert_value("with eight", seconds(8), Vec::<u64>::new(), clause);
}
