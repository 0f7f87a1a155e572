//! The four packets of a tracker, encoded and decoded.
//!
//! They share their first 8 bytes. A connection id is not among them: only clients have to prove
//! their address. The transaction id shows which request is answered.
//!
//! ```text
//! 0        4                8
//! | action | transaction id | the answer's own fields
//! ```

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{
    ANNOUNCE, Answer, CONNECT, ERROR, Family, PacketError, ResponseBody, Rest, SCRAPE, ScrapeCounts,
};
use crate::s03_tracker::peers::{MAX_PEERS, address_v4, address_v6};

impl Answer {
    /// Encodes the packet for a client of this address family. Peers of the other family are left
    /// out: their addresses have another length, and the packet has no field to say which.
    pub fn encode(&self, family: Family) -> Vec<u8> {
        let action = match self.said {
            ResponseBody::Connected { .. } => CONNECT,
            ResponseBody::Announced { .. } => ANNOUNCE,
            ResponseBody::Scraped(_) => SCRAPE,
            ResponseBody::Failed(_) => ERROR,
        };
        let mut packet = action.to_be_bytes().to_vec();
        packet.extend(self.transaction_id.to_be_bytes());
        match &self.said {
            ResponseBody::Connected { connection_id } => packet.extend(connection_id.to_be_bytes()),
            ResponseBody::Announced { interval, leechers, seeders, peers } => {
                // An interval too long for the field becomes 136 years: long enough.
                let interval = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
                packet
                    .extend([interval, *leechers, *seeders].into_iter().flat_map(u32::to_be_bytes));
                for peer in peers.iter().filter(|peer| Family::of(**peer) == family) {
                    // 4 or 16 bytes, and 2 for the port: the compact form of BEP 23 and BEP 7.
                    match peer.ip() {
                        IpAddr::V4(ip) => packet.extend(ip.octets()),
                        IpAddr::V6(ip) => packet.extend(ip.octets()),
                    }
                    packet.extend(peer.port().to_be_bytes());
                }
            }
            ResponseBody::Scraped(torrents) => {
                // Cut off at the largest number, because a count that wraps around would lie more.
                let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
                for counts in torrents {
                    // Seeders come first here, and leechers first in the answer to an announce.
                    let three = [counts.seeders, counts.downloads, counts.leechers];
                    packet.extend(three.into_iter().flat_map(|count| narrow(count).to_be_bytes()));
                }
            }
            ResponseBody::Failed(text) => packet.extend(text),
        }
        packet
    }

    /// Decodes a tracker's packet that came over a socket of this family. Peers with port 0 are
    /// left out, since nobody can listen there.
    ///
    /// Whether it answers our request is not checked here: the caller compares the transaction id.
    ///
    /// # Errors
    /// If it is too short, ends within a peer, or has another action.
    pub fn decode(packet: &[u8], family: Family) -> Result<Answer, PacketError> {
        // The action decides how long the packet must be, so the first check is for 8 bytes only.
        let mut rest = Rest::of(packet, "an answer", 8)?;
        let action = rest.u32();
        let transaction_id = rest.u32();
        let said = match action {
            CONNECT => {
                // Begins again: the name in the error is more exact now, and so is the length.
                let mut rest = Rest::of(packet, "the answer to a connect", 16)?;
                rest.skip(8); // action, transaction id
                ResponseBody::Connected { connection_id: rest.u64() }
            }
            ANNOUNCE => {
                let mut rest = Rest::of(packet, "the answer to an announce", 20)?;
                rest.skip(8);
                // The fields are read in this order, which is the packet's: leechers come first.
                ResponseBody::Announced {
                    interval: Duration::from_secs(rest.u32().into()),
                    leechers: rest.u32(),
                    seeders: rest.u32(),
                    peers: decode_peers(rest.0, family)?,
                }
            }
            // A packet of 8 bytes is complete: it counts no torrent. How many were asked for, only
            // the caller knows.
            SCRAPE => ResponseBody::Scraped(whole(rest.0, "12 bytes for each torrent", counts)?),
            // All that is left. There is no length before the text, and it may be empty.
            ERROR => ResponseBody::Failed(rest.0.to_vec()),
            other => {
                let expected = "0 (connect), 1 (announce), 2 (scrape) or 3 (error)";
                return Err(PacketError::value("the action", expected, other));
            }
        };
        Ok(Answer { transaction_id, said })
    }
}

/// Decodes the peers of an announce's answer. Their number follows from the packet's length, and
/// the length of each from the socket: 36 bytes are six peers over IPv4, and two over IPv6.
///
/// Addresses are not judged here. Stage 3 (`reach`) decides which of them this tracker may name,
/// before any is dialed.
fn decode_peers(bytes: &[u8], family: Family) -> Result<Vec<SocketAddr>, PacketError> {
    let mut peers = match family {
        Family::V4 => whole(bytes, "6 bytes for each peer", address_v4)?,
        Family::V6 => whole(bytes, "18 bytes for each peer", address_v6)?,
    };
    // Before the limit, so that useless entries do not use it up.
    peers.retain(|peer| peer.port() != 0);
    // A packet has room for ten thousand, more than any client asks for.
    peers.truncate(MAX_PEERS);
    // Truncating alone would keep the memory of all ten thousand.
    peers.shrink_to_fit();
    Ok(peers)
}

/// Decodes the counts of one torrent in a scrape's answer: three times 4 bytes, in an order of
/// their own.
fn counts(bytes: &[u8; 12]) -> ScrapeCounts {
    let mut rest = Rest(bytes);
    let [seeders, downloads, leechers] = [rest.u32(), rest.u32(), rest.u32()].map(u64::from);
    ScrapeCounts { seeders, downloads, leechers }
}

/// Reads items of `N` bytes each; the last one must not be shorter.
///
/// A cut-off item is a sign that the packet is not what it seems, as when IPv6 peers are read as
/// IPv4. An empty list is fine: a tracker may know nobody else.
fn whole<T, const N: usize>(
    bytes: &[u8],
    expected: &'static str,
    read: impl Fn(&[u8; N]) -> T,
) -> Result<Vec<T>, PacketError> {
    let (chunks, over) = bytes.as_chunks::<N>();
    if !over.is_empty() {
        let found = format!("{} bytes", bytes.len());
        return Err(PacketError::value("the answer's list", expected, found));
    }
    Ok(chunks.iter().map(read).collect())
}
