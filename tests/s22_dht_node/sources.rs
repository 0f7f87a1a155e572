//! The DHT as a source: what it reports, what it announces, and when it looks again.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use piecemeal::actors::dht::krpc::string;
use piecemeal::actors::dht::{FakeDht, NodePlan};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s13_peer_sources::source::{SourceHost, SourceReport};
use piecemeal::s13_peer_sources::start;
use piecemeal::s22_dht_node::source::DhtSource;

use super::net::{SHORT, node_at};
use crate::support::{LIMIT, assert_number, assert_value, bencode};

const HASH: [u8; 20] = [7; 20];
const CLAUSE: &str = "BEP 5, a node's questions";

/// A source that runs, and what it reports.
struct Asking {
    dht: FakeDht,
    reports: Receiver<SourceReport>,
    host: SourceHost,
}

impl Asking {
    /// A source of a peer that listens at this port, in a DHT of one node with a peer. The node is
    /// silent, or not.
    fn start(port: u16, silent: bool) -> Asking {
        let plan = NodePlan::new([1; 20]).having(HASH, &["127.0.0.9:7000".parse().expect("one")]);
        let plan = if silent { plan.silent() } else { plan };
        let dht = FakeDht::mesh([plan]).expect("loopback has ports");
        let node = node_at([127, 0, 0, 1], &[dht.address(0)]);
        let (report, reports) = mpsc::channel();
        let host = SourceHost {
            signals: Arc::default(),
            counters: Arc::default(),
            handshake: Arc::new(|| Handshake::new(InfoHash(HASH), PeerId::random())),
            names: InfoHash(HASH).into(),
            max_handshakes: 0,
            report: Arc::new(move |said| report.send(said).is_ok()),
            hands: None,
        };
        start(Box::new(DhtSource::new(node, InfoHash(HASH), port)), 3, &host);
        Asking { dht, reports, host }
    }

    /// What the next report of a kind says.
    #[track_caller]
    fn next<T>(&self, what: impl Fn(SourceReport) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let report = self.reports.recv_timeout(left).expect("the source reports");
            assert!(!matches!(report, SourceReport::Gone(_)), "the source has ended");
            if let Some(found) = what(report) {
                return found;
            }
        }
    }

    /// The pause until it looks again.
    #[track_caller]
    fn again(&self) -> Duration {
        self.next(|report| match report {
            SourceReport::Again { pause, .. } => Some(pause),
            _ => None,
        })
    }

    /// Whether it says another time at which it looks again, in a moment from now.
    fn changes_its_mind(&self) -> bool {
        matches!(self.reports.recv_timeout(SHORT), Ok(SourceReport::Again { .. }))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.host.signals.stop();
    }
}

#[test]
fn a_peer_is_reported_and_our_port_is_announced() {
    let asking = Asking::start(7_777, false);
    let found = asking.next(|report| match report {
        SourceReport::Found { addresses, .. } => Some(addresses),
        _ => None,
    });
    assert_value("the peer", found, vec!["127.0.0.9:7000".parse().expect("one")], CLAUSE);
    assert_number("seconds until it announces again", asking.again().as_secs(), 900, CLAUSE, &[]);
    let announces = asking.dht.nodes[0].queries_of("announce_peer");
    assert_number("announces", announces.len(), 1, CLAUSE, &[]);
    let query = &announces[0].query;
    let argument = |key| query.argument(key).cloned();
    assert_value("the port", argument("port"), Some(bencode::Value::Int(7_777)), CLAUSE);
    assert_value("implied_port", argument("implied_port"), Some(bencode::Value::Int(0)), CLAUSE);
    let hash = query.argument("info_hash").and_then(string).map(<[u8]>::to_vec);
    assert_value("the info hash", hash, Some(HASH.to_vec()), CLAUSE);
}

#[test]
fn whoever_does_not_listen_announces_nothing() {
    let asking = Asking::start(0, false);
    asking.again();
    assert!(!asking.dht.nodes[0].queries_of("get_peers").is_empty());
    assert!(asking.dht.nodes[0].queries_of("announce_peer").is_empty());
}

#[test]
fn a_download_without_peers_has_it_look_again_but_not_within_a_minute() {
    let asking = Asking::start(7_777, false);
    assert_number("seconds at first", asking.again().as_secs(), 900, CLAUSE, &[]);
    asking.host.signals.hungry();
    assert_number("seconds from the last lookup", asking.again().as_secs(), 60, CLAUSE, &[]);
}

#[test]
fn a_download_that_is_complete_announces_itself_as_a_seed_but_not_within_a_minute() {
    let asking = Asking::start(7_777, false);
    assert_number("seconds at first", asking.again().as_secs(), 900, CLAUSE, &[]);
    asking.host.signals.completed();
    assert_number("seconds from the last announce", asking.again().as_secs(), 60, CLAUSE, &[]);
    // It is as early as it may be, whatever else happens.
    asking.host.signals.hungry();
    assert!(!asking.changes_its_mind(), "it is brought forward, or put off, a second time");
}

#[test]
fn whoever_does_not_listen_has_nothing_to_announce_when_the_download_is_complete() {
    let asking = Asking::start(0, false);
    assert_number("seconds at first", asking.again().as_secs(), 900, CLAUSE, &[]);
    asking.host.signals.completed();
    assert!(!asking.changes_its_mind(), "it looks again earlier, and has nothing to say");
}

#[test]
fn if_nobody_answers_it_looks_again_soon() {
    let asking = Asking::start(7_777, true);
    assert_number("seconds", asking.again().as_secs(), 15, CLAUSE, &[]);
}

#[test]
fn a_stop_ends_it_in_the_middle_of_a_lookup() {
    let asking = Asking::start(7_777, true);
    let asked = asking.dht.nodes[0].is_asked(|_| true, LIMIT);
    assert!(asked, "it has begun");
    let begin = Instant::now();
    asking.host.signals.stop();
    while !matches!(asking.reports.recv_timeout(LIMIT), Ok(SourceReport::Gone(3))) {}
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}
