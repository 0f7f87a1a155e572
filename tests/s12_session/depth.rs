//! How many requests to keep outstanding.

use super::super::support::assert_number;
use piecemeal::s12_session::request_depth::RequestDepth;
use std::time::{Duration, Instant};

/// The depth after this many blocks, one every `pause` microseconds, the first of
/// them `round_trip` microseconds after it was requested.
fn depth_after(blocks: u64, pause: u64, round_trip: u64, most: usize) -> usize {
    let start = Instant::now();
    let mut depth = RequestDepth::new(start);
    depth.resume(start);
    for block in 0..blocks {
        depth.count(1, start + Duration::from_micros(round_trip + block * pause), most);
    }
    depth.get()
}

#[test]
fn the_depth_fits_the_rate_and_the_round_trip() {
    let first = depth_after(0, 0, 0, 250);
    assert!((1..=64).contains(&first), "{first}");
    // Slow: about a second's worth, and always a request even for the slowest.
    assert!((20..=40).contains(&depth_after(200, 33_333, 50_000, 250)), "30 blocks a second");
    assert!(
        (1..=8).contains(&depth_after(20, 10_000_000, 50_000, 250)),
        "a block every ten seconds"
    );
    // Fast and near: enough, and no more.
    assert!((64..=80).contains(&depth_after(50_000, 60, 200, 100_000)), "1 ms and 250 MiB/s");
    // Fast and far: at least what the round trip holds.
    assert!(
        (320..=512).contains(&depth_after(50_000, 156, 50_000, 100_000)),
        "50 ms and 100 MiB/s"
    );
    // A long time before the first block does not make it more than a second's worth.
    assert!(
        (20..=40).contains(&depth_after(200, 33_333, 10_000_000, 250)),
        "it has thought for 10 s"
    );
}

#[test]
fn the_depth_grows_within_a_few_round_trips() {
    let (start, trip) = (Instant::now(), Duration::from_millis(50));
    let mut depth = RequestDepth::new(start);
    depth.resume(start);
    // Each round trip brings all that was requested.
    for round in 1..=6 {
        depth.count(depth.get(), start + round * trip, 100_000);
    }
    assert!(depth.get() >= 320, "{}", depth.get());
}

#[test]
fn the_depth_is_never_more_than_the_peer_queues() {
    for (most, expected) in [(7, 7), (0, 1)] {
        assert_number(
            &format!("the requests at a peer that drops those beyond its reqq, {most}"),
            depth_after(5000, 1000, 50_000, most),
            expected,
            "BEP 10, request queue",
            &[],
        );
    }
    assert!(depth_after(500_000, 1, 1_000_000, usize::MAX) <= 512, "8 MiB");
}

#[test]
fn the_time_for_a_block_is_known_with_the_first_one_and_fitted_later() {
    let (start, tenth) = (Instant::now(), Duration::from_millis(100));
    let mut depth = RequestDepth::new(start);
    depth.resume(start);
    assert_eq!(depth.block_time(), None);
    depth.count(2, start + 4 * tenth, 250);
    assert_eq!(depth.block_time(), Some(2 * tenth));
    depth.count(1, start + 6 * tenth, 250);
    assert_eq!(depth.block_time(), Some(2 * tenth), "a window is not full yet");
    depth.count(7, start + 10 * tenth, 250);
    assert_eq!(depth.block_time(), Some(tenth));
}
