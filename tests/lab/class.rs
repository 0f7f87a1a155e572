//! A tracker for several machines: which address of a peer each client is told.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use piecemeal::lab::announce::ReceivedAnnounce;
use piecemeal::lab::notes::Notes;
use piecemeal::lab::phone_book::{Asker, PhoneBook};
use piecemeal::lab::sockets::everywhere;
use piecemeal::lab::tracker::LabTracker;
use piecemeal::s03_tracker::PeerId;

use crate::lab::tracker::{HASH, get, query, split};
use crate::support::bencode::Value;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// Announces from an address, with `reached` as the tracker's address, and returns the
/// addresses in the answer.
fn told(book: &mut PhoneBook, from: &str, port: u16, reached: &str) -> Vec<SocketAddr> {
    let heard = ReceivedAnnounce::decode(&query(port, "")).expect("a good announce");
    let page = book.announce(&Asker::new(ip(from), port, ip(reached)), &heard, Instant::now());
    page.peers.into_iter().map(|(address, _)| address).collect()
}

#[test]
fn who_announced_over_loopback_is_handed_out_at_the_trackers_own_address() {
    let mut book = PhoneBook::default();
    told(&mut book, "127.0.0.1", 6881, "127.0.0.1");
    told(&mut book, "::1", 6882, "::1");
    let here = [address("192.168.1.5:6881"), address("192.168.1.5:6882")];
    assert_eq!(told(&mut book, "192.168.1.20", 7001, "192.168.1.5"), here);
    // A machine with two networks: each asker gets the address that it can reach.
    assert_eq!(
        told(&mut book, "10.1.1.20", 7002, "10.1.1.1"),
        ["10.1.1.1:6881", "10.1.1.1:6882", "192.168.1.20:7001"].map(address)
    );
    let six = told(&mut book, "2001:db8::20", 7003, "2001:db8::5");
    assert!(
        six.contains(&address("[2001:db8::5]:6881"))
            && six.contains(&address("[2001:db8::5]:6882")),
        "{six:?}"
    );
}

#[test]
fn to_an_asker_on_loopback_loopback_stays_loopback() {
    let mut book = PhoneBook::default();
    told(&mut book, "127.0.0.1", 6881, "127.0.0.1");
    told(&mut book, "127.77.0.1", 6882, "127.0.0.1");
    told(&mut book, "192.168.1.20", 7001, "192.168.1.5");
    let expected = ["127.0.0.1:6881", "127.77.0.1:6882", "192.168.1.20:7001"].map(address);
    assert_eq!(told(&mut book, "127.0.0.1", 6883, "127.0.0.1"), expected);
    assert_eq!(told(&mut book, "::1", 6884, "::1").len(), 4);
}

#[test]
fn an_asker_over_a_mapped_address_counts_as_ipv4() {
    let mut book = PhoneBook::default();
    told(&mut book, "::ffff:127.0.0.1", 6881, "::ffff:127.0.0.1");
    assert_eq!(
        told(&mut book, "::ffff:192.168.1.20", 7001, "::ffff:192.168.1.5"),
        [address("192.168.1.5:6881")]
    );
    assert_eq!(
        told(&mut book, "127.0.0.1", 6882, "127.0.0.1"),
        ["127.0.0.1:6881", "192.168.1.20:7001"].map(address)
    );
}

#[test]
fn where_our_own_address_is_not_known_loopback_is_all_there_is() {
    let mut book = PhoneBook::default();
    told(&mut book, "127.0.0.1", 6881, "127.0.0.1");
    assert_eq!(told(&mut book, "192.168.1.20", 7001, "0.0.0.0"), [address("127.0.0.1:6881")]);
}

#[test]
fn two_entries_that_are_one_address_to_an_asker_are_told_once() {
    let mut book = PhoneBook::default();
    told(&mut book, "127.0.0.1", 6881, "127.0.0.1");
    let heard = ReceivedAnnounce::decode(&query(6881, "").replace("-XX0000-", "-YY0000-"))
        .expect("a good announce");
    book.announce(&Asker::new(ip("::1"), 6881, ip("::1")), &heard, Instant::now());
    assert_eq!(told(&mut book, "192.168.1.20", 7001, "192.168.1.5"), [address("192.168.1.5:6881")]);
}

#[test]
fn nobody_is_told_of_an_address_that_is_his_own_to_him() {
    let mut book = PhoneBook::default();
    told(&mut book, "127.0.0.1", 6881, "127.0.0.1");
    // A program on the tracker's machine dials it by its outer address.
    let heard = ReceivedAnnounce::decode(&query(6881, "").replace("-XX0000-", "-YY0000-"))
        .expect("a good announce");
    let asker = Asker::new(ip("192.168.1.5"), 6881, ip("192.168.1.5"));
    assert!(book.announce(&asker, &heard, Instant::now()).peers.is_empty());
}

