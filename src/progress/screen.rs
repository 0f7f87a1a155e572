//! The terminal that the bar is drawn on, a little narrower than it is.
//!
//! The bar's library ends a line by filling it with spaces up to the edge, where the
//! terminal wraps. The `^C` that a terminal writes where the cursor stands would then go
//! to the next line, and one line of the bar stay behind for ever. So here the spaces
//! become a line break, and some columns stay free.

use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::TermLike;

/// How many columns stay free: as many as `^C` takes.
const MARGIN: usize = 2;

/// stderr.
#[derive(Debug, Default)]
pub struct Screen {
    drawing: Mutex<String>,
    /// Whether the line is over.
    filled: AtomicBool,
}

/// Columns to draw on, and rows.
pub fn room() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(io::stderr());
    let (width, height) = size.map_or((80, 24), |(width, height)| (width.0.into(), height.0.into()));
    (usize::saturating_sub(width, MARGIN).max(1), height)
}

/// How many rows so many lines take, drawn when there were `before` columns to draw on,
/// since the terminal has become narrower and has wrapped them.
pub fn rows(lines: usize, before: usize, now: usize) -> usize {
    lines * before.div_ceil(now + MARGIN)
}

/// Whether the shell has put us into the background: then somebody types in the line that
/// the bar would be drawn on.
pub fn in_background() -> bool {
    #[cfg(unix)]
    return rustix::termios::tcgetpgrp(io::stderr()).is_ok_and(|front| front != rustix::process::getpgrp());
    #[cfg(not(unix))]
    false
}

impl Screen {
    /// Kept until all of a drawing is there: done by bits, it would flicker.
    fn say(&self, text: &str) -> io::Result<()> {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    /// To a terminal no step is one step.
    fn go(&self, steps: usize, letter: char) -> io::Result<()> {
        if steps == 0 { Ok(()) } else { self.say(&format!("\x1b[{steps}{letter}")) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        room().0 as u16
    }

    fn height(&self) -> u16 {
        room().1 as u16
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.say(text)?;
        self.say("\n")
    }

    /// Lines by turns with the spaces that fill them; no line is empty.
    fn write_str(&self, text: &str) -> io::Result<()> {
        if text.trim_matches(' ').is_empty() {
            self.filled.store(true, Ordering::Relaxed);
            return self.say("\x1b[K");
        }
        if self.filled.swap(false, Ordering::Relaxed) {
            self.say("\r\n")?;
        }
        self.say(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.say("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        self.filled.store(false, Ordering::Relaxed);
        let drawing = mem::take(&mut *self.drawing.lock().unwrap_or_else(PoisonError::into_inner));
        io::stderr().write_all(drawing.as_bytes())
    }
}
