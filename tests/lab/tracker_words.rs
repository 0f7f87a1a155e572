//! The tracker's words about wrong announces.

use std::time::{Duration, Instant};

use piecemeal::lab::announce::ReceivedAnnounce;
use piecemeal::lab::phone_book::{Asker, PhoneBook};
use piecemeal::s03_tracker::PeerId;

use crate::lab::tracker::{HASH, get, query, raw, split, tracker};
use crate::support::bencode::Value;

fn reason(answer: &Value) -> String {
    match answer.get("failure reason") {
        Some(Value::Bytes(reason)) => {
            String::from_utf8(reason.clone()).expect("the reason is text")
        }
        other => panic!("a failure reason was expected, not {other:?}"),
    }
}

#[test]
fn wrong_announces_are_told_what_is_wrong() {
    let tracker = tracker();
    let good = query(6881, "");
    let hex = "000102030405060708090a0b0c0d0e0f10111213";
    let with_hash = |hash: &str| good.replace(HASH, hash);
    let table = [
        (String::new(), "info_hash, peer_id, port, uploaded, downloaded and left are missing"),
        (with_hash(hex), "info_hash is 40 bytes: send the 20 raw bytes, percent-encoded, not hex"),
        (
            with_hash(&HASH.replace('%', "%25")),
            "info_hash is 60 bytes: they were percent-encoded twice",
        ),
        (
            with_hash("%C3%80%C3%81%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f%10%11%12%13"),
            "info_hash is 22 bytes: they were taken for text, which spoils them; percent-encode the bytes one by one",
        ),
        (with_hash("%00"), "info_hash is 1 byte: it must be exactly 20, percent-encoded"),
        (
            with_hash("+%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f%10%11%12%13"),
            "info_hash has a +",
        ),
        (with_hash("%0g"), "info_hash has a % that is not followed by two hex digits"),
        (with_hash("%1"), "info_hash has a % that is not followed by two hex digits"),
        (format!("{good}&info_hash={HASH}"), "info_hash appears twice"),
        (good.replace("&peer_id", "&peer"), "peer_id is missing"),
        (good.replace("&port=6881", "").replace("left=", "rest="), "port and left are missing"),
        (good.replace("-XX0000-", "-XX-"), "peer_id is 16 bytes: it must be exactly 20"),
        (good.replace("&port=6881", ""), "port is missing"),
        (good.replace("&port=6881", "&port=0"), "port must be 1 to 65535, but is \"0\""),
        (good.replace("&port=6881", "&port=65536"), "port must be 1 to 65535, but is \"65536\""),
        (good.replace("left=1", "left="), "left must be a number of bytes, but is \"\""),
        (good.replace("left=1", "left=-1"), "left must be a number of bytes, but is \"-1\""),
        (good.replace("&uploaded=0", ""), "uploaded is missing"),
        (
            good.replace("downloaded=0", "downloaded=%2B1"),
            "downloaded must be a number of bytes, but is \"+1\"",
        ),
        (
            format!("{good}&event=begin"),
            "event must be started, completed or stopped, or be absent, but is \"begin\"",
        ),
        (format!("{good}&compact=yes"), "compact must be 0 or 1, but is \"yes\""),
        (format!("{good}&numwant=many"), "numwant must be a number of peers, but is \"many\""),
    ];
    for (query, expected) in table {
        let (status, answer) = get(&tracker, &format!("/announce?{query}"));
        assert_eq!(status, "HTTP/1.1 200 OK", "{query}");
        assert!(reason(&answer).starts_with(expected), "{query}: {}", reason(&answer));
    }
    let (_, answer) = get(&tracker, &format!("/announce?{good}"));
    assert_eq!(answer.get("failure reason"), None);
}

#[test]
fn who_does_not_know_the_length_may_say_nan() {
    let heard = ReceivedAnnounce::decode(&query(6881, "").replace("left=1", "left=NaN"))
        .expect("WebTorrent says this");
    assert_eq!(heard.announce.left, 1);
    assert!(heard.oddities().iter().any(|odd| odd.contains("left=NaN")), "{:?}", heard.oddities());
}

#[test]
fn what_real_clients_send_is_good() {
    let more = "&compact=1&numwant=80&key=5A3B9C1D&supportcrypto=1&no_peer_id=1&event=&ip=10.0.0.1&redundant=0&corrupt=0";
    let heard = ReceivedAnnounce::decode(&query(51413, more)).expect("a good announce");
    assert_eq!(heard.announce.key, Some(0x5a3b_9c1d));
    assert_eq!(heard.announce.event, None);
    let raw_letters = query(51413, "").replace(HASH, "abcdefghij~.-_%2b%2F%00%FF*(");
    assert_eq!(
        ReceivedAnnounce::decode(&raw_letters).expect("a good announce").announce.info_hash.0,
        *b"abcdefghij~.-_+/\0\xff*("
    );
}

#[test]
fn other_paths_and_methods_get_a_status_and_a_reason() {
    let tracker = tracker();
    let (status, answer) = get(&tracker, "/");
    assert_eq!(
        (status.as_str(), reason(&answer).as_str()),
        ("HTTP/1.1 404 Not Found", "this tracker answers at /announce, not at /")
    );
    let (status, _) = get(&tracker, &format!("/secret/announce?{}", query(6881, "")));
    assert_eq!(status, "HTTP/1.1 200 OK");
    let post =
        format!("POST /announce?{} HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", query(6881, ""));
    let (status, answer) = split(&raw(&tracker, post.as_bytes()));
    assert_eq!(status, "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(reason(&answer), "an announce is a GET request, not POST");
}

#[test]
fn what_is_not_http_is_answered_and_closed() {
    let tracker = tracker();
    let long = format!("GET /announce?{} HTTP/1.1\r\n", "x".repeat(20_000));
    for bytes in [
        b"\x13BitTorrent protocol".as_slice(),
        b"\x16\x03\x01\x02\x00\x01",
        b"hello\r\n\r\n",
        long.as_bytes(),
    ] {
        let (status, answer) = split(&raw(&tracker, bytes));
        assert_eq!(status, "HTTP/1.1 400 Bad Request");
        assert!(
            reason(&answer).starts_with("this is not an HTTP request that a tracker understands: ")
        );
    }
}

#[test]
fn who_does_not_come_back_is_forgotten() {
    let mut book = PhoneBook::default();
    let begun = Instant::now();
    let at = |port| Asker::new([10, 0, 0, 1].into(), port, [10, 0, 0, 9].into());
    let heard = |port| ReceivedAnnounce::decode(&query(port, "")).expect("a good announce");
    book.add(heard(1).announce.info_hash, PeerId([7; 20]), at(7).listens);
    let mut announce = |port, seconds| {
        book.announce(&at(port), &heard(port), begun + Duration::from_secs(seconds)).peers.len()
    };
    assert_eq!(announce(1, 0), 1);
    assert_eq!(announce(2, 149), 2);
    assert_eq!(announce(2, 150), 1, "the first has gone, the one entered by hand stays");
    assert_eq!(announce(3, 299), 2);
    assert_eq!(announce(3, 301), 1);
}
