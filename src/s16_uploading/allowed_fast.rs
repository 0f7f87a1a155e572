//! The pieces that a newcomer may have without a slot (BEP 6, "allowed fast").
//!
//! A peer without pieces has nothing to trade, so it may stay choked for a long time. A
//! few pieces it may ask for all the same. Which ones depends on its network alone, so
//! that nobody gets more of them by asking many peers, or by coming back.

use std::net::{IpAddr, Ipv4Addr};

use sha1::{Digest, Sha1};

use crate::s02_metainfo::InfoHash;
use crate::s12_session::uploads::UploadPeer;

/// How many pieces that is, and how few one must have to get them.
pub const COUNT: usize = 10;

/// The pieces for somebody at `ip`, in the order of BEP 6: hashes of the address's
/// network and the info hash, and of their hashes, each cut into five numbers.
pub fn allowed_fast(ip: Ipv4Addr, info_hash: InfoHash, pieces: u32, count: usize) -> Vec<u32> {
    let [a, b, c, _] = ip.octets();
    let mut text = [&[a, b, c, 0][..], &info_hash.0].concat();
    let mut set = Vec::new();
    let count = count.min(pieces as usize);
    while set.len() < count {
        let hash: [u8; 20] = Sha1::digest(&text).into();
        for number in hash.as_chunks::<4>().0 {
            let index = u32::from_be_bytes(*number) % pieces;
            if set.len() < count && !set.contains(&index) {
                set.push(index);
            }
        }
        text = hash.to_vec();
    }
    set
}

/// The set for a peer that has just come: those of the pieces that we have. BEP 6 has no
/// rule for IPv6, so nobody there could check it.
pub(super) fn set_for(peer: &UploadPeer) -> Vec<u32> {
    let IpAddr::V4(ip) = peer.stats.address().ip().to_canonical() else { return Vec::new() };
    let queue = &peer.torrent.queue;
    let pieces = queue.info().piece_count();
    // In a small torrent, that would be all there is.
    if peer.has as usize >= COUNT || pieces as usize <= COUNT {
        return Vec::new();
    }
    let mut set = allowed_fast(ip, queue.info().info_hash, pieces, COUNT);
    set.retain(|index| queue.given_piece(*index).is_some());
    set
}
