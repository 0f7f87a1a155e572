//! How much of what peers say gets into the address book. There is no swarm here: the addresses come
//! out of the source.

use super::fakes::{LIMIT, Sources};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s07_extension::extension::{Extension, Reply};
use piecemeal::s13_peer_sources::source::SourceReport;
use piecemeal::s13_peer_sources::start;
use piecemeal::s19_pex::message::{PexFlags, PexMessage};
use piecemeal::s19_pex::{Gossip, MAX_NAMED, MIN_INTERVAL, PexSource, UtPex};
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn at(text: &str) -> SocketAddr {
    text.parse().expect("it is an address")
}

/// The address with this number.
fn address(number: u32) -> SocketAddr {
    SocketAddr::from(((198 << 24 | 18 << 16 | number).to_be_bytes(), 6881))
}

fn naming(addresses: &[SocketAddr]) -> Vec<u8> {
    let added = addresses.iter().map(|address| (*address, PexFlags::default())).collect();
    PexMessage { added, ..PexMessage::default() }.encode()
}

/// Peer exchange that runs, and what its source reports.
struct Ear {
    gossip: Arc<Gossip>,
    reports: Receiver<SourceReport>,
    /// Told to stop when it is dropped.
    sources: Sources,
}

impl Ear {
    fn new() -> Ear {
        let (gossip, mut sources) = (Gossip::new(Vec::new), Sources::new());
        let (sender, reports) = mpsc::channel();
        let sender = Mutex::new(sender);
        sources.host.report =
            Arc::new(move |report| sender.lock().expect("no reporter panics").send(report).is_ok());
        let source = PexSource::new(Arc::clone(&gossip));
        let ear = Ear { gossip, reports, sources };
        // A peer may speak before the source's thread runs.
        assert_eq!(ear.hears("203.0.113.1:1", &[address(0)]), []);
        start(Box::new(source), 0, &ear.sources.host);
        assert_eq!(ear.next(found_in), [address(0)]);
        ear
    }

    /// What `fits` picks out of the next report in which it finds something.
    fn next<T>(&self, fits: impl Fn(SourceReport) -> Option<T>) -> T {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let report = self.reports.recv_timeout(left).expect("a report that fits");
            if let Some(found) = fits(report) {
                return found;
            }
        }
    }

    /// A new connection to this peer.
    fn peer(&self, peer: &str) -> UtPex {
        UtPex::new(Arc::clone(&self.gossip), at(peer), PeerId([7; 20]))
    }

    /// What gets into the address book because this peer connects, and names these.
    fn hears(&self, peer: &str, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut reply = Reply::default();
        let heard = self.peer(peer).message(&naming(addresses), &mut reply);
        heard.expect("nothing that a peer names is a reason to hang up");
        assert_eq!(reply, Reply::default(), "all is well with it");
        self.found()
    }

    /// What has come out of the source since. It is reported before the message is done with.
    fn found(&self) -> Vec<SocketAddr> {
        self.reports.try_iter().filter_map(found_in).flatten().collect()
    }
}

/// The addresses in a report.
fn found_in(report: SourceReport) -> Option<Vec<SocketAddr>> {
    match report {
        SourceReport::Found { addresses, .. } => Some(addresses),
        _ => None,
    }
}

#[test]
fn an_ip_can_name_a_hundred_addresses_however_often_it_connects() {
    let ear = Ear::new();
    let crowd: Vec<SocketAddr> = (1..400).map(address).collect();
    assert_eq!(MAX_NAMED, 100);
    assert_eq!(ear.hears("192.0.2.1:1", &crowd[..60]), crowd[..60]);
    assert_eq!(ear.hears("192.0.2.1:2", &crowd[60..120]), crowd[60..100]);
    assert_eq!(ear.hears("192.0.2.1:1", &crowd[120..180]), []);
    // The same IP, as a socket for both families shows it.
    assert_eq!(ear.hears("[::ffff:192.0.2.1]:1", &crowd[180..181]), []);
    // Others are not affected. What is an IP in the old family is a network in the new one.
    assert_eq!(ear.hears("192.0.2.2:1", &crowd[120..320]), crowd[120..220]);
    assert_eq!(ear.hears("[2001:db8::1]:1", &crowd[..60]), crowd[..60]);
    assert_eq!(ear.hears("[2001:db8::2]:1", &crowd[60..120]), crowd[60..100]);
    assert_eq!(ear.hears("[2001:db8:0:1::1]:1", &crowd[..60]), crowd[..60]);
}

