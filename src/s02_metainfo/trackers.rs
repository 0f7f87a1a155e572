//! The tracker URLs of a torrent, in tiers, and the limits on their number.
//!
//! ```text
//! announce-list = [[a, b], [c]]     a and b share their peers: one answer is enough
//!                                   c is asked in any case: it may know other peers
//! ```
//! Each tier gets a thread, and each URL a share of its tier's time. Torrents made with lists of
//! public trackers name about a hundred.

use super::Value;
use super::keys::TEXT;
use crate::s01_bencode::counted;
use crate::s01_bencode::forgiving::PassedOver;

/// The most tiers that are used.
pub const MAX_TIERS: usize = 100;
/// The most URLs that are used, in all tiers together.
pub const MAX_TRACKERS: usize = 500;
/// The longest URL that is used, in bytes. Real ones with a passkey have 200; few servers accept
/// more than this.
pub const MAX_URL_LENGTH: usize = 2_048;

/// Reads the tracker URLs (BEP 12: `announce-list`, where present, replaces `announce`). An entry
/// that is not text or exceeds a limit is passed over, since the others may still work. Some
/// programs write an empty URL when there is no tracker.
pub(super) fn tiers(top: &Value, notes: &mut PassedOver) -> Vec<Vec<String>> {
    let mut tiers = Vec::new();
    let (mut urls, mut more) = (0, 0_usize);
    let lists = notes
        .read(top, "announce-list", "a list of lists of URLs", Value::list)
        .unwrap_or_default();
    for (number, list) in lists.iter().enumerate() {
        let at = format!("announce-list[{number}]");
        let Some(list) = list.list() else {
            notes.skip(&at, "a list of URLs", list);
            continue;
        };
        let mut tier = Vec::new();
        // The surplus is still read: a broken URL gets its note, a good one is counted.
        for url in list.iter().filter_map(|value| url(value, &at, notes)) {
            if urls < MAX_TRACKERS && tiers.len() < MAX_TIERS {
                urls += 1;
                tier.push(url.to_owned());
            } else {
                more += 1;
            }
        }
        // A tier without a usable URL would be a thread with nothing to ask.
        tiers.extend(Some(tier).filter(|tier| !tier.is_empty()));
    }
    if more > 0 {
        let limits = format!("at most {MAX_TRACKERS} are taken, in at most {MAX_TIERS} tiers");
        notes.add(|| {
            format!(
                "announce-list names {} too many, which are passed over: {limits}",
                counted(more, "tracker")
            )
        });
    }
    // Read even if it is not used, so that a broken one is noted.
    let announce = top.get("announce").and_then(|value| url(value, "announce", notes));
    // Also used if `announce-list` is there, but nothing in it can be used.
    if tiers.is_empty() {
        tiers.extend(announce.map(|url| vec![url.to_owned()]));
    }
    tiers
}

/// Returns a URL that can be used; `None` if it is empty, or broken, which is noted.
fn url<'v>(value: &'v Value, at: &str, notes: &mut PassedOver) -> Option<&'v str> {
    let (key, expected) =
        if at == "announce" { (at.to_owned(), "a URL") } else { (format!("a URL in {at}"), TEXT) };
    match value.text().map(str::trim) {
        None => notes.skip(&key, expected, value),
        Some(url) if url.len() > MAX_URL_LENGTH => {
            notes.skip(&key, "at most 2048 bytes long", value)
        }
        Some(url) => return Some(url).filter(|url| !url.is_empty()),
    }
    None
}
