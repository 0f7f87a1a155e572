//! Stage 11: many peers at once, a thread each, around one queue of pieces.
//!
//! One peer may be slow, lie, choke or vanish. A swarm does not mind: what one does
//! not bring, another will. This stage finds peers, gives each a thread, and ends
//! when the last piece is verified, or when there is no hope.
//!
//! * **Run it:** `piecemeal download -o sample.txt lab/sample.torrent`
//! * **Spec:** BEP 3, 6, 12; **chapter:** `docs/11-swarm.md`
//! * **Builds on:** everything before; it adds no message of its own
//!
//! # The threads
//! ```text
//!         sources (a thread each) --candidates--> swarm --starts--> a thread per peer
//!                                                   ^                     |
//!         events to the user <---- this thread -----+------- notes -------+
//!                                                                         |
//!         work queue (one Mutex)  <------- claim / give back / done ------+
//!         storage (positioned)    <------- each block as it comes --------+
//! ```
//! # Decisions
//! * **One subject a file:** [`work_queue`] has the invariant, [`rarest`] the order,
//!   [`lease`] a block's way to the disk, `session` the loop of one peer, [`addresses`]
//!   whom to dial, [`announcer`] when to ask the tracker, `conductor` the swarm's end.
//! * **No end goes unheard.** However a peer's thread ends, also by a panic, its leases
//!   go back first and then the swarm gets its last note.
//! * **What ends one peer and what ends the download are two types,** [`Ended`] and
//!   [`SwarmError`]. A full disk is nobody's fault but ours.
//! * **From a magnet link it is the same download,** only that each thread first
//!   tries to get the info dictionary (`learning`).
//! * **Left out:** giving. [`outbox`] has the seam; until something is plugged into
//!   it, requests are refused.

pub mod addresses;
pub mod announcer;
mod clock;
mod conductor;
pub mod depth;
mod held;
mod learning;
pub mod lease;
pub mod outbox;
mod peer;
pub mod rarest;
mod session;
pub mod source;
pub mod work_queue;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

use self::conductor::Conductor;
use self::outbox::{NoUploads, Uploads};
pub use self::peer::Ended;
use self::source::{Candidate, PeerSource, Signals};
use self::work_queue::{PeerNumber, WorkQueue};
use crate::s02_metainfo::{Info, InfoHash, PieceIndex};
use crate::s03_tracker::PeerId;
use crate::s04_handshake::transport::{Dial, Hangup, Tcp};
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::{EXTENSION_BIT, Extensions, encode_extended};
use crate::s10_storage::{StorageError, Store};

/// What to download, and how.
pub struct Plan {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Its info dictionary, if it is known already.
    pub info: Option<Info>,
    /// Ourselves.
    pub peer_id: PeerId,
    /// Where peers come from.
    pub sources: Vec<Box<dyn PeerSource>>,
    /// How they are reached.
    pub dial: Arc<dyn Dial>,
    /// How many may be connected.
    pub max_peers: usize,
    /// How long to go on without any live peer. Ten times as long without a block.
    pub patience: Duration,
    /// What is given meanwhile.
    pub uploads: Arc<dyn Uploads>,
    /// Set from outside to end early.
    pub stop: Arc<AtomicBool>,
}

impl Plan {
    /// Over TCP, 50 peers, 60 s of patience, no source yet.
    pub fn new(info_hash: InfoHash, info: Option<Info>, peer_id: PeerId) -> Plan {
        let (sources, dial, uploads, stop) = (Vec::new(), Arc::new(Tcp), Arc::new(NoUploads), Arc::default());
        Plan { info_hash, info, peer_id, sources, dial, max_peers: 50, patience: Duration::from_secs(60), uploads, stop }
    }

    /// After which time a failed address or tracker is tried again, at first: so that
    /// each gets a second chance while there is patience.
    pub fn retry(&self) -> Duration {
        (self.patience / 4).min(Duration::from_secs(15))
    }
}

/// What has happened, for the user.
#[derive(Debug)]
pub enum Event {
    /// The info dictionary is known.
    Metadata {
        /// The name in it.
        name: String,
        /// Bytes in all.
        length: u64,
    },
    /// So many bytes were there before the download began.
    Resumed(u64),
    /// A few times a second.
    Progress {
        /// Bytes in verified pieces.
        verified: u64,
        /// Bytes in blocks that came in this session.
        downloaded: u64,
        /// Peers whose handshake is done.
        peers: usize,
    },
    /// A peer's handshake is done.
    Joined(SocketAddr),
    /// A peer is gone.
    Left(SocketAddr, Ended),
    /// A piece had the wrong hash; these peers had a part in it. A single one is banned.
    Corrupt(PieceIndex, Vec<SocketAddr>),
    /// What a source has to say.
    Source {
        /// Its name.
        name: String,
        /// Its words.
        what: String,
        /// Whether it could not find peers.
        failed: bool,
    },
}

/// What a download came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Bytes of blocks that came in this session.
    pub downloaded: u64,
    /// Bytes by peer, for those that brought any.
    pub from: Vec<(SocketAddr, u64)>,
    /// Peers that were banned.
    pub banned: Vec<SocketAddr>,
}

/// What a thread tells the swarm. The channel is not bounded, since a thread that
/// ends must never wait; but its notes are few, and none is sent for a block.
enum Note {
    Found(Vec<Candidate>),
    Said { source: String, what: String, failed: bool },
    SourceGone,
    Joined(SocketAddr),
    Ended(PeerNumber, SocketAddr, Ended),
    Metadata(Box<Info>),
    Corrupt(PieceIndex, Vec<PeerNumber>),
    Finished,
}

