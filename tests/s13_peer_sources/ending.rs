//! However a source ends, the last that is heard of it is that it has gone.

use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s03_tracker::{AnnounceResponse, Retry, TrackerError};
use piecemeal::s07_extension::BoxError;
use piecemeal::s13_peer_sources::signals::Wake;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHandle};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::fakes::{LIMIT, Sources, announcer, asks_for, event, refuses, trackers};

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

/// A source that does one thing.
struct Does<F>(F);

impl<F: FnOnce(SourceHandle) -> Result<(), BoxError> + Send> PeerSource for Does<F> {
    fn name(&self) -> String {
        "the source".to_owned()
    }

    fn run(self: Box<Self>, finder: SourceHandle) -> Result<(), BoxError> {
        (self.0)(finder)
    }
}

fn does(
    what: impl FnOnce(SourceHandle) -> Result<(), BoxError> + Send + 'static,
) -> Box<dyn PeerSource> {
    Box::new(Does(what))
}

#[test]
fn a_source_that_fails_says_why_and_is_gone() {
    let sources = Sources::running(vec![does(|_| Err("no way".into()))]);
    assert_eq!(sources.until_gone(), (vec!["the source says no way, failed: true".to_owned()], 0));
}

#[test]
fn a_source_that_panics_is_gone_and_the_others_go_on() {
    let (open, gate) = mpsc::channel::<()>();
    let waits = does(move |finder| {
        let _ = gate.recv();
        finder.found(NamedBy::User, vec![([192, 0, 2, 7], 6881).into()]);
        Ok(())
    });
    let sources = Sources::running(vec![waits, does(|_| panic!("a bug in a source"))]);
    assert_eq!(sources.until_gone(), (vec![], 1));
    drop(open);
    assert_eq!(sources.until_gone(), (vec!["found [192.0.2.7:6881]".to_owned()], 0));
}

#[test]
fn an_announcer_ends_only_when_no_tracker_of_its_tier_can_ever_answer() {
    let never = || refuses(Retry::Never);
    let off_limits = || Err(TrackerError::OffLimits("it is too near"));
    let answers: [fn() -> Result<AnnounceResponse, TrackerError>; 2] = [never, off_limits];
    for answer in answers {
        let (trackers, asked) = trackers(move |_, _, _| answer());
        let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
        let (said, _) = sources.until_gone();
        assert!(
            matches!(&said[..], [why] if why.contains("fake://t: ") && why.ends_with("failed: true")),
            "{said:?}"
        );
        assert!(event(&asked).is_some() && asked.try_recv().is_err(), "it was asked once");
    }
    let (trackers, asked) = trackers(|_, _, _| asks_for(1800, None));
    let sources = Sources::running(vec![announcer("gopher://t", &trackers)]);
    let (said, _) = sources.until_gone();
    assert!(matches!(&said[..], [why] if why.contains("found the scheme \"gopher\"")), "{said:?}");
    assert!(asked.try_recv().is_err(), "nobody speaks gopher");
}

/// A source that does nothing but wait, and what it hears. Until the gate is dropped it is busy.
fn waits(gate: Receiver<()>) -> (Box<dyn PeerSource>, Receiver<Wake>) {
    let (told, tells) = mpsc::channel();
    let source = does(move |mut finder| {
        let _ = gate.recv();
        loop {
            let wake = finder.wait(HOUR);
            let _ = told.send(wake);
            if wake == Wake::Stop {
                return Ok(());
            }
        }
    });
    (source, tells)
}

#[test]
fn a_busy_source_misses_no_signal_and_hears_each_once() {
    let (open, gate) = mpsc::channel::<()>();
    let (source, heard) = waits(gate);
    let sources = Sources::running(vec![source]);
    // Twice without peers while it was busy is one reason to look for some.
    sources.host.signals.hungry();
    sources.host.signals.hungry();
    drop(open);
    assert_eq!(heard.recv_timeout(LIMIT), Ok(Wake::Hungry));
    sources.host.signals.completed();
    assert_eq!(heard.recv_timeout(LIMIT), Ok(Wake::Completed));
    sources.host.signals.completed();
    sources.host.signals.stop();
    assert_eq!(heard.recv_timeout(LIMIT), Ok(Wake::Stop));
}

#[test]
fn completed_is_heard_before_stop_and_hunger_no_more_after_it() {
    let (open, gate) = mpsc::channel::<()>();
    let (source, heard) = waits(gate);
    let sources = Sources::running(vec![source]);
    sources.host.signals.hungry();
    sources.host.signals.stop();
    sources.host.signals.completed();
    drop(open);
    sources.until_gone();
    assert_eq!(heard.iter().collect::<Vec<Wake>>(), [Wake::Completed, Wake::Stop]);
}

#[test]
fn an_hour_of_waiting_ends_when_something_is_said() {
    let (open, gate) = mpsc::channel::<()>();
    let (told, tells) = mpsc::channel();
    let source = does(move |mut finder| {
        let _ = gate.recv();
        let _ = told.send(finder.wait(Duration::ZERO));
        let _ = told.send(finder.wait(HOUR));
        Ok(())
    });
    let sources = Sources::running(vec![source]);
    drop(open);
    assert_eq!(tells.recv_timeout(LIMIT), Ok(Wake::Due));
    sources.host.signals.hungry();
    assert_eq!(tells.recv_timeout(LIMIT), Ok(Wake::Hungry));
}

/// The same source, but it finds peers without the torrent's trackers.
struct Open(Box<dyn PeerSource>);

impl PeerSource for Open {
    fn name(&self) -> String {
        self.0.name()
    }

    fn is_open(&self) -> bool {
        true
    }

    fn run(self: Box<Self>, finder: SourceHandle) -> Result<(), BoxError> {
        self.0.run(finder)
    }
}

#[test]
fn a_private_torrent_ends_the_open_sources_and_no_other() {
    let ((open, open_heard), (closed, closed_heard)) =
        (waits(mpsc::channel().1), waits(mpsc::channel().1));
    let sources = Sources::running(vec![Box::new(Open(open)), closed]);
    sources.host.signals.private();
    assert_eq!(open_heard.recv_timeout(LIMIT), Ok(Wake::Stop));
    assert_eq!(sources.until_gone(), (vec![], 0));
    // The other one is told something later, and has heard nothing before.
    sources.host.signals.hungry();
    assert_eq!(closed_heard.recv_timeout(LIMIT), Ok(Wake::Hungry));
}
