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
//!   [`lease`] a block's way to the disk, `session` the loop of one peer, [`depth`] how much
//!   is asked of it at a time, `clock` how long it may take, [`outbox`] what goes to it,
//!   [`traffic`] what went, [`rate`] how much may go, [`addresses`] whom to dial, [`manners`]
//!   and [`bans`] whom not to, [`sharing`] who gets a place, `lobby` where others wait for one, [`budget`]
//!   how many of each there may be, `doubles` which connections are one peer, [`announcer`]
//!   when to ask the tracker, `conductor` the swarm's end, [`outcome`] what it came to,
//!   [`standing`] what is said where it failed, [`waiting`] what is said meanwhile, [`view`]
//!   what there is to see of it all.
//! * **No end goes unheard.** However a peer's thread ends, also by a panic, its leases
//!   go back first and then the swarm gets its last note.
//! * **What ends one peer and what ends the download are two types,** [`Ended`] and
//!   [`SwarmError`]. A full disk is nobody's fault but ours.
//! * **From a magnet link it is the same download,** only that each thread first
//!   tries to get the info dictionary (`learning`).
//! * **Left out:** whom to give to, and how much. [`uploads`] is the seam; until something
//!   is plugged into it, requests are refused, or passed over.

pub mod addresses;
pub mod announcer;
pub mod bans;
pub mod budget;
mod clock;
mod conductor;
pub mod depth;
mod doubles;
mod held;
mod learning;
pub mod lease;
mod lobby;
pub mod manners;
pub mod outbox;
pub mod outcome;
mod peer;
mod plan;
pub mod rarest;
pub mod rate;
mod session;
pub mod sharing;
pub mod source;
pub mod standing;
pub mod traffic;
pub mod uploads;
pub mod view;
pub mod waiting;
pub mod work_queue;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

use self::budget::Budget;
use self::conductor::{Conductor, Limits};
use self::outcome::Outcome;
pub use self::peer::Ended;
pub use self::plan::Plan;
use self::rate::Rate;
use self::source::{Candidate, Signals};
use self::standing::Standing;
use self::traffic::Traffic;
use self::uploads::Uploads;
use self::waiting::Waiting;
use self::work_queue::{PeerNumber, WorkQueue};
use crate::s02_metainfo::{Info, InfoHash, PieceIndex};
use crate::s03_tracker::PeerId;
use crate::s04_handshake::Handshake;
use crate::s04_handshake::descriptors::allowed;
use crate::s04_handshake::transport::{Dial, Hangup};
use crate::s05_messages::FAST_BIT;
use crate::s05_messages::bitfield::Bitfield;
use crate::s07_extension::{EXTENSION_BIT, Extensions};
use crate::s08_metadata::Metadata;
use crate::s10_storage::{StorageError, Store};

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
    /// About ten times a second, also when nothing has changed.
    Progress {
        /// Bytes in verified pieces.
        verified: u64,
        /// Bytes in blocks that came in this session.
        downloaded: u64,
        /// Bytes in blocks that went.
        uploaded: u64,
        /// Peers whose handshake is done.
        peers: usize,
        /// What is waited for, when nothing has come for two seconds.
        waiting: Option<Waiting>,
    },
    /// Nothing has come for [`Plan::silence`]: why, and what happens next. Told again when the
    /// reason is another one. A seed that nobody takes from tells it once.
    Waiting(Waiting),
    /// All pieces are there and verified, which they were not at the start.
    Completed,
    /// A peer's handshake is done.
    Joined(SocketAddr),
    /// A peer chokes us (`true`), or does so no longer: of each only the first time.
    Choked(SocketAddr, bool),
    /// A peer is gone.
    Left(SocketAddr, Ended),
    /// A peer broke a rule in a way that does no harm: what it was.
    PassedOver(SocketAddr, String),
    /// A piece that was there has been changed on disk by somebody: it is no longer given.
    Withdrawn(PieceIndex),
    /// A piece had the wrong hash; these peers had a part in it. A single one is banned.
    Corrupt(PieceIndex, Vec<SocketAddr>),
    /// A piece that had the wrong hash is right now, and shows that this peer's blocks were wrong:
    /// it is banned.
    Lied(PieceIndex, SocketAddr),
    /// What a source has to say.
    Source {
        /// Its name.
        name: String,
        /// Its words.
        what: String,
        /// Whether it could not find peers.
        failed: bool,
    },
    /// It ends before it is complete, for the reason in the error: what it came to.
    Unfinished(Outcome),
}

