//! What counts as one address when we count strangers.
//!
//! A new peer id is free, and so is another connection. An address costs something, so
//! places, bans and suspicion belong to addresses.

use std::net::{IpAddr, Ipv6Addr};

/// The bits of an IPv6 address that name its network. A user with one address in a network has all
/// 2^64.
const NETWORK: u128 = !0 << 64;

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(IpAddr);

impl Origin {
    /// Returns the origin of a connection from this address. A dual-stack socket reports
    /// `192.0.2.1` as `::ffff:192.0.2.1`; both are the same.
    pub fn of(ip: IpAddr) -> Origin {
        match ip.to_canonical() {
            IpAddr::V6(ip) => Origin(Ipv6Addr::from_bits(ip.to_bits() & NETWORK).into()),
            four => Origin(four),
        }
    }
}
