//! The result of a download: which peers sent blocks, which got some, and which were banned.
//!
//! The torrent loop keeps one from the start and adds to it as connections end. It goes to the
//! caller in either case: as the result, or in [`Event::Unfinished`](super::Event::Unfinished).

use std::net::SocketAddr;

use crate::s12_session::stats::PeerStats;

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
    /// Banned peers, in the order of bans.
    pub banned: Vec<SocketAddr>,
}

/// The bytes exchanged with one peer, over all its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traded {
    /// The address at which others can reach the peer, if we know that.
    pub peer: SocketAddr,
    /// Bytes of blocks received from it.
    pub taken: u64,
    /// Bytes of blocks sent to it.
    pub given: u64,
}

impl Summary {
    /// Adds the bytes of a connection that has ended. To be called once for each.
    pub(super) fn add(&mut self, stats: &PeerStats) {
        let (peer, taken, given) = (stats.address(), stats.downloaded(), stats.uploaded());
        self.downloaded += taken;
        self.uploaded += given;
        let room = self.traded.len() < MAX_NAMED;
        // By address and not by peer id: an id is chosen by the peer, and new at each start.
        match self.traded.iter_mut().find(|traded| traded.peer == peer) {
            Some(traded) => {
                traded.taken += taken;
                traded.given += given;
            }
            None if taken + given > 0 && room => self.traded.push(Traded { peer, taken, given }),
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
