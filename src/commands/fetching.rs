//! What both whole downloads share: the output, Ctrl-C, and telling how it goes. (stage 11)

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use indicatif::HumanBytes;
use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s11_swarm::rate::Rate;
use piecemeal::s11_swarm::{Event, Outcome, Plan, SwarmError, Traded, download};
use serde_json::{Value, json};

use super::download::Place;
use super::failure::{Failure, INTERRUPTED, NO_PEER, OTHER, TRACKER};
use super::{Answer, Options, json_line, print_line};
use crate::progress::Progress;

/// Downloads to its place; `source` is the argument as it was typed.
pub fn fetch(mut plan: Plan, place: &Place, source: &str, options: &Options) -> Result<Answer, Failure> {
    plan.max_peers = place.max_peers.into();
    plan.download_rate = Rate::new(place.max_download);
    plan.stop = interrupt()?;
    let stop = Arc::clone(&plan.stop);
    // Whether there is still something to do once all is there, and nothing given.
    let stays = plan.uploads.stays(0, 1);
    let shown = (printable(source), printable(&place.output.to_string_lossy()));
    let text = format!("Downloaded {} to {}.", shown.0, shown.1);
    let say = || {
        if stays && !options.json {
            print_line(&text);
        }
    };
    let output = RefCell::new(None);
    let prepare = |info: &Info| -> Result<(Arc<dyn Store>, _), StorageError> {
        super::tracing::learn(info); // plugged in
        let checking = Progress::new(options, "checking", info.length);
        let opened = Output::open(info, &place.output, place.force, &stop, &|bytes| checking.set(bytes))?;
        checking.clear();
        let (storage, have) = (Arc::clone(&opened.storage), opened.have.clone());
        if have.is_full() {
            opened.complete()?;
            say();
        }
        output.replace(Some(opened));
        Ok((storage as Arc<dyn Store>, have))
    };
    let mut completed = || -> Result<(), StorageError> {
        if let Some(output) = output.borrow().as_ref() {
            output.complete()?;
        }
        say();
        Ok(())
    };
    let outcome = take_part(plan, prepare, &mut completed, options)?;
    let Answer { text: table, mut json } = traded(&outcome);
    json["output"] = shown.1.into();
    Ok(Answer { text: if stays { table } else { text }, json })
}

/// Runs a plan, and tells how it goes. `completed` is called when all pieces are there.
pub fn take_part<P>(
    plan: Plan,
    prepare: P,
    completed: &mut dyn FnMut() -> Result<(), StorageError>,
    options: &Options,
) -> Result<Outcome, Failure>
where
    P: FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError>,
{
    let stop = Arc::clone(&plan.stop);
    let seeding = plan.upload_only;
    let progress = if seeding { Progress::endless(options, "seeding") } else { Progress::new(options, "downloading", 0) };
    let mut finished = Ok(());
    let outcome = download(plan, prepare, &mut |event| {
        if matches!(event, Event::Completed) {
            finished = completed();
            if finished.is_err() {
                stop.store(true, Ordering::SeqCst);
            }
        }
        tell(&event, &progress, seeding, options);
    });
    progress.clear();
    finished?;
    // Whatever a Ctrl-C interrupted, that is the reason.
    Ok(outcome.map_err(|error| if stop.load(Ordering::SeqCst) { SwarmError::Stopped } else { error })?)
}

/// Who gave what to whom.
pub fn traded(outcome: &Outcome) -> Answer {
    let Outcome { downloaded, uploaded, traded, banned } = outcome;
    let mut text = format!("Gave {uploaded} bytes, took {downloaded} bytes.");
    let width = traded.iter().map(|traded| traded.peer.to_string().len()).max().unwrap_or(0).max(24);
    if !traded.is_empty() {
        text += &format!("\n{:<width$} {:>14} {:>14}", "peer", "given", "taken");
    }
    for Traded { peer, taken, given } in traded {
        text += &format!("\n{:<width$} {given:>14} {taken:>14}", peer.to_string());
    }
    let to_json = |bytes: fn(&Traded) -> u64| -> Value {
        let moved = traded.iter().filter(|traded| bytes(traded) > 0);
        moved.map(|traded| json!({ "peer": traded.peer.to_string(), "bytes": bytes(traded) })).collect()
    };
    let banned: Vec<String> = banned.iter().map(ToString::to_string).collect();
    let json = json!({
        "event": "done", "output": null, "downloaded": downloaded, "uploaded": uploaded,
        "from": to_json(|traded| traded.taken), "to": to_json(|traded| traded.given), "banned": banned,
    });
    Answer { text, json }
}

/// A flag that Ctrl-C sets. The first one ends a download politely, the second at once.
pub fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
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
    handler.map_err(|error| {
        Failure::new(OTHER, format!("Ctrl-C cannot be handled: {error}")).help("start it from another terminal")
    })?;
    Ok(Arc::clone(pressed))
}

/// An event, as a line of JSON or on the terminal.
fn tell(event: &Event, progress: &Progress, seeding: bool, options: &Options) {
    let line = match event {
        Event::Metadata { name, length } => {
            progress.resize(*length);
            progress.detail(&format!("{}: {length} bytes", printable(name)));
            json!({ "event": "metadata", "name": name, "length": length })
        }
        Event::Resumed(there) => {
            progress.start_at(*there);
            if *there > 0 && !seeding {
                progress.note(&format!("{there} bytes are there already"));
            }
            json!({ "event": "resumed", "bytes": there })
        }
        Event::Progress { verified, downloaded, uploaded, peers } => {
            if !seeding {
                progress.set(*verified);
            }
            let s = if *peers == 1 { "" } else { "s" };
            progress.message(format!("{peers} peer{s}, {} given", HumanBytes(*uploaded)));
            json!({ "event": "progress", "verified": verified, "downloaded": downloaded, "uploaded": uploaded, "peers": peers })
        }
        Event::Completed => json!({ "event": "completed" }),
        Event::Joined(peer) => {
            progress.detail(&format!("{peer}: connected"));
            json!({ "event": "joined", "peer": peer.to_string() })
        }
        Event::Left(peer, why) => {
            progress.detail(&format!("{peer}: {why}"));
            json!({ "event": "left", "peer": peer.to_string(), "why": why.to_string() })
        }
        Event::Withdrawn(piece) => {
            progress.note(&format!("piece {piece} was changed on disk: it is no longer given"));
            json!({ "event": "withdrawn", "piece": piece.get() })
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
            SwarmError::Unusable(error) => {
                let failure = Failure::from(error).about("the info dictionary");
                return failure.help("every peer has the same one; look for another torrent or link");
            }
            SwarmError::Stopped => (INTERRUPTED, "the same command goes on where it stopped"),
            SwarmError::NoHope { no_tracker: true, .. } => (TRACKER, "give a peer with --peer HOST:PORT, or try again later"),
            SwarmError::NoHope { .. } => {
                (NO_PEER, "what is verified is kept: the same command goes on; --peer HOST:PORT adds a peer")
            }
        };
        Failure::new(code, error).help(help).see("11-swarm")
    }
}
