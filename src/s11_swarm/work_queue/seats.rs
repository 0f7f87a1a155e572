//! The peers that fetch one piece, and which of them may ask for more of it.
//!
//! In the end game several peers are asked for the same blocks, and all but one of the answers
//! are for nothing. So there are few seats. What is bounded is the number of copies, not
//! who may help: a seat passes from the slowest peer to one that is faster. The slow
//! one is not interrupted. What it was asked for may still come, and counts; it is only asked
//! for no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::PeerNumber;

/// How many peers may be asked for the same piece at the end.
const MOST_SEATS: usize = 3;
/// How much faster a peer must be than the one whose seat it takes. Among equals, no seat
/// goes to and fro.
const FASTER: u32 = 2;
/// How slow a holder must be, in time for a block, for a peer of unknown speed to
/// take its seat.
const SLOW: Duration = Duration::from_millis(250);
/// How long a peer that took a seat and brought nothing takes no other. One that still owes us
/// blocks by then has been hung up on.
pub(super) const TRIED: Duration = Duration::from_secs(20);

/// What a peer's thread and the queue share about its part in a piece.
pub(in crate::s11_swarm) struct Seat {
    since: Instant,
    blocks: AtomicU32,
    lost: AtomicBool,
    taken_over: AtomicBool,
    /// Whether the peer took it from another before its speed was known.
    on_trial: bool,
}

impl Seat {
    fn new(now: Instant, on_trial: bool) -> Arc<Seat> {
        Arc::new(Seat {
            since: now,
            blocks: AtomicU32::new(0),
            lost: AtomicBool::new(false),
            taken_over: AtomicBool::new(false),
            on_trial,
        })
    }

    /// The peer has brought blocks of the piece.
    pub fn brought(&self, blocks: usize) {
        self.blocks.fetch_add(blocks as u32, Ordering::Relaxed);
    }

    /// Whether the peer is not to be asked for more of the piece.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Whether the peer is to give the piece back, whatever is on its way.
    pub fn is_taken_over(&self) -> bool {
        self.taken_over.load(Ordering::Relaxed)
    }

    /// The time it takes for a block, with the one that is on its way.
    fn block_time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since) / (self.blocks.load(Ordering::Relaxed) + 1)
    }
}

/// One of the peers that fetch a piece.
pub(super) struct Holder {
    pub peer: PeerNumber,
    pub seat: Arc<Seat>,
}

/// The peers that fetch one piece.
#[derive(Default)]
pub(super) struct Holders(pub Vec<Holder>);

impl Holders {
    /// The peers.
    pub fn peers(&self) -> Vec<PeerNumber> {
        self.0.iter().map(|holder| holder.peer).collect()
    }

    /// Whether it is one of them.
    pub fn has(&self, peer: PeerNumber) -> bool {
        self.0.iter().any(|holder| holder.peer == peer)
    }

    /// Takes one out; returns whether none is left.
    pub fn leave(&mut self, peer: PeerNumber) -> bool {
        self.0.retain(|holder| holder.peer != peer);
        self.0.is_empty()
    }

    /// Gives a seat to one more; `on_trial` if it is another's and the peer's speed is not known.
    pub fn sit(&mut self, peer: PeerNumber, on_trial: bool, now: Instant) -> Arc<Seat> {
        let seat = Seat::new(now, on_trial);
        self.0.push(Holder { peer, seat: Arc::clone(&seat) });
        seat
    }

    /// How many seats are taken.
    pub fn taken(&self) -> usize {
        self.0.iter().filter(|holder| !holder.seat.is_lost()).count()
    }

    /// The seat that a peer with this time for a block (`None`: it is not known yet) could
    /// have: `Some(None)` is a free one.
    pub fn offer(&self, block_time: Option<Duration>, now: Instant) -> Option<Option<Arc<Seat>>> {
        if self.taken() < MOST_SEATS {
            return Some(None);
        }
        let seated = self.0.iter().map(|holder| &holder.seat).filter(|seat| !seat.is_lost());
        // One seat is for trying out. Otherwise strangers that bring nothing could pass the seats
        // of slow, honest peers round among themselves.
        let trial = seated.clone().any(|seat| seat.on_trial) && block_time.is_none();
        let seated = seated.filter(|seat| !trial || seat.on_trial);
        slowest(seated, block_time, now).map(|seat| Some(Arc::clone(seat)))
    }

    /// The seat of the only one that may fetch the piece, if a peer with this time for a block is
    /// faster.
    pub fn slow_owner(&self, block_time: Option<Duration>, now: Instant) -> Option<&Holder> {
        let seat = slowest(self.0.iter().map(|holder| &holder.seat), block_time, now)?;
        self.0.iter().find(|holder| Arc::ptr_eq(&holder.seat, seat))
    }
}

/// The slowest of these seats, if a peer with this time for a block is so much faster.
fn slowest<'s>(seats: impl Iterator<Item = &'s Arc<Seat>>, block_time: Option<Duration>, now: Instant) -> Option<&'s Arc<Seat>> {
    let (slowest, seat) = seats.map(|seat| (seat.block_time(now), seat)).max_by_key(|(time, _)| *time)?;
    let limit = block_time.map_or(SLOW, |time| time * FASTER);
    (slowest > limit).then_some(seat)
}

/// Takes a seat away.
pub(super) fn lose(seat: &Seat) {
    seat.lost.store(true, Ordering::Relaxed);
}

/// Takes a whole piece away.
pub(super) fn take_over(seat: &Seat) {
    lose(seat);
    seat.taken_over.store(true, Ordering::Relaxed);
}
