//! Trackers that are silent, late, dead or impostors.

use std::time::{Duration, Instant};

use piecemeal::s03_tracker::TrackerError;

use super::announcing::{PLENTY, announce, peers};
use crate::support::udp_tracker::{ID, action, announced, answer, good, transaction};
use crate::support::{Deed, FakeUdpTracker, dead_address};

/// Packets that may come instead of the right answer, and must be ignored.
fn wrong(packet: &[u8]) -> Vec<Vec<u8>> {
    let mut right = good(packet, &peers());
    let mut all: Vec<Vec<u8>> = match action(packet) {
        // Any length but the whole; the peers may end after each.
        1 => (0..right.len())
            .filter(|length| *length < 20 || (length - 20) % 6 != 0)
            .map(|length| right[..length].to_vec())
            .collect(),
        _ => (0..right.len()).map(|length| right[..length].to_vec()).collect(),
    };
    // Another kind of answer; an unknown action.
    let kind = 1 - action(packet);
    all.push(answer(packet, kind, &if kind == 0 { ID.to_vec() } else { announced(&peers()) }));
    all.push(answer(packet, 2, &[0; 12]));
    all.push(answer(packet, 4, &[0; 12]));
    all.push(answer(packet, 0x80, &[0; 12]));
    // Another transaction, even for an error.
    right[7] ^= 1;
    all.push(right);
    let mut error = answer(packet, 3, b"I am not the tracker");
    error[4] ^= 0x80;
    all.push(error);
    all
}

/// The time to ask a tracker that will not answer: long enough for everything else to happen,
/// and shorter than the two seconds after which a request is sent again.
pub const SHORT: Duration = Duration::from_secs(1);

#[test]
fn what_does_not_fit_is_passed_over_until_the_right_answer_comes() {
    let tracker = FakeUdpTracker::start(|packet, _| {
        wrong(packet).into_iter().chain([good(packet, &peers())]).map(Deed::Send).collect()
    });
    assert_eq!(announce(&tracker.url(), PLENTY).expect("the last is right").peers, peers());
    assert_eq!(tracker.actions(), [0, 1]);
}

#[test]
fn an_answer_with_another_transaction_id_is_not_taken() {
    // The connection id in it shows in the next request, if it was taken.
    let tracker = FakeUdpTracker::start(|packet, _| {
        let mut wrong = answer(packet, 0, &[9; 8]);
        wrong[7] ^= 1;
        let wrong = (action(packet) == 0).then_some(Deed::Send(wrong));
        wrong.into_iter().chain([Deed::Send(good(packet, &peers()))]).collect()
    });
    let found = announce(&tracker.url(), PLENTY);
    let heard = tracker.heard();
    if let Some(taken) = heard.iter().find(|packet| packet.starts_with(&[9; 8])) {
        panic!(
            "the packets, byte 4, transaction id: an answer is expected to have {:02x?}, as its request; \
             one that has another was taken, and its connection id used: {:02x?}   \
             [BEP 15, packets; piecemeal chapter 18]",
            transaction(&heard[0]),
            &taken[..8],
        );
    }
    assert_eq!(found.expect("the right one comes").peers, peers());
}

#[test]
fn a_connection_id_that_the_tracker_no_longer_knows_is_asked_for_anew_once() {
    // Its first id is not known to it, as when two machines share an address.
    let tracker = FakeUdpTracker::start(|packet, before| match (action(packet), before) {
        (1, 1) => vec![Deed::Send(answer(packet, 3, b"Connection ID missmatch.\0"))],
        _ => vec![Deed::Send(good(packet, &peers()))],
    });
    assert_eq!(announce(&tracker.url(), PLENTY).expect("the second id is good").peers, peers());
    assert_eq!(tracker.actions(), [0, 1, 0, 1]);
    // A tracker that never knows any id is asked twice and no more; another refusal is final at once.
    for (refusal, actions) in
        [(&b"bad connection ID"[..], &[0, 1, 0, 1][..]), (b"not registered", &[0, 1])]
    {
        let tracker = FakeUdpTracker::start(|packet, _| match action(packet) {
            1 => vec![Deed::Send(answer(packet, 3, refusal))],
            _ => vec![Deed::Send(good(packet, &peers()))],
        });
        let error = announce(&tracker.url(), PLENTY).expect_err("it refuses");
        assert!(matches!(error, TrackerError::Failure { .. }), "{error}");
        assert_eq!(tracker.actions(), actions);
    }
}

