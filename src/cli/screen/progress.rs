//! How far a command is, on a terminal or in a file. (stage 10)
//!
//! A command reports how far it is. On a terminal that becomes a line with a bar, with more
//! lines below it, redrawn in place. Elsewhere it becomes a plain line now and then. In the
//! background of a terminal nothing is drawn.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use piecemeal::s01_bencode::printable;

use super::due_lines::{HashingWait, HashingWatch, PlainLines};
use super::narrator::sentence;
use super::progress_line::Figures;
use super::short_text::wrapped;
use super::speed::{Forecast, Speed};
use super::terminal::{Screen, in_background, room};
use crate::cli::{Options, shown};

/// The time between two drawings on a terminal.
const DRAW_TIME: Duration = Duration::from_millis(100);
/// The room for the lines below the first one if there is no terminal: columns and rows.
const PLAIN_ROOM: (usize, usize) = (100, 60);

/// The progress of work of a known size, in bytes, or of work without an end.
pub struct Progress {
    screen: Screen,
    shown: Shown,
    verbose: bool,
    quiet: bool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    OnTerminal,
    AsLines,
    NotAtAll,
}

struct State {
    figures: Figures,
    begun: Instant,
    down: Speed,
    up: Speed,
    forecast: Forecast,
    drawn: Option<Instant>,
    lines: PlainLines,
    /// The reading of files, if that is the work, and its purpose.
    reading: Option<(HashingWatch, &'static str)>,
}

/// The state of a download or a seed at one moment.
#[derive(Clone)]
pub struct Moment {
    /// Bytes in verified pieces.
    pub verified: u64,
    /// Bytes of blocks received in this session.
    pub downloaded: u64,
    /// Bytes of blocks sent in this session.
    pub uploaded: u64,
    /// The number of connected peers.
    pub peers: usize,
    /// What the download waits for, if nothing happens.
    pub waiting: Option<String>,
}

impl Progress {
    /// Makes a progress that shows nothing until the first [`Progress::set`].
    pub fn new(options: &Options, label: &'static str, total: u64) -> Progress {
        Progress::with_figures(options, Figures { label, total, ..Figures::default() })
    }

    /// Makes a progress for hashing files; `purpose` is a sentence that says why.
    pub fn hashing(
        options: &Options,
        label: &'static str,
        total: u64,
        purpose: &'static str,
    ) -> Progress {
        let progress = Progress::new(options, label, total);
        progress.state().reading = Some((HashingWatch::new(Instant::now()), purpose));
        progress
    }

    /// Makes a progress for work that has no end of its own.
    pub fn endless(options: &Options, label: &'static str) -> Progress {
        Progress::with_figures(options, Figures { label, endless: true, ..Figures::default() })
    }

