//! What all connections of a seeder share: its content, its behavior, what it has given.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Fault;
use crate::actors::peer_plan::Plan;
use crate::lab::content::Content;
use crate::lab::notes::Notes;
use crate::s03_tracker::PeerId;
use crate::s05_messages::bitfield::Bitfield;
use crate::s12_session::rate::Rate;
use crate::s19_pex::Gossip;

/// The most peers that it can tell apart.
const MAX_SERVED: usize = 10_000;

/// Bytes are sent in portions of about this time, so that a rate looks smooth.
const PORTION: Duration = Duration::from_millis(50);

/// What a seeder has of a torrent.
pub struct Holding {
    pub content: Content,
    pub has: Bitfield,
    /// What it says and does; the same for all its torrents but for their pieces.
    pub plan: Plan,
}

/// The state that a seeder's threads share.
pub struct Shared {
    pub peer_id: PeerId,
    /// The address it listens on, for notes.
    pub address: SocketAddr,
    /// The torrents it serves.
    pub torrents: Vec<Holding>,
    pub fault: Fault,
    /// Knows the other seeders, for peers that speak ut_pex.
    pub gossip: Arc<Gossip>,
    /// The number that peers must put into messages for ut_metadata.
    pub metadata_id: u8,
    /// The limit on blocks, for all connections together.
    pub rate: Rate,
    pub notes: Notes,
    /// The number of blocks that were started, which the faults count.
    pub begun: AtomicU64,
    /// The number of blocks that were sent whole, and the bytes in them.
    pub blocks: AtomicU64,
    pub bytes: AtomicU64,
    /// The peers that they went to.
    served: Mutex<HashSet<PeerId>>,
}

impl Shared {
    /// Makes the state of a seeder that has given nothing yet.
    pub fn new(
        peer_id: PeerId,
        address: SocketAddr,
        torrents: Vec<Holding>,
        gossip: Arc<Gossip>,
        (fault, metadata_id): (Fault, u8),
        rate: Option<u64>,
        notes: Notes,
    ) -> Shared {
        Shared {
            peer_id,
            address,
            torrents,
            gossip,
            fault,
            metadata_id,
            rate: Rate::with_burst(rate, PORTION),
            notes,
            begun: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            served: Mutex::default(),
        }
    }

    /// Returns how many of `wanted` bytes may be sent now; they count as sent.
    ///
    /// # Errors
    /// If it is too early for any: the time to try again.
    pub fn take(&self, wanted: usize, now: Instant) -> Result<usize, Instant> {
        let Some(portion) = self.rate.bytes_in(PORTION) else { return Ok(wanted) };
        if let Some(until) = self.rate.wait_until(now) {
            return Err(until);
        }
        let count = wanted.min(portion);
        self.rate.spend(count, now);
        Ok(count)
    }

    /// Returns the number of peers that have received a block, by peer id.
    pub fn served(&self) -> usize {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Records that this peer has received a block.
    pub fn remember(&self, peer_id: PeerId) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.len() < MAX_SERVED {
            served.insert(peer_id);
        }
    }
}
