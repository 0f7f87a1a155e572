//! Trackers that are down, slow, huge, redirecting, HTML or failing.

use crate::all_at_once;
use crate::support::bencode::{bytes, dict, int, list};
use crate::support::{FakePeer, FakeTracker, Reply, Run, Torrent, dead_address, folder};
use std::net::SocketAddr;

/// An address that a tracker may name. Nothing listens there, and no packet leaves this
/// machine.
fn somebody() -> SocketAddr {
    "127.0.0.1:9".parse().expect("a literal address")
}

fn huge() -> Vec<u8> {
    let peers = bytes(vec![1; 6 * 500_000]);
    [&b"d8:intervali60e5:peers"[..], &peers, b"e"].concat()
}

/// Every way to fail, with a word that the error must say.
fn failing() -> Vec<(&'static str, FakeTracker, &'static str)> {
    let saying = FakeTracker::saying;
    let refusal = dict(&[("failure reason", bytes("unregistered torrent"))]);
    vec![
        ("failure reason", saying(Reply::failure("unregistered torrent")), "unregistered torrent"),
        (
            "failure reason behind a 400",
            saying(Reply::Status(400, refusal.clone())),
            "unregistered torrent",
        ),
        (
            "failure reason behind a 500",
            saying(Reply::Status(500, refusal)),
            "unregistered torrent",
        ),
        ("html", saying(Reply::Body(b"<html><body>Welcome</body></html>".to_vec())), ""),
        ("404", saying(Reply::Status(404, b"<html>not found</html>".to_vec())), "404"),
        ("500 without a body", saying(Reply::Status(500, Vec::new())), "500"),
        ("empty", saying(Reply::Body(Vec::new())), ""),
        ("cut", saying(Reply::Body(b"d8:intervali1800e5:peers60:abc".to_vec())), ""),
        ("a list", saying(Reply::Body(b"le".to_vec())), ""),
        ("nested", saying(Reply::Body(b"l".repeat(100_000))), ""),
        ("peers of the wrong type", saying(Reply::Body(dict(&[("peers", int(7))]))), "peers"),
        ("huge", saying(Reply::Body(huge())), ""),
        ("endless", saying(Reply::Flood), ""),
        ("drip", saying(Reply::Drip), ""),
        ("silent", saying(Reply::Silence), ""),
        ("hangs up", saying(Reply::HangUp), ""),
        ("another protocol", saying(Reply::Raw(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())), ""),
        ("endless header", saying(Reply::Raw(vec![b'a'; 1_000_000])), ""),
        ("six redirects", FakeTracker::redirecting(6, &[somebody()]), "redirect"),
        ("redirects for ever", FakeTracker::redirecting(usize::MAX, &[]), "redirect"),
        ("redirect to a file", saying(Reply::Redirect("file:///etc/passwd".to_owned())), ""),
        (
            "redirect to another scheme",
            saying(Reply::Redirect("gopher://127.0.0.1/".to_owned())),
            "",
        ),
        (
            "redirect to nothing",
            saying(Reply::Redirect(format!("http://{}/x", dead_address()))),
            "",
        ),
        (
            "redirect without a target",
            saying(Reply::Raw(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_vec())),
            "",
        ),
        ("redirect to an empty target", saying(Reply::Redirect(String::new())), ""),
    ]
}

#[test]
fn peers_of_a_failing_tracker_is_an_error_of_the_tracker() {
    all_at_once(failing(), |(what, tracker, word)| {
        let folder = folder();
        let file = Torrent::sample().write(folder.path(), Some(&tracker.url()));
        let outcome = Run::new(["peers", "--timeout", "6"]).arg(file).run();
        outcome.fails(&[4]).mentions(word).mentions("127.0.0.1");
        assert!(!outcome.err().contains("root:"), "{what}: a file of this machine is not shown");
    });
}

