//! What the actors saw: as a capture, as a line of names, and as the likely cause.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::hints::{self, Clues, Shown, krpc};
use super::miss::{MAX_DETAILS, Miss};
use crate::actors::recording::{Chunk, Recording, Way};
use crate::s01_bencode::counted;
use crate::s04_handshake::HANDSHAKE_LENGTH;
use crate::trace::capture::fold::folded;
use crate::trace::capture::{Capture, EventKind};
use crate::trace::stream;
use crate::trace::text::{self, TextOptions};

/// The most names in the line about what a peer saw.
const MAX_NAMES: usize = 6;

/// The most bytes of a connection, both ways together, of which things are named.
const MAX_NAMED: u64 = 1 << 20;

/// The most things of a connection that are named. Each takes far more memory than its bytes.
const MAX_THINGS: usize = 2_000;

/// The most lines of broken bytes, the carets included.
const MAX_SHOWN: usize = 3;

/// Why nothing came of a client that has connected to nobody. What the check asks for comes later.
const ASKED_NOBODY: &str = "by then it had asked neither the tracker nor a peer";

/// What the capture of a check says about itself.
const HOLDS: &str = "what the scripted peers and trackers of one check saw, and of a flood its \
                     beginning; your client is the one that records";

/// The most bytes of a flood in a capture.
const MAX_FLOOD: usize = 64 << 10;

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
                if let Some(node) = krpc::node(recording) {
                    json!({ "t": time, "node": node, "d": way, "hex": hex })
                } else if recording.is_tracker() {
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
    if things(recording) > MAX_THINGS {
        return recording.beginning(MAX_FLOOD);
    }
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

/// Adds to a miss what the peers saw of the client, the first broken bytes, and the likely cause,
/// as far as the check has not said so itself.
pub(super) fn add_to(mut miss: Miss, clues: Clues) -> Miss {
    // What the check has said already is not said again.
    let cause = hints::cause(clues).filter(|cause| !miss.what.contains(&cause.hint));
    if clues.asked_nobody() {
        miss.hint = Some(ASKED_NOBODY.to_owned());
    }
    let is_known = miss.hint.is_some() || cause.as_ref().is_some_and(|cause| cause.is_broken);
    // What a peer does after the handshakes is no cause for a client that has not got so far.
    if is_known || clues.dials && !clues.met_a_peer() {
        miss.guess = None;
    }
    let (hint, shown) = cause.map(|cause| (cause.hint, cause.shown)).unzip();
    let shown = shown.flatten();
    let room = MAX_DETAILS.saturating_sub(miss.details.len());
    let mut lines = shown.map(|shown| broken_bytes(&shown)).unwrap_or_default();
    // The broken line and its carets are worth more than the lines before them.
    lines.drain(..lines.len().saturating_sub(room));
    if lines.len() < 2 {
        lines.clear();
    }
    if lines.len() < room
        && let Some(line) = seen(clues.recordings)
    {
        miss.details.push(line);
    }
    miss.details.extend(lines);
    match hint {
        Some(hint) => miss.likely(hint),
        None => miss,
    }
}

/// Returns the lines of an object around its break, with offsets from the client's first byte: the
/// field before it, the broken one, and carets with what was expected.
fn broken_bytes(shown: &Shown) -> Vec<String> {
    let look = TextOptions { at: shown.at, color: false };
    let text = text::fields(&shown.object, &shown.bytes, look);
    // A value of several lines is cut to its first: only that one begins with an offset.
    let is_carets = |line: &str| line.trim_start().starts_with('^');
    let has_offset = |line: &str| line.get(2..6).is_some_and(|at| !at.contains(' '));
    let lines = text.lines().filter(|line| is_carets(line) || has_offset(line));
    let lines: Vec<String> =
        lines.map(|line| line.get(2..).unwrap_or_default().to_owned()).collect();
    let Some(carets) = lines.iter().position(|line| is_carets(line)) else { return Vec::new() };
    let first = (carets + 1).saturating_sub(MAX_SHOWN);
    lines.get(first..=carets).unwrap_or_default().to_vec()
}

/// Whether the client has told a peer that it is this program.
pub(super) fn is_ours(recordings: &[Recording]) -> bool {
    let peers = recordings.iter().filter(|recording| !recording.is_tracker());
    peers.map(|peer| peer.opening(HANDSHAKE_LENGTH)).any(|hello| {
        hello.len() == HANDSHAKE_LENGTH && hello[HANDSHAKE_LENGTH - 20..].starts_with(b"-PM")
    })
}

/// Returns the last things that the client sent, by name: to a peer, or if it got to none to a
/// tracker.
fn seen(recordings: &[Recording]) -> Option<String> {
    let (trackers, peers): (Vec<&Recording>, Vec<&Recording>) =
        recordings.iter().partition(|recording| recording.is_tracker());
    let spoken = |recording: &&&Recording| !recording.is_silent();
    match (peers.iter().rfind(spoken), trackers.iter().rfind(spoken)) {
        (Some(peer), _) => sent(peer, "the peer"),
        (None, Some(node)) if krpc::node(node).is_some() => Some(sent_to_node(node)),
        (None, _) if !peers.is_empty() => {
            Some("the peer saw nothing: it was connected to, and no byte came".to_owned())
        }
        (None, tracker) => sent(tracker?, "the tracker"),
    }
}

/// Returns the last things that the client sent to this actor, by name.
fn sent(recording: &Recording, actor: &str) -> Option<String> {
    let all = recording.counted(Way::FromClient);
    let is_flood = all + recording.counted(Way::ToClient) > MAX_NAMED;
    if is_flood || things(recording) > MAX_THINGS {
        return Some(format!("{actor} saw {} of you", counted(all, "byte")));
    }
    let capture = Capture::read(&capture(std::slice::from_ref(recording))).ok()?;
    let runs = folded(&capture);
    let names: Vec<String> = runs
        .iter()
        .filter(|run| run.captured().is_some_and(|object| object.way == stream::Way::Out))
        .map(|run| match run.captured() {
            // Whose program it is says nothing here.
            Some(object) if object.object.name == "handshake" => "handshake".to_owned(),
            _ => run.label(),
        })
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

/// Returns the last things that the client sent to a node of the DHT, by name.
fn sent_to_node(recording: &Recording) -> String {
    let names = krpc::names(&recording.beginning(MAX_FLOOD));
    let left_out = names.len().saturating_sub(MAX_NAMES);
    let dots = if left_out > 0 { "… " } else { "" };
    format!("a node saw: {dots}{}", names.get(left_out..).unwrap_or_default().join(" · "))
}

/// Returns the number of things to be named: messages of a client to a peer, up to what is none, or
/// packets and answers of a tracker.
fn things(recording: &Recording) -> usize {
    if recording.is_tracker() {
        return recording.chunks().len();
    }
    let sent = recording.from_client();
    let mut rest = sent.get(HANDSHAKE_LENGTH..).unwrap_or_default();
    let mut count = 0;
    while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
        let Some(next) = behind.get(u32::from_be_bytes(*prefix) as usize..) else { break };
        (rest, count) = (next, count + 1);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::recording::MAX;

    #[test]
    fn a_flood_elsewhere_hides_no_handshake() {
        let new = || Recording::new("127.0.0.1:1".to_owned(), None);
        let floods: Vec<Recording> = (0..9).map(|_| new()).collect();
        floods.iter().for_each(|flood| flood.add(Way::FromClient, &vec![7; MAX]));
        let late = new();
        late.add(Way::FromClient, &[1; HANDSHAKE_LENGTH]);
        late.add(Way::FromClient, &vec![2; MAX]);
        assert_eq!(late.opening(HANDSHAKE_LENGTH), [1; HANDSHAKE_LENGTH]);
        assert!(late.from_client().len() < MAX / 2, "there is no room for all of it");
    }
}
