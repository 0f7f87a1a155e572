//! `--trace` and `--capture`: listen in on all that a command sends and receives. (trace)

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use piecemeal::lab::notes::Notes;
use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::Info;
use piecemeal::s03_tracker::Tracker;
use piecemeal::s03_tracker::http::Get;
use piecemeal::s04_handshake::transport::{Dial, Transport};
use piecemeal::s17_seeding::listener::Listener;
use piecemeal::s18_udp_tracker::UdpTracker;
use piecemeal::s21_dht_lookup::ask::Datagrams;
use piecemeal::trace::capture::is_capture;
use piecemeal::trace::wiretap::{Form, Sink, Tap};

use super::Options;
use super::exit_codes::USAGE;
use super::failure::Failure;
use super::failure::trace::PAGE;
use super::output_file::make;

/// Options for what is recorded, and where.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct TraceOptions {
    /// Show each message that passes, field by field: on stderr, or in a file
    #[arg(long, global = true, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    trace: Option<PathBuf>,
    /// Record all bytes that pass in a file, with their times
    #[arg(long, global = true, value_name = "FILE")]
    capture: Option<PathBuf>,
}

impl TraceOptions {
    /// Whether the trace goes to stderr, as it does without a file.
    pub fn on_stderr(&self) -> bool {
        self.trace.as_deref() == Some(Path::new("-"))
    }

    /// Whether both names lead to one file: each would overwrite the other. To be asked once
    /// one of them exists.
    fn shared(&self) -> bool {
        let real =
            |path: &Option<PathBuf>| path.as_deref().and_then(|path| fs::canonicalize(path).ok());
        !self.on_stderr()
            && real(&self.trace).is_some_and(|trace| real(&self.capture) == Some(trace))
    }
}

/// The one tap of this run. A command that runs another shares it.
static TAP: OnceLock<Option<Arc<Tap>>> = OnceLock::new();

/// Opens the files before anything passes. If one cannot be opened, prints a warning, and
/// the command goes on without it.
pub fn start(options: &Options) {
    TAP.get_or_init(|| {
        let TraceOptions { trace, capture } = &options.tracing;
        let to_stderr = options.tracing.on_stderr();
        let trace = match trace.as_deref() {
            Some(_) if to_stderr => {
                Some(Sink { name: "the trace".to_owned(), out: Box::new(io::stderr()) })
            }
            path => path.and_then(|path| sink("the trace", path)).map(|sink| headed(sink, options)),
        };
        let shared = options.tracing.shared();
        let capture =
            capture.as_deref().filter(|_| !shared).and_then(|path| sink("the capture", path));
        if shared {
            warn("there is no capture: its file is that of the trace");
        }
        let color = to_stderr && options.color.wanted(io::stderr().is_terminal());
        let form = if options.json { Form::Json } else { Form::Text { color } };
        (trace.is_some() || capture.is_some()).then(|| {
            let tap = Tap::new(trace, form, capture, warn);
            if options.show_secrets {
                tap.show_secrets();
            }
            tap
        })
    });
}

/// The beginnings of our traces, as text and as JSON.
const TRACES: [&[u8]; 3] = [
    b"# A trace: all messages of a session, field by field. ",
    b"#0001 +",
    b"{\"event\":\"trace\",",
];

fn sink(what: &str, path: &Path) -> Option<Sink> {
    let name = format!("{what} in {}", printable(&path.to_string_lossy()));
    let no_sink =
        |why: &str| warn(&format!("there is no {}: {why}", name.trim_start_matches("the ")));
    match is_precious(path)
        .and_then(|precious| if precious { Ok(None) } else { make(path, true).map(Some) })
    {
        Ok(Some(file)) => return Some(Sink { name, out: Box::new(file) }),
        Ok(None) => no_sink("something else is in that file, and is kept"),
        Err(error) => no_sink(&error.to_string()),
    }
    None
}

