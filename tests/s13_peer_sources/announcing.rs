//! What a tracker is told, and in which order.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};

use piecemeal::s03_tracker::{AnnounceResponse, Event, Retry};
use piecemeal::s13_peer_sources::source::SourceReport;

use super::super::support::assert_value;
use super::fakes::{LIMIT, Sources, announcer, asks_for, event, next, refuses, trackers};

const STARTED: Option<Event> = Some(Event::Started);
const COMPLETED: Option<Event> = Some(Event::Completed);
const STOPPED: Option<Event> = Some(Event::Stopped);

#[test]
fn a_session_announces_started_completed_and_stopped_with_the_counters_of_the_moment() {
    let (trackers, asked) = trackers(|_, _, _| asks_for(1800, None));
    let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
    let started = next(&asked);
    let counters = &sources.host.counters;
    counters.downloaded.store(9, Ordering::Relaxed);
    counters.left.store(0, Ordering::Relaxed);
    sources.host.signals.completed();
    let completed = next(&asked);
    counters.uploaded.store(4, Ordering::Relaxed);
    sources.host.signals.stop();
    let stopped = next(&asked);
    let all = [started, completed, stopped];
    let told =
        all.each_ref().map(|ask| (ask.event, ask.uploaded, ask.downloaded, ask.left, ask.numwant));
    let expected =
        [(STARTED, 0, 0, 1, None), (COMPLETED, 0, 9, 0, None), (STOPPED, 4, 9, 0, Some(0))];
    for (told, expected) in told.into_iter().zip(expected) {
        let what = "event, uploaded, downloaded, left and numwant of an announce";
        assert_value(what, told, expected, "BEP 3, announcing");
    }
    assert!(
        all.iter().all(|ask| ask.key.is_some() && ask.key == all[0].key),
        "one key for the whole session"
    );
    let (said, number) = sources.until_gone();
    let taken: Vec<String> =
        said.into_iter().filter(|report| report.starts_with("fake://t Some")).collect();
    assert_eq!(
        taken,
        ["Started", "Completed", "Stopped"].map(|event| format!("fake://t Some({event}) 0"))
    );
    assert_eq!(number, 0);
}

#[test]
fn started_is_repeated_until_a_tracker_takes_it_and_completed_follows_at_once() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (trackers, asked) = trackers(move |_, _, before| match before {
        0 => refuses(Retry::Unsaid),
        1 => {
            let _ = gate.lock().expect("one announcer").recv(); // the test opens it
            refuses(Retry::Unsaid)
        }
        _ => asks_for(1800, None),
    });
    let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
    assert_eq!([event(&asked), event(&asked)], [STARTED, STARTED]);
    // The last piece arrives while no tracker knows us yet.
    sources.host.signals.completed();
    open.send(()).expect("the tracker waits");
    assert_eq!([event(&asked), event(&asked)], [STARTED, COMPLETED]);
    sources.host.signals.stop();
    assert_eq!(event(&asked), STOPPED);
}

#[test]
fn a_download_that_completes_and_stops_in_one_moment_announces_both() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (trackers, asked) = trackers(move |_, _, before| {
        if before == 0 {
            let _ = gate.lock().expect("one announcer").recv(); // the test opens it
        }
        asks_for(1800, None)
    });
    let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
    assert_eq!(event(&asked), STARTED);
    sources.host.signals.completed();
    sources.host.signals.stop();
    open.send(()).expect("the tracker waits");
    assert_eq!([event(&asked), event(&asked)], [COMPLETED, STOPPED]);
}

#[test]
fn a_tracker_that_took_no_started_hears_no_stopped() {
    let (trackers, asked) =
        trackers(|_, _, _| refuses(Retry::After(std::time::Duration::from_secs(60))));
    let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
    assert_eq!(event(&asked), STARTED);
    sources.pause();
    sources.host.signals.stop();
    sources.until_gone();
    assert!(asked.try_recv().is_err(), "nothing more is announced");
}

#[test]
fn the_tracker_id_is_sent_back_and_kept_where_the_next_answer_has_none() {
    let (trackers, asked) = trackers(|_, _, before| {
        let tracker_id = (before == 0).then(|| b"\xFFid".to_vec());
        Ok(AnnounceResponse { tracker_id, ..AnnounceResponse::default() })
    });
    let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
    let first = next(&asked);
    sources.host.signals.completed();
    let second = next(&asked);
    sources.host.signals.stop();
    let ids = [first, second, next(&asked)].map(|ask| ask.tracker_id);
    assert_eq!(ids, [None, Some(b"\xFFid".to_vec()), Some(b"\xFFid".to_vec())]);
}

#[test]
fn a_tier_that_is_silent_does_not_delay_another() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (trackers, _asked) = trackers(move |url, _, _| {
        if url == "fake://silent" {
            // Held until the other tier has answered: were they one thread, this test would hang.
            let _ = gate.lock().expect("one announcer").recv();
        }
        asks_for(1800, None)
    });
    let sources = Sources::running(vec![
        announcer("fake://silent", &trackers),
        announcer("fake://quick", &trackers),
    ]);
    let answered = |sources: &Sources| {
        sources.next(|report| match report {
            SourceReport::Announced { tracker, .. } => Some(tracker.clone()),
            _ => None,
        })
    };
    assert_eq!(answered(&sources), "fake://quick");
    drop(open);
    assert_eq!(answered(&sources), "fake://silent");
}

#[test]
fn nobody_is_asked_again_when_nobody_listens() {
    let (trackers, asked) = trackers(|_, _, _| asks_for(1800, None));
    let mut sources = Sources::new();
    let (gone, ended) = mpsc::channel();
    sources.host.report = Arc::new(move |report| {
        if matches!(report, SourceReport::Gone(_)) {
            let _ = gone.send(());
        }
        false
    });
    piecemeal::s13_peer_sources::start(announcer("fake://t", &trackers), 0, &sources.host);
    ended.recv_timeout(LIMIT).expect("it ends by itself");
    assert_eq!(event(&asked), STARTED);
    assert!(asked.try_recv().is_err(), "there was one announce");
}
