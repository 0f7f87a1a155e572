//! The tracker over real HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use piecemeal::lab::notes::Notes;
use piecemeal::lab::tracker::LabTracker;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;

use crate::lab::client::{Client, nobody_listens};
use crate::support::bencode::{self, Value};

pub const HASH: &str = "%00%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f%10%11%12%13";
const HASH_BYTES: [u8; 20] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];

pub fn tracker() -> LabTracker {
    LabTracker::start(SocketAddr::from(([127, 0, 0, 1], 0)), Notes::default())
        .expect("a port is free")
}

/// A query with this port, and more at its end.
pub fn query(port: u16, more: &str) -> String {
    format!(
        "info_hash={HASH}&peer_id=-XX0000-{port:012}&port={port}&uploaded=0&downloaded=0&left=1{more}"
    )
}

/// Sends bytes, returns all that comes back.
pub fn raw(tracker: &LabTracker, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(tracker.address()).expect("the tracker listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
    stream.write_all(bytes).expect("the tracker reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the tracker answers and closes");
    answer
}

/// The status line, and the body as bencode.
pub fn get(tracker: &LabTracker, target: &str) -> (String, Value) {
    let answer = raw(tracker, format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    split(&answer)
}

pub fn split(answer: &[u8]) -> (String, Value) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let body = &answer[end + 4..];
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    let (value, length) = bencode::decode(body).expect("a bencoded body");
    assert_eq!(length, body.len());
    (head.lines().next().unwrap_or_default().to_owned(), value)
}

fn announce(tracker: &LabTracker, query: &str) -> Value {
    let (status, answer) = get(tracker, &format!("/announce?{query}"));
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!(answer.get("failure reason"), None, "{query}");
    answer
}

fn peers(answer: &Value) -> Vec<u8> {
    match answer.get("peers") {
        Some(Value::Bytes(bytes)) => bytes.clone(),
        other => panic!("compact peers were expected, not {other:?}"),
    }
}

fn with_seeders() -> LabTracker {
    let tracker = tracker();
    for number in [2, 3, 4] {
        let id = PeerId([number; 20]);
        tracker.add_peer(InfoHash(HASH_BYTES), id, SocketAddr::from(([127, 0, 0, number], 6881)));
    }
    tracker
}

#[test]
fn peers_come_compact_and_in_order() {
    let answer = announce(&with_seeders(), &query(6881, ""));
    assert_eq!(peers(&answer), b"\x7f\0\0\x02\x1a\xe1\x7f\0\0\x03\x1a\xe1\x7f\0\0\x04\x1a\xe1");
    assert_eq!(answer.get("interval").and_then(Value::int), Some(60));
    assert_eq!(answer.get("complete").and_then(Value::int), Some(3));
    assert_eq!(answer.get("incomplete").and_then(Value::int), Some(1));
}

#[test]
fn peers_come_as_dictionaries_if_asked() {
    let answer = announce(&with_seeders(), &query(6881, "&compact=0"));
    let Some(Value::List(peers)) = answer.get("peers") else {
        panic!("a list was expected: {answer:?}")
    };
    assert_eq!(peers.len(), 3);
    assert_eq!(peers[0].get("ip"), Some(&Value::Bytes(b"127.0.0.2".to_vec())));
    assert_eq!(peers[0].get("port"), Some(&Value::Int(6881)));
    assert_eq!(peers[0].get("peer id"), Some(&Value::Bytes(vec![2; 20])));
}

#[test]
fn numwant_is_respected() {
    let tracker = with_seeders();
    for (numwant, expected) in [("0", 0), ("2", 2), ("3", 3), ("4000000000", 3), ("-1", 3)] {
        let answer = announce(&tracker, &query(6881, &format!("&numwant={numwant}")));
        assert_eq!(peers(&answer).len(), expected * 6, "numwant={numwant}");
    }
}

#[test]
fn nobody_is_told_of_itself() {
    let tracker = tracker();
    assert_eq!(peers(&announce(&tracker, &query(6881, ""))), b"");
    assert_eq!(peers(&announce(&tracker, &query(6881, ""))), b"");
    assert_eq!(peers(&announce(&tracker, &query(6882, ""))), b"\x7f\0\0\x01\x1a\xe1");
    // The same peer, which has moved to another port.
    let moved = query(6881, "").replace("port=6881", "port=7000");
    assert_eq!(peers(&announce(&tracker, &moved)), b"\x7f\0\0\x01\x1a\xe2");
}

#[test]
fn who_stops_is_forgotten_and_told_of_nobody() {
    let tracker = tracker();
    announce(&tracker, &query(6881, "&event=started"));
    announce(&tracker, &query(6882, ""));
    let answer = announce(&tracker, &query(6881, "&event=stopped"));
    assert_eq!(peers(&answer), b"");
    assert_eq!(answer.get("incomplete").and_then(Value::int), Some(1));
    assert_eq!(peers(&announce(&tracker, &query(6883, ""))), b"\x7f\0\0\x01\x1a\xe2");
}

#[test]
fn who_has_only_a_magnet_link_and_says_that_nothing_is_left_is_told_of_seeds() {
    // As aria2 1.36 does.
    let answer = announce(&with_seeders(), &query(6881, "").replace("left=1", "left=0"));
    assert_eq!(peers(&answer).len(), 18);
    assert_eq!(answer.get("complete").and_then(Value::int), Some(4));
}

#[test]
fn nobody_takes_the_place_of_a_peer_that_was_entered_by_hand() {
    let tracker = tracker();
    let address = SocketAddr::from(([127, 0, 0, 1], 6881));
    tracker.add_peer(InfoHash(HASH_BYTES), PeerId([2; 20]), address);
    announce(&tracker, &query(6881, "&event=stopped"));
    assert_eq!(peers(&announce(&tracker, &query(6882, ""))), b"\x7f\0\0\x01\x1a\xe1");
}

#[test]
fn another_torrent_has_peers_of_its_own() {
    let answer = announce(&with_seeders(), &query(6881, "").replace("%13", "%14"));
    assert_eq!(peers(&answer), b"");
}

#[test]
fn the_log_tells_what_came() {
    let tracker = tracker();
    announce(&tracker, &query(6881, "&event=started&numwant=7"));
    get(&tracker, "/announce?info_hash=1");
    let log = tracker.announces();
    assert_eq!(log.len(), 2);
    let good = log[0].outcome.as_ref().expect("a good announce");
    assert_eq!((good.port, good.left, good.numwant), (6881, 1, Some(7)));
    assert_eq!((good.info_hash.0, good.peer_id.0), (HASH_BYTES, *b"-XX0000-000000006881"));
    assert!(log[0].target.starts_with("/announce?info_hash=%00%01"), "{}", log[0].target);
    assert!(log[0].from.ip().is_loopback());
    assert!(log[1].outcome.is_err());
}

#[test]
fn slow_clients_do_not_hold_up_others() {
    let tracker = with_seeders();
    let mut slow: Vec<Client> = (0..20).map(|_| Client::dial(tracker.address())).collect();
    slow.iter_mut().for_each(|client| client.send(b"GET /announce?info"));
    // One after the other, each of them would cost five seconds.
    assert_eq!(peers(&announce(&tracker, &query(6881, ""))).len(), 18);
}

#[test]
fn ending_the_tracker_does_not_wait_for_slow_clients() {
    let tracker = tracker();
    let address = tracker.address();
    let mut slow = Client::dial(address);
    slow.send(b"GET /ann");
    std::thread::sleep(Duration::from_millis(50));
    drop(tracker);
    // After five seconds it would get an answer, and then the end.
    assert!(slow.is_over());
    nobody_listens(address);
}
