//! How often, how many, and from where: rules that get the clock as an argument.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::Metainfo;
use piecemeal::s20_lsd::neighbors::{Heard, MAX_PER_HOUR, Neighbors};
use piecemeal::s20_lsd::pace::Pace;
use piecemeal::s20_lsd::{LsdError, allowed, is_near};

use crate::support::bencode::{bytes, dict, int};
use crate::support::{assert_chosen, assert_value};

/// The rules are of local discovery as a whole; the tables at `Pace` and `Neighbors` have them.
const CLAUSE: &str = "BEP 14, local discovery";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn datagrams_go_out_at_once_and_after_2_and_6_seconds_and_then_every_5_minutes() {
    let begin = Instant::now();
    let mut pace = Pace::new(begin);
    let mut sent = Vec::new();
    for _ in 0..6 {
        let now = pace.due();
        let pause = pace.announced(now);
        assert_eq!(pace.due(), now + pause);
        sent.push((now - begin).as_secs());
    }
    assert_value("the seconds at which datagrams go out", sent, [0, 2, 6, 306, 606, 906], CLAUSE);
}

#[test]
fn whoever_asks_is_answered_at_once_but_not_twice_in_a_minute() {
    let begin = Instant::now();
    let mut pace = Pace::new(begin);
    for _ in 0..3 {
        let due = pace.due();
        pace.announced(due);
    }
    let asked_at = |pace: &mut Pace, at: u64| {
        let now = begin + seconds(at);
        pace.asked(now);
        let answers = pace.due() <= now;
        if answers {
            pace.announced(now);
        }
        answers
    };
    let answered: Vec<u64> = (100..=300).filter(|at| asked_at(&mut pace, *at)).collect();
    // Every second somebody asks.
    let why = "somebody asks every second, and gets an answer at most once a minute";
    assert_chosen("the seconds of the answers", answered, [100, 160, 220, 280], why, CLAUSE);
    let due = (pace.due() - begin).as_secs();
    assert_value("the second in which the last ones are answered", due, 340, CLAUSE);
}

#[test]
fn fifty_addresses_are_taken_in_an_hour_and_then_no_more() {
    let (begin, mut neighbors) = (Instant::now(), Neighbors::default());
    let address =
        |number: usize| SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 6881));
    let taken =
        (0..1_000).filter(|number| neighbors.hear(address(*number), None, begin).dial).count();
    assert_value("how many of a thousand addresses are dialed", taken, 50, CLAUSE);
    assert_eq!(MAX_PER_HOUR, 50);
    // Those that are known go on counting from when they were first heard.
    let mut dial = |number, at| neighbors.hear(address(number), None, begin + seconds(at)).dial;
    let dialed = [(1_000, 3_599), (3, 3_599), (1_000, 3_600)].map(|(number, at)| dial(number, at));
    let why = "the first is one too many; the second is known; then the hour is over";
    assert_chosen("what is dialed late in the hour", dialed, [false, true, true], why, CLAUSE);
    let taken = (0..1_000)
        .filter(|number| neighbors.hear(address(*number), None, begin + seconds(3_601)).dial);
    assert_value("how many more are dialed in the next hour", taken.count(), 49, CLAUSE);
}

#[test]
fn the_same_address_is_taken_again_after_five_seconds() {
    let (begin, mut neighbors) = (Instant::now(), Neighbors::default());
    let address = SocketAddr::from(([10, 0, 0, 1], 6881));
    let taken: Vec<u64> =
        (0..=12).filter(|at| neighbors.hear(address, None, begin + seconds(*at)).dial).collect();
    let why = "an address that repeats itself is dialed again after five seconds";
    assert_chosen("the seconds of the dials", taken, [0, 5, 10], why, CLAUSE);
    // Another port is another client.
    assert!(neighbors.hear(SocketAddr::from(([10, 0, 0, 1], 6882)), None, begin).dial);
}