#[test]
fn a_thousand_ips_are_listened_to_and_no_more_are_counted() {
    let ear = Ear::new();
    let from = |number: u32| format!("10.0.{}.{}:1", number >> 8, number & 0xff);
    // One has been heard already.
    for number in 1..1_000 {
        assert_eq!(ear.hears(&from(number), &[address(number)]), [address(number)]);
    }
    assert_eq!(ear.hears(&from(1_000), &[address(7)]), []);
    assert_eq!(ear.hears(&from(999), &[address(7)]), [address(7)], "it has said little so far");
}

#[test]
fn a_message_that_comes_too_soon_is_passed_over_and_a_later_one_is_read() {
    let (ear, start) = (Ear::new(), Instant::now());
    let mut pex = ear.peer("192.0.2.1:1");
    let mut read = |number, time| {
        let mut reply = Reply::default();
        let addresses = pex.read(&naming(&[address(number)]), start + time, &mut reply);
        (addresses, reply.passed_over)
    };
    let too_soon = "a ut_pex message came less than 30 s after the one before it".to_owned();
    let moment = Duration::from_millis(1);
    assert_eq!(MIN_INTERVAL, Duration::from_secs(30));
    assert_eq!(read(1, Duration::ZERO), (vec![address(1)], vec![]));
    assert_eq!(read(2, moment), (vec![], vec![too_soon.clone()]));
    assert_eq!(read(3, MIN_INTERVAL - moment), (vec![], vec![too_soon]));
    // One that was not read does not put off the next.
    assert_eq!(read(4, MIN_INTERVAL), (vec![address(4)], vec![]));
}

#[test]
fn a_message_that_is_not_bencode_is_passed_over_and_counts_as_one() {
    let (ear, start) = (Ear::new(), Instant::now());
    let (mut pex, mut reply) = (ear.peer("192.0.2.1:1"), Reply::default());
    assert_eq!(pex.read(b"junk", start, &mut reply), []);
    assert_eq!(pex.read(&naming(&[address(1)]), start, &mut reply), []);
    let [junk, soon] = &reply.passed_over[..] else { panic!("{:?}", reply.passed_over) };
    assert!(junk.contains("a ut_pex message is not bencode: byte 0"), "{junk}");
    assert!(soon.contains("less than 30 s"), "{soon}");
}

#[test]
fn an_address_that_is_added_and_dropped_at_once_is_an_address() {
    let (ear, mut reply) = (Ear::new(), Reply::default());
    let message = PexMessage {
        added: vec![(address(1), PexFlags::default()), (address(1), PexFlags::SEED)],
        dropped: vec![address(1), address(2)],
        ..PexMessage::default()
    };
    let heard = ear.peer("192.0.2.1:1").message(&message.encode(), &mut reply);
    assert!(heard.is_ok() && reply == Reply::default(), "{reply:?}");
    // The address book takes the second one for the first.
    assert_eq!(ear.found(), [address(1), address(1)]);
}

#[test]
fn nothing_is_heard_after_the_end() {
    let ear = Ear::new();
    ear.sources.host.signals.stop();
    ear.next(|report| matches!(report, SourceReport::Gone(0)).then_some(()));
    assert_eq!(ear.hears("192.0.2.1:1", &[address(1)]), []);
}
