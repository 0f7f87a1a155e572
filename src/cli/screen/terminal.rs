//! The terminal that the bar is drawn on. (stage 10)
//!
//! Where the lines go, and what must be erased first, is computed for each drawing, since
//! the user may have resized the window meanwhile:
//!
//! * A terminal that became narrower has wrapped our lines, which now take more rows.
//! * A terminal that became lower has moved some lines out of sight, and brings them back
//!   when it grows again.
//!
//! Some columns stay free for the `^C` that a terminal prints at the cursor. On a full line
//! it would wrap to the next row, and one line of the bar would stay behind forever.

use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// The columns that stay free: the width of `^C`.
const MARGIN: usize = 2;
/// The number of drawn rows, for [`wipe`].
static DRAWN: AtomicUsize = AtomicUsize::new(0);

/// stderr, and our lines on it. The lock is held while anything is written, so that one thread's
/// note does not end up between the lines of another's drawing.
#[derive(Debug, Default)]
pub struct Screen(Mutex<OnScreen>);

#[derive(Debug, Default)]
struct OnScreen {
    /// Our lines, which come back after a note.
    lines: Vec<String>,
    drawing: Drawing,
    /// Whether nothing is to be drawn any more.
    closed: bool,
}

#[derive(Debug, Default)]
struct Drawing {
    /// The lengths of the lines on the screen.
    drawn: Vec<usize>,
    /// The size of the terminal when they were drawn.
    size: (usize, usize),
    /// The lengths of our lines that are out of sight, right above the others.
    hidden: Vec<usize>,
}

/// Returns the columns and rows to draw on.
pub fn room() -> (usize, usize) {
    let (width, height) = size();
    (width.saturating_sub(MARGIN).max(1), height)
}

fn size() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(io::stderr());
    let (width, height) =
        size.map_or((80, 24), |(width, height)| (width.0.into(), height.0.into()));
    (usize::max(width, 1), usize::max(height, 1))
}

/// Whether the shell has put us in the background: then the user types on the line where
/// the bar would go.
pub fn in_background() -> bool {
    #[cfg(unix)]
    return rustix::termios::tcgetpgrp(io::stderr())
        .is_ok_and(|front| front != rustix::process::getpgrp());
    #[cfg(not(unix))]
    false
}

/// Erases the bar when the program is about to end without destructors. A terminal that
/// accepts no output does not delay that for long.
pub fn wipe() {
    let rows = DRAWN.swap(0, Ordering::Relaxed);
    if rows > 0 {
        let (wiped, done) = mpsc::channel();
        thread::spawn(move || {
            let _ = io::stderr().write_all(erase(rows).as_bytes());
            let _ = wiped.send(());
        });
        let _ = done.recv_timeout(Duration::from_millis(100));
    }
}

/// Moves the cursor up. The case of 0 is separate: a terminal takes 0 for 1.
fn up(rows: usize) -> String {
    if rows == 0 { String::new() } else { format!("\x1b[{rows}A") }
}

/// Erases this many rows, from the last one up. Some terminals keep a copy of rows that
/// are cleared all at once from the top.
fn erase(rows: usize) -> String {
    format!("\r\x1b[K{}", "\x1b[1A\x1b[K".repeat(rows.saturating_sub(1)))
}

impl Drawing {
    /// Returns the text that replaces the drawn lines with these. Each line is overwritten
    /// rather than cleared first, or the screen would flicker.
    fn redraw(&mut self, lines: &[String], (width, height): (usize, usize)) -> String {
        let row = |length: &usize| length.div_ceil(width).max(1);
        let rows = |lines: &[usize]| lines.iter().map(row).sum::<usize>();
        let before = rows(&self.drawn);
        let mut over = before.saturating_sub(height);
        for length in &self.drawn {
            let gone = row(length).min(over);
            self.hidden.extend((gone > 0).then(|| (*length).min(gone * width)));
            over -= gone;
        }
        let mut back = 0;
        while let Some(last) =
            self.hidden.pop_if(|last| back + row(last) <= height.saturating_sub(self.size.1))
        {
            back += row(&last);
        }
        // Text that is printed in between covers what is left of our lines.
        if lines.is_empty() || self.drawn.is_empty() {
            self.hidden.clear();
        }
        let text = match (self.drawn.is_empty(), lines.is_empty()) {
            (true, true) => String::new(),
            (false, true) => erase(before + back),
            (true, false) => lines.join("\x1b[K\r\n") + "\x1b[J",
            (false, false) => {
                format!("{}\r{}\x1b[J", up(before - 1 + back), lines.join("\x1b[K\r\n"))
            }
        };
        self.drawn = lines.iter().map(|line| line.chars().count()).collect();
        self.size = (width, height);
        DRAWN.store(rows(&self.drawn), Ordering::Relaxed);
        text
    }
}

