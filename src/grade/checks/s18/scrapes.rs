//! `scrape TORRENT`: how many have it, over UDP and over HTTP.

use super::requests::{few, was_asked as was_sent};
use crate::actors::bencode::{bytes, dict, int};
use crate::actors::tracker::Reply;
use crate::grade::check::Finding;
use crate::grade::checks::trackers::{excerpt, names, was_asked};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

pub fn udp(scene: &mut Scene) -> Finding {
    let (book, _) = few(scene);
    let [seeders, downloads, leechers] = book.counts;
    let tracker = scene.udp_tracker(move |packet, _| book.deeds(packet))?;
    let torrent = scene.torrent(1);
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    let outcome = scene.run(&["scrape", &file])?;
    was_sent(&tracker, &outcome)?;
    counts(&outcome, &tracker.url(), [seeders, leechers, downloads])?;
    let heard = tracker.heard();
    let asked = heard.iter().find(|packet| packet.get(8..12) == Some(&[0, 0, 0, 2]));
    ensure(asked.is_some_and(|packet| packet.get(16..36) == Some(&torrent.info_hash)), || {
        Miss::new("the scrape does not name the torrent: its 20 bytes are at 16 to 35")
    })
}

pub fn http(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(1);
    let mut some = || scene.dice.number(2, 90_000) as u32;
    let [seeders, leechers, downloads] = [some(), some(), some()];
    let of = |seeders: u32, downloads: u32, leechers: u32| {
        dict(&[
            ("complete", int(seeders.into())),
            ("downloaded", int(downloads.into())),
            ("incomplete", int(leechers.into())),
        ])
    };
    // Another torrent comes first: a tracker may list more than it was asked for.
    let mut other = torrent.info_hash;
    other[0] = other[0].wrapping_sub(1);
    let mut files = [
        (other, of(some(), some(), some())),
        (torrent.info_hash, of(seeders, downloads, leechers)),
    ];
    files.sort();
    let files: Vec<u8> =
        files.iter().flat_map(|(hash, counts)| [bytes(hash), counts.clone()].concat()).collect();
    let answer = dict(&[("files", [b"d", &files[..], b"e"].concat())]);
    let tracker = scene.tracker(move |target, _| match target.split('?').next() {
        Some("/scrape") => Reply::Body(answer.clone()),
        _ => Reply::Status(404, b"not found".to_vec()),
    })?;
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    let outcome = scene.run(&["scrape", &file])?;
    for target in was_asked(&tracker, &outcome)? {
        ensure(target.starts_with("/scrape"), || {
            Miss::new("this is not the URL for a scrape")
                .instead("/scrape?info_hash=…", excerpt(&target))
                .likely("in the last part of the announce URL's path, announce becomes scrape")
        })?;
        names(&target, &torrent, &tracker.url())?;
    }
    counts(&outcome, &tracker.url(), [seeders, leechers, downloads])
}

pub fn no_url(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(1);
    let tracker = scene.tracker(|_, _| Reply::Status(404, b"not found".to_vec()))?;
    let url = format!("http://{}/{}.php", tracker.address(), scene.dice.word(6));
    let file = scene.torrent_file(&torrent, &url)?;
    scene.run(&["scrape", &file])?.refuses()
}

/// Insists on a line for this tracker: the URL, then seeders, leechers and downloads.
fn counts(outcome: &Outcome, url: &str, expected: [u32; 3]) -> Finding {
    outcome.succeeds()?;
    let text = outcome.text();
    let [seeders, leechers, downloads] = expected;
    let line = format!("{url}: {seeders} seeders, {leechers} leechers, {downloads} downloads");
    let found = text.lines().find_map(|line| line.split_once(url)).map(|(_, behind)| behind);
    let numbers: Vec<u32> = found
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    ensure(numbers == expected, || {
        let miss = Miss::new("the counts on stdout are wrong")
            .instead(&line, excerpt(text.lines().next().unwrap_or("nothing")));
        let mut sorted = [numbers.clone(), expected.to_vec()];
        sorted.iter_mut().for_each(|numbers| numbers.sort_unstable());
        let [found, right] = sorted;
        if found == right {
            miss.likely(
                "over UDP the order is seeders, downloads, leechers; over HTTP the keys are complete, downloaded, incomplete",
            )
        } else if url.starts_with("http") {
            miss.likely(
                "files has a key for each torrent, the 20 raw bytes of its hash: look up yours",
            )
        } else {
            miss.likely("an answer has 8 bytes, and then three numbers of 4 bytes")
        }
    })?;
    outcome.prints(&line)
}
