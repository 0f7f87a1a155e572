//! How long a peer may take. No test here waits: the clock is told the time.

use piecemeal::s12_session::deadlines::Deadlines;
use std::time::{Duration, Instant};

const BLOCK: u32 = 16_384;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Fetches a piece of this many blocks from a peer that takes `answer` seconds for each. Before
/// each of them, our own limit keeps us from asking for `pause` seconds. Fails as the session ends.
fn fetch(clock: &mut Deadlines, blocks: u32, pause: f64, answer: f64) -> Result<(), String> {
    clock.next_piece();
    for _ in 0..blocks {
        for waited in turns(pause) {
            clock.now += waited;
            clock.nothing_owed();
            clock.check(false, None).map_err(|end| end.to_string())?;
        }
        clock.nothing_owed(); // as it is requested
        for waited in turns(answer) {
            clock.now += waited;
            clock.check(false, Some(blocks * BLOCK)).map_err(|end| end.to_string())?;
        }
        clock.message_received(clock.now);
        clock.block_received();
    }
    Ok(())
}

/// The turns of a session's loop in this time: it wakes up every 250 ms.
fn turns(seconds: f64) -> impl Iterator<Item = Duration> {
    let whole = (seconds / 0.25) as usize;
    let last = seconds - whole as f64 * 0.25;
    std::iter::repeat_n(secs(0.25), whole).chain([secs(last)])
}

fn clock() -> Deadlines {
    Deadlines::new(Instant::now())
}

#[test]
fn the_time_in_which_our_own_limit_keeps_us_from_asking_does_not_count() {
    // 256 KiB at 2 KiB/s, from a perfect peer; then one of fifty peers that share 20 KiB/s.
    assert_eq!(fetch(&mut clock(), 16, 8.0, 0.01), Ok(()));
    assert_eq!(fetch(&mut clock(), 16, 40.0, 0.01), Ok(()));
    // A slow peer, but 16 times 3.9 s are less than the 64 s that it has.
    assert_eq!(fetch(&mut clock(), 16, 40.0, 3.9), Ok(()));
}

#[test]
fn a_peer_that_is_too_slow_gains_nothing_by_our_limit() {
    // 16 times 4.1 s are more than 64 s, whatever we wait in between.
    for pause in [0.0, 0.1, 8.0, 40.0] {
        let end = fetch(&mut clock(), 16, pause, 4.1);
        assert_eq!(end, Err("a piece took too long".to_owned()), "{pause} s before each block");
    }
}

#[test]
fn each_piece_has_its_own_time() {
    let mut clock = clock();
    for _ in 0..10 {
        assert_eq!(fetch(&mut clock, 4, 0.0, 14.0), Ok(()));
        assert_eq!(fetch(&mut clock, 4, 30.0, 14.0), Ok(()));
    }
    assert_eq!(fetch(&mut clock, 4, 0.0, 15.1), Err("a piece took too long".to_owned()));
}

#[test]
fn a_piece_that_becomes_the_oldest_while_nothing_is_owed_has_no_more_than_its_time() {
    let mut clock = clock();
    clock.now += secs(50.0);
    clock.next_piece();
    clock.nothing_owed(); // the last block was 50 s ago, but this piece is new
    for second in 1..=61 {
        clock.now += secs(1.0);
        clock.message_received(clock.now);
        clock.block_received();
        assert_eq!(clock.check(false, Some(BLOCK)).is_err(), second > 60, "{second} s");
    }
}

#[test]
fn a_block_that_is_owed_has_20_seconds_from_its_request() {
    let mut clock = clock();
    clock.now += secs(100.0);
    clock.nothing_owed();
    clock.now += secs(20.0);
    assert_eq!(clock.owed_for(), secs(20.0));
    assert!(clock.check(false, Some(BLOCK)).is_ok());
    clock.now += secs(0.1);
    assert!(clock.check(false, None).is_ok(), "nothing is owed");
    let end = clock.check(false, Some(BLOCK)).expect_err("it is late").to_string();
    assert_eq!(end, "no block came for 20 s");
}
