//! A tracker that follows a script, and a host that writes down all reports.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::{
    AnnounceRequest, AnnounceResponse, Event, PeerId, Retry, Tracker, TrackerError,
};
use piecemeal::s04_handshake::Handshake;
use piecemeal::s12_session::host::Counters;
use piecemeal::s13_peer_sources::announcer::Announcer;
use piecemeal::s13_peer_sources::signals::Signals;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHost, SourceReport};
use piecemeal::s13_peer_sources::start;

/// Far more than anything takes: it only stops a hang.
pub const LIMIT: Duration = Duration::from_secs(60);

pub type Answer = Result<AnnounceResponse, TrackerError>;

/// The first pause after a failure, short enough to be over before anybody looks.
pub const RETRY: Duration = Duration::from_millis(1);

/// Speaks `fake://`. It hands each request to the test, and answers by a script: `answer` sees the
/// request and how many came before it.
struct Fake<A> {
    asked: Mutex<(Sender<AnnounceRequest>, usize)>,
    answer: A,
}

impl<A: Fn(&str, &AnnounceRequest, usize) -> Answer + Send + Sync> Tracker for Fake<A> {
    fn schemes(&self) -> &[&str] {
        &["fake"]
    }

    fn announce(&self, url: &str, ask: &AnnounceRequest, _: Instant) -> Answer {
        let before = {
            let mut asked = self.asked.lock().expect("no tracker panics");
            // Nobody reads on once the test has seen enough.
            let _ = asked.0.send(ask.clone());
            asked.1 += 1;
            asked.1 - 1
        };
        (self.answer)(url, ask, before)
    }
}

/// Trackers that answer like this, and the requests that reach them.
pub fn trackers(
    answer: impl Fn(&str, &AnnounceRequest, usize) -> Answer + Send + Sync + 'static,
) -> (Arc<Vec<Box<dyn Tracker>>>, Receiver<AnnounceRequest>) {
    let (sender, asked) = mpsc::channel();
    let fake = Fake { asked: Mutex::new((sender, 0)), answer };
    (Arc::new(vec![Box::new(fake)]), asked)
}

pub fn announcer(url: &str, trackers: &Arc<Vec<Box<dyn Tracker>>>) -> Box<dyn PeerSource> {
    let (info_hash, peer_id) = (InfoHash([7; 20]), PeerId(*b"-PM0001-abcdefghijkl"));
    Box::new(Announcer::new(vec![url.to_owned()], Arc::clone(trackers), info_hash, peer_id, RETRY))
}

/// An answer with these pauses, in seconds.
pub fn asks_for(interval: impl Into<Option<u64>>, min_interval: impl Into<Option<u64>>) -> Answer {
    let [interval, min_interval] =
        [interval.into(), min_interval.into()].map(|seconds| seconds.map(Duration::from_secs));
    Ok(AnnounceResponse { interval, min_interval, ..AnnounceResponse::default() })
}

pub fn refuses(retry: Retry) -> Answer {
    Err(TrackerError::Failure { reason: "not today".to_owned(), retry })
}

/// What runs the sources of a test. They are told to stop when it is dropped.
pub struct Sources {
    pub host: SourceHost,
    reports: Receiver<SourceReport>,
}

impl Sources {
    pub fn new() -> Sources {
        let (sender, reports) = mpsc::channel();
        let host = SourceHost {
            signals: Arc::<Signals>::default(),
            counters: Arc::<Counters>::default(),
            handshake: Arc::new(|| Handshake::new(InfoHash([7; 20]), PeerId([1; 20]))),
            names: InfoHash([7; 20]).into(),
            max_handshakes: 0,
            report: Arc::new(move |report| sender.send(report).is_ok()),
            hands: None,
        };
        Sources { host, reports }
    }

    /// Starts the sources, numbered from 0.
    pub fn running(sources: Vec<Box<dyn PeerSource>>) -> Sources {
        let new = Sources::new();
        (0..).zip(sources).for_each(|(number, source)| start(source, number, &new.host));
        new
    }

    /// The next report that `fits`, which picks something out of it.
    #[track_caller]
    pub fn next<T>(&self, fits: impl Fn(&SourceReport) -> Option<T>) -> T {
        // One limit for all of them: a source that never ends may report without end.
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let report = self.reports.recv_timeout(left).ok().filter(|_| !left.is_zero());
            let report = report.expect("a report that fits");
            if let Some(found) = fits(&report) {
                return found;
            }
        }
    }

    /// The pause before the next announce.
    #[track_caller]
    pub fn pause(&self) -> Duration {
        self.next(|report| match report {
            SourceReport::Again { pause, .. } => Some(*pause),
            _ => None,
        })
    }

    /// What was said, in order, up to the end of a source, and which one it was.
    #[track_caller]
    pub fn until_gone(&self) -> (Vec<String>, usize) {
        let said = Mutex::new(Vec::new());
        let number = self.next(|report| match report {
            SourceReport::Gone(number) => Some(*number),
            report => {
                said.lock().expect("one thread").push(shown(report));
                None
            }
        });
        (said.into_inner().expect("one thread"), number)
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.host.signals.stop();
    }
}

/// A report in a few words.
pub fn shown(report: &SourceReport) -> String {
    match report {
        SourceReport::Found { addresses, .. } => format!("found {addresses:?}"),
        SourceReport::Met(_) => "met".to_owned(),
        SourceReport::Announced { tracker, event, peers, .. } => {
            format!("{tracker} {event:?} {peers}")
        }
        SourceReport::Said { source, what, failed } => {
            format!("{source} says {what}, failed: {failed}")
        }
        SourceReport::Again { pause, .. } => format!("again after {pause:?}"),
        SourceReport::Gone(number) => format!("{number} is gone"),
    }
}

/// The event of the next request.
#[track_caller]
pub fn event(asked: &Receiver<AnnounceRequest>) -> Option<Event> {
    next(asked).event
}

/// The next request.
#[track_caller]
pub fn next(asked: &Receiver<AnnounceRequest>) -> AnnounceRequest {
    asked.recv_timeout(LIMIT).expect("an announce")
}
