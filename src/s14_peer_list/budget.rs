//! How many connections there may be, by what they are for.
//!
//! A peer that dials us shakes hands, waits in the lobby, and then has a place. Each of the three
//! has a limit, and all together stay below the number of descriptors that the process may have.
//! Otherwise a stranger could keep us from opening our own files, just by connecting often enough.

/// What is kept for everything else: open files, trackers, listeners, the terminal.
const KEPT: usize = 112;
/// How many peers that dial us may shake hands at the same time.
const HANDSHAKES: usize = 128;
/// How many connections may wait for a place. A whole swarm may come at once.
const LOBBY: usize = 512;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Peers that are connected or being dialed.
    pub places: usize,
    /// Connections that peers have made, and that wait for a place.
    pub lobby: usize,
    /// Peers that have dialed us and have not finished their handshake.
    pub handshakes: usize,
}

impl Budget {
    /// Returns how many descriptors this many peers need, with the lobby and all else.
    pub fn wanted(max_peers: usize) -> usize {
        max_peers + LOBBY + HANDSHAKES + KEPT
    }

    /// Shares out the descriptors that the process is allowed. Places come first: the others only
    /// lead to one. If very few are allowed, half of them are kept for files.
    pub fn of(allowed: usize, max_peers: usize) -> Budget {
        let free = allowed - KEPT.min(allowed / 2);
        let places = max_peers.min(free * 3 / 5).max(1);
        let handshakes = HANDSHAKES.min((free - places.min(free)) / 2).max(1);
        let lobby = LOBBY.min(free.saturating_sub(places + handshakes)).max(1);
        Budget { places, lobby, handshakes }
    }
}