/// Writes a first line that says what the trace holds. In JSON each line is an event.
fn headed(mut sink: Sink, options: &Options) -> Sink {
    let secrets =
        if options.show_secrets { "are in it: keep it to yourself" } else { "are … in it" };
    if !options.json {
        // If this cannot be written, neither can the first event, and that is reported.
        let _ = writeln!(
            sink.out,
            "# A trace: all messages of a session, field by field. Passkeys and passwords {secrets}."
        );
    }
    sink
}

/// Whether a path holds something that must not be overwritten: anything but an older
/// trace or capture.
fn is_precious(path: &Path) -> io::Result<bool> {
    // A pipe or a terminal holds nothing to keep, and reading from it would take its input.
    if !fs::metadata(path).is_ok_and(|there| there.is_file() && there.len() > 0) {
        return Ok(false);
    }
    let mut start = Vec::new();
    File::open(path)?.take(200).read_to_end(&mut start)?;
    Ok(!is_capture(&start) && !TRACES.iter().any(|trace| start.starts_with(trace)))
}

/// Refuses an output that is the file of the trace or the capture, or a folder that holds
/// it: each would overwrite the other.
pub fn keep_apart(output: &Path, options: &Options) -> Result<(), Failure> {
    let TraceOptions { trace, capture } = &options.tracing;
    let trace = trace.as_deref().filter(|_| !options.tracing.on_stderr());
    let Ok(real) = fs::canonicalize(output) else { return Ok(()) };
    for (what, path) in [("trace", trace), ("capture", capture.as_deref())] {
        let path = path.and_then(|path| fs::canonicalize(path).ok()).filter(|path| path.is_file());
        if path.is_some_and(|path| path.starts_with(&real)) {
            let failure = Failure::new(USAGE, format!("the {what} is also written there"));
            let help = format!("choose another file for --{what}, or another -o");
            return Err(failure.about(output.to_string_lossy()).help(help).see(PAGE));
        }
    }
    Ok(())
}

/// Prints a warning. The conversation goes on, so this is no error.
fn warn(what: &str) {
    let _ = writeln!(io::stderr(), "warning: {what}");
}

fn tap() -> Option<&'static Arc<Tap>> {
    TAP.get()?.as_ref()
}

/// Listens in on connections that are dialed.
pub fn dial(dial: &mut Arc<dyn Dial>) {
    if let Some(tap) = tap() {
        *dial = tap.dial(Arc::clone(dial));
    }
}

/// Listens in on connections that come in.
pub fn listener(listener: Listener) -> Listener {
    match tap().cloned() {
        Some(tap) => {
            listener.through(Box::new(move |transport| Ok(tap.transport(transport, "came in"))))
        }
        None => listener,
    }
}

/// Listens in on one connection that a peer has made.
pub fn came_in(transport: Transport) -> Transport {
    match tap() {
        Some(tap) => tap.transport(transport, "came in"),
        None => transport,
    }
}

/// Listens in on announces, over HTTP and UDP.
pub fn trackers(trackers: &mut Vec<Box<dyn Tracker>>) {
    if let Some(tap) = tap() {
        *trackers = tap.trackers();
    }
}

/// Listens in on scrapes, over UDP and HTTP.
pub fn scrape(udp: &mut UdpTracker, get: &mut Arc<Get>) {
    if let Some(tap) = tap() {
        *udp = tap.udp(UdpTracker::default());
        *get = tap.get(Arc::clone(get));
    }
}

/// Listens in on the queries and answers of the DHT.
pub fn datagrams(socket: Box<dyn Datagrams>) -> Box<dyn Datagrams> {
    match tap() {
        Some(tap) => tap.datagrams(socket),
        None => socket,
    }
}

/// Listens in on the lab's tracker and seeders, from their side.
pub fn lab(notes: &Notes) {
    tap().inspect(|tap| notes.listen_in(Arc::clone(tap)));
}

/// Tells the tap about a torrent, so that its pieces can be counted.
pub fn learn(info: &Info) {
    if let Some(tap) = tap() {
        tap.learn(info);
    }
}
