//! A hand: it brings pieces, and is no peer.
//!
//! A web server may have the content, and knows nothing of BitTorrent. Dressed up as a peer, with a
//! session that turns each request into one of HTTP, it would be asked for a block here and a piece
//! there, where it could have sent half the torrent in one stream. So a source may take pieces
//! itself. What a session has of the swarm, it has from its hand:
//!
//! | a session (stage 12) | a hand |
//! |---|---|
//! | claims what its peer has | claims anything: it has all pieces |
//! | `stats` count its blocks | [`Hand::write`] counts them |
//! | waits for our rate limit before a request | [`Hand::write`] waits for it |
//! | sleeps in its socket, and asks again | [`Hand::wait`] |
//! | is hung up on: it lied, or all is over | it gets nothing more, and [`Hand::is_over`] |
//!
//! The steps of a source that has one:
//!
//! ```text
//!   hand --> wait --> claim --> fetch and write, block by block --> drop the lease --+
//!             | ^       | nothing now                                                |
//!             | +-------+------------------------------------------------------------+
//!             +--> over: drop the hand
//! ```
//! While it exists, a hand counts as a connected peer, so the download does not give up for want of
//! one. It must be dropped when its source cannot bring anything, unless that is only for a moment.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::s02_metainfo::PieceIndex;
use crate::s05_messages::bitfield::PeerPieces;
use crate::s10_storage::StorageError;
use crate::s11_work_queue::PeerNumber;
use crate::s11_work_queue::claimant::{Claim, Claimant};
use crate::s11_work_queue::lease::{Lease, Written};
use crate::s12_session::host::{Host, Report, Torrent};
use crate::s12_session::stats::Supply;

/// Longest wait for a piece. That one comes back is news; but a seat in the end game, or a piece
/// that was left to others, becomes free by time alone.
const TICK: Duration = Duration::from_millis(250);

/// What hands need from the program around the sources, and where their reports go.
#[derive(Clone)]
pub struct Hands {
    /// The torrent, once it is known. Setting it is followed by a call of
    /// [`Signals::learned`](super::signals::Signals::learned).
    pub torrent: Arc<OnceLock<Arc<Torrent>>>,
    /// What hands share with the sessions: limits, counters and reports. Stopping it is followed by
    /// a call of [`WorkQueue::wake`](crate::s11_work_queue::WorkQueue::wake).
    pub host: Arc<Host>,
    /// The number of the next hand or peer.
    pub numbers: Arc<AtomicU32>,
    /// Takes a report, on any thread. It must not block.
    pub report: Arc<dyn Fn(HandReport) + Send + Sync>,
}

/// What becomes of a hand. What becomes of its pieces is in the reports of the [`Host`].
pub enum HandReport {
    /// A hand has begun. Comes before any other report that names it.
    Began(PeerNumber, Arc<HandStats>),
    /// Our store has failed under a block that a hand has brought: the download ends.
    Failed(StorageError),
    /// The hand was dropped, even by a panic. Its leases may live on.
    Ended(PeerNumber),
}

impl Hands {
    /// Makes a hand with this name. `None` if nothing is wanted any more.
    pub(super) fn begin(&self, name: String, torrent: Arc<Torrent>) -> Option<Hand> {
        if torrent.is_upload_only() || self.host.is_stopping() {
            return None;
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let stats = Arc::new(HandStats::new(name));
        // First: from here on, the queue may name the number to other threads.
        (self.report)(HandReport::Began(number, Arc::clone(&stats)));
        let mut claimant = Claimant::join(&torrent.queue, number);
        claimant.set_pieces(PeerPieces::All);
        let seen = torrent.queue.generation();
        let (hands, claimed, failed) = (self.clone(), true, false);
        Some(Hand { hands, torrent, number, claimant, stats, seen, claimed, failed })
    }
}

/// A hand as other threads see it. Each value is an atomic, so nobody waits for its source.
#[derive(Debug)]
pub struct HandStats {
    name: String,
    /// Bytes of blocks that it has brought.
    brought: AtomicU64,
    /// Set while a block is being written to disk.
    storing: AtomicBool,
    /// Set while it waits for a piece, or for our own rate limit.
    waiting: AtomicBool,
    /// The piece that shows that its blocks were wrong. Set once.
    fault: OnceLock<PieceIndex>,
}

impl HandStats {
    fn new(name: String) -> HandStats {
        HandStats {
            name,
            brought: AtomicU64::new(0),
            storing: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            fault: OnceLock::new(),
        }
    }

    /// The name that its source gave it: a URL, for example.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of blocks that it has brought.
    pub fn brought(&self) -> u64 {
        self.brought.load(Ordering::Relaxed)
    }

    /// The piece that shows that it brought wrong blocks.
    pub fn fault(&self) -> Option<PieceIndex> {
        self.fault.get().copied()
    }

    /// Notes that it brought wrong blocks of this piece. It gets nothing more. Afterwards, its
    /// thread may have to be woken.
    pub fn convict(&self, piece: PieceIndex) {
        let _ = self.fault.set(piece); // the first proof is enough
    }

    /// What can be had from it at this moment. It chokes nobody: if it does not wait for us, we
    /// wait for it.
    pub fn supply(&self) -> Supply {
        if self.fault().is_some() {
            Supply::Nothing
        } else if self.storing.load(Ordering::Relaxed) {
            Supply::Storing
        } else if self.waiting.load(Ordering::Relaxed) {
            Supply::Free
        } else {
            Supply::Asked
        }
    }
}

/// Takes pieces and brings their blocks, without being a peer's session. One thread uses it; a
/// source that fetches over two connections has two.
pub struct Hand {
    hands: Hands,
    torrent: Arc<Torrent>,
    number: PeerNumber,
    claimant: Claimant,
    stats: Arc<HandStats>,
    /// The queue's generation when we last looked for a piece.
    seen: u64,
    /// A piece was claimed since the last [`Hand::wait`], or there was none yet.
    claimed: bool,
    /// Our store has failed.
    failed: bool,
}

impl Hand {
    /// The torrent. Its queue knows [which pieces wait], so a source can look for a long run of
    /// them.
    ///
    /// [which pieces wait]: crate::s11_work_queue::WorkQueue::waiting_pieces
    pub fn torrent(&self) -> &Arc<Torrent> {
        &self.torrent
    }

