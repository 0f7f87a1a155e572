//! Stage 15: many peers at once, a thread each, around the queue of stage 11.
//!
//! One peer may be slow, lie, choke or vanish. A swarm does not mind: what one peer does not bring,
//! another will. This stage runs the sources of stage 13, dials the addresses that stage 14 picks,
//! gives each peer a thread with a session of stage 12, and ends when the last piece is verified,
//! or when there is no hope.
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
//! * **One thread decides.** It alone knows the addresses, the places and the patience, so they
//!   need no lock. The others tell it what has happened, through a channel.
//! * **Left out:** uploading (stage 16), listening and choking (stage 17).
//!
//! # In four sittings
//! 1. This file, `plan`, `torrent_loop` (the download's own thread, which hears of everything),
//!    `peer_thread` (one peer, from the dial to its end) and `ended` (what each end means).
//! 2. Peers come and go: `sources` find them, `places` and `lobby` choose when there are more than
//!    there is room for, `magnet` asks them for the info dictionary, `reports` finds the liars
//!    among them, `departures` decides what becomes of their addresses.
//! 3. The end: `patience` and `ending`. `introduction` is our handshake. `hands` can be skipped: it
//!    is for sources that bring pieces and are no peers.
//! 4. To be skipped at first reading, what is told to whoever watches: `telling`, [`waiting`],
//!    [`view`], [`summary`] and [`failure_report`]. `report.rs` makes sentences of it.

mod ended;
pub mod failure_report;
mod introduction;
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

pub use self::ended::Ended;
use self::failure_report::FailureReport;
use self::lobby::Lobby;
pub use self::plan::Plan;
use self::summary::{Giver, Summary};
use self::torrent_loop::{Limits, TorrentLoop};
use self::waiting::Waiting;
use crate::s02_metainfo::{Info, Names, PieceIndex};
use crate::s03_tracker::PeerId;
use crate::s04_handshake::descriptors::allowed;
use crate::s04_handshake::transport::{Dial, Hangup};
use crate::s05_messages::bitfield::Bitfield;
use crate::s07_extension::extension::Offer;
use crate::s08_metadata::Metadata;
use crate::s10_storage::{StorageError, Store};
use crate::s11_work_queue::PeerNumber;
use crate::s12_session::host::{Host, Report, Torrent, Uploads};
use crate::s12_session::rate::Rate;
use crate::s12_session::stats::PeerStats;
use crate::s13_peer_sources::hand::HandReport;
use crate::s13_peer_sources::signals::Signals;
use crate::s13_peer_sources::source::SourceReport;
use crate::s14_peer_list::budget::Budget;
use crate::s14_peer_list::doubles::Link;