/// What a thread tells the swarm. The channel is not bounded, since a thread that
/// ends must never wait; but its notes are few, and none is sent for a block.
enum Note {
    Found(Vec<Candidate>),
    /// A connection waits in the lobby.
    Came,
    Said {
        source: String,
        what: String,
        failed: bool,
    },
    /// The source with this number looks for peers again then.
    Again(usize, Instant),
    SourceGone(usize),
    Joined(SocketAddr),
    /// Why no info dictionary comes from it, if anything speaks against it.
    Lacks(SocketAddr, Option<&'static str>),
    Choked(SocketAddr, bool),
    PassedOver(SocketAddr, String),
    Ended(PeerNumber, SocketAddr, Ended),
    Metadata(Box<Info>),
    Corrupt(PieceIndex, Vec<PeerNumber>),
    /// It is known now that this one's blocks made the piece wrong.
    Lied(PieceIndex, PeerNumber),
    Finished,
}

/// A torrent that can be shared: its info dictionary is known, and its place on disk.
pub struct Torrent {
    /// Its pieces, and where each of them is.
    pub queue: Arc<WorkQueue>,
    /// Its bytes.
    pub store: Arc<dyn Store>,
    /// Whether nothing is to be taken, even if pieces are missing.
    pub upload_only: bool,
}

impl Torrent {
    /// Whether we want no more pieces. Takes no lock.
    pub fn is_upload_only(&self) -> bool {
        self.upload_only || self.queue.is_complete()
    }
}

/// What all threads of a download share.
pub(crate) struct Swarm {
    info_hash: InfoHash,
    peer_id: PeerId,
    dial: Arc<dyn Dial>,
    uploads: Arc<dyn Uploads>,
    upload_only: bool,
    port: u16,
    download_rate: Rate,
    upload_rate: Rate,
    torrent: OnceLock<Arc<Torrent>>,
    metadata: Metadata,
    signals: Arc<Signals>,
    stopping: AtomicBool,
    notes: Sender<Note>,
    /// The connected peers: a leaf lock.
    live: Mutex<HashMap<PeerNumber, Live>>,
    /// Who is fetching the info dictionary: a leaf lock.
    fetching: Mutex<learning::Fetching>,
    /// How long one may keep a place that others wait for.
    place_time: Duration,
}

struct Live {
    peer_id: PeerId,
    /// Whether the connection was made by us.
    dialled: bool,
    hang_up: Hangup,
    traffic: Arc<Traffic>,
    /// Why we hung up, if we did: to its thread it looks as if the peer had.
    parted: Option<Ended>,
    /// Addresses that we have dialled and left, since this peer is here. When it goes, they
    /// are dialled again.
    doubles: Vec<SocketAddr>,
}

impl Swarm {
    fn note(&self, note: Note) {
        // The swarm is over when nobody listens.
        let _ = self.notes.send(note);
    }

    fn live(&self) -> MutexGuard<'_, HashMap<PeerNumber, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// What we say of ourselves. Who offers the fast extension must say what it has right
    /// away; without the info dictionary we do not know how many pieces there are.
    fn handshake(&self) -> Handshake {
        let ours = Handshake::new(self.info_hash, self.peer_id).with_bit(EXTENSION_BIT);
        if self.torrent.get().is_some() { ours.with_bit(FAST_BIT) } else { ours }
    }

    /// Tells what was passed over in a peer's extension handshakes.
    fn tell_passed_over(&self, peer: SocketAddr, extensions: &mut Extensions) {
        extensions.take_passed_over().into_iter().for_each(|what| self.note(Note::PassedOver(peer, what)));
    }

    fn count_blocks(&self, traffic: &Traffic, length: usize, now: Instant) {
        self.signals.downloaded.fetch_add(length as u64, Ordering::Relaxed);
        traffic.count_came(length, now);
    }

    fn count_given(&self, traffic: &Traffic, length: usize) {
        if length > 0 {
            self.signals.uploaded.fetch_add(length as u64, Ordering::Relaxed);
            traffic.count_went(length, Instant::now());
        }
    }

    fn piece_done(&self, torrent: &Torrent) {
        // Two threads may get here at once, and the later of them with the older number.
        torrent.queue.take_exposed().into_iter().for_each(|(piece, peer)| self.note(Note::Lied(piece, peer)));
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

/// Downloads a torrent and returns when all of it is verified and stored, or later if
/// [`Uploads::stays`] for others. What is complete at the start is only given.
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
    let budget = Budget::of(allowed(Budget::wanted(plan.max_peers)), plan.max_peers);
    let signals = Arc::new(Signals::new(budget));
    let retry = plan.retry();
    signals.left.store(1, Ordering::Relaxed);
    let swarm = Arc::new(Swarm {
        info_hash: plan.info_hash,
        peer_id: plan.peer_id,
        dial: Arc::clone(&plan.dial),
        uploads: Arc::clone(&plan.uploads),
        upload_only: plan.upload_only,
        port: plan.port,
        download_rate: plan.download_rate,
        upload_rate: plan.upload_rate,
        torrent: OnceLock::new(),
        metadata: Metadata::default(),
        signals: Arc::clone(&signals),
        stopping: AtomicBool::new(false),
        notes: notes.clone(),
        live: Mutex::default(),
        fetching: Mutex::default(),
        place_time: retry,
    });
    plan.watch.begin(&swarm);
    let limits = Limits { max_peers: budget.places, patience: plan.patience, retry, silence: plan.silence };
    let conductor = Conductor::new(swarm, limits, Box::new(prepare), event, (notes, noted));
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
    #[error("{what}: {standing}")]
    NoHope { what: String, standing: Box<Standing> },
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
