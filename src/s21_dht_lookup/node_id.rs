//! Node ids, the distance between them, and ids that are tied to an address (BEP 5, BEP 42).
//!
//! A node's id and an info hash are both 160 bits, on purpose: a torrent's peers are written down
//! by the nodes whose ids are nearest to its info hash. Near has nothing to do with geography. The
//! distance of two ids is their XOR, read as a number:
//!
//! ```text
//!   node   1011          node   0110
//!   target 1001          target 1001
//!   XOR    0010 = 2      XOR    1111 = 15       the more leading bits agree, the nearer
//! ```
//! XOR is a distance in every way that counts here: it is 0 only for the same id, is the same in
//! both directions, and a detour is never shorter. And for each id there is only one at a given
//! distance, so all searches for a target meet on the same nodes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::reach::Reach;

/// The length of an id in bits.
pub const ID_BITS: u32 = 160;

/// Which bits of an IPv4 address an id is tied to. The farther to the front, the fewer: the larger
/// a network, the cheaper each of its addresses, so several of them count as one (BEP 42).
const MASK_V4: u32 = 0x03_0f_3f_ff;
/// The same for the first half of an IPv6 address. The second half is the user's own to choose.
const MASK_V6: u64 = 0x01_03_07_0f_1f_3f_7f_ff;
/// How many leading bits of the id the address decides.
const TIED_BITS: u32 = 21;
/// The polynomial of CRC-32C, its bits in reverse order.
const CASTAGNOLI: u32 = 0x82f6_3b78;

/// The id of a node. Chosen by the node itself, so by itself it proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 20]);

impl NodeId {
    /// Returns an id that nobody else is likely to have.
    pub fn random() -> NodeId {
        NodeId(rand::random())
    }

    /// Returns how far this id is from another.
    pub fn distance(self, other: NodeId) -> Distance {
        let mut xor = self.0;
        xor.iter_mut().zip(other.0).for_each(|(ours, theirs)| *ours ^= theirs);
        Distance(xor)
    }

    /// Returns this id with one bit flipped, so that the two are this many bits apart. With 0,
    /// nothing is flipped.
    pub fn flipped(self, bits: u32) -> NodeId {
        let mut id = self;
        let place = ID_BITS.saturating_sub(bits);
        if let Some(byte) = id.0.get_mut(place as usize / 8) {
            *byte ^= 0x80 >> (place % 8);
        }
        id
    }

    /// Returns an id that a node at this address may have (BEP 42). The bits that the address does
    /// not decide are those of `random`.
    ///
    /// A node that chooses its id freely can sit next to any info hash, and be the one that is
    /// asked. Tied to the address, the first 21 bits are a checksum, and an address has only eight
    /// of those: to sit next to a given hash takes a great many addresses.
    ///
    /// ```text
    /// byte   0      1      2             3 .. 18    19
    ///     | crc  | crc  | crc: 5 bits, | random  | random: 5 bits,    |
    ///     |      |      | random: 3    |         | r: 3 bits          |
    /// ```
    pub fn for_ip(ip: IpAddr, random: [u8; 20]) -> NodeId {
        let [_, _, third, .., last] = random;
        let [a, b, c, _] = checksum(ip, last & 0x07).to_be_bytes();
        let tied = [a, b, c & 0xf8 | third & 0x07];
        let mut id = random;
        id.iter_mut().zip(tied).for_each(|(byte, tied)| *byte = tied);
        NodeId(id)
    }

    /// Whether a node at this address may have this id (BEP 42). On a local network it may have
    /// any: many computers share one public address, and strangers cannot come in.
    pub fn fits(self, ip: IpAddr) -> bool {
        if Reach::of(ip) < Reach::Internet {
            return true;
        }
        let [first, second, third, .., last] = self.0;
        let has = u32::from_be_bytes([first, second, third, 0]);
        let expected = checksum(ip, last & 0x07);
        (has ^ expected) >> (u32::BITS - TIED_BITS) == 0
    }
}

/// An info hash is a place among the ids as well.
impl From<InfoHash> for NodeId {
    fn from(info_hash: InfoHash) -> NodeId {
        NodeId(info_hash.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "NodeId({self})")
    }
}

/// How far two ids are apart: their XOR. Compared from the first byte on, as numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance([u8; 20]);

impl Distance {
    /// Returns the length of the distance in bits: 160 if the ids differ in the first bit, 0 if
    /// they are equal. One bit less is half as far.
    pub fn bits(self) -> u32 {
        let zeros = self.0.iter().take_while(|byte| **byte == 0).count();
        let within = self.0.get(zeros).map_or(0, |byte| byte.leading_zeros());
        ID_BITS - (8 * zeros as u32 + within)
    }
}

/// Returns the checksum that ties an id to an address, for one of eight values of `r`.
///
/// BEP 42 puts `r` above the masked address "as a 64 bit integer". For IPv4 that is wrong: its own
/// examples come out only if four bytes are hashed.
fn checksum(ip: IpAddr, r: u8) -> u32 {
    let r = r & 0x07;
    match ip {
        IpAddr::V4(ip) => checksum_v4(ip, r),
        IpAddr::V6(ip) => {
            ip.to_ipv4_mapped().map_or_else(|| checksum_v6(ip, r), |ip| checksum_v4(ip, r))
        }
    }
}

fn checksum_v4(ip: Ipv4Addr, r: u8) -> u32 {
    crc32c(&(ip.to_bits() & MASK_V4 | u32::from(r) << 29).to_be_bytes())
}

fn checksum_v6(ip: Ipv6Addr, r: u8) -> u32 {
    let network = (ip.to_bits() >> 64) as u64;
    crc32c(&(network & MASK_V6 | u64::from(r) << 61).to_be_bytes())
}

/// CRC-32C, a bit at a time: a node needs few of them, and a table would have to be explained.
fn crc32c(bytes: &[u8]) -> u32 {
    let divide = |rest: u32, _| if rest & 1 == 1 { rest >> 1 ^ CASTAGNOLI } else { rest >> 1 };
    let feed = |rest: u32, byte: &u8| (0..8).fold(rest ^ u32::from(*byte), divide);
    !bytes.iter().fold(u32::MAX, feed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32c() {
        // The check value of every list of such checksums, and the empty input.
        assert_eq!((crc32c(b"123456789"), crc32c(b"")), (0xe306_9283, 0));
    }
}
