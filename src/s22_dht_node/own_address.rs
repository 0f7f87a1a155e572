//! Which address we have, and the id that goes with it (BEP 42).
//!
//! A computer behind a router does not know its address on the internet. Each answer says from
//! which address our question came. A single node may lie about it, so several must agree. Then we
//! take an id that is tied to that address. With any other id, nodes that follow BEP 42 would
//! neither announce to us nor keep us in their tables.
//!
//! A new id means another place in the network: the torrents that we were asked to keep are not
//! looked for here any more. So it is not changed twice in an hour, whatever the answers say.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::s03_tracker::reach::Reach;
use crate::s04_handshake::origin::Origin;
use crate::s21_dht_lookup::node_id::NodeId;

/// The number of nodes that must agree.
pub const AGREEING: usize = 4;
/// The number of nodes whose latest word is remembered.
const REMEMBERED: usize = 2 * AGREEING;
/// The shortest time between two changes of our id.
pub const PAUSE: Duration = Duration::from_secs(60 * 60);

/// What others say about our address.
#[derive(Debug, Default)]
pub struct OwnAddress {
    /// The latest word of each computer, the oldest first.
    words: VecDeque<(Origin, IpAddr)>,
    /// When we last took another id.
    changed: Option<Instant>,
}

impl OwnAddress {
    /// Notes what a node says.
    pub fn heard(&mut self, from: IpAddr, we_are: IpAddr) {
        let origin = Origin::of(from);
        self.words.retain(|(other, _)| *other != origin);
        if self.words.len() >= REMEMBERED {
            self.words.pop_front();
        }
        self.words.push_back((origin, we_are));
    }

    /// Returns the address that most agree on, if enough do.
    pub fn agreed(&self) -> Option<IpAddr> {
        let agree = |ip: IpAddr| self.words.iter().filter(|(_, word)| *word == ip).count();
        let most = self.words.iter().map(|(_, ip)| *ip).max_by_key(|ip| agree(*ip))?;
        // More than half: what fewer say may be a lie, or an address that we had an hour ago.
        let enough = agree(most) >= AGREEING && 2 * agree(most) > self.words.len();
        enough.then_some(most)
    }

    /// Returns another id for us, if ours does not fit the address that others see.
    pub fn new_id(&mut self, ours: NodeId, random: [u8; 20], now: Instant) -> Option<NodeId> {
        let ip = self.agreed().filter(|ip| Reach::of(*ip) == Reach::Internet && !ours.fits(*ip))?;
        if self.changed.is_some_and(|at| now.saturating_duration_since(at) < PAUSE) {
            return None;
        }
        self.changed = Some(now);
        Some(NodeId::for_ip(ip, random))
    }
}
