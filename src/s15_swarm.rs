//! Stage 15: many peers at once, a thread each, around the queue of stage 11.
//!
//! One peer may be slow, lie, choke or vanish. A swarm does not mind: what one peer does not bring,
//! another will. This stage runs the sources of stage 13, dials the addresses that stage 14 picks,
//! gives each peer a thread with a session of stage 12, and ends when the last piece is verified, or
//! when there is no hope.
//!
//! * **Run it:** `piecemeal download -o sample.txt lab/sample.torrent`
//! * **Spec:** BEP 3, 6, 12; **chapter:** `docs/15-swarm.md`
//! * **Builds on:** stages 11 to 14; it adds no message of its own
//!
//! # The threads
//! ```text
//!         sources (a thread each) --candidates--> swarm --starts--> a thread per peer
//!                                                   ^                     |
//!         events to the user <---- this thread -----+----- messages ------+
//!                                                                         |
//!         work queue (one Mutex)  <------- claim / give back / done ------+
//!         storage (positioned)    <------- each block as it comes --------+
//! ```
//! # Decisions
//! * **No end goes unheard.** However a peer's thread ends, even by a panic, its leases go back
//!   first, and then the swarm gets the thread's last message.
//! * **What ends one peer and what ends the download are two types,** [`Ended`] and [`SwarmError`].
//!   A full disk is nobody's fault but ours.
//! * **From a magnet link it is the same download,** except that each thread first tries to get the
//!   info dictionary (`magnet`).
//! * **Left out:** uploading (stage 16), listening and choking (stage 17).
//!
//! # In two sittings
//! 1. This file, `plan`, `torrent_loop` (the download's own thread: it dials, hears of ends, and decides
//!    when it is over) with `sources`, `ending` and `patience`, and `peer_thread`, which starts a
//!    thread.
//! 2. `places` and `lobby`, when more peers come than there is room for; `reports`, when one lies;
//!    `magnet`, before a magnet link's torrent is known; `telling`, [`waiting`], [`view`], [`summary`]
//!    and [`failure_report`], for whoever watches. `report.rs` makes sentences of it.

pub mod failure_report;
mod lobby;
mod magnet;
mod patience;
mod peer_thread;
mod plan;
pub mod summary;
mod torrent_loop;
pub mod view;
pub mod waiting;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use thiserror::Error;

use self::failure_report::FailureReport;
use self::lobby::Lobby;
pub use self::peer_thread::Ended;
pub use self::plan::Plan;
use self::summary::Summary;
use self::torrent_loop::{Limits, TorrentLoop};
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
    /// The number of verified bytes that were on disk before the download began.
    Resumed(u64),
    /// About ten times a second, also when nothing has changed.
    Progress {
        /// Bytes in verified pieces.
        verified: u64,
        /// Bytes in blocks received in this session.
        downloaded: u64,
        /// Bytes in blocks sent.
        uploaded: u64,
        /// The number of connected peers.
        peers: usize,
        /// What is waited for, when nothing has come for two seconds.
        waiting: Option<Waiting>,
    },
    /// No block has come for [`Plan::silence`]: why, and what happens next. Sent again when the
    /// reason changes. A seed that uploads to nobody sends it once.
    Waiting(Waiting),
    /// The last missing piece is verified.
    Completed,
    /// A peer's handshake is done.
    Joined(SocketAddr),
    /// A peer chokes us (`true`) or unchokes us. Only the first of each is reported.
    Choked(SocketAddr, bool),
    /// A connection has ended.
    Left(SocketAddr, Ended),
    /// A peer broke a rule in a way that does no harm. The text says how.
    PassedOver(SocketAddr, String),
    /// Another program has changed a verified piece on disk. It is no longer uploaded.
    Withdrawn(PieceIndex),
    /// A piece had the wrong hash. These peers sent blocks of it; if it is only one, it is banned.
    Corrupt(PieceIndex, Vec<SocketAddr>),
    /// A piece that had the wrong hash is now verified, which shows that this peer's blocks were
    /// wrong. The peer is banned.
    Lied(PieceIndex, SocketAddr),
    /// A source of peers reports something.
    Source {
        /// The source's name.
        name: String,
        /// What it reports.
        what: String,
        /// Whether it failed to find peers.
        failed: bool,
    },
    /// The download ends before it is complete. The error says why.
    Unfinished(Summary),
}