#[test]
fn newcomers_are_dialed_and_answered_and_so_are_clients_that_were_restarted() {
    let (begin, mut neighbors) = (Instant::now(), Neighbors::default());
    let address = SocketAddr::from(([10, 0, 0, 1], 6881));
    let mut hear = |(cookie, at): (Option<&str>, u64)| {
        neighbors.hear(address, cookie.map(str::as_bytes), begin + seconds(at))
    };
    let heard = [
        (Some("first run"), 0),
        (Some("first run"), 2),
        (Some("first run"), 300),
        (Some("second run"), 301),
        (Some("second run"), 303),
        (None, 400),
        (None, 700),
    ];
    let heard = heard.map(|said| (said.1, hear(said)));
    let at = |what: fn(&Heard) -> bool| {
        heard.iter().filter(|(_, heard)| what(heard)).map(|(at, _)| *at).collect::<Vec<u64>>()
    };
    let why = "it is new at first, and again with another cookie: it was restarted";
    assert_chosen(
        "the seconds of the answers",
        at(|heard| heard.answer),
        [0, 301, 400],
        why,
        CLAUSE,
    );
    let why =
        "a restarted client is dialed at once, and one that repeats itself after five seconds";
    let dialed = [0, 300, 301, 400, 700];
    assert_chosen("the seconds of the dials", at(|heard| heard.dial), dialed, why, CLAUSE);
    // Of those for which there is no room, none is answered.
    let many = (0..100).map(|number| SocketAddr::from(([10, 0, 1, number], 6881)));
    let answered = many.filter(|address| neighbors.hear(*address, None, begin).answer).count();
    assert_value("how many more there is room for", answered, 49, CLAUSE);
}

#[test]
fn two_that_answer_each_other_come_to_an_end() {
    let begin = Instant::now();
    let address = |number: u8| SocketAddr::from(([10, 0, 0, number], 6881));
    let settled = || {
        let mut pace = Pace::new(begin);
        for _ in 0..3 {
            pace.announced(begin);
        }
        pace
    };
    // One has been here for a while, the other has just started.
    let mut clients = [(settled(), Neighbors::default()), (Pace::new(begin), Neighbors::default())];
    let mut sent = [0, 0];
    for second in 0..290 {
        let now = begin + seconds(second);
        for speaker in [1, 0] {
            if clients[speaker].0.due() <= now {
                clients[speaker].0.announced(now);
                sent[speaker] += 1;
                let (pace, neighbors) = &mut clients[1 - speaker];
                if neighbors.hear(address(speaker as u8), Some(b"cookie"), now).answer {
                    pace.asked(now);
                }
            }
        }
    }
    // The first answers once. The second answers that, in place of one of its three.
    let why = "whoever answers each datagram is answered each time, without end";
    assert_chosen("how many datagrams each of the two sends", sent, [1, 3], why, CLAUSE);
}

#[test]
fn only_neighbors_are_near() {
    let near = |ip: &str, ours: Option<&str>| {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        is_near(address(ip), ours.map(address))
    };
    for private in [
        "10.0.0.1",
        "172.16.5.5",
        "192.168.1.9",
        "169.254.7.7",
        "127.0.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
    ] {
        assert_value(&format!("{private} is near"), near(private, None), true, CLAUSE);
    }
    for public in ["198.51.100.7", "2001:db8:0:1::7"] {
        assert_value(&format!("{public} is near"), near(public, None), false, CLAUSE);
    }
    let table = [
        ("198.51.100.7", "198.51.100.200", true),
        ("198.51.101.7", "198.51.100.7", false),
        ("2001:db8:0:1::7", "2001:db8:0:1:ffff::8", true),
        ("2001:db8:0:2::7", "2001:db8:0:1::7", false),
        // Another family.
        ("198.51.100.7", "2001:db8:0:1::7", false),
        // To dial these is to dial ourselves.
        ("0.0.0.0", "0.0.0.1", false),
        ("::", "::2", false),
        // A wrapped address is no nearer than what it wraps.
        ("::ffff:198.51.100.7", "fd00::1", false),
    ];
    for (ip, ours, expected) in table {
        let what = format!("{ip} is near, if we are {ours}");
        assert_value(&what, near(ip, Some(ours)), expected, CLAUSE);
    }
}

#[test]
fn a_private_torrent_is_not_asked_about() {
    let info = |private: Option<i64>| {
        let mut pairs = vec![
            ("length", int(1)),
            ("name", bytes("a")),
            ("piece length", int(16_384)),
            ("pieces", bytes([b'x'; 20])),
        ];
        pairs.extend(private.map(|private| ("private", int(private))));
        let file = dict(&[("info", dict(&pairs))]);
        Metainfo::from_bytes(&file).expect("a torrent").info
    };
    assert!(matches!(allowed(&info(Some(1))), Err(LsdError::Private)));
    assert!(allowed(&info(Some(0))).is_ok() && allowed(&info(None)).is_ok());
}
