//! What two peers say to each other: the bytes of one connection, cut into objects, and what each
//! object changes.
//!
//! A wiretap feeds it what passes, and whoever reads a capture what has passed: the bytes in the
//! order in which they went, cut wherever the network likes. What comes out is the same.
//!
//! # Decisions
//! * **Little is kept:** of each direction the object that is not whole yet, and of a block only its
//!   first 13 bytes.
//! * **What breaks the frame ends its direction:** a length over the limits, or one that is not that
//!   of such a message. Nobody knows where the next object begins. What a frame of the right length
//!   holds may be what it likes.

use std::collections::{BTreeMap, BTreeSet};

use super::stream::{Next, Way};
use super::{Context, Object, counted, s05, s07};
use crate::s02_metainfo::{InfoHash, MAX_PIECES};
use crate::s04_handshake::{HANDSHAKE_LENGTH, Handshake, PROTOCOL};
use crate::s05_messages::kinds::longest;
use crate::s05_messages::{FAST_BIT, Message, Request};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, ExtensionHandshake, dont_have};

/// Where the data of a block begins in its message.
const BLOCK_AT: usize = 13;
/// The id of the message that brings a block.
const PIECE: u8 = 7;
/// How many requests are counted. Nobody has to allow for more.
const MOST_REQUESTS: usize = 4096;
/// Where the number of pieces is not known, no `have` above this is counted.
const MOST_PIECES: u32 = 1 << 20;
/// How many extensions are named in one line.
const MOST_NAMES: usize = 8;
/// Said of the object that ends its direction.
const LOST: &str = "what follows in this direction makes no sense, and is not shown";

/// An object that has passed.
pub struct Heard {
    pub object: Object,
    /// Its bytes. Of a block only those before the data.
    pub bytes: Vec<u8>,
    /// What is different now, a line each.
    pub changes: Vec<String>,
}

/// All that is known of a connection.
#[derive(Debug, Default)]
pub struct Conversation {
    ours: Side,
    theirs: Side,
    /// How many pieces the torrent has, if that is known.
    pub pieces: Option<u32>,
}

/// One of the two that talk: what is on its way from there, and what it has said.
#[derive(Debug, Default)]
struct Side {
    next: Next,
    /// The start of what is not whole yet.
    kept: Vec<u8>,
    /// How much of a block's data has passed.
    passed: usize,
    /// Nothing makes sense any more, and is not looked at.
    lost: bool,
    total: usize,
    handshake: Option<Handshake>,
    /// The ids by which it wants to be sent extension messages.
    extensions: BTreeMap<u8, String>,
    unchokes: bool,
    interested: bool,
    has: Pieces,
    /// What it has asked for and neither got nor given up.
    requests: BTreeSet<Request>,
}

/// What comes next on a side.
enum Want {
    /// So many bytes are needed to go on.
    Bytes(usize),
    /// The head of a block is there. So much data follows.
    Block(usize),
    /// All of an object is there.
    Whole,
    /// It is none, or too long.
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

    /// The next of these bytes, so many at most.
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

    /// The torrent that this is about, once either side has named it.
    pub fn info_hash(&self) -> Option<InfoHash> {
        self.ours.handshake.or(self.theirs.handshake).map(|handshake| handshake.info_hash)
    }

    /// Whether nothing makes sense any more in this direction.
    pub fn is_lost(&self, way: Way) -> bool {
        self.side(way).lost
    }

    /// `68 bytes out, 73 bytes in`, and what has been left unfinished.
    pub fn summary(&self) -> String {
        let end = |side: &Side, way: Way| {
            let begun = side.kept.len() + side.passed;
            let rest = if begun == 0 { String::new() } else { format!(", the last {begun} of an unfinished object") };
            format!("{} {}{rest}", counted(side.total, "byte"), way.word())
        };
        format!("{}; {}", end(&self.ours, Way::Out), end(&self.theirs, Way::In))
    }

