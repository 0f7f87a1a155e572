//! Whom not to dial, as tables.

use super::super::support::Torrent;
use super::net::{Net, plan, run};
use piecemeal::s07_extension::BoxError;
use piecemeal::s11_swarm::Event;
use piecemeal::s11_swarm::addresses::Addresses;
use piecemeal::s11_swarm::manners::{MOST_VAIN, NamedBy, Reach, may_ask, refusal};
use piecemeal::s11_swarm::source::{Candidate, Finder, Linked, PeerSource};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

#[test]
fn how_far_away_an_address_is() {
    for (ip, reach) in [
        ("127.0.0.1", Reach::Machine),
        ("127.9.9.9", Reach::Machine),
        ("0.0.0.0", Reach::Machine),
        ("::1", Reach::Machine),
        ("::", Reach::Machine),
        ("::ffff:127.0.0.1", Reach::Machine),
        ("10.1.2.3", Reach::Network),
        ("172.16.0.1", Reach::Network),
        ("192.168.1.1", Reach::Network),
        ("169.254.169.254", Reach::Network),
        ("100.64.0.1", Reach::Network),
        ("fe80::1", Reach::Network),
        ("fd00::1", Reach::Network),
        ("::ffff:10.0.0.1", Reach::Network),
        ("192.0.2.1", Reach::Internet),
        ("172.32.0.1", Reach::Internet),
        ("2001:db8::1", Reach::Internet),
    ] {
        assert_eq!(Reach::of(ip.parse::<IpAddr>().expect("an address")), reach, "{ip}");
    }
}

#[test]
fn who_may_name_what() {
    let internet = || NamedBy::Tracker(Reach::Internet);
    let network = || NamedBy::Tracker(Reach::Network);
    let machine = || NamedBy::Tracker(Reach::Machine);
    for (address, may, may_not) in [
        ("127.0.0.1:22", vec![NamedBy::User], vec![NamedBy::Link, internet(), network(), machine()]),
        ("192.168.1.1:80", vec![NamedBy::User], vec![NamedBy::Link, internet(), network(), machine()]),
        ("127.0.0.1:6881", vec![NamedBy::User, NamedBy::Link, machine()], vec![internet(), network()]),
        ("192.168.1.1:6881", vec![NamedBy::User, NamedBy::Link, machine(), network()], vec![internet()]),
        ("192.0.2.1:443", vec![NamedBy::User, NamedBy::Link, machine(), network()], vec![internet()]),
        ("192.0.2.1:6881", vec![NamedBy::User, NamedBy::Link, machine(), network(), internet()], vec![]),
    ] {
        let address: SocketAddr = address.parse().expect("an address");
        for by in may {
            assert_eq!(refusal(address, &by), None, "{by:?} names {address}");
        }
        for by in may_not {
            assert!(refusal(address, &by).is_some(), "{by:?} names {address}");
        }
    }
}

#[test]
fn how_far_away_a_tracker_is() {
    for (urls, reach) in [
        (&["http://127.0.0.1:8000/announce"][..], Reach::Machine),
        (&["udp://[::1]:8000"], Reach::Machine),
        (&["http://someone:secret@127.0.0.1/announce"], Reach::Machine),
        (&["https://192.168.0.9/announce?x=1"], Reach::Network),
        (&["udp://192.0.2.1:80/announce"], Reach::Internet),
        // Any of them may have answered.
        (&["http://127.0.0.1:8000/announce", "http://192.0.2.1/announce"], Reach::Internet),
        (&["http://no.such.host.invalid/announce"], Reach::Network),
        (&["fake://192.0.2.1"], Reach::Network),
    ] {
        let urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
        assert_eq!(Reach::of_trackers(&urls), reach, "{urls:?}");
    }
}

#[test]
fn a_tracker_on_this_machine_is_asked_only_for_what_trackers_are_asked_for() {
    for url in [
        "http://127.0.0.1:6969/announce",
        "http://localhost:6969/announce.php?passkey=x",
        "http://[::1]:6969/x/announce",
        "http://127.0.0.1/announce/secret",
        "udp://127.0.0.1:6969",
        "http://192.0.2.1/anything",
        "http://tracker.example/",
    ] {
        assert!(may_ask(url), "{url}");
    }
    for url in [
        "HTTP://127.0.0.1/shutdown",
        "http://127.0.0.1:8080/shutdown",
        "http://127.0.0.1:8080",
        "http://LOCALHOST/admin?x=/announce",
        "http://[::1]:80/",
        "http://user@127.0.0.2/x",
    ] {
        assert!(!may_ask(url), "{url}");
    }
}

/// Names services of this machine in a tracker's name, and one peer.
struct Meddler(SocketAddr);

impl PeerSource for Meddler {
    fn name(&self) -> String {
        "a meddler".to_owned()
    }

    fn named_by(&self) -> Box<dyn Fn() -> NamedBy + Send> {
        Box::new(|| NamedBy::Tracker(Reach::Network))
    }

    fn run(self: Box<Self>, finder: Finder) -> Result<(), BoxError> {
        let services = ["127.0.0.1:22", "127.0.0.1:6379", "192.168.1.1:80"].map(|address| address.parse().expect("an address"));
        finder.found(services.into_iter().chain([self.0]).map(Candidate::Dial).collect());
        Ok(())
    }
}

#[test]
fn services_that_a_tracker_or_a_link_names_are_not_dialled_and_the_user_hears_of_it() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let peer = net.seed(1, &torrent, 0..5);
    let mut plan = plan(&net, &torrent, &[]);
    plan.sources = vec![Box::new(Meddler(peer)), Box::new(Linked("127.0.0.1:25".to_owned()))];
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
        book.ended(address, answers == Some(address.port()), false);
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
        book.found(at(port));
    });
    book.found(elsewhere);
    let dialled = dial_all(&mut book, None);
    assert!(dialled as u32 <= MOST_VAIN + 1, "{dialled} were dialled");
    book.found(at(3000));
    assert_eq!(dial_all(&mut book, None), 0, "no more of it");
    // Somebody from there has come, and is still here: also those that were given up may be dialled.
    book.answered(at(50_000).ip());
    book.found(at(3001));
    book.found(at(2199));
    assert_eq!(dial_all(&mut book, None), 2);
    // A swarm on one address: there is a peer at one of the first ports, and so all are tried.
    let mut book = Addresses::new(retry);
    (2000..2100).for_each(|port| {
        book.found(at(port));
    });
    assert_eq!(dial_all(&mut book, Some(2010)), 100);
}