/// What has happened, for the user. Each is passed to the caller's function on the thread that
/// called [`download`], which goes on only when the function returns.
#[derive(Debug)]
pub enum Event {
    /// The info dictionary is known.
    Metadata {
        /// The name in it.
        name: String,
        /// Bytes in all.
        length: u64,
    },
    /// The number of verified bytes that were on disk before the download began. Follows
    /// `Metadata`, perhaps minutes later: they have been hashed in between.
    Resumed(u64),
    /// About ten times a second, even when nothing has changed.
    Progress {
        /// Bytes in verified pieces.
        verified: u64,
        /// Bytes in blocks received in this session.
        downloaded: u64,
        /// Bytes in blocks sent.
        uploaded: u64,
        /// The number of connected peers.
        peers: usize,
        /// What we wait for, if nothing has come for two seconds.
        waiting: Option<Waiting>,
    },
    /// No block has come for [`Plan::silence`]: why, and what happens next. Sent again when the
    /// reason changes. A seed that uploads to nobody sends it once.
    Waiting(Waiting),
    /// The last missing piece is verified. Never sent for a torrent that was complete at the start.
    Completed,
    /// A peer's handshake is done. A `Left` with the same address follows, unless the download ends
    /// first.
    Joined(SocketAddr),
    /// A peer chokes us (`true`) or unchokes us. Only the first of each is reported.
    Choked(SocketAddr, bool),
    /// A connection has ended, or could not be made: then there was no `Joined`.
    Left(SocketAddr, Ended),
    /// A peer broke a rule in a way that does no harm. The text says how.
    PassedOver(SocketAddr, String),
    /// Another program has changed a verified piece on disk. It is no longer uploaded.
    Withdrawn(PieceIndex),
    /// A piece had the wrong hash, and these brought blocks of it. If only one did: a peer is
    /// banned, and a hand gets nothing more.
    Corrupt(PieceIndex, Vec<Giver>),
    /// A piece that had the wrong hash is now verified, which shows whose blocks were wrong. A peer
    /// is banned, and a hand gets nothing more.
    Lied(PieceIndex, Giver),
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
    /// A report of a source of peers.
    Source(SourceReport),
    /// A connection waits in the lobby. The message only wakes the loop, which then looks there.
    Came,
    /// A peer's thread has added its connection to the live ones.
    Joined(SocketAddr),
    /// Why the peer cannot give the info dictionary. `None` if it still may.
    Lacks(SocketAddr, Option<&'static str>),
    /// A report of a peer's session, or about a piece that a hand has brought.
    Session(Report),
    /// What became of a hand.
    Hand(HandReport),
    /// The last message of a peer's thread: all its leases are back.
    Ended(PeerNumber, SocketAddr, Ended),
    /// All is known that is needed to check pieces: a peer has sent the info dictionary, and its
    /// hash is right. Several peers may send it at once; the first counts.
    Metadata(Arc<Info>),
}

/// What all threads of a download share. Fixed at the start, but for what is in a lock or is set
/// once.
pub(crate) struct Swarm {
    /// What the torrent is called. A peer may use any of its names.
    names: Names,
    /// Our own peer id. A peer that has the same one is ourselves.
    peer_id: PeerId,
    dial: Arc<dyn Dial>,
    /// Make the extensions of each session, beside those that it always has.
    offers: Vec<Arc<dyn Offer>>,
    /// What all sessions share.
    host: Arc<Host>,
    /// Whether we download nothing, even if pieces are missing.
    upload_only: bool,
    /// The port that we tell peers to dial; 0 if we do not listen.
    port: u16,
    /// The info dictionary, as soon as a peer has sent it. The hashes of its pieces may not all be
    /// known then ([`Info::is_whole`]), and no piece is lent before they are.
    info: OnceLock<Arc<Info>>,
    /// Set once, by the torrent loop, as soon as the hashes are known too. Then sessions begin.
    torrent: Arc<OnceLock<Arc<Torrent>>>,
    /// The raw info dictionary, for peers that ask us for it. Set before `torrent`.
    metadata: Metadata,
    /// What the sources are told.
    signals: Arc<Signals>,
    /// Connections that have come by themselves and wait for a place.
    lobby: Lobby,
    /// The most incoming peers that may shake hands at the same time.
    max_handshakes: usize,
    /// The way to the torrent loop.
    messages: Sender<SwarmMessage>,
    /// The connected peers, by number. A thread adds its own peer; only the
    /// torrent loop removes one, when it hears of the end. A leaf lock.
    live: Mutex<HashMap<PeerNumber, Live>>,
    /// The fetches of the info dictionary that are running. A leaf lock.
    fetching: Mutex<magnet::Fetching>,
    /// The longest time that a peer fetches the info dictionary while others wait to. Also the unit
    /// in which a doubtful connection delays the dialing of its peer: [`Plan::retry`].
    place_time: Duration,
}

/// A peer whose handshake is done, as other threads see it.
struct Live {
    /// The id that the peer claims. Two peers can claim the same one.
    peer_id: PeerId,
    /// Whether the connection was made by us.
    dialed: bool,
    /// Ends the connection from any thread. Not called while the lock of `live` is held.
    hang_up: Hangup,
    /// The peer's counters. Its own threads write them, and they need no lock.
    stats: Arc<PeerStats>,
    /// Why we hung up, if we did. To the peer's thread it looks as if the peer had. Set before
    /// `hang_up` is called.
    parted: Option<Ended>,
    /// Addresses at which we found this peer again, and hung up, the latest last. They are dialed
    /// again once it goes.
    doubles: Vec<SocketAddr>,
}

/// The number of addresses that are remembered for one peer. A source can name thousands of ports
/// of the peer's IP.
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

    /// Remembers an address that is to be dialed again once this peer goes. If there are too many,
    /// forgets the oldest. The new one is looked for in a moment, when the torrent loop hears why
    /// that connection has ended, and fewer are dialed at a time than there is room for.
    fn add_double(&mut self, address: SocketAddr) {
        // Each address is in the list once. It is short, so a pass over it costs nothing.
        self.doubles.retain(|known| *known != address);
        if self.doubles.len() == MAX_DOUBLES {
            self.doubles.remove(0);
        }
        self.doubles.push(address);
    }
}