impl OnScreen {
    /// Writes a complete drawing with a single call. A terminal that is gone is no reason to stop.
    fn draw(&mut self, lines: &[String]) {
        // Where there is no terminal, nothing ever is, and nobody has to be asked for its size.
        if lines.is_empty() && self.drawing.drawn.is_empty() {
            return;
        }
        let _ = io::stderr().write_all(self.drawing.redraw(lines, size()).as_bytes());
    }
}

impl Screen {
    fn shown(&self) -> MutexGuard<'_, OnScreen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws these lines over those that are there. None of them may be empty.
    pub fn draw(&self, lines: Vec<String>) {
        let mut shown = self.shown();
        if !shown.closed {
            shown.draw(&lines);
            shown.lines = lines;
        }
    }

    /// Erases our lines while `work` writes to the terminal, and draws them again below that.
    pub fn aside<R>(&self, work: impl FnOnce() -> R) -> R {
        let mut shown = self.shown();
        shown.draw(&[]);
        let result = work();
        let lines = mem::take(&mut shown.lines);
        shown.draw(&lines);
        shown.lines = lines;
        result
    }

    /// Erases our lines for good.
    pub fn close(&self) {
        let mut shown = self.shown();
        (shown.lines, shown.closed) = (Vec::new(), true);
        shown.draw(&[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(drawing: &mut Drawing, lines: &[&str], size: (usize, usize)) -> String {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        drawing.redraw(&lines, size)
    }

    #[test]
    fn lines_are_written_over_those_before_them() {
        let mut drawing = Drawing::default();
        assert_eq!(drawn(&mut drawing, &["bar", "row"], (80, 24)), "bar\x1b[K\r\nrow\x1b[J");
        assert_eq!(drawn(&mut drawing, &["bar"], (80, 24)), "\x1b[1A\rbar\x1b[J");
        drawn(&mut drawing, &["bar", "row"], (80, 24));
        assert_eq!(drawn(&mut drawing, &[], (80, 24)), "\r\x1b[K\x1b[1A\x1b[K");
        assert_eq!(drawn(&mut drawing, &[], (80, 24)), "", "nothing is there");
    }

    #[test]
    fn lines_that_a_narrow_window_has_wrapped_go_with_all_their_rows() {
        let mut drawing = Drawing::default();
        let (long, short) = ("x".repeat(70), "y".repeat(30));
        drawn(&mut drawing, &[&long, &short], (80, 24));
        assert_eq!(drawn(&mut drawing, &["a", "b"], (30, 24)), "\x1b[3A\ra\x1b[K\r\nb\x1b[J");
        assert_eq!(drawn(&mut drawing, &["a", "b"], (80, 24)), "\x1b[1A\ra\x1b[K\r\nb\x1b[J");
    }

    #[test]
    fn rows_that_were_pushed_out_of_sight_are_taken_away_when_they_are_back() {
        let mut drawing = Drawing::default();
        let ten = ["x"; 10];
        drawn(&mut drawing, &ten, (80, 24));
        assert!(
            drawn(&mut drawing, &["a", "b"], (80, 4)).starts_with("\x1b[9A\ra"),
            "six are out of sight"
        );
        assert!(
            drawn(&mut drawing, &["a", "b"], (80, 6)).starts_with("\x1b[3A\ra"),
            "two are back"
        );
        assert!(
            drawn(&mut drawing, &["a", "b"], (80, 24)).starts_with("\x1b[5A\ra"),
            "the other four"
        );
        assert!(
            drawn(&mut drawing, &["a", "b"], (80, 30)).starts_with("\x1b[1A\ra"),
            "and no more"
        );
    }

    #[test]
    fn what_others_wrote_in_between_is_theirs() {
        let mut drawing = Drawing::default();
        drawn(&mut drawing, &["x"; 10], (80, 24));
        drawn(&mut drawing, &["a"], (80, 4));
        drawn(&mut drawing, &[], (80, 4));
        drawn(&mut drawing, &["a"], (80, 4));
        assert!(drawn(&mut drawing, &["a"], (80, 24)).starts_with("\r"), "a note stands above");
    }
}
