//! The pieces that a newcomer may request while it is choked (BEP 6, "allowed fast").
//!
//! A peer without pieces has nothing to trade, so it may stay choked for a long time. It may
//! request a few pieces all the same. Which ones depends on its network alone, so that no peer
//! gets more of them by asking many others, or by coming back.

use std::net::{IpAddr, Ipv4Addr};

use sha1::{Digest, Sha1};

use crate::s02_metainfo::InfoHash;
use crate::s12_session::host::UploadPeer;

/// The number of these pieces. A peer that has this many itself gets none.
pub const COUNT: usize = 10;

/// Returns the pieces for a peer at `ip`, in the order of BEP 6. The numbers are cut from a SHA-1
/// of the address's network and the info hash, then from the SHA-1 of that hash, and so on.
///
/// ```text
/// | 80 | 4 | 4 | 0 | info hash, 20 bytes |      the text for 80.4.4.200: the last byte is 0
///       |  SHA-1
///       v
/// |  4  |  4  |  4  |  4  |  4  |              each, as a number, modulo the number of pieces
///       |  SHA-1                               five are not enough: the hash is the next text
///       v
/// ```
pub fn allowed_fast(ip: Ipv4Addr, info_hash: InfoHash, pieces: u32, count: usize) -> Vec<u32> {
    // The last byte does not count: one user often has several addresses in a network.
    let [a, b, c, _] = ip.octets();
    let mut text = [&[a, b, c, 0][..], &info_hash.0].concat();
    let mut set = Vec::new();
    // Without this, a torrent with fewer pieces than `count` would be searched forever.
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

/// Returns the set for a peer that has just come: those of its pieces that we have. BEP 6 has no
/// rule for IPv6, so a peer there could not check the set.
pub(super) fn set_for(peer: &UploadPeer) -> Vec<u32> {
    let IpAddr::V4(ip) = peer.stats.address().ip().to_canonical() else { return Vec::new() };
    let queue = &peer.torrent.queue;
    let pieces = queue.info().piece_count();
    // In a small torrent, that would be all of it.
    if peer.has as usize >= COUNT || pieces as usize <= COUNT {
        return Vec::new();
    }
    let mut set = allowed_fast(ip, queue.info().info_hash, pieces, COUNT);
    set.retain(|index| queue.given_piece(*index).is_some());
    set
}
