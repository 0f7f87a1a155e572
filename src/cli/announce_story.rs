//! What trackers answer to each announce, told line by line as it comes. (stage 13)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::s03_tracker::Event;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s12_session::host::Counters;
use piecemeal::s13_peer_sources::signals::Signals;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHost, SourceReport};
use piecemeal::s13_peer_sources::start;
use serde_json::{Value, json};

use super::announcers::Ourselves;
use super::exit_codes::TRACKER;
use super::failure::Failure;
use super::{Answer, Options, json_line, print_line, shown};

/// Longest wait before Ctrl-C is seen.
const TICK: Duration = Duration::from_millis(200);
/// Longest wait for the trackers' answers to `stopped`. An announcer waits for 2 s; the rest is for
/// one that is busy.
const GOODBYE_TIME: Duration = Duration::from_secs(3);
/// Most addresses of one answer that `-v` lists.
const MAX_LISTED: usize = 5;

/// Runs the announcers until `stop` is set or none is left, and tells what comes of each announce.
pub fn tell(
    sources: Vec<Box<dyn PeerSource>>,
    we: &Ourselves,
    left: u64,
    stop: &AtomicBool,
    options: &Options,
) -> Result<Answer, Failure> {
    let mut running = sources.len();
    let told = sources.iter().map(|_| Vec::new()).collect();
    let mut story = Story { told, options, last: String::new(), taken: 0, failed: 0 };
    let (signals, reports) = start_all(sources, we, left);
    let patience = options.timeout.map(|time| Instant::now() + time);
    let mut end = None;
    while running > 0 && end.is_none_or(|end| Instant::now() < end) {
        match reports.recv_timeout(TICK) {
            Ok((number, SourceReport::Gone(_))) => {
                running -= 1;
                // When nobody is left, the last reason is told by the error below.
                if running == 0
                    && end.is_none()
                    && let Some(outcome) = story.told[number].pop()
                {
                    story.last = outcome.text;
                }
                story.tell(number, None);
            }
            Ok((number, report)) => story.add_report(number, report),
            Err(_) => {}
        }
        if end.is_some() {
            continue;
        }
        if stop.load(Ordering::SeqCst) {
            signals.stop();
            end = Some(Instant::now() + GOODBYE_TIME);
        } else if story.taken == 0 && patience.is_some_and(|patience| Instant::now() > patience) {
            let time = options.timeout.unwrap_or_default().as_secs_f64();
            let help = "check the URL, and whether the tracker is up; without --timeout it is asked again and again";
            return Err(story
                .failure(&format!("no tracker took an announce for {time} s"))
                .help(help));
        }
    }
    if end.is_none() {
        let help = "look for a torrent or a link of the same content that names other trackers";
        return Err(story.failure("no tracker is left to announce to").help(help));
    }
    let text = format!("{} taken, {} failed.", counted(story.taken, "announce"), story.failed);
    Ok(Answer {
        text,
        json: json!({ "event": "done", "taken": story.taken, "failed": story.failed }),
    })
}

/// Starts the announcers. Each has a report function of its own, so every report comes with the
/// number of its source.
fn start_all(
    sources: Vec<Box<dyn PeerSource>>,
    we: &Ourselves,
    left: u64,
) -> (Arc<Signals>, Receiver<(usize, SourceReport)>) {
    let (signals, counters) = (Arc::<Signals>::default(), Arc::<Counters>::default());
    counters.left.store(left, Ordering::Relaxed);
    let ours = Handshake::new(we.names.first(), we.peer_id);
    let (sender, reports) = mpsc::channel();
    for (number, source) in sources.into_iter().enumerate() {
        let sender = sender.clone();
        let host = SourceHost {
            signals: Arc::clone(&signals),
            counters: Arc::clone(&counters),
            handshake: Arc::new(move || ours),
            names: we.names.clone(),
            max_handshakes: 0, // we only say that we listen
            report: Arc::new(move |report| sender.send((number, report)).is_ok()),
            hands: None, // nothing is downloaded
        };
        start(source, number, &host);
    }
    (signals, reports)
}

/// What has been heard, and is told once it is known when the tracker is asked again.
struct Story<'o> {
    /// For each source what came of its last announce: one answer, or a failure of each tracker.
    told: Vec<Vec<Outcome>>,
    options: &'o Options,
    /// The last failure.
    last: String,
    taken: u64,
    failed: u64,
}

/// What came of an announce.
struct Outcome {
    text: String,
    json: Value,
    failed: bool,
}

impl Story<'_> {
    fn add_report(&mut self, number: usize, report: SourceReport) {
        match report {
            SourceReport::Announced { tracker, event, peers, notes, .. } => {
                self.taken += 1;
                let event_name = event.map(|event| event.to_string());
                // One that leaves asks for no peers.
                let names = (event != Some(Event::Stopped))
                    .then(|| format!("names {}", counted(peers, "peer")));
                let what: Vec<String> = event_name.iter().cloned().chain(names).collect();
                let text = [vec![format!("{tracker}: {}", what.join(", "))], notes.clone()]
                    .concat()
                    .join("; ");
                let json = json!({ "event": "announced", "tracker": tracker, "said": event_name, "peers": peers, "notes": notes });
                self.told[number].push(Outcome { text, json, failed: false });
            }
            SourceReport::Said { source, what, failed: true } => {
                self.failed += 1;
                self.last.clone_from(&what);
                let json = json!({ "event": "failed", "source": source, "what": what });
                self.told[number].push(Outcome { text: what, json, failed: true });
            }
            SourceReport::Said { what, failed: false, .. } => self.options.narrator().say(3, what),
            SourceReport::Found { addresses, .. } if !addresses.is_empty() => {
                let listed: Vec<String> =
                    addresses.iter().take(MAX_LISTED).map(ToString::to_string).collect();
                let more = if addresses.len() > MAX_LISTED { ", ..." } else { "" };
                self.options
                    .narrator()
                    .say(13, format!("a download would dial {}{more}", listed.join(", ")));
            }
            SourceReport::Again { pause, .. } => self.tell(number, Some(pause)),
            SourceReport::Found { .. } | SourceReport::Met(_) | SourceReport::Gone(_) => {}
        }
    }

    /// Tells what came of a source's last announce, and after which time the next one follows.
    fn tell(&mut self, number: usize, next: Option<Duration>) {
        for Outcome { text, mut json, failed } in self.told[number].drain(..) {
            let next_text =
                next.map_or_else(String::new, |next| format!("; again in {}", minutes(next)));
            let text = printable(&shown(&(text + &next_text)));
            json["seconds"] = next.map(|next| next.as_secs_f64().ceil() as u64).into();
            match failed {
                _ if self.options.json => print_line(&json_line(&json)),
                true => self.options.note(&text),
                false => print_line(&text),
            }
        }
    }

    /// What to say when it ends without being told to.
    fn failure(&self, what: &str) -> Failure {
        let why = if self.last.is_empty() { String::new() } else { format!(": {}", self.last) };
        Failure::new(TRACKER, format!("{what}{why}")).see("13-peer-sources")
    }
}

/// `30 min`, `90 s`
fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 120 && seconds % 60 == 0 && time.subsec_nanos() == 0 => {
            format!("{} min", seconds / 60)
        }
        _ => format!("{} s", time.as_secs_f64()),
    }
}
