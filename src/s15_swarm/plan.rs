//! What to download and how, as whoever starts a download sees it.

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
    /// Its info dictionary, if it is known already.
    pub info: Option<Info>,
    /// Ourselves.
    pub peer_id: PeerId,
    /// Where peers come from.
    pub sources: Vec<Box<dyn PeerSource>>,
    /// How they are reached.
    pub dial: Arc<dyn Dial>,
    /// How many may be connected.
    pub max_peers: usize,
    /// How long to go on without any live peer. Ten times as long without a block.
    pub patience: Duration,
    /// What is given meanwhile.
    pub uploads: Arc<dyn Uploads>,
    /// Whether to take nothing, even if pieces are missing.
    pub upload_only: bool,
    /// Where we listen; 0 if we do not.
    pub port: u16,
    /// The limit on the bytes in blocks that come, in bytes a second.
    pub download_rate: Rate,
    /// The same for what goes.
    pub upload_rate: Rate,
    /// How long nothing may come before it is told why.
    pub silence: Duration,
    /// Set from outside to end early.
    pub stop: Arc<AtomicBool>,
    /// Looks at it from outside.
    pub watch: Arc<Watch>,
}

impl Plan {
    /// Over TCP, 50 peers, 60 s of patience, 10 s of silence, no source yet.
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

    /// Has this much patience. Whoever has little is told sooner what the download waits for,
    /// or it would be over before.
    pub fn wait_for(&mut self, patience: Duration) {
        self.patience = patience;
        self.silence = (patience / 6).clamp(Duration::from_secs(2), self.silence.max(Duration::from_secs(2)));
    }

    /// After which time a failed address or tracker is tried again, at first: so that
    /// each gets a second chance while there is patience.
    pub fn retry(&self) -> Duration {
        (self.patience / 4).min(Duration::from_secs(15))
    }
}
