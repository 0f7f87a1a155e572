//! A peer with a listener of its own, which records everything that it receives.

use super::LIMIT;
use super::jitter;
use super::peer_plan::Plan;
use super::peer_talk::Talker;
use super::torrent::Torrent;
use super::wire;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// An event that has happened, or not yet.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    pub fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until it opens.
    #[track_caller]
    pub fn wait(&self) {
        let begun = Instant::now();
        while !self.is_open() {
            assert!(begun.elapsed() < LIMIT, "what this test waits for did not happen");
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

/// One message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// `None` is a keep-alive.
    pub id: Option<u8>,
    pub payload: Vec<u8>,
    /// Metadata pieces that we had sent when it came.
    pub metadata_sent: usize,
    /// Whether it was unchoked when it came.
    pub unchoked: bool,
}

/// One connection's story, as the peer saw it.
#[derive(Debug, Clone, Default)]
pub struct Talk {
    /// Every byte the client sent.
    pub raw: Vec<u8>,
    /// The messages in those bytes, after the handshake.
    pub messages: Vec<Heard>,
    /// Whether the connection is over.
    pub closed: bool,
    /// Blocks sent over it, good or bad.
    pub blocks: usize,
}

impl Talk {
    /// The client's handshake. Fails the test when there was none.
    #[track_caller]
    pub fn handshake(&self) -> &[u8] {
        assert!(self.raw.len() >= 68, "the client sent no whole handshake: {:02x?}", self.raw);
        &self.raw[..68]
    }

    #[track_caller]
    pub fn reserved(&self) -> [u8; 8] {
        self.handshake()[20..28].try_into().expect("a slice of eight is eight long")
    }

    /// The messages' ids, keep-alives as 255.
    pub fn ids(&self) -> Vec<u8> {
        self.messages.iter().map(|m| m.id.unwrap_or(255)).collect()
    }

    /// The requests: piece, begin, length.
    pub fn requests(&self) -> Vec<(u32, u32, u32)> {
        self.messages
            .iter()
            .filter(|m| m.id == Some(wire::REQUEST))
            .filter_map(|m| wire::three(&m.payload))
            .collect()
    }
}

/// A running peer. Dropping it closes everything.
pub struct FakePeer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The state that all connections of a peer share.
pub(super) struct Shared {
    pub plan: Plan,
    pub stop: AtomicBool,
    /// Whether the process has "died": nothing listens any more.
    pub dead: AtomicBool,
    /// Blocks served over all connections.
    pub served: AtomicUsize,
    pub mischief: Gate,
    pub talks: Mutex<Vec<Arc<Mutex<Talk>>>>,
}

impl Shared {
    pub fn over(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || self.dead.load(Ordering::SeqCst)
    }
}

impl FakePeer {
    /// The plan of a good seeder of this torrent, to be altered.
    pub fn of(torrent: &Torrent) -> Plan {
        Plan::new(torrent)
    }

    pub fn start(plan: Plan) -> FakePeer {
        let listener = TcpListener::bind((plan.address, 0)).expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a listener can be polled");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            plan,
            stop: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            served: AtomicUsize::new(0),
            mischief: Gate::default(),
            talks: Mutex::new(Vec::new()),
        });
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || accept(listener, &shared)
        });
        FakePeer { address, shared, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens when the peer has misbehaved as planned.
    pub fn mischief(&self) -> Gate {
        self.shared.mischief.clone()
    }

    /// Blocks served so far.
    pub fn served(&self) -> usize {
        self.shared.served.load(Ordering::SeqCst)
    }

    /// All connections so far.
    pub fn talks(&self) -> Vec<Talk> {
        let talks = jitter::lock(&self.shared.talks).clone();
        talks.iter().map(|t| jitter::lock(t).clone()).collect()
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

impl Drop for FakePeer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    while !shared.over() {
        match listener.accept() {
            Ok((stream, _)) => {
                let talk = Arc::new(Mutex::new(Talk::default()));
                jitter::lock(&shared.talks).push(talk.clone());
                let shared = shared.clone();
                threads.push(std::thread::spawn(move || {
                    // An error is the client hanging up, which is its right.
                    let _ = Talker::new(stream, &shared, &talk).and_then(|mut t| t.run());
                    jitter::lock(&talk).closed = true;
                }));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(3)),
        }
    }
    drop(listener);
    for thread in threads {
        let _ = thread.join();
    }
}
