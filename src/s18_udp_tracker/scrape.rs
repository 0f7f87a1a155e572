//! Scraping: how many peers have a torrent, without joining the swarm (BEP 48 and BEP 15).
//!
//! An announce changes what the tracker knows; a scrape only reads. Over UDP it is action 2 at the
//! same address. Over HTTP it has a URL of its own, which a rule derives from the announce URL, and
//! its answer is a dictionary in a dictionary:
//!
//! ```text
//! d 5:files d 20:(info hash) d 8:complete i5e 10:downloaded i50e 10:incomplete i10e e e e
//! ```
//! It is here, and not in stage 3, because both protocols return the same [`ScrapeCounts`].

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
/// tracker does not know the torrent. Over UDP, `udp` makes the request, and may have a connection
/// from an earlier announce.
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

/// Does what [`scrape`] does, but `get` makes any HTTP request: then a test needs no server, and a
/// trace can show the bytes.
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
        // The counts of exactly one torrent. An answer with more or fewer cannot be ours, so it is
        // ignored, and the wait goes on.
        let one = |said| match said {
            ResponseBody::Scraped(counts) => <[ScrapeCounts; 1]>::try_from(counts).ok(),
            _ => None,
        };
        return udp
            .ask(url, |_| RequestBody::Scrape(vec![info_hash]), one, deadline)
            .map(|(_, [counts])| counts);
    }
    // Named together in the error, so that the user sees every scheme that would have worked.
    if !HttpTracker.schemes().contains(&scheme.as_str()) {
        return Err(TrackerError::Scheme {
            spoken: spoken([&HttpTracker as &dyn Tracker, udp].into_iter()),
            scheme,
        });
    }
    // Stage 3's error knows no scrape, so this stage's own carries the reason.
    let url = scrape_url(url, info_hash).ok_or(UdpError::NoScrape)?;
    let Fetched { status, body, .. } = get(&url, deadline)?;
    // Decoded, an answer may take four times its bytes, so the process decodes one at a time.
    match one_at_a_time(|| decode(&body, info_hash)) {
        // The reason in the body says more than the status.
        Err(failure @ TrackerError::Failure { .. }) => Err(failure),
        _ if status != 200 => Err(TrackerError::Status(status)),
        counts => counts,
    }
}

/// Returns the scrape URL: the last part of the path must begin with `announce`, which becomes
/// `scrape`. `None` otherwise: there is no way to scrape.
///
/// BEP 48 only says to replace "the string announce in the path section". The protocol's wiki has
/// the older convention, which is stricter, and we keep to that: a slash in the query counts, so
/// `/announce?x=2/4` cannot be scraped, and `%61nnounce` is not `announce`.
fn scrape_url(url: &str, info_hash: InfoHash) -> Option<String> {
    let url = uri(url);
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let (scheme, after_scheme) = path.split_once("://")?;
    // The host is no part of the path, even if its name is `announce.example.com`.
    let (host, path) = after_scheme.split_once('/')?;
    let name = path.rsplit('/').next().unwrap_or_default();
    let folders = path.strip_suffix(name)?;
    let rest = name.strip_prefix("announce").filter(|_| !query.contains('/'))?;
    // The URL's own query stays: a private tracker knows its users by it.
    let query = if query.is_empty() { String::new() } else { format!("{query}&") };
    let hash = urlencoding::encode_binary(&info_hash.0);
    Some(format!("{scheme}://{host}/{folders}scrape{rest}?{query}info_hash={hash}"))
}

/// Decodes an answer over HTTP. `files` maps each info hash, 20 raw bytes, to a dictionary of three
/// counts. A missing or unusable count is 0; a torrent that is missing has three zeros.
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
    // Looked up by our hash: a tracker may list more torrents than it was asked for.
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
    // A tracker that does not count downloads leaves that key out.
    let count = |key| counts.get(key).and_then(Value::unsigned).unwrap_or(0);
    Ok(ScrapeCounts {
        seeders: count("complete"),
        downloads: count("downloaded"),
        leechers: count("incomplete"),
    })
}
