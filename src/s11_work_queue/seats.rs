//! The peers that fetch one piece, and which of them may be asked for more of it.
//!
//! **Skip at first reading.** This matters in the last seconds of a download, when several peers
//! are asked for the same blocks and all answers but one are wasted. So there are few seats. The
//! limit is on copies, not on helpers: a seat passes from the slowest peer to a faster one. The
//! slow peer is not interrupted. A block that it was asked for may still come, and counts; the
//! peer is only asked for no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::PeerNumber;

/// The number of peers that may be asked for the same piece in the end game.
const MAX_SEATS: usize = 3;
/// The factor by which a peer must be faster than the one whose seat it takes. Among equals, seats
/// would go back and forth.
const MIN_SPEEDUP: u32 = 2;
/// A holder that takes longer than this for a block is slow enough for a peer of unknown speed to
/// take its seat.
const SLOW: Duration = Duration::from_millis(250);
/// The time for which a peer that took a seat and brought nothing cannot take another. If it still
/// owes us blocks after this, we have hung up on it.
pub(super) const TRIAL: Duration = Duration::from_secs(20);

/// What a peer's thread and the queue share about its part in a piece.
///
/// The thread asks before every request whether the seat is still its own, and the queue looks at
/// all seats of a piece. With atomics, neither waits for the other. `Relaxed` is enough: a thread
/// that sees a change one request late does no harm.
pub struct Seat {
    /// When the peer got the seat: its speed is measured from then on.
    since: Instant,
    /// The number of blocks that it has brought since.
    blocks: AtomicU32,
    /// Set by the queue when a faster peer takes the seat. Never cleared.
    lost: AtomicBool,
    /// Set by the queue when the whole piece is taken from a peer that works alone. Never cleared.
    taken_over: AtomicBool,
    /// Whether the peer took the seat from another before its own speed was known.
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

    /// Counts blocks of the piece that the peer has brought.
    pub fn count(&self, blocks: usize) {
        self.blocks.fetch_add(blocks as u32, Ordering::Relaxed);
    }

    /// Whether the peer is to be asked for no more of the piece.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Whether the peer is to give the piece back, whatever is outstanding.
    pub fn is_taken_over(&self) -> bool {
        self.taken_over.load(Ordering::Relaxed)
    }

    /// Takes the seat away.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Takes the whole piece away.
    pub(super) fn take_over(&self) {
        self.lose();
        self.taken_over.store(true, Ordering::Relaxed);
    }

    /// The average time that the peer takes for a block, including the one that is on its way. So a
    /// peer that brings nothing gets slower by the second, and there is no division by zero.
    fn block_time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since) / (self.blocks.load(Ordering::Relaxed) + 1)
    }
}

/// A seat that a peer can have.
pub(super) enum Offer {
    /// A free seat.
    Free,
    /// The seat of a slower peer.
    Of(Arc<Seat>),
}

impl Offer {
    /// Whether another peer has the seat.
    pub fn is_taken(&self) -> bool {
        matches!(self, Offer::Of(_))
    }
}

/// The peers that fetch one piece, each with its seat. Also those whose seat is lost: what they
/// were asked for may still come, so the loan is theirs until their lease is dropped.
#[derive(Default)]
pub(super) struct Holders(Vec<(PeerNumber, Arc<Seat>)>);

impl Holders {
    /// The peers.
    pub fn peers(&self) -> Vec<PeerNumber> {
        self.0.iter().map(|(peer, _)| *peer).collect()
    }

    /// Whether a peer is one of them.
    pub fn has(&self, peer: PeerNumber) -> bool {
        self.0.iter().any(|(holder, _)| *holder == peer)
    }

    /// Whether a seat is one of theirs.
    pub fn includes(&self, seat: &Arc<Seat>) -> bool {
        self.0.iter().any(|(_, theirs)| Arc::ptr_eq(theirs, seat))
    }

    /// Removes the peer in a seat; returns whether no peer is left.
    pub fn leave(&mut self, seat: &Arc<Seat>) -> bool {
        self.0.retain(|(_, theirs)| !Arc::ptr_eq(theirs, seat));
        self.0.is_empty()
    }

    /// Adds a peer and gives it a seat; `on_trial` if the seat was another peer's and the new
    /// peer's speed is not known.
    pub fn sit(&mut self, peer: PeerNumber, on_trial: bool, now: Instant) -> Arc<Seat> {
        let seat = Seat::new(now, on_trial);
        self.0.reserve_exact(1); // there is a second one only in the end game
        self.0.push((peer, Arc::clone(&seat)));
        seat
    }

    /// The number of seats that are taken.
    pub fn taken(&self) -> usize {
        self.seated().count()
    }

    /// The seats that are not lost: [`MAX_SEATS`] at most.
    fn seated(&self) -> impl Iterator<Item = &Arc<Seat>> {
        self.0.iter().map(|(_, seat)| seat).filter(|seat| !seat.is_lost())
    }

    /// Returns the seat that a peer with this time for a block can have, if there is one. A
    /// `block_time` of `None` means that it is not known yet.
    pub fn offer(&self, block_time: Option<Duration>, now: Instant) -> Option<Offer> {
        if self.taken() < MAX_SEATS {
            return Some(Offer::Free);
        }
        // Only one seat at a time is on trial. Otherwise strangers that bring nothing could pass
        // the seats of slow, honest peers around among themselves.
        let trial = block_time.is_none() && self.seated().any(|seat| seat.on_trial);
        let seats = self.seated().filter(|seat| !trial || seat.on_trial);
        slowest(seats, block_time, now).map(|seat| Offer::Of(Arc::clone(seat)))
    }

    /// Returns the only peer that may fetch the piece, and its seat, if a peer with this time for a
    /// block may take it.
    pub fn slow_owner(
        &self,
        block_time: Option<Duration>,
        now: Instant,
    ) -> Option<(PeerNumber, Arc<Seat>)> {
        let seat = slowest(self.0.iter().map(|(_, seat)| seat), block_time, now)?;
        self.0.iter().find(|(_, theirs)| Arc::ptr_eq(theirs, seat)).cloned()
    }
}

/// Returns the slowest of these seats, if a peer with this time for a block is [`MIN_SPEEDUP`]
/// times faster.
fn slowest<'s>(
    seats: impl Iterator<Item = &'s Arc<Seat>>,
    block_time: Option<Duration>,
    now: Instant,
) -> Option<&'s Arc<Seat>> {
    let (slowest, seat) =
        seats.map(|seat| (seat.block_time(now), seat)).max_by_key(|(time, _)| *time)?;
    let limit = block_time.map_or(SLOW, |time| time * MIN_SPEEDUP);
    (slowest > limit).then_some(seat)
}