impl Swarm {
    /// Tells the torrent loop something. Never waits.
    fn send(&self, message: SwarmMessage) {
        // It fails only when the swarm is over.
        let _ = self.messages.send(message);
    }

    /// Locks the connected peers. If a thread panicked meanwhile, the others go on: no entry
    /// depends on another.
    fn live(&self) -> MutexGuard<'_, HashMap<PeerNumber, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Downloads a torrent and returns when all of it is verified and stored, or later if
/// [`Uploads::stays`] says so. A torrent that is complete at the start is only seeded.
///
/// `prepare` is called once the info dictionary is known. It returns where to store the content,
/// and which pieces are on disk already. `event` is called on this thread, as is `prepare`: as long
/// as one of them runs, no peer is dialed.
///
/// When it returns, all sources and peers have been told to end. Those that did not in two seconds
/// are left to themselves.
///
/// # Errors
/// If the store fails, if there is no hope or no patience left, or if the download was stopped.
/// What is verified stays on disk in any case.
pub fn download<P>(
    plan: Plan,
    prepare: P,
    event: &mut dyn FnMut(Event),
) -> Result<Summary, SwarmError>
where
    P: FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError>,
{
    // One sender goes to the sessions' reports, one to all other threads, and one stays with the
    // loop.
    let (messages, received) = mpsc::channel();
    // Raises the process's limit of open files if the system allows it. Otherwise there are fewer
    // places.
    let budget = Budget::of(allowed(Budget::wanted(plan.max_peers)), plan.max_peers);
    let retry = plan.retry();
    let uploads = Arc::clone(&plan.uploads);
    let swarm = Arc::new(Swarm {
        names: plan.names,
        peer_id: plan.peer_id,
        dial: Arc::clone(&plan.dial),
        offers: plan.extensions,
        host: Arc::new(host([plan.download_rate, plan.upload_rate], uploads, messages.clone())),
        upload_only: plan.upload_only,
        port: plan.port,
        info: OnceLock::new(),
        torrent: Arc::default(),
        metadata: Metadata::default(),
        signals: Arc::default(),
        lobby: Lobby::new(budget.lobby),
        max_handshakes: budget.handshakes,
        messages: messages.clone(),
        live: Mutex::default(),
        fetching: Mutex::default(),
        place_time: retry,
    });
    // It does not keep the swarm alive: with the download, there is nothing left to see.
    plan.watch.begin(&swarm);
    let limits =
        Limits { max_peers: budget.places, patience: plan.patience, retry, silence: plan.silence };
    let (later, prepare) = (plan.later_sources, Box::new(prepare));
    let torrent_loop = TorrentLoop::new(swarm, later, limits, prepare, event, (messages, received));
    torrent_loop.run(plan.info, plan.sources, &plan.stop)
}

/// Makes the host of all sessions. Its reports become messages to the torrent loop.
fn host(
    [download_limit, upload_limit]: [Rate; 2],
    uploads: Arc<dyn Uploads>,
    messages: Sender<SwarmMessage>,
) -> Host {
    Host {
        download_limit,
        upload_limit,
        // All zero, but for `left`, which is 1 until the length is known.
        counters: Arc::default(),
        stopping: Arc::default(),
        uploads,
        report: Box::new(move |report| {
            // Progress is counted anyway. Of the verified pieces, only the last one is news. A
            // torrent of a million pieces would otherwise wake the loop a million times.
            if !matches!(report, Report::Verified(1..)) {
                // It fails only when the swarm is over.
                let _ = messages.send(SwarmMessage::Session(report));
            }
        }),
    }
}

/// Why a download ended without being complete. What ends a single peer is [`Ended`].
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages name them
pub enum SwarmError {
    /// The content could not be stored (stage 10).
    #[error(transparent)]
    Storage(StorageError),
    /// The magnet link leads to an info dictionary that is no torrent we can use.
    #[error(transparent)]
    Unusable(crate::s02_metainfo::MetainfoError),
    /// No peer can or will give us the missing pieces. `standing` says how far the download got,
    /// and why the peers that it met were of no use.
    #[error("{what}")]
    NoHope { what: String, standing: Box<FailureReport> },
    /// The user stopped it.
    #[error("stopped; what is verified is kept")]
    Stopped,
}

impl From<StorageError> for SwarmError {
    fn from(error: StorageError) -> SwarmError {
        match error {
            // The user pressed Ctrl-C while the content on disk was being hashed.
            StorageError::Stopped => SwarmError::Stopped,
            error => SwarmError::Storage(error),
        }
    }
}