    /// The number by which the queue knows it.
    pub fn number(&self) -> PeerNumber {
        self.number
    }

    /// The piece that shows that it brought wrong blocks. Of several that brought blocks of a wrong
    /// piece, the guilty are known only once the piece is right: this may be long after the block.
    pub fn fault(&self) -> Option<PieceIndex> {
        self.stats.fault()
    }

    /// Whether it gets nothing more: the swarm is over, no piece is missing, or it has brought
    /// wrong blocks. Takes no lock.
    pub fn is_over(&self) -> bool {
        self.failed
            || self.hands.host.is_stopping()
            || self.torrent.is_upload_only()
            || self.fault().is_some()
    }

    /// Claims exactly this piece, if it waits. `None` also for a hand under suspicion, which does
    /// not choose: so [`Hand::claim`] is next, and then [`Hand::wait`].
    pub fn claim_piece(&mut self, index: u32) -> Option<Lease> {
        let lease = if self.look() { self.claimant.claim_piece(index) } else { None };
        self.claimed |= lease.is_some();
        lease
    }

    /// Claims any piece: one that was begun, else the rarest, else one that others are fetching:
    /// the end game. Of the first and the last kind, some blocks may be there already; to write
    /// them again does no harm. `None` if there is nothing now.
    ///
    /// A lease of either kind must be dropped once it [is taken over](Lease::is_taken_over).
    pub fn claim(&mut self) -> Option<Lease> {
        let claim = if self.look() { self.claimant.claim(true) } else { Claim::Over };
        match claim {
            Claim::Lease(lease) => {
                self.claimed = true;
                Some(lease)
            }
            Claim::Later | Claim::Over => None,
        }
    }

    /// Notes how things are, before a search for a piece; returns whether a search makes sense.
    fn look(&mut self) -> bool {
        // Before the search: a piece that comes back during it must end the next wait.
        self.seen = self.torrent.queue.generation();
        // Finished pieces count as wanted until they are heard of. A thousand come at a time.
        while !self.claimant.news().is_empty() {}
        !self.is_over()
    }

    /// Writes blocks of a piece, as [`Lease::write`] does, and counts and reports what follows.
    /// First it waits until our limit on the download rate has room for them. A source that reads
    /// no further meanwhile slows its server down.
    ///
    /// `None` if the hand gets nothing more. After [`Written::Corrupt`] with no number but its own,
    /// it is to blame, and gets nothing more either.
    pub fn write(&mut self, lease: &mut Lease, begin: u32, blocks: &[&[u8]]) -> Option<Written> {
        self.wait_for_limit();
        if self.is_over() {
            return None;
        }
        let bytes: usize = blocks.iter().map(|block| block.len()).sum();
        let host = &self.hands.host;
        host.download_limit.spend(bytes, Instant::now());
        host.counters.downloaded.fetch_add(bytes as u64, Ordering::Relaxed);
        self.stats.brought.fetch_add(bytes as u64, Ordering::Relaxed);
        self.stats.storing.store(true, Ordering::Relaxed);
        let written = lease.write(begin, blocks, &*self.torrent.store);
        self.stats.storing.store(false, Ordering::Relaxed);
        match written {
            Ok(written) => {
                self.report(lease.piece(), &written);
                Some(written)
            }
            Err(error) => {
                // The fault is ours, so it is no matter for the source, which only ends.
                self.failed = true;
                (self.hands.report)(HandReport::Failed(error));
                None
            }
        }
    }

    /// Reports what blocks did to their piece, if they completed it.
    fn report(&self, piece: PieceIndex, written: &Written) {
        match written {
            Written::More | Written::Stale => {}
            Written::Verified => self.hands.host.count_piece(&self.torrent),
            Written::Corrupt(by) => {
                // With several contributors, each may be honest. The board makes them suspects, and
                // the piece, once right, convicts.
                if *by == [self.number] {
                    self.stats.convict(piece);
                }
                (self.hands.host.report)(Report::Corrupt(piece, by.clone()));
            }
        }
    }

    /// Waits until there may be a piece to claim, for a quarter of a second at most. Returns
    /// whether there is anything left to do. A loop of claims begins each turn with this: it does
    /// not wait if a piece was claimed in the last turn, and so there may be more.
    pub fn wait(&mut self) -> bool {
        if !std::mem::take(&mut self.claimed) {
            self.seen = self.sleep(self.seen, Instant::now() + TICK);
        }
        !self.is_over()
    }

    /// Waits until our own limit on the download rate lets more come.
    fn wait_for_limit(&self) {
        let mut seen = self.seen;
        while let Some(until) = self.hands.host.download_limit.wait_until(Instant::now())
            && !self.is_over()
        {
            seen = self.sleep(seen, until);
        }
    }

    /// Sleeps until this time, a new generation, or the end.
    fn sleep(&self, seen: u64, until: Instant) -> u64 {
        self.stats.waiting.store(true, Ordering::Relaxed);
        let generation = self.torrent.queue.wait(seen, until, &|| self.is_over());
        self.stats.waiting.store(false, Ordering::Relaxed);
        generation
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        (self.hands.report)(HandReport::Ended(self.number));
    }
}
