//! Whom not to dial, as tables.

use super::super::support::Torrent;
use super::net::{Net, plan, run};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::reach::{NamedBy, Reach};
use piecemeal::s07_extension::BoxError;
use piecemeal::s13_peer_sources::source::{Finder, Linked, PeerSource};
use piecemeal::s14_peer_list::addresses::Addresses;
use piecemeal::s14_peer_list::manners::MOST_VAIN;
use piecemeal::s15_swarm::Event;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Names services of this machine in a tracker's name, and one peer.
struct Meddler(SocketAddr);

impl PeerSource for Meddler {
    fn name(&self) -> String {
        "a meddler".to_owned()
    }

    fn run(self: Box<Self>, finder: Finder) -> Result<(), BoxError> {
        let services = ["127.0.0.1:22", "127.0.0.1:6379", "192.168.1.1:80"].map(|address| address.parse().expect("an address"));
        finder.found(NamedBy::Tracker(Reach::Network), services.into_iter().chain([self.0]).collect());
        Ok(())
    }
}

#[test]
fn services_that_a_tracker_or_a_link_names_are_not_dialled_and_the_user_hears_of_it() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let peer = net.seed(1, &torrent, 0..5);
    let mut plan = plan(&net, &torrent, &[]);
    plan.sources = vec![Box::new(Meddler(peer)), Box::new(Linked("127.0.0.1:25".to_owned(), InfoHash(torrent.info_hash)))];
    let ran = run(&net, plan, &torrent);
    ran.is_complete(&torrent);
    for service in ["127.0.0.1:22", "127.0.0.1:6379", "192.168.1.1:80", "127.0.0.1:25"] {
        assert_eq!(net.dials(service.parse().expect("an address")), 0, "{service}");
    }
    let said = |words: &str| ran.events.iter().any(|event| matches!(event, Event::Source { what, .. } if what.contains(words)));
    assert!(said("3 peers not dialled, for one 127.0.0.1:22: a port below 1024"), "{:?}", ran.told());
    assert_eq!(net.dials(peer), 1);
}

/// Dials all that is due, and none of it answers; returns how many that were.
fn dial_all(book: &mut Addresses, answers: Option<u16>) -> usize {
    let mut dialled = 0;
    while let Some(address) = book.next(Instant::now()) {
        dialled += 1;
        book.ended(address, answers == Some(address.port()), false, Instant::now());
    }
    dialled
}

#[test]
fn an_address_with_many_ports_and_nobody_at_any_is_left_alone() {
    let at = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
    let elsewhere: SocketAddr = "192.0.2.2:6881".parse().expect("an address");
    let retry = Duration::from_secs(3600);
    let mut book = Addresses::new(retry);
    (2000..2200).for_each(|port| {
        book.found(at(port), Instant::now());
    });
    book.found(elsewhere, Instant::now());
    let dialled = dial_all(&mut book, None);
    assert!(dialled as u32 <= MOST_VAIN + 1, "{dialled} were dialled");
    book.found(at(3000), Instant::now());
    assert_eq!(dial_all(&mut book, None), 0, "no more of it");
    // Somebody from there has come, and is still here: also those that were given up may be dialled.
    book.answered(at(50_000).ip());
    book.found(at(3001), Instant::now());
    book.found(at(2199), Instant::now());
    assert_eq!(dial_all(&mut book, None), 2);
    // A swarm on one address: there is a peer at one of the first ports, and so all are tried.
    let mut book = Addresses::new(retry);
    (2000..2100).for_each(|port| {
        book.found(at(port), Instant::now());
    });
    assert_eq!(dial_all(&mut book, Some(2010)), 100);
}
