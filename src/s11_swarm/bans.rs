//! Addresses that have sent bad data.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// How many banned addresses of one IP ban all of it.
const BANS_PER_IP: u32 = 3;
/// How many bans are remembered: as many as there are addresses in the book. Then the oldest is
/// forgotten. Each has cost somebody a whole piece of data.
pub const MOST_BANS: usize = 2_000;

/// The bans, in their order.
#[derive(Debug, Default)]
pub struct Bans {
    order: VecDeque<SocketAddr>,
    banned: HashSet<SocketAddr>,
    by_ip: HashMap<IpAddr, u32>,
}

impl Bans {
    /// Bans an address.
    pub fn add(&mut self, address: SocketAddr) {
        if !self.banned.insert(address) {
            return;
        }
        *self.by_ip.entry(address.ip()).or_default() += 1;
        self.order.push_back(address);
        if self.order.len() > MOST_BANS {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        self.banned.remove(&oldest);
        if let Some(count) = self.by_ip.get_mut(&oldest.ip()) {
            *count -= 1;
            if *count == 0 {
                self.by_ip.remove(&oldest.ip());
            }
        }
    }

    /// Whether an address, or its whole IP, is banned.
    pub fn has(&self, address: SocketAddr) -> bool {
        self.banned.contains(&address) || self.by_ip.get(&address.ip()).is_some_and(|bans| *bans >= BANS_PER_IP)
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
        assert!(bans.has(address(0, 4)), "three ports are the whole IP");
        (1..MOST_BANS as u32 - 2).for_each(|number| bans.add(address(number, 1)));
        assert!(bans.has(address(0, 4)));
        bans.add(address(1, 2));
        assert!(!bans.has(address(0, 4)) && !bans.has(address(0, 1)) && bans.has(address(0, 2)));
        (0..100_000).for_each(|number| bans.add(address(1_000_000 + number, 1)));
        assert_eq!([bans.order.len(), bans.banned.len(), bans.by_ip.len()], [MOST_BANS; 3]);
    }
}
