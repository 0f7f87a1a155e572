//! The announcers for a torrent or a link: one for each tier of trackers. (stage 13)

use std::sync::Arc;
use std::time::Duration;

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s03_tracker::reach::first_urls;
use piecemeal::s13_peer_sources::announcer::Announcer;
use piecemeal::s13_peer_sources::source::PeerSource;

use super::Options;
use super::exit_codes::TRACKER;
use super::failure::Failure;
use super::find_peers::{tell_asking, trackers};

/// What an announce says of us.
pub struct Ourselves {
    pub info_hash: InfoHash,
    pub peer_id: PeerId,
    /// Where we listen; 0 if we do not.
    pub port: u16,
    /// Whether we only give, and so need no peers.
    pub gives: bool,
    /// Pause after the first failure of a tier.
    pub retry: Duration,
}

/// Makes an announcer for each tier.
pub fn announcers(
    tiers: Vec<Vec<String>>,
    we: &Ourselves,
    options: &Options,
) -> Vec<Box<dyn PeerSource>> {
    let trackers = trackers();
    let announcer = |urls: Vec<String>| {
        tell_asking(&urls, we.gives, options.narrator());
        let announcer =
            Announcer::new(urls, Arc::clone(&trackers), we.info_hash, we.peer_id, we.retry);
        Box::new(announcer.at_port(we.port)) as Box<dyn PeerSource>
    };
    first_urls(tiers).map(announcer).collect()
}

/// What to say when there is none.
pub fn no_tracker(of_link: bool) -> Failure {
    let cut = "put the link in quotes, if it goes on with &: the shell cuts it there; or try another link";
    let help = if of_link { cut } else { "only a tracker takes announces: try another torrent" };
    Failure::new(TRACKER, "there is nobody to announce to: no tracker is named")
        .help(help)
        .see("13-peer-sources")
}
