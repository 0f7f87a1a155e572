//! What a swarm looks like at one moment, for whoever watches it.
//!
//! Being watched costs nothing while nobody looks. Each peer's own threads keep its
//! [`PeerStats`] current; the pieces are where the queue has them anyway. An observer
//! collects both, one lock after the other. So what it sees of the peers and of the pieces
//! may be a moment apart; the pieces among themselves are of one moment, and each is in exactly
//! one place.
//!
//! Whoever looks may miss what comes and goes in between. What nobody may miss is told by an
//! [`Event`](super::Event).

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};

use super::Swarm;
use crate::s03_tracker::PeerId;
use crate::s11_work_queue::{PeerNumber, Places};
use crate::s12_session::stats::PeerStats;

/// A connected peer at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// What [`Places::on_loan`] calls it.
    pub number: PeerNumber,
    /// Where it is, or listens if we know that.
    pub address: SocketAddr,
    /// What it calls itself.
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
    /// The number of our requests that it has not answered.
    pub requests: u32,
    /// Bytes of blocks from it.
    pub downloaded: u64,
    /// Bytes of blocks to it.
    pub uploaded: u64,
}

impl PeerView {
    fn new(number: PeerNumber, peer_id: PeerId, stats: &PeerStats) -> PeerView {
        let flags = stats.flags();
        PeerView {
            number,
            address: stats.address(),
            peer_id,
            am_choking: flags.am_choking(),
            am_interested: flags.am_interested(),
            peer_choking: flags.peer_choking(),
            peer_interested: flags.peer_interested(),
            pieces: flags.pieces(),
            requests: flags.requests(),
            downloaded: stats.downloaded(),
            uploaded: stats.uploaded(),
        }
    }
}

/// Looks at a running download. Shows nothing before it begins and after it is over.
#[derive(Default)]
pub struct Watch(OnceLock<Weak<Swarm>>);

impl Watch {
    /// This is what it looks at. A second download is not watched.
    pub(super) fn begin(&self, swarm: &Arc<Swarm>) {
        let _ = self.0.set(Arc::downgrade(swarm));
    }

    fn swarm(&self) -> Option<Arc<Swarm>> {
        self.0.get().and_then(Weak::upgrade)
    }

    /// The connected peers, in the order in which they were met.
    pub fn peers(&self) -> Vec<PeerView> {
        let Some(swarm) = self.swarm() else { return Vec::new() };
        let live: Vec<_> = swarm.live().iter().map(|(number, live)| (*number, live.peer_id, Arc::clone(&live.stats))).collect();
        let mut peers: Vec<PeerView> =
            live.iter().map(|(number, peer_id, stats)| PeerView::new(*number, *peer_id, stats)).collect();
        peers.sort_by_key(|peer| peer.number);
        peers
    }

    /// Where each piece is, once the info dictionary is known.
    pub fn places(&self) -> Option<Places> {
        Some(self.swarm()?.torrent.get()?.queue.places())
    }
}
