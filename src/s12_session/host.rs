//! What a session needs from the code that runs it, and what it reports in return.
//!
//! A session knows nothing about other peers. It is given a host: the limits that it shares with
//! them, the counters that it adds to, and a function to report to. A single peer has a host of its
//! own (`download_from`); fifty peers share one (stage 15).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use thiserror::Error;

use super::rate::Rate;
use super::send_path::SendPath;
use super::stats::PeerStats;
use crate::s02_metainfo::PieceIndex;
use crate::s04_handshake::transport::Hangup;
use crate::s05_messages::bitfield::BitfieldError;
use crate::s05_messages::{MessageError, Request};
use crate::s07_extension::{BoxError, ExtensionError, Extensions};
use crate::s10_storage::{StorageError, Store};
use crate::s11_work_queue::{PeerNumber, WorkQueue};

/// A torrent that can be shared: its info dictionary and its place on disk are known. From a magnet
/// link it is made later than the host, as soon as the first peer has given the dictionary.
pub struct Torrent {
    /// The torrent's pieces, and where each of them is.
    pub queue: Arc<WorkQueue>,
    /// The torrent's content.
    pub store: Arc<dyn Store>,
    /// Whether we want no pieces, even if some are missing: to seed what is there (BEP 21).
    pub upload_only: bool,
}

impl Torrent {
    /// Whether we want no more pieces. Takes no lock.
    pub fn is_upload_only(&self) -> bool {
        self.upload_only || self.queue.is_complete()
    }
}

/// Bytes of blocks, over all sessions. Trackers are told these, and the user's screen shows them.
#[derive(Debug)]
pub struct Counters {
    /// Bytes received.
    pub downloaded: AtomicU64,
    /// Bytes sent.
    pub uploaded: AtomicU64,
    /// Bytes in pieces that are not verified yet.
    pub left: AtomicU64,
}

impl Default for Counters {
    fn default() -> Counters {
        // Why `left` starts at 1: with only a magnet link the length is unknown. 0 would say that
        // we have everything, and trackers name no seeds to a seed.
        Counters {
            downloaded: AtomicU64::new(0),
            uploaded: AtomicU64::new(0),
            left: AtomicU64::new(1),
        }
    }
}

/// What a session reports: a few reports for each piece, and none for a block.
#[derive(Debug)]
pub enum Report {
    /// A peer choked or unchoked us. Only the first of each is reported.
    Choked(SocketAddr, bool),
    /// A peer broke a rule in a way that does no harm.
    PassedOver(SocketAddr, String),
    /// A piece had the wrong hash, and these peers brought blocks of it.
    Corrupt(PieceIndex, Vec<PeerNumber>),
    /// A spoilt piece is now right, which shows that this peer sent wrong blocks.
    Lied(PieceIndex, PeerNumber),
    /// A piece was verified, and this many bytes are left. Two sessions may report 0.
    Verified(u64),
}

/// What all sessions of a torrent share. Made by whoever runs them, before the first one starts;
/// nothing in it is replaced later.
pub struct Host {
    /// Limit on the blocks we request.
    pub download_limit: Rate,
    /// Limit on the blocks we send.
    pub upload_limit: Rate,
    /// Bytes transferred, in both directions.
    pub counters: Arc<Counters>,
    /// Set when all sessions are to end. Each sees it on the next turn of its loop; to wake one
    /// that sleeps, hang up.
    pub stopping: Arc<AtomicBool>,
    /// Decides what peers get from us.
    pub uploads: Arc<dyn Uploads>,
    /// Takes the reports, from any thread. It must not block: a session that waits here reads
    /// nothing.
    pub report: Box<dyn Fn(Report) + Send + Sync>,
}

impl Host {
    /// Makes a host without limits and without uploads.
    pub fn new(report: impl Fn(Report) + Send + Sync + 'static) -> Host {
        Host {
            download_limit: Rate::default(),
            upload_limit: Rate::default(),
            counters: Arc::default(),
            stopping: Arc::default(),
            uploads: Arc::new(NoUploads),
            report: Box::new(report),
        }
    }

    /// Whether all sessions are to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Counts blocks received from a peer.
    pub fn count_received(&self, stats: &PeerStats, length: usize, now: Instant) {
        self.counters.downloaded.fetch_add(length as u64, Ordering::Relaxed);
        stats.count_received(length, now);
    }

    /// Counts blocks sent to a peer.
    pub fn count_sent(&self, stats: &PeerStats, length: usize) {
        // A write of messages alone has no bytes of blocks. It must not count as useful.
        if length > 0 {
            self.counters.uploaded.fetch_add(length as u64, Ordering::Relaxed);
            stats.count_sent(length, Instant::now());
        }
    }

    /// Counts a piece that was just verified.
    pub fn count_piece(&self, torrent: &Torrent) {
        // A right piece is what convicts liars, so this is the moment to ask for them.
        self.report_lies(torrent);
        // Two threads may get here at once, and the later one may have the older number.
        let left = torrent.queue.bytes_left();
        self.counters.left.fetch_min(left, Ordering::Relaxed);
        (self.report)(Report::Verified(left));
    }

