//! What one side says on a connection, as far as it can be the same twice.

use std::collections::BTreeSet;

use super::MAX_DIFFERENCES;
use crate::s04_handshake::Handshake;
use crate::s05_messages::{Message, Request};
use crate::s07_extension::{EXTENDED, ExtensionHandshake};
use crate::s08_metadata::NAME;
use crate::s08_metadata::message::MetadataMessage;
use crate::trace::clipped;

/// The longest text of a side in a difference, in bytes.
const MAX_SIDE_LENGTH: usize = 300;

/// What one side has said about itself, and requested.
#[derive(Debug, Default, Clone)]
pub struct SideRecord {
    pub handshake: Option<Handshake>,
    /// Its first extension handshake.
    pub extension_handshake: Option<ExtensionHandshake>,
    /// `interested` and `not interested`, as they came, up to the last block.
    pub interest: Vec<bool>,
    /// Those since the last block. They count once another block comes: what a side says at the
    /// end depends on which side hangs up first.
    late: Vec<bool>,
    /// The requested blocks, as (piece, begin, length).
    pub blocks: BTreeSet<(u32, u32, u32)>,
    /// The requested parts of the info dictionary.
    pub metadata: BTreeSet<u32>,
    /// The numbers of messages for which the other side may have waited.
    pub counts: Counts,
}

/// The numbers of messages for which the other side may have waited.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub extension_handshakes: usize,
    pub interested: usize,
    pub not_interested: usize,
}

/// The request in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requested {
    Block(Request),
    Metadata(u32),
}

impl SideRecord {
    /// Records a message, and returns its request. `their_metadata` is the id of the other side for
    /// requests for the info dictionary.
    pub fn record(&mut self, message: &Message, their_metadata: Option<u8>) -> Option<Requested> {
        match message {
            Message::Interested => {
                self.counts.interested += 1;
                self.late.push(true);
            }
            Message::NotInterested => {
                self.counts.not_interested += 1;
                self.late.push(false);
            }
            Message::Request(request) => {
                self.blocks.insert((request.index, request.begin, request.length));
                return Some(Requested::Block(*request));
            }
            Message::Unknown { id: EXTENDED, payload: [0, payload @ ..] } => {
                self.counts.extension_handshakes += 1;
                if let (None, Ok(extension_handshake)) =
                    (&self.extension_handshake, ExtensionHandshake::decode(payload))
                {
                    self.extension_handshake = Some(extension_handshake);
                }
            }
            Message::Unknown { id: EXTENDED, payload: [id, payload @ ..] }
                if Some(*id) == their_metadata =>
            {
                if let Ok(MetadataMessage::Request { piece }) = MetadataMessage::decode(payload) {
                    self.metadata.insert(piece.0);
                    return Some(Requested::Metadata(piece.0));
                }
            }
            _ => {}
        }
        None
    }

    /// Records a block that it received.
    pub fn got_block(&mut self) {
        self.interest.append(&mut self.late);
    }
}

/// Returns the differences between `then` and `now`, a sentence each.
pub fn differences(then: &SideRecord, now: &SideRecord) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, then: String, now: String| {
        if then != now {
            let (then, now) = (clipped(&then, MAX_SIDE_LENGTH), clipped(&now, MAX_SIDE_LENGTH));
            found.push(format!("{what}: {then} in the capture, {now} now"));
        }
    };
    let reserved = |side: &SideRecord| {
        side.handshake.map_or("nothing".to_owned(), |handshake| hex::encode(handshake.reserved))
    };
    differ("the reserved bytes of our handshake", reserved(then), reserved(now));
    differ("our extension handshake", extension_handshake(then), extension_handshake(now));
    differ("our messages about interest", interest(then), interest(now));
    let lost = then
        .blocks
        .difference(&now.blocks)
        .map(|block| format!("{} was asked for in the capture, and not now", shown(block)));
    let new = now
        .blocks
        .difference(&then.blocks)
        .map(|block| format!("{} is asked for now, and was not in the capture", shown(block)));
    let part = |part: &u32| format!("part {part} of the info dictionary");
    let lost_parts = then
        .metadata
        .difference(&now.metadata)
        .map(|it| format!("{} was asked for in the capture, and not now", part(it)));
    let new_parts = now
        .metadata
        .difference(&then.metadata)
        .map(|it| format!("{} is asked for now, and was not in the capture", part(it)));
    found.extend(lost.chain(new).chain(lost_parts).chain(new_parts).take(10 * MAX_DIFFERENCES));
    found
}

fn shown((index, begin, length): &(u32, u32, u32)) -> String {
    format!("the block of piece {index}, begin {begin}, {length} bytes")
}

/// Returns the part of an extension handshake that can be the same twice.
fn extension_handshake(side: &SideRecord) -> String {
    let Some(handshake) = &side.extension_handshake else { return "none".to_owned() };
    let names: Vec<String> = handshake.m.iter().map(|(name, id)| format!("{name} {id}")).collect();
    let size =
        handshake.metadata_size.map(|size| format!(", metadata_size {size}")).unwrap_or_default();
    let reqq = handshake.reqq.map(|reqq| format!(", reqq {reqq}")).unwrap_or_default();
    let names = if names.is_empty() { "no extension".to_owned() } else { names.join(", ") };
    format!("{names}{reqq}{size}")
}

fn interest(side: &SideRecord) -> String {
    let words: Vec<&str> = side
        .interest
        .iter()
        .map(|yes| if *yes { "interested" } else { "not interested" })
        .collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// Returns the id that a side has assigned to `ut_metadata`.
pub fn metadata_id(side: &SideRecord) -> Option<u8> {
    side.extension_handshake.as_ref()?.m.get(NAME).copied().filter(|id| *id != 0)
}
