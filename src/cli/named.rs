//! Whom a torrent or a magnet link names. (stage 15)

/// Whom a torrent or a link names.
#[derive(Default)]
pub struct Named {
    /// Its trackers.
    pub tiers: Vec<Vec<String>>,
    /// Peers that a link names.
    pub linked: Vec<String>,
    /// Nodes of the DHT that a torrent names.
    pub nodes: Vec<(String, u16)>,
}
