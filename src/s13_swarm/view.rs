//! What a swarm looks like at one moment, for whoever watches it.
//!
//! Being watched costs nothing while nobody looks. Each peer's own threads keep its
//! [`Terms`] current, a plain store when something changes; the pieces are where the
//! queue has them anyway. Who looks collects both, one lock after the other. So what
//! it sees of the peers and of the pieces may be a moment apart; the pieces among
//! themselves are of one moment, and each is in exactly one place.
//!
//! Whoever looks may miss what comes and goes in between. What nobody may miss is told by an
//! [`Event`](super::Event).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::Swarm;
use super::traffic::Traffic;
use crate::s03_tracker::PeerId;
use crate::s11_work_queue::{PeerNumber, Places};

/// How it stands between us and one peer. A connection starts choked and without
/// interest on both sides (BEP 3).
#[derive(Debug)]
pub struct Terms {
    chokes_us: AtomicBool,
    choked: AtomicBool,
    wanted: AtomicBool,
    wants: AtomicBool,
    storing: AtomicBool,
    pieces: AtomicU32,
    asked: AtomicU32,
}

/// What can come from a peer at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// It has nothing of what is missing, or refuses it.
    Nothing,
    /// It has something, and chokes us.
    Choked,
    /// It has something, and can be asked for it.
    Free,
    /// It was asked, and has not answered yet.
    Asked,
    /// A block from it is being written to disk.
    Storing,
}

impl Default for Terms {
    fn default() -> Terms {
        let (wanted, wants, storing, pieces, asked) = Default::default();
        Terms { chokes_us: AtomicBool::new(true), choked: AtomicBool::new(true), wanted, wants, storing, pieces, asked }
    }
}

impl Terms {
    /// What can come from it at this moment.
    pub(super) fn supply(&self) -> Supply {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        if is(&self.storing) {
            Supply::Storing
        } else if !is(&self.wanted) {
            Supply::Nothing
        } else if self.asked.load(Ordering::Relaxed) > 0 {
            // Before the choke: with the fast extension some pieces come in spite of it.
            Supply::Asked
        } else if is(&self.chokes_us) {
            Supply::Choked
        } else {
            Supply::Free
        }
    }

    /// Whether it is interested in what we have.
    pub(super) fn is_wanting(&self) -> bool {
        self.wants.load(Ordering::Relaxed)
    }

    /// Whether one of us wants something that the other has.
    pub(super) fn is_of_interest(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) || self.wants.load(Ordering::Relaxed)
    }

    /// It chokes us, or does so no longer.
    pub(super) fn chokes_us(&self, yes: bool) {
        self.chokes_us.store(yes, Ordering::Relaxed);
    }

    /// We choke it, or do so no longer. For who decides on uploads.
    pub fn choked(&self, yes: bool) {
        self.choked.store(yes, Ordering::Relaxed);
    }

    /// We are interested in what it has.
    pub(super) fn wanted(&self, yes: bool) {
        self.wanted.store(yes, Ordering::Relaxed);
    }

    /// It is interested in what we have.
    pub(super) fn wants(&self, yes: bool) {
        self.wants.store(yes, Ordering::Relaxed);
    }

    /// So many pieces it has.
    pub(super) fn has(&self, pieces: u32) {
        self.pieces.store(pieces, Ordering::Relaxed);
    }

    /// A block from it is being written, or is not any more.
    pub(super) fn storing(&self, yes: bool) {
        self.storing.store(yes, Ordering::Relaxed);
    }

    /// So many of our requests are on their way.
    pub(super) fn asked(&self, requests: usize) {
        self.asked.store(requests as u32, Ordering::Relaxed);
    }
}

impl Supply {
    /// Why nothing comes from the peer, if that is its doing.
    pub(super) fn complaint(self) -> Option<&'static str> {
        match self {
            Supply::Nothing => Some("it has nothing of what is missing, or refuses it"),
            Supply::Choked => Some("it chokes us"),
            Supply::Asked => Some("it does not send what it was asked for"),
            Supply::Free | Supply::Storing => None,
        }
    }
}

/// A connected peer at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// What [`Places::on_loan`] calls it.
    pub number: PeerNumber,
    /// Where it is, or listens, if we know that.
    pub address: SocketAddr,
    /// What it calls itself.
    pub peer_id: PeerId,
    /// Whether it chokes us, and we choke it.
    pub chokes_us: bool,
    /// As above.
    pub choked: bool,
    /// Whether we are interested in it, and it is in us.
    pub wanted: bool,
    /// As above.
    pub wants: bool,
    /// How many pieces it has.
    pub pieces: u32,
    /// How many requests of ours are on their way.
    pub asked: u32,
    /// Bytes of blocks from it, and to it.
    pub downloaded: u64,
    /// As above.
    pub uploaded: u64,
}

impl PeerView {
    fn new(number: PeerNumber, peer_id: PeerId, traffic: &Traffic) -> PeerView {
        let terms = traffic.terms();
        let (is, count) = (|flag: &AtomicBool| flag.load(Ordering::Relaxed), |count: &AtomicU32| count.load(Ordering::Relaxed));
        PeerView {
            number,
            address: traffic.address(),
            peer_id,
            chokes_us: is(&terms.chokes_us),
            choked: is(&terms.choked),
            wanted: is(&terms.wanted),
            wants: is(&terms.wants),
            pieces: count(&terms.pieces),
            asked: count(&terms.asked),
            downloaded: traffic.downloaded(),
            uploaded: traffic.uploaded(),
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
        let live: Vec<_> = swarm.live().iter().map(|(number, live)| (*number, live.peer_id, Arc::clone(&live.traffic))).collect();
        let mut peers: Vec<PeerView> =
            live.iter().map(|(number, peer_id, traffic)| PeerView::new(*number, *peer_id, traffic)).collect();
        peers.sort_by_key(|peer| peer.number);
        peers
    }

    /// Where each piece is, once the info dictionary is known.
    pub fn places(&self) -> Option<Places> {
        Some(self.swarm()?.torrent.get()?.queue.places())
    }
}
