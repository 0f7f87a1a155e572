//! The line that says how far the work is, for a terminal of any width and for a file. (stage 10)
//!
//! Numbers become text here, and nothing else happens.

use std::time::Duration;

use piecemeal::s01_bencode::counted;

use super::short_text::{UNITS, clock, in_unit, size};
use super::speed::TimeLeft;

/// The least length of the bar, if there is one, and the greatest.
const BAR: (usize, usize) = (6, 30);
/// The room for `999 KiB/s`.
const RATE: usize = 9;

/// The figures of some work.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The name of the work: `downloading`.
    pub label: &'static str,
    /// Whether the work has no end of its own; `total` is then only a measure for `given`.
    pub endless: bool,
    /// The total number of bytes; 0 until it is known.
    pub total: u64,
    /// The bytes that are done; in a download, verified.
    pub done: u64,
    /// The part of `done` that was there from the start.
    pub resumed: u64,
    /// The bytes that have come but are not verified yet.
    pub unverified: u64,
    /// The rate of receiving, or of working, in bytes a second.
    pub down: Option<u64>,
    /// The rate of sending, in bytes a second.
    pub up: Option<u64>,
    /// The bytes that have been sent.
    pub given: u64,
    /// The number of connected peers, if the work has peers.
    pub peers: Option<usize>,
    /// The time since the start.
    pub elapsed: Duration,
    /// The time that is left.
    pub left: TimeLeft,
}

impl Figures {
    /// Returns one line of at most `width` columns. The least important parts are left out
    /// first. Each part has room to grow, so that the parts after it stay in place.
    pub fn line(&self, width: usize) -> String {
        if self.is_endless() {
            let started = format!("{} for {:<7}", self.label, clock(self.elapsed.as_secs()));
            let given = (self.given > 0).then(|| format!("{} given", size(self.given)));
            return fit(
                width,
                &[
                    part(0, 0, Some(started)),
                    self.up_part(2),
                    self.peers_part(1),
                    part(3, 10, given),
                ],
            );
        }
        let percent = Some(format!("{:>3}%", self.percent()));
        // A figure that is not known yet also gets its room.
        let down = format!("{:>RATE$}", self.rate_down().unwrap_or_default());
        let left = self.left().unwrap_or_default();
        let parts = |bar| {
            [
                part(5, 0, Some(self.label.to_owned())),
                part(4, 0, bar),
                part(0, 0, percent.clone()),
                part(8, 0, Some(self.sums())),
                part(1, RATE, Some(down.clone())),
                self.up_part(7),
                self.peers_part(6),
                // The last one may grow freely, if there is room.
                part(3, 10, Some(left.clone())),
            ]
        };
        let least = parts(Some(self.bar(BAR.0)));
        let kept = kept(width, &least);
        if !kept.contains(&1) {
            return fit(width, &least);
        }
        // The bar gets the room that is left.
        fit(
            width,
            &parts(Some(self.bar((BAR.0 + width.saturating_sub(room(&least, &kept))).min(BAR.1)))),
        )
    }

    /// Returns the line without a bar, for a file.
    pub fn plain(&self) -> String {
        let given = self.endless && self.total > 0;
        let percent = if given { self.given * 100 / self.total } else { self.percent() };
        let word = if given { " given" } else { "" };
        let sums = (!given).then(|| format!("{} of {}", size(self.done), size(self.total)));
        let left = if self.endless { None } else { self.left() };
        let up = self.rate_up().filter(|_| self.endless || self.up > Some(0));
        let more = [sums, self.rate_down().filter(|_| !given), up, self.peers(), left];
        let more: String = more.into_iter().flatten().map(|part| format!(", {part}")).collect();
        format!("{}: {percent}%{word}{more}", self.label)
    }

    fn is_endless(&self) -> bool {
        self.endless || self.total == 0
    }

    /// Returns the percentage done, rounded down: it is 100 only when all is done.
    fn percent(&self) -> u64 {
        (u128::from(self.done) * 100 / u128::from(self.total.max(1))).min(100) as u64
    }

    /// Returns the bar: `=` was there, `#` is verified, `+` has come, `.` is missing.
    fn bar(&self, length: usize) -> String {
        let cells = |bytes: u64| {
            (u128::from(bytes) * length as u128 / u128::from(self.total.max(1))).min(length as u128)
                as usize
        };
        let (resumed, done) = (cells(self.resumed.min(self.done)), cells(self.done));
        let came = cells(self.done.saturating_add(self.unverified));
        let cell = |at| match at {
            at if at < resumed => '=',
            at if at < done => '#',
            at if at < came => '+',
            _ => '.',
        };
        format!("[{}]", (0..length).map(cell).collect::<String>())
    }