#[test]
fn a_longer_interval_keeps_peers_longer_and_a_short_one_not_shorter() {
    let begun = Instant::now();
    for (interval, expiry) in [(10, 150), (60, 150), (1_000, 2_500)] {
        let mut book = PhoneBook::new(Duration::from_secs(interval));
        let mut announce = |port, seconds| {
            let heard = ReceivedAnnounce::decode(&query(port, "")).expect("a good announce");
            let asker = Asker::new(ip("10.0.0.1"), port, ip("10.0.0.9"));
            let page = book.announce(&asker, &heard, begun + Duration::from_secs(seconds));
            assert_eq!(page.interval, Duration::from_secs(interval));
            page.peers.len()
        };
        assert_eq!(announce(1, 0), 0);
        assert_eq!(announce(2, expiry - 1), 1, "interval {interval}");
        assert_eq!(announce(3, expiry), 1, "the first has gone: interval {interval}");
    }
}

#[test]
fn a_tally_counts_who_is_there_and_what_was_said() {
    let mut book = PhoneBook::default();
    let now = Instant::now();
    for (port, more, left) in [
        (1, "&event=started", 5),
        (2, "", 5),
        (1, "&event=completed", 0),
        (2, "&event=stopped", 5),
        (3, "", 5),
    ] {
        let heard =
            ReceivedAnnounce::decode(&query(port, more).replace("left=1", &format!("left={left}")))
                .expect("a good announce");
        book.announce(&Asker::new(ip("10.0.0.1"), port, ip("10.0.0.9")), &heard, now);
    }
    let torrent_counts = book.torrent_counts(now);
    assert_eq!(torrent_counts.len(), 1);
    let counts = &torrent_counts[0];
    assert_eq!(
        (counts.complete, counts.incomplete, counts.announces, counts.completed),
        (1, 1, 5, 1)
    );
    let later = book.torrent_counts(now + Duration::from_secs(1_000));
    assert_eq!((later[0].complete, later[0].incomplete, later[0].announces), (0, 0, 5));
}

