//! Announcing, again and again: the part of a tracker's work that needs a clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::signals::Wake;
use super::source::{Finder, PeerSource};
use crate::s01_bencode::counted;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::names::Lookups;
use crate::s03_tracker::reach::NamedBy;
use crate::s03_tracker::{Announce, Announced, Event, PeerId, Retry, Tier, Tracker, TrackerError};
use crate::s07_extension::BoxError;

/// How long an announce may take.
const ANNOUNCE_TIME: Duration = Duration::from_secs(15);
/// How long names may take to be looked up, of the peers that a tracker names by host.
const NAMES_TIME: Duration = Duration::from_secs(5);
/// How many of those that cannot be looked up are told of.
const MOST_TOLD: usize = 3;
/// How long we wait to say goodbye.
const STOPPED_TIME: Duration = Duration::from_secs(2);
/// The interval where a tracker gives none, and the bounds for what it gives.
const INTERVAL: Duration = Duration::from_secs(30 * 60);
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Announces to one tier of trackers. Tiers run side by side, each with its own.
pub struct Announcer {
    urls: Vec<String>,
    trackers: Arc<Vec<Box<dyn Tracker>>>,
    ask: Announce,
    retry: Duration,
}

impl Announcer {
    /// For the trackers of one tier; after a failure the first retry comes after `retry`.
    pub fn new(
        urls: Vec<String>,
        trackers: Arc<Vec<Box<dyn Tracker>>>,
        info_hash: InfoHash,
        peer_id: PeerId,
        retry: Duration,
    ) -> Announcer {
        let ask = Announce { key: Some(rand::random()), ..Announce::new(info_hash, peer_id, 1) };
        Announcer { urls, trackers, ask, retry }
    }

    /// Says that we listen at this port; 0 says nothing.
    pub fn at_port(mut self, port: u16) -> Announcer {
        if port != 0 {
            self.ask.port = port;
        }
        self
    }
}

impl PeerSource for Announcer {
    fn name(&self) -> String {
        self.urls.first().cloned().unwrap_or_default()
    }

    fn run(self: Box<Self>, mut finder: Finder) -> Result<(), BoxError> {
        let Announcer { urls, trackers, mut ask, retry } = *self;
        let mut tier = Tier::new(urls);
        let names = Lookups::default();
        let mut failures = 0;
        // `started` is said until a tracker has taken it, and nothing before it.
        let mut started = false;
        let mut completed = false;
        loop {
            ask.event = match (started, completed) {
                (false, _) => Some(Event::Started),
                (true, true) => Some(Event::Completed),
                (true, false) => None,
            };
            (ask.uploaded, ask.downloaded, ask.left) = finder.counters();
            let asked = Instant::now();
            let (pause, earliest) = match tier.announce(&trackers, &ask, asked + ANNOUNCE_TIME) {
                Ok((url, answer)) => {
                    started = true;
                    completed &= ask.event == Some(Event::Started);
                    failures = 0;
                    if !hand_over(&finder, &names, &url, &answer) {
                        return Ok(());
                    }
                    // If `started` was late, `completed` follows it at once.
                    let pause = if completed { Duration::ZERO } else { interval(&answer) };
                    let earliest = answer.min_interval.unwrap_or(SHORTEST).clamp(SHORTEST, LONGEST);
                    ask.tracker_id = answer.tracker_id.or(ask.tracker_id);
                    (pause, earliest)
                }
                Err(tried) => {
                    let never = tried.iter().all(|(_, error)| is_final(error));
                    let later = later(&tried);
                    for (url, error) in tried {
                        finder.failed(format!("{url}: {error}"));
                    }
                    if never {
                        return Ok(());
                    }
                    failures += 1;
                    let pause = later.unwrap_or((retry * 2u32.pow((failures - 1).min(7))).min(INTERVAL));
                    (pause, pause)
                }
            };
            match pause_until(&mut finder, asked + pause, asked + earliest) {
                Wake::Stop => break,
                Wake::Completed => completed = true,
                Wake::Due | Wake::Hungry => {}
            }
        }
        if started {
            (ask.uploaded, ask.downloaded, ask.left) = finder.counters();
            (ask.event, ask.numwant) = (Some(Event::Stopped), Some(0));
            // Goodbye is a courtesy: nobody waits for an answer to it.
            let _ = tier.announce(&trackers, &ask, Instant::now() + STOPPED_TIME);
        }
        Ok(())
    }
}

/// Waits for the next announce. Hunger brings it nearer, but never before `earliest`:
/// a tracker that fails, or asks for time, is not to be pressed.
fn pause_until(finder: &mut Finder, mut due: Instant, earliest: Instant) -> Wake {
    loop {
        finder.again(due);
        match finder.wait(due.saturating_duration_since(Instant::now())) {
            Wake::Hungry => due = due.min(earliest),
            other => return other,
        }
    }
}

/// The larger of `interval` and `min interval`, within bounds.
fn interval(answer: &Announced) -> Duration {
    let asked = answer.interval.max(answer.min_interval).unwrap_or(INTERVAL);
    asked.clamp(SHORTEST, LONGEST)
}

/// The longest time that a tracker of the tier asks us to stay away.
fn later(tried: &[(String, TrackerError)]) -> Option<Duration> {
    let after = |error: &TrackerError| match error {
        TrackerError::Failure { retry: Retry::After(time), .. } => Some((*time).clamp(SHORTEST, LONGEST)),
        _ => None,
    };
    tried.iter().filter_map(|(_, error)| after(error)).max()
}

/// Whether a tracker is not asked again in this session.
fn is_final(error: &TrackerError) -> bool {
    matches!(error, TrackerError::Failure { retry: Retry::Never, .. } | TrackerError::OffLimits(_))
}

/// Hands the peers of an answer to the swarm. `false` says that it is over.
fn hand_over(finder: &Finder, names: &Lookups, url: &str, answer: &Announced) -> bool {
    let dial = |found: &[SocketAddr]| finder.found(NamedBy::Tracker(answer.from), found.to_vec());
    let say = || {
        let peers = counted(answer.peers.len() + answer.named.len(), "peer");
        finder.say(format!("{url} names {peers}{}{}", warning(answer), passed_over(answer)));
    };
    if answer.named.is_empty() {
        say();
        return dial(&answer.peers);
    }
    // Names come last: the other peers need not wait for them.
    if !dial(&answer.peers) {
        return false;
    }
    let (found, lost) = names.find_peers(&answer.named, Instant::now() + NAMES_TIME);
    // A tracker whose names all lead nowhere is no better than one that does not answer, and
    // what is wrong is not that it names nobody.
    let nobody = answer.peers.is_empty() && found.is_empty();
    if !nobody {
        say();
    }
    for what in lost.into_iter().take(MOST_TOLD) {
        let what = format!("{url}: {what}");
        if nobody { finder.failed(what) } else { finder.say(what) }
    }
    dial(&found)
}

fn warning(answer: &Announced) -> String {
    answer.warning.as_ref().map(|text| format!(", and warns: {text}")).unwrap_or_default()
}

fn passed_over(answer: &Announced) -> String {
    if answer.passed_over.is_empty() { String::new() } else { format!("; {}", answer.passed_over.join("; ")) }
}
