//! One peer: its address, the bytes sent in each direction, and the four flags.
//!
//! Each change is written here at once, by atomic operations. Other threads read. So being watched
//! costs nothing while no thread is looking.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A peer and its counters.
#[derive(Debug)]
pub struct PeerStats {
    /// The other end of the connection.
    address: SocketAddr,
    /// The address the peer listens on, if it has said so, or we have reached it there. Set once:
    /// what we know does not change because the peer says something else.
    listens: OnceLock<SocketAddr>,
    start: Instant,
    /// Bytes of blocks, without the messages around them.
    downloaded: AtomicU64,
    uploaded: AtomicU64,
    /// The number of verified pieces that the peer has completed since they were last taken.
    completed: AtomicU32,
    /// When we last received a block, in milliseconds from the start; 0 if never.
    received_at: AtomicU64,
    /// When we last sent a block, likewise.
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

    /// The address at which others can reach the peer, if we know it. A peer that dialed us did so
    /// from another port than the one it listens on.
    pub fn address(&self) -> SocketAddr {
        *self.listens.get().unwrap_or(&self.address)
    }

    /// Whether others can reach the peer at its address, as far as we know.
    pub fn listens(&self) -> bool {
        self.listens.get().is_some()
    }

    /// Sets the port that the peer says it listens on.
    pub fn set_listen_port(&self, port: u16) {
        let _ = self.listens.set(SocketAddr::new(self.address.ip(), port));
    }

    /// When the connection began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Bytes of blocks that the peer has sent us.
    pub fn downloaded(&self) -> u64 {
        self.downloaded.load(Ordering::Relaxed)
    }

    /// Bytes of blocks that we have sent the peer.
    pub fn uploaded(&self) -> u64 {
        self.uploaded.load(Ordering::Relaxed)
    }

    /// When we last received a block from the peer.
    pub fn last_received(&self) -> Option<Instant> {
        self.at(&self.received_at)
    }

    /// When we last sent the peer a block.
    pub fn last_sent(&self) -> Option<Instant> {
        self.at(&self.sent_at)
    }

    /// When a block was last sent in either direction.
    pub fn last_useful(&self) -> Option<Instant> {
        self.last_received().max(self.last_sent())
    }

    /// Which sides are choking and interested at this moment.
    pub fn flags(&self) -> &PeerFlags {
        &self.flags
    }

    /// Counts bytes of blocks received.
    pub fn count_received(&self, bytes: usize, now: Instant) {
        self.downloaded.fetch_add(bytes as u64, Ordering::Relaxed);
        self.received_at.store(self.since_start(now), Ordering::Relaxed);
    }

    /// Counts bytes of blocks sent.
    pub fn count_sent(&self, bytes: usize, now: Instant) {
        self.uploaded.fetch_add(bytes as u64, Ordering::Relaxed);
        self.sent_at.store(self.since_start(now), Ordering::Relaxed);
    }

