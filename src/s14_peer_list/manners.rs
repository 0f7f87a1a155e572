//! Whom not to dial again and again: an address with many ports, and nobody at any of them.
//!
//! Whom not to dial at all is stage 3's table ([`refusal`](crate::s03_tracker::reach::refusal)).
//! An address with many ports and nobody at any of them is not a swarm: after [`MOST_VAIN`] of
//! them it is left alone, until somebody from there comes to us. Twenty programs on one
//! machine are a swarm, and the first that answers shows it.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::s04_handshake::origin::Origin;

/// How many ports of an address are dialled in vain before the others are left alone.
pub const MOST_VAIN: u32 = 30;

/// How many addresses are counted for.
const REMEMBERED: usize = 2000;

/// The addresses at which many ports have been dialled, and what came of it.
#[derive(Debug, Default)]
pub struct Knocks {
    /// How many were dialled in vain; nothing once there was a peer at one.
    vain: HashMap<Origin, Option<u32>>,
}

impl Knocks {
    /// A port of this address has been dialled for the first time, and there was no peer.
    pub fn in_vain(&mut self, ip: IpAddr) {
        self.make_room();
        if let Some(vain) = self.vain.entry(Origin::of(ip)).or_insert(Some(0)) {
            *vain += 1;
        }
    }

    /// There is a peer at this address.
    pub fn answered(&mut self, ip: IpAddr) {
        self.make_room();
        self.vain.insert(Origin::of(ip), None);
    }

    /// Whether no more ports of this address are dialled.
    pub fn is_enough(&self, ip: IpAddr) -> bool {
        self.vain.get(&Origin::of(ip)).is_some_and(|vain| vain.is_some_and(|vain| vain >= MOST_VAIN))
    }

    fn make_room(&mut self) {
        if self.vain.len() >= REMEMBERED {
            self.vain.clear();
        }
    }
}
