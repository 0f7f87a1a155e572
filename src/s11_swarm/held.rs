//! The pieces that one session is fetching, the oldest first.

use std::time::Instant;

use super::lease::Lease;

/// A list of leases, which knows since when the peer owes us the first of them.
pub(super) struct Held {
    leases: Vec<Lease>,
    first_since: Instant,
}

impl Held {
    pub fn new(now: Instant) -> Held {
        Held { leases: Vec::new(), first_since: now }
    }

    /// Another one, to be asked for when the others have been.
    pub fn push(&mut self, lease: Lease, now: Instant) {
        if self.leases.is_empty() {
            self.first_since = now;
        }
        self.leases.push(lease);
    }

    /// The one that is being asked for.
    pub fn last(&self) -> Option<&Lease> {
        self.leases.last()
    }

    /// The same, to ask for its next block.
    pub fn last_mut(&mut self) -> Option<&mut Lease> {
        self.leases.last_mut()
    }

    /// The one for a piece.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut Lease> {
        self.leases.iter_mut().find(|lease| lease.piece().get() == index)
    }

    /// The oldest, and since when it is its turn.
    pub fn first(&self) -> Option<(&Lease, Instant)> {
        self.leases.first().map(|lease| (lease, self.first_since))
    }

    /// Gives back all but those to `keep`; tells whether that was any.
    pub fn retain(&mut self, keep: impl Fn(&Lease) -> bool, now: Instant) -> bool {
        let (before, first) = (self.leases.len(), self.leases.first().map(Lease::piece));
        self.leases.retain(keep);
        if self.leases.first().map(Lease::piece) != first {
            self.first_since = now;
        }
        self.leases.len() < before
    }

    /// A piece that another peer has taken over.
    pub fn taken_over(&self) -> Option<u32> {
        self.leases.iter().find(|lease| lease.is_taken_over()).map(|lease| lease.piece().get())
    }

    /// Gives back all.
    pub fn clear(&mut self) {
        self.leases.clear();
    }
}
