//! What the commands share: global options, answers and failures, JSON lines, and the work that
//! more than one command does.
//!
//! Nothing here knows a command. A line that ends in `// plugged in` belongs to a later stage, as
//! in `commands.rs`.

pub mod announce_story;
pub mod announcers;
pub mod ask_dht;
pub mod ask_peers;
pub mod capture_views;
pub mod class_tracker;
pub mod content_at;
pub mod created_torrent;
pub mod crowd;
pub mod crowd_moves;
pub mod crowd_story;
pub mod crowd_table;
pub mod demo_report;
pub mod dht_bootstrap;
pub mod dht_discovery;
pub mod discovery;
pub mod discretion;
pub mod draft_options;
pub mod event_report;
pub mod exit_codes;
pub mod explain_input;
pub mod failure;
pub mod find_peers;
pub mod findings;
pub mod grade_class;
pub mod grade_inside;
pub mod grade_lines;
pub mod grade_options;
pub mod grade_outcome;
pub mod grade_watch;
pub mod info_from;
pub mod info_hash;
pub mod interrupt;
pub mod lab_options;
pub mod layer_of;
pub mod listening;
pub mod local_discovery;
pub mod lookup_map;
pub mod lookup_story;
pub mod magnet_link;
pub mod magnet_peers;
pub mod named;
pub mod neighbors_story;
pub mod new_version;
pub mod node_story;
pub mod offline;
pub mod one_session;
pub mod orphans;
pub mod output_file;
pub mod output_options;
pub mod pages;
pub mod piece_file;
pub mod queue_peers;
pub mod queue_story;
pub mod replay_report;
pub mod run_download;
pub mod run_swarm;
pub mod scrape_all;
pub mod screen;
pub mod serve_one_by_one;
pub mod simulate_arena;
pub mod simulate_experiment;
pub mod simulate_options;
pub mod simulate_progress;
pub mod simulate_svg;
pub mod size;
pub mod stage_table;
pub mod swarm_sheet;
pub mod torrent_file;
pub mod torrent_text;
pub mod tracing;
pub mod tree_picture;
pub mod tree_view;
pub mod until_ctrl_c;
pub mod upload_options;
pub mod verified_content;
pub mod version_two;
pub mod waiting_json;

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use failure::Failure;
use piecemeal::s01_bencode::{printable, turns_text};
use screen::narrator::Narrator;
use serde::Serialize;

/// Returns the text without passkeys and passwords, unless `--show-secrets` asks for them.
#[allow(clippy::match_single_binding)] // before stage 3 there is only the last arm
pub fn shown(text: &str) -> String {
    match text {
        _ if discretion::wanted() => discretion::hide(text), // plugged in
        _ => text.to_owned(),
    }
}

/// Returns the exit code for the outcome of a command.
pub fn exit_code(outcome: &Result<Answer, Failure>) -> u8 {
    match outcome {
        Err(failure) => failure.code,
        Ok(_) => exit_codes::answered(),
    }
}

/// The result of a command.
#[derive(Debug)]
pub struct Answer {
    /// The text for people and for course material, without the last newline.
    pub text: String,
    /// The JSON object for programs.
    pub json: serde_json::Value,
}

/// Returns JSON on one line.
pub fn json_line(json: &impl Serialize) -> String {
    let mut line = Vec::new();
    let written = write_json(&mut line, json);
    written.ok().and_then(|()| String::from_utf8(line).ok()).unwrap_or_default()
}

/// Writes JSON on one line.
pub fn write_json(out: &mut dyn Write, json: &impl Serialize) -> io::Result<()> {
    Ok(json.serialize(&mut serde_json::Serializer::with_formatter(out, OneLine))?)
}

/// Escapes every control character. serde_json does so only for those of ASCII, but a
/// terminal also obeys others.
struct OneLine;

