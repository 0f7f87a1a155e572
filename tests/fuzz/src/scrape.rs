//! Asking a tracker over HTTP: the URL that is asked, and what becomes of the answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use piecemeal::s01_bencode::Value;
use piecemeal::s01_bencode::forgiving::{PassedOver, decode_first_keys};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::http::{Fetched, Get, announce_with};
use piecemeal::s03_tracker::reach::Reach;
use piecemeal::s03_tracker::{AnnounceRequest, LIMITS, PeerId};
use piecemeal::s18_udp_tracker::UdpTracker;
use piecemeal::s18_udp_tracker::scrape::scrape_with;

use super::{is_printable, parted};

/// The torrent that is asked for.
const INFO_HASH: InfoHash = InfoHash(*b"aaaaaaaaaaaaaaaaaaaa");

/// The input is an announce URL and the body of an answer.
pub fn check(input: &[u8]) {
    let (url, body) = parted(input);
    let Ok(url) = std::str::from_utf8(url) else { return };
    // This one would leave the process.
    if url.to_ascii_lowercase().starts_with("udp") {
        return;
    }
    let status = if input.len().is_multiple_of(5) { 404 } else { 200 };
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (noted, answer) = (Arc::clone(&asked), body.to_vec());
    let get: Box<Get> = Box::new(move |url, _| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(url.to_owned());
        Ok(Fetched { status, body: answer.clone(), from: Reach::Internet })
    });
    let now = Instant::now();
    match scrape_with(&*get, &UdpTracker::default(), url, INFO_HASH, now) {
        Ok(counts) => {
            // Of two equal keys the first counts.
            let top = decode_first_keys(body, LIMITS, &mut PassedOver::default())
                .expect("an answer is bencode");
            let files = top.get("files").and_then(Value::dictionary).expect("and has files");
            let ours = files.iter().find(|(key, _)| *key == INFO_HASH.0).map(|(_, counts)| counts);
            let count = |key| {
                ours.and_then(|counts| counts.get(key)).and_then(Value::unsigned).unwrap_or(0)
            };
            let expected = [count("complete"), count("downloaded"), count("incomplete")];
            assert_eq!([counts.seeders, counts.downloads, counts.leechers], expected);
        }
        Err(error) => is_printable(error),
    }
    match announce_with(&*get, url, &AnnounceRequest::new(INFO_HASH, PeerId([b'b'; 20]), 1), now) {
        Ok(answer) => assert!(status == 200 && answer.peers.iter().all(|peer| peer.port() != 0)),
        Err(error) => is_printable(error),
    }
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    let hash = "info_hash=aaaaaaaaaaaaaaaaaaaa";
    assert!(
        asked.len() <= 2 && asked.iter().all(|asked| asked.contains(hash) && !asked.contains('#')),
        "{asked:?}"
    );
}
