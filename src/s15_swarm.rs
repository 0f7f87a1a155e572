//! Stage 15: many peers at once, a thread each, around the queue of stage 11.
//!
//! One peer may be slow, lie, choke or vanish. A swarm does not mind: what one peer does not bring,
//! another will. This stage finds peers, gives each a thread with a session of stage 12, and ends
//! when the last piece is verified, or when there is no hope.
//!
//! * **Run it:** `piecemeal download -o sample.txt lab/sample.torrent`
//! * **Spec:** BEP 3, 6, 12; **chapter:** `docs/15-swarm.md`
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
//! * **No end goes unheard.** However a peer's thread ends, also by a panic, its leases go back
//!   first and then the swarm gets its last note.
//! * **What ends one peer and what ends the download are two types,** [`Ended`] and [`SwarmError`].
//!   A full disk is nobody's fault but ours.
//! * **From a magnet link it is the same download,** except that each thread first tries to get the
//!   info dictionary (`learning`).
//! * **An address costs something, a connection does not.** So places, turns and bans belong to
//!   addresses ([`sharing`], [`bans`]).
//! * **Left out:** listening, and what to give to whom. That is stage 17.
//!
//! # One subject a file
//! * `conductor` is the download's own thread: it dials, hears of ends, and decides when it is over.
//! * `peer` starts a peer's thread; `learning` gets the info dictionary first; `doubles` tells which
//!   connections lead to one peer.
//! * [`source`] is where peers come from, and [`announcer`] is the one that asks trackers.
//! * [`addresses`] says whom to dial, [`failed_ports`] whom not to dial again and again, [`sharing`] who
//!   gets a place, `lobby` where others wait for one, [`budget`] how many of each there may be.
//! * [`view`] shows a running download, [`waiting`] what it waits for, [`outcome`] what it came to,
//!   [`standing`] why it failed.

mod conductor;
mod learning;
mod lobby;
pub mod outcome;
mod patience;
mod peer;
mod plan;
pub mod standing;
pub mod view;
pub mod waiting;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use thiserror::Error;

use self::conductor::{Conductor, Limits};
use self::lobby::Lobby;
use self::outcome::Outcome;
pub use self::peer::Ended;
pub use self::plan::Plan;
use self::standing::Standing;
use self::waiting::Waiting;
use crate::s02_metainfo::{Info, InfoHash, PieceIndex};
use crate::s03_tracker::PeerId;
use crate::s04_handshake::Handshake;
use crate::s04_handshake::descriptors::allowed;
use crate::s04_handshake::transport::{Dial, Hangup};
use crate::s05_messages::FAST_BIT;
use crate::s05_messages::bitfield::Bitfield;
use crate::s07_extension::EXTENSION_BIT;
use crate::s08_metadata::Metadata;
use crate::s10_storage::{StorageError, Store};
use crate::s11_work_queue::PeerNumber;
use crate::s12_session::host::{Counters, Host, Report, Torrent};
use crate::s12_session::stats::PeerStats;
use crate::s13_peer_sources::signals::Signals;
use crate::s13_peer_sources::source::SourceReport;
use crate::s14_peer_list::budget::Budget;
use crate::s14_peer_list::doubles::Link;

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
    Source(SourceReport),
    /// A connection waits in the lobby.
    Came,
    Joined(SocketAddr),
    /// Why no info dictionary comes from it, if anything speaks against it.
    Lacks(SocketAddr, Option<&'static str>),
    /// From a peer's session.
    Session(Report),
    Ended(PeerNumber, SocketAddr, Ended),
    Metadata(Box<Info>),
}

/// What all threads of a download share.
pub(crate) struct Swarm {
    info_hash: InfoHash,
    peer_id: PeerId,
    dial: Arc<dyn Dial>,
    /// What the peers' sessions share.
    host: Arc<Host>,
    upload_only: bool,
    port: u16,
    torrent: OnceLock<Arc<Torrent>>,
    metadata: Metadata,
    signals: Arc<Signals>,
    /// Connections that have come by themselves and wait for a place.
    lobby: Lobby,
    max_handshakes: usize,
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
    stats: Arc<PeerStats>,
    /// Why we hung up, if we did: to its thread it looks as if the peer had.
    parted: Option<Ended>,
    /// Addresses that we have dialled and left, since this peer is here. When it goes, they
    /// are dialled again.
    doubles: Vec<SocketAddr>,
}

/// How many addresses of one peer are dialled again once it goes.
const MAX_DOUBLES: usize = 100;

impl Live {
    /// What tells whether another connection leads to the same peer.
    fn link(&self) -> Link {
        let (ip, age) = (self.stats.address().ip(), self.stats.start().elapsed());
        Link { peer_id: self.peer_id, ip, dialled: self.dialled, proved: self.stats.last_useful().is_some(), age }
    }

    /// Notes an address that is dialled again once this peer goes.
    fn add_double(&mut self, address: SocketAddr) {
        if self.doubles.len() < MAX_DOUBLES && !self.doubles.contains(&address) {
            self.doubles.push(address);
        }
    }
}

impl Swarm {
    fn note(&self, note: Note) {
        // The swarm is over when nobody listens.
        let _ = self.notes.send(note);
    }

    fn live(&self) -> MutexGuard<'_, HashMap<PeerNumber, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What we say of ourselves. Who offers the fast extension must say what it has right
    /// away; without the info dictionary we do not know how many pieces there are.
    fn handshake(&self) -> Handshake {
        let ours = Handshake::new(self.info_hash, self.peer_id).with_bit(EXTENSION_BIT);
        if self.torrent.get().is_some() { ours.with_bit(FAST_BIT) } else { ours }
    }
}

/// Downloads a torrent and returns when all of it is verified and stored, or later if
/// [`Uploads::stays`](crate::s12_session::uploads::Uploads::stays) for others. What is complete at the start is only given.
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
    let counters = Arc::new(Counters::default());
    let signals = Arc::new(Signals::default());
    let retry = plan.retry();
    let reports = notes.clone();
    let host = Host {
        download_limit: plan.download_rate,
        upload_limit: plan.upload_rate,
        counters,
        stopping: Arc::default(),
        uploads: Arc::clone(&plan.uploads),
        report: Box::new(move |report| {
            // Progress is counted anyway; of the pieces, only the last is news.
            if !matches!(report, Report::Verified(1..)) {
                // The swarm is over when nobody listens.
                let _ = reports.send(Note::Session(report));
            }
        }),
    };
    let swarm = Arc::new(Swarm {
        info_hash: plan.info_hash,
        peer_id: plan.peer_id,
        dial: Arc::clone(&plan.dial),
        host: Arc::new(host),
        upload_only: plan.upload_only,
        port: plan.port,
        torrent: OnceLock::new(),
        metadata: Metadata::default(),
        signals,
        lobby: Lobby::new(budget.lobby),
        max_handshakes: budget.handshakes,
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
