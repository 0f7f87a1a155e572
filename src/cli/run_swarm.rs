//! Runs a download or a seed to its end, and returns what each peer gave and took. (stage 15)

use std::sync::Arc;
use std::sync::atomic::Ordering;

use piecemeal::s01_bencode::counted;
use piecemeal::s02_metainfo::{Info, InfoHash};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s15_swarm::summary::{Summary, Traded};
use piecemeal::s15_swarm::{Event, Plan, SwarmError, download};
use serde_json::{Value, json};

use super::event_report::EventReport;
use super::failure::Failure;
use super::screen::live_view::WatchOptions;
use super::{Answer, Options};

/// Runs a plan, reports its progress, and returns the totals for each peer. `completed` is
/// called once all pieces are there; `output` is their path, for programs.
pub fn run_swarm<P>(
    plan: Plan,
    prepare: P,
    completed: &mut dyn FnMut() -> Result<(), StorageError>,
    (output, watching): (Option<&str>, WatchOptions),
    options: &Options,
) -> Result<Answer, Failure>
where
    P: FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError>,
{
    let stop = Arc::clone(&plan.stop);
    let (names, peer_id) = (plan.names.clone(), plan.peer_id);
    let mut report = EventReport::new(&plan, watching, options);
    let mut finished = Ok(());
    let outcome = download(plan, prepare, &mut |event| {
        if matches!(event, Event::Completed) {
            finished = report.aside(&mut *completed);
            if finished.is_err() {
                stop.store(true, Ordering::SeqCst);
            }
        }
        report.add(&event);
    });
    let unfinished = report.end();
    let ours = (names.common(), peer_id);
    let (traded_so_far, failure) = match (finished, outcome) {
        (Ok(()), Ok(outcome)) => return Ok(totals(&outcome, ("done", output), ours)),
        // A failure in `completed` stops the download.
        (Err(error), outcome) => (outcome.unwrap_or(unfinished), Failure::from(error)),
        // If a signal came, it is the reason, whatever error it caused.
        (Ok(()), Err(_)) if stop.load(Ordering::SeqCst) => {
            (unfinished, Failure::from(SwarmError::Stopped))
        }
        (Ok(()), Err(error)) => (unfinished, Failure::from(error)),
    };
    let Answer { json, .. } = totals(&traded_so_far, ("unfinished", output), ours);
    Err(failure.answer(Answer { text: String::new(), json }))
}

/// Returns the totals for each peer.
fn totals(
    outcome: &Summary,
    (event, output): (&str, Option<&str>),
    (info_hash, peer_id): (InfoHash, PeerId),
) -> Answer {
    let Summary { downloaded, uploaded, traded, banned, .. } = outcome;
    let mut text =
        format!("Gave {}, took {}.", counted(*uploaded, "byte"), counted(*downloaded, "byte"));
    let width =
        traded.iter().map(|traded| traded.peer.to_string().len()).max().unwrap_or(0).max(24);
    if !traded.is_empty() {
        text += &format!("\n{:<width$} {:>14} {:>14}", "peer", "given", "taken");
    }
    for Traded { peer, taken, given, .. } in traded {
        text += &format!("\n{:<width$} {given:>14} {taken:>14}", peer.to_string());
    }
    let to_json = |bytes: fn(&Traded) -> u64| -> Value {
        let moved = traded.iter().filter(|traded| bytes(traded) > 0);
        moved
            .map(|it| json!({ "peer": it.peer.to_string(), "peer_id": it.peer_id.to_string(), "bytes": bytes(it) }))
            .collect()
    };
    let banned: Vec<String> = banned.iter().map(ToString::to_string).collect();
    let json = json!({
        "event": event, "output": output, "info_hash": info_hash.to_string(), "peer_id": peer_id.to_string(),
        "downloaded": downloaded, "uploaded": uploaded,
        "from": to_json(|traded| traded.taken), "to": to_json(|traded| traded.given), "banned": banned,
    });
    Answer { text, json }
}
