//! One peer: its address, what went in each direction, and the four flags.
//!
//! The peer's own threads write here, a plain store when something changes; whoever wants to see the
//! peer reads. So being watched costs nothing while nobody looks.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A peer and its counters.
#[derive(Debug)]
pub struct PeerStats {
    address: SocketAddr,
    /// Where it listens, if it has dialled us and said so.
    listens: OnceLock<SocketAddr>,
    start: Instant,
    downloaded: AtomicU64,
    uploaded: AtomicU64,
    /// Verified pieces that it has completed, and that nobody has counted yet.
    completed: AtomicU32,
    /// When a block last came, in milliseconds from the start. 0: never.
    received_at: AtomicU64,
    /// When a block last went, likewise.
    sent_at: AtomicU64,
    flags: PeerFlags,
}

impl PeerStats {
    /// Starts the counters of a connection that begins now.
    pub fn new(address: SocketAddr) -> PeerStats {
        PeerStats {
            address,
            listens: OnceLock::new(),
            start: Instant::now(),
            downloaded: AtomicU64::new(0),
            uploaded: AtomicU64::new(0),
            completed: AtomicU32::new(0),
            received_at: AtomicU64::new(0),
            sent_at: AtomicU64::new(0),
            flags: PeerFlags::default(),
        }
    }

    /// The peer's address, as others could reach it. A peer that has dialled us did so from a port
    /// at which nobody listens.
    pub fn address(&self) -> SocketAddr {
        *self.listens.get().unwrap_or(&self.address)
    }

    /// The peer has told us the port at which it listens.
    pub fn set_listen_port(&self, port: u16) {
        let _ = self.listens.set(SocketAddr::new(self.address.ip(), port));
    }

    /// When the connection began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Bytes of blocks that it has brought.
    pub fn downloaded(&self) -> u64 {
        self.downloaded.load(Ordering::Relaxed)
    }

    /// Bytes of blocks that it has got.
    pub fn uploaded(&self) -> u64 {
        self.uploaded.load(Ordering::Relaxed)
    }

    /// When it last brought a block.
    pub fn last_received(&self) -> Option<Instant> {
        self.at(&self.received_at)
    }

    /// When a block last went to it.
    pub fn last_sent(&self) -> Option<Instant> {
        self.at(&self.sent_at)
    }

    /// When a block last went in either direction.
    pub fn last_useful(&self) -> Option<Instant> {
        self.last_received().max(self.last_sent())
    }

    /// Who chokes whom and who is interested, at this moment.
    pub fn flags(&self) -> &PeerFlags {
        &self.flags
    }

    /// Counts bytes of blocks that have come.
    pub fn count_received(&self, bytes: usize, now: Instant) {
        self.downloaded.fetch_add(bytes as u64, Ordering::Relaxed);
        self.received_at.store(self.since_start(now), Ordering::Relaxed);
    }

    /// Counts bytes of blocks that have gone.
    pub fn count_sent(&self, bytes: usize, now: Instant) {
        self.uploaded.fetch_add(bytes as u64, Ordering::Relaxed);
        self.sent_at.store(self.since_start(now), Ordering::Relaxed);
    }

    /// Counts a verified piece of which the peer has brought the last block.
    pub(super) fn count_piece(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of verified pieces that it has completed since the last call.
    pub fn take_pieces(&self) -> u32 {
        self.completed.swap(0, Ordering::Relaxed)
    }

    fn since_start(&self, now: Instant) -> u64 {
        (now.duration_since(self.start).as_millis() as u64).max(1)
    }

    fn at(&self, stamp: &AtomicU64) -> Option<Instant> {
        let stamp = stamp.load(Ordering::Relaxed);
        (stamp > 0).then(|| self.start + Duration::from_millis(stamp))
    }
}

/// The four flags of a connection, and what else there is to see. A connection starts choked and
/// without interest on both sides (BEP 3).
#[derive(Debug)]
pub struct PeerFlags {
    am_choking: AtomicBool,
    am_interested: AtomicBool,
    peer_choking: AtomicBool,
    peer_interested: AtomicBool,
    storing: AtomicBool,
    pieces: AtomicU32,
    requests: AtomicU32,
}

/// What can come from a peer at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// It has nothing of what is missing, or refuses it.
    Nothing,
    /// It has something, and chokes us.
    Choked,
    /// It has something, and can be asked for it.
    Free,
    /// It was asked, and has not answered yet.
    Asked,
    /// A block from it is being written to disk.
    Storing,
}