/// Over HTTP, from a socket at `host`.
fn ask(tracker: &LabTracker, host: &str, query: &str) -> Value {
    let mut stream =
        TcpStream::connect((host, tracker.address().port())).expect("the tracker listens there");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
    stream
        .write_all(format!("GET /announce?{query} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .expect("the tracker reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the tracker answers and closes");
    let (status, answer) = split(&answer);
    assert_eq!(status, "HTTP/1.1 200 OK");
    answer
}

#[test]
fn ipv6_peers_come_in_a_key_of_their_own_and_in_a_list() {
    let Ok(tracker) =
        LabTracker::start(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), Notes::default())
    else {
        return; // this system has no IPv6
    };
    assert!(ask(&tracker, "::1", &query(6881, "")).get("peers6").is_none(), "nobody else is there");
    let answer = ask(&tracker, "::1", &query(6882, ""));
    assert_eq!(answer.get("peers"), Some(&Value::Bytes(Vec::new())));
    let six = [&[0; 15], b"\x01\x1a\xe1".as_slice()].concat();
    assert_eq!(answer.get("peers6"), Some(&Value::Bytes(six)));
    let answer = ask(&tracker, "::1", &query(6882, "&compact=0"));
    let Some(Value::List(peers)) = answer.get("peers") else {
        panic!("a list was expected: {answer:?}")
    };
    assert_eq!(peers[0].get("ip"), Some(&Value::Bytes(b"::1".to_vec())));
}

#[test]
fn one_port_of_all_addresses_takes_both_families() {
    let listeners = everywhere(0).expect("a port is free");
    let tracker =
        LabTracker::on(listeners, Duration::from_secs(77), Notes::default()).expect("a tracker");
    let answer = ask(&tracker, "127.0.0.1", &query(6881, ""));
    assert_eq!(answer.get("interval").and_then(Value::int), Some(77));
    // To the phone book an IPv4 address is the same, whatever socket it came through.
    assert_eq!(
        ask(&tracker, "127.0.0.1", &query(6882, "")).get("peers"),
        Some(&Value::Bytes(b"\x7f\0\0\x01\x1a\xe1".to_vec()))
    );
    if tracker.address().is_ipv6() {
        let peers = ask(&tracker, "::1", &query(6883, ""));
        assert_eq!(
            peers.get("peers"),
            Some(&Value::Bytes(b"\x7f\0\0\x01\x1a\xe1\x7f\0\0\x01\x1a\xe2".to_vec()))
        );
    }
    let port = tracker.address().port();
    assert_eq!(tracker.local_url(), format!("http://127.0.0.1:{port}/announce"));
    let urls = tracker.urls();
    assert!(
        urls.iter()
            .all(|url| url.ends_with(&format!(":{port}/announce")) && !url.contains("//127.")),
        "{urls:?}"
    );
    assert!(urls.iter().all(|url| !url.contains("0.0.0.0") && !url.contains("[::]")), "{urls:?}");
}

#[test]
fn over_http_the_tracker_knows_by_which_address_it_was_reached() {
    let tracker = LabTracker::on(
        everywhere(0).expect("a port is free"),
        Duration::from_secs(60),
        Notes::default(),
    )
    .expect("a tracker");
    ask(&tracker, "127.0.0.1", &query(6881, ""));
    // A packet to the machine's own address stays on the machine, but its source is not loopback.
    for own in tracker
        .urls()
        .iter()
        .filter_map(|url| url.strip_prefix("http://")?.strip_suffix("/announce"))
    {
        let own = address(own);
        let answer = ask(&tracker, &own.ip().to_string(), &query(7000, "&event=stopped&compact=0"));
        assert_eq!(
            answer.get("peers"),
            Some(&Value::List(Vec::new())),
            "who stops is told of nobody"
        );
        let answer = ask(&tracker, &own.ip().to_string(), &query(7001, "&compact=0"));
        let Some(Value::List(peers)) = answer.get("peers") else {
            panic!("a list was expected: {answer:?}")
        };
        let expected = Value::Bytes(own.ip().to_string().into_bytes());
        assert!(
            peers.iter().any(|peer| peer.get("ip") == Some(&expected)
                && peer.get("port") == Some(&Value::Int(6881))),
            "{peers:?}"
        );
        ask(&tracker, &own.ip().to_string(), &query(7001, "&event=stopped"));
    }
}

#[test]
fn an_address_that_a_client_claims_is_ignored_and_noted() {
    let notes = Notes::default();
    let tracker = LabTracker::start(address("127.0.0.1:0"), notes.clone()).expect("a port is free");
    ask(&tracker, "127.0.0.1", &query(6881, "&compact=1&ip=10.9.8.7"));
    let note = notes.take().remove(0);
    assert!(
        note.text.ends_with(
            "; told of 0 peers; its ip=10.9.8.7 is ignored: the address that it calls from counts"
        ),
        "{note}"
    );
    assert_eq!(
        ask(&tracker, "127.0.0.1", &query(6882, "")).get("peers"),
        Some(&Value::Bytes(b"\x7f\0\0\x01\x1a\xe1".to_vec()))
    );
}

#[test]
fn an_announce_is_noted_with_all_that_it_said() {
    let notes = Notes::default();
    let tracker = LabTracker::start(address("127.0.0.1:0"), notes.clone()).expect("a port is free");
    tracker.add_peer(
        piecemeal::s02_metainfo::InfoHash([1; 20]),
        PeerId([2; 20]),
        address("127.0.0.2:6881"),
    );
    let query = format!(
        "info_hash={}&peer_id=-TR3000-abcdefghijkl&port=51413&uploaded=11&downloaded=22&left=33&compact=1&event=started",
        "%01".repeat(20)
    );
    ask(&tracker, "127.0.0.1", &query);
    let note = notes.take().remove(0);
    assert_eq!(
        note.to_string(),
        "tracker: 127.0.0.1:51413 (Transmission 3.0) started: uploaded 11, downloaded 22, \
         33 bytes left of 0101010101010101010101010101010101010101; told of 1 peer"
    );
    let json = &note.json;
    assert_eq!((&json["event"], &json["peer"]), (&"announce".into(), &"127.0.0.1:51413".into()));
    assert_eq!(
        [&json["uploaded"], &json["downloaded"], &json["left"], &json["told"]]
            .map(|count| count.as_u64()),
        [11, 22, 33, 1].map(Some)
    );
    assert_eq!(json["peer_id"], "2d5452333030302d6162636465666768696a6b6c");
}

#[test]
fn what_a_stranger_sends_is_safe_to_print() {
    let notes = Notes::default();
    let tracker = LabTracker::start(address("127.0.0.1:0"), notes.clone()).expect("a port is free");
    let bad = query(6881, "&event=%1b%5b31m%0aboo");
    let (_, answer) = get(&tracker, &format!("/announce?{bad}"));
    assert!(answer.get("failure reason").is_some());
    let id = format!(
        "info_hash={HASH}&peer_id=%1b%5b2J{}&port=1&uploaded=0&downloaded=0&left=0&ip=%0d%07",
        "x".repeat(16)
    );
    assert_eq!(get(&tracker, &format!("/announce?{id}")).1.get("failure reason"), None);
    let notes = notes.take();
    assert_eq!(notes.len(), 2);
    for note in notes {
        assert!(!note.to_string().contains(char::is_control), "{note}");
    }
}

#[test]
fn notes_that_nobody_reads_are_counted_and_make_room() {
    let notes = Notes::default();
    for number in 0..1_500 {
        notes.add("x", "test", number.to_string(), serde_json::json!({ "number": number }));
    }
    let all = notes.take();
    assert_eq!(all.len(), 1_001);
    assert_eq!(all[0].to_string(), "notes: 500 came too fast to be shown");
    assert_eq!((all[1].text.as_str(), all[1_000].text.as_str()), ("500", "1499"));
    assert!(notes.take().is_empty());
}
