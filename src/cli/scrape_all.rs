//! Asks many trackers for counts, side by side. (stage 18)

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::TrackerError;
use piecemeal::s03_tracker::http::{Get, fetch};
use piecemeal::s18_udp_tracker::packet::ScrapeCounts;
use piecemeal::s18_udp_tracker::scrape::scrape_with;
use piecemeal::s18_udp_tracker::{UdpError, UdpTracker};
use serde_json::{Value, json};

use super::exit_codes::TRACKER;
use super::failure::Failure;
use super::find_peers::{GRACE, nobody_at_home};
use super::shown;

/// The most trackers asked, a thread each. A torrent may name any number.
const MAX_TRACKERS: usize = 100;

/// Asks all trackers, and returns their answers in the order of the URLs.
pub fn ask_all(
    urls: Vec<String>,
    info_hash: InfoHash,
    deadline: Instant,
) -> Vec<(String, Result<ScrapeCounts, Failure>)> {
    let (mut udp, mut get): (_, Arc<Get>) = (UdpTracker::default(), Arc::new(fetch));
    super::tracing::scrape(&mut udp, &mut get); // plugged in
    let udp = Arc::new(udp);
    let ask = |url: String| {
        let (send, answer) = mpsc::channel();
        let (udp, get, asked) = (Arc::clone(&udp), Arc::clone(&get), url.clone());
        // A late answer finds the receiver gone; that is fine.
        let work = move || drop(send.send(scrape_with(&*get, &udp, &asked, info_hash, deadline)));
        // If the system refuses a thread, the sender is dropped, and there is no answer.
        let _ = thread::Builder::new().name("scrape".to_owned()).spawn(work);
        (url, answer)
    };
    let asked: Vec<_> = urls.into_iter().take(MAX_TRACKERS).map(ask).collect();
    let answer = |(url, answer): (String, Receiver<_>)| {
        let left = (deadline + GRACE).saturating_duration_since(Instant::now());
        let answer = answer.recv_timeout(left).unwrap_or(Err(TrackerError::TimedOut));
        let answer = answer.map_err(|error| failed(&url, error));
        (url, answer)
    };
    asked.into_iter().map(answer).collect()
}

/// Returns the counts of one tracker as a line for people.
pub fn line(url: &str, ScrapeCounts { seeders, leechers, downloads }: &ScrapeCounts) -> String {
    let there = [
        counted(*seeders, "seeder"),
        counted(*leechers, "leecher"),
        counted(*downloads, "download"),
    ];
    format!("{}: {}", printable(&shown(url)), there.join(", "))
}

/// Returns the counts of one tracker as JSON for programs.
pub fn as_json(url: &str, ScrapeCounts { seeders, leechers, downloads }: &ScrapeCounts) -> Value {
    json!({ "url": url, "seeders": seeders, "leechers": leechers, "downloads": downloads })
}

fn failed(url: &str, error: TrackerError) -> Failure {
    let help = match error {
        TrackerError::TimedOut => {
            "allow more time with --timeout SECONDS; not every tracker can be scraped"
        }
        TrackerError::Failure { .. } => {
            "the tracker may not know this torrent; try another torrent or link"
        }
        TrackerError::Scheme { .. } => "use a torrent with an http or udp tracker",
        TrackerError::OffLimits(_) => "get the torrent from a source you trust",
        TrackerError::Transport(ref error)
            if matches!(error.downcast_ref(), Some(UdpError::NoScrape)) =>
        {
            "not every tracker can be scraped; `peers` asks it for peers, and so does `download`"
        }
        _ if nobody_at_home(url, &error) => {
            "nothing listens there: check the URL; is the lab running?"
        }
        _ => "check the URL, and whether the tracker is up; not every tracker can be scraped",
    };
    Failure::new(TRACKER, error).help(help).see("18-udp-tracker")
}

/// Returns the failure for a torrent or link that names no tracker.
pub fn no_tracker(of_link: bool) -> Failure {
    let cut = "put the link in quotes, if it goes on with &: the shell cuts it there; or try another link";
    let help = if of_link { cut } else { "only a tracker can be scraped: try another torrent" };
    Failure::new(TRACKER, "there is nobody to ask: no tracker is named")
        .help(help)
        .see("18-udp-tracker")
}
