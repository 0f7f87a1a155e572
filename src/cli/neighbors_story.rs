//! Whom we hear on the local network, told line by line as they come. (stage 20)

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s13_peer_sources::signals::Signals;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHost, SourceReport};
use piecemeal::s13_peer_sources::start;
use piecemeal::s20_lsd::LocalDiscovery;
use piecemeal::s20_lsd::room::Room;
use serde_json::json;

use super::exit_codes::NO_PEER;
use super::failure::Failure;
use super::{Answer, Options, print_line};

/// Asks each room for peers of a torrent, and tells who answers until the deadline.
pub fn tell(
    rooms: Vec<Box<dyn Room>>,
    (info_hash, port): (InfoHash, u16),
    deadline: Instant,
    options: &Options,
) -> Result<Answer, Failure> {
    let mut running = rooms.len();
    let (signals, reports) = start_all(rooms, info_hash, port);
    let (mut heard, mut failed): (Vec<String>, _) = (Vec::new(), None);
    while running > 0 {
        match reports.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(SourceReport::Found { addresses, .. }) => {
                for peer in addresses.iter().map(ToString::to_string) {
                    if heard.contains(&peer) {
                        continue;
                    }
                    // At once: more may come, but one may be all that is wanted.
                    if !options.json {
                        print_line(&peer);
                    }
                    heard.push(peer);
                }
            }
            Ok(SourceReport::Said { what, failed: true, .. }) => failed = Some(what),
            Ok(SourceReport::Said { what, .. }) => options.narrator().say(20, what),
            Ok(SourceReport::Gone(_)) => running -= 1,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    signals.stop();
    if heard.is_empty() {
        return Err(nobody(failed));
    }
    Ok(Answer { text: String::new(), json: json!({ "peers": heard }) })
}

/// Starts a source for each room. They report until they are told to stop.
fn start_all(
    rooms: Vec<Box<dyn Room>>,
    info_hash: InfoHash,
    port: u16,
) -> (Arc<Signals>, Receiver<SourceReport>) {
    let (sender, reports) = mpsc::channel();
    let host = SourceHost {
        signals: Arc::default(),
        counters: Arc::default(),
        // Nobody is dialed, and nobody can dial us.
        handshake: Arc::new(move || Handshake::new(info_hash, PeerId::random())),
        names: info_hash.into(),
        max_handshakes: 0,
        report: Arc::new(move |report| sender.send(report).is_ok()),
        hands: None,
    };
    for (number, room) in rooms.into_iter().enumerate() {
        let source = LocalDiscovery::new(room, info_hash, port);
        start(Box::new(source) as Box<dyn PeerSource>, number, &host);
    }
    (host.signals, reports)
}

/// What to say when nobody was heard. A datagram that could not be sent is the better reason.
fn nobody(failed: Option<String>) -> Failure {
    let (what, help) = match failed {
        Some(why) => (why, "connect this computer to a network, or choose one with --bind IP"),
        None => (
            "no peers: nobody on the local network names this torrent".to_owned(),
            "ours answer once a minute, and other clients announce themselves every 5 minutes: wait longer, with --timeout 310; some networks pass no multicast on",
        ),
    };
    Failure::new(NO_PEER, what).help(help).see("20-lsd")
}
