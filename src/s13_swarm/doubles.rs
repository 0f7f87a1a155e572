//! Whether two connections lead to the same peer, and which of them stays.
//!
//! A peer id is a claim. Everybody who has talked to a peer knows its id, and can use it.
//! So an id alone proves nothing: if it did, a stranger could keep us from a
//! good peer by being there first, under its name.

use std::time::Duration;

use super::Live;
use crate::s03_tracker::PeerId;

/// How long two connections to one peer count as having crossed each other. An older
/// one stays: nobody can talk us out of a good connection by using its peer's name.
const CROSSING: Duration = Duration::from_secs(10);
/// How long a connection over which no block has gone, in either direction, may stand in
/// the way of another to the same peer.
const UNPROVED: Duration = Duration::from_secs(60);

/// Whether a new connection leads to a peer that is here: peer id *and* IP agree.
///
/// A peer with two addresses may be here twice, once by each. That costs a place; to
/// believe it would cost the peer. And somebody behind the peer's own router, with its
/// id and its IP, cannot stand in its way for long without giving or taking anything.
pub(super) fn is_same_peer(here: &Live, new: &Live) -> bool {
    let ip = |live: &Live| live.stats.address().ip().to_canonical();
    let counts = is_proved(here) || here.stats.start().elapsed() <= UNPROVED;
    here.peer_id == new.peer_id && ip(here) == ip(new) && counts
}

/// Whether a connection has brought or taken a block.
pub(super) fn is_proved(live: &Live) -> bool {
    live.stats.last_useful().is_some()
}

/// Whether the new one of two connections to a peer takes the place of the other.
///
/// When two peers dial each other at the same time, both ends must keep the same one of
/// the two connections: the one that the smaller peer id has made.
pub(super) fn crosses(here: &Live, new: &Live, us: PeerId) -> bool {
    let stays = new.dialled == (us < new.peer_id);
    stays && here.dialled != new.dialled && here.stats.start().elapsed() <= CROSSING
}
