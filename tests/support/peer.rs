//! The actors' peer, and what a test insists on about it.

use super::LIMIT;
use super::plan::Plan;
use super::verdict::{Complaint, Verdict};
use piecemeal::actors::{peer, wire};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use piecemeal::actors::peer::Heard;

const NOT_OPEN: &str = "what this waits for did not happen";

/// An event that has happened, or not yet.
#[derive(Debug, Clone, Default)]
pub struct Gate(pub peer::Gate);

impl Gate {
    pub fn open(&self) {
        self.0.open();
    }

    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Waits until it opens.
    #[track_caller]
    pub fn wait(&self) {
        assert!(self.0.opens_within(LIMIT), "{NOT_OPEN}");
    }

    /// Waits until it opens, for a script.
    #[track_caller]
    pub fn opens(&self) -> Verdict {
        if self.0.opens_within(LIMIT) { Ok(()) } else { Err(Complaint::new(NOT_OPEN)) }
    }

    /// Sets a flag when it opens, and also when the test has waited in vain for it.
    pub fn sets(self, flag: Arc<AtomicBool>) {
        std::thread::spawn(move || {
            self.0.opens_within(LIMIT);
            flag.store(true, Ordering::SeqCst);
        });
    }
}

impl Deref for Gate {
    type Target = peer::Gate;

    fn deref(&self) -> &peer::Gate {
        &self.0
    }
}

/// One connection's story, as the peer saw it.
#[derive(Debug, Clone)]
pub struct Talk(peer::Talk);

impl Talk {
    /// Every byte that the client sent.
    pub fn raw(&self) -> Vec<u8> {
        self.0.recording.from_client()
    }

    /// The client's handshake. Fails the test when there was none.
    #[track_caller]
    pub fn handshake(&self) -> Vec<u8> {
        let raw = self.0.recording.opening(wire::HANDSHAKE);
        assert!(raw.len() == wire::HANDSHAKE, "the client sent no whole handshake: {raw:02x?}");
        raw
    }

    #[track_caller]
    pub fn reserved(&self) -> [u8; 8] {
        self.handshake()[20..28].try_into().expect("a slice of eight is eight long")
    }
}

impl Deref for Talk {
    type Target = peer::Talk;

    fn deref(&self) -> &peer::Talk {
        &self.0
    }
}

/// A running peer. Dropping it closes everything.
pub struct FakePeer(peer::FakePeer);

impl FakePeer {
    /// The plan of a good seeder of this torrent, to be altered.
    pub fn of(torrent: &piecemeal::actors::Torrent) -> Plan {
        Plan::new(torrent)
    }

    pub fn start(plan: Plan) -> FakePeer {
        FakePeer(peer::FakePeer::start(plan.0).expect("loopback has a free port"))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Opens when the peer has misbehaved as planned.
    pub fn mischief(&self) -> Gate {
        Gate(self.0.mischief())
    }

    /// All connections so far.
    pub fn talks(&self) -> Vec<Talk> {
        self.0.talks().into_iter().map(Talk).collect()
    }

    /// All connections, once the client has left them.
    #[track_caller]
    pub fn finished(&self) -> Vec<Talk> {
        let begun = Instant::now();
        loop {
            let talks = self.talks();
            if talks.iter().all(|t| t.closed) {
                return talks;
            }
            assert!(begun.elapsed() < LIMIT, "the client is gone, its connection is not");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The only connection, once the client has left it.
    #[track_caller]
    pub fn only_talk(&self) -> Talk {
        let mut talks = self.finished();
        assert_eq!(talks.len(), 1, "one connection, not {talks:#?}");
        talks.remove(0)
    }
}

impl Deref for FakePeer {
    type Target = peer::FakePeer;

    fn deref(&self) -> &peer::FakePeer {
        &self.0
    }
}
