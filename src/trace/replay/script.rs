//! A peer's part: the lines it sends on its own, and its answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::ReplayError;
use super::side_record::{Counts, SideRecord, metadata_id};
use crate::s02_metainfo::{Info, InfoHash};
use crate::s03_tracker::PeerId;
use crate::s04_handshake::Handshake;
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::{Message, Request};
use crate::s07_extension::EXTENDED;
use crate::s08_metadata::message::MetadataMessage;
use crate::trace::capture::{Capture, CapturedObject, EventKind};
use crate::trace::stream::Way;

/// The two parts of one connection of a capture.
#[derive(Debug)]
pub struct Script {
    pub(super) connection: u64,
    pub(super) peer: SocketAddr,
    pub(super) client: Option<String>,
    pub(super) theirs: Handshake,
    /// What we said.
    pub(super) ours: SideRecord,
    /// The lines that it sends on its own, in order.
    pub(super) messages: VecDeque<ScriptedMessage>,
    /// Its answers to each request, in order.
    pub(super) blocks: BTreeMap<(u32, u32, u32), VecDeque<Vec<u8>>>,
    pub(super) metadata: BTreeMap<u32, VecDeque<Vec<u8>>>,
    /// Its id for requests for the info dictionary.
    pub(super) metadata_id: Option<u8>,
    /// The blocks that it sends.
    pub(super) given: BTreeSet<(u32, u32, u32)>,
}

/// A message, and what must happen before it.
#[derive(Debug)]
pub(super) struct ScriptedMessage {
    /// The message with its length prefix.
    pub bytes: Vec<u8>,
    /// The name of the message.
    pub name: String,
    /// The messages that we must have sent.
    pub needs: Counts,
    /// The number of blocks that must have been sent, and of parts of the info dictionary.
    pub blocks: usize,
    pub parts: usize,
}

impl ScriptedMessage {
    /// Returns all that must happen before it.
    pub fn due(&self) -> (Counts, usize, usize) {
        (self.needs, self.blocks, self.parts)
    }
}

impl Script {
    /// Makes the script of the connection with this number, or else of the one with the most
    /// bytes received.
    ///
    /// # Errors
    /// If it says too little to be played.
    pub fn of(capture: &Capture, number: Option<u64>) -> Result<Script, ReplayError> {
        if capture.left_out > 0 {
            let found = format!("{} bytes more than can be described", capture.left_out);
            return Err(ReplayError::Unfit {
                number: number.unwrap_or(0),
                expected: "a shorter capture",
                found,
            });
        }
        let place = match number {
            Some(number) => {
                let place =
                    capture.connections.iter().position(|connection| connection.number == number);
                place.ok_or_else(|| ReplayError::NoConnection { number, known: known(capture) })?
            }
            None => busiest(capture),
        };
        let Some(connection) = capture.connections.get(place) else {
            return Err(ReplayError::NoConnection { number: 0, known: known(capture) });
        };
        let number = connection.number;
        let unfit = |expected, found: String| ReplayError::Unfit { number, expected, found };
        let lane = capture.lanes.get(connection.lane);
        let name = lane.map(|lane| lane.name.clone()).unwrap_or_default();
        let peer = name
            .parse()
            .map_err(|_| unfit("a peer with an address, such as 127.0.0.1:6881", name))?;
        let mut builder = Builder::default();
        for event in capture.events.iter().filter(|event| event.connection == Some(place)) {
            let EventKind::Object(captured) = &event.kind else { continue };
            // An object that is cut off was never sent whole, and a broken one cannot be played.
            if captured.object.broken.is_none() {
                builder.take(captured, capture.bytes(event));
            }
        }
        let Builder { ours, theirs, messages, blocks, metadata, given, .. } = builder;
        let theirs_said =
            theirs.handshake.ok_or_else(|| unfit("the peer's handshake", "none".to_owned()))?;
        let ours_said =
            ours.handshake.ok_or_else(|| unfit("our own handshake", "none".to_owned()))?;
        if theirs_said.info_hash != ours_said.info_hash {
            return Err(unfit(
                "two handshakes about one torrent",
                theirs_said.info_hash.to_string(),
            ));
        }
        Ok(Script {
            connection: number,
            peer,
            client: lane.and_then(|lane| lane.client.clone()),
            theirs: theirs_said,
            ours,
            messages,
            blocks,
            metadata,
            metadata_id: metadata_id(&theirs),
            given,
        })
    }

    /// Returns the info hash of the connection.
    pub fn info_hash(&self) -> InfoHash {
        self.theirs.info_hash
    }

    /// Returns our peer id in the capture.
    pub(super) fn peer_id(&self) -> PeerId {
        self.ours.handshake.map_or(PeerId([0; 20]), |ours| ours.peer_id)
    }
}

