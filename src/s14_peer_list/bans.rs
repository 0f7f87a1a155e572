//! Addresses that have sent bad data, and what an IP has earned.
//!
//! Ports cost nothing, so a liar must not get a fresh start at its next port: three bans bar the
//! IP, or the /64 of an IPv6 address. But a whole school may share one IP, and three liars must not
//! speak for it. So what honest peers bring from there counts: for each ten verified pieces, one
//! more liar is tolerated. A liar that brings ten pieces in order to spoil one wastes a tenth of
//! the traffic, and has still helped.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

use crate::s04_handshake::origin::Origin;

/// How many banned peers bar the IP that they share.
const STRIKES: u32 = 3;
/// How many verified pieces from an IP make up for one banned peer of it.
const PIECES_PER_STRIKE: u32 = 10;
/// How many bans are remembered, as many as addresses; then the oldest is forgotten. To push one
/// out, a stranger needs 2,000 bans of its own, and each costs it a whole piece of data.
pub const MAX_BANS: usize = 2_000;

/// The bans, the oldest first, and the reputation of each IP.
#[derive(Debug, Default)]
pub struct Bans {
    order: VecDeque<SocketAddr>,
    banned: HashSet<SocketAddr>,
    reputes: HashMap<Origin, Repute>,
}

/// What has come from an IP, from all the peers behind it.
#[derive(Debug, Default)]
struct Repute {
    /// How many of its peers are banned.
    strikes: u32,
    /// How many verified pieces its peers have completed.
    pieces: u32,
}

impl Bans {
    /// Bans an address.
    pub fn add(&mut self, address: SocketAddr) {
        if !self.banned.insert(address) {
            return;
        }
        self.reputes.entry(Origin::of(address.ip())).or_default().strikes += 1;
        self.order.push_back(address);
        if self.order.len() > MAX_BANS {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        self.banned.remove(&oldest);
        let origin = Origin::of(oldest.ip());
        if let Some(repute) = self.reputes.get_mut(&origin) {
            repute.strikes -= 1;
            if repute.strikes == 0 {
                self.reputes.remove(&origin);
            }
        }
    }

    /// Counts verified pieces that a peer has completed. The number of IPs is bounded: those that
    /// come after that earn nothing.
    pub fn credit(&mut self, address: SocketAddr, pieces: u32) {
        let origin = Origin::of(address.ip());
        if self.reputes.len() < 2 * MAX_BANS || self.reputes.contains_key(&origin) {
            let repute = self.reputes.entry(origin).or_default();
            repute.pieces = repute.pieces.saturating_add(pieces);
        }
    }

    /// Whether this very address is banned.
    pub fn has(&self, address: SocketAddr) -> bool {
        self.banned.contains(&address)
    }

    /// Whether the IP of this address is barred: only peers that have proved themselves are let in.
    pub fn bars(&self, address: SocketAddr) -> bool {
        let barred =
            |repute: &Repute| repute.strikes >= STRIKES + repute.pieces / PIECES_PER_STRIKE;
        self.reputes.get(&Origin::of(address.ip())).is_some_and(barred)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32, port: u16) -> SocketAddr {
        SocketAddr::new(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into(), port)
    }

    #[test]
    fn the_oldest_ban_is_forgotten_and_no_more_are_kept() {
        let mut bans = Bans::default();
        (1..=3).for_each(|port| bans.add(address(0, port)));
        assert!(bans.bars(address(0, 4)), "three ports are the whole IP");
        (1..MAX_BANS as u32 - 2).for_each(|number| bans.add(address(number, 1)));
        assert!(bans.bars(address(0, 4)));
        bans.add(address(1, 2));
        assert!(!bans.bars(address(0, 4)) && !bans.has(address(0, 1)) && bans.has(address(0, 2)));
        (0..100_000).for_each(|number| bans.add(address(1_000_000 + number, 1)));
        assert_eq!([bans.order.len(), bans.banned.len(), bans.reputes.len()], [MAX_BANS; 3]);
        (0..100_000).for_each(|number| bans.credit(address(2_000_000 + number, 1), 1));
        assert!(bans.reputes.len() <= 2 * MAX_BANS);
    }
}
