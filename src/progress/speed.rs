//! How many bytes a second, lately.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back it looks: long enough to be calm, short enough to be true.
const WINDOW: Duration = Duration::from_secs(3);
/// Two looks that are nearer to each other than this count as one.
const STEP: Duration = Duration::from_millis(100);
/// Before this much time has been seen, nobody knows.
const LEAST: Duration = Duration::from_millis(500);

/// A counter that only rises, and when it was how high.
#[derive(Default)]
pub struct Speed(VecDeque<(Instant, u64)>);

impl Speed {
    /// The counter is here now.
    pub fn add(&mut self, now: Instant, count: u64) {
        let near = self.0.len() > 1 && self.0.iter().rev().nth(1).is_some_and(|(then, _)| now.duration_since(*then) < STEP);
        if near {
            self.0.pop_back();
        }
        self.0.push_back((now, count));
        while self.0.get(1).is_some_and(|(then, _)| now.duration_since(*then) >= WINDOW) {
            self.0.pop_front();
        }
    }

    /// Bytes a second, once that can be told.
    pub fn get(&self) -> Option<u64> {
        let ((since, from), (now, to)) = (self.0.front()?, self.0.back()?);
        let time = now.duration_since(*since);
        (time >= LEAST).then(|| (to.saturating_sub(*from) as f64 / time.as_secs_f64()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(looks: impl IntoIterator<Item = (u64, u64)>) -> Option<u64> {
        let start = Instant::now();
        let mut speed = Speed::default();
        looks.into_iter().for_each(|(millis, count)| speed.add(start + Duration::from_millis(millis), count));
        speed.get()
    }

    #[test]
    fn nothing_is_said_of_less_than_half_a_second() {
        assert_eq!(after([]), None);
        assert_eq!(after([(0, 7)]), None);
        assert_eq!(after([(0, 0), (200, 1000), (499, 5000)]), None);
        assert_eq!(after([(0, 0), (500, 5000)]), Some(10_000));
    }

    #[test]
    fn only_the_last_three_seconds_count() {
        let quick_then_slow =
            (0..=10).map(|second| (second * 1000, if second < 5 { second * 1_000_000 } else { 5_000_000 + second * 10 }));
        assert_eq!(after(quick_then_slow), Some(10));
        assert_eq!(after([(0, 0), (1000, 3000), (4000, 3000), (5000, 3000)]), Some(0), "a stall shows");
    }

    #[test]
    fn what_was_there_at_the_start_is_no_speed() {
        assert_eq!(after([(0, 1_000_000), (1000, 1_000_500)]), Some(500));
    }

    #[test]
    fn many_looks_in_a_moment_cost_no_memory() {
        let start = Instant::now();
        let mut speed = Speed::default();
        (0..100_000).for_each(|look| speed.add(start + Duration::from_micros(look * 100), look));
        assert!(speed.0.len() < 40, "{}", speed.0.len());
        assert_eq!(speed.get(), Some(10_000));
    }
}
