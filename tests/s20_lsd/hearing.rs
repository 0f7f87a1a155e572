//! What a source does with what it hears.
//!
//! Nothing here waits for time to pass. That something is *not* reported shows when what was said
//! after it is: a source reads datagrams in their order.

use super::fakes::Inhabited;
use crate::support::{assert_value, assert_wire};

const HASH: &str = "cda492889448d540ee036365137eedd24308d22c";

fn search(port: u16, hash: &str, cookie: &str) -> String {
    let cookie = if cookie.is_empty() { String::new() } else { format!("cookie: {cookie}\r\n") };
    format!(
        "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: {port}\r\nInfohash: {hash}\r\n{cookie}\r\n\r\n"
    )
}

/// The cookie in a datagram.
fn cookie(datagram: &[u8]) -> String {
    let text = String::from_utf8_lossy(datagram);
    let line = text.lines().find_map(|line| line.strip_prefix("cookie: "));
    line.expect("ours has a cookie").to_owned()
}

/// Checks which peers are to be dialed next.
#[track_caller]
fn dials(room: &Inhabited, expected: &str) {
    let clause = "BEP 14, local discovery";
    assert_value("the peer to dial", room.found(), vec![expected.to_owned()], clause);
}

/// Checks that all that came before was dropped: the next address reported is this sender's.
#[track_caller]
fn only_hears(room: &Inhabited, last: &str) {
    room.says(search(7_777, HASH, "last"), &format!("{last}:6771"));
    dials(room, &format!("{last}:7777"));
}

#[test]
fn a_neighbor_is_dialed_at_the_ip_of_the_datagram_and_the_port_of_its_text() {
    let room = Inhabited::by(6881);
    room.says(search(51_413, HASH, ""), "10.0.0.7:6771");
    dials(&room, "10.0.0.7:51413");
    room.says(search(51_413, &HASH.to_uppercase(), "x"), "192.168.1.8:40000");
    dials(&room, "192.168.1.8:51413");
    // An address of one cable keeps its scope, without which nobody can dial it.
    room.says(search(51_413, HASH, "x"), "[fe80::1%4]:6771");
    dials(&room, "[fe80::1%4]:51413");
}

#[test]
fn the_torrent_may_be_one_of_several() {
    let room = Inhabited::by(6881);
    let other = "0".repeat(40);
    let several = search(51_413, &format!("{other}\r\nInfohash: {HASH}\r\nInfohash: {other}"), "");
    room.says(several, "10.0.0.7:6771");
    dials(&room, "10.0.0.7:51413");
}

#[test]
fn the_first_datagram_goes_out_at_once_and_names_our_port() {
    let room = Inhabited::by(6_889);
    let sent = room.sent();
    let expected = search(6_889, HASH, &cookie(&sent));
    assert_wire(&sent, expected.as_bytes(), "BEP 14, BT-SEARCH");
    assert_eq!(cookie(&sent).len(), 8);
    assert_ne!(cookie(&sent), cookie(&Inhabited::by(6_889).sent()), "each has its own cookie");
}

#[test]
fn whoever_does_not_listen_asks_nobody_and_dials_all_the_same() {
    let room = Inhabited::by(0);
    only_hears(&room, "10.0.0.9");
    room.stop();
    room.last_words();
    assert_eq!(room.sent_so_far(), 0);
}

#[test]
fn our_own_datagrams_are_ignored() {
    let room = Inhabited::by(6881);
    let ours = room.sent();
    // With our cookie, whoever seems to send it.
    room.says(&ours, "10.0.0.5:6771");
    room.says(&ours, "10.0.0.6:6771");
    room.says(&ours, "10.0.0.5:6771");
    // Without a cookie, from our address and at our port.
    room.says(search(6881, HASH, ""), "10.0.0.5:6771");
    only_hears(&room, "10.0.0.9");
    // Another client on this computer: another port, or at least another cookie.
    room.says(search(6882, HASH, ""), "10.0.0.5:6771");
    assert_eq!(room.found(), ["10.0.0.5:6882"]);
    room.says(search(6881, HASH, "other"), "10.0.0.5:6771");
    assert_eq!(room.found(), ["10.0.0.5:6881"]);
}

#[test]
fn other_torrents_other_rooms_and_services_are_ignored() {
    let room = Inhabited::by(6881);
    room.sent();
    room.says(search(51_413, &"a".repeat(40), ""), "10.0.0.7:6771");
    room.says(search(51_413, HASH, ""), "198.51.100.7:6771");
    room.says(search(51_413, HASH, ""), "[2001:db8::7]:6771");
    room.says(search(51_413, HASH, ""), "0.0.0.0:6771");
    room.says(search(51_413, HASH, "far"), "198.51.100.8:53");
    only_hears(&room, "10.0.0.9");
    // Ports of services: dialed by nobody, and said with -v.
    room.says(search(22, HASH, ""), "10.0.0.8:6771");
    assert_eq!(room.found(), Vec::<String>::new());
}

#[test]
fn a_sender_with_a_public_address_like_ours_is_a_neighbor() {
    let room = Inhabited::by(6881);
    let ours = room.sent();
    room.says(&ours, "198.51.100.5:6771");
    room.says(search(51_413, HASH, ""), "198.51.101.7:6771");
    room.says(search(51_413, HASH, ""), "198.51.100.7:6771");
    assert_eq!(room.found(), ["198.51.100.7:51413"]);
}

#[test]
fn a_flood_is_dropped_and_ends_nothing() {
    let room = Inhabited::by(6881);
    room.sent();
    let thousand = search(51_413, &format!("{HASH}\r\nInfohash: ").repeat(1_000), "");
    let endless = search(51_413, HASH, "").trim_end().to_owned();
    let garbage = [0xff; 1_400];
    for number in 0..5_000 {
        match number % 5 {
            0 => room.says(&thousand, "10.0.0.7:6771"),
            1 => room.says(&endless, "10.0.0.7:6771"),
            2 => room.says(garbage, "10.0.0.7:6771"),
            3 => room.says(b"", "10.0.0.7:6771"),
            _ => room.says(search(0, HASH, "x"), "10.0.0.7:6771"),
        }
    }
    only_hears(&room, "10.0.0.9");
}

#[test]
fn a_thousand_senders_are_fifty_addresses_and_one_answer() {
    let mut room = Inhabited::settled();
    for number in 0..1_000 {
        room.says(
            search(51_413, HASH, ""),
            &format!("10.1.{}.{}:6771", number / 250, number % 250),
        );
    }
    for number in 0..50 {
        dials(&room, &format!("10.1.0.{number}:51413"));
    }
    room.close();
    let words = room.last_words();
    assert!(matches!(&words[..], [why] if why.ends_with("the room is closed")), "{words:?}");
    assert_eq!(room.sent_so_far(), 1);
}

#[test]
fn a_newcomer_is_answered_long_before_the_next_datagram_is_due() {
    let room = Inhabited::settled();
    only_hears(&room, "10.0.0.9");
    room.sent();
}

#[test]
fn without_peers_the_room_is_asked_again() {
    let room = Inhabited::settled();
    room.hungry();
    room.sent();
}

#[test]
fn a_stop_ends_it_and_a_room_that_closes_is_an_error() {
    let room = Inhabited::by(6881);
    room.stop();
    assert!(room.last_words().is_empty());
    let mut room = Inhabited::by(6881);
    room.close();
    let words = room.last_words();
    assert_eq!(
        words,
        ["the local network (IPv4): 239.192.152.143:6771: the room is closed"],
        "which family, which group, and why"
    );
}