    /// Takes from these bytes what is wanted next. If an object is whole with it, here it is;
    /// otherwise all of them have been taken.
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
                        return Some(Heard { object: s05::piece_head(&head), bytes: head, changes });
                    }
                }
                Want::Whole => {
                    let whole = std::mem::take(&mut side.kept);
                    return Some(self.whole(way, whole));
                }
                Want::Broken => {
                    if side.next == Next::Handshake {
                        // Some more of it, so that one sees what it is instead.
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

    /// Describes what comes next, or as much of it as there is.
    pub fn describe(&self, way: Way, bytes: &[u8]) -> Object {
        // Only messages of extensions need to know a name, and only one.
        let name = match bytes.get(4..6) {
            Some(&[EXTENDED, id]) => self.extension(way, id).map(|name| (id, name.clone())),
            _ => None,
        };
        self.side(way).next.describe(bytes, &Context { pieces: self.pieces, extensions: name.into_iter().collect() })
    }

    /// What an id means in this direction. The receiver has given it.
    fn extension(&self, way: Way, id: u8) -> Option<&String> {
        self.side(way.back()).extensions.get(&id)
    }

    /// An object that has come, or as much of it as shows that it is none.
    fn whole(&mut self, way: Way, bytes: Vec<u8>) -> Heard {
        let object = self.describe(way, &bytes);
        let changes = if self.is_lost(way) { None } else { self.changes(way, &bytes) };
        self.side_mut(way).lost = changes.is_none();
        Heard { object, bytes, changes: changes.unwrap_or_else(|| vec![LOST.to_owned()]) }
    }

    /// What an object changes. `None` if its length is not that of such an object.
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

    /// What both handshakes together say.
    fn agreed(&self) -> Vec<String> {
        let (Some(ours), Some(theirs)) = (&self.ours.handshake, &self.theirs.handshake) else { return Vec::new() };
        if ours.info_hash != theirs.info_hash {
            return vec![format!("another torrent: we said {}, they say {}", ours.info_hash, theirs.info_hash)];
        }
        let bits = [(EXTENSION_BIT, "the extension protocol (BEP 10)"), (FAST_BIT, "the fast extension (BEP 6)")];
        let both: Vec<&str> =
            bits.iter().filter(|(bit, _)| ours.has_bit(*bit) && theirs.has_bit(*bit)).map(|(_, name)| *name).collect();
        let both = if both.is_empty() { "nothing beyond BEP 3".to_owned() } else { both.join(", ") };
        vec![format!("both sides speak: {both}")]
    }

    fn is_fast(&self) -> bool {
        let fast = |side: &Side| side.handshake.is_some_and(|handshake| handshake.has_bit(FAST_BIT));
        fast(&self.ours) && fast(&self.theirs)
    }

    /// What a message changes.
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
                // BEP 3: nobody will answer what was asked for. With BEP 6 each request gets its answer.
                let void = if now || fast { None } else { self.requests(way.back(), |requests| requests.clear()) };
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
                if requests.len() < MOST_REQUESTS {
                    requests.insert(request);
                }
            }),
            Message::Cancel(request) if !fast => self.requests(way, |requests| requests.remove(&request)),
            Message::Reject(request) => self.requests(way.back(), |requests| requests.remove(&request)),
            Message::Unknown { id: EXTENDED, payload: [0, payload @ ..] } => self.extension_handshake(way, payload),
            Message::Unknown { id: EXTENDED, payload: &[id, a, b, c, d] }
                if self.extension(way, id).is_some_and(|name| name == dont_have::NAME) =>
            {
                self.has(way, |has, pieces| has.set(u32::from_be_bytes([a, b, c, d]), false, pieces))
            }
            _ => None,
        };
        change.into_iter().collect()
    }

    /// Changes what a side has.
    fn has(&mut self, way: Way, change: impl FnOnce(&mut Pieces, Option<u32>)) -> Option<String> {
        let (pieces, has) = (self.pieces, &mut self.side_mut(way).has);
        let before = has.shown(pieces);
        change(has, pieces);
        let now = has.shown(pieces);
        let who = if way == Way::In { "peer has" } else { "we offer" };
        let of = pieces.map_or(String::new(), |pieces| format!("of {pieces} "));
        (before != now).then(|| format!("{who} {before} -> {now} {of}pieces"))
    }

    /// What a block changes.
    fn block(&mut self, way: Way, head: &[u8], length: usize) -> Vec<String> {
        let number = |at: usize| head.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_be_bytes(*four));
        let request = Request { index: number(5), begin: number(9), length: u32::try_from(length).unwrap_or(u32::MAX) };
        let mut known = false;
        let mut changes: Vec<String> =
            self.requests(way.back(), |requests| known = requests.remove(&request)).into_iter().collect();
        if !known {
            changes.push("not asked for, or not any more".to_owned());
        }
        changes
    }

    /// Changes what a side has asked for.
    fn requests<T>(&mut self, asks: Way, change: impl FnOnce(&mut BTreeSet<Request>) -> T) -> Option<String> {
        let side = self.side_mut(asks);
        let before = side.requests.len();
        change(&mut side.requests);
        let now = side.requests.len();
        let whose = if asks == Way::Out { "our" } else { "the peer's" };
        (before != now).then(|| format!("{whose} requests in flight: {before} -> {now}"))
    }

    /// The ids that a side gives out.
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

/// `ut_metadata 3, ut_pex 1`, in the order of the ids.
fn names(extensions: &BTreeMap<u8, String>) -> String {
    if extensions.is_empty() {
        return "none".to_owned();
    }
    let mut names: Vec<String> = extensions.iter().take(MOST_NAMES).map(|(id, name)| format!("{name} {id}")).collect();
    if extensions.len() > MOST_NAMES {
        names.push(format!("{} more", extensions.len() - MOST_NAMES));
    }
    names.join(", ")
}

/// The pieces that a side says it has.
#[derive(Debug, Default)]
struct Pieces {
    /// A bit for each, 64 in a word; words without any are not there. So a `have` of a high number
    /// takes no more room than another.
    bits: BTreeMap<u32, u64>,
    count: u32,
    /// Said in one word.
    all: bool,
}

impl Pieces {
    fn set(&mut self, index: u32, has: bool, pieces: Option<u32>) {
        if index >= pieces.unwrap_or(MOST_PIECES) || self.all && has {
            return;
        }
        if self.all {
            // Not all any more. How many that were has to be known.
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
        let word = |eight: &[u8]| (0..8).fold(0_u64, |word, at| word << 8 | u64::from(eight.get(at).copied().unwrap_or(0)));
        let bits: BTreeMap<u32, u64> = (0..).zip(bits.chunks(8).map(word)).filter(|(_, word)| *word != 0).collect();
        *self = Pieces { count: bits.values().map(|word| word.count_ones()).sum(), bits, all: false };
    }

    fn shown(&self, pieces: Option<u32>) -> String {
        match pieces {
            _ if !self.all => self.count.to_string(),
            Some(pieces) => pieces.to_string(),
            None => "all".to_owned(),
        }
    }
}