    fn with_figures(options: &Options, figures: Figures) -> Progress {
        let terminal = io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let terminal = terminal && options.allow_bar();
        let shown = match terminal {
            _ if options.quiet => Shown::NotAtAll,
            true => Shown::OnTerminal,
            false => Shown::AsLines,
        };
        let (down, up, forecast, drawn, reading) = Default::default();
        let now = Instant::now();
        let state = Mutex::new(State {
            figures,
            begun: now,
            down,
            up,
            forecast,
            drawn,
            lines: PlainLines::new(now),
            reading,
        });
        Progress {
            screen: Screen::default(),
            shown,
            verbose: options.verbose,
            quiet: options.quiet,
            state,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with other work; its size is 0 if it is not known.
    pub fn turn_to(&self, label: &'static str, total: u64) {
        let mut state = self.state();
        if state.figures.label != label {
            state.begun = Instant::now();
        }
        (state.figures.label, state.figures.total) = (label, total);
    }

    /// Sets the bytes that were there from the start, which say nothing about the speed.
    pub fn start_at(&self, there: u64) {
        let mut state = self.state();
        (state.figures.done, state.figures.resumed) = (there, there);
        // Hashing what is there may have taken long, so the clock starts now.
        state.lines = PlainLines::new(Instant::now());
        if there == state.figures.total {
            state.only_give();
        }
    }

    /// Shows that this many bytes are done. Any thread may report it, even late or twice.
    /// Returns what the work waits for, if that is news.
    pub fn set(&self, done: u64) -> Option<(HashingWait, String)> {
        let mut state = self.state();
        let now = Instant::now();
        state.figures.done = state.figures.done.max(done);
        let done = state.figures.done;
        state.measure(now, done);
        let label = state.figures.label;
        let (wait, news) = match &mut state.reading {
            Some((reading, purpose)) => {
                let (look, news) = reading.look(now, done);
                (look.map(|look| (look, waits_for(look, label, purpose))), news)
            }
            None => (None, false),
        };
        self.show(&mut state, wait.as_ref().map(|(_, text)| text.as_str()), &mut |_, _| Vec::new());
        let news = wait.filter(|_| news);
        if let Some((_, text)) = news.as_ref().filter(|_| self.shown == Shown::AsLines) {
            self.line(&format!("waiting: {text}"));
        }
        news
    }

    /// Shows the state of a download or a seed. `below` makes the lines under the bar, for
    /// this many columns and rows.
    pub fn tell(&self, moment: Moment, below: &mut dyn FnMut(usize, usize) -> Vec<String>) {
        let Moment { verified, downloaded, uploaded, peers, waiting } = moment;
        let mut state = self.state();
        let now = Instant::now();
        let figures = &mut state.figures;
        (figures.done, figures.given, figures.peers) = (verified, uploaded, Some(peers));
        figures.unverified = (figures.resumed + downloaded).saturating_sub(verified);
        state.measure(now, downloaded);
        state.up.add(now, uploaded);
        self.show(&mut state, waiting.as_deref(), below);
    }

    /// Prints what a stalled download waits for. On a terminal it is already under the bar.
    pub fn waits(
        &self,
        chapter: u8,
        text: &str,
        below: &mut dyn FnMut(usize, usize) -> Vec<String>,
    ) {
        let text = format!("waiting: {text}");
        match self.shown {
            Shown::AsLines => {
                self.news(chapter, &text);
                below(PLAIN_ROOM.0, PLAIN_ROOM.1).iter().for_each(|line| self.line(line));
            }
            Shown::OnTerminal => self.say(chapter, &text),
            Shown::NotAtAll => {}
        }
    }

    /// Shows that all pieces are there; what goes on from here is seeding.
    pub fn complete(&self, below: &mut dyn FnMut(usize, usize) -> Vec<String>) {
        let mut state = self.state();
        (state.figures.done, state.figures.unverified) = (state.figures.total, 0);
        state.forecast = Forecast::default();
        self.show(&mut state, None, below);
        state.only_give();
    }

    fn show(
        &self,
        state: &mut State,
        waiting: Option<&str>,
        below: &mut dyn FnMut(usize, usize) -> Vec<String>,
    ) {
        let now = Instant::now();
        match self.shown {
            Shown::NotAtAll => {}
            Shown::AsLines => {
                // The lock is held while printing, so that the figures of several threads only
                // rise.
                if state.lines.is_due(now, &state.figures) {
                    let figures = state.figures(now);
                    let below = below(PLAIN_ROOM.0, PLAIN_ROOM.1);
                    [figures.plain()].iter().chain(&below).for_each(|line| self.line(line));
                }
            }
            Shown::OnTerminal
                if state.drawn.is_some_and(|drawn| now.duration_since(drawn) < DRAW_TIME) => {}
            Shown::OnTerminal if in_background() => {}
            Shown::OnTerminal => {
                let (width, height) = room();
                let mut lines = vec![state.figures(now).line(width)];
                lines.extend(
                    waiting
                        .into_iter()
                        .flat_map(|text| wrapped(&printable(&format!("waiting: {text}")), width)),
                );
                lines.extend(below(width, height.saturating_sub(lines.len() + 1)));
                lines.retain(|line| !line.is_empty());
                lines.truncate(height.max(1));
                state.drawn = Some(now);
                self.screen.draw(lines);
            }
        }
    }

    /// Prints a note that stays.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// Prints a note if `-v` was given.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.line(text);
        }
    }

    /// Prints a note that stays, with its chapter if `-v` was given.
    pub fn news(&self, chapter: u8, text: &str) {
        if self.verbose { self.say(chapter, text) } else { self.note(text) }
    }

    /// Explains a step, with its chapter, if `-v` was given.
    pub fn say(&self, chapter: u8, what: &str) {
        self.detail(&sentence(chapter, what));
    }

    /// Removes the bar while `work` may write to the terminal.
    pub fn aside<R>(&self, work: impl FnOnce() -> R) -> R {
        self.screen.aside(work)
    }

    fn line(&self, text: &str) {
        // A closed stderr is no reason to stop.
        self.aside(|| drop(writeln!(io::stderr(), "{}", printable(&shown(text)))));
    }

    /// Removes the bar: the work is over.
    pub fn clear(&self) {
        self.screen.close();
    }
}

/// Removes the bar, however the work ended.
impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

impl State {
    fn figures(&self, now: Instant) -> Figures {
        let elapsed = now.duration_since(self.begun);
        Figures {
            down: self.down.get(),
            up: self.up.get(),
            left: self.forecast.left(),
            elapsed,
            ..self.figures.clone()
        }
    }

    /// Updates the rate and the time left. Bytes that came in vain still count as missing.
    fn measure(&mut self, now: Instant, counter: u64) {
        let missing = self.figures.total.saturating_sub(self.figures.done);
        let rest = missing
            .checked_sub(self.figures.unverified)
            .filter(|rest| *rest > 0)
            .unwrap_or(missing);
        self.down.add(now, counter);
        self.forecast.add(now, counter, rest);
    }

    fn only_give(&mut self) {
        (self.figures.label, self.figures.endless) = ("seeding", true);
        self.lines = PlainLines::new(Instant::now());
    }
}

/// Returns what the hashing of files waits for, in words.
fn waits_for(look: HashingWait, label: &str, purpose: &str) -> String {
    match look {
        HashingWait::Hashing => purpose.to_owned(),
        HashingWait::Disk => format!(
            "the disk is slow, or does not answer: nothing could be read; {label} goes on when it does"
        ),
    }
}