    /// Returns `  2.8 of 12.0 MiB`: both in one unit, so that the width never changes.
    fn sums(&self) -> String {
        let (unit, total) = in_unit(self.total);
        let done = self.done as f64 / 1024f64.powi(unit as i32);
        let digits =
            if unit == 0 { 0 } else { usize::from(total < 99.95) + usize::from(total < 9.95) };
        let total = format!("{total:.digits$}");
        format!("{done:>width$.digits$} of {total} {}", UNITS[unit], width = total.len())
    }

    fn rate_down(&self) -> Option<String> {
        self.down.map(|rate| format!("{}/s", size(rate)))
    }

    fn rate_up(&self) -> Option<String> {
        self.up
            .filter(|_| self.given > 0 || self.endless)
            .map(|rate| format!("up {}/s", size(rate)))
    }

    fn peers(&self) -> Option<String> {
        self.peers.map(|peers| counted(peers, "peer"))
    }

    fn left(&self) -> Option<String> {
        match self.left {
            TimeLeft::Unknown => None,
            TimeLeft::Stalled => Some("stalled".to_owned()),
            TimeLeft::Seconds(seconds) => Some(format!("{} left", clock(seconds))),
        }
    }

    fn up_part(&self, luxury: u8) -> LinePart {
        part(
            luxury,
            RATE + 3,
            self.rate_up().map(|rate| format!("{rate:>width$}", width = RATE + 3)),
        )
    }

    fn peers_part(&self, luxury: u8) -> LinePart {
        part(luxury, 8, self.peers())
    }
}

/// A part of a line. The higher the first number, the sooner the part is left out; the
/// second number is the room that is kept for it.
type LinePart = (u8, usize, Option<String>);

fn part(luxury: u8, room: usize, text: Option<String>) -> LinePart {
    (luxury, room, text)
}

/// Returns the number of columns that these parts take, with two between them.
fn room(parts: &[LinePart], kept: &[usize]) -> usize {
    let width = |at: &usize| {
        parts[*at].2.as_deref().map_or(0, |text| text.chars().count()).max(parts[*at].1)
    };
    kept.iter().map(|at| width(at) + 2).sum::<usize>().saturating_sub(2)
}

/// Returns the parts that fit, the lowest numbers first.
fn kept(width: usize, parts: &[LinePart]) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..parts.len()).filter(|at| parts[*at].2.is_some()).collect();
    kept.sort_by_key(|at| parts[*at].0);
    while kept.len() > 1 && room(parts, &kept) > width {
        kept.pop();
    }
    kept.sort_unstable();
    kept
}

