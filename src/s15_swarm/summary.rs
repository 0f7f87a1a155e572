//! The result of a download: what has brought blocks, which peers got some, and which were banned.
//!
//! The torrent loop keeps one from the start and adds to it as connections end. It goes to the
//! caller in either case: as the result, or in [`Event::Unfinished`](super::Event::Unfinished).

use std::fmt;
use std::net::SocketAddr;

use crate::s03_tracker::PeerId;
use crate::s12_session::stats::PeerStats;
use crate::s13_peer_sources::hand::HandStats;

/// The number of peers that are listed, and of banned ones. Later ones count only in the sums: in a
/// week, a seed may meet any number.
const MAX_NAMED: usize = 1000;

/// The result of a download.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Bytes of blocks received in this session.
    pub downloaded: u64,
    /// Bytes of blocks sent.
    pub uploaded: u64,
    /// The bytes received from each peer, and sent to it. Peers without either are left out.
    pub traded: Vec<Traded>,
    /// The bytes that sources have brought by themselves. Those that brought none are left out.
    pub handed: Vec<Handed>,
    /// Banned peers, in the order of bans.
    pub banned: Vec<SocketAddr>,
}

/// The bytes exchanged with one peer, over all its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traded {
    /// The address at which others can reach the peer, if we know that.
    pub peer: SocketAddr,
    /// The id that it claimed last: two sides that compare their figures know each other by it.
    pub peer_id: PeerId,
    /// Bytes of blocks received from it.
    pub taken: u64,
    /// Bytes of blocks sent to it.
    pub given: u64,
}

/// The bytes that hands of one name have brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// The name of the hands.
    pub name: String,
    /// Bytes of blocks.
    pub taken: u64,
}

/// What has brought blocks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Giver {
    /// The peer at this address.
    Peer(SocketAddr),
    /// A hand of this name: a source that brings pieces itself (stage 13).
    Hand(String),
}

impl fmt::Display for Giver {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Giver::Peer(address) => write!(out, "{address}"),
            Giver::Hand(name) => write!(out, "{name}"),
        }
    }
}

impl Summary {
    /// Adds the bytes of a connection that has ended. To be called once for each.
    pub(super) fn add(&mut self, peer_id: PeerId, stats: &PeerStats) {
        let (peer, taken, given) = (stats.address(), stats.downloaded(), stats.uploaded());
        self.downloaded += taken;
        self.uploaded += given;
        let room = self.traded.len() < MAX_NAMED;
        // By address and not by peer id: an id is chosen by the peer, and new at each start.
        match self.traded.iter_mut().find(|traded| traded.peer == peer) {
            Some(traded) => {
                traded.peer_id = peer_id;
                traded.taken += taken;
                traded.given += given;
            }
            None if taken + given > 0 && room => {
                self.traded.push(Traded { peer, peer_id, taken, given })
            }
            None => {}
        }
    }

    /// Adds the bytes of a hand that is gone. To be called once for each.
    pub(super) fn add_hand(&mut self, stats: &HandStats) {
        let taken = stats.brought();
        self.downloaded += taken;
        let room = self.handed.len() < MAX_NAMED;
        match self.handed.iter_mut().find(|handed| handed.name == stats.name()) {
            Some(handed) => handed.taken += taken,
            None if taken > 0 && room => {
                self.handed.push(Handed { name: stats.name().to_owned(), taken })
            }
            None => {}
        }
    }

    /// Adds a peer that was banned.
    pub(super) fn ban(&mut self, address: SocketAddr) {
        if self.banned.len() < MAX_NAMED && !self.banned.contains(&address) {
            self.banned.push(address);
        }
    }
}