/// What the other threads send to the torrent loop. The channel is not bounded, because a thread
/// that ends must never wait. The messages are few, and none is sent for a block.
enum SwarmMessage {
    Source(SourceReport),
    /// A connection waits in the lobby.
    Came,
    Joined(SocketAddr),
    /// Why the peer cannot give the info dictionary. `None` if it still may.
    Lacks(SocketAddr, Option<&'static str>),
    /// A report of a peer's session.
    Session(Report),
    Ended(PeerNumber, SocketAddr, Ended),
    Metadata(Box<Info>),
}

/// What all threads of a download share.
pub(crate) struct Swarm {
    info_hash: InfoHash,
    peer_id: PeerId,
    dial: Arc<dyn Dial>,
    /// What all sessions share.
    host: Arc<Host>,
    upload_only: bool,
    port: u16,
    torrent: OnceLock<Arc<Torrent>>,
    metadata: Metadata,
    signals: Arc<Signals>,
    /// Connections that have come by themselves and wait for a place.
    lobby: Lobby,
    max_handshakes: usize,
    messages: Sender<SwarmMessage>,
    /// The connected peers. A leaf lock.
    live: Mutex<HashMap<PeerNumber, Live>>,
    /// The fetches of the info dictionary that are running. A leaf lock.
    fetching: Mutex<magnet::Fetching>,
    /// The longest time that a peer keeps a place that others are waiting for.
    place_time: Duration,
}

struct Live {
    peer_id: PeerId,
    /// Whether the connection was made by us.
    dialed: bool,
    hang_up: Hangup,
    stats: Arc<PeerStats>,
    /// Why we hung up, if we did. To the peer's thread it looks as if the peer had.
    parted: Option<Ended>,
    /// Addresses at which we found this peer again, and hung up. They are dialed again once it
    /// goes.
    doubles: Vec<SocketAddr>,
}

/// The number of addresses that are remembered for one peer.
const MAX_DOUBLES: usize = 100;

impl Live {
    /// Returns what shows whether another connection leads to the same peer.
    fn link(&self) -> Link {
        let (ip, age) = (self.stats.address().ip(), self.stats.start().elapsed());
        Link {
            peer_id: self.peer_id,
            ip,
            dialed: self.dialed,
            proved: self.stats.last_useful().is_some(),
            age,
        }
    }

    /// Remembers an address that is to be dialed again once this peer goes.
    fn add_double(&mut self, address: SocketAddr) {
        if self.doubles.len() < MAX_DOUBLES && !self.doubles.contains(&address) {
            self.doubles.push(address);
        }
    }
}

impl Swarm {
    fn send(&self, message: SwarmMessage) {
        // It fails only when the swarm is over.
        let _ = self.messages.send(message);
    }

    fn live(&self) -> MutexGuard<'_, HashMap<PeerNumber, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our handshake at this moment. A client that offers the fast extension must say which pieces
    /// it has right after the handshake, and without the info dictionary we do not know how many
    /// pieces there are.
    fn handshake(&self) -> Handshake {
        let ours = Handshake::new(self.info_hash, self.peer_id).with_bit(EXTENSION_BIT);
        if self.torrent.get().is_some() { ours.with_bit(FAST_BIT) } else { ours }
    }
}

/// Downloads a torrent and returns when all of it is verified and stored, or later if
/// [`Uploads::stays`](crate::s12_session::uploads::Uploads::stays) says so. A torrent that is
/// complete at the start is only seeded.
///
/// `prepare` is called once the info dictionary is known. It returns where to store the content, and
/// which pieces are on disk already. `event` is called on this thread.
///
/// # Errors
/// If the store fails, if there is no hope or no patience left, or if the download was stopped.
pub fn download<P>(
    plan: Plan,
    prepare: P,
    event: &mut dyn FnMut(Event),
) -> Result<Summary, SwarmError>
where
    P: FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError>,
{
    let (messages, received) = mpsc::channel();
    let budget = Budget::of(allowed(Budget::wanted(plan.max_peers)), plan.max_peers);
    let counters = Arc::new(Counters::default());
    let signals = Arc::new(Signals::default());
    let retry = plan.retry();
    let reports = messages.clone();
    let host = Host {
        download_limit: plan.download_rate,
        upload_limit: plan.upload_rate,
        counters,
        stopping: Arc::default(),
        uploads: Arc::clone(&plan.uploads),
        report: Box::new(move |report| {
            // Progress is counted anyway. Of the verified pieces, only the last one is news.
            if !matches!(report, Report::Verified(1..)) {
                // It fails only when the swarm is over.
                let _ = reports.send(SwarmMessage::Session(report));
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
        messages: messages.clone(),
        live: Mutex::default(),
        fetching: Mutex::default(),
        place_time: retry,
    });
    plan.watch.begin(&swarm);
    let limits =
        Limits { max_peers: budget.places, patience: plan.patience, retry, silence: plan.silence };
    let torrent_loop =
        TorrentLoop::new(swarm, limits, Box::new(prepare), event, (messages, received));
    torrent_loop.run(plan.info, plan.sources, &plan.stop)
}

/// Why a download ended without being complete.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages name them
pub enum SwarmError {
    /// The content could not be stored (stage 10).
    #[error(transparent)]
    Storage(StorageError),
    /// The magnet link leads to an info dictionary that is no torrent we can use.
    #[error(transparent)]
    Unusable(crate::s02_metainfo::MetainfoError),
    /// No peer can or will give us the missing pieces.
    #[error("{what}")]
    NoHope { what: String, standing: Box<FailureReport> },
    /// The user stopped it.
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
