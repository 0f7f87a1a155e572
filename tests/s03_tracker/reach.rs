//! Which addresses we do not contact, as tables; and that each request is checked against them.

use super::super::{ANSWER, ask, http, redirect, server, soon};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::http::HttpTracker;
use piecemeal::s03_tracker::reach::{
    NamedBy, Reach, first_urls, packet_refusal, path_refusal, redirect_refusal, refusal,
};
use piecemeal::s03_tracker::{Tracker, TrackerError};
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::TryRecvError;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn how_far_away_an_address_is() {
    for (ip, reach) in [
        ("127.0.0.1", Reach::Machine),
        ("127.9.9.9", Reach::Machine),
        ("0.0.0.0", Reach::Machine),
        ("0.1.2.3", Reach::Machine),
        ("::1", Reach::Machine),
        ("::", Reach::Machine),
        ("10.1.2.3", Reach::Network),
        ("172.16.0.1", Reach::Network),
        ("172.31.255.255", Reach::Network),
        ("192.168.1.1", Reach::Network),
        ("169.254.169.254", Reach::Network),
        ("100.64.0.1", Reach::Network),
        ("100.127.255.255", Reach::Network),
        ("192.0.0.1", Reach::Network),
        ("239.255.255.250", Reach::Network),
        ("255.255.255.255", Reach::Network),
        ("fe80::1", Reach::Network),
        ("febf::1", Reach::Network),
        ("fec0::1", Reach::Network),
        ("fc00::1", Reach::Network),
        ("fd00::1", Reach::Network),
        ("ff02::1", Reach::Network),
        ("64:ff9b:1::1", Reach::Network),
        ("192.0.2.1", Reach::Internet),
        ("172.32.0.1", Reach::Internet),
        ("100.128.0.1", Reach::Internet),
        ("2001:db8::1", Reach::Internet),
        // An IPv4 address in an IPv6 one: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP.
        ("::ffff:127.0.0.1", Reach::Machine),
        ("::ffff:10.0.0.1", Reach::Network),
        ("::ffff:192.0.2.1", Reach::Internet),
        ("::127.0.0.1", Reach::Machine),
        ("::ffff:0:192.168.1.1", Reach::Network),
        ("64:ff9b::127.0.0.1", Reach::Machine),
        ("64:ff9b::10.0.0.1", Reach::Network),
        ("64:ff9b::192.0.2.1", Reach::Internet),
        ("2002:7f00:1::1", Reach::Machine),
        ("2002:c0a8:101::1", Reach::Network),
        ("2002:c000:201::1", Reach::Internet),
        ("2001:0:c000:201::80ff:fffe", Reach::Machine),
        ("2001:0:c000:201::3fff:fdfe", Reach::Internet),
        ("2001:db8::5efe:10.0.0.1", Reach::Network),
        ("2001:db8::200:5efe:192.0.2.1", Reach::Internet),
        ("fe80::5efe:192.0.2.1", Reach::Network),
        ("fd00::200:5efe:192.0.2.1", Reach::Network),
    ] {
        assert_eq!(Reach::of(ip.parse::<IpAddr>().expect("an address")), reach, "{ip}");
    }
}

#[test]
fn who_may_name_what() {
    let (user, link) = (NamedBy::User, NamedBy::Link(InfoHash([7; 20])));
    let [machine, network, internet] =
        [Reach::Machine, Reach::Network, Reach::Internet].map(NamedBy::Tracker);
    for (peer, may, may_not) in [
        ("127.0.0.1:22", vec![user], vec![link, internet, network, machine]),
        ("192.168.1.1:80", vec![user], vec![link, internet, network, machine]),
        ("127.0.0.1:6881", vec![user, link, machine], vec![internet, network]),
        ("[::ffff:127.0.0.1]:6881", vec![user, link, machine], vec![internet, network]),
        ("[64:ff9b::7f00:1]:6881", vec![user, link, machine], vec![internet, network]),
        ("192.168.1.1:6881", vec![user, link, machine, network], vec![internet]),
        ("[fd00::1]:6881", vec![user, link, machine, network], vec![internet]),
        ("192.0.2.1:443", vec![user, link, machine, network], vec![internet]),
        ("192.0.2.1:6881", vec![user, link, machine, network, internet], vec![]),
    ] {
        for by in may {
            assert_eq!(refusal(address(peer), by), None, "{by:?} names {peer}");
        }
        for by in may_not {
            assert!(refusal(address(peer), by).is_some(), "{by:?} names {peer}");
        }
    }
}

#[test]
fn a_link_whose_info_hash_has_a_command_in_it_leads_to_no_service_near_us() {
    for (hash, is_command) in [
        (b"\r\nFLUSHALL\r\n........", true),
        (b"....\"\n\"\\x46LUSHALL\"\n", true),
        (b"*1\n$8\nFLUSHALL\n.....", true),
        (b".......\nSAVE\n.......", true),
        (b"FLUSHALL\n...........", false),
        (b"FLUSHALL SHUTDOWN...", false),
        (b"abc\ndef\n1234\xffabc\x00xyz", false),
    ] {
        let by = NamedBy::Link(InfoHash(*hash));
        assert_eq!(
            refusal(address("127.0.0.1:6379"), by).is_some(),
            is_command,
            "{}",
            hash.escape_ascii()
        );
        assert_eq!(
            refusal(address("10.0.0.1:6379"), by).is_some(),
            is_command,
            "{}",
            hash.escape_ascii()
        );
        assert_eq!(
            refusal(address("192.0.2.1:6379"), by),
            None,
            "there is nothing that the link's author cannot do"
        );
    }
}

