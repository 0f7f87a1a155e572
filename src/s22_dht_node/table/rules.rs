//! Rules about ids and addresses, each a question about one or two nodes.
//!
//! The first two keep strangers from filling the table, the others say which bucket an id belongs
//! to. None of them knows a table.

use std::net::SocketAddr;

use crate::s03_tracker::reach::Reach;
use crate::s04_handshake::origin::Origin;
use crate::s21_dht_lookup::krpc::{Contact, is_one_host};
use crate::s21_dht_lookup::node_id::{ID_BITS, NodeId};

/// Ports below this one are for a system's own services. Whoever names one wants us to knock there.
const PRIVILEGED: u16 = 1024;

/// Whether only one of two nodes may be in a table: they have the same id, the same address, or the
/// same IP. Near us there may be many at one IP: each program of a computer is a node of its own.
pub fn conflicts(one: Contact, other: Contact) -> bool {
    let (ip, other_ip) = (one.address.ip(), other.address.ip());
    let alone = Reach::of(ip) == Reach::Internet;
    one.id == other.id
        || one.address == other.address
        || alone && Origin::of(ip) == Origin::of(other_ip)
}

/// Whether an address may be a node's: one computer's, not that of a group or of nobody, and at a
/// port at which programs listen.
pub fn is_possible(address: SocketAddr) -> bool {
    is_one_host(address.ip()) && address.port() >= PRIVILEGED
}

/// Returns how many leading bits two ids share.
pub fn shared_bits(one: NodeId, other: NodeId) -> usize {
    (ID_BITS - one.distance(other).bits()) as usize
}

/// Returns an id that shares exactly this many leading bits with ours; in the last bucket, at least
/// as many. The other bits are random.
pub fn random_in_bucket(own: NodeId, shared: usize, is_last: bool, random: [u8; 20]) -> NodeId {
    let mut id = NodeId(random);
    for (number, (byte, ours)) in id.0.iter_mut().zip(own.0).enumerate() {
        let bits = shared.saturating_sub(8 * number).min(8);
        let keep = !(0xff_u16 >> bits) as u8;
        *byte = ours & keep | *byte & !keep;
        if !is_last && shared / 8 == number {
            // The first bit that is not shared must differ, or it would be a nearer bucket's id.
            let differs = 0x80_u8 >> (shared % 8);
            *byte = *byte & !differs | !ours & differs;
        }
    }
    id
}