    /// Reports the peers that are known by now to have sent wrong blocks.
    pub fn report_lies(&self, torrent: &Torrent) {
        for (piece, liar) in torrent.queue.take_exposed() {
            (self.report)(Report::Lied(piece, liar));
        }
    }

    /// Reports what was passed over in a peer's extension handshakes.
    pub fn report_passed_over(&self, peer: SocketAddr, extensions: &mut Extensions) {
        for what in extensions.take_passed_over() {
            (self.report)(Report::PassedOver(peer, what));
        }
    }
}

/// Why a session ended. The peer's fault or nobody's, except the last, which ends the download.
#[derive(Debug, Error)]
#[allow(missing_docs)] // the messages say it
pub enum SessionEnd {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Bitfield(#[from] BitfieldError),
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    #[error("it breaks a rule of uploading: {0}")]
    Upload(BoxError),
    #[error("{0}")]
    Slow(&'static str),
    #[error("{0}")]
    Rule(&'static str),
    #[error("piece {0} came from it alone and has the wrong hash")]
    Corrupt(PieceIndex),
    #[error("nothing more to do")]
    Stopped,
    #[error("neither side wants anything")]
    BothComplete,
    /// Not the peer's fault: the download ends.
    #[error("{0}")]
    Local(StorageError),
}

impl From<io::Error> for SessionEnd {
    fn from(error: io::Error) -> SessionEnd {
        MessageError::from(error).into()
    }
}

/// The seam for uploading: decides what peers get from us.
///
/// ```text
///   the session begins             --> Uploads::joined --> usually None
///   the peer's first `interested`  --> Uploads::open --> an Upload, or None: it gets nothing
///                                                          | take_over: it makes the send path
///   have, interested, request, ..  ----------------------> |
///   the session's own messages     ----------------------> |--> the peer
/// ```
/// From then on, everything leaves by one path: two threads that write to one socket would mix up
/// their messages. A session that only downloads never gets here, and needs no second thread.
pub trait Uploads: Send + Sync {
    /// Opens the upload to a peer as soon as its session begins, before we say which pieces we
    /// have: for an upload that does not show the peer all of them ([`Upload::shows`]), or that
    /// has to hear of each piece that the peer has. Otherwise `None`, which leaves it to
    /// [`Uploads::open`]. Called on the peer's thread.
    fn joined(&self, _: UploadPeer) -> Option<Box<dyn Upload>> {
        None
    }

    /// Opens the upload to a peer that is interested for the first time. `None` if it gets nothing;
    /// then this is called again when it next says that it is interested. Called on the peer's
    /// thread.
    fn open(&self, peer: UploadPeer) -> Option<Box<dyn Upload>>;

    /// Whether to keep seeding now that we have all pieces. We have `uploaded` this many bytes of a
    /// torrent of this length. Called repeatedly.
    fn stays(&self, uploaded: u64, length: u64) -> bool;
}

/// A peer that may want what we have, and all that an upload needs to know about it.
pub struct UploadPeer {
    /// The host of the peer's session.
    pub host: Arc<Host>,
    /// The torrent.
    pub torrent: Arc<Torrent>,
    /// The peer's address and counters.
    pub stats: Arc<PeerStats>,
    /// Whether both sides speak the fast extension (BEP 6).
    pub fast: bool,
    /// The number of pieces the peer has at this moment. With few, it gets some allowed fast (BEP
    /// 6).
    pub has: u32,
}

/// The upload to one peer. It gets the peer's messages, and answers through the path that it made.
pub trait Upload: Send {
    /// Takes over the send path: from now on, the session's messages go through the path returned.
    /// Called once, before anything else. `hang_up` ends the connection.
    ///
    /// What the old path has not sent must go first: it may have sent half of a message.
    fn take_over(&mut self, path: Box<dyn SendPath>, hang_up: &Hangup) -> Box<dyn SendPath>;

    /// Sets whether the peer is interested.
    fn set_interested(&mut self, yes: bool);

    /// Handles a request for a block.
    ///
    /// # Errors
    /// If the request breaks a rule; then the connection ends.
    fn request(&mut self, request: Request) -> Result<(), BoxError>;

    /// Cancels a request. A request that is not known is no error: the block may be on its way.
    fn cancel(&mut self, request: Request);

    /// Whether the peer is to know that we have this piece. If not, the session neither announces
    /// the piece nor passes a request for it on. An upload that shows a piece later sends the
    /// `have` itself, after it has begun to say yes here.
    fn shows(&self, _: PieceIndex) -> bool {
        true
    }

    /// Whether [`Upload::shows`] says yes to all pieces from now on.
    fn shows_all(&self) -> bool {
        true
    }

    /// Notes that the peer has this piece. May be told the same again.
    fn has(&mut self, _: PieceIndex) {}
}

/// Uploads nothing.
pub struct NoUploads;

impl Uploads for NoUploads {
    fn open(&self, _: UploadPeer) -> Option<Box<dyn Upload>> {
        None
    }

    fn stays(&self, _: u64, _: u64) -> bool {
        false
    }
}
