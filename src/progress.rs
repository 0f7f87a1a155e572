//! The one place that knows about terminals.
//!
//! A command tells how far it is; here it becomes a line with a bar on a terminal, and
//! below it what else there is to see, redrawn in place; elsewhere a plain line now and
//! then; or, also in the background of a terminal, nothing.

mod line;
mod narrator;
mod quiet;
mod screen;
mod speed;

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use piecemeal::s01_bencode::printable;

use self::line::Tally;
pub use self::line::size;
use self::line::wrapped;
pub use self::narrator::{Narrator, sentence};
pub use self::quiet::Look;
use self::quiet::{Lines, Reading};
pub use self::screen::wipe;
use self::screen::{Screen, room};
use self::speed::Forecast;
pub use self::speed::Speed;
use crate::commands::Options;

/// How often a terminal is drawn on.
const DRAW_TIME: Duration = Duration::from_millis(100);
/// Room for what stands below the line where there is no terminal: columns and rows.
const PLAIN_ROOM: (usize, usize) = (100, 60);

/// Work of a known size, in bytes, or without an end.
pub struct Progress {
    bar: ProgressBar,
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
    tally: Tally,
    begun: Instant,
    down: Speed,
    up: Speed,
    forecast: Forecast,
    drawn: Option<Instant>,
    lines: Lines,
    /// How the files are read, where that is the work, and what it is for.
    reading: Option<(Reading, &'static str)>,
}

/// A download or a seed at one moment.
#[derive(Clone)]
pub struct Moment {
    /// Bytes in verified pieces.
    pub verified: u64,
    /// Bytes that have come, and gone, in this session.
    pub downloaded: u64,
    /// As above.
    pub uploaded: u64,
    /// How many peers are connected.
    pub peers: usize,
    /// What it waits for, if nothing happens.
    pub waiting: Option<String>,
}

impl Progress {
    /// Shows nothing until the first [`Progress::set`].
    pub fn new(options: &Options, label: &'static str, total: u64) -> Progress {
        Progress::with_tally(options, Tally { label, total, ..Tally::default() })
    }

    /// Files are hashed, and a sentence says what for.
    pub fn hashing(options: &Options, label: &'static str, total: u64, purpose: &'static str) -> Progress {
        let progress = Progress::new(options, label, total);
        progress.state().reading = Some((Reading::new(Instant::now()), purpose));
        progress
    }

    /// Work that has no end of its own.
    pub fn endless(options: &Options, label: &'static str) -> Progress {
        Progress::with_tally(options, Tally { label, endless: true, ..Tally::default() })
    }

