//! What the actors saw: as a capture, as a line of names, and as the likely cause.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::hints;
use super::miss::{MAX_DETAILS, Miss};
use crate::actors::recording::{Chunk, Recording, Way};
use crate::trace::capture::fold::folded;
use crate::trace::capture::{Capture, EventKind};
use crate::trace::stream;

/// The most names in the line about what a peer saw.
const MAX_NAMES: usize = 6;

/// What the capture of a check says about itself.
const HOLDS: &str =
    "what the scripted peers and trackers of one check saw; your client is the one that records";

/// Returns the recordings as a capture, in the order of time. The learner's client is "us".
pub fn capture(recordings: &[Recording]) -> Vec<u8> {
    let begun = recordings.iter().map(Recording::begun).min().unwrap_or_else(Instant::now);
    let started = SystemTime::now().checked_sub(begun.elapsed()).unwrap_or(UNIX_EPOCH);
    let started = started.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let head = json!({ "piecemeal_capture": 1, "started": started.to_string(), "holds": HOLDS });
    let mut lines = Vec::new();
    for (number, recording) in (1..).zip(recordings) {
        let at = |time: Instant| time.saturating_duration_since(begun).as_micros() as u64;
        for chunk in messages(recording) {
            let way = if chunk.way == Way::FromClient { "out" } else { "in" };
            let hex = hex::encode(&chunk.bytes);
            let time = at(chunk.at);
            lines.push((
                time,
                if recording.is_tracker() {
                    json!({ "t": time, "tracker": recording.partner(), "d": way, "hex": hex })
                } else {
                    json!({ "t": time, "c": number, "peer": recording.partner(), "d": way, "hex": hex })
                },
            ));
        }
        if let Some(time) = recording.ended().filter(|_| !recording.is_tracker()).map(at) {
            lines.push((
                time,
                json!({ "t": time, "c": number, "peer": recording.partner(), "d": "end" }),
            ));
        }
    }
    // Stable: the chunks of one recording stay in order.
    lines.sort_by_key(|(time, _)| *time);
    let lines = lines.into_iter().map(|(_, line)| line);
    let text: String = std::iter::once(head).chain(lines).map(|line| format!("{line}\n")).collect();
    text.into_bytes()
}

/// The most bytes of a tracker's answer in one line of a capture.
const MAX_ANSWER: usize = 64 << 10;

/// Returns the chunks of a recording. In a capture, what went to or from an HTTP tracker is one,
/// unless it is a flood.
fn messages(recording: &Recording) -> Vec<Chunk> {
    if !recording.partner().starts_with("http:") {
        return recording.chunks();
    }
    recording.chunks().into_iter().fold(Vec::new(), |mut whole: Vec<Chunk>, chunk| {
        let has_room = |last: &&mut Chunk| last.bytes.len() < MAX_ANSWER;
        match whole.last_mut().filter(|last| last.way == chunk.way).filter(has_room) {
            Some(last) => last.bytes.extend(chunk.bytes),
            None => whole.push(chunk),
        }
        whole
    })
}

/// Adds to a miss what the peers saw of the client, and the likely cause, as far as the check has
/// not said so itself.
pub(super) fn add_to(mut miss: Miss, recordings: &[Recording]) -> Miss {
    if miss.details.len() < MAX_DETAILS
        && let Some(line) = seen(recordings)
    {
        miss.details.push(line);
    }
    // What the check has said already is not said again.
    match hints::cause(recordings).filter(|cause| !miss.what.contains(cause.as_str())) {
        Some(cause) => miss.likely(cause),
        None => miss,
    }
}

/// Returns the last things that the client sent, by name: to a peer, or if it got to none to a
/// tracker.
fn seen(recordings: &[Recording]) -> Option<String> {
    let (trackers, peers): (Vec<&Recording>, Vec<&Recording>) =
        recordings.iter().partition(|recording| recording.is_tracker());
    let spoken = |recording: &&&Recording| !recording.from_client().is_empty();
    match (peers.iter().rfind(spoken), trackers.iter().rfind(spoken)) {
        (Some(peer), _) => sent(peer, "the peer"),
        (None, _) if !peers.is_empty() => {
            Some("the peer saw nothing: it was connected to, and no byte came".to_owned())
        }
        (None, tracker) => sent(tracker?, "the tracker"),
    }
}

/// Returns the last things that the client sent to this actor, by name.
fn sent(recording: &Recording, actor: &str) -> Option<String> {
    let capture = Capture::read(&capture(std::slice::from_ref(recording))).ok()?;
    let runs = folded(&capture);
    let names: Vec<String> = runs
        .iter()
        .filter(|run| run.captured().is_some_and(|object| object.way == stream::Way::Out))
        .map(crate::trace::capture::fold::Run::label)
        .collect();
    let left_out = names.len().saturating_sub(MAX_NAMES);
    let dots = if left_out > 0 { "… " } else { "" };
    let shown = names.get(left_out..).unwrap_or_default().join(" · ");
    let end = capture.events.iter().find(|event| matches!(event.kind, EventKind::End));
    let end = end.map_or(String::new(), |event| {
        format!(", then the end after {:.1} s", event.time as f64 / 1e6)
    });
    Some(format!("{actor} saw: {dots}{shown}{end}"))
}
