//! How a run of the learner's program ended, and what may be asked about it.

use std::time::Duration;

use super::crash;
use super::miss::{Miss, ensure};
use crate::s01_bencode::printable;

/// The least that a client waits for a peer that is silent or slow.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a debugging line costs a point.
const DEBUGGING: &str =
    "a line for debugging? print it on stderr: stdout is the answer and nothing else";

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It ended with this exit code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// Its time was over.
    OutOfTime,
}

/// A run that is over.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its arguments, as a shell would show them.
    pub arguments: String,
    /// What it printed on stdout, up to 256 KiB.
    pub stdout: Vec<u8>,
    /// What it printed on stderr, up to 1 MiB.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// How long it ran.
    pub elapsed: Duration,
}

impl Outcome {
    /// Returns the text of stdout, without a last newline.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        text.strip_suffix('\n').map(|text| text.trim_end_matches('\r')).unwrap_or(&text).to_owned()
    }

    /// Returns the line of stderr that says most, safe to print: the last one that names an error,
    /// or else the last. Some languages print the error first, and then where it happened.
    pub fn last_words(&self) -> Option<String> {
        Some(printable(&self.telling_line()?.chars().take(120).collect::<String>()))
    }

    fn telling_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.stderr);
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let tells = |line: &&str| {
            let place = ["at ", "Node.js v", "note: ", "File "];
            !place.iter().any(|start| line.starts_with(start))
        };
        let names = |line: &&str| {
            tells(line) && ["rror", "xception", "panic"].iter().any(|word| line.contains(word))
        };
        let place = lines.iter().rposition(names).or_else(|| lines.iter().rposition(tells));
        let place = place.or_else(|| lines.len().checked_sub(1))?;
        // A panic in Rust says where it was, and what it was in the line below.
        match lines.get(place + 1) {
            Some(what) if lines[place].contains(" panicked at ") && tells(what) => {
                Some(format!("{} {what}", lines[place]))
            }
            _ => Some(lines[place].to_owned()),
        }
    }

    /// Whether stderr names an error, and not only how the program is used.
    pub(super) fn names_an_error(&self) -> bool {
        let line = self.telling_line().unwrap_or_default();
        ["rror", "xception", "panic", "No such file", "annot find"].iter().any(|w| line.contains(w))
    }

    /// Returns its subcommand.
    pub(super) fn subcommand(&self) -> &str {
        self.arguments.split(' ').next().unwrap_or_default()
    }

    /// Whether it ended as another run did, without an answer. What each says of its own subcommand
    /// makes no difference.
    pub(super) fn ends_like(&self, other: &Outcome) -> bool {
        let words =
            |run: &Outcome| run.telling_line().map(|line| line.replace(run.subcommand(), ""));
        self.end == other.end
            && self.end != End::OutOfTime
            && self.stdout.is_empty()
            && other.stdout.is_empty()
            && words(self) == words(other)
    }

    /// Returns how it ended, in its own words if it had any.
    pub(super) fn ending(&self) -> String {
        let how = match self.end {
            End::Code(code) => format!("exit code {code}"),
            End::Signal(signal) => format!("signal {signal}"),
            End::OutOfTime => format!("still running after {:.1} s", self.elapsed.as_secs_f64()),
        };
        let place = crash::place(&String::from_utf8_lossy(&self.stderr));
        let place = place.map(|place| format!(" ({})", printable(&place))).unwrap_or_default();
        let words = self.last_words().unwrap_or_else(|| "stderr is empty".to_owned());
        format!("{how}, {words}{place}")
    }

    /// Whether it died of an error that nobody handled.
    pub fn crashed(&self) -> bool {
        let text = String::from_utf8_lossy(&self.stderr);
        self.end == End::Code(101) || crash::is_trace(&text)
    }

    /// Insists on exit code 0.
    ///
    /// # Errors
    /// If it ended in another way.
    pub fn succeeds(&self) -> Result<&Outcome, Miss> {
        let miss = match self.end {
            End::Code(0) => return Ok(self),
            End::Code(code) => {
                Miss::new(format!("`{}` ended with exit code {code}", self.arguments))
            }
            _ => self.not_ended(),
        };
        Err(self.with_last_words(miss))
    }

    /// Insists on exit code 0 and exactly this on stdout; a last newline is free.
    ///
    /// # Errors
    /// If it ended in another way, or printed something else.
    pub fn prints(&self, expected: &str) -> Result<(), Miss> {
        let (expected, found) = (expected.trim_end_matches('\n'), self.text());
        self.succeeds().map_err(|miss| match self.end {
            End::OutOfTime if found == expected => {
                miss.likely("the answer was right, but the program does not end: what keeps it?")
            }
            _ => miss,
        })?;
        ensure(found == expected, || {
            let miss = difference(expected, &found);
            let what = format!("`{}`: {}", self.arguments, miss.what);
            let miss = Miss { what, ..miss };
            let mut lines = found.lines();
            if expected.lines().all(|line| lines.any(|found| found == line)) {
                miss.likely(DEBUGGING)
            } else {
                miss
            }
        })
    }

    /// Insists on exit code 0 and these lines on stdout, in any order.
    ///
    /// # Errors
    /// If it ended in another way, a line is missing, or there is one too many.
    pub fn prints_in_any_order(&self, expected: &[String]) -> Result<(), Miss> {
        self.succeeds()?;
        let text = self.text();
        let mut found: Vec<&str> = text.lines().collect();
        for line in expected {
            match found.iter().position(|found| found == line) {
                Some(place) => drop(found.swap_remove(place)),
                None => {
                    return Err(Miss::new("a line is missing on stdout").instead(
                        format!("\"{}\"", printable(line)),
                        found.first().map_or("no more lines".to_owned(), |line| shown(line)),
                    ));
                }
            }
        }
        match found.first() {
            None => Ok(()),
            Some(line) => {
                let what = format!("one line too many on stdout: {}", shown(line));
                Err(Miss::new(what).likely(DEBUGGING))
            }
        }
    }

    /// Insists on a refusal: an exit code from 1 to 125, and a word about it on stderr. A stack
    /// trace is worth half.
    ///
    /// # Errors
    /// If it ended in another way.
    pub fn refuses(&self) -> Result<(), Miss> {
        match self.end {
            End::Code(0) => Err(Miss::new(format!("`{}` ended as if all were well", self.arguments))
                .instead(
                    "an exit code from 1 to 125, and a sentence on stderr",
                    match self.text() {
                        text if text.is_empty() => "exit code 0".to_owned(),
                        text => format!("exit code 0, and {} on stdout", shown(&text)),
                    },
                )),
            End::Code(1..=125) if self.crashed() => Err(self
                .with_last_words(Miss::new("it refused with a stack trace, not with a sentence"))
                .likely(match self.telling_line().is_some_and(|line| crash::is_mistake(&line)) {
                    true => "this is no refusal but a crash: find out why, and do not only catch it",
                    false => "the error is nowhere handled: catch it, say what is wrong on stderr, and end with code 1",
                })
                .half()),
            End::Code(1..=125) => ensure(self.last_words().is_some(), || {
                Miss::new("it refused without a word").half().likely("say on stderr what is wrong")
            }),
            End::Code(code) => Err(Miss::new(format!("it ended with exit code {code}"))
                .instead("an exit code from 1 to 125, and a sentence on stderr", format!("exit code {code}"))),
            _ => Err(self.with_last_words(self.not_ended())),
        }
    }

    /// Insists on a refusal of what is silent or slow, after a wait: a client that ends at once has
    /// not met the fault.
    ///
    /// # Errors
    /// If it ended in another way, or at once.
    pub fn refuses_after_a_wait(&self) -> Result<(), Miss> {
        let refused = self.refuses();
        if refused.as_ref().err().is_none_or(|miss| miss.half) && self.elapsed < PATIENCE {
            let what = format!("it gave up after {:.1} s", self.elapsed.as_secs_f64());
            return Err(self
                .with_last_words(Miss::new(what).instead("a wait of some seconds", "no wait"))
                .likely("what is not there yet may still come: read on until the deadline"));
        }
        refused
    }

    /// Insists on a refusal with nothing on stdout, where the answer would be. A beginning of an
    /// answer is worth half.
    ///
    /// # Errors
    /// If it ended in another way.
    pub fn refuses_silently(&self) -> Result<(), Miss> {
        self.refuses()?;
        self.says_nothing().map_err(|miss| {
            miss.half()
                .likely("stdout is for answers, and there is none: print it when all is known")
        })
    }

    /// Insists on nothing at all on stdout.
    ///
    /// # Errors
    /// If there is something.
    pub fn says_nothing(&self) -> Result<(), Miss> {
        let text = self.text();
        ensure(text.is_empty(), || {
            Miss::new(format!("this must not be on stdout: {}", shown(&text)))
        })
    }

    fn not_ended(&self) -> Miss {
        match self.end {
            End::Signal(signal) => {
                Miss::new(format!("`{}` was ended by signal {signal}", self.arguments))
            }
            _ => Miss::new(format!(
                "`{}` was still running after {:.1} s, and was ended",
                self.arguments,
                self.elapsed.as_secs_f64()
            )),
        }
    }

    /// Adds the last words on stderr to a miss.
    pub fn with_last_words(&self, miss: Miss) -> Miss {
        match self.last_words() {
            Some(words) => miss.detail(format!("stderr: {words}")),
            None => miss.detail("stderr is empty"),
        }
    }
}