    /// Counts a verified piece whose last block came from the peer.
    pub(super) fn count_piece(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of verified pieces that the peer has completed since the last call.
    pub fn take_pieces(&self) -> u32 {
        self.completed.swap(0, Ordering::Relaxed)
    }

    /// Milliseconds from the start, at least 1: 0 is taken for "never". An `Instant` does not fit
    /// into an atomic.
    fn since_start(&self, now: Instant) -> u64 {
        (now.duration_since(self.start).as_millis() as u64).max(1)
    }

    /// The time that a stamp means.
    fn at(&self, stamp: &AtomicU64) -> Option<Instant> {
        let stamp = stamp.load(Ordering::Relaxed);
        (stamp > 0).then(|| self.start + Duration::from_millis(stamp))
    }
}

/// The four flags of a connection, and some numbers to show. Both sides start out choking and not
/// interested (BEP 3).
///
/// Each flag is one side's to set, by a message. `am` is our side:
///
/// | flag | set by | when | with |
/// |---|---|---|---|
/// | `am_choking` | our choker (stages 16, 17) | the peer gets a slot, or loses it | `unchoke`, `choke` |
/// | `am_interested` | the peer's session here | the peer has a piece that we lack, or none any more | `interested`, `not interested` |
/// | `peer_choking` | the peer | as its own rules have it | its `unchoke`, `choke` |
/// | `peer_interested` | the peer | we have a piece that it lacks, or none any more | its `interested`, `not interested` |
///
/// A pair of flags governs each direction, and the two directions know nothing of each other.
/// Blocks come to us by `peer_choking` and `am_interested`, and go to the peer by `am_choking` and
/// `peer_interested`. In both, the taker and the giver may do this:
///
/// | the giver is choking | the taker is interested | the taker | the giver |
/// |---|---|---|---|
/// | yes | no | waits for a `have`; this is the start | owes nothing |
/// | yes | yes | waits for an `unchoke`; may request what is *allowed fast* (BEP 6) | may unchoke; rejects all other requests (BEP 6), or ignores them |
/// | no | yes | requests blocks, many at a time | answers each request |
/// | no | no | requests nothing | may give the slot to another peer |
///
/// A `choke` also drops what the taker has requested and not received. With BEP 6 the taker is told
/// of each such request by a `reject`, and keeps those for pieces that are allowed fast.
///
/// All are for other threads to see. The session decides by its own copies, so two flags read one
/// after the other need not belong to the same moment, and `Relaxed` is enough.
#[derive(Debug)]
pub struct PeerFlags {
    /// What the peer was told, not what the choker has decided.
    am_choking: AtomicBool,
    am_interested: AtomicBool,
    // As the peer has said last.
    peer_choking: AtomicBool,
    peer_interested: AtomicBool,
    /// Set while a block from the peer is being written to disk.
    storing: AtomicBool,
    /// The number of pieces that the peer has.
    pieces: AtomicU32,
    /// The number of our requests that the peer has not answered.
    requests: AtomicU32,
}

/// What we can get from a peer at this moment. Stage 15 asks this of every peer when no block
/// comes, to say what the download waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// It has none of the missing pieces, or refuses to send them.
    Nothing,
    /// It has a missing piece, but chokes us.
    Choked,
    /// It has a missing piece, and we can request it.
    Free,
    /// It has not answered a request yet.
    Asked,
    /// A block from the peer is being written to disk.
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
    /// Whether we do not answer the peer's requests.
    pub fn am_choking(&self) -> bool {
        self.am_choking.load(Ordering::Relaxed)
    }

    /// Whether we have told the peer that it has a piece that we lack.
    pub fn am_interested(&self) -> bool {
        self.am_interested.load(Ordering::Relaxed)
    }

    /// Whether the peer does not answer our requests.
    pub fn peer_choking(&self) -> bool {
        self.peer_choking.load(Ordering::Relaxed)
    }

    /// Whether the peer has told us that we have a piece that it lacks.
    pub fn peer_interested(&self) -> bool {
        self.peer_interested.load(Ordering::Relaxed)
    }

    /// The number of pieces that the peer has.
    pub fn pieces(&self) -> u32 {
        self.pieces.load(Ordering::Relaxed)
    }

    /// The number of our requests that the peer has not answered.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// What we can get from the peer at this moment.
    pub fn supply(&self) -> Supply {
        // First: whatever the peer owes us, it is our own disk that we wait for.
        if self.storing.load(Ordering::Relaxed) {
            Supply::Storing
        } else if !self.am_interested() {
            Supply::Nothing
        } else if self.requests() > 0 {
            // Checked before the choke: with the fast extension a peer can send some pieces anyway.
            Supply::Asked
        } else if self.peer_choking() {
            Supply::Choked
        } else {
            Supply::Free
        }
    }

    /// Sets whether we choke the peer. Called by the choker.
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

    /// Sets whether a block from the peer is being written. It is a flag, because a thread that
    /// hangs in a system call cannot answer.
    pub(super) fn set_storing(&self, yes: bool) {
        self.storing.store(yes, Ordering::Relaxed);
    }
}

impl Supply {
    /// The reason why nothing comes from the peer, if the cause is the peer.
    pub fn complaint(self) -> Option<&'static str> {
        match self {
            Supply::Nothing => Some("it has none of the missing pieces, or refuses to send them"),
            Supply::Choked => Some("it chokes us"),
            Supply::Asked => Some("it does not send what it was asked for"),
            Supply::Free | Supply::Storing => None,
        }
    }
}
