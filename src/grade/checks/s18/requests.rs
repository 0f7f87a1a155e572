//! The packets that `peers` sends.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::book::{ANNOUNCE, Book};
use crate::actors::torrent::Torrent;
use crate::actors::udp_tracker::{Deed, FakeUdpTracker, action, answer, transaction};
use crate::grade::check::Finding;
use crate::grade::checks::trackers::{peers, prints, same_torrent, tiers_file};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;
use crate::lab::hints;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::Event;
use crate::s18_udp_tracker::packet::{Request, RequestBody};

/// A run of `peers` with one UDP tracker.
pub struct Asked {
    pub tracker: Arc<FakeUdpTracker>,
    pub torrent: Torrent,
    pub outcome: Outcome,
}

/// Runs `peers` with a tracker that does this; it must be sent a packet at least.
pub fn ask(
    scene: &mut Scene,
    deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static,
) -> Result<Asked, Miss> {
    let (torrent, tracker) = (scene.torrent(2), scene.udp_tracker(deeds)?);
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    let outcome = scene.run(&["peers", &file])?;
    was_asked(&tracker, &outcome)?;
    Ok(Asked { tracker, torrent, outcome })
}

/// Insists that a tracker got a packet.
pub fn was_asked(tracker: &FakeUdpTracker, outcome: &Outcome) -> Finding {
    ensure(!tracker.heard().is_empty(), || {
        let what = format!("`{}` sent the tracker no packet", outcome.arguments);
        outcome.with_last_words(Miss::new(what))
    })
}

/// Returns a book with a few peers, and these.
pub fn few(scene: &mut Scene) -> (Book, Vec<SocketAddr>) {
    let count = scene.dice.length(3, 8);
    let there = peers(&mut scene.dice, count);
    (Book::new(&mut scene.dice, &there), there)
}

pub fn peers_of(scene: &mut Scene) -> Finding {
    let (book, there) = few(scene);
    let asked = ask(scene, move |packet, _| book.deeds(packet))?;
    prints(&asked.outcome, &there)
}

pub fn transaction_ids(scene: &mut Scene) -> Finding {
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let (book, there) = few(scene);
        let asked = ask(scene, move |packet, _| book.deeds(packet))?;
        prints(&asked.outcome, &there)?;
        ids.extend(asked.tracker.heard().first().and_then(|packet| transaction(packet)));
    }
    ensure(ids.len() == 3, || {
        let same: Vec<String> = ids.iter().map(hex::encode).collect();
        Miss::new("three runs had the same transaction id")
            .instead("three random ones in the first packets", same.join(", "))
            .likely("choose it at random: whoever can guess it can answer in the tracker's name")
    })
}

pub fn fields(scene: &mut Scene) -> Finding {
    let (book, _) = few(scene);
    let Asked { tracker, torrent, outcome } = ask(scene, move |packet, _| book.deeds(packet))?;
    let announces: Vec<Vec<u8>> =
        tracker.heard().into_iter().filter(|packet| action(packet) == Some(1)).collect();
    ensure(!announces.is_empty(), || {
        let miss = Miss::new("no announce came, which has action 1");
        outcome.with_last_words(miss).likely("after the answer to connect comes the announce")
    })?;
    announces.iter().try_for_each(|packet| is_right(packet, &torrent, &tracker.url()))
}

/// Insists that all fields of an announce are right.
fn is_right(packet: &[u8], torrent: &Torrent, url: &str) -> Finding {
    ensure(packet.len() >= ANNOUNCE, || {
        Miss::new("an announce is too short")
            .instead(format!("{ANNOUNCE} bytes"), format!("{} bytes", packet.len()))
    })?;
    let request = Request::decode(packet).map_err(|error| {
        Miss::new(format!("the tracker cannot read the announce: {error}"))
            .detail(format!("it has {} bytes", packet.len()))
    })?;
    let RequestBody::Announce { announce: said, .. } = request.ask else { return Ok(()) };
    same_torrent(InfoHash(said.info_hash.0), torrent, url)?;
    let length = torrent.content.len() as u64;
    ensure((said.downloaded, said.left, said.uploaded) == (0, length, 0), || {
        let miss = Miss::new("bytes 56 to 79: downloaded, left, uploaded, 8 bytes each").instead(
            format!("0, {length}, 0"),
            format!("{}, {}, {}", said.downloaded, said.left, said.uploaded),
        );
        match said.left.swap_bytes() == length {
            true => miss.likely("all numbers are sent with their high byte first"),
            false => miss.likely("left is in the middle, and is the length of the content"),
        }
    })?;
    ensure(matches!(said.event, None | Some(Event::Started)), || {
        Miss::new("bytes 80 to 83, event, are wrong")
            .instead("2 (started), or 0", packet.get(83).map_or(0, |number| *number))
            .likely("0 none, 1 completed, 2 started, 3 stopped: not the order of events")
    })?;
    ensure(said.port != 0, || {
        Miss::new("bytes 96 and 97, port, are 0").likely("a client says at which port it listens")
    })?;
    match hints::reversed_port(said.port) {
        Some(what) => Err(Miss::new(format!("bytes 96 and 97: {what}"))),
        None => Ok(()),
    }
}

pub fn own_connection(scene: &mut Scene) -> Finding {
    let (first, _) = few(scene);
    let (second, there) = few(scene);
    let refuses = move |packet: &[u8], _: usize| match action(packet) {
        Some(1) => vec![Deed::Send(answer(packet, 3, b"this torrent is not registered here"))],
        _ => first.deeds(packet),
    };
    let first = scene.udp_tracker(refuses)?;
    let tracker = scene.udp_tracker(move |packet, _| second.deeds(packet))?;
    let torrent = scene.torrent(1);
    let file = tiers_file(scene, &torrent, &[first.url(), tracker.url()])?;
    let outcome = scene.run(&["peers", &file])?;
    was_asked(&tracker, &outcome).map_err(|miss| {
        miss.detail("it is the tracker of the second tier; the first answers with an error packet")
    })?;
    prints(&outcome, &there)
        .map_err(|miss| miss.likely("a connection id is good only at the tracker that gave it"))
}

pub fn mixed(scene: &mut Scene) -> Finding {
    let (book, there) = few(scene);
    let first = format!("http://{}/announce", scene.nobody()?);
    let tracker = scene.udp_tracker(move |packet, _| book.deeds(packet))?;
    let torrent = scene.torrent(1);
    let file = tiers_file(scene, &torrent, &[first, tracker.url()])?;
    let outcome = scene.run(&["peers", &file])?;
    was_asked(&tracker, &outcome).map_err(|miss| {
        miss.detail("it is the tracker of the second tier; nobody listens at the first")
            .likely("each URL's scheme says how its tracker is asked")
    })?;
    prints(&outcome, &there)
}
