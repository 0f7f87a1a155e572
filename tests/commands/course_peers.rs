//! `peers` and `handshake`: the announce's query and the 68 bytes.

use crate::support::bencode::{bytes, dict, int, list};
use crate::support::tracker::{compact, percent_decoded, query_of};
use crate::support::{
    After, FakePeer, FakeTracker, Greeting, Order, Reply, Run, Torrent, dead_address, folder,
};
use std::net::SocketAddr;

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|a| a.parse().expect("a literal address")).collect()
}

fn value(query: &[(String, String)], key: &str) -> String {
    let all: Vec<_> = query.iter().filter(|(k, _)| k == key).collect();
    assert_eq!(all.len(), 1, "{key} once in {query:?}");
    all[0].1.clone()
}

/// An info dictionary whose hash holds a NUL, a space, `+`, `%`, `&` and bytes
/// above 127: found by search, hashed by another program.
fn awkward() -> Torrent {
    let info = [
        &b"d6:lengthi20000e4:name11:nasty-1908512:piece lengthi32768e6:pieces20:"[..],
        &[3; 20],
        b"e",
    ]
    .concat();
    let torrent = Torrent::of_info(info, vec![0; 20_000], 32_768);
    assert_eq!(torrent.hex(), "61005379920c13a41e26bc20aef12bad66255c4f");
    torrent
}

#[test]
fn peers_prints_one_address_a_line() {
    let folder = folder();
    let tracker =
        FakeTracker::knowing(&addresses(&["188.119.61.177:6881", "10.0.10.10:65535", "1.2.3.4:1"]));
    let torrent = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    Run::new(["peers"])
        .arg(torrent)
        .run()
        .prints("188.119.61.177:6881\n10.0.10.10:65535\n1.2.3.4:1\n");
}

#[test]
fn peers_understands_the_dictionary_form_and_ipv6() {
    let folder = folder();
    let tracker = FakeTracker::saying(Reply::peer_dictionaries(&addresses(&[
        "1.2.3.4:10258",
        "[2001:db8::1]:80",
    ])));
    let torrent = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    Run::new(["peers"]).arg(torrent).run().prints("1.2.3.4:10258\n[2001:db8::1]:80\n");

    let tracker = FakeTracker::saying(Reply::Body(dict(&[
        ("interval", int(60)),
        ("peers", bytes(compact(&addresses(&["1.2.3.4:10258"])))),
        ("peers6", bytes(compact(&addresses(&["[2001:db8::1]:80"])))),
    ])));
    let torrent = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    Run::new(["peers"]).arg(torrent).run().prints("1.2.3.4:10258\n[2001:db8::1]:80\n");
}

#[test]
fn peers_that_are_named_by_host_are_looked_up() {
    let folder = folder();
    let named = |host: &str| {
        let peer = dict(&[("ip", bytes(host)), ("port", int(6881))]);
        FakeTracker::saying(Reply::Body(dict(&[("interval", int(60)), ("peers", list(&[peer]))])))
    };
    let tracker = named("localhost");
    let torrent = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    let outcome = Run::new(["peers"]).arg(torrent).run();
    outcome.succeeds();
    let local = |line: &str| {
        line.parse::<SocketAddr>().is_ok_and(|peer| peer.ip().is_loopback() && peer.port() == 6881)
    };
    assert!(outcome.out().lines().count() > 0 && outcome.out().lines().all(local), "{outcome}");
    // If the name cannot be looked up, the error must not say that there is no peer.
    let tracker = named("no.such.host.invalid");
    let torrent = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    let outcome = Run::new(["peers"]).arg(torrent).run();
    outcome.succeeds();
    outcome.mentions("it names the peer no.such.host.invalid:6881, which cannot be looked up: ");
}

#[test]
fn peers_that_hold_a_newline_byte_are_read_whole() {
    // 10.10.10.10, port 2570: six times 0a. A line-minded parser loses them.
    let folder = folder();
    let tracker = FakeTracker::knowing(&addresses(&["10.10.10.10:2570"]));
    let torrent = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    Run::new(["peers"]).arg(torrent).run().prints("10.10.10.10:2570\n");
}

#[test]
fn the_announce_of_a_stage_command_is_exact() {
    let folder = folder();
    let tracker = FakeTracker::knowing(&addresses(&["1.2.3.4:5"]));
    let torrent = awkward();
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    Run::new(["peers"]).arg(file).run().prints("1.2.3.4:5\n");
    let query = tracker.query();
    let info_hash = value(&query, "info_hash");
    assert_eq!(percent_decoded(&info_hash), torrent.info_hash, "{info_hash}");
    assert!(
        !info_hash.contains('+') && info_hash.is_ascii(),
        "raw bytes are percent-encoded: {info_hash}"
    );
    assert_eq!(percent_decoded(&value(&query, "peer_id")).len(), 20);
    assert!(value(&query, "port").parse::<u16>().is_ok_and(|port| port > 0), "{query:?}");
    assert_eq!(value(&query, "uploaded"), "0");
    assert_eq!(value(&query, "downloaded"), "0");
    let left: u64 = value(&query, "left").parse().expect("a number");
    assert!((1..=20_000).contains(&left), "left={left}");
    assert_eq!(value(&query, "compact"), "1");
    assert!(
        query.iter().all(|(key, _)| key != "event"),
        "a stage command is no session: {query:?}"
    );
}

