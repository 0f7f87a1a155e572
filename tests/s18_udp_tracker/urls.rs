//! Which address a URL leads to, and which URLs are refused.

use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

use super::announcing::{PLENTY, announce, peers};
use crate::support::udp_tracker::good;
use crate::support::{Deed, FakeUdpTracker};

/// The announce's bytes after the first 98.
fn options(tracker: &FakeUdpTracker) -> Vec<u8> {
    tracker.heard().last().expect("an announce came")[98..].to_vec()
}

#[test]
fn path_and_query_travel_with_the_announce_and_a_fragment_does_not() {
    let table: [(&str, &[u8]); 6] = [
        ("", b""),
        ("/", b"\x02\x01/"),
        ("/announce", b"\x02\x09/announce"),
        ("/a/b?passkey=x%26y#top", b"\x02\x12/a/b?passkey=x%26y"),
        ("?k=1", b"\x02\x04?k=1"),
        ("#top", b""),
    ];
    for (path, expected) in table {
        let tracker = FakeUdpTracker::knowing(&peers());
        announce(&format!("udp://{}{path}", tracker.address()), PLENTY).expect("it answers");
        assert_eq!(options(&tracker), expected, "{path}");
    }
}

#[test]
fn a_tracker_may_be_named_and_each_of_its_families_is_tried() {
    let tracker = FakeUdpTracker::knowing(&peers());
    let port = tracker.address().port();
    // `localhost` may be ::1 first, where nothing listens. Schemes have no case.
    for host in ["localhost", "user@127.0.0.1", "user:word@localhost", "[::ffff:127.0.0.1]"] {
        let found = announce(&format!("UDP://{host}:{port}/announce"), PLENTY)
            .unwrap_or_else(|e| panic!("{host}: {e}"));
        assert_eq!(found.peers, peers());
    }
}

#[test]
fn a_silent_address_leaves_time_for_the_other_family() {
    let addresses: Vec<IpAddr> =
        ("localhost", 0).to_socket_addrs().expect("a name").map(|address| address.ip()).collect();
    if !addresses.iter().any(IpAddr::is_ipv6) || !addresses.iter().any(IpAddr::is_ipv4) {
        return; // where `localhost` has one family, there is nothing to see
    }
    for silent_six in [true, false] {
        let answers = move |yes: bool| {
            move |packet: &[u8], _| {
                if yes { vec![Deed::Send(good(packet, &[]))] } else { Vec::new() }
            }
        };
        // A port that is free in both families.
        let (six, four) = (0..50)
            .find_map(|_| {
                let six = FakeUdpTracker::start_at("[::1]:0", answers(!silent_six))?;
                let four = FakeUdpTracker::start_at(
                    &format!("127.0.0.1:{}", six.address().port()),
                    answers(silent_six),
                )?;
                Some((six, four))
            })
            .expect("a port is free in both families");
        announce(&format!("udp://localhost:{}/", four.address().port()), Duration::from_secs(3))
            .expect("one family answers");
        let heard = if silent_six { four.actions() } else { six.actions() };
        assert_eq!(heard, [0, 1]);
    }
}

#[test]
fn a_url_that_lacks_something_is_an_error_that_says_what() {
    let long = format!("udp://127.0.0.1:9/{}", "x".repeat(1_000));
    let table = [
        ("udp://", "a host and a port"),
        ("udp:///announce", "a host and a port"),
        ("udp://127.0.0.1/announce", "a host and a port"),
        ("udp://:80/announce", "a host name or address"),
        ("udp://::1:80/announce", "a host name or address, IPv6 in brackets"),
        ("udp://[::1/announce", "a host name or address"),
        ("udp://[]:80/", "a host name or address"),
        ("udp://127.0.0.1:0/announce", "a port from 1 to 65535"),
        ("udp://127.0.0.1:65536/announce", "a port from 1 to 65535"),
        ("udp://127.0.0.1:+80/announce", "a port from 1 to 65535"),
        ("udp://127.0.0.1:/announce", "a port from 1 to 65535"),
        ("udp://127.0.0.1:x/announce", "a port from 1 to 65535"),
        (&long, "a path and query of at most 1000 bytes"),
    ];
    for (url, expected) in table {
        let error = announce(url, PLENTY).expect_err(url).to_string();
        assert!(error.contains(expected), "{url}: {error:?} does not say {expected:?}");
    }
}

#[test]
fn a_name_that_does_not_exist_is_an_error_by_the_deadline() {
    let error = announce("udp://no-such-host.invalid:80/announce", Duration::from_secs(2))
        .expect_err("nobody")
        .to_string();
    assert!(error.contains("no-such-host.invalid could not be looked up"), "{error}");
    announce("udp://a name with spaces:80/announce", Duration::from_secs(2)).expect_err("no name");
}