#[test]
fn a_tracker_near_us_is_asked_only_for_what_trackers_are_asked_for() {
    for path in [
        "/announce",
        "/ANNOUNCE",
        "/announce.php",
        "/x/announce",
        "/announce/secret",
        "/0ddba11c0ffee0ddba11c0ffee0ddba1/announce",
        "/scrape",
    ] {
        assert_eq!(path_refusal(Reach::Machine, path), None, "{path}");
    }
    for path in [
        "",
        "/",
        "/shutdown",
        "/admin/x",
        "/announce/../shutdown",
        "/announce/.hidden",
        "/announce/%2e%2e/shutdown",
        "/announce%2F..%2fshutdown",
        "/announce\\..\\shutdown",
        "/announce/%5c",
        "/shutdown.php/announce",
        "/shutdown;/announce",
        "announce",
    ] {
        assert!(path_refusal(Reach::Machine, path).is_some(), "{path}");
        assert!(path_refusal(Reach::Network, path).is_some(), "{path}");
        assert_eq!(path_refusal(Reach::Internet, path), None, "{path}");
    }
    for (tracker, is_asked) in [
        ("127.0.0.1:53", false),
        ("192.168.1.1:161", false),
        ("[fe80::1]:53", false),
        ("127.0.0.1:6969", true),
        ("192.0.2.1:80", true),
    ] {
        assert_eq!(packet_refusal(address(tracker)).is_none(), is_asked, "{tracker}");
    }
}

#[test]
fn a_redirect_may_lead_away_from_us_and_never_nearer() {
    use Reach::{Internet, Machine, Network};
    for (from, to, is_followed) in [
        (Internet, Internet, true),
        (Internet, Network, false),
        (Internet, Machine, false),
        (Network, Machine, false),
        (Network, Network, true),
        (Machine, Internet, true),
    ] {
        assert_eq!(redirect_refusal(from, to).is_none(), is_followed, "{from:?} to {to:?}");
    }
}

#[test]
fn of_a_torrents_trackers_the_first_hundred_are_asked_in_their_tiers() {
    let tier = |name: &str, length: usize| {
        (0..length).map(|number| format!("{name}{number}")).collect::<Vec<_>>()
    };
    let asked =
        |tiers: Vec<Vec<String>>| first_urls(tiers).map(|urls| urls.len()).collect::<Vec<_>>();
    assert_eq!(asked(vec![tier("a", 5000)]), [100]);
    assert_eq!(
        asked(vec![tier("a", 60), vec![], tier("b", 30), tier("c", 30), tier("d", 1)]),
        [60, 30, 10]
    );
    assert_eq!(asked(vec![vec!["a".to_owned()]; 5000]), [1; 100]);
    assert_eq!(asked(vec![]), [0; 0]);
    assert_eq!(
        first_urls(vec![tier("a", 2), tier("b", 1)]).collect::<Vec<_>>(),
        [vec!["a0", "a1"], vec!["b0"]]
    );
}

/// Each is another way to write 127.0.0.1; a name that leads there is one more.
#[test]
fn what_counts_is_the_address_that_a_host_leads_to() {
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "[::ffff:127.0.0.1]",
    ] {
        let (url, requests) = server(vec![http("200 OK", ANSWER)]);
        let url = url.replace("127.0.0.1", host);
        for path in ["/shutdown", "/?x=/announce", "/announce/../shutdown", "#/announce"] {
            let asked = HttpTracker.announce(&format!("{url}{path}"), &ask(), soon());
            // Not every system reads every spelling.
            assert!(
                matches!(asked, Err(TrackerError::OffLimits(_) | TrackerError::Transport(_))),
                "{url}{path}: {asked:?}"
            );
        }
        assert_eq!(requests.try_recv(), Err(TryRecvError::Empty), "{host}");
    }
    let (url, _requests) = server(vec![http("200 OK", ANSWER)]);
    let answer =
        HttpTracker.announce(&format!("{url}/announce"), &ask(), soon()).expect("it is a tracker");
    assert_eq!(answer.from, Reach::Machine);
}

#[test]
fn a_redirect_leads_to_a_tracker_or_nowhere() {
    for (path, is_followed) in [("/shutdown", false), ("/announce", true)] {
        let (other, requests) = server(vec![http("200 OK", ANSWER)]);
        let (url, _requests) = server(vec![redirect(&format!("{other}{path}"))]);
        let answer = HttpTracker.announce(&format!("{url}/announce"), &ask(), soon());
        assert_eq!(answer.is_ok(), is_followed, "{path}: {answer:?}");
        // The tracker itself may be asked again: its redirect may be gone by then.
        assert!(matches!(answer, Ok(_) | Err(TrackerError::Transport(_))), "{path}: {answer:?}");
        assert_eq!(requests.try_recv().is_ok(), is_followed, "{path}");
    }
}

#[test]
fn a_port_that_is_none_is_not_taken_for_another() {
    for authority in ["127.0.0.1:99999", "127.0.0.1:0", "[::1]:65536", "user@127.0.0.1:70000"] {
        let answer = HttpTracker.announce(&format!("http://{authority}/announce"), &ask(), soon());
        let error = answer.expect_err("there is no such port").to_string();
        assert!(error.contains("its port is not a number from 1 to 65535"), "{authority}: {error}");
        // Nor when a tracker redirects there.
        let (url, _requests) = server(vec![redirect(&format!("http://{authority}/announce"))]);
        let answer = HttpTracker.announce(&format!("{url}/announce"), &ask(), soon());
        let error = answer.expect_err("there is no such port").to_string();
        assert!(error.contains("its port is not a number from 1 to 65535"), "{authority}: {error}");
    }
}