/// Returns the parts that fit, in their order on the line.
fn fit(width: usize, parts: &[LinePart]) -> String {
    let text = |at: &usize| {
        format!("{:<room$}", parts[*at].2.as_deref().unwrap_or_default(), room = parts[*at].1)
    };
    let line = kept(width, parts).iter().map(text).collect::<Vec<_>>().join("  ");
    line.trim_end().chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn half_way() -> Figures {
        let (down, up) = (Some(1_258_291), Some(307_200));
        let elapsed = Duration::from_secs(68);
        let label = "downloading";
        let (total, done, resumed, unverified) = (20 * MIB, 10 * MIB, 4 * MIB, 2 * MIB);
        let left = TimeLeft::Seconds(9);
        Figures {
            label,
            total,
            done,
            resumed,
            unverified,
            down,
            up,
            given: 1,
            peers: Some(3),
            elapsed,
            left,
            ..Figures::default()
        }
    }

    #[test]
    fn a_line_leaves_out_what_does_not_fit() {
        let figures = half_way();
        let lines: Vec<String> =
            [120, 100, 79, 60, 39, 20, 5].iter().map(|width| figures.line(*width)).collect();
        let expected = [
            "downloading  [======#########+++............]   50%  10.0 of 20.0 MiB  1.2 MiB/s  up 300 KiB/s  3 peers   9s left",
            "downloading  [==#####+......]   50%  10.0 of 20.0 MiB  1.2 MiB/s  up 300 KiB/s  3 peers   9s left",
            "downloading  [==###+.....]   50%  1.2 MiB/s  up 300 KiB/s  3 peers   9s left",
            "downloading  [=##...]   50%  1.2 MiB/s  3 peers   9s left",
            "[=###....]   50%  1.2 MiB/s  9s left",
            " 50%  1.2 MiB/s",
            " 50%",
        ];
        assert_eq!(lines, expected);
        assert!(
            [120, 100, 79, 60, 39, 20, 5]
                .iter()
                .zip(&lines)
                .all(|(width, line)| line.len() <= *width)
        );
    }

    #[test]
    fn sums_have_the_digits_that_move() {
        let of = |done, total| Figures { done, total, ..half_way() }.sums();
        assert_eq!(of(999, 1000), " 999 of 1000 B");
        assert_eq!(of(MIB / 3, MIB), "0.33 of 1.00 MiB");
        assert_eq!(of(MIB, 12 * MIB), " 1.0 of 12.0 MiB");
        assert_eq!(of(MIB, 300 * MIB), "  1 of 300 MiB");
    }

    #[test]
    fn what_becomes_longer_moves_nothing() {
        let early = Figures {
            done: 0,
            resumed: 0,
            unverified: 0,
            down: None,
            peers: Some(1),
            left: TimeLeft::Unknown,
            ..half_way()
        };
        let later = Figures {
            done: 20 * MIB - 1,
            peers: Some(50),
            left: TimeLeft::Seconds(3599),
            ..early.clone()
        };
        for width in [78, 98, 120] {
            let at = |figures: &Figures, what: char| figures.line(width).find(what);
            assert_eq!(
                (at(&early, ']'), at(&early, 'p')),
                (at(&later, ']'), at(&later, 'p')),
                "{width}"
            );
        }
    }

    #[test]
    fn a_plain_line_has_everything_but_the_bar() {
        assert_eq!(
            half_way().plain(),
            "downloading: 50%, 10 MiB of 20 MiB, 1.2 MiB/s, up 300 KiB/s, 3 peers, 9s left"
        );
        let hashing = Figures { label: "hashing", total: 1000, done: 300, ..Figures::default() };
        assert_eq!(hashing.plain(), "hashing: 30%, 300 B of 1000 B");
        let over = Figures {
            done: 20 * MIB,
            unverified: 0,
            up: Some(0),
            left: TimeLeft::Unknown,
            ..half_way()
        };
        assert_eq!(over.plain(), "downloading: 100%, 20 MiB of 20 MiB, 1.2 MiB/s, 3 peers");
    }

    #[test]
    fn what_has_no_end_tells_for_how_long_it_runs() {
        let seed =
            Figures { label: "seeding", endless: true, given: 45 * MIB, down: None, ..half_way() };
        assert_eq!(seed.line(79), "seeding for 1:08     up 300 KiB/s  3 peers   45 MiB given");
        assert_eq!(seed.line(43), "seeding for 1:08     up 300 KiB/s  3 peers");
        assert_eq!(seed.plain(), "seeding: 225% given, up 300 KiB/s, 3 peers");
        let label = "getting the info dictionary";
        let magnet = Figures { label, peers: Some(1), ..Figures::default() };
        assert_eq!(
            magnet.line(79),
            "getting the info dictionary for 0s       1 peer",
            "no size is known yet"
        );
    }

    #[test]
    fn a_bar_is_full_only_when_all_is_there() {
        let nearly = Figures { done: 20 * MIB - 1, resumed: 0, unverified: 1, ..half_way() };
        assert_eq!(nearly.bar(10), "[#########+]");
        assert!(nearly.line(79).contains(" 99%"), "{}", nearly.line(79));
        // Blocks may come twice, so what came can be more than what is missing.
        let wasteful = Figures { unverified: u64::MAX, ..half_way() };
        assert_eq!(wasteful.bar(10), "[==###+++++]");
    }

    #[test]
    fn nothing_that_comes_is_no_end_in_sight() {
        let stalled = Figures { down: Some(0), up: None, left: TimeLeft::Stalled, ..half_way() };
        assert!(stalled.line(79).ends_with("   0 B/s  3 peers   stalled"), "{}", stalled.line(79));
        let early = Figures { down: None, up: None, left: TimeLeft::Unknown, ..half_way() };
        assert!(
            early.line(79).ends_with("10.0 of 20.0 MiB             3 peers"),
            "{}",
            early.line(79)
        );
    }
}