#[test]
fn a_download_finishes_though_its_tracker_fails() {
    let torrent = Torrent::of_pieces(4, 40);
    all_at_once(failing(), |(what, tracker, _)| {
        let folder = folder();
        let peer = FakePeer::of(&torrent).start();
        let file = torrent.write(folder.path(), Some(&tracker.url()));
        let out = folder.path().join("out");
        Run::new(["download", "-o"]).arg(&out).arg(file).peer(peer.address()).run().succeeds();
        assert!(std::fs::read(&out).expect("the download is there") == torrent.content, "{what}");
    });
}

#[test]
fn a_download_with_nothing_but_a_failing_tracker_ends_with_its_reason() {
    let torrent = Torrent::of_pieces(4, 40);
    let cases: Vec<_> = failing()
        .into_iter()
        .filter(|(what, _, _)| {
            ["failure reason", "html", "empty", "hangs up", "six redirects"].contains(what)
        })
        .collect();
    all_at_once(cases, |(_, tracker, word)| {
        let folder = folder();
        let file = torrent.write(folder.path(), Some(&tracker.url()));
        let out = folder.path().join("out");
        Run::new(["download", "--timeout", "4", "-o"])
            .arg(out)
            .arg(file)
            .run()
            .fails(&[4])
            .mentions(word);
    });
}

#[test]
fn five_redirects_are_followed() {
    let folder = folder();
    let tracker = FakeTracker::redirecting(5, &[somebody()]);
    let file = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    Run::new(["peers"]).arg(file).run().prints("127.0.0.1:9\n");
    assert_eq!(tracker.asked().len(), 6);
}

#[test]
fn a_tracker_url_that_leads_nowhere_is_an_error() {
    let urls = vec![
        "",
        "not a url",
        "http://",
        "http:///announce",
        "file:///etc/passwd",
        "ftp://127.0.0.1/announce",
        "wss://127.0.0.1/announce",
        "http://127.0.0.1:99999/announce",
        "http://no-such-host.invalid/announce",
        "http://127.0.0.1:1/\n\r\nHost: x",
    ];
    all_at_once(urls, |url| {
        let folder = folder();
        let file = Torrent::sample().write(folder.path(), Some(url));
        // An empty list is a good answer: then the error is about a missing peer.
        let codes: &[i32] = if url.is_empty() { &[3, 4, 5] } else { &[3, 4] };
        Run::new(["peers", "--timeout", "6"]).arg(file).run().fails(codes);
    });
}

#[test]
fn peers_that_cannot_be_dialed_are_left_out_of_the_list() {
    let entry = |ip: &str, port: i64| dict(&[("ip", bytes(ip)), ("port", int(port))]);
    let body = dict(&[(
        "peers",
        list(&[
            entry("1.2.3.4", 5),
            entry("1.2.3.4", 0),
            entry("1.2.3.4", 65_536),
            entry("1.2.3.4", -1),
            entry("not an address", 5),
            dict(&[("port", int(5))]),
            int(5),
            entry("5.6.7.8", 9),
        ]),
    )]);
    let folder = folder();
    let tracker = FakeTracker::saying(Reply::Body(body));
    let file = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    Run::new(["peers"]).arg(file).run().prints("1.2.3.4:5\n5.6.7.8:9\n");
}

#[test]
fn a_slow_tracker_beside_a_quick_one_costs_nothing() {
    let folder = folder();
    let quick = FakeTracker::knowing(&[somebody()]);
    let slow = FakeTracker::saying(Reply::Silence);
    let torrent = Torrent::sample();
    for (first, second) in [(&slow, &quick), (&quick, &slow)] {
        let tier = |tracker: &FakeTracker| list(&[bytes(tracker.url())]);
        let file = dict(&[
            ("announce-list", list(&[tier(first), tier(second)])),
            ("info", torrent.info.clone()),
        ]);
        let path = folder.path().join("t.torrent");
        std::fs::write(&path, file).expect("a temporary folder takes a file");
        Run::new(["peers", "--timeout", "60"]).arg(path).run().prints("127.0.0.1:9\n");
    }
}
