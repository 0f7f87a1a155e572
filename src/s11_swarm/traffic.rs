//! What went to and fro between us and one peer.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::view::Terms;

/// A peer and its counters. Its own threads count, everybody else reads.
#[derive(Debug)]
pub struct Traffic {
    address: SocketAddr,
    /// Where it listens, if it has dialled us and said so.
    listens: OnceLock<SocketAddr>,
    start: Instant,
    downloaded: AtomicU64,
    uploaded: AtomicU64,
    /// Verified pieces that it has completed, and that nobody has counted yet.
    pieces: AtomicU32,
    /// When the last block came, and went, in milliseconds from the start. 0: never.
    came: AtomicU64,
    went: AtomicU64,
    terms: Terms,
}

impl Traffic {
    /// Of a connection that begins now.
    pub fn new(address: SocketAddr) -> Traffic {
        let (downloaded, uploaded, pieces, came, went, terms) = Default::default();
        Traffic { address, listens: OnceLock::new(), start: Instant::now(), downloaded, uploaded, pieces, came, went, terms }
    }

    /// The peer, as others could reach it: one that has dialled us does so from a port
    /// at which nobody listens.
    pub fn address(&self) -> SocketAddr {
        *self.listens.get().unwrap_or(&self.address)
    }

    /// It has told us where it listens.
    pub(super) fn listens_at(&self, port: u16) {
        let _ = self.listens.set(SocketAddr::new(self.address.ip(), port));
    }

    /// When it came.
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
    pub fn last_came(&self) -> Option<Instant> {
        self.at(&self.came)
    }

    /// When a block last went to it.
    pub fn last_went(&self) -> Option<Instant> {
        self.at(&self.went)
    }

    /// When it last was of use to us, or we to it.
    pub fn last_useful(&self) -> Option<Instant> {
        self.last_came().max(self.last_went())
    }

    /// Who chokes and wants whom, at this moment.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// A block of so many bytes has come.
    pub fn count_came(&self, bytes: usize, now: Instant) {
        self.downloaded.fetch_add(bytes as u64, Ordering::Relaxed);
        self.came.store(self.since_start(now), Ordering::Relaxed);
    }

    /// Blocks of so many bytes have gone.
    pub fn count_went(&self, bytes: usize, now: Instant) {
        self.uploaded.fetch_add(bytes as u64, Ordering::Relaxed);
        self.went.store(self.since_start(now), Ordering::Relaxed);
    }

    /// It has brought the last block of a piece, and the piece is right.
    pub(super) fn count_piece(&self) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
    }

    /// Verified pieces that it has completed since this was last asked.
    pub(super) fn take_pieces(&self) -> u32 {
        self.pieces.swap(0, Ordering::Relaxed)
    }

    fn since_start(&self, now: Instant) -> u64 {
        (now.duration_since(self.start).as_millis() as u64).max(1)
    }

    fn at(&self, stamp: &AtomicU64) -> Option<Instant> {
        let stamp = stamp.load(Ordering::Relaxed);
        (stamp > 0).then(|| self.start + Duration::from_millis(stamp))
    }
}
