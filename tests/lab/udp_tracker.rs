//! The tracker over UDP, with packets written by hand.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use piecemeal::lab::notes::Notes;
use piecemeal::lab::sockets::everywhere;
use piecemeal::lab::tracker::LabTracker;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;

use crate::lab::client::soon;
use crate::lab::tracker::{HASH, get, query, tracker};
use crate::support::bencode::Value;

const HASH_BYTES: [u8; 20] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];
const CONNECT: [u8; 16] = *b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0abcd";

/// A client's socket, on an address of its own.
fn client(ip: [u8; 4]) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::from((ip, 0))).expect("loopback has a free port");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket takes a timeout");
    socket
}

/// Sends a packet and returns the answer.
fn exchange(socket: &UdpSocket, tracker: &LabTracker, packet: &[u8]) -> Vec<u8> {
    socket.send_to(packet, tracker.address()).expect("loopback takes it");
    let mut buffer = [0; 2_000];
    let (length, from) = socket.recv_from(&mut buffer).expect("an answer comes");
    assert_eq!(from, tracker.address());
    buffer[..length].to_vec()
}

fn connect(socket: &UdpSocket, tracker: &LabTracker) -> [u8; 8] {
    let answer = exchange(socket, tracker, &CONNECT);
    assert_eq!((answer.len(), &answer[..8]), (16, &b"\0\0\0\0abcd"[..]));
    answer[8..].try_into().expect("eight bytes")
}

/// 98 bytes: nothing moved, 9 bytes left, no event, -1 peers.
fn announce(id: [u8; 8], port: u16) -> Vec<u8> {
    let peer_id = format!("-XX0000-{port:012}");
    let rest = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\xff\xff\xff\xff";
    [&id[..], b"\0\0\0\x01efgh", &HASH_BYTES, peer_id.as_bytes(), rest, &port.to_be_bytes()]
        .concat()
}

#[test]
fn the_same_phone_book_answers_over_udp() {
    let tracker = tracker();
    assert_eq!(tracker.udp_url(), tracker.url().replace("http:", "udp:"));
    tracker.add_peer(
        InfoHash(HASH_BYTES),
        PeerId([2; 20]),
        SocketAddr::from(([127, 0, 0, 2], 6881)),
    );
    tracker.add_peer(
        InfoHash(HASH_BYTES),
        PeerId([3; 20]),
        "[::1]:6882".parse().expect("an address"),
    );
    let socket = client([127, 0, 0, 1]);
    let id = connect(&socket, &tracker);
    let packet = [&announce(id, 7000)[..], b"\x02\x0d/announce?a=b"].concat();
    let answer = exchange(&socket, &tracker, &packet);
    // 60 s, 1 leecher, 2 seeders, and of these the one with an IPv4 address.
    assert_eq!(answer, b"\0\0\0\x01efgh\0\0\0\x3c\0\0\0\x01\0\0\0\x02\x7f\0\0\x02\x1a\xe1");
    // A peer that announced over UDP is in the answer over HTTP.
    let (_, over_http) = get(&tracker, &format!("/announce?{}", query(7001, "")));
    assert_eq!(
        over_http.get("peers"),
        Some(&Value::Bytes(b"\x7f\0\0\x01\x1b\x58\x7f\0\0\x02\x1a\xe1".to_vec()))
    );
    let log = tracker.announces();
    let heard = log[0].outcome.as_ref().expect("a good announce");
    assert_eq!((heard.port, heard.left, heard.key, heard.numwant), (7000, 9, Some(5), None));
    assert_eq!(log[0].target, "/announce?a=b");
    assert_eq!(log[0].from, socket.local_addr().expect("it is bound"));
}

