//! Whom not to dial.

use super::super::support::Torrent;
use super::net::{Net, plan, run};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::reach::{NamedBy, Reach};
use piecemeal::s07_extension::BoxError;
use piecemeal::s13_peer_sources::source::{Linked, PeerSource, SourceHandle};
use piecemeal::s15_swarm::Event;
use std::net::SocketAddr;

/// Names services of this machine in a tracker's name, and one peer.
struct Meddler(SocketAddr);

impl PeerSource for Meddler {
    fn name(&self) -> String {
        "a meddler".to_owned()
    }

    fn run(self: Box<Self>, finder: SourceHandle) -> Result<(), BoxError> {
        let services = ["127.0.0.1:22", "127.0.0.1:6379", "192.168.1.1:80"]
            .map(|address| address.parse().expect("an address"));
        finder.found(
            NamedBy::Tracker(Reach::Network),
            services.into_iter().chain([self.0]).collect(),
        );
        Ok(())
    }
}

#[test]
fn services_that_a_tracker_or_a_link_names_are_not_dialed_and_the_user_hears_of_it() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let peer = net.seed(1, &torrent, 0..5);
    let mut plan = plan(&net, &torrent, &[]);
    plan.sources = vec![
        Box::new(Meddler(peer)),
        Box::new(Linked("127.0.0.1:25".to_owned(), InfoHash(torrent.info_hash))),
    ];
    let ran = run(&net, plan, &torrent);
    ran.is_complete(&torrent);
    for service in ["127.0.0.1:22", "127.0.0.1:6379", "192.168.1.1:80", "127.0.0.1:25"] {
        assert_eq!(net.dials(service.parse().expect("an address")), 0, "{service}");
    }
    let said = |words: &str| {
        ran.events
            .iter()
            .any(|event| matches!(event, Event::Source { what, .. } if what.contains(words)))
    };
    assert!(
        said("3 peers not dialed, for one 127.0.0.1:22: a port below 1024"),
        "{:?}",
        ran.told()
    );
    assert_eq!(net.dials(peer), 1);
}
