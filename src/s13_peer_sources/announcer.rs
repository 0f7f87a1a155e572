//! The announcer: a source that asks one tier of trackers, again and again.
//!
//! Stage 3 knows how to announce once. What is added here is a clock: when to announce next, what
//! to say this time, and what to do after a failure.
//!
//! The announces of a session, in this order:
//!
//! | event | when | how often |
//! |---|---|---|
//! | `started` | at once | until a tracker has taken it |
//! | none | after each pause | any number of times |
//! | `completed` | the last piece has arrived | until a tracker has taken it |
//! | none | after each pause, if we stay to seed | any number of times |
//! | `stopped` | we are told to stop | once, if `started` was taken |

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::signals::Wake;
use super::source::{PeerSource, SourceHandle};
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::names::Lookups;
use crate::s03_tracker::reach::NamedBy;
use crate::s03_tracker::tiers::Tier;
use crate::s03_tracker::{
    AnnounceRequest, AnnounceResponse, Event, PeerId, Retry, Tracker, TrackerError,
};
use crate::s07_extension::BoxError;

/// Time limit of one announce, with all trackers of the tier. Stage 3 shares it out among them.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit of the last one, `stopped`. The user waits for it.
const STOPPED_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for looking up all peers that one answer names by host.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Most host names of one answer that are reported as unknown.
const MAX_REPORTED: usize = 3;
/// Pause between two announces where the tracker asks for none. It also bounds the doubling pauses.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30 * 60);
/// Shortest pause a tracker can set. One that asks for 0 s would be asked without end.
const MIN_INTERVAL: Duration = Duration::from_secs(30);
/// Longest one. A tracker may also ask for a billion years.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Announces to one tier of trackers. Each tier has an announcer, and so a thread, of its own.
pub struct Announcer {
    /// The first URL as the torrent has it. The tier itself is shuffled.
    name: String,
    /// The URLs, the one that answered last in front.
    tier: Tier,
    /// The ways to announce, chosen by a URL's scheme. All announcers share them.
    trackers: Arc<Vec<Box<dyn Tracker>>>,
    /// The next request. Our peer id and key stay the same for the whole session.
    request: AnnounceRequest,
    /// Pause after the first failure; it doubles with each further one.
    retry: Duration,
    /// Announces in a row that no tracker of the tier took.
    failures: u32,
    /// A tracker has taken `started`, so it knows us, and must hear `stopped`.
    started: bool,
    /// The last piece has arrived, and no tracker has been told so yet.
    completed: bool,
    /// Looks up peers that a tracker names by host, with a time limit.
    names: Lookups,
}

impl Announcer {
    /// Makes an announcer for the URLs of one tier, which pauses this long after a first failure.
    pub fn new(
        urls: Vec<String>,
        trackers: Arc<Vec<Box<dyn Tracker>>>,
        info_hash: InfoHash,
        peer_id: PeerId,
        retry: Duration,
    ) -> Announcer {
        // The three counters are placeholders: each announce reads them again.
        let request = AnnounceRequest {
            key: Some(rand::random()),
            ..AnnounceRequest::new(info_hash, peer_id, 1)
        };
        let (name, tier) = (urls.first().cloned().unwrap_or_default(), Tier::new(urls));
        let (failures, started, completed, names) = Default::default();
        Announcer { name, tier, trackers, request, retry, failures, started, completed, names }
    }

    /// Says that we listen at this port. 0 leaves the usual one: the request must name a port (BEP
    /// 3), even if nobody answers there.
    pub fn at_port(mut self, port: u16) -> Announcer {
        if port != 0 {
            self.request.port = port;
        }
        self
    }

    /// Announces once. Returns when the next announce is due, or nothing if there must be none.
    fn announce(&mut self, handle: &SourceHandle) -> Option<Pause> {
        // `started` comes first, for as long as it takes: a tracker that has not taken it does not
        // know us, and `completed` from a stranger would spoil its count of downloads.
        self.request.event = match (self.started, self.completed) {
            (false, _) => Some(Event::Started),
            (true, true) => Some(Event::Completed),
            (true, false) => None,
        };
        (self.request.uploaded, self.request.downloaded, self.request.left) = handle.counters();
        // A pause counts from the start of the announce: a tier that takes 15 s to fail has made us
        // wait already.
        let since = Instant::now();
        match self.tier.announce(&self.trackers, &self.request, since + ANNOUNCE_TIMEOUT) {
            Ok((url, answer)) => {
                self.started = true;
                self.failures = 0;
                // Still unsaid, if the last piece arrived before any tracker took `started`.
                self.completed &= self.request.event == Some(Event::Started);
                if !self.hand_over(handle, &url, &answer) {
                    return None; // nobody wants peers any more
                }
                // If still unsaid, `completed` is said at once, not after half an hour.
                let usual = if self.completed { Duration::ZERO } else { interval(&answer) };
                let least =
                    answer.min_interval.unwrap_or(MIN_INTERVAL).clamp(MIN_INTERVAL, MAX_INTERVAL);
                // A tracker need not repeat its id; the last one that it gave counts.
                self.request.tracker_id = answer.tracker_id.or(self.request.tracker_id.take());
                Some(Pause { since, usual, least })
            }
            Err(tried) => {
                // As long as one tracker of the tier may come back, it is worth waiting for.
                let never = tried.iter().all(|(_, error)| is_final(error));
                // Doubled: a tracker that fails because too many clients ask is not helped by
                // clients that ask again at once. Failures have no bound, so the exponent needs
                // one.
                let backoff = self.retry * 2u32.pow(self.failures.min(7));
                let pause = wanted_pause(&tried).unwrap_or(backoff.min(DEFAULT_INTERVAL));
                self.failures += 1;
                report_failures(handle, tried);
                // A tracker that fails is left alone even when we have no peers.
                (!never).then_some(Pause { since, usual: pause, least: pause })
            }
        }
    }