impl serde_json::ser::Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Only URLs: a file may be called `pass=1.mkv`, and requests are masked before they come
        // here.
        let has_url = ["://", "%3A%2F%2F", "%3a%2f%2f"].iter().any(|sign| fragment.contains(sign))
            || fragment.starts_with("magnet:");
        let shown = if has_url { shown(fragment) } else { fragment.to_owned() };
        let mut rest = shown.as_str();
        while let Some((at, letter)) =
            rest.char_indices().find(|(_, letter)| letter.is_control() || turns_text(*letter))
        {
            write!(out, "{}\\u{:04x}", &rest[..at], u32::from(letter))?;
            rest = &rest[at + letter.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

/// Prints a long answer while it is made, so that it is never held whole. Returns an empty
/// answer: nothing is left to print.
pub fn print_long(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Answer, Failure> {
    // stdout itself would make a system call for each line.
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unprintable(&error)),
        _ => Ok(Answer { text: String::new(), json: serde_json::Value::Null }),
    }
}

/// Returns the failure for an answer that could not be printed.
pub fn unprintable(error: &io::Error) -> Failure {
    let what = format!("the answer could not be printed: {error}");
    Failure::new(exit_codes::LOCAL, what).help("check where stdout goes, and the free space there")
}

/// Prints a line to stdout while a command still runs. A closed stdout must not end the
/// command.
pub fn print_line(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Options that every command takes.
#[derive(Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Options {
    /// Print the answer as one JSON object
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress and no notes, only the answer
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Explain each step, with its chapter
    #[arg(short, long, global = true, conflicts_with = "quiet", overrides_with = "verbose")]
    pub verbose: bool,
    /// Show passkeys and passwords instead of …
    #[arg(long, global = true)]
    pub show_secrets: bool,
    /// Color on stderr
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: Color,
    /// A peer to ask, besides those that trackers name [repeatable]
    #[arg(long = "peer", global = true, value_name = "HOST:PORT", value_parser = address)]
    pub peers: Vec<String>,
    /// Give up after this long: in all (4 s), or without a live peer (downloads, 60 s)
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    #[command(flatten)] // discovery is plugged in
    pub discovery: discovery::DiscoveryOptions, // plugged in
    #[command(flatten)] // dht_bootstrap is plugged in
    pub dht: dht_bootstrap::BootstrapOptions, // plugged in
    #[command(flatten)] // tracing is plugged in
    pub tracing: tracing::TraceOptions, // plugged in
}

impl Options {
    /// Returns the narrator, which explains each step if `-v` was given.
    pub fn narrator(&self) -> Narrator {
        Narrator { wanted: self.verbose, quiet: self.quiet }
    }

    /// Prints a note on stderr. No bar may be drawn at that time.
    pub fn note(&self, text: &str) {
        self.note_to_paste(&shown(text));
    }

    /// Prints a note with its secrets: a text that the user pastes must be whole.
    pub fn note_to_paste(&self, text: &str) {
        if !self.quiet {
            // A closed stderr is no reason to stop.
            let _ = writeln!(io::stderr(), "{}", printable(text));
        }
    }

    /// Returns the deadline of a stage command: a little before its time is over, so that
    /// there is time to say why it has no answer.
    pub fn deadline(&self) -> Instant {
        let time = self.timeout.unwrap_or(Duration::from_secs(4));
        Instant::now() + time.saturating_sub(Duration::from_millis(400)).max(time / 2)
    }

    /// Whether a bar may be drawn. It is redrawn in place, so nothing else may write to the
    /// same terminal.
    pub fn allow_bar(&self) -> bool {
        let mut allow = !self.quiet;
        // Lines of JSON on the same terminal would break the bar.
        allow &= !self.json || !io::stdout().is_terminal();
        allow &= !self.tracing.on_stderr(); // plugged in
        allow
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "a number of seconds was expected, such as 2.5".to_owned())?;
    let range = "0.001 to 86400 seconds were expected".to_owned();
    if (0.001..=86400.0).contains(&seconds) {
        Duration::try_from_secs_f64(seconds).map_err(|_| range)
    } else {
        Err(range)
    }
}

/// Checks a `HOST:PORT`, with an IPv6 address in brackets. The name is looked up later.
pub fn address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let named = !host.is_empty()
        && !host.contains([':', '[', ']', '/', ' '])
        && port.parse::<u16>().is_ok();
    let known = named || text.parse::<std::net::SocketAddr>().is_ok();
    if known && port != "0" {
        Ok(text.to_owned())
    } else {
        Err("HOST:PORT was expected, with a port from 1 to 65535, such as 127.0.0.2:6881 or [::1]:6881".to_owned())
    }
}

/// When to use color: `--color`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always, even in a file.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether to use color on a stream that is, or is not, a terminal.
    pub fn wanted(self, terminal: bool) -> bool {
        match self {
            Color::Auto => {
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
            Color::Always => true,
            Color::Never => false,
        }
    }
}
