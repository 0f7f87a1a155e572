//! How many peers are there? A Bloom filter says it in 256 bytes (BEP 33).
//!
//! Eight nodes each know some of a swarm's peers, and most peers are known to several of them. To
//! count them, one would need all the lists. A filter is smaller: 2,048 bits, of which each address
//! sets two. Filters are put together with a bitwise *or*, which counts nobody twice, and the
//! number of bits that are still 0 gives a good guess of how many addresses there were. Which ones,
//! it does not say.

use std::net::IpAddr;

use sha1::{Digest, Sha1};

/// The length of a filter in bytes.
pub const LENGTH: usize = 256;

/// A set of addresses, of which only the number can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter([u8; LENGTH]);

impl Default for Filter {
    fn default() -> Filter {
        Filter([0; LENGTH])
    }
}

impl Filter {
    /// Adds an address. Its SHA-1 names two bits: bytes 0 and 1, and bytes 2 and 3, as numbers with
    /// the low byte first.
    pub fn add(&mut self, ip: IpAddr) {
        let hash = match ip {
            IpAddr::V4(ip) => Sha1::digest(ip.octets()),
            IpAddr::V6(ip) => Sha1::digest(ip.octets()),
        };
        let [a, b, c, d, ..] = hash.0;
        for bit in [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])] {
            let bit = usize::from(bit) % (8 * LENGTH);
            if let Some(byte) = self.0.get_mut(bit / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    /// Returns the bytes for the packet.
    pub fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// Returns about how many addresses were added.
    pub fn estimate(&self) -> f64 {
        let bits = (8 * LENGTH) as f64;
        let zeros: u32 = self.0.iter().map(|byte| byte.count_zeros()).sum();
        // A filter without a 0 is full, and could have any number. One 0 is the most it can say.
        let zeros = f64::from(zeros.max(1));
        (zeros / bits).ln() / (2.0 * (1.0 - 1.0 / bits).ln())
    }
}
