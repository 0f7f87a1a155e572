//! Decides when a line is due without a terminal, and when silence needs a reason. (stage 10)

use std::time::{Duration, Instant};

use super::progress_line::Figures;

/// Work that ends sooner gets no line, and two lines are at least this far apart.
const SHORT: Duration = Duration::from_secs(2);
/// The silence after which a terminal shows why nothing seems to happen.
const SHOWN: Duration = Duration::from_secs(2);
/// The silence after which a file says so.
const PRINTED: Duration = Duration::from_secs(10);

/// The plain lines for some work.
pub struct PlainLines {
    /// The time of the start, or of the last line.
    since: Instant,
    printed: bool,
    /// The last tenth that was printed; for a seed, the last full copy.
    step: u64,
}

impl PlainLines {
    /// Starts the lines for work that begins now.
    pub fn new(now: Instant) -> PlainLines {
        PlainLines { since: now, printed: false, step: 0 }
    }

    /// Whether a line is due: a tenth of the work is done since the last one, or a seed has
    /// sent a whole copy, and the work is not short. If any line was printed, so is the last
    /// tenth.
    pub fn is_due(&mut self, now: Instant, figures: &Figures) -> bool {
        let Figures { endless, total, done, given, .. } = *figures;
        let step = if endless {
            given / total.max(1)
        } else {
            (u128::from(done) * 10 / u128::from(total.max(1))) as u64
        };
        let last = self.printed && !endless && done >= total;
        let due =
            total > 0 && step > self.step && (last || now.duration_since(self.since) >= SHORT);
        if due {
            (self.since, self.printed, self.step) = (now, true, step);
        }
        due
    }
}

/// What the hashing of files waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashingWait {
    /// The hashing itself, which takes its time.
    Hashing,
    /// The disk: nothing can be read.
    Disk,
}

/// The progress of hashing files, which may take minutes on a slow disk.
pub struct HashingWatch {
    begun: Instant,
    /// The time of the last progress, and the bytes done by then.
    moved: Instant,
    done: u64,
    last_due: Option<HashingWait>,
}

impl HashingWatch {
    /// Starts hashing now.
    pub fn new(now: Instant) -> HashingWatch {
        HashingWatch { begun: now, moved: now, done: 0, last_due: None }
    }

    /// Records the bytes done by now. Returns what the work waits for, if that should be
    /// shown, and whether it is also due as a line: each reason is printed only once in a row.
    pub fn look(&mut self, now: Instant, done: u64) -> (Option<HashingWait>, bool) {
        if done > self.done {
            (self.done, self.moved) = (done, now);
        }
        let since = |then| now.duration_since(then);
        let wait = |least| {
            let disk = (since(self.moved) >= least).then_some(HashingWait::Disk);
            disk.or((since(self.begun) >= least).then_some(HashingWait::Hashing))
        };
        let (shown, due) = (wait(SHOWN), wait(PRINTED));
        let news = due.is_some() && due != self.last_due;
        self.last_due = due.or(self.last_due);
        (if news { due } else { shown }, news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether there is a line after each of these, in milliseconds and bytes of 100.
    fn lines(moments: &[(u64, u64)]) -> Vec<bool> {
        let start = Instant::now();
        let mut lines = PlainLines::new(start);
        let figures = |done| Figures { total: 100, done, ..Figures::default() };
        moments
            .iter()
            .map(|(millis, done)| {
                lines.is_due(start + Duration::from_millis(*millis), &figures(*done))
            })
            .collect()
    }

    #[test]
    fn short_work_has_no_line_and_long_work_one_in_two_seconds() {
        assert_eq!(lines(&[(0, 10), (1000, 50), (1999, 100)]), [false, false, false]);
        assert_eq!(
            lines(&[(1999, 90), (2000, 90), (3000, 95), (3500, 100)]),
            [false, true, false, true],
            "the end is told"
        );
        assert_eq!(
            lines(&[(2000, 9), (2100, 10), (4000, 20), (4100, 20), (9000, 29)]),
            [false, true, false, true, false]
        );
    }

    #[test]
    fn a_seed_has_a_line_for_each_copy() {
        let start = Instant::now();
        let mut lines = PlainLines::new(start);
        let mut after = |seconds, given| {
            lines.is_due(
                start + Duration::from_secs(seconds),
                &Figures { endless: true, total: 100, done: 100, given, ..Figures::default() },
            )
        };
        assert_eq!(
            [after(1, 100), after(2, 150), after(3, 199), after(4, 200)],
            [false, true, false, true]
        );
    }

    #[test]
    fn a_look_at_the_disk_says_what_it_waits_for() {
        let start = Instant::now();
        let mut reading = HashingWatch::new(start);
        let mut after = |seconds, done| reading.look(start + Duration::from_secs(seconds), done);
        assert_eq!(after(1, 5), (None, false));
        assert_eq!(after(2, 6), (Some(HashingWait::Hashing), false), "a terminal is sooner");
        assert_eq!(after(9, 7), (Some(HashingWait::Hashing), false));
        assert_eq!(after(10, 8), (Some(HashingWait::Hashing), true));
        assert_eq!(after(11, 9), (Some(HashingWait::Hashing), false), "once is enough");
        assert_eq!(after(13, 9), (Some(HashingWait::Disk), false));
        assert_eq!(after(21, 9), (Some(HashingWait::Disk), true), "the reason is another one");
        assert_eq!(after(22, 10), (Some(HashingWait::Hashing), true), "and it goes on");
        assert_eq!(after(99, 10), (Some(HashingWait::Disk), true));
    }
}
