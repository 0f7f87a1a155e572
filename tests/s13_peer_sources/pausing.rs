//! When a tracker is asked again.

use std::time::Duration;

use piecemeal::s03_tracker::Retry;

use super::fakes::{RETRY, Sources, announcer, asks_for, next, refuses, trackers};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_tracker_gets_the_pause_it_asks_for_within_bounds() {
    for (interval, min_interval, pause) in [
        (None, None, 1800),
        (Some(900), None, 900),
        (Some(900), Some(300), 900),
        (Some(60), Some(300), 300),
        (None, Some(300), 300),
        // "Come back at once" is not obeyed, and "in a trillion years" does no harm.
        (Some(0), None, 30),
        (Some(1), Some(0), 30),
        (Some(u64::MAX), None, 86_400),
        (Some(0), Some(u64::MAX), 86_400),
    ] {
        let (trackers, _asked) = trackers(move |_, _, _| asks_for(interval, min_interval));
        let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
        assert_eq!(
            sources.pause(),
            seconds(pause),
            "interval {interval:?}, min interval {min_interval:?}"
        );
    }
}

#[test]
fn hunger_brings_the_next_announce_nearer_but_not_before_the_minimum() {
    for (min_interval, earliest) in [(Some(60), 60), (None, 30), (Some(0), 30)] {
        let (trackers, asked) = trackers(move |_, _, _| asks_for(1800, min_interval));
        let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
        next(&asked);
        assert_eq!(sources.pause(), seconds(1800));
        sources.host.signals.hungry();
        assert_eq!(sources.pause(), seconds(earliest), "min interval {min_interval:?}");
        // Again and again: the minimum holds.
        sources.host.signals.hungry();
        assert_eq!(sources.pause(), seconds(earliest), "min interval {min_interval:?}");
        assert!(asked.try_recv().is_err(), "it was announced before the minimum had passed");
    }
}

#[test]
fn hunger_does_not_press_a_tracker_that_fails() {
    let (trackers, asked) = trackers(|_, _, _| refuses(Retry::After(seconds(300))));
    let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
    next(&asked);
    assert_eq!(sources.pause(), seconds(300));
    sources.host.signals.hungry();
    assert_eq!(sources.pause(), seconds(300));
    assert!(asked.try_recv().is_err(), "it was asked again");
}

#[test]
fn the_pause_doubles_with_each_failure_and_begins_again_after_a_success() {
    let (trackers, _asked) = trackers(|_, _, before| match before {
        10 => asks_for(1800, None),
        _ => refuses(Retry::Unsaid),
    });
    let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
    let pauses: Vec<u32> =
        (0..10).map(|_| (sources.pause().as_nanos() / RETRY.as_nanos()) as u32).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 128, 128]);
    assert_eq!(sources.pause(), seconds(1800));
    sources.host.signals.completed();
    assert_eq!(sources.pause(), RETRY);
}
