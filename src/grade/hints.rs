//! The likely cause of a failure, from the bytes that the actors wrote down.
//!
//! The sentences are those of the lab, which says them while the client runs. Here they are found
//! afterwards: a recording is played to the same rules, message by message.

mod handshake;
pub(super) mod krpc;
mod messages;
mod omission;
mod replay;
mod state;
mod trackers;

use std::sync::Arc;

use self::state::Replay;
use crate::actors::recording::{Recording, Way};
use crate::actors::torrent::Torrent;
use crate::lab::content::Content;
use crate::lab::hints::{WrongHashes, wrong_hashes};
use crate::s02_metainfo::InfoHash;
use crate::s04_handshake::HANDSHAKE_LENGTH;
use crate::s23_v2;
use crate::trace::Object;

/// The most connections that are looked at. A client that makes more is in a loop.
const MAX_CONNECTIONS: usize = 50;

/// The last stage in which the client dials. Later it is dialed, and gives.
const LAST_TO_DIAL: u8 = 15;

/// The torrents of a check, and the hashes that a mistake makes of them.
#[derive(Debug, Default)]
pub struct Known {
    contents: Vec<Content>,
    wrong: WrongHashes,
}

impl Known {
    /// Adds a torrent, and its .torrent file if it has one. A broken torrent is passed over.
    pub(super) fn add(&mut self, torrent: &Torrent, file: Option<&[u8]>) {
        self.wrong.extend(wrong_hashes(&torrent.info, file));
        let hash = InfoHash(torrent.info_hash);
        if self.contents.iter().any(|content| content.info_hash() == hash) {
            return;
        }
        let Ok(info) = s23_v2::info_from_bytes(&torrent.info) else { return };
        // The rules need no data.
        let (info, data) = (Arc::new(info), Arc::default());
        let metadata = torrent.info.as_slice().into();
        let content = Content { info, data, metadata, layers: None, seeded: true };
        self.contents.push(content);
    }
}

/// All that there is to find a cause in.
#[derive(Clone, Copy)]
pub(super) struct Clues<'a> {
    /// What the actors saw.
    pub recordings: &'a [Recording],
    /// What it was about.
    pub known: &'a Known,
    /// What the client was to do.
    pub stage: u8,
    /// Whether there were peers for it to dial.
    pub dials: bool,
}

impl Clues<'_> {
    /// Whether it has asked nobody, though there were peers for it to dial.
    pub fn asked_nobody(&self) -> bool {
        let is_unasked = |one: &Recording| one.is_tracker() && one.is_silent();
        self.dials && self.recordings.iter().all(is_unasked)
    }

    /// Whether it has sent a whole handshake to a peer.
    pub fn met_a_peer(&self) -> bool {
        let mut peers = self.recordings.iter().filter(|recording| !recording.is_tracker());
        peers.any(|peer| peer.counted(Way::FromClient) >= HANDSHAKE_LENGTH as u64)
    }
}

/// A likely cause.
pub(super) struct Cause {
    /// In words.
    pub hint: String,
    /// Whether it is a rule that the client has broken, and no mere guess.
    pub is_broken: bool,
    /// The bytes in which it shows, if it does.
    pub shown: Option<Shown>,
}

impl Cause {
    fn new(hint: impl Into<String>, shown: Option<Shown>) -> Cause {
        Cause { hint: hint.into(), is_broken: false, shown }
    }
}

/// An object that the client sent, with a break in it.
pub(super) struct Shown {
    /// Where it begins in what the client sent.
    pub at: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its fields, and the break.
    pub object: Object,
}

/// Returns the likely cause: a rule that was broken, or else something odd, or else something that
/// is missing.
///
/// What a tracker has seen counts only as long as no peer has seen anything: a client that has got
/// that far was understood. In the same way, a connection without a right handshake counts only as
/// long as there is no other with one: the client may have tried encryption first.
pub(super) fn cause(clues: Clues) -> Option<Cause> {
    let (asked, peers): (Vec<&Recording>, Vec<&Recording>) =
        clues.recordings.iter().partition(|recording| recording.is_tracker());
    if peers.iter().all(|recording| recording.is_silent())
        && let Some(cause) = asked.into_iter().find_map(|asked| match krpc::node(asked) {
            Some(_) => krpc::cause(asked),
            None => trackers::cause(asked, clues.dials).map(|hint| Cause::new(hint, None)),
        })
    {
        return Some(Cause { is_broken: true, ..cause });
    }
    let is_dialed = clues.stage > LAST_TO_DIAL;
    let mut replays: Vec<Replay> = peers
        .into_iter()
        .take(MAX_CONNECTIONS)
        .map(|recording| Replay::of(recording, clues.known, is_dialed))
        .collect();
    let met = |replay: &Replay| replay.client.handshake.is_some();
    if replays.iter().any(met) {
        replays.retain(met);
    }
    let broken = replays.iter_mut().find_map(|replay| replay.broken.take());
    broken
        .map(|cause| Cause { is_broken: true, ..cause })
        .or_else(|| omission::cause(&replays, clues.stage))
        .or_else(|| replays.iter_mut().find_map(|replay| replay.odd.take()))
}
