//! What counts as one address, where strangers are counted.
//!
//! A peer id is free, and so is another connection. An address costs something, so
//! places, bans and suspicion belong to addresses.

use std::net::{IpAddr, Ipv6Addr};

/// The bits of an IPv6 address that name its network. Below that, whoever has one address
/// has 2^64 of them.
const NETWORK: u128 = !0 << 64;

/// What a place counts against: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(IpAddr);

impl Origin {
    /// The origin of a connection from this address. An IPv4 address that a socket for
    /// IPv6 shows as `::ffff:192.0.2.1` is the same as `192.0.2.1`.
    pub fn of(ip: IpAddr) -> Origin {
        match ip.to_canonical() {
            IpAddr::V6(ip) => Origin(Ipv6Addr::from_bits(ip.to_bits() & NETWORK).into()),
            four => Origin(four),
        }
    }
}
