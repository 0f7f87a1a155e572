//! The actors' UDP tracker, and packets that must be requests.

use piecemeal::actors::udp_tracker;
use std::net::SocketAddr;
use std::ops::Deref;

pub use piecemeal::actors::udp_tracker::{Deed, ID, announced, answer};

const STARTS: &str = "loopback has a free port";

/// Bytes 8 to 11 of a request.
#[track_caller]
pub fn action(packet: &[u8]) -> u8 {
    udp_tracker::action(packet).expect("the action is a small number")
}

/// Bytes 12 to 15 of a request.
#[track_caller]
pub fn transaction(packet: &[u8]) -> [u8; 4] {
    udp_tracker::transaction(packet).expect("a request has a transaction id")
}

/// What is wrong with a packet that is no request. Those that are have all that a script asks of
/// them: an action from 0 to 2, a transaction id, and the fields of an announce.
fn complaint(packet: &[u8]) -> Option<String> {
    let least = |what, least| {
        let length = packet.len();
        (length < least)
            .then(|| format!("{what} has at least {least} bytes, but this one has {length}"))
    };
    match udp_tracker::action(packet) {
        Some(0 | 2) => least("a request", 16),
        Some(1) => least("an announce", 98),
        _ => least("a request", 16).or_else(|| {
            Some(format!("byte 8, action: expected 0, 1 or 2, found {:02x?}", &packet[8..12]))
        }),
    }
}

/// Answers what is no request with an error that says what is wrong with it. So the words reach the
/// test's thread, and nothing a script does can panic.
fn judging(
    deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static,
) -> impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static {
    move |packet, number| match complaint(packet) {
        None => deeds(packet, number),
        Some(words) => vec![Deed::Send(answer(packet, 3, words.as_bytes()))],
    }
}

/// A good tracker's answer to a request.
#[track_caller]
pub fn good(request: &[u8], peers: &[SocketAddr]) -> Vec<u8> {
    udp_tracker::good(request, peers).expect("a request has action 0, 1 or 2")
}

/// A running UDP tracker. Dropping it ends it.
pub struct FakeUdpTracker(udp_tracker::FakeUdpTracker);

impl FakeUdpTracker {
    /// A good tracker that knows these peers. The test fails to get an answer to anything else.
    pub fn knowing(peers: &[SocketAddr]) -> FakeUdpTracker {
        FakeUdpTracker(udp_tracker::FakeUdpTracker::knowing(peers).expect(STARTS))
    }

    pub fn silent() -> FakeUdpTracker {
        FakeUdpTracker(udp_tracker::FakeUdpTracker::silent().expect(STARTS))
    }

    pub fn start(deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static) -> FakeUdpTracker {
        FakeUdpTracker(udp_tracker::FakeUdpTracker::start(judging(deeds)).expect(STARTS))
    }

    /// Starts the fake on `::1`; `None` if there is no IPv6.
    pub fn start_v6(
        deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static,
    ) -> Option<FakeUdpTracker> {
        udp_tracker::FakeUdpTracker::start_v6(judging(deeds)).ok().map(FakeUdpTracker)
    }

    /// Starts the fake on this address; `None` if it is not available.
    pub fn start_at(
        place: &str,
        deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static,
    ) -> Option<FakeUdpTracker> {
        udp_tracker::FakeUdpTracker::start_at(place, judging(deeds)).ok().map(FakeUdpTracker)
    }

    /// The actions of the packets that came.
    pub fn actions(&self) -> Vec<u8> {
        self.heard().iter().map(|packet| action(packet)).collect()
    }
}

impl Deref for FakeUdpTracker {
    type Target = udp_tracker::FakeUdpTracker;

    fn deref(&self) -> &udp_tracker::FakeUdpTracker {
        &self.0
    }
}
