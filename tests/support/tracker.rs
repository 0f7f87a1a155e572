//! The actors' HTTP tracker, which surely starts.

use piecemeal::actors::tracker;
use std::net::SocketAddr;
use std::ops::Deref;

pub use piecemeal::actors::tracker::{Reply, compact, percent_decoded, query_of};

const STARTS: &str = "loopback has a free port";

/// A running tracker. Dropping it closes everything.
pub struct FakeTracker(tracker::FakeTracker);

impl FakeTracker {
    pub fn saying(reply: Reply) -> FakeTracker {
        FakeTracker(tracker::FakeTracker::saying(reply).expect(STARTS))
    }

    pub fn knowing(peers: &[SocketAddr]) -> FakeTracker {
        FakeTracker(tracker::FakeTracker::knowing(peers).expect(STARTS))
    }

    pub fn redirecting(times: usize, peers: &[SocketAddr]) -> FakeTracker {
        FakeTracker(tracker::FakeTracker::redirecting(times, peers).expect(STARTS))
    }

    pub fn start(answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> FakeTracker {
        FakeTracker(tracker::FakeTracker::start(answer).expect(STARTS))
    }

    pub fn url(&self) -> String {
        self.0.url()
    }

    /// The one and only request's query, as pairs that are not decoded.
    #[track_caller]
    pub fn query(&self) -> Vec<(String, String)> {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "one announce, not {asked:#?}");
        query_of(&asked[0])
    }
}

impl Deref for FakeTracker {
    type Target = tracker::FakeTracker;

    fn deref(&self) -> &tracker::FakeTracker {
        &self.0
    }
}
