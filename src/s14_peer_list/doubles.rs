//! Whether two connections lead to the same peer, and which of them stays.
//!
//! A peer id is a claim. Everybody who has talked to a peer knows its id, and can use it.
//! So an id alone proves nothing: if it did, a stranger could keep us from a
//! good peer by being there first, under its name.

use std::net::IpAddr;
use std::time::Duration;

use crate::s03_tracker::PeerId;

/// How long two connections to one peer count as having crossed each other. An older
/// one stays: nobody can talk us out of a good connection by using its peer's name.
const CROSSING: Duration = Duration::from_secs(10);
/// The same once a block has gone over the older one. Peers that really dial each other at
/// the same time are quicker than that.
const PROVED_CROSSING: Duration = Duration::from_secs(5);
/// How long a connection that may lead to another peer than it claims keeps us from dialling that
/// peer: this many times the time after which a failed address is dialled again.
pub const UNPROVED: u32 = 4;

/// What two connections are compared by.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// What the peer calls itself.
    pub peer_id: PeerId,
    /// The peer's address.
    pub ip: IpAddr,
    /// Whether we have made the connection.
    pub dialled: bool,
    /// Whether a block has gone over it.
    pub proved: bool,
    /// The time since it was made.
    pub age: Duration,
}

impl Link {
    /// Whether a new connection leads to the peer of this one, and so ends.
    ///
    /// A peer that has dialled us may be a stranger behind the router of the peer it claims to be. So
    /// after a while, `unproved`, that peer's own address is dialled all the same. If another peer is
    /// there, it lets us in, and both stay. If it is the same, it has dialled us itself and knows that
    /// we are here: a connection that we have dialled always counts against one that comes in.
    pub fn is_doubled_by(&self, new: &Link, unproved: Duration) -> bool {
        let is_young = self.age <= unproved;
        let counts = match (self.dialled, new.dialled) {
            (true, false) => true,
            (false, true) => is_young,
            _ => is_young || self.proved,
        };
        self.claims_to_be(new) && counts
    }

    /// Whether two connections lead to one peer by what they show: peer id *and* IP agree.
    ///
    /// A peer with two addresses may be here twice, once by each. That costs a place; to
    /// believe it would cost the peer.
    pub fn claims_to_be(&self, other: &Link) -> bool {
        self.peer_id == other.peer_id && self.ip.to_canonical() == other.ip.to_canonical()
    }

    /// Whether the connection was so short that the peer at its other end may have hung up because
    /// it is here by another one.
    pub fn was_short(&self) -> bool {
        self.dialled && !self.proved && self.age <= CROSSING
    }

    /// Whether a new connection takes the place of this one, which leads to the same peer.
    ///
    /// When two peers dial each other at the same time, both ends must keep the same one of
    /// the two connections: the one that the smaller peer id has made.
    pub fn is_crossed_by(&self, new: &Link, us: PeerId) -> bool {
        let stays = new.dialled == (us < new.peer_id);
        let window = if self.proved { PROVED_CROSSING } else { CROSSING };
        stays && self.dialled != new.dialled && self.age <= window
    }
}