    /// Says goodbye, so that the tracker stops naming us to others. Once, without a second try: the
    /// user waits.
    fn say_goodbye(&mut self, handle: &SourceHandle) {
        // Without `started` no tracker knows us.
        if !self.started {
            return;
        }
        (self.request.uploaded, self.request.downloaded, self.request.left) = handle.counters();
        // No peers, please: it saves the tracker an answer of 200 addresses that nobody will dial.
        (self.request.event, self.request.numwant) = (Some(Event::Stopped), Some(0));
        match self.tier.announce(&self.trackers, &self.request, Instant::now() + STOPPED_TIMEOUT) {
            Ok((url, answer)) => handle.announced(&url, Some(Event::Stopped), &answer),
            Err(tried) => report_failures(handle, tried),
        }
    }

    /// Hands over the peers of an answer. Returns whether anybody still wants them.
    ///
    /// An answer may name peers by host (BEP 3 allows it in the list form). A name may lead
    /// anywhere, so what it leads to is checked like any address, and it may lead nowhere.
    fn hand_over(&self, handle: &SourceHandle, url: &str, answer: &AnnounceResponse) -> bool {
        // How far away the tracker is decides which addresses it may name (`reach`, stage 3).
        let found =
            |peers: &[SocketAddr]| handle.found(NamedBy::Tracker(answer.from), peers.to_vec());
        let report = || handle.announced(url, self.request.event, answer);
        if answer.named.is_empty() {
            report();
            return found(&answer.peers);
        }
        // Names come last: peers with an address need not wait for them.
        if !found(&answer.peers) {
            return false;
        }
        let (looked_up, lost) =
            self.names.find_peers(&answer.named, Instant::now() + LOOKUP_TIMEOUT);
        // A tracker whose names all lead nowhere has failed, and "names 1 peer" would be
        // misleading.
        let useless = answer.peers.is_empty() && looked_up.is_empty();
        if !useless {
            report();
        }
        for (number, what) in lost.into_iter().take(MAX_REPORTED).enumerate() {
            let what = format!("{url}: {what}");
            // One announce fails once, however many names are lost.
            if useless && number == 0 { handle.failed(what) } else { handle.say(what) }
        }
        found(&looked_up)
    }
}

impl PeerSource for Announcer {
    fn name(&self) -> String {
        self.name.clone()
    }

    /// Never an error: each failure was reported when it happened, with the tracker's URL.
    fn run(mut self: Box<Self>, mut handle: SourceHandle) -> Result<(), BoxError> {
        while let Some(pause) = self.announce(&handle) {
            match pause.wait(&mut handle) {
                Wake::Due | Wake::Hungry => {}
                Wake::Completed => self.completed = true,
                Wake::Stop => {
                    self.say_goodbye(&handle);
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The pause between two announces.
struct Pause {
    /// When the last announce began.
    since: Instant,
    /// Pause after which the next one is due.
    usual: Duration,
    /// Shortest pause, which also holds when there are no peers.
    least: Duration,
}

impl Pause {
    /// Waits until the next announce is due. Hunger brings it nearer, but the tracker's minimum
    /// holds: a client that has no peers is not the tracker's emergency.
    fn wait(self, handle: &mut SourceHandle) -> Wake {
        let mut pause = self.usual;
        loop {
            // Reported again when hunger has made it shorter: the user sees a countdown.
            handle.again(self.since, pause);
            match handle.wait((self.since + pause).saturating_duration_since(Instant::now())) {
                Wake::Hungry => pause = pause.min(self.least),
                other => return other,
            }
        }
    }
}

/// Returns the larger of `interval` and `min interval`, within our bounds.
fn interval(answer: &AnnounceResponse) -> Duration {
    let asked = answer.interval.max(answer.min_interval).unwrap_or(DEFAULT_INTERVAL);
    asked.clamp(MIN_INTERVAL, MAX_INTERVAL)
}

/// Returns the longest pause that a tracker of the tier asks for in its refusal (BEP 31). The
/// longest, since the next announce may reach any of them.
fn wanted_pause(tried: &[(String, TrackerError)]) -> Option<Duration> {
    let wanted = |error: &TrackerError| match error {
        TrackerError::Failure { retry: Retry::After(time), .. } => {
            Some((*time).clamp(MIN_INTERVAL, MAX_INTERVAL))
        }
        _ => None,
    };
    tried.iter().filter_map(|(_, error)| wanted(error)).max()
}

/// Returns whether asking again cannot help: the tracker says so, or its URL is the reason.
fn is_final(error: &TrackerError) -> bool {
    use TrackerError::{Failure, OffLimits, Scheme};
    matches!(error, Failure { retry: Retry::Never, .. } | OffLimits(_) | Scheme { .. })
}

/// Reports each tracker that was tried, with its reason.
fn report_failures(handle: &SourceHandle, tried: Vec<(String, TrackerError)>) {
    for (url, error) in tried {
        handle.failed(format!("{url}: {error}"));
    }
}