/// Returns text in quotes, cut to a line; an answer in JSON may have its own.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(70).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    let quote = if cut.starts_with('"') { "" } else { "\"" };
    format!("{quote}{}{more}{quote}", printable(&cut))
}

/// Says where two texts part.
fn difference(expected: &str, found: &str) -> Miss {
    let line = expected
        .split('\n')
        .zip(found.split('\n'))
        .take_while(|(expected, found)| expected == found)
        .count();
    match (expected.split('\n').nth(line), found.split('\n').nth(line)) {
        (Some(expected), Some(found)) => lines_part(line, expected, found),
        (Some(missing), None) => Miss::new(format!("line {} of stdout is missing", line + 1))
            .instead(shown(missing), "the end"),
        (None, Some(extra)) => {
            Miss::new(format!("line {} of stdout is one too many: {}", line + 1, shown(extra)))
        }
        (None, None) => Miss::new("stdout differs"),
    }
}

/// Says at which character two lines part.
fn lines_part(line: usize, expected: &str, found: &str) -> Miss {
    let same = expected.chars().zip(found.chars()).take_while(|(a, b)| a == b).count();
    // A long line is shown from a little before the place where they part.
    let from = same.saturating_sub(40);
    let part = |text: &str| {
        let part: String = text.chars().skip(from).take(60).collect();
        format!("{}{}", if from > 0 { "…" } else { "" }, printable(&part))
    };
    let caret = part(expected).chars().zip(part(found).chars()).take_while(|(a, b)| a == b).count();
    let place = if line == 0 { String::new() } else { format!("line {}, ", line + 1) };
    Miss::new(format!("stdout differs at {place}character {}", same + 1))
        .instead(part(expected), part(found))
        .detail(format!("         {}^", " ".repeat(caret)))
}
