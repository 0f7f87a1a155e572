//! Announces that succeed: over either family, over old connections, beside HTTP.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::http::HttpTracker;
use piecemeal::s03_tracker::reach::Reach;
use piecemeal::s03_tracker::tiers::Tier;
use piecemeal::s03_tracker::{
    AnnounceRequest, AnnounceResponse, Event, PeerId, Retry, Tracker, TrackerError,
};
use piecemeal::s18_udp_tracker::UdpTracker;

use crate::support::udp_tracker::{ID, action, announced, answer, good, transaction};
use crate::support::{
    Deed, FakeTracker, FakeUdpTracker, Must, Script, assert_wire, dead_address, value_is, within,
};

/// The longest that an announce may take if nothing delays it.
pub const PLENTY: Duration = Duration::from_secs(60);

pub fn ask() -> AnnounceRequest {
    AnnounceRequest::new(
        InfoHash(
            *b"\xd6\x9f\x91\xe6\xb2\xae\x4c\x54\x24\x68\xd1\x07\x3a\x71\xd4\xea\x13\x87\x9a\x7f",
        ),
        PeerId([b'p'; 20]),
        92063,
    )
}

pub fn peers() -> Vec<SocketAddr> {
    vec![SocketAddr::from(([127, 0, 0, 2], 6881)), SocketAddr::from(([192, 0, 2, 255], 65_535))]
}

/// Announces, and fails the test if that does not end soon after its deadline.
#[track_caller]
pub fn announce_with(
    udp: &Arc<UdpTracker>,
    url: &str,
    ask: AnnounceRequest,
    time: Duration,
) -> Result<AnnounceResponse, TrackerError> {
    let (udp, url) = (Arc::clone(udp), url.to_owned());
    let until = Instant::now() + time;
    within(time + Duration::from_secs(60), move || udp.announce(&url, &ask, until))
}

#[track_caller]
pub fn announce(url: &str, time: Duration) -> Result<AnnounceResponse, TrackerError> {
    announce_with(&Arc::default(), url, ask(), time)
}

