//! The announcers for a torrent or a link: one for each tier of trackers. (stage 13)

use std::sync::Arc;
use std::time::Duration;

use piecemeal::s02_metainfo::{InfoHash, Names};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s03_tracker::reach::first_urls;
use piecemeal::s13_peer_sources::announcer::Announcer;
use piecemeal::s13_peer_sources::source::PeerSource;

use super::Options;
use super::exit_codes::TRACKER;
use super::failure::Failure;
use super::find_peers::{tell_asking, trackers};

/// What an announce says of us.
#[derive(Clone)]
pub struct Ourselves {
    /// The torrent. Each name that it has is announced, as if it were a torrent of its own.
    pub names: Names,
    pub peer_id: PeerId,
    /// Where we listen; 0 if we do not.
    pub port: u16,
    /// Whether we only give, and so need no peers.
    pub gives: bool,
    /// Pause after the first failure of a tier.
    pub retry: Duration,
}

/// Makes an announcer for each tier and each name.
pub fn announcers(
    tiers: Vec<Vec<String>>,
    we: &Ourselves,
    options: &Options,
) -> Vec<Box<dyn PeerSource>> {
    let trackers = trackers();
    let (peer_id, retry, port) = (we.peer_id, we.retry, we.port);
    let of_tier = |urls: Vec<String>| {
        tell_asking(&urls, we.gives, options.narrator());
        let announcer = |name: InfoHash| -> Box<dyn PeerSource> {
            let (urls, trackers) = (urls.clone(), Arc::clone(&trackers));
            Box::new(Announcer::new(urls, trackers, name, peer_id, retry).at_port(port))
        };
        we.names.all().map(announcer).collect::<Vec<_>>()
    };
    first_urls(tiers).flat_map(of_tier).collect()
}

/// What to say when there is none.
pub fn no_tracker(of_link: bool) -> Failure {
    let cut = "put the link in quotes, if it goes on with &: the shell cuts it there; or try another link";
    let help = if of_link { cut } else { "only a tracker takes announces: try another torrent" };
    Failure::new(TRACKER, "there is nobody to announce to: no tracker is named")
        .help(help)
        .see("13-peer-sources")
}