/// Returns the pieces that these blocks make whole.
pub(super) fn whole_pieces(given: &BTreeSet<(u32, u32, u32)>, info: &Info) -> Bitfield {
    let mut whole = Bitfield::new(info.piece_count());
    for piece in info.pieces() {
        let mut end = 0;
        for (_, begin, length) in
            given.range((piece.get(), 0, 0)..=(piece.get(), u32::MAX, u32::MAX))
        {
            if *begin <= end {
                end = end.max(begin.saturating_add(*length));
            }
        }
        if end >= info.piece_size(piece) {
            whole.set(piece.get(), true);
        }
    }
    whole
}

/// Lists the connections of a capture.
fn known(capture: &Capture) -> String {
    let numbers: Vec<String> = capture
        .connections
        .iter()
        .take(20)
        .map(|connection| connection.number.to_string())
        .collect();
    if numbers.is_empty() {
        "the capture has none".to_owned()
    } else {
        format!("the capture has {}", numbers.join(", "))
    }
}

/// Returns the connection with the most bytes received.
fn busiest(capture: &Capture) -> usize {
    let mut bytes = vec![0; capture.connections.len()];
    for event in &capture.events {
        if let (Some(place), EventKind::Object(captured)) = (event.connection, &event.kind)
            && captured.way == Way::In
            && let Some(bytes) = bytes.get_mut(place)
        {
            *bytes += captured.range.len();
        }
    }
    let most = bytes.iter().max().copied().unwrap_or_default();
    bytes.iter().position(|bytes| *bytes == most).unwrap_or_default()
}

/// A script while the capture is being read.
#[derive(Default)]
struct Builder {
    ours: SideRecord,
    theirs: SideRecord,
    messages: VecDeque<ScriptedMessage>,
    blocks: BTreeMap<(u32, u32, u32), VecDeque<Vec<u8>>>,
    metadata: BTreeMap<u32, VecDeque<Vec<u8>>>,
    given: BTreeSet<(u32, u32, u32)>,
    /// The number of blocks and parts of the info dictionary so far.
    came: usize,
    parts: usize,
}

impl Builder {
    fn take(&mut self, captured: &CapturedObject, bytes: &[u8]) {
        if captured.range.start == 0 {
            let side = if captured.way == Way::Out { &mut self.ours } else { &mut self.theirs };
            side.handshake = Handshake::read_from(&mut &*bytes).ok();
            return;
        }
        let Ok(message) = Message::decode(bytes.get(4..).unwrap_or_default()) else { return };
        match captured.way {
            Way::Out => drop(self.ours.record(&message, metadata_id(&self.theirs))),
            Way::In => self.record_peer(&message, bytes, &captured.object.name),
        }
    }

    fn record_peer(&mut self, message: &Message, bytes: &[u8], name: &str) {
        self.theirs.record(message, None);
        match message {
            Message::Piece { index, begin, block } => {
                let key = (*index, *begin, u32::try_from(block.len()).unwrap_or(u32::MAX));
                self.given.insert(key);
                self.blocks.entry(key).or_default().push_back(bytes.to_vec());
                self.came += 1;
                self.ours.got_block();
            }
            Message::Reject(Request { index, begin, length }) => {
                self.blocks.entry((*index, *begin, *length)).or_default().push_back(bytes.to_vec());
            }
            Message::Unknown { id: EXTENDED, payload: [id, payload @ ..] }
                if *id != 0 && Some(*id) == metadata_id(&self.ours) =>
            {
                let part = match MetadataMessage::decode(payload) {
                    Ok(MetadataMessage::Data { piece, .. } | MetadataMessage::Reject { piece }) => {
                        piece.0
                    }
                    _ => return self.add_message(bytes, name),
                };
                self.parts += 1;
                self.metadata.entry(part).or_default().push_back(bytes.to_vec());
            }
            _ => self.add_message(bytes, name),
        }
    }

    /// Adds a message that it sends on its own.
    fn add_message(&mut self, bytes: &[u8], name: &str) {
        let (needs, blocks, parts) = (self.ours.counts, self.came, self.parts);
        self.messages.push_back(ScriptedMessage {
            bytes: bytes.to_vec(),
            name: name.to_owned(),
            needs,
            blocks,
            parts,
        });
    }
}

/// Returns an extension message with the id that we use for it now; `None` if we no longer speak
/// that extension.
pub(super) fn with_our_ids(message: &[u8], then: &SideRecord, now: &SideRecord) -> Option<Vec<u8>> {
    let mut message = message.to_vec();
    if let [_, _, _, _, EXTENDED, id, ..] = message.as_mut_slice()
        && *id != 0
        && let (Some(then), Some(now)) = (&then.extension_handshake, &now.extension_handshake)
        && let Some((name, _)) = then.m.iter().find(|(_, known)| *known == id)
    {
        *id = now.m.get(name).copied().filter(|id| *id != 0)?;
    }
    Some(message)
}