#[test]
fn an_answer_from_elsewhere_is_not_heard() {
    let forged = |packet: &[u8]| match action(packet) {
        0 => answer(packet, 0, &[9; 8]),
        _ => answer(packet, 1, &announced(&["192.0.2.66:666".parse().expect("an address")])),
    };
    let tracker = FakeUdpTracker::start(move |packet, _| {
        let pause = Deed::Wait(Duration::from_millis(30));
        vec![Deed::Forge(forged(packet)), pause, Deed::Send(good(packet, &peers()))]
    });
    assert_eq!(announce(&tracker.url(), PLENTY).expect("the true one comes").peers, peers());
    // And alone it is no better than silence.
    let tracker = FakeUdpTracker::start(move |packet, _| vec![Deed::Forge(forged(packet))]);
    announce(&tracker.url(), SHORT).expect_err("nobody has answered");
    assert_eq!(tracker.actions(), [0]);
}

#[test]
fn nothing_but_wrong_answers_is_an_error_that_says_what_was_wrong() {
    type Say = fn(&[u8]) -> Vec<u8>;
    let table: [(Say, &str); 4] = [
        (
            |packet| answer(packet, 0, &[1; 7]),
            "the answer to a connect has at least 16 bytes, but this one has 15",
        ),
        (|packet| answer(packet, 1, &announced(&[])), "it answers another kind of request"),
        (
            |packet| [&answer(packet, 0, &ID)[..4], &[0; 12]].concat(),
            "it has another transaction id",
        ),
        (|packet| answer(packet, 7, &ID), "the action must be"),
    ];
    for (say, expected) in table {
        let tracker = FakeUdpTracker::start(move |packet, _| vec![Deed::Send(say(packet))]);
        let error = announce(&tracker.url(), SHORT).expect_err("it never fits").to_string();
        assert!(
            error.contains(expected) && error.contains(&tracker.address().to_string()),
            "{error}"
        );
    }
}

#[test]
fn a_flood_of_wrong_answers_does_not_move_the_deadline() {
    for flood in [vec![0; 16], Vec::new(), vec![0xff; 60_000]] {
        let shown = flood.len();
        let tracker = FakeUdpTracker::start(move |_, _| vec![Deed::Flood(flood.clone())]);
        // `announce` fails the test when it is not over some seconds after this.
        let error = announce(&tracker.url(), SHORT).expect_err("nothing of it fits");
        assert!(matches!(error, TrackerError::Transport(_)), "{shown} bytes: {error}");
    }
}

#[test]
fn a_silent_tracker_is_given_up_at_the_deadline_and_not_before() {
    let tracker = FakeUdpTracker::silent();
    let begun = Instant::now();
    let error = announce(&tracker.url(), SHORT).expect_err("it is silent").to_string();
    assert!(begun.elapsed() >= SHORT);
    assert!(error.contains("gave no answer to 1 packet"), "{error}");
    assert_eq!(tracker.actions(), [0]);
}

#[test]
fn a_tracker_that_falls_silent_after_the_connect_is_given_up_too() {
    let tracker = FakeUdpTracker::start(|packet, _| match action(packet) {
        0 => vec![Deed::Send(answer(packet, 0, &ID))],
        _ => Vec::new(),
    });
    announce(&tracker.url(), SHORT).expect_err("the announce gets no answer");
    assert_eq!(tracker.actions(), [0, 1]);
}

#[test]
fn an_answer_that_comes_too_late_is_no_answer_and_harms_no_later_announce() {
    let tracker = FakeUdpTracker::start(|packet, number| {
        let pause = if number == 0 { 600 } else { 0 };
        vec![Deed::Wait(Duration::from_millis(pause)), Deed::Send(good(packet, &peers()))]
    });
    let udp = std::sync::Arc::default();
    let ask = super::announcing::ask();
    super::announcing::announce_with(&udp, &tracker.url(), ask.clone(), Duration::from_millis(200))
        .expect_err("too late");
    let found = super::announcing::announce_with(&udp, &tracker.url(), ask, PLENTY)
        .expect("the second is in time");
    assert_eq!(found.peers, peers());
}

#[test]
fn no_time_at_all_is_an_error_at_once() {
    let tracker = FakeUdpTracker::knowing(&peers());
    announce(&tracker.url(), Duration::ZERO).expect_err("there is no time");
}

/// For systems that report a closed port, instead of just dropping the packet.
#[cfg(target_os = "linux")]
#[test]
fn a_dead_port_is_told_at_once() {
    let dead = dead_address();
    // A minute is far longer than the test would wait.
    let begun = Instant::now();
    let error = announce(&format!("udp://{dead}/announce"), Duration::from_secs(60))
        .expect_err("nobody is there")
        .to_string();
    assert!(error.contains("refused") && error.contains(&dead.to_string()), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30));
}
