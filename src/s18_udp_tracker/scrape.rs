//! Scraping: how many peers have a torrent, without joining the swarm (BEP 48 and BEP 15).
//!
//! An announce changes what the tracker knows; a scrape only reads. Over HTTP it has a
//! URL of its own, which a rule derives from the announce URL. Over UDP it is action 2
//! at the same address.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

use std::time::Instant;

use super::packet::{RequestBody, ResponseBody, ScrapeCounts};
use super::{UdpError, UdpTracker};
use crate::s01_bencode::Value;
use crate::s01_bencode::forgiving::{PassedOver, decode_first_keys};
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::http::{Fetched, Get, HttpTracker, fetch, one_at_a_time, uri};
use crate::s03_tracker::tiers::{scheme, spoken};
use crate::s03_tracker::{LIMITS, Tracker, TrackerError, failure};

/// Asks the tracker with this announce URL for the counts of a torrent. All are 0 if the
/// tracker does not know the torrent.
///
/// # Errors
/// If the tracker gives no good answer by `deadline`, or cannot be scraped.
pub fn scrape(
    udp: &UdpTracker,
    url: &str,
    info_hash: InfoHash,
    deadline: Instant,
) -> Result<ScrapeCounts, TrackerError> {
    scrape_with(&fetch, udp, url, info_hash, deadline)
}

/// The same; for an HTTP tracker, `get` makes the request.
///
/// # Errors
/// As [`scrape`].
pub fn scrape_with(
    get: &Get,
    udp: &UdpTracker,
    url: &str,
    info_hash: InfoHash,
    deadline: Instant,
) -> Result<ScrapeCounts, TrackerError> {
    let scheme = scheme(url);
    if udp.schemes().contains(&scheme.as_str()) {
        let one = |said| {
            if let ResponseBody::Scraped(counts) = said {
                <[ScrapeCounts; 1]>::try_from(counts).ok()
            } else {
                None
            }
        };
        return udp
            .ask(url, |_| RequestBody::Scrape(vec![info_hash]), one, deadline)
            .map(|(_, [counts])| counts);
    }
    if !HttpTracker.schemes().contains(&scheme.as_str()) {
        return Err(TrackerError::Scheme {
            spoken: spoken([&HttpTracker as &dyn Tracker, udp].into_iter()),
            scheme,
        });
    }
    let url = scrape_url(url, info_hash).ok_or(UdpError::NoScrape)?;
    let Fetched { status, body, .. } = get(&url, deadline)?;
    match one_at_a_time(|| decode(&body, info_hash)) {
        // The reason in the body says more than the status.
        Err(failure @ TrackerError::Failure { .. }) => Err(failure),
        _ if status != 200 => Err(TrackerError::Status(status)),
        counts => counts,
    }
}

/// Returns the scrape URL: the part after the last slash, wherever that is, must begin
/// with `announce`, which becomes `scrape`. `None` otherwise: there is no way to scrape.
fn scrape_url(url: &str, info_hash: InfoHash) -> Option<String> {
    let url = uri(url);
    let (before, last) = url.rsplit_once('/')?;
    let behind = last.strip_prefix("announce")?;
    let joint = if behind.contains('?') { '&' } else { '?' };
    Some(format!(
        "{before}/scrape{behind}{joint}info_hash={}",
        urlencoding::encode_binary(&info_hash.0)
    ))
}

/// Decodes an answer. `files` maps each info hash, 20 raw bytes, to a dictionary of three
/// counts. A missing count is 0.
fn decode(answer: &[u8], info_hash: InfoHash) -> Result<ScrapeCounts, TrackerError> {
    let top = decode_first_keys(answer, LIMITS, &mut PassedOver::default())?;
    if let Some(failure) = failure(&top) {
        return Err(failure);
    }
    let found = |value: Option<&Value>| value.map_or("missing", Value::type_name).to_owned();
    let expected = "a dictionary";
    let files = top.get("files");
    let torrents = files.and_then(Value::dictionary);
    let torrents = torrents.ok_or_else(|| TrackerError::Answer {
        key: "files",
        expected,
        found: found(files),
    })?;
    let Some((_, counts)) = torrents.iter().find(|(key, _)| *key == info_hash.0) else {
        return Ok(ScrapeCounts::default());
    };
    if counts.dictionary().is_none() {
        return Err(TrackerError::Answer {
            key: "files.(info hash)",
            expected,
            found: found(Some(counts)),
        });
    }
    let count = |key| counts.get(key).and_then(Value::unsigned).unwrap_or(0);
    Ok(ScrapeCounts {
        seeders: count("complete"),
        downloads: count("downloaded"),
        leechers: count("incomplete"),
    })
}