#[test]
fn every_stage_command_announces_once_and_without_an_event() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let out = folder.path().join("piece");
    Run::new(["download_piece", "-o"]).arg(&out).arg(&file).arg("0").run().succeeds();
    let magnet = torrent.magnet(&[&tracker.url()]);
    Run::new(["magnet_handshake", &magnet]).run().succeeds();
    Run::new(["magnet_info", &magnet]).run().succeeds();
    Run::new(["magnet_download_piece", "-o"]).arg(&out).arg(&magnet).arg("0").run().succeeds();
    let asked = tracker.asked();
    assert_eq!(asked.len(), 4, "{asked:#?}");
    for (number, target) in asked.iter().enumerate() {
        let query = query_of(target);
        assert!(query.iter().all(|(key, _)| key != "event"), "{query:?}");
        assert_eq!(value(&query, "uploaded"), "0");
        assert_eq!(value(&query, "downloaded"), "0");
        if number > 0 {
            assert_eq!(value(&query, "left"), "1", "a magnet does not know the length: {query:?}");
        }
    }
}

#[test]
fn a_passkey_in_the_announce_url_stays() {
    let folder = folder();
    let tracker = FakeTracker::knowing(&addresses(&["1.2.3.4:5"]));
    let url = format!("{}?passkey=a%20b%2Fc&x=1", tracker.url());
    let file = Torrent::sample().write(folder.path(), Some(&url));
    Run::new(["peers"]).arg(file).run().prints("1.2.3.4:5\n");
    let asked = tracker.asked();
    assert!(asked[0].starts_with("/announce?passkey=a%20b%2Fc&x=1&"), "{asked:?}");
    value(&tracker.query(), "info_hash");
}

#[test]
fn a_proxy_is_not_asked_for_a_tracker_on_loopback() {
    let folder = folder();
    let tracker = FakeTracker::knowing(&addresses(&["1.2.3.4:5"]));
    let file = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    let nobody = format!("http://{}", dead_address());
    let mut run = Run::new(["peers"]).arg(file);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        run = run.env(name, &nobody);
    }
    run.run().prints("1.2.3.4:5\n");
}

#[test]
fn a_reply_without_peers_and_with_trailing_bytes_is_an_empty_list() {
    let folder = folder();
    for body in [
        &b"d8:intervali1800ee"[..],
        b"d8:intervali1800e5:peers0:e",
        b"d8:intervali1800e5:peers0:e\r\n<!-- -->",
        b"de",
    ] {
        let tracker = FakeTracker::saying(Reply::Body(body.to_vec()));
        let file = Torrent::sample().write(folder.path(), Some(&tracker.url()));
        let outcome = Run::new(["peers"]).arg(&file).run();
        // Nothing at all would look as if nothing had been done.
        outcome.prints("").mentions("no peer's address is in the tracker's answer");
        let outcome = Run::new(["peers", "-q"]).arg(&file).run();
        assert!(outcome.prints("").err().is_empty(), "-q leaves only the answer: {outcome}");
    }
}

#[test]
fn a_warning_message_is_a_note_and_not_an_error() {
    let folder = folder();
    let tracker = FakeTracker::saying(Reply::Body(dict(&[
        ("interval", int(60)),
        ("peers", bytes(compact(&addresses(&["1.2.3.4:5"])))),
        ("warning message", bytes("old client\x1b[31m")),
    ])));
    let file = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    let outcome = Run::new(["peers"]).arg(file).run();
    outcome.prints("1.2.3.4:5\n");
    assert!(!outcome.err().contains('\x1b'), "{outcome}");
}

#[test]
fn handshake_prints_the_peer_id_and_sends_68_bytes_with_nothing_reserved() {
    let folder = folder();
    let torrent = awkward();
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), Some("http://127.0.0.1:1/announce"));
    let outcome =
        Run::new(["handshake", "--timeout", "60"]).arg(file).arg(peer.address().to_string()).run();
    outcome.prints("Peer ID: 2d4650303030312d303132333435363738396162\n");
    let talk = peer.only_talk();
    let raw = talk.raw();
    assert_eq!(raw.len(), 68, "the handshake and nothing else: {raw:02x?}");
    assert_eq!(&raw[..20], b"\x13BitTorrent protocol");
    assert_eq!(raw[20..28], [0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(raw[28..48], torrent.info_hash);
}

#[test]
fn handshake_does_not_wait_for_the_peer_to_hang_up() {
    let folder = folder();
    let torrent = Torrent::sample();
    let file = torrent.write(folder.path(), None);
    for after in [After::Talk, After::Hold, After::Close, After::Say(vec![0xFF; 200])] {
        for greeting in [Greeting::Proper, Greeting::Eager] {
            let peer = FakePeer::of(&torrent)
                .greeting(greeting)
                .after(after.clone())
                .order(Order::NoBitfield)
                .start();
            Run::new(["handshake", "--timeout", "60"])
                .arg(&file)
                .arg(peer.address().to_string())
                .run()
                .prints("Peer ID: 2d4650303030312d303132333435363738396162\n");
        }
    }
}

#[test]
fn handshake_does_not_read_what_the_tracker_would_say() {
    let folder = folder();
    let torrent = Torrent::sample();
    let tracker = FakeTracker::knowing(&[]);
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    Run::new(["handshake"]).arg(file).arg(peer.address().to_string()).run().succeeds();
    assert_eq!(tracker.asked(), Vec::<String>::new());
}

#[test]
fn a_refused_connection_names_the_peer() {
    let folder = folder();
    let file = Torrent::sample().write(folder.path(), None);
    let nobody = dead_address().to_string();
    Run::new(["handshake", "--timeout", "3"])
        .arg(file)
        .arg(&nobody)
        .run()
        .fails(&[5])
        .mentions(&nobody);
}
