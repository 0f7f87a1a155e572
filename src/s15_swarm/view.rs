//! A view of a running swarm, for a table of peers or a map of pieces.
//!
//! It costs nothing while nobody looks. Each peer's threads keep its [`PeerStats`] current, and the
//! queue knows where the pieces are. An observer collects both, one lock after the other. So peers
//! and pieces may be seen a moment apart. The pieces are all seen at one moment, each in exactly
//! one place.
//!
//! An observer can miss what comes and goes in between. For what must not be missed there is an
//! [`Event`](super::Event).

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::{Live, Swarm};
use crate::s02_metainfo::Info;
use crate::s03_tracker::PeerId;
use crate::s11_work_queue::{PeerNumber, Places};
use crate::s12_session::host::Torrent;
use crate::s12_session::stats::PeerStats;

/// A connected peer at one moment. The four flags are explained at
/// [`PeerFlags`](crate::s12_session::stats::PeerFlags).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Its number in [`Places::on_loan`].
    pub number: PeerNumber,
    /// The address at which it listens, or else the one it connected from.
    pub address: SocketAddr,
    /// Whether it listens at `address`, as far as we know.
    pub listens: bool,
    /// Whether we dialed it.
    pub dialed: bool,
    /// Its peer id.
    pub peer_id: PeerId,
    /// We do not answer its requests.
    pub am_choking: bool,
    /// It has something that we lack.
    pub am_interested: bool,
    /// It does not answer our requests.
    pub peer_choking: bool,
    /// We have something that it lacks.
    pub peer_interested: bool,
    /// The number of pieces it has.
    pub pieces: u32,
    /// Whether it has all of them.
    pub is_seed: bool,
    /// The number of our requests that it has not answered, as of the last turn of its session's
    /// loop.
    pub requests: u32,
    /// Bytes of blocks received from it.
    pub downloaded: u64,
    /// Bytes of blocks sent to it.
    pub uploaded: u64,
}

/// What is copied of a connected peer while the lock is held.
struct Seen {
    peer_id: PeerId,
    dialed: bool,
    stats: Arc<PeerStats>,
}

impl PeerView {
    /// Reads a peer's counters, one after the other. They are not all from one instant: a block may
    /// be in the sums while its request still counts as unanswered.
    fn new(number: PeerNumber, live: &Seen, pieces: Option<u32>) -> PeerView {
        let stats = &live.stats;
        let flags = stats.flags();
        PeerView {
            number,
            address: stats.address(),
            listens: stats.listens(),
            dialed: live.dialed,
            peer_id: live.peer_id,
            am_choking: flags.am_choking(),
            am_interested: flags.am_interested(),
            peer_choking: flags.peer_choking(),
            peer_interested: flags.peer_interested(),
            pieces: flags.pieces(),
            is_seed: pieces == Some(flags.pieces()),
            requests: flags.requests(),
            downloaded: stats.downloaded(),
            uploaded: stats.uploaded(),
        }
    }
}

/// A handle to look at a running download. Before it begins and after it ends there is nothing to
/// see.
///
/// The reference is weak, so that an observer does not keep a finished download's files and queue
/// alive.
#[derive(Default)]
pub struct Watch(OnceLock<Weak<Swarm>>);

impl Watch {
    /// Watches this swarm. A second one is ignored.
    pub(super) fn begin(&self, swarm: &Arc<Swarm>) {
        let _ = self.0.set(Arc::downgrade(swarm));
    }

    /// Returns the swarm, or `None` before it begins and after it ends.
    fn swarm(&self) -> Option<Arc<Swarm>> {
        self.0.get().and_then(Weak::upgrade)
    }

    /// Returns the connected peers, in the order in which their threads were started.
    pub fn peers(&self) -> Vec<PeerView> {
        let Some(swarm) = self.swarm() else { return Vec::new() };
        // Copied first and read afterwards, so that the lock is held for no longer than a walk over
        // the list.
        let see = |live: &Live| {
            let stats = Arc::clone(&live.stats);
            Seen { peer_id: live.peer_id, dialed: live.dialed, stats }
        };
        let live: Vec<_> = swarm.live().iter().map(|(number, live)| (*number, see(live))).collect();
        let all = swarm.torrent.get().map(|torrent| torrent.queue.info().piece_count());
        let mut peers: Vec<PeerView> =
            live.iter().map(|(number, seen)| PeerView::new(*number, seen, all)).collect();
        // A hash map has no order, and numbers only grow.
        peers.sort_by_key(|peer| peer.number);
        peers
    }

    /// Returns whether the torrent is known to be private (BEP 27). With a magnet link, only the
    /// info dictionary says so.
    pub fn is_private(&self) -> bool {
        let Some(swarm) = self.swarm() else { return false };
        swarm.torrent.get().is_some_and(|torrent| torrent.queue.info().private)
    }

    /// Returns the info dictionary, once a peer or the user has given it.
    pub fn info(&self) -> Option<Arc<Info>> {
        self.swarm()?.info.get().cloned()
    }

    /// Returns the torrent, once its pieces can be checked and stored.
    pub fn torrent(&self) -> Option<Arc<Torrent>> {
        self.swarm()?.torrent.get().cloned()
    }

    /// Returns the limit on what is sent, in bytes a second; `None` also before the swarm begins.
    pub fn upload_limit(&self) -> Option<u64> {
        let limit = self.swarm()?.host.upload_limit.bytes_in(Duration::from_secs(1));
        limit.map(|bytes| bytes as u64)
    }

    /// Returns where each piece is, once the info dictionary is known.
    pub fn places(&self) -> Option<Places> {
        Some(self.swarm()?.torrent.get()?.queue.places())
    }
}
