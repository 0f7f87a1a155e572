//! What the checks of trackers share: peers to name, tiers, and requests as they came.

use std::net::SocketAddr;

use crate::actors::bencode::{bytes, dict, list};
use crate::actors::recording::Recording;
use crate::actors::torrent::Torrent;
use crate::actors::tracker::FakeTracker;
use crate::grade::check::Finding;
use crate::grade::dice::Dice;
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;
use crate::lab::announce::{ReceivedAnnounce, scraped};
use crate::lab::hints;
use crate::s02_metainfo::InfoHash;

/// Returns addresses to name. Their bytes are no text in UTF-8, none is white space, and a port is
/// another one if its bytes are swapped.
pub(super) fn peers(dice: &mut Dice, count: usize) -> Vec<SocketAddr> {
    let mut peers: Vec<SocketAddr> = Vec::new();
    while peers.len() < count {
        let mut byte = |low: u64, high: u64| dice.number(low, high) as u8;
        let ip = [byte(128, 191), byte(33, 254), byte(128, 254), byte(33, 126)];
        let port = u16::from_be_bytes([byte(33, 126), byte(128, 254)]);
        let peer = SocketAddr::from((ip, port));
        if !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    peers
}

/// Returns a .torrent file with these tiers, one URL each. Its `announce` is the first of them.
pub(super) fn with_tiers(torrent: &Torrent, urls: &[String]) -> Vec<u8> {
    let tiers: Vec<Vec<u8>> = urls.iter().map(|url| list(&[bytes(url)])).collect();
    let first = urls.first().map(String::as_str).unwrap_or_default();
    dict(&[
        ("announce", bytes(first)),
        ("announce-list", list(&tiers)),
        ("info", torrent.info.clone()),
    ])
}

/// Writes such a file; returns its absolute path as text.
pub(super) fn tiers_file(
    scene: &Scene,
    torrent: &Torrent,
    urls: &[String],
) -> Result<String, Miss> {
    scene.file("tiers.torrent", with_tiers(torrent, urls))
}

/// Returns the requests that a tracker got, at least one, with GET.
pub(super) fn was_asked(tracker: &FakeTracker, outcome: &Outcome) -> Result<Vec<String>, Miss> {
    let asked = tracker.asked();
    ensure(!asked.is_empty(), || {
        let what = format!("`{}` sent the tracker no request", outcome.arguments);
        outcome.with_last_words(Miss::new(what))
    })?;
    let got = |recording: &Recording| recording.from_client().starts_with(b"GET ");
    ensure(tracker.recordings().iter().any(got), || Miss::new("a tracker is asked with GET"))?;
    Ok(asked)
}

/// Returns the part of a request's target behind the `?`.
pub(super) fn query(target: &str) -> &str {
    target.split_once('?').map_or("", |(_, query)| query)
}

/// Reads an announce as a tracker does.
pub(super) fn announce(target: &str) -> Result<ReceivedAnnounce, Miss> {
    ReceivedAnnounce::decode(query(target))
        .map_err(|error| Miss::new(format!("the tracker cannot read the announce: {error}")))
}

/// Insists that a request, over HTTP, names this torrent and no other.
pub(super) fn names(target: &str, torrent: &Torrent, url: &str) -> Finding {
    // What is wrong with it, the recording shows: raw bytes, for one, are not even HTTP.
    let found = scraped(query(target)).map_err(|_| {
        Miss::new("the tracker cannot read the info hash")
            .instead("info_hash=, and 20 bytes, percent-encoded", excerpt(target))
    })?;
    match found.as_slice() {
        [hash] => same_torrent(*hash, torrent, url),
        _ => Err(Miss::new(format!("a request names {} torrents, and should one", found.len()))),
    }
}

/// Insists that this is the hash of the torrent, whose file names this tracker.
pub(super) fn same_torrent(found: InfoHash, torrent: &Torrent, url: &str) -> Finding {
    ensure(found.0 == torrent.info_hash, || {
        let wrong = hints::wrong_hashes(&torrent.info, Some(&torrent.file(Some(url))));
        Miss::new("the request names another torrent")
            .instead(torrent.hex(), found)
            .likely(hints::other_torrent(found, &wrong))
    })
}

/// Insists on these peers on stdout, a line each, in any order.
pub(super) fn prints(outcome: &Outcome, peers: &[SocketAddr]) -> Finding {
    let expected: Vec<String> = peers.iter().map(ToString::to_string).collect();
    // An IPv6 address can be written in several ways.
    let text = outcome.text();
    let lines = text.lines().map(|line| match line.parse::<SocketAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => line.to_owned(),
    });
    let lines: Vec<String> = lines.collect();
    let spelled = Outcome { stdout: lines.join("\n").into_bytes(), ..outcome.clone() };
    spelled.prints_in_any_order(&expected).map_err(|miss| match misread(peers, &lines) {
        Some(cause) => miss.likely(cause),
        None => miss,
    })
}

/// Returns the likely cause of wrong addresses.
fn misread(peers: &[SocketAddr], lines: &[String]) -> Option<&'static str> {
    let mut wrong = peers.iter().map(|peer| {
        let swapped = SocketAddr::new(peer.ip(), peer.port().swap_bytes());
        let backwards = match peer {
            SocketAddr::V4(v4) => {
                let [a, b, c, d] = v4.ip().octets();
                SocketAddr::from(([d, c, b, a], v4.port()))
            }
            SocketAddr::V6(_) => *peer,
        };
        [swapped, backwards]
            .map(|wrong| if wrong == *peer { None } else { Some(wrong.to_string()) })
    });
    let right = peers.iter().all(|peer| lines.contains(&peer.to_string()));
    let shown = |wrong: Option<String>| wrong.is_some_and(|wrong| lines.contains(&wrong));
    let sign = |line: &String| line.starts_with('-') || line.contains(".-") || line.contains(":-");
    if right {
        None
    } else if wrong.clone().any(|[swapped, _]| shown(swapped)) {
        Some("the high byte of a port comes first")
    } else if wrong.any(|[_, backwards]| shown(backwards)) {
        Some("the four bytes of an address come in the order in which they are written")
    } else if lines.iter().any(sign) {
        Some("bytes have no sign: they go from 0 to 255")
    } else {
        None
    }
}

/// Returns the start of a text, as much as a line has room for.
pub(super) fn excerpt(text: &str) -> String {
    let cut: String = text.chars().take(100).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut}{more}")
}
