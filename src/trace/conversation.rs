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

use std::collections::{BTreeMap, BTreeSet};

use super::stream::{Next, Way};
use super::{Context, Object, counted, s05, s07};
use crate::s02_metainfo::{InfoHash, MAX_PIECES};
use crate::s04_handshake::{HANDSHAKE_LENGTH, Handshake, PROTOCOL};
use crate::s05_messages::kinds::longest;
use crate::s05_messages::{FAST_BIT, Message, Request};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, ExtensionHandshake, dont_have};

/// The offset of a block's data in its message.
const BLOCK_AT: usize = 13;
/// The id of the message that brings a block.
const PIECE: u8 = 7;
/// The most requests that are counted. No peer has to queue more.
const MAX_REQUESTS: usize = 4096;
/// While the number of pieces is unknown, no `have` above this is counted.
const MAX_KNOWN_PIECES: u32 = 1 << 20;
/// The most extensions named in one line.
const MAX_NAMES: usize = 8;
/// The note on the object that ends its direction.
const LOST: &str = "what follows in this direction makes no sense, and is not shown";

/// An object that has passed.
pub struct Heard {
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
enum Want {
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
    fn wants(&self, pieces: Option<u32>) -> Want {
        let (there, id) = (self.kept.len(), self.kept.get(4).copied());
        if self.next == Next::Handshake {
            return match self.kept.first() {
                Some(first) if Some(first) != PROTOCOL.first() => Want::Broken,
                _ if there < HANDSHAKE_LENGTH => Want::Bytes(HANDSHAKE_LENGTH),
                _ => Want::Whole,
            };
        }
        let Some(length) = s05::length(&self.kept) else { return Want::Bytes(4) };
        match id {
            _ if length == 4 => Want::Whole,
            _ if length - 4 > longest(id, pieces.unwrap_or(MAX_PIECES as u32)) => Want::Broken,
            None => Want::Bytes(5),
            Some(PIECE) if length >= BLOCK_AT && there < BLOCK_AT => Want::Bytes(BLOCK_AT),
            Some(PIECE) if length >= BLOCK_AT => Want::Block(length - BLOCK_AT),
            Some(_) if there < length => Want::Bytes(length),
            Some(_) => Want::Whole,
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
    pub fn next(&mut self, way: Way, bytes: &mut &[u8]) -> Option<Heard> {
        loop {
            let pieces = self.pieces;
            let side = self.side_mut(way);
            if side.lost {
                side.take(bytes, usize::MAX);
                return None;
            }
            match side.wants(pieces) {
                Want::Bytes(_) | Want::Block(1..) if bytes.is_empty() => return None,
                Want::Bytes(count) => {
                    let more = side.take(bytes, count - side.kept.len());
                    side.kept.extend_from_slice(more);
                }
                Want::Block(length) => {
                    side.passed += side.take(bytes, length - side.passed).len();
                    if side.passed == length {
                        side.passed = 0;
                        let head = std::mem::take(&mut side.kept);
                        let changes = self.block(way, &head, length);
                        return Some(Heard {
                            object: s05::piece_head(&head),
                            bytes: head,
                            changes,
                        });
                    }
                }
                Want::Whole => {
                    let whole = std::mem::take(&mut side.kept);
                    return Some(self.whole(way, whole));
                }
                Want::Broken => {
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
    fn whole(&mut self, way: Way, bytes: Vec<u8>) -> Heard {
        let object = self.describe(way, &bytes);
        let changes = if self.is_lost(way) { None } else { self.changes(way, &bytes) };
        self.side_mut(way).lost = changes.is_none();
        Heard { object, bytes, changes: changes.unwrap_or_else(|| vec![LOST.to_owned()]) }
    }

    /// Applies an object, and returns its changes. `None` if its length does not fit its kind.
    fn changes(&mut self, way: Way, bytes: &[u8]) -> Option<Vec<String>> {
        if self.side(way).next == Next::Message {
            let message = Message::decode(bytes.get(4..)?).ok()?;
            return Some(self.message(way, &message));
        }
        let handshake = Handshake::read_from(&mut &*bytes).ok()?;
        let side = self.side_mut(way);
        (side.next, side.handshake) = (Next::Message, Some(handshake));
        Some(self.agreed())
    }

    /// Returns what both handshakes agree on.
    fn agreed(&self) -> Vec<String> {
        let (Some(ours), Some(theirs)) = (&self.ours.handshake, &self.theirs.handshake) else {
            return Vec::new();
        };
        if ours.info_hash != theirs.info_hash {
            return vec![format!(
                "another torrent: we said {}, they say {}",
                ours.info_hash, theirs.info_hash
            )];
        }
        let bits = [
            (EXTENSION_BIT, "the extension protocol (BEP 10)"),
            (FAST_BIT, "the fast extension (BEP 6)"),
        ];
        let both: Vec<&str> = bits
            .iter()
            .filter(|(bit, _)| ours.has_bit(*bit) && theirs.has_bit(*bit))
            .map(|(_, name)| *name)
            .collect();
        let both =
            if both.is_empty() { "nothing beyond BEP 3".to_owned() } else { both.join(", ") };
        vec![format!("both sides speak: {both}")]
    }

    fn is_fast(&self) -> bool {
        let fast =
            |side: &Side| side.handshake.is_some_and(|handshake| handshake.has_bit(FAST_BIT));
        fast(&self.ours) && fast(&self.theirs)
    }

    /// Applies a message, and returns its changes.
    fn message(&mut self, way: Way, message: &Message) -> Vec<String> {
        let fast = self.is_fast();
        let (chokes, interested) = match way {
            Way::In => ("am choked", "peer interested"),
            Way::Out => ("peer choked", "am interested"),
        };
        let change = match *message {
            Message::Choke | Message::Unchoke => {
                let now = *message == Message::Unchoke;
                let before = std::mem::replace(&mut self.side_mut(way).unchokes, now);
                // BEP 3: a choke discards all requests. With BEP 6 each request still gets an answer.
                let void = if now || fast {
                    None
                } else {
                    self.requests(way.back(), |requests| requests.clear())
                };
                return yes_no(chokes, !before, !now).into_iter().chain(void).collect();
            }
            Message::Interested | Message::NotInterested => {
                let now = *message == Message::Interested;
                yes_no(interested, std::mem::replace(&mut self.side_mut(way).interested, now), now)
            }
            Message::Have { index } => self.has(way, |has, pieces| has.set(index, true, pieces)),
            Message::Bitfield { bits } => self.has(way, |has, _| has.replace(bits)),
            Message::HaveAll => self.has(way, |has, _| has.all = true),
            Message::HaveNone => self.has(way, |has, _| has.replace(&[])),
            Message::Request(request) => self.requests(way, |requests| {
                if requests.len() < MAX_REQUESTS {
                    requests.insert(request);
                }
            }),
            Message::Cancel(request) if !fast => {
                self.requests(way, |requests| requests.remove(&request))
            }
            Message::Reject(request) => {
                self.requests(way.back(), |requests| requests.remove(&request))
            }
            Message::Unknown { id: EXTENDED, payload: [0, payload @ ..] } => {
                self.extension_handshake(way, payload)
            }
            Message::Unknown { id: EXTENDED, payload: &[id, a, b, c, d] }
                if self.extension(way, id).is_some_and(|name| name == dont_have::NAME) =>
            {
                self.has(way, |has, pieces| {
                    has.set(u32::from_be_bytes([a, b, c, d]), false, pieces)
                })
            }
            _ => None,
        };
        change.into_iter().collect()
    }

    /// Changes the pieces of a side.
    fn has(&mut self, way: Way, change: impl FnOnce(&mut Pieces, Option<u32>)) -> Option<String> {
        let (pieces, has) = (self.pieces, &mut self.side_mut(way).has);
        let before = has.shown(pieces);
        change(has, pieces);
        let now = has.shown(pieces);
        let who = if way == Way::In { "peer has" } else { "we offer" };
        let of = pieces.map_or(String::new(), |pieces| format!("of {pieces} "));
        (before != now).then(|| format!("{who} {before} -> {now} {of}pieces"))
    }

    /// Applies a block, and returns its changes.
    fn block(&mut self, way: Way, head: &[u8], length: usize) -> Vec<String> {
        let number = |at: usize| {
            head.get(at..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |four| u32::from_be_bytes(*four))
        };
        let request = Request {
            index: number(5),
            begin: number(9),
            length: u32::try_from(length).unwrap_or(u32::MAX),
        };
        let mut known = false;
        let mut changes: Vec<String> = self
            .requests(way.back(), |requests| known = requests.remove(&request))
            .into_iter()
            .collect();
        if !known {
            changes.push("not asked for, or not any more".to_owned());
        }
        changes
    }

    /// Changes the requests of a side.
    fn requests<T>(
        &mut self,
        asks: Way,
        change: impl FnOnce(&mut BTreeSet<Request>) -> T,
    ) -> Option<String> {
        let side = self.side_mut(asks);
        let before = side.requests.len();
        change(&mut side.requests);
        let now = side.requests.len();
        let whose = if asks == Way::Out { "our" } else { "the peer's" };
        (before != now).then(|| format!("{whose} requests in flight: {before} -> {now}"))
    }

    /// Applies an extension handshake, which assigns ids.
    fn extension_handshake(&mut self, way: Way, payload: &[u8]) -> Option<String> {
        let said = ExtensionHandshake::decode(payload).ok()?;
        let side = self.side_mut(way);
        let before = names(&side.extensions);
        s07::learn(&mut side.extensions, said);
        let now = names(&side.extensions);
        let who = if way == Way::In { "peer takes" } else { "we take" };
        (before != now).then(|| format!("{who} extension messages: {before} -> {now}"))
    }
}

fn yes_no(what: &str, before: bool, now: bool) -> Option<String> {
    let word = |yes| if yes { "yes" } else { "no" };
    (before != now).then(|| format!("{what}: {} -> {}", word(before), word(now)))
}

/// Returns `ut_metadata 3, ut_pex 1`, in the order of the ids.
fn names(extensions: &BTreeMap<u8, String>) -> String {
    if extensions.is_empty() {
        return "none".to_owned();
    }
    let mut names: Vec<String> =
        extensions.iter().take(MAX_NAMES).map(|(id, name)| format!("{name} {id}")).collect();
    if extensions.len() > MAX_NAMES {
        names.push(format!("{} more", extensions.len() - MAX_NAMES));
    }
    names.join(", ")
}

/// The pieces that a side says it has.
#[derive(Debug, Default)]
struct Pieces {
    /// A bit for each piece, 64 in a word; empty words are not stored. So a `have` with a high
    /// index takes no more room than another.
    bits: BTreeMap<u32, u64>,
    count: u32,
    /// Whether it said `have all`.
    all: bool,
}

impl Pieces {
    fn set(&mut self, index: u32, has: bool, pieces: Option<u32>) {
        if index >= pieces.unwrap_or(MAX_KNOWN_PIECES) || self.all && has {
            return;
        }
        if self.all {
            // It no longer has all. Without the number of pieces, the rest is unknown.
            let Some(pieces) = pieces else { return };
            self.replace(&vec![0xff; pieces.div_ceil(8) as usize]);
            self.count = pieces;
        }
        let (word, bit) = (self.bits.entry(index / 64).or_default(), 1_u64 << 63 >> (index % 64));
        if (*word & bit != 0) != has {
            *word ^= bit;
            self.count = if has { self.count + 1 } else { self.count.saturating_sub(1) };
        }
    }

    fn replace(&mut self, bits: &[u8]) {
        let word = |eight: &[u8]| {
            (0..8)
                .fold(0_u64, |word, at| word << 8 | u64::from(eight.get(at).copied().unwrap_or(0)))
        };
        let bits: BTreeMap<u32, u64> =
            (0..).zip(bits.chunks(8).map(word)).filter(|(_, word)| *word != 0).collect();
        *self =
            Pieces { count: bits.values().map(|word| word.count_ones()).sum(), bits, all: false };
    }

    fn shown(&self, pieces: Option<u32>) -> String {
        match pieces {
            _ if !self.all => self.count.to_string(),
            Some(pieces) => pieces.to_string(),
            None => "all".to_owned(),
        }
    }
}
