//! The conversation of two peers: the bytes of one connection cut into objects, with what each
//! object changes.
//!
//! A wiretap feeds it the bytes as they pass, and the reader of a capture feeds it the recorded
//! ones: in the order in which they went, cut anywhere. The result is the same.
//!
//! # Decisions
//! * **Little is kept:** in each direction the unfinished object, and of a block only its first 13
//!   bytes.
//! * **A broken frame ends its direction:** a length over the limits, or the wrong one for its
//!   message. The start of the next object is then unknown. A frame of the right length may hold
//!   anything.

mod changes;
mod pieces;

use std::collections::{BTreeMap, BTreeSet};

use self::pieces::Pieces;
use super::stream::{Next, Way};
use super::{Context, Object, counted, s05};
use crate::s02_metainfo::{InfoHash, MAX_PIECES};
use crate::s04_handshake::{HANDSHAKE_LENGTH, Handshake, PROTOCOL};
use crate::s05_messages::Request;
use crate::s05_messages::kinds::longest;
use crate::s07_extension::EXTENDED;

/// The offset of a block's data in its message.
const BLOCK_AT: usize = 13;
/// The id of the message that brings a block.
const PIECE: u8 = 7;
/// The note on the object that ends its direction.
const LOST: &str = "what follows in this direction makes no sense, and is not shown";

/// An object that has passed.
pub struct PassedObject {
    pub object: Object,
    /// The bytes; of a block, only those before the data.
    pub bytes: Vec<u8>,
    /// The changes that it makes, a line each.
    pub changes: Vec<String>,
}

/// The state of a connection.
#[derive(Debug, Default)]
pub struct Conversation {
    ours: Side,
    theirs: Side,
    /// The number of pieces in the torrent, if it is known.
    pub pieces: Option<u32>,
}

/// One of the two sides: its bytes in transit, and what it has said.
#[derive(Debug, Default)]
struct Side {
    next: Next,
    /// The start of an unfinished object.
    kept: Vec<u8>,
    /// The bytes of a block's data that have passed.
    passed: usize,
    /// Whether a frame broke; later bytes are ignored.
    lost: bool,
    total: usize,
    handshake: Option<Handshake>,
    /// The ids that it assigned to extensions, for messages to it.
    extensions: BTreeMap<u8, String>,
    unchokes: bool,
    interested: bool,
    has: Pieces,
    /// The requests that are neither answered nor cancelled.
    requests: BTreeSet<Request>,
}

/// What a side needs next.
enum Need {
    /// This many more bytes.
    Bytes(usize),
    /// This much data of a block whose head is complete.
    Block(usize),
    /// Nothing: the object is whole.
    Whole,
    /// Nothing: this is not an object, or it is too long.
    Broken,
}

impl Side {
    fn needs(&self, pieces: Option<u32>) -> Need {
        let (there, id) = (self.kept.len(), self.kept.get(4).copied());
        if self.next == Next::Handshake {
            return match self.kept.first() {
                Some(first) if Some(first) != PROTOCOL.first() => Need::Broken,
                _ if there < HANDSHAKE_LENGTH => Need::Bytes(HANDSHAKE_LENGTH),
                _ => Need::Whole,
            };
        }
        let Some(length) = s05::length(&self.kept) else { return Need::Bytes(4) };
        match id {
            _ if length == 4 => Need::Whole,
            _ if length - 4 > longest(id, pieces.unwrap_or(MAX_PIECES as u32)) => Need::Broken,
            None => Need::Bytes(5),
            Some(PIECE) if length >= BLOCK_AT && there < BLOCK_AT => Need::Bytes(BLOCK_AT),
            Some(PIECE) if length >= BLOCK_AT => Need::Block(length - BLOCK_AT),
            Some(_) if there < length => Need::Bytes(length),
            Some(_) => Need::Whole,
        }
    }

    /// Takes the next bytes, at most this many.
    fn take<'b>(&mut self, bytes: &mut &'b [u8], most: usize) -> &'b [u8] {
        let (now, rest) = bytes.split_at(bytes.len().min(most));
        self.total = self.total.saturating_add(now.len());
        *bytes = rest;
        now
    }
}

