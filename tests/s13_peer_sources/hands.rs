//! Sources that bring pieces themselves, without a swarm. What a swarm makes of them is tested with
//! stage 15.

use super::super::support::Torrent;
use super::fakes::{LIMIT, Sources};
use super::memory::{Memory, queue};
use piecemeal::s07_extension::BoxError;
use piecemeal::s11_work_queue::PeerNumber;
use piecemeal::s12_session::host::{Host, Torrent as Shared};
use piecemeal::s13_peer_sources::hand::{HandReport, Hands};
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHandle};
use piecemeal::s13_peer_sources::start;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};

/// A source that does one thing.
struct Does<F>(F);

impl<F: FnOnce(SourceHandle) -> Result<(), BoxError> + Send> PeerSource for Does<F> {
    fn name(&self) -> String {
        "the source".to_owned()
    }

    fn run(self: Box<Self>, handle: SourceHandle) -> Result<(), BoxError> {
        (self.0)(handle)
    }
}

/// What hands are made of, before the torrent is known; and their reports.
fn hands() -> (Hands, Receiver<HandReport>) {
    let (sender, reports) = mpsc::channel();
    let report = move |report| drop(sender.send(report));
    let host = Arc::new(Host::new(|_| ()));
    let hands =
        Hands { torrent: Arc::default(), host, numbers: Arc::default(), report: Arc::new(report) };
    (hands, reports)
}

/// Makes the torrent known, in memory.
fn learn(hands: &Hands, upload_only: bool) {
    let torrent = Torrent::sample();
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    assert!(hands.torrent.set(Arc::new(Shared { queue, store, upload_only })).is_ok());
}

/// Runs a source that does this.
fn run(
    hands: Option<Hands>,
    what: impl FnOnce(SourceHandle) -> Result<(), BoxError> + Send + 'static,
) -> Sources {
    let mut sources = Sources::new();
    sources.host.hands = hands;
    start(Box::new(Does(what)), 0, &sources.host);
    sources
}

/// Whether a source gets the torrent, and a hand.
fn gets(hands: Option<Hands>) -> (bool, bool) {
    let (tell, told) = mpsc::channel();
    let _sources = run(hands, move |handle| {
        tell.send((handle.torrent().is_some(), handle.hand("x").is_some()))?;
        Ok(())
    });
    told.recv_timeout(LIMIT).expect("the source says so")
}

#[test]
fn a_source_gets_a_hand_only_where_pieces_are_wanted() {
    assert_eq!(gets(None), (false, false), "only addresses are wanted");
    let seeding = hands().0;
    learn(&seeding, true);
    assert_eq!(gets(Some(seeding)), (true, false), "we only upload");
    let over = hands().0;
    learn(&over, false);
    over.host.stopping.store(true, Ordering::SeqCst);
    assert_eq!(gets(Some(over)), (true, false), "all is over");
    let wanted = hands().0;
    learn(&wanted, false);
    assert_eq!(gets(Some(wanted)), (true, true));
}

#[test]
fn a_source_sleeps_until_the_torrent_is_known_or_all_is_over() {
    for ends in [false, true] {
        let hands = hands().0;
        let (tell, told) = mpsc::channel();
        let sources = run(Some(hands.clone()), move |handle| {
            tell.send(None)?;
            tell.send(Some(handle.torrent().is_some()))?;
            Ok(())
        });
        assert_eq!(told.recv_timeout(LIMIT), Ok(None), "it is about to wait");
        if ends {
            sources.host.signals.stop();
        } else {
            learn(&hands, false);
            sources.host.signals.learned();
        }
        assert_eq!(told.recv_timeout(LIMIT), Ok(Some(!ends)));
    }
}

#[test]
fn a_hand_reports_its_beginning_and_its_end_even_a_panic_and_has_a_number_of_its_own() {
    let (hands, reports) = hands();
    learn(&hands, false);
    let _sources = run(Some(hands), |handle| {
        let _first = handle.hand("first");
        drop(handle.hand("second"));
        std::panic::resume_unwind(Box::new("a bug"))
    });
    let next = || match reports.recv_timeout(LIMIT).expect("a report") {
        HandReport::Began(number, stats) => (number, Some(stats.name().to_owned())),
        HandReport::Ended(number) => (number, None),
        HandReport::Failed(error) => panic!("no store was asked: {error}"),
    };
    let told: [(PeerNumber, Option<String>); 4] = [next(), next(), next(), next()];
    let [began, began_too, ended, ended_too] = told;
    assert_eq!([began.1.as_deref(), began_too.1.as_deref()], [Some("first"), Some("second")]);
    assert_ne!(began.0, began_too.0);
    assert_eq!([ended, ended_too], [(began_too.0, None), (began.0, None)]);
}
