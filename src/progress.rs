//! The one place that knows about terminals.
//!
//! A command tells how far it is; here it becomes a bar on a terminal, a plain
//! line now and then elsewhere, or nothing.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use piecemeal::s01_bencode::printable;

use crate::commands::Options;

/// Work of a known size, in bytes.
pub struct Progress {
    bar: ProgressBar,
    /// Whether plain lines take the place of the bar.
    plain: bool,
    verbose: bool,
    quiet: bool,
    label: &'static str,
    /// The tenth that was printed last.
    tenth: Mutex<u64>,
}

const BAR: &str = "{prefix} {bar:30} {percent:>3}%  {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}";
const ENDLESS: &str = "{prefix} for {elapsed}  {msg}";

impl Progress {
    /// Shows nothing until the first [`Progress::set`].
    pub fn new(options: &Options, label: &'static str, total: u64) -> Progress {
        Progress::with_template(options, label, total, BAR)
    }

    /// Work that has no end of its own.
    pub fn endless(options: &Options, label: &'static str) -> Progress {
        Progress::with_template(options, label, 0, ENDLESS)
    }

    fn with_template(options: &Options, label: &'static str, total: u64, template: &str) -> Progress {
        let terminal = io::stderr().is_terminal();
        let drawn = terminal && options.allow_bar();
        let target = if drawn { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style).with_prefix(label);
        Progress {
            bar,
            plain: !drawn && !options.quiet,
            verbose: options.verbose,
            quiet: options.quiet,
            label,
            tenth: Mutex::new(0),
        }
    }

    /// The size has become known.
    pub fn resize(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// This much was there from the start, and tells nothing of the speed.
    pub fn start_at(&self, there: u64) {
        self.bar.set_position(there);
        self.bar.reset_eta();
    }

    /// So many bytes are done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
        let tenth = done * 10 / self.bar.length().unwrap_or(1).max(1);
        if self.plain {
            // Held while printing, so that the lines of several threads rise.
            let mut printed = self.tenth.lock().unwrap_or_else(PoisonError::into_inner);
            if tenth > *printed {
                *printed = tenth;
                self.line(&format!("{}: {}%", self.label, tenth * 10));
            }
        }
    }

    /// Says something beside the bar, such as the number of peers.
    pub fn message(&self, text: String) {
        self.bar.set_message(text);
    }

    /// A note that stays.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// A note for who wants to know more.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.line(text);
        }
    }

    fn line(&self, text: &str) {
        // A closed stderr is no reason to stop.
        self.bar.suspend(|| drop(writeln!(io::stderr(), "{}", printable(text))));
    }

    /// The work is over, the bar goes away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
