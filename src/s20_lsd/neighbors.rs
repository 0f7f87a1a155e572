//! Whom we have heard on this network, and how many of them are dialed.
//!
//! A datagram costs its sender nothing, and may come from anywhere in the room. Without a limit,
//! one computer could make all others dial as many addresses as it can forge senders. The time is
//! an argument, so that a test can let hours pass.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The most addresses that are taken in an hour. A room seldom has more, and a download by default
/// has no more places.
pub const MAX_PER_HOUR: usize = 50;
/// How long an address counts.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Shortest pause after which the same run of a client is taken again. Clients repeat their first
/// datagram after 2 s and 6 s, and by then the first dial may have failed.
const REPEAT: Duration = Duration::from_secs(5);

/// The addresses of the last hour.
#[derive(Debug, Default)]
pub struct Neighbors(Vec<Neighbor>);

#[derive(Debug)]
struct Neighbor {
    address: SocketAddr,
    /// A client makes a new cookie at each start, so another cookie is another run of it.
    cookie: Option<Vec<u8>>,
    /// When it was first taken. Its hour begins then, however often it is repeated.
    since: Instant,
    /// When it was last taken.
    last: Instant,
}

/// What is to be done about a neighbor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Dial it. Not if this run of it was heard a moment ago, or if the hour has had its fifty.
    pub dial: bool,
    /// Answer it, since it has not heard of us yet. If known ones were answered as well, two
    /// clients would answer each other without end.
    pub answer: bool,
}

impl Neighbors {
    /// Notes an address and the cookie of its datagram, and returns what is to be done about it.
    pub fn hear(&mut self, address: SocketAddr, cookie: Option<&[u8]>, now: Instant) -> Heard {
        self.0.retain(|neighbor| now.saturating_duration_since(neighbor.since) < HOUR);
        let cookie = cookie.map(<[u8]>::to_vec);
        let Some(known) = self.0.iter_mut().find(|neighbor| neighbor.address == address) else {
            let has_room = self.0.len() < MAX_PER_HOUR;
            if has_room {
                self.0.push(Neighbor { address, cookie, since: now, last: now });
            }
            return Heard { dial: has_room, answer: has_room };
        };
        // Another cookie is another run: nobody has dialed that one.
        let is_new = known.cookie != cookie;
        let dial = is_new || now.saturating_duration_since(known.last) >= REPEAT;
        if dial {
            known.last = now;
        }
        known.cookie = cookie;
        Heard { dial, answer: is_new }
    }
}