#[test]
fn over_ipv6_peers_are_ipv6() {
    let Ok(tracker) = LabTracker::start("[::1]:0".parse().expect("an address"), Notes::default())
    else {
        return;
    };
    tracker.add_peer(
        InfoHash(HASH_BYTES),
        PeerId([2; 20]),
        SocketAddr::from(([127, 0, 0, 2], 6881)),
    );
    tracker.add_peer(
        InfoHash(HASH_BYTES),
        PeerId([3; 20]),
        "[::1]:6882".parse().expect("an address"),
    );
    let socket = UdpSocket::bind("[::1]:0").expect("loopback has a free port");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket takes a timeout");
    let id = connect(&socket, &tracker);
    let answer = exchange(&socket, &tracker, &announce(id, 7000));
    assert_eq!(answer[20..], *b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe2");
}

#[test]
fn a_socket_for_both_families_answers_ipv4_as_ipv4() {
    let tracker = LabTracker::on(
        everywhere(0).expect("a port is free"),
        Duration::from_secs(77),
        Notes::default(),
    )
    .expect("a tracker");
    tracker.add_peer(
        InfoHash(HASH_BYTES),
        PeerId([2; 20]),
        SocketAddr::from(([127, 0, 0, 2], 6881)),
    );
    let socket = client([127, 0, 0, 1]);
    let ask = |packet: &[u8]| {
        socket.send_to(packet, ("127.0.0.1", tracker.address().port())).expect("loopback takes it");
        let mut buffer = [0; 2_000];
        let (length, _) = socket.recv_from(&mut buffer).expect("an answer comes");
        buffer[..length].to_vec()
    };
    let id = ask(&CONNECT)[8..].try_into().expect("eight bytes");
    assert_eq!(
        ask(&announce(id, 7000))[8..],
        *b"\0\0\0\x4d\0\0\0\x01\0\0\0\x01\x7f\0\0\x02\x1a\xe1"
    );
}

#[test]
fn a_connection_id_is_good_for_the_address_that_it_was_given_to() {
    let tracker = tracker();
    let id = connect(&client([127, 0, 0, 1]), &tracker);
    // From another port of the same address, and repeatedly.
    for port in [1, 2, 3] {
        assert_eq!(
            exchange(&client([127, 0, 0, 1]), &tracker, &announce(id, port))[..8],
            *b"\0\0\0\x01efgh"
        );
    }
    #[cfg(target_os = "linux")]
    assert_eq!(
        exchange(&client([127, 0, 0, 7]), &tracker, &announce(id, 4))[..8],
        *b"\0\0\0\x03efgh"
    );
}

#[test]
fn wrong_requests_are_told_what_is_wrong() {
    let notes = Notes::default();
    let tracker = LabTracker::start(SocketAddr::from(([127, 0, 0, 1], 0)), notes.clone())
        .expect("a port is free");
    let socket = client([127, 0, 0, 1]);
    let id = connect(&socket, &tracker);
    let good = announce(id, 7000);
    let with = |at: usize, bytes: &[u8]| {
        let mut packet = good.clone();
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        packet
    };
    let table = [
        (
            with(0, &[0; 8]),
            "the connection id is not one that this tracker gave you lately: connect first",
        ),
        (with(0, &CONNECT[..8]), "connect first"),
        (with(96, &[0, 0]), "port must be 1 to 65535, but is 0"),
        (with(80, &[0, 0, 0, 9]), "the event must be"),
        (with(8, &[0, 0, 0, 9]), "the action must be"),
        (good[..97].to_vec(), "an announce has at least 98 bytes, but this one has 97"),
        (
            [&id[..], b"\0\0\0\x02efgh", &[7; 21]].concat(),
            "a scrape must be 1 to 74 times 20 bytes",
        ),
    ];
    notes.take();
    for (packet, expected) in table {
        let answer = exchange(&socket, &tracker, &packet);
        let reason = String::from_utf8_lossy(&answer[8..]).into_owned();
        assert_eq!(answer[..8], *b"\0\0\0\x03efgh", "{expected}");
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
        assert!(
            notes.take().iter().any(|note| note.text.contains(&reason)),
            "no note says {reason:?}"
        );
    }
    assert!(tracker.announces().iter().all(|logged| logged.outcome.is_err()));
    // A packet without a transaction id gets no answer; the next request does.
    socket.send_to(b"hello", tracker.address()).expect("loopback takes it");
    connect(&socket, &tracker);
    assert!(
        notes
            .take()
            .iter()
            .any(|note| note.text.contains("a request has at least 16 bytes, but this one has 5"))
    );
}

#[test]
fn a_scrape_counts_over_udp_and_over_http() {
    let tracker = tracker();
    tracker.add_peer(
        InfoHash(HASH_BYTES),
        PeerId([2; 20]),
        SocketAddr::from(([127, 0, 0, 2], 6881)),
    );
    let socket = client([127, 0, 0, 1]);
    let id = connect(&socket, &tracker);
    exchange(&socket, &tracker, &announce(id, 7000));
    let mut completed = announce(id, 7001);
    completed[71] = 0; // nothing left
    completed[83] = 1;
    exchange(&socket, &tracker, &completed);
    let scrape = [&id[..], b"\0\0\0\x02ijkl", &[7; 20], &HASH_BYTES].concat();
    let answer = exchange(&socket, &tracker, &scrape);
    // The order is that of the request: all zeros; then 2 seeders, 1 download, 1 leecher.
    assert_eq!(answer, b"\0\0\0\x02ijkl\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x01\0\0\0\x01");
    let (status, answer) = get(&tracker, &format!("/scrape?info_hash={HASH}&info_hash={HASH}"));
    assert_eq!(status, "HTTP/1.1 200 OK");
    let Some(Value::Dict(files)) = answer.get("files") else {
        panic!("files were expected: {answer:?}")
    };
    let [(hash, counts)] = &files[..] else { panic!("one torrent was expected: {files:?}") };
    assert_eq!(hash, &HASH_BYTES);
    let count = |key| counts.get(key).and_then(Value::int);
    assert_eq!(
        [count("complete"), count("downloaded"), count("incomplete")],
        [Some(2), Some(1), Some(1)]
    );
}

#[test]
fn a_wrong_scrape_over_http_is_told_what_is_wrong() {
    let tracker = tracker();
    for (target, expected) in [
        ("/scrape", "info_hash is missing"),
        ("/scrape?info_hash=abc", "info_hash is 3 bytes: it must be exactly 20, percent-encoded"),
        (&format!("/scrape?info_hash={HASH}&info_hash=%0"), "info_hash has a %"),
    ] {
        let (_, answer) = get(&tracker, target);
        let Some(Value::Bytes(reason)) = answer.get("failure reason") else {
            panic!("a refusal was expected: {answer:?}")
        };
        assert!(String::from_utf8_lossy(reason).contains(expected), "{target}");
    }
}

#[test]
fn ending_the_tracker_frees_its_udp_port_at_once() {
    let tracker = tracker();
    let address = tracker.address();
    drop(tracker);
    // It may take a moment: a process that another test is just starting holds a copy of every
    // socket until its program runs.
    soon("the port is free again", || UdpSocket::bind(address).is_ok());
}

/// Packets that need no proof of the sender's address.
#[test]
fn nobody_gets_more_than_they_sent_before_they_proved_where_they_are() {
    let notes = Notes::default();
    let tracker = LabTracker::start(SocketAddr::from(([127, 0, 0, 1], 0)), notes.clone())
        .expect("a port is free");
    let socket = client([127, 0, 0, 1]);
    let elsewhere = connect(&client([127, 0, 0, 7]), &tracker);
    let packets = [
        // As long as a connect, with the action of nothing; zeros; low byte first.
        b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\x07efgh".to_vec(),
        b"\0\0\0\0\0\0\0\0\0\0\0\0efgh".to_vec(),
        b"\x80\x19\x10\x27\x17\x04\0\0\0\0\0\0efgh".to_vec(),
        CONNECT.to_vec(),
        announce([0; 8], 7000),
        announce(CONNECT[..8].try_into().expect("eight bytes"), 7000),
        announce(elsewhere, 7000)[..97].to_vec(),
        [&[9; 8][..], b"\0\0\0\x02efgh", &[7; 20]].concat(),
        [&[9; 8][..], b"\0\0\0\x02efgh", &[7; 20 * 70]].concat(),
        [&[0; 12][..], b"efgh", &[b'x'; 1_400]].concat(),
    ];
    for packet in &packets {
        let answer = exchange(&socket, &tracker, packet);
        let most = if packet[..] == CONNECT { 16 } else { packet.len() - 1 };
        assert!(
            answer.len() <= most,
            "{} bytes came, {} went: {packet:?}",
            packet.len(),
            answer.len()
        );
    }
    assert_eq!(
        notes.take().iter().filter(|note| note.text.starts_with("refused ")).count(),
        packets.len() - 1,
        "each is in the log"
    );
    for length in 0..16 {
        socket.send_to(&CONNECT[..length], tracker.address()).expect("loopback takes it");
    }
    // The next answer is to this request, so there was none to those packets.
    connect(&socket, &tracker);
}

#[test]
fn a_flood_of_packets_does_not_flood_the_log_and_others_are_still_told_of() {
    let notes = Notes::default();
    let tracker = LabTracker::start(SocketAddr::from(([127, 0, 0, 1], 0)), notes.clone())
        .expect("a port is free");
    let (begun, mut lines) = (Instant::now(), 0);
    let mut read = || {
        lines += notes.take().iter().filter(|note| note.json["event"] == "refused").count() as u64;
    };
    // Each waits for its answer, so each has arrived; from many addresses, as spoofed ones would be.
    let sockets: Vec<UdpSocket> = (1..=50).map(|last| client([127, 0, 3, last])).collect();
    for _ in 0..40 {
        for socket in &sockets {
            exchange(socket, &tracker, &[&[0; 12][..], b"efgh"].concat());
        }
        read();
    }
    // Of 2,000: the first 20, and one a second.
    let seconds = begun.elapsed().as_secs() + 1;
    assert!((20..=20 + seconds).contains(&lines), "{lines} lines in {seconds} s");
    assert_eq!(tracker.refused(), 2_000);
    // A client that has proved its address still gets its note.
    let socket = client([127, 0, 0, 9]);
    let id = connect(&socket, &tracker);
    exchange(&socket, &tracker, &announce(id, 7009));
    assert!(notes.take().iter().any(|note| note.text.contains("127.0.0.9:7009")));
}

/// A packet with another tracker's address as its sender would make the two answer each other.
#[test]
fn two_trackers_do_not_answer_each_other_forever() {
    let tracker = tracker();
    let socket = client([127, 0, 0, 1]);
    for first in
        [announce([0; 8], 7000), [&[0; 12][..], b"efgh", &[b'x'; 1_400]].concat(), CONNECT.to_vec()]
    {
        let (mut packet, mut answers) = (first, 0);
        while packet.len() >= 16 {
            packet = exchange(&socket, &tracker, &packet);
            answers += 1;
            assert!(answers < 200, "there is no end to it");
        }
    }
}
