//! What to download, and how.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::view::Watch;
use crate::s02_metainfo::{Info, InfoHash};
use crate::s03_tracker::PeerId;
use crate::s04_handshake::transport::{Dial, Tcp};
use crate::s12_session::rate::Rate;
use crate::s12_session::uploads::{NoUploads, Uploads};
use crate::s13_peer_sources::source::PeerSource;

/// What to download, and how.
pub struct Plan {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The info dictionary, if it is known already.
    pub info: Option<Info>,
    /// Our own peer id.
    pub peer_id: PeerId,
    /// Where peers come from.
    pub sources: Vec<Box<dyn PeerSource>>,
    /// How peers are dialed.
    pub dial: Arc<dyn Dial>,
    /// The largest number of connected peers.
    pub max_peers: usize,
    /// The longest time without a connected peer. Ten times as long without a block.
    pub patience: Duration,
    /// Uploads to other peers.
    pub uploads: Arc<dyn Uploads>,
    /// Whether to download nothing, even if pieces are missing.
    pub upload_only: bool,
    /// The port at which we listen; 0 if we do not.
    pub port: u16,
    /// The limit on blocks received, in bytes a second.
    pub download_rate: Rate,
    /// The limit on blocks sent, in bytes a second.
    pub upload_rate: Rate,
    /// The time without a block after which an event says why.
    pub silence: Duration,
    /// Set from outside to end early.
    pub stop: Arc<AtomicBool>,
    /// Shows the running download to others.
    pub watch: Arc<Watch>,
}

impl Plan {
    /// Creates a plan: TCP, 50 peers, 60 s of patience, 10 s of silence, no source yet.
    pub fn new(info_hash: InfoHash, info: Option<Info>, peer_id: PeerId) -> Plan {
        Plan {
            info_hash,
            info,
            peer_id,
            sources: Vec::new(),
            dial: Arc::new(Tcp),
            max_peers: 50,
            patience: Duration::from_secs(60),
            uploads: Arc::new(NoUploads),
            upload_only: false,
            port: 0,
            download_rate: Rate::default(),
            upload_rate: Rate::default(),
            silence: Duration::from_secs(10),
            stop: Arc::default(),
            watch: Arc::default(),
        }
    }

    /// Sets the patience. With little of it, the first event about a wait comes sooner, or the
    /// download would be over before.
    pub fn wait_for(&mut self, patience: Duration) {
        self.patience = patience;
        self.silence =
            (patience / 6).clamp(Duration::from_secs(2), self.silence.max(Duration::from_secs(2)));
    }

    /// The time after which a failed address or tracker is tried again, at first. It is short enough
    /// for each to get a second chance while there is patience.
    pub fn retry(&self) -> Duration {
        (self.patience / 4).min(Duration::from_secs(15))
    }
}
