//! Which tracker is asked: alternatives in tiers (BEP 12), and a kind of tracker for each scheme.

use std::time::Instant;

use rand::seq::SliceRandom;

use super::{AnnounceRequest, AnnounceResponse, Tracker, TrackerError};
use crate::s01_bencode::excerpt;

/// Tracker URLs that are alternatives to each other (BEP 12).
///
/// They share their peers, so one answer is as good as another, and asking all of them would
/// only multiply their work. Different tiers do not share, and are asked side by side.
#[derive(Debug, Clone)]
pub struct Tier {
    /// In the order in which they are asked next time.
    urls: Vec<String>,
}

impl Tier {
    /// Makes a tier of the URLs, shuffled so that the load spreads over its trackers. Without
    /// that, the first one would serve the whole world, and the others no one.
    pub fn new(mut urls: Vec<String>) -> Tier {
        urls.shuffle(&mut rand::rng());
        Tier { urls }
    }

    /// Announces to the first tracker that answers, and moves it to the front
    /// for the next time. No tracker gets more than its share of the time left,
    /// so a silent one cannot use it all up.
    ///
    /// # Errors
    /// If no tracker answers well by `deadline`: each URL with its reason.
    pub fn announce(
        &mut self,
        trackers: &[Box<dyn Tracker>],
        ask: &AnnounceRequest,
        deadline: Instant,
    ) -> Result<(String, AnnounceResponse), Vec<(String, TrackerError)>> {
        let mut failures = Vec::new();
        // A copy of the list, since a success changes the order.
        for (number, url) in self.urls.clone().into_iter().enumerate() {
            let now = Instant::now();
            // The time left, divided by the number of trackers left: what a quick refusal saves
            // goes to the others.
            let share = deadline.saturating_duration_since(now) / (self.urls.len() - number) as u32;
            match announce(trackers, &url, ask, now + share) {
                Ok(announced) => {
                    // BEP 12: a tracker that worked is asked first from now on.
                    self.urls.remove(number);
                    self.urls.insert(0, url.clone());
                    return Ok((url, announced));
                }
                Err(error) => failures.push((url, error)),
            }
        }
        Err(failures)
    }
}

/// Announces to one URL, using the tracker that speaks its scheme: the first, if several do.
///
/// # Errors
/// As [`Tracker::announce`], or if no tracker speaks the scheme.
pub fn announce(
    trackers: &[Box<dyn Tracker>],
    url: &str,
    ask: &AnnounceRequest,
    deadline: Instant,
) -> Result<AnnounceResponse, TrackerError> {
    let scheme = scheme(url);
    match trackers.iter().find(|tracker| tracker.schemes().contains(&scheme.as_str())) {
        Some(tracker) => tracker.announce(url, ask, deadline),
        None => {
            Err(TrackerError::Scheme { scheme, spoken: spoken(trackers.iter().map(AsRef::as_ref)) })
        }
    }
}

/// Returns a URL's scheme, in lower case, shortened and safe to print; empty if there is none.
/// (RFC 3986: `HTTP://` is the same scheme as `http://`.)
pub(crate) fn scheme(url: &str) -> String {
    excerpt(url.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase().as_bytes())
}

/// The schemes these trackers speak, as text: `http, https or udp`.
pub(crate) fn spoken<'t>(trackers: impl Iterator<Item = &'t dyn Tracker>) -> String {
    let schemes: Vec<&str> = trackers.flat_map(Tracker::schemes).copied().collect();
    match schemes.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => schemes.concat(),
    }
}
