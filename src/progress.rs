//! The one place that knows about terminals.
//!
//! A command tells how far it is; here it becomes a line with a bar on a terminal, and
//! below it what else there is to see, redrawn in place; elsewhere a plain line now and
//! then; or, also in the background of a terminal, nothing.

mod line;
mod narrator;
mod screen;
mod speed;

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use piecemeal::s01_bencode::printable;

use self::line::Tally;
pub use self::line::size;
pub use self::narrator::{Narrator, sentence};
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
    /// The tenth, or the copy given, that was printed last.
    step: u64,
}

/// A download or a seed at one moment.
#[derive(Clone, Copy)]
pub struct Moment {
    /// Bytes in verified pieces.
    pub verified: u64,
    /// Bytes that have come, and gone, in this session.
    pub downloaded: u64,
    /// As above.
    pub uploaded: u64,
    /// How many peers are connected.
    pub peers: usize,
}

impl Progress {
    /// Shows nothing until the first [`Progress::set`].
    pub fn new(options: &Options, label: &'static str, total: u64) -> Progress {
        Progress::with_tally(options, Tally { label, total, ..Tally::default() })
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
        let (down, up, forecast, drawn, step) = Default::default();
        let state = Mutex::new(State { tally, begun: Instant::now(), down, up, forecast, drawn, step });
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
        if there == state.tally.total {
            state.only_give();
        }
    }

    /// So many bytes are done. Any thread may say so, and somewhat late.
    pub fn set(&self, done: u64) {
        let mut state = self.state();
        state.tally.done = state.tally.done.max(done);
        let done = state.tally.done;
        state.measure(Instant::now(), done);
        self.show(&mut state, &mut |_, _| Vec::new());
    }

    /// How a download or a seed is doing. `below` makes the lines that stand under the
    /// bar, for so many columns and rows.
    pub fn tell(&self, moment: Moment, below: &mut dyn FnMut(usize, usize) -> Vec<String>) {
        let Moment { verified, downloaded, uploaded, peers } = moment;
        let mut state = self.state();
        let now = Instant::now();
        let tally = &mut state.tally;
        (tally.done, tally.given, tally.peers) = (verified, uploaded, Some(peers));
        tally.unverified = (tally.resumed + downloaded).saturating_sub(verified);
        state.measure(now, downloaded);
        state.up.add(now, uploaded);
        self.show(&mut state, below);
    }

    /// All is there. Whoever stays does so for others.
    pub fn complete(&self, below: &mut dyn FnMut(usize, usize) -> Vec<String>) {
        let mut state = self.state();
        (state.tally.done, state.tally.unverified) = (state.tally.total, 0);
        state.forecast = Forecast::default();
        self.show(&mut state, below);
        state.only_give();
    }

    fn show(&self, state: &mut State, below: &mut dyn FnMut(usize, usize) -> Vec<String>) {
        let now = Instant::now();
        match self.shown {
            Shown::NotAtAll => {}
            Shown::AsLines => {
                // The lock is held while printing, so that the lines of several threads rise.
                if let Some(step) = state.next_step() {
                    state.step = step;
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
                lines.extend(below(width, height.saturating_sub(2)));
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
        self.aside(|| drop(writeln!(io::stderr(), "{}", printable(text))));
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
        (self.tally.label, self.tally.endless, self.step) = ("seeding", true, 0);
    }

    /// What has been passed since the last plain line: a tenth of the work, or for who
    /// only gives, a whole copy.
    fn next_step(&self) -> Option<u64> {
        let Tally { endless, total, done, given, .. } = self.tally;
        let step = if endless { given / total.max(1) } else { (u128::from(done) * 10 / u128::from(total.max(1))) as u64 };
        (total > 0 && step > self.step).then_some(step)
    }
}
