//! Counts, over UDP and over HTTP.

use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::TrackerError;
use piecemeal::s18_udp_tracker::UdpTracker;
use piecemeal::s18_udp_tracker::packet::ScrapeCounts;
use piecemeal::s18_udp_tracker::scrape::scrape;

use super::trouble::SHORT;
use crate::support::bencode::{bytes, dict, int};
use crate::support::udp_tracker::{ID, action, answer, good, transaction};
use crate::support::{Deed, FakeTracker, FakeUdpTracker, Reply, assert_wire, within};

const HASH: &[u8; 20] =
    b"\xd6\x9f\x91\xe6\xb2\xae\x4c\x54\x24\x68\xd1\x07\x3a\x71\xd4\xea\x13\x87\x9a\x7f";
const QUERY: &str = "info_hash=%D6%9F%91%E6%B2%AELT%24h%D1%07%3Aq%D4%EA%13%87%9A%7F";

#[track_caller]
fn ask(url: &str, time: Duration) -> Result<ScrapeCounts, TrackerError> {
    let (url, until) = (url.to_owned(), Instant::now() + time);
    within(time + Duration::from_secs(60), move || {
        scrape(&UdpTracker::default(), &url, InfoHash(*HASH), until)
    })
}

const PLENTY: Duration = Duration::from_secs(60);

/// A scrape's answer with one torrent in it.
fn files(hash: &[u8], counts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    dict(&[("files", [&b"d"[..], &bytes(hash), &dict(counts), b"e"].concat())])
}

fn five() -> Vec<u8> {
    files(HASH, &[("complete", int(5)), ("downloaded", int(7)), ("incomplete", int(1))])
}

#[test]
fn over_udp_it_is_action_2() {
    let tracker = FakeUdpTracker::knowing(&[]);
    let counts = ask(&tracker.url(), PLENTY).expect("it answers");
    assert_eq!(counts, ScrapeCounts { seeders: 5, downloads: 7, leechers: 1 });
    let heard = tracker.heard();
    assert_eq!(tracker.actions(), [0, 2]);
    let scrape = [&ID[..], b"\0\0\0\x02", &transaction(&heard[1]), HASH].concat();
    assert_wire(&heard[1], &scrape, "BEP 15, packets");
}

#[test]
fn an_answer_for_another_number_of_torrents_is_not_taken() {
    for count in [0, 2] {
        let tracker = FakeUdpTracker::start(move |packet, _| {
            vec![Deed::Send(if action(packet) == 2 {
                answer(packet, 2, &vec![0; 12 * count])
            } else {
                good(packet, &[])
            })]
        });
        let error = ask(&tracker.url(), SHORT).expect_err("one torrent was asked for").to_string();
        assert!(error.contains("another kind of request"), "{error}");
    }
}

#[test]
fn over_http_it_is_another_url_and_a_dictionary_by_raw_bytes() {
    let tracker = FakeTracker::saying(Reply::Body(five()));
    let counts = ask(&tracker.url(), PLENTY).expect("it answers");
    assert_eq!(counts, ScrapeCounts { seeders: 5, downloads: 7, leechers: 1 });
    assert_eq!(tracker.asked(), [format!("/scrape?{QUERY}")]);
}

#[test]
fn the_scrape_url_is_made_by_the_convention() {
    // The specification's own examples.
    let table = [
        ("/announce", Some("/scrape?")),
        ("/x/announce", Some("/x/scrape?")),
        ("/announce.php", Some("/scrape.php?")),
        ("/a", None),
        ("/announce?x2%0644", Some("/scrape?x2%0644&")),
        ("/announce?x=2/4", None),
        ("/x%064announce", None),
        ("/x/announce?key=1#top", Some("/x/scrape?key=1&")),
        ("/announce/", None),
        ("/Announce", None),
        ("/announce?x=/announce", None),
        ("?/announce", None),
        ("", None),
    ];
    let urls = table.map(|(path, expected)| (format!("http://HOST{path}"), expected));
    // Not the path, but what is before it.
    for (url, expected) in urls.into_iter().chain([("http://announce@HOST".to_owned(), None)]) {
        let tracker = FakeTracker::saying(Reply::Body(five()));
        let path = url.replace("HOST", &tracker.address().to_string());
        let outcome = ask(&path, PLENTY);
        match expected {
            Some(start) => {
                outcome.unwrap_or_else(|e| panic!("{path}: {e}"));
                assert_eq!(tracker.asked(), [format!("{start}{QUERY}")]);
            }
            None => {
                let error = outcome.expect_err(&path).to_string();
                assert!(error.contains("this tracker cannot be scraped"), "{error}");
                assert!(tracker.asked().is_empty(), "{path}");
            }
        }
    }
}

#[test]
fn a_tracker_that_does_not_know_the_torrent_counts_nobody() {
    for body in
        [files(&[7; 20], &[("complete", int(5))]), b"d5:filesdee".to_vec(), files(HASH, &[])]
    {
        assert_eq!(
            ask(&FakeTracker::saying(Reply::Body(body)).url(), PLENTY).expect("it answers"),
            ScrapeCounts::default()
        );
    }
}

#[test]
fn a_count_of_the_wrong_type_is_nothing() {
    let odd =
        files(HASH, &[("complete", int(-5)), ("downloaded", bytes("7")), ("incomplete", int(1))]);
    let counts = ask(&FakeTracker::saying(Reply::Body(odd)).url(), PLENTY).expect("it answers");
    assert_eq!(counts, ScrapeCounts { seeders: 0, downloads: 0, leechers: 1 });
}

#[test]
fn a_bad_answer_over_http_is_an_error() {
    let table = [
        (Reply::Body(b"<html>".to_vec()), "not bencode"),
        (Reply::Body(b"le".to_vec()), "files must be a dictionary, but is missing"),
        (Reply::Body(b"de".to_vec()), "files must be a dictionary, but is missing"),
        (Reply::Body(b"d5:filesi1ee".to_vec()), "files must be a dictionary, but is an integer"),
        (
            Reply::Body([&b"d5:filesd"[..], &bytes(HASH), b"leee"].concat()),
            "must be a dictionary, but is a list",
        ),
        (Reply::failure("no scraping\x07 here"), "the tracker refused: no scraping\\u{7} here"),
        (Reply::Status(403, dict(&[("failure reason", bytes("no"))])), "the tracker refused: no"),
        (Reply::Status(404, Vec::new()), "HTTP status 404"),
        (Reply::Status(500, five()), "HTTP status 500"),
        (
            Reply::Body([b"d5:files".to_vec(), bytes(vec![b'x'; 3 << 20]), b"e".to_vec()].concat()),
            "over 262144 bytes",
        ),
    ];
    for (reply, expected) in table {
        let tracker = FakeTracker::saying(reply);
        let error = ask(&tracker.url(), PLENTY).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
    let flood = FakeTracker::saying(Reply::Drip);
    assert!(matches!(ask(&flood.url(), SHORT), Err(TrackerError::TimedOut)));
}

#[test]
fn another_kind_of_tracker_is_told_so() {
    let error = ask("wss://127.0.0.1/announce", PLENTY).expect_err("nobody speaks it").to_string();
    assert_eq!(error, "a URL of http, https or udp was expected, but found the scheme \"wss\"");
}
