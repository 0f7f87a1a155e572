//! What both whole downloads share: the output, Ctrl-C, and telling how it goes. (stage 11)

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::Info;
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s11_swarm::{Event, Plan, SwarmError, download};
use serde_json::{Value, json};

use super::download::Place;
use super::failure::{Failure, INTERRUPTED, NO_PEER, OTHER, TRACKER};
use super::{Answer, Options, json_line, print_line};
use crate::progress::Progress;

/// Downloads to its place; `source` is the argument as it was typed.
pub fn fetch(plan: Plan, place: &Place, source: &str, options: &Options) -> Result<Answer, Failure> {
    let plan = Plan { max_peers: usize::from(place.max_peers), ..plan };
    let stop = interrupt()?;
    let plan = Plan { stop: Arc::clone(&stop), ..plan };
    let progress = Progress::new(options, "downloading", 0);
    let mut output = None;
    let prepare = |info: &Info| -> Result<(Arc<dyn Store>, _), StorageError> {
        let checking = Progress::new(options, "checking", info.length);
        let opened = Output::open(info, &place.output, place.force, &stop, &|bytes| checking.set(bytes))?;
        checking.clear();
        let have = opened.have.clone();
        let opened = output.insert(opened);
        Ok((Arc::clone(&opened.storage) as Arc<dyn Store>, have))
    };
    let outcome = download(plan, prepare, &mut |event| tell(&event, &progress, options));
    progress.clear();
    // Whatever a Ctrl-C interrupted, that is the reason.
    let outcome = outcome.map_err(|error| if stop.load(Ordering::SeqCst) { SwarmError::Stopped } else { error })?;
    if let Some(output) = output {
        output.complete()?;
    }
    let shown = (printable(source), printable(&place.output.to_string_lossy()));
    let from: Vec<Value> = outcome.from.iter().map(|(peer, bytes)| json!({ "peer": peer.to_string(), "bytes": bytes })).collect();
    let banned: Vec<String> = outcome.banned.iter().map(ToString::to_string).collect();
    Ok(Answer {
        text: format!("Downloaded {} to {}.", shown.0, shown.1),
        json: json!({ "event": "done", "output": shown.1, "downloaded": outcome.downloaded, "from": from, "banned": banned }),
    })
}

/// A flag that Ctrl-C sets. The first one ends a download politely, the second at once.
fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
    static PRESSED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(pressed) = PRESSED.get() {
        return Ok(Arc::clone(pressed));
    }
    let pressed = PRESSED.get_or_init(Arc::default);
    let handler = ctrlc::set_handler(|| {
        if pressed.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    handler.map_err(|error| Failure::new(OTHER, format!("Ctrl-C cannot be handled: {error}")))?;
    Ok(Arc::clone(pressed))
}

/// An event, as a line of JSON or on the terminal.
fn tell(event: &Event, progress: &Progress, options: &Options) {
    let line = match event {
        Event::Metadata { name, length } => {
            progress.resize(*length);
            progress.detail(&format!("{}: {length} bytes", printable(name)));
            json!({ "event": "metadata", "name": name, "length": length })
        }
        Event::Resumed(there) => {
            progress.start_at(*there);
            if *there > 0 {
                progress.note(&format!("{there} bytes are there already"));
            }
            json!({ "event": "resumed", "bytes": there })
        }
        Event::Progress { verified, downloaded, peers } => {
            progress.set(*verified);
            progress.message(format!("{peers} peers"));
            json!({ "event": "progress", "verified": verified, "downloaded": downloaded, "peers": peers })
        }
        Event::Joined(peer) => {
            progress.detail(&format!("{peer}: connected"));
            json!({ "event": "joined", "peer": peer.to_string() })
        }
        Event::Left(peer, why) => {
            progress.detail(&format!("{peer}: {why}"));
            json!({ "event": "left", "peer": peer.to_string(), "why": why.to_string() })
        }
        Event::Corrupt(piece, by) => {
            let who: Vec<String> = by.iter().map(ToString::to_string).collect();
            let what = if who.len() == 1 { "which is banned" } else { "one of which lies" };
            progress.note(&format!("piece {piece} had the wrong hash; it came from {}, {what}", who.join(" and ")));
            json!({ "event": "corrupt", "piece": piece.get(), "peers": who })
        }
        Event::Source { name, what, failed } => {
            if *failed {
                progress.note(what)
            } else {
                progress.detail(what)
            }
            json!({ "event": if *failed { "source_failed" } else { "source" }, "source": name, "what": what })
        }
    };
    if options.json {
        print_line(&json_line(&line));
    }
}

impl From<SwarmError> for Failure {
    fn from(error: SwarmError) -> Failure {
        let (code, help) = match error {
            SwarmError::Storage(error) => return error.into(),
            SwarmError::Unusable(error) => return error.into(),
            SwarmError::Stopped => (INTERRUPTED, "the same command goes on where it stopped"),
            SwarmError::NoHope { no_tracker: true, .. } => (TRACKER, "give a peer with --peer HOST:PORT, or try again later"),
            SwarmError::NoHope { .. } => {
                (NO_PEER, "what is verified is kept: the same command goes on; --peer HOST:PORT adds a peer")
            }
        };
        Failure::new(code, error).help(help).see("11-swarm")
    }
}
