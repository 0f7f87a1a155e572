//! What to download, and how.
//!
//! A command fills in a [`Plan`] and passes it to [`download`](super::download). Later stages are
//! plugged in here: the uploads of stage 16, the listener of stage 17, which is one more source,
//! and whatever has messages of its own, which is one more extension.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::view::Watch;
use crate::s02_metainfo::{Info, InfoHash, Names};
use crate::s03_tracker::PeerId;
use crate::s04_handshake::transport::{Dial, Tcp};
use crate::s07_extension::extension::Offer;
use crate::s12_session::host::{NoUploads, Uploads};
use crate::s12_session::rate::Rate;
use crate::s13_peer_sources::source::PeerSource;

/// Makes sources that look for peers by a name of the torrent.
pub type LaterSources = Box<dyn Fn(InfoHash) -> Vec<Box<dyn PeerSource>> + Send>;

/// What to download, and how.
pub struct Plan {
    /// The torrent, by its names.
    pub names: Names,
    /// The info dictionary, if it is known already.
    pub info: Option<Info>,
    /// Our own peer id.
    pub peer_id: PeerId,
    /// Where peers come from. Each gets a thread.
    pub sources: Vec<Box<dyn PeerSource>>,
    /// Makes more sources, for a name of the torrent that comes only with the info dictionary.
    pub later_sources: LaterSources,
    /// How peers are dialed: TCP, or a wrapper around it. In tests, pipes in memory.
    pub dial: Arc<dyn Dial>,
    /// The largest number of peers that are connected or being dialed. Each takes a thread and a
    /// descriptor, so it may be less if the system allows fewer.
    pub max_peers: usize,
    /// The longest time without a connected peer. Ten times as long without a block.
    pub patience: Duration,
    /// What each peer is offered beside the extensions that every session has.
    pub extensions: Vec<Arc<dyn Offer>>,
    /// Uploads to other peers.
    pub uploads: Arc<dyn Uploads>,
    /// Whether to download nothing, even if pieces are missing. A seed of a damaged copy uploads
    /// the pieces that are right, and leaves the others as they are.
    pub upload_only: bool,
    /// The port at which we listen; 0 if we do not.
    pub port: u16,
    /// The only address of this computer at which we listen; `None` for all.
    pub bind: Option<IpAddr>,
    /// The limit on blocks received, in bytes a second.
    pub download_rate: Rate,
    /// The limit on blocks sent, in bytes a second.
    pub upload_rate: Rate,
    /// The time without a block after which an event says why. If it is longer than `patience`, a
    /// download may end without one.
    pub silence: Duration,
    /// Set from outside to end early, as by Ctrl-C. Seen within a tenth of a second.
    pub stop: Arc<AtomicBool>,
    /// Shows the running download to others.
    pub watch: Arc<Watch>,
}

impl Plan {
    /// Creates a plan: TCP, 50 peers, 60 s of patience, 10 s of silence, no uploads, no limits, and
    /// no source or extension yet.
    pub fn new(names: impl Into<Names>, info: Option<Info>, peer_id: PeerId) -> Plan {
        Plan {
            names: names.into(),
            info,
            peer_id,
            sources: Vec::new(),
            later_sources: Box::new(|_| Vec::new()),
            dial: Arc::new(Tcp),
            max_peers: 50,
            patience: Duration::from_secs(60),
            extensions: Vec::new(),
            uploads: Arc::new(NoUploads),
            upload_only: false,
            port: 0,
            bind: None,
            download_rate: Rate::default(),
            upload_rate: Rate::default(),
            silence: Duration::from_secs(10),
            stop: Arc::default(),
            watch: Arc::default(),
        }
    }

    /// Sets the patience, and with it the silence. With little patience, the first event about a
    /// wait comes sooner: after a sixth of it, but not before 2 s. Otherwise the download may end
    /// first.
    pub fn wait_for(&mut self, patience: Duration) {
        self.patience = patience;
        // `clamp` panics if its bounds are the wrong way round, so the upper one is also 2 s or
        // more.
        self.silence =
            (patience / 6).clamp(Duration::from_secs(2), self.silence.max(Duration::from_secs(2)));
    }

    /// Returns the time after which a failed address or tracker is tried again, at first: 15 s, or
    /// a quarter of the patience if that is less, so that each gets a second chance while there is
    /// some left. Other pauses of the swarm follow from it.
    pub fn retry(&self) -> Duration {
        (self.patience / 4).min(Duration::from_secs(15))
    }
}