impl Conversation {
    fn side(&self, way: Way) -> &Side {
        if way == Way::In { &self.theirs } else { &self.ours }
    }

    fn side_mut(&mut self, way: Way) -> &mut Side {
        if way == Way::In { &mut self.theirs } else { &mut self.ours }
    }

    /// Returns the info hash, once either side has sent it.
    pub fn info_hash(&self) -> Option<InfoHash> {
        self.ours.handshake.or(self.theirs.handshake).map(|handshake| handshake.info_hash)
    }

    /// Whether this direction has ended at a broken frame.
    pub fn is_lost(&self, way: Way) -> bool {
        self.side(way).lost
    }

    /// Returns `68 bytes out, 73 bytes in`, with any unfinished objects.
    pub fn summary(&self) -> String {
        let end = |side: &Side, way: Way| {
            let begun = side.kept.len() + side.passed;
            let rest = if begun == 0 {
                String::new()
            } else {
                format!(", the last {begun} of an unfinished object")
            };
            format!("{} {}{rest}", counted(side.total, "byte"), way.word())
        };
        format!("{}; {}", end(&self.ours, Way::Out), end(&self.theirs, Way::In))
    }

    /// Takes bytes up to the end of the next object, and returns it. `None` if all bytes are
    /// taken and the object is still unfinished.
    pub fn next(&mut self, way: Way, bytes: &mut &[u8]) -> Option<PassedObject> {
        loop {
            let pieces = self.pieces;
            let side = self.side_mut(way);
            if side.lost {
                side.take(bytes, usize::MAX);
                return None;
            }
            match side.needs(pieces) {
                Need::Bytes(_) | Need::Block(1..) if bytes.is_empty() => return None,
                Need::Bytes(count) => {
                    let more = side.take(bytes, count - side.kept.len());
                    side.kept.extend_from_slice(more);
                }
                Need::Block(length) => {
                    side.passed += side.take(bytes, length - side.passed).len();
                    if side.passed == length {
                        side.passed = 0;
                        let head = std::mem::take(&mut side.kept);
                        let changes = self.block(way, &head, length);
                        return Some(PassedObject {
                            object: s05::piece_head(&head),
                            bytes: head,
                            changes,
                        });
                    }
                }
                Need::Whole => {
                    let whole = std::mem::take(&mut side.kept);
                    return Some(self.whole(way, whole));
                }
                Need::Broken => {
                    if side.next == Next::Handshake {
                        // Keep a few more bytes, to show what is there instead.
                        let more = side.take(bytes, HANDSHAKE_LENGTH - side.kept.len());
                        side.kept.extend_from_slice(more);
                    }
                    side.lost = true;
                    let start = std::mem::take(&mut side.kept);
                    return Some(self.whole(way, start));
                }
            }
        }
    }

    /// Describes the next object, or as much of it as there is.
    pub fn describe(&self, way: Way, bytes: &[u8]) -> Object {
        // Only an extension message needs a name, and only one.
        let name = match bytes.get(4..6) {
            Some(&[EXTENDED, id]) => self.extension(way, id).map(|name| (id, name.clone())),
            _ => None,
        };
        self.side(way).next.describe(
            bytes,
            &Context { pieces: self.pieces, extensions: name.into_iter().collect() },
        )
    }

    /// Returns the extension of an id in this direction. The receiver assigned the id.
    fn extension(&self, way: Way, id: u8) -> Option<&String> {
        self.side(way.back()).extensions.get(&id)
    }

    /// Returns a finished object, or as much as shows that it is not one.
    fn whole(&mut self, way: Way, bytes: Vec<u8>) -> PassedObject {
        let object = self.describe(way, &bytes);
        let changes = if self.is_lost(way) { None } else { self.changes(way, &bytes) };
        self.side_mut(way).lost = changes.is_none();
        PassedObject { object, bytes, changes: changes.unwrap_or_else(|| vec![LOST.to_owned()]) }
    }
}
