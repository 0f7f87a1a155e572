//! Whether two connections lead to the same peer, and which of them stays.
//!
//! A peer id is a claim. Everybody who has talked to a peer knows its id, and can use it. If an id
//! alone proved anything, a stranger could keep us from a good peer by being there first, under
//! that peer's id.

use std::net::IpAddr;
use std::time::Duration;

use crate::s03_tracker::PeerId;

/// How long two connections to one peer count as having crossed. After that the older one stays:
/// nobody can talk us out of a good connection by using its peer's id.
const CROSSING: Duration = Duration::from_secs(10);
/// The same, once a block has gone over the older one. Peers that really dial each other at the
/// same time are quicker than that.
const PROVED_CROSSING: Duration = Duration::from_secs(5);
/// How long a connection that claims to be a peer keeps us from dialing that peer's own address, in
/// first retry pauses (15 s): a minute.
pub const UNPROVED: u32 = 4;

/// What two connections are compared by.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// The id that the peer claims.
    pub peer_id: PeerId,
    /// The peer's address.
    pub ip: IpAddr,
    /// We dialed. Otherwise the peer did.
    pub dialed: bool,
    /// A block has gone over it.
    pub proved: bool,
    /// How long it has existed.
    pub age: Duration,
}

impl Link {
    /// Whether a new connection leads to the peer of this one, so that one of the two has to end.
    ///
    /// A peer that has dialed us may be a stranger behind the router of the peer that it claims to
    /// be. So after a while, `unproved`, we dial that peer's own address all the same. If another
    /// peer is there, it lets us in, and both stay. If it is the same peer, it dialed us itself and
    /// knows that we are connected, so it hangs up: it sees ours as incoming, and its own as
    /// dialed.
    pub fn is_doubled_by(&self, new: &Link, unproved: Duration) -> bool {
        let is_young = self.age <= unproved;
        let counts = match (self.dialed, new.dialed) {
            (true, false) => true,
            (false, true) => is_young,
            _ => is_young || self.proved,
        };
        self.claims_to_be(new) && counts
    }

    /// Whether two connections seem to lead to one peer: peer id *and* IP agree.
    ///
    /// A peer with two IPs may be connected twice, once by each. That costs us a place. To believe
    /// the id alone could cost us the peer.
    pub fn claims_to_be(&self, other: &Link) -> bool {
        self.peer_id == other.peer_id && self.ip.to_canonical() == other.ip.to_canonical()
    }

    /// Whether it was so brief that the peer may have hung up only because it is connected to us
    /// already.
    pub fn was_short(&self) -> bool {
        self.dialed && !self.proved && self.age <= CROSSING
    }

    /// Whether a new connection to the same peer replaces this one.
    ///
    /// When two peers dial each other at the same time, both must keep the same one of the two
    /// connections: the one that the smaller peer id has dialed.
    pub fn is_crossed_by(&self, new: &Link, us: PeerId) -> bool {
        let stays = new.dialed == (us < new.peer_id);
        let window = if self.proved { PROVED_CROSSING } else { CROSSING };
        stays && self.dialed != new.dialed && self.age <= window
    }
}
