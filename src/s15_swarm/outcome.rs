//! What a download comes to: who brought, who got, and who was banned.

use std::net::SocketAddr;

use crate::s12_session::stats::PeerStats;

/// How many peers are named, and how many of those that were banned. Later ones count in the
/// sums.
const MOST_NAMED: usize = 1000;

/// What a download came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Bytes of blocks that came in this session.
    pub downloaded: u64,
    /// Bytes of blocks that went.
    pub uploaded: u64,
    /// Who brought, and who got, how many bytes.
    pub traded: Vec<Traded>,
    /// Peers that were banned.
    pub banned: Vec<SocketAddr>,
}

/// What one peer has given us, and we have given it, over all its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traded {
    /// The peer, as others could reach it, if we know that.
    pub peer: SocketAddr,
    /// Bytes of blocks from it to us.
    pub taken: u64,
    /// Bytes of blocks from us to it.
    pub given: u64,
}

impl Outcome {
    /// Adds what went over a connection that has ended.
    pub(super) fn add(&mut self, traffic: &PeerStats) {
        let (peer, taken, given) = (traffic.address(), traffic.downloaded(), traffic.uploaded());
        self.downloaded += taken;
        self.uploaded += given;
        let room = self.traded.len() < MOST_NAMED;
        match self.traded.iter_mut().find(|traded| traded.peer == peer) {
            Some(traded) => (traded.taken, traded.given) = (traded.taken + taken, traded.given + given),
            None if taken + given > 0 && room => self.traded.push(Traded { peer, taken, given }),
            None => {}
        }
    }

    /// It was banned.
    pub(super) fn ban(&mut self, address: SocketAddr) {
        if self.banned.len() < MOST_NAMED && !self.banned.contains(&address) {
            self.banned.push(address);
        }
    }
}
