//! A limit on bytes a second, and how long it makes us wait. No test here really waits.

use piecemeal::s12_session::rate::Rate;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn without_a_limit_nothing_ever_waits() {
    let (rate, now) = (Rate::new(None), Instant::now());
    assert!(!rate.is_limited() && !Rate::default().is_limited());
    rate.spend(usize::MAX, now);
    assert_eq!(rate.wait_until(now), None);
}

#[test]
fn what_has_gone_is_paid_for_by_waiting() {
    let (rate, start) = (Rate::new(Some(1000)), Instant::now() + SECOND);
    assert!(rate.is_limited());
    assert_eq!(rate.wait_until(start), None, "nothing has gone yet");
    rate.spend(1000, start);
    // A second's worth was sent; a quarter of a second may be made up for.
    assert_eq!(rate.wait_until(start), Some(start + ms(750)));
    assert_eq!(rate.wait_until(start + ms(749)), Some(start + ms(750)));
    assert_eq!(rate.wait_until(start + ms(750)), None);
    // What goes before it is paid for adds up.
    rate.spend(500, start + ms(100));
    rate.spend(500, start + ms(100));
    assert_eq!(rate.wait_until(start + ms(100)), Some(start + ms(1750)));
}

#[test]
fn a_long_silence_is_not_made_up_for() {
    let (rate, start) = (Rate::new(Some(1000)), Instant::now() + SECOND);
    rate.spend(1, start);
    let later = start + 3600 * SECOND;
    rate.spend(1000, later);
    assert_eq!(rate.wait_until(later), Some(later + ms(750)));
}

#[test]
fn in_the_long_run_a_limit_is_kept_to_the_byte() {
    for (limit, block) in [(1000u64, 16_384usize), (1 << 20, 16_384), (50 << 20, 65_536), (7, 1)] {
        let (rate, start) = (Rate::new(Some(limit)), Instant::now() + SECOND);
        let (mut now, mut gone) = (start, 0u64);
        for _ in 0..1000 {
            rate.spend(block, now);
            gone += block as u64;
            // The sender waits as told, and sometimes a little longer.
            now = rate.wait_until(now).unwrap_or(now) + ms(gone % 3);
        }
        let (took, due) = ((now - start).as_secs_f64(), gone as f64 / limit as f64);
        assert!(took >= due - 0.26, "{limit} B/s: {gone} bytes in {took} s");
        assert!(took <= due + 3.0, "{limit} B/s: {gone} bytes in {took} s");
    }
}

#[test]
fn threads_that_are_let_through_together_wait_the_longer_afterwards() {
    let (rate, now) = (Rate::new(Some(16_384)), Instant::now() + SECOND);
    for _ in 0..8 {
        assert_eq!(rate.wait_until(now), None, "none of them has sent yet");
    }
    (0..8).for_each(|_| rate.spend(16_384, now));
    assert_eq!(rate.wait_until(now), Some(now + ms(7750)));
}

#[test]
fn a_limit_of_nothing_is_one_of_a_byte_a_second() {
    let (rate, now) = (Rate::new(Some(0)), Instant::now() + SECOND);
    rate.spend(10, now);
    assert_eq!(rate.wait_until(now), Some(now + ms(9750)));
}