    fn with_tally(options: &Options, tally: Tally) -> Progress {
        let terminal = io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let terminal = terminal && options.allow_bar();
        let shown = match terminal {
            _ if options.quiet => Shown::NotAtAll,
            true => Shown::OnTerminal,
            false => Shown::AsLines,
        };
        let target = if shown == Shown::OnTerminal {
            ProgressDrawTarget::term_like_with_hz(Box::new(Screen::default()), 20)
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let (down, up, forecast, drawn, reading) = Default::default();
        let now = Instant::now();
        let state = Mutex::new(State { tally, begun: now, down, up, forecast, drawn, lines: Lines::new(now), reading });
        let bar = ProgressBar::with_draw_target(None, target).with_style(style);
        Progress { bar, shown, verbose: options.verbose, quiet: options.quiet, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The size has become known.
    pub fn resize(&self, total: u64) {
        self.state().tally.total = total;
    }

    /// This much was there from the start, and tells nothing of the speed.
    pub fn start_at(&self, there: u64) {
        let mut state = self.state();
        (state.tally.done, state.tally.resumed) = (there, there);
        // To find out what is there may have taken long. What counts is the work itself.
        state.lines = Lines::new(Instant::now());
        if there == state.tally.total {
            state.only_give();
        }
    }

    /// Shows that this many bytes are done. Any thread may say so, somewhat late, and again
    /// when it is no more than before. Returns what the work waits for, if that is news.
    pub fn set(&self, done: u64) -> Option<(Look, String)> {
        let mut state = self.state();
        let now = Instant::now();
        state.tally.done = state.tally.done.max(done);
        let done = state.tally.done;
        state.measure(now, done);
        let label = state.tally.label;
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

    /// How a download or a seed is doing. `below` makes the lines that stand under the
    /// bar, for so many columns and rows.
    pub fn tell(&self, moment: Moment, below: &mut dyn FnMut(usize, usize) -> Vec<String>) {
        let Moment { verified, downloaded, uploaded, peers, waiting } = moment;
        let mut state = self.state();
        let now = Instant::now();
        let tally = &mut state.tally;
        (tally.done, tally.given, tally.peers) = (verified, uploaded, Some(peers));
        tally.unverified = (tally.resumed + downloaded).saturating_sub(verified);
        state.measure(now, downloaded);
        state.up.add(now, uploaded);
        self.show(&mut state, waiting.as_deref(), below);
    }

    /// Nothing has come for so long that a word is due. On a terminal it stands under the bar
    /// already.
    pub fn waits(&self, chapter: u8, text: &str, below: &mut dyn FnMut(usize, usize) -> Vec<String>) {
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

    /// All is there. Whoever stays does so for others.
    pub fn complete(&self, below: &mut dyn FnMut(usize, usize) -> Vec<String>) {
        let mut state = self.state();
        (state.tally.done, state.tally.unverified) = (state.tally.total, 0);
        state.forecast = Forecast::default();
        self.show(&mut state, None, below);
        state.only_give();
    }

    fn show(&self, state: &mut State, waiting: Option<&str>, below: &mut dyn FnMut(usize, usize) -> Vec<String>) {
        let now = Instant::now();
        match self.shown {
            Shown::NotAtAll => {}
            Shown::AsLines => {
                // The lock is held while printing, so that the lines of several threads rise.
                if state.lines.is_due(now, &state.tally) {
                    let tally = state.tally(now);
                    let below = below(PLAIN_ROOM.0, PLAIN_ROOM.1);
                    [tally.plain()].iter().chain(&below).for_each(|line| self.line(line));
                }
            }
            Shown::OnTerminal if state.drawn.is_some_and(|drawn| now.duration_since(drawn) < DRAW_TIME) => {}
            Shown::OnTerminal if screen::in_background() => {}
            Shown::OnTerminal => {
                let (width, height) = room();
                let mut lines = vec![state.tally(now).line(width)];
                lines.extend(waiting.into_iter().flat_map(|text| wrapped(&printable(&format!("waiting: {text}")), width)));
                lines.extend(below(width, height.saturating_sub(lines.len() + 1)));
                lines.retain(|line| !line.is_empty());
                lines.truncate(height.max(1));
                state.drawn = Some(now);
                self.bar.set_message(lines.join("\n"));
            }
        }
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

    /// A note that stays; who wants to know more is told the chapter about it.
    pub fn news(&self, chapter: u8, text: &str) {
        if self.verbose { self.say(chapter, text) } else { self.note(text) }
    }

    /// What happens now, and why, for who wants to know more; with the chapter about it.
    pub fn say(&self, chapter: u8, what: &str) {
        self.detail(&sentence(chapter, what));
    }

    /// Does something that may write on the terminal, without the bar.
    pub fn aside<R>(&self, work: impl FnOnce() -> R) -> R {
        self.bar.suspend(work)
    }

    fn line(&self, text: &str) {
        // A closed stderr is no reason to stop.
        self.aside(|| drop(writeln!(io::stderr(), "{}", printable(&shown(text)))));
    }

    /// The work is over, the bar goes away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// However the work ended, nothing of the bar stays behind.
impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

impl State {
    fn tally(&self, now: Instant) -> Tally {
        let elapsed = now.duration_since(self.begun);
        Tally { down: self.down.get(), up: self.up.get(), left: self.forecast.left(), elapsed, ..self.tally.clone() }
    }

    /// What comes, and when all of it will have come. What came in vain counts as missing.
    fn measure(&mut self, now: Instant, counter: u64) {
        let missing = self.tally.total.saturating_sub(self.tally.done);
        let rest = missing.checked_sub(self.tally.unverified).filter(|rest| *rest > 0).unwrap_or(missing);
        self.down.add(now, counter);
        self.forecast.add(now, counter, rest);
    }

    fn only_give(&mut self) {
        (self.tally.label, self.tally.endless) = ("seeding", true);
        self.lines = Lines::new(Instant::now());
    }
}

/// What a look at the disk waits for, in words.
fn waits_for(look: Look, label: &str, purpose: &str) -> String {
    match look {
        Look::Hashing => purpose.to_owned(),
        Look::Disk => format!("the disk is slow, or does not answer: nothing could be read; {label} goes on when it does"),
    }
}

/// Text as it may be shown, for what is in this folder.
fn shown(text: &str) -> String {
    crate::commands::shown(text)
}
