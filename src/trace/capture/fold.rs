//! Folds runs of events that differ only in their block into one.
//!
//! Otherwise a thousand requests would fill a diagram. On each connection and in each
//! direction, the requests for one piece are one run, and so are its blocks, however the
//! two interleave. Any other message ends both runs.

use std::collections::HashMap;

use super::{Capture, CapturedObject, Event, EventKind};
use crate::trace::stream::Way;

/// The objects that come in runs, and whether a run is limited to one piece.
const RUNS: [(&str, bool); 9] = [
    ("request", true),
    ("piece", true),
    ("cancel", true),
    ("reject request", true),
    ("have", false),
    ("allowed fast", false),
    ("keep-alive", false),
    ("ut_metadata request", false),
    ("ut_metadata data", false),
];

/// One event, or several that are alike.
#[derive(Debug)]
pub struct Run<'c> {
    /// The indices into [`Capture::events`].
    pub places: Vec<usize>,
    /// The first event.
    pub first: &'c Event,
    /// The time of the last event.
    pub until: u64,
    /// The piece that they are about, if it is a single one.
    piece: Option<&'c str>,
}

impl Run<'_> {
    /// Returns the first object, if there is one.
    pub fn captured(&self) -> Option<&CapturedObject> {
        match &self.first.kind {
            EventKind::Object(captured) => Some(captured),
            EventKind::End => None,
        }
    }

    /// Returns the label of the arrow: `piece: 8 blocks of piece 3`.
    pub fn label(&self) -> String {
        let Some(captured) = self.captured() else { return "the connection ends".to_owned() };
        let (name, summary) = (&captured.object.name, &captured.object.summary);
        match (self.places.len(), self.piece) {
            (1, _) if summary.is_empty() => name.clone(),
            (1, _) => format!("{name}: {summary}"),
            (count, Some(piece)) => format!("{name}: {count} blocks of piece {piece}"),
            (count, None) => format!("{count} × {name}"),
        }
    }

    /// Returns the change, if it is short and important: a choke, an interest.
    pub fn turn(&self) -> Option<String> {
        let turns = |captured: &&CapturedObject| {
            captured.object.stage == 5
                && alike(self.first).is_none()
                && !captured.changes.is_empty()
        };
        let captured = self.captured().filter(turns)?;
        Some(captured.changes.join("; "))
    }
}

/// Returns all events as runs, in the order in which the runs begin.
pub fn folded(capture: &Capture) -> Vec<Run<'_>> {
    let mut runs: Vec<Run> = Vec::new();
    // The current run of each connection and direction.
    let mut open: HashMap<(usize, Way), usize> = HashMap::new();
    for (place, event) in capture.events.iter().enumerate() {
        let alike = alike(event);
        if let (Some((name, piece)), EventKind::Object(captured), Some(connection)) =
            (alike, &event.kind, event.connection)
        {
            let key = (connection, captured.way);
            let run = open.get(&key).and_then(|run| runs.get_mut(*run));
            if let Some(run) = run.filter(|run| {
                run.captured().is_some_and(|first| first.object.name == name) && run.piece == piece
            }) {
                run.places.push(place);
                run.until = event.time;
                continue;
            }
            open.insert(key, runs.len());
        } else if let Some(connection) = event.connection {
            open.remove(&(connection, Way::In));
            open.remove(&(connection, Way::Out));
        }
        let piece = alike.and_then(|(_, piece)| piece);
        runs.push(Run { places: vec![place], first: event, until: event.time, piece });
    }
    runs
}

/// Returns what an event shares with the others of its run, its name and piece, if it comes in
/// runs.
fn alike(event: &Event) -> Option<(&'static str, Option<&str>)> {
    let EventKind::Object(captured) = &event.kind else { return None };
    let object = &captured.object;
    let (name, by_piece) = *RUNS.iter().find(|(name, _)| *name == object.name)?;
    let whole = object.broken.is_none() && captured.rest == 0;
    let piece = by_piece.then(|| object.field("index").map(|field| field.value.as_str())).flatten();
    whole.then_some((name, piece))
}