#[test]
fn two_packets_each_way_bring_peers() {
    let tracker = FakeUdpTracker::knowing(&peers());
    let all = AnnounceRequest {
        port: 7000,
        event: Some(Event::Stopped),
        numwant: Some(9),
        key: Some(0xabcd),
        ..ask()
    };
    let found = announce_with(&Arc::default(), &tracker.url(), all, PLENTY).expect("it answers");
    let expected = AnnounceResponse {
        peers: peers(),
        interval: Some(Duration::from_secs(1800)),
        complete: Some(3),
        incomplete: Some(2),
        from: Reach::Machine,
        ..AnnounceResponse::default()
    };
    assert_eq!(found, expected);
    let heard = tracker.heard();
    assert_eq!(heard.len(), 2, "{heard:?}");
    let connect = [&b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0"[..], &transaction(&heard[0])].concat();
    assert_wire(&heard[0], &connect, "BEP 15, packets");
    let announce = [
        &ID[..],
        b"\0\0\0\x01",
        &transaction(&heard[1]),
        &ask().info_hash.0,
        b"pppppppppppppppppppp",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x67\x9f\0\0\0\0\0\0\0\0",
        b"\0\0\0\x03\0\0\0\0\0\0\xab\xcd\0\0\0\x09\x1b\x58",
        b"\x02\x09/announce",
    ]
    .concat();
    assert_wire(&heard[1], &announce, "BEP 15, packets");
}

#[test]
fn over_ipv6_a_peer_is_eighteen_bytes() {
    let six: Vec<SocketAddr> = vec![
        "[2001:db8::1]:6881".parse().expect("an address"),
        "[::2]:1".parse().expect("an address"),
    ];
    let known = six.clone();
    let Some(tracker) =
        FakeUdpTracker::start_v6(move |packet, _| vec![Deed::Send(good(packet, &known))])
    else {
        return;
    };
    assert!(tracker.url().starts_with("udp://[::1]:"));
    assert_eq!(announce(&tracker.url(), PLENTY).expect("it answers").peers, six);
}

#[test]
fn port_0_is_nobody() {
    let tracker = FakeUdpTracker::knowing(&[
        SocketAddr::from(([127, 0, 0, 2], 0)),
        SocketAddr::from(([127, 0, 0, 3], 1)),
    ]);
    assert_eq!(
        announce(&tracker.url(), PLENTY).expect("it answers").peers,
        [SocketAddr::from(([127, 0, 0, 3], 1))]
    );
}

#[test]
fn of_the_ten_thousand_peers_that_a_packet_holds_two_thousand_are_taken() {
    let many: Vec<SocketAddr> =
        (1..=10_000).map(|port| SocketAddr::from(([127, 0, 0, 2], port))).collect();
    let tracker = FakeUdpTracker::knowing(&many);
    assert_eq!(announce(&tracker.url(), PLENTY).expect("it answers").peers, many[..2_000]);
}

#[test]
fn the_connection_id_is_used_again() {
    let tracker = FakeUdpTracker::knowing(&peers());
    let other = FakeUdpTracker::knowing(&[]);
    let udp = Arc::default();
    for _ in 0..3 {
        announce_with(&udp, &tracker.url(), ask(), PLENTY).expect("it answers");
        announce_with(&udp, &other.url(), ask(), PLENTY).expect("it answers");
    }
    assert_eq!(tracker.actions(), [0, 1, 1, 1]);
    assert_eq!(other.actions(), [0, 1, 1, 1]);
}

#[test]
fn each_request_has_a_transaction_id_of_its_own() {
    let tracker = FakeUdpTracker::knowing(&peers());
    let udp = Arc::default();
    (0..20).for_each(|_| {
        drop(announce_with(&udp, &tracker.url(), ask(), PLENTY).expect("it answers"))
    });
    let ids: HashSet<[u8; 4]> = tracker.heard().iter().map(|packet| transaction(packet)).collect();
    assert_eq!(ids.len(), 21);
}

/// Accepts only the id of the last connect; `forget` says after which packets it forgets that id.
fn forgetful(forget: fn(usize) -> bool, how: fn(&[u8]) -> Vec<Deed>) -> FakeUdpTracker {
    FakeUdpTracker::start(move |packet, number| match action(packet) {
        0 => vec![Deed::Send(answer(packet, 0, &(number as u64).to_be_bytes()))],
        _ if forget(number) => how(packet),
        _ => vec![Deed::Send(answer(packet, 1, &announced(&peers())))],
    })
}

#[test]
fn a_connection_id_that_the_tracker_has_forgotten_is_renewed_once() {
    let tracker = forgetful(
        |number| number == 2,
        |packet| vec![Deed::Send(answer(packet, 3, b"bad connection id"))],
    );
    let udp = Arc::default();
    announce_with(&udp, &tracker.url(), ask(), PLENTY).expect("it answers");
    announce_with(&udp, &tracker.url(), ask(), PLENTY).expect("it answers to the new id");
    assert_eq!(tracker.actions(), [0, 1, 1, 0, 1]);
    assert_eq!(tracker.heard()[4][..8], [0, 0, 0, 0, 0, 0, 0, 3], "the id of the second connect");

    let tracker =
        forgetful(|number| number >= 2, |packet| vec![Deed::Send(answer(packet, 3, b"no"))]);
    announce_with(&udp, &tracker.url(), ask(), PLENTY).expect("the first is good");
    let error =
        announce_with(&udp, &tracker.url(), ask(), PLENTY).expect_err("it says no to any id");
    assert!(matches!(error, TrackerError::Failure { .. }), "{error}");
    assert_eq!(tracker.actions(), [0, 1, 1, 0, 1]);
}

#[test]
fn a_connection_id_that_gets_no_answer_is_renewed_once() {
    let tracker = forgetful(|number| number == 2, |_| Vec::new());
    let udp = Arc::default();
    announce_with(&udp, &tracker.url(), ask(), PLENTY).expect("it answers");
    announce_with(&udp, &tracker.url(), ask(), Duration::from_secs(2))
        .expect("it answers to the new id");
    assert_eq!(tracker.actions(), [0, 1, 1, 0, 1]);
}

#[test]
fn announces_side_by_side_do_not_take_each_others_answers() {
    let tracker = FakeUdpTracker::start(|packet, _| {
        let said = match action(packet) {
            0 => answer(packet, 0, &ID),
            // A client that asks from port N gets a peer at port N.
            _ => answer(packet, 1, &[&[0; 12][..], &[127, 0, 0, 2], &packet[96..98]].concat()),
        };
        vec![Deed::Send(said)]
    });
    let udp: Arc<UdpTracker> = Arc::default();
    let clients: Vec<Script> = (1..=8)
        .map(|first| {
            let (udp, url) = (Arc::clone(&udp), tracker.url());
            Script::start(move || {
                (first..200).step_by(8).try_for_each(|port| {
                    let ask = AnnounceRequest { port, ..ask() };
                    let found =
                        udp.announce(&url, &ask, Instant::now() + PLENTY).must("an answer")?;
                    let peer = [SocketAddr::from(([127, 0, 0, 2], port))];
                    value_is("the peer for this client", found.peers, peer, "BEP 15, packets")
                })
            })
        })
        .collect();
    clients.into_iter().for_each(Script::verdict);
}

#[test]
fn an_error_is_the_trackers_refusal() {
    let refusing = |at: u8, text: &'static [u8]| {
        FakeUdpTracker::start(move |packet, _| {
            vec![Deed::Send(if action(packet) == at {
                answer(packet, 3, text)
            } else {
                good(packet, &[])
            })]
        })
    };
    let table: [(u8, &[u8], &str); 4] = [
        (1, b"unregistered torrent", "unregistered torrent"),
        (0, b"you are banned", "you are banned"),
        (1, b"bell\x07 and end\0rest", "bell\\u{7} and end"),
        (1, b"", "(it gives no reason)"),
    ];
    for (at, text, expected) in table {
        let tracker = refusing(at, text);
        match announce(&tracker.url(), PLENTY) {
            Err(TrackerError::Failure { reason, retry }) => {
                assert_eq!((reason.as_str(), retry), (expected, Retry::Unsaid))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_tier_may_mix_http_and_udp() {
    let trackers: Vec<Box<dyn Tracker>> =
        vec![Box::new(HttpTracker), Box::new(UdpTracker::default())];
    let udp = FakeUdpTracker::knowing(&peers());
    let http = FakeTracker::knowing(&[SocketAddr::from(([127, 0, 0, 9], 9))]);
    let dead = dead_address();
    let (dead_http, dead_udp) =
        (format!("http://{dead}/announce"), format!("udp://{dead}/announce"));
    for (urls, winner) in
        [([dead_http, udp.url()], udp.url()), ([http.url(), dead_udp], http.url())]
    {
        let mut tier = Tier::new(urls.to_vec());
        for _ in 0..2 {
            let (url, found) = tier
                .announce(&trackers, &ask(), Instant::now() + PLENTY)
                .expect("one of them answers");
            assert_eq!((url, found.peers.is_empty()), (winner.clone(), false));
        }
    }
}

#[test]
fn a_request_that_is_lost_is_sent_again() {
    // The first connect and the first announce get lost: 2 s each.
    let tracker = FakeUdpTracker::start(|packet, number| match number {
        0 | 2 => Vec::new(),
        _ => vec![Deed::Send(good(packet, &peers()))],
    });
    announce(&tracker.url(), Duration::from_secs(20)).expect("it answers in the end");
    let heard = tracker.heard();
    assert_eq!(tracker.actions(), [0, 0, 1, 1]);
    assert_eq!((&heard[0], &heard[2]), (&heard[1], &heard[3]), "the same request, byte by byte");
}
