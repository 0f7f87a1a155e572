//! How many connections there may be, by what they are for.
//!
//! A connection shakes hands, waits in the lobby, and has a place. Each of the three has a
//! limit, and all together stay below the number of descriptors that the process may have:
//! otherwise a stranger who connects often enough would keep us from opening the files.

/// What is kept for everything else: open files, trackers, listeners, the terminal.
const KEPT: usize = 112;
/// How many handshakes of peers that come by themselves may go on at the same time.
const HANDSHAKES: usize = 128;
/// How many connections may wait for a place: a whole swarm may come at once.
const LOBBY: usize = 512;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Peers that are connected, or dialled.
    pub places: usize,
    /// Connections that others have made and that wait for a place.
    pub lobby: usize,
    /// Peers that have come by themselves and have not finished their handshake.
    pub handshakes: usize,
}

impl Budget {
    /// How many descriptors this many peers take, with all that goes with them.
    pub fn wanted(max_peers: usize) -> usize {
        max_peers + LOBBY + HANDSHAKES + KEPT
    }

    /// Shares out what the process is allowed. Places come first: the others only lead to one.
    /// Of a very low limit, half is kept.
    pub fn of(allowed: usize, max_peers: usize) -> Budget {
        let free = allowed - KEPT.min(allowed / 2);
        let places = max_peers.min(free * 3 / 5).max(1);
        let handshakes = HANDSHAKES.min((free - places.min(free)) / 2).max(1);
        let lobby = LOBBY.min(free.saturating_sub(places + handshakes)).max(1);
        Budget { places, lobby, handshakes }
    }
}