/// A torrent that can be downloaded: its info dictionary is known, and its place
/// on disk.
pub(crate) struct Torrent {
    queue: Arc<WorkQueue>,
    store: Arc<dyn Store>,
    metadata: Arc<[u8]>,
}

/// What all threads of a download share.
pub(crate) struct Swarm {
    info_hash: InfoHash,
    peer_id: PeerId,
    dial: Arc<dyn Dial>,
    uploads: Arc<dyn Uploads>,
    torrent: OnceLock<Arc<Torrent>>,
    signals: Arc<Signals>,
    stopping: AtomicBool,
    notes: Mutex<Sender<Note>>,
    /// The connected peers: a leaf lock.
    live: Mutex<HashMap<PeerNumber, Live>>,
    /// Who is fetching the info dictionary: a leaf lock.
    fetching: Mutex<learning::Fetching>,
    /// How long one may keep a place that others wait for.
    place_time: Duration,
}

struct Live {
    address: SocketAddr,
    peer_id: PeerId,
    hang_up: Hangup,
    stats: Arc<Stats>,
}

/// What a peer has brought. Its thread writes, everybody else reads.
struct Stats {
    start: Instant,
    downloaded: AtomicU64,
    /// When it last brought something, in milliseconds from its start.
    last_block: AtomicU64,
}

impl Stats {
    fn new() -> Stats {
        Stats { start: Instant::now(), downloaded: AtomicU64::new(0), last_block: AtomicU64::new(0) }
    }

    fn downloaded(&self) -> u64 {
        self.downloaded.load(Ordering::Relaxed)
    }

    /// When it last was of use; at the latest, when it came.
    fn last_useful(&self) -> Instant {
        self.start + Duration::from_millis(self.last_block.load(Ordering::Relaxed))
    }
}

impl Swarm {
    fn note(&self, note: Note) {
        // The swarm is over when nobody listens.
        let _ = self.notes.lock().unwrap_or_else(PoisonError::into_inner).send(note);
    }

    fn live(&self) -> MutexGuard<'_, HashMap<PeerNumber, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Appends our extension handshake, if the peer understands it.
    fn greet(&self, connection: &Connection, extensions: &Extensions, out: &mut Vec<u8>) {
        if connection.theirs.has_bit(EXTENSION_BIT) {
            encode_extended(0, &extensions.greeting(connection.peer.ip()).encode(), out);
        }
    }

    fn count_block(&self, stats: &Stats, length: usize, now: Instant) {
        self.signals.downloaded.fetch_add(length as u64, Ordering::Relaxed);
        stats.downloaded.fetch_add(length as u64, Ordering::Relaxed);
        stats.last_block.store(now.duration_since(stats.start).as_millis() as u64, Ordering::Relaxed);
    }

    fn piece_done(&self, torrent: &Torrent) {
        // Two threads may get here at once, and the later of them with the older number.
        let left = torrent.queue.bytes_left();
        self.signals.left.fetch_min(left, Ordering::Relaxed);
        if left == 0 {
            self.note(Note::Finished);
        }
    }

    fn piece_corrupt(&self, piece: PieceIndex, by: Vec<PeerNumber>) {
        self.note(Note::Corrupt(piece, by));
    }
}

/// Downloads a torrent and returns when all of it is verified and stored.
///
/// `prepare` is called once the info dictionary is known; it returns where to store
/// the content, and which pieces are there already. `event` is called on this thread.
///
/// # Errors
/// If the store fails, if there is no hope or no patience left, or if it was stopped.
pub fn download<P>(plan: Plan, prepare: P, event: &mut dyn FnMut(Event)) -> Result<Outcome, SwarmError>
where
    P: FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError>,
{
    let (notes, noted) = mpsc::channel();
    let signals = Arc::new(Signals::default());
    signals.left.store(1, Ordering::Relaxed);
    let swarm = Arc::new(Swarm {
        info_hash: plan.info_hash,
        peer_id: plan.peer_id,
        dial: Arc::clone(&plan.dial),
        uploads: Arc::clone(&plan.uploads),
        torrent: OnceLock::new(),
        signals: Arc::clone(&signals),
        stopping: AtomicBool::new(false),
        notes: Mutex::new(notes.clone()),
        live: Mutex::default(),
        fetching: Mutex::default(),
        place_time: plan.retry(),
    });
    let conductor = Conductor::new(swarm, &plan, prepare, event, (notes, noted));
    conductor.run(plan.info, plan.sources, &plan.stop)
}

/// Why a download ended without being complete.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum SwarmError {
    /// The content could not be stored (stage 10).
    #[error(transparent)]
    Storage(StorageError),
    /// The magnet link leads to an info dictionary that is no torrent we can use.
    #[error(transparent)]
    Unusable(crate::s02_metainfo::MetainfoError),
    /// Nobody can, or wants to, give us what is missing.
    #[error("{what}{}", reasons_text(reasons))]
    NoHope { what: String, no_tracker: bool, reasons: Vec<(String, String)> },
    /// It was told to stop.
    #[error("stopped; what is verified is kept")]
    Stopped,
}

impl From<StorageError> for SwarmError {
    fn from(error: StorageError) -> SwarmError {
        match error {
            StorageError::Stopped => SwarmError::Stopped,
            error => SwarmError::Storage(error),
        }
    }
}

/// The latest few reasons, one behind the other.
fn reasons_text(reasons: &[(String, String)]) -> String {
    // A tracker's own words name its URL already.
    let named = |who: &str, why: &str| if why.starts_with(who) { why.to_owned() } else { format!("{who}: {why}") };
    let last = reasons.iter().rev().take(5).map(|(who, why)| named(who, why));
    let text = last.collect::<Vec<_>>().join("; ");
    if text.is_empty() { text } else { format!(" ({text})") }
}
