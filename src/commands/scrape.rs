//! `piecemeal scrape`: ask the trackers how many have the torrent. (stage 13)

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::TrackerError;
use piecemeal::s06_magnet::Magnet;
use piecemeal::s13_udp_tracker::UdpTracker;
use piecemeal::s13_udp_tracker::packet::Counts;
use piecemeal::s13_udp_tracker::scrape::scrape;
use serde_json::json;

use super::failure::{Failure, TRACKER};
use super::find_peers::GRACE;
use super::info::open;
use super::{Answer, Options};
use crate::progress::Progress;

/// How many trackers are asked, side by side.
const MOST: usize = 100;

/// Ask the trackers how many have a torrent, without joining (stage 13)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal scrape lab/sample.torrent")]
pub struct Args {
    /// The .torrent file, or the magnet link in quotes
    #[arg(value_name = "TORRENT|MAGNET")]
    torrent: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let until = options.deadline();
        let (info_hash, urls) = if self.torrent.starts_with("magnet:") {
            let magnet = Magnet::parse(&self.torrent)?;
            (magnet.need_info_hash()?, magnet.trackers)
        } else {
            let metainfo = open(Path::new(&self.torrent))?;
            (metainfo.info.info_hash, metainfo.tiers.concat())
        };
        let (mut lines, mut objects, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (url, counts) in ask_all(urls, info_hash, until) {
            match counts {
                Ok(Counts { seeders, leechers, downloads }) => {
                    lines.push(format!("{}: {seeders} seeders, {leechers} leechers, {downloads} downloads", printable(&url)));
                    objects.push(json!({ "url": url, "seeders": seeders, "leechers": leechers, "downloads": downloads }));
                }
                Err(failure) => {
                    objects.push(json!({ "url": url, "error": failure.json()["error"] }));
                    failures.push(failure.about(&url));
                }
            }
        }
        let fatal = if lines.is_empty() { Some(failures.pop().unwrap_or_else(no_tracker)) } else { None };
        let notes = Progress::new(options, "asking", 0);
        failures.iter().for_each(|failure| notes.note(failure.json()["error"].as_str().unwrap_or_default()));
        fatal.map_or_else(|| Ok(Answer { text: lines.join("\n"), json: json!({ "trackers": objects }) }), Err)
    }
}

fn no_tracker() -> Failure {
    Failure::new(TRACKER, "there is no tracker in it to ask").help("try another torrent or link").see("13-udp-tracker")
}

/// Asks all trackers side by side; their answers come in the order of the URLs.
fn ask_all(urls: Vec<String>, info_hash: InfoHash, until: Instant) -> Vec<(String, Result<Counts, Failure>)> {
    let udp = Arc::new(UdpTracker::default());
    let ask = |url: String| {
        let (send, answer) = mpsc::channel();
        let (udp, asked) = (Arc::clone(&udp), url.clone());
        let work = move || drop(send.send(scrape(&udp, &asked, info_hash, until)));
        // Without a thread, the sender is dropped, and there is no answer.
        let _ = thread::Builder::new().name("scrape".to_owned()).spawn(work);
        (url, answer)
    };
    let asked: Vec<_> = urls.into_iter().take(MOST).map(ask).collect();
    let answer = |(url, answer): (String, mpsc::Receiver<_>)| {
        let left = (until + GRACE).saturating_duration_since(Instant::now());
        let answer = answer.recv_timeout(left).unwrap_or(Err(TrackerError::TimedOut));
        (url, answer.map_err(Failure::from))
    };
    asked.into_iter().map(answer).collect()
}
