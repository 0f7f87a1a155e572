//! Whether two connections lead to the same peer, and which of them stays.
//!
//! A peer id is a claim. Everybody who has talked to a peer knows its id, and can use it.
//! So an id alone proves nothing: if it did, a stranger could keep us from a
//! good peer by being there first, under its name.

use std::net::SocketAddr;
use std::time::Duration;

use super::Live;
use crate::s03_tracker::PeerId;

/// How long two connections to one peer count as having crossed each other. An older
/// one stays: nobody can talk us out of a good connection by using its peer's name.
const CROSSING: Duration = Duration::from_secs(10);
/// The same once a block has gone over the older one. Peers that really dial each other at
/// the same time are quicker than that.
const PROVED_CROSSING: Duration = Duration::from_secs(5);
/// How long a connection that may lead to another peer than it claims keeps us from dialling that
/// peer: this many times the time after which a failed address is dialled again.
pub(super) const UNPROVED: u32 = 4;

/// How many addresses of one peer are dialled again once it goes.
const MOST_DOUBLES: usize = 100;

/// Notes an address that is dialled again once this peer goes.
pub(super) fn add_double(here: &mut Live, address: SocketAddr) {
    if here.doubles.len() < MOST_DOUBLES && !here.doubles.contains(&address) {
        here.doubles.push(address);
    }
}

/// Whether a new connection leads to a peer that is here, and so ends.
///
/// A peer that has dialled us may be a stranger behind the router of the peer it claims to be. So
/// after a while that peer's own address is dialled all the same. If another peer is there, it
/// lets us in, and both stay. If it is the same, it has dialled us itself and knows that we are
/// here: a connection that we have dialled always counts against one that comes in.
pub(super) fn is_double(here: &Live, new: &Live, unproved: Duration) -> bool {
    let is_young = here.stats.start().elapsed() <= unproved;
    let counts = match (here.dialled, new.dialled) {
        (true, false) => true,
        (false, true) => is_young,
        _ => is_young || is_proved(here),
    };
    claims_to_be(here, new) && counts
}

/// Whether two connections lead to one peer by what they show: peer id *and* IP agree.
///
/// A peer with two addresses may be here twice, once by each. That costs a place; to
/// believe it would cost the peer.
pub(super) fn claims_to_be(one: &Live, other: &Live) -> bool {
    let ip = |live: &Live| live.stats.address().ip().to_canonical();
    one.peer_id == other.peer_id && ip(one) == ip(other)
}

/// Whether a connection has brought or taken a block.
pub(super) fn is_proved(live: &Live) -> bool {
    live.stats.last_useful().is_some()
}

/// Whether a connection was so short that the peer at its other end may have hung up because it
/// is here by another one.
pub(super) fn was_short(gone: &Live) -> bool {
    gone.dialled && !is_proved(gone) && gone.stats.start().elapsed() <= CROSSING
}

/// Whether the new one of two connections to a peer takes the place of the other.
///
/// When two peers dial each other at the same time, both ends must keep the same one of
/// the two connections: the one that the smaller peer id has made.
pub(super) fn crosses(here: &Live, new: &Live, us: PeerId) -> bool {
    let stays = new.dialled == (us < new.peer_id);
    let window = if is_proved(here) { PROVED_CROSSING } else { CROSSING };
    stays && here.dialled != new.dialled && here.stats.start().elapsed() <= window
}
