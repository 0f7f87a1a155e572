//! The commands, one file and one line each.

mod announce_story;
mod announcers;
mod asking;
mod captures;
mod content_at;
mod describing;
mod discretion;
mod draft_options;
mod explaining;
pub mod failure;
mod fetching;
mod find_peers;
mod giving;
mod info_from;
mod interrupt;
mod lab_options;
mod live_map;
mod magnet_peers;
mod making;
mod one_session;
mod opening;
mod peer_table;
mod piece_file;
mod piece_map;
mod queue_peers;
mod queue_story;
mod reading_link;
mod scraping;
mod size;
mod tracing;
mod until_ctrl_c;
mod waits;
mod watching;

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};

use failure::Failure;
use piecemeal::s01_bencode::{printable, turns_text};
use serde::Serialize;

use crate::progress::Narrator;

/// Makes a module and a subcommand of each name. A module has `Args`, whose
/// documentation is the help text, with `run(self, &Options)`.
macro_rules! commands {
    ($($name:ident,)*) => {
        $(mod $name;)*

        #[derive(Subcommand)]
        #[command(rename_all = "snake_case")]
        #[allow(non_camel_case_types)] // a variant is called like its module
        pub enum Command { $($name($name::Args),)* }

        impl Command {
            /// Runs the command.
            pub fn run(self, options: &Options) -> Result<Answer, Failure> {
                if options.show_secrets { discretion::show() } // plugged in
                // The answer is what was typed in, to be used as it is.
                if matches!(self, Command::decode(_)) { discretion::show() } // plugged in
                if matches!(self, Command::create(_)) { discretion::show() } // plugged in
                // These talk to nobody; what they read must not be opened for writing.
                if !matches!(self, Command::explain(_) | Command::replay(_)) { tracing::start(options) } // plugged in
                match self { $(Command::$name(args) => args.run(options),)* }
            }
        }
    };
}

commands! {
    decode,
    info,
    peers,
    handshake,
    download_piece,
    magnet_parse,
    magnet_handshake,
    magnet_info,
    magnet_download_piece,
    create,
    verify,
    work_queue,
    download_from,
    announce,
    download,
    magnet_download,
    seed,
    scrape,
    lab,
    tracker,
    demo,
    explain,
    replay,
    stages,
    completions,
}

/// Returns the text as it is shown: without passkeys and passwords, unless they are asked for.
pub fn shown(text: &str) -> String {
    match text {
        _ if discretion::wanted() => discretion::hide(text), // plugged in
        _ => text.to_owned(),
    }
}

/// The exit code of what a command came to.
pub fn exit_code(outcome: &Result<Answer, Failure>) -> u8 {
    match outcome {
        Err(failure) => failure.code,
        Ok(_) if interrupt::answered() > 0 => interrupt::answered(), // plugged in
        Ok(_) => 0,
    }
}

/// What a command found out.
#[derive(Debug)]
pub struct Answer {
    /// For people, and for course material: without the last newline.
    pub text: String,
    /// For programs: one object.
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

/// serde_json escapes the control characters of ASCII on its own, but a terminal also obeys
/// others.
struct OneLine;

impl serde_json::ser::Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        // A file may be called `pass=1.mkv`; requests and headers are hidden before they come here.
        let has_url =
            ["://", "%3A%2F%2F", "%3a%2f%2f"].iter().any(|sign| fragment.contains(sign)) || fragment.starts_with("magnet:");
        let shown = if has_url { shown(fragment) } else { fragment.to_owned() };
        let mut rest = shown.as_str();
        while let Some((at, letter)) = rest.char_indices().find(|(_, letter)| letter.is_control() || turns_text(*letter)) {
            write!(out, "{}\\u{:04x}", &rest[..at], u32::from(letter))?;
            rest = &rest[at + letter.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

/// Prints an answer that may be too long to be held, while it is made. What is left to
/// print is nothing.
pub fn print_long(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Answer, Failure> {
    // stdout itself would make a system call for each line.
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unprintable(&error)),
        _ => Ok(Answer { text: String::new(), json: serde_json::Value::Null }),
    }
}

/// Why an answer did not get out.
pub fn unprintable(error: &io::Error) -> Failure {
    let what = format!("the answer could not be printed: {error}");
    Failure::new(failure::LOCAL, what).help("check where stdout goes, and the free space there")
}

/// Prints a line to stdout while a command still runs. A closed stdout must not end
/// it.
pub fn print_line(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Options that every command takes.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub struct Options {
    /// Print the answer as one JSON object
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress and no notes, only the answer
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Tell each step and why, with its chapter
    #[arg(short, long, global = true, conflicts_with = "quiet", overrides_with = "verbose")]
    pub verbose: bool,
    /// Show passkeys and passwords, which are … otherwise
    #[arg(long, global = true)]
    pub show_secrets: bool,
    /// Colour on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: Color,
    /// A peer to ask, beside those that trackers name [repeatable]
    #[arg(long = "peer", global = true, value_name = "HOST:PORT", value_parser = address)]
    pub peers: Vec<String>,
    /// Give up after so long: in all (4 s), or without any live peer (downloads, 60 s)
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    #[command(flatten)] // tracing is plugged in
    pub tracing: tracing::Tracing, // plugged in
}

impl Options {
    /// Tells what happens, with `-v`.
    pub fn narrator(&self) -> Narrator {
        Narrator { wanted: self.verbose, quiet: self.quiet }
    }

    /// Tells something that is not the answer, while no bar is drawn.
    pub fn note(&self, text: &str) {
        self.note_to_paste(&shown(text));
    }

    /// The same with secrets: what is to be pasted must be whole.
    pub fn note_to_paste(&self, text: &str) {
        if !self.quiet {
            // A closed stderr is no reason to stop.
            let _ = writeln!(io::stderr(), "{}", printable(text));
        }
    }

    /// When a command of one stage must have its answer: a little before its time is
    /// over, so that there is time to say why it has none.
    pub fn deadline(&self) -> Instant {
        let time = self.timeout.unwrap_or(Duration::from_secs(4));
        Instant::now() + time.saturating_sub(Duration::from_millis(400)).max(time / 2)
    }

    /// Whether a bar may be drawn on a terminal: again and again, so that nothing else can
    /// write there at will.
    pub fn allow_bar(&self) -> bool {
        let mut allow = !self.quiet;
        // Lines of JSON on the same terminal would go through it.
        allow &= !self.json || !io::stdout().is_terminal();
        allow &= !self.tracing.on_stderr(); // plugged in
        allow
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds was expected, such as 2.5".to_owned())?;
    let range = "0.001 to 86400 seconds were expected".to_owned();
    if (0.001..=86400.0).contains(&seconds) { Duration::try_from_secs_f64(seconds).map_err(|_| range) } else { Err(range) }
}

/// `HOST:PORT`, with an IPv6 address in brackets. The name is looked up later.
pub fn address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let named = !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']) && port.parse::<u16>().is_ok();
    let known = named || text.parse::<std::net::SocketAddr>().is_ok();
    if known && port != "0" {
        Ok(text.to_owned())
    } else {
        Err("HOST:PORT was expected, with a port from 1 to 65535, such as 127.0.0.2:6881 or [::1]:6881".to_owned())
    }
}

/// `--color`
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Even into a file.
    Always,
    /// Not at all.
    Never,
}

impl Color {
    /// Whether to use colour on a stream that is, or is not, a terminal.
    pub fn wanted(self, terminal: bool) -> bool {
        match self {
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            Color::Always => true,
            Color::Never => false,
        }
    }
}