impl Default for PeerFlags {
    fn default() -> PeerFlags {
        PeerFlags {
            am_choking: AtomicBool::new(true),
            am_interested: AtomicBool::new(false),
            peer_choking: AtomicBool::new(true),
            peer_interested: AtomicBool::new(false),
            storing: AtomicBool::new(false),
            pieces: AtomicU32::new(0),
            requests: AtomicU32::new(0),
        }
    }
}

impl PeerFlags {
    /// Whether we do not answer its requests.
    pub fn am_choking(&self) -> bool {
        self.am_choking.load(Ordering::Relaxed)
    }

    /// Whether it has something that we lack, and we have told it so.
    pub fn am_interested(&self) -> bool {
        self.am_interested.load(Ordering::Relaxed)
    }

    /// Whether it does not answer our requests.
    pub fn peer_choking(&self) -> bool {
        self.peer_choking.load(Ordering::Relaxed)
    }

    /// Whether it has told us that we have something that it lacks.
    pub fn peer_interested(&self) -> bool {
        self.peer_interested.load(Ordering::Relaxed)
    }

    /// The number of pieces that it has.
    pub fn pieces(&self) -> u32 {
        self.pieces.load(Ordering::Relaxed)
    }

    /// The number of our requests that it has not answered.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// What can come from it at this moment.
    pub fn supply(&self) -> Supply {
        if self.storing.load(Ordering::Relaxed) {
            Supply::Storing
        } else if !self.am_interested() {
            Supply::Nothing
        } else if self.requests() > 0 {
            // Checked before the choke: with the fast extension some pieces come in spite of it.
            Supply::Asked
        } else if self.peer_choking() {
            Supply::Choked
        } else {
            Supply::Free
        }
    }

    /// Sets whether we choke it. For whoever decides on uploads.
    pub fn set_am_choking(&self, yes: bool) {
        self.am_choking.store(yes, Ordering::Relaxed);
    }

    pub(super) fn set_am_interested(&self, yes: bool) {
        self.am_interested.store(yes, Ordering::Relaxed);
    }

    pub(super) fn set_peer_choking(&self, yes: bool) {
        self.peer_choking.store(yes, Ordering::Relaxed);
    }

    pub(super) fn set_peer_interested(&self, yes: bool) {
        self.peer_interested.store(yes, Ordering::Relaxed);
    }

    pub(super) fn set_pieces(&self, pieces: u32) {
        self.pieces.store(pieces, Ordering::Relaxed);
    }

    pub(super) fn set_requests(&self, requests: usize) {
        self.requests.store(requests as u32, Ordering::Relaxed);
    }

    /// Sets whether a block from it is being written. A thread that hangs in a system call cannot be
    /// asked.
    pub(super) fn set_storing(&self, yes: bool) {
        self.storing.store(yes, Ordering::Relaxed);
    }
}

impl Supply {
    /// Why nothing comes from the peer, if that is the peer's doing.
    pub fn complaint(self) -> Option<&'static str> {
        match self {
            Supply::Nothing => Some("it has nothing of what is missing, or refuses it"),
            Supply::Choked => Some("it chokes us"),
            Supply::Asked => Some("it does not send what it was asked for"),
            Supply::Free | Supply::Storing => None,
        }
    }
}
