//! Measures the recent rate in bytes a second, and predicts the time for the rest. (stage 10)

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The window for a rate: long enough to be steady, short enough to be current.
const WINDOW: Duration = Duration::from_secs(3);
/// The window for predicting the end, where steadiness matters more.
const LONG_WINDOW: Duration = Duration::from_secs(15);
/// Samples that are closer together than this count as one.
const STEP: Duration = Duration::from_millis(100);
/// The least time of samples for a rate.
const MIN_TIME: Duration = Duration::from_millis(500);
/// The least time of samples for a prediction.
const MIN_TO_FORETELL: Duration = Duration::from_secs(2);
/// The least time between changes of a figure; faster ones cannot be read.
const CALM: Duration = Duration::from_millis(500);

/// The recent samples of a counter that only rises.
pub struct Speed {
    window: Duration,
    looks: VecDeque<(Instant, u64)>,
    /// The last rate that was returned, and its time.
    told: Option<(Instant, u64)>,
}

impl Default for Speed {
    fn default() -> Speed {
        Speed { window: WINDOW, looks: VecDeque::new(), told: None }
    }
}

impl Speed {
    /// Adds a sample of the counter.
    pub fn add(&mut self, now: Instant, count: u64) {
        let looks = &mut self.looks;
        let near = looks.len() > 1
            && looks.iter().rev().nth(1).is_some_and(|(then, _)| now.duration_since(*then) < STEP);
        if near {
            looks.pop_back();
        }
        looks.push_back((now, count));
        while looks.get(1).is_some_and(|(then, _)| now.duration_since(*then) >= self.window) {
            looks.pop_front();
        }
        if self.told.is_none_or(|(then, _)| now.duration_since(then) >= CALM) {
            self.told = self.measure(MIN_TIME).map(|rate| (now, rate));
        }
    }

    /// Returns the rate in bytes a second, once there is one.
    pub fn get(&self) -> Option<u64> {
        self.told.map(|(_, rate)| rate)
    }

    fn measure(&self, least: Duration) -> Option<u64> {
        let ((since, from), (now, to)) = (self.looks.front()?, self.looks.back()?);
        let time = now.duration_since(*since);
        (time >= least).then(|| (to.saturating_sub(*from) as f64 / time.as_secs_f64()) as u64)
    }
}

/// The time that is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimeLeft {
    /// Not known yet, or nothing is left.
    #[default]
    Unknown,
    /// Nothing comes, so there is no end in sight.
    Stalled,
    /// This many seconds.
    Seconds(u64),
}

/// A prediction of the end. It keeps the moment that it has named, and counts down to it,
/// until that turns out to be clearly wrong.
pub struct Forecast {
    speed: Speed,
    end: Option<Instant>,
    left: TimeLeft,
}

impl Default for Forecast {
    fn default() -> Forecast {
        Forecast {
            speed: Speed { window: LONG_WINDOW, ..Speed::default() },
            end: None,
            left: TimeLeft::Unknown,
        }
    }
}

impl Forecast {
    /// Adds a sample of the counter, and the distance from its end.
    pub fn add(&mut self, now: Instant, count: u64, rest: u64) {
        self.speed.add(now, count);
        self.left = match self.speed.measure(MIN_TO_FORETELL) {
            Some(rate) if rest > 0 => self.foretell(now, rest, rate),
            _ => TimeLeft::Unknown,
        };
    }

    /// Returns the prediction of the last sample.
    pub fn left(&self) -> TimeLeft {
        self.left
    }

    fn foretell(&mut self, now: Instant, rest: u64, rate: u64) -> TimeLeft {
        let Some(end) = rest
            .checked_div(rate)
            .and_then(|seconds| now.checked_add(Duration::from_secs(seconds)))
        else {
            self.end = None;
            return TimeLeft::Stalled;
        };
        let bearable = (end.duration_since(now) / 8).max(Duration::from_secs(1));
        let wrong = |named: Instant| {
            named.max(end).duration_since(named.min(end)) > bearable || named <= now
        };
        if self.end.is_none_or(wrong) {
            self.end = Some(end);
        }
        let left = self.end.unwrap_or(end).saturating_duration_since(now);
        TimeLeft::Seconds(left.as_secs().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(looks: impl IntoIterator<Item = (u64, u64)>) -> Option<u64> {
        let start = Instant::now();
        let mut speed = Speed::default();
        looks
            .into_iter()
            .for_each(|(millis, count)| speed.add(start + Duration::from_millis(millis), count));
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
        let quick_then_slow = (0..=10).map(|second| {
            (second * 1000, if second < 5 { second * 1_000_000 } else { 5_000_000 + second * 10 })
        });
        assert_eq!(after(quick_then_slow), Some(10));
        assert_eq!(
            after([(0, 0), (1000, 3000), (4000, 3000), (5000, 3000)]),
            Some(0),
            "a stall shows"
        );
    }

    #[test]
    fn a_figure_stays_for_half_a_second() {
        let looks = [(0, 0), (500, 5000), (600, 90_000), (900, 90_000)];
        assert_eq!(after(looks), Some(10_000));
        assert_eq!(after(looks.into_iter().chain([(1000, 90_000)])), Some(90_000));
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
        assert!(speed.looks.len() < 40, "{}", speed.looks.len());
        assert_eq!(speed.get(), Some(10_000));
    }

    /// What is foretold after each of these looks at something of 100,000 bytes.
    fn foretold(looks: impl IntoIterator<Item = (u64, u64)>) -> Vec<TimeLeft> {
        let start = Instant::now();
        let mut forecast = Forecast::default();
        let look = |(millis, count)| {
            forecast.add(start + Duration::from_millis(millis), count, 100_000 - count);
            forecast.left()
        };
        looks.into_iter().map(look).collect()
    }

    #[test]
    fn the_end_is_foretold_after_two_seconds_and_when_nothing_comes_there_is_none() {
        let looks = [(0, 0), (1000, 1000), (2000, 2000), (3000, 3000), (99_000, 100_000)];
        assert_eq!(
            foretold(looks)[..4],
            [TimeLeft::Unknown, TimeLeft::Unknown, TimeLeft::Seconds(98), TimeLeft::Seconds(97)]
        );
        assert_eq!(foretold(looks)[4], TimeLeft::Unknown, "nothing is left");
        assert_eq!(foretold([(0, 500), (2000, 500)])[1], TimeLeft::Stalled);
        assert_eq!(
            foretold([(0, 500), (2000, 500), (4000, 1500)])[2],
            TimeLeft::Seconds(394),
            "it comes again"
        );
    }

    #[test]
    fn a_rate_that_trembles_does_not_shake_the_end() {
        // By turns 800 and 1200 bytes a second.
        let looks = (0..80).map(|second| (second * 1000, second / 2 * 2000 + second % 2 * 800));
        let seconds: Vec<u64> = foretold(looks)
            .into_iter()
            .skip(2)
            .map(|left| if let TimeLeft::Seconds(left) = left { left } else { panic!("{left:?}") })
            .collect();
        let steps: Vec<u64> = seconds
            .windows(2)
            .map(|two| two[0].abs_diff(two[1]))
            .filter(|step| *step != 1)
            .collect();
        assert!(steps.len() <= 4, "it counts down, and is seldom mended: {seconds:?}");
    }
}
