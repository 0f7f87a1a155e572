//! What a wiretap makes of the bytes of one connection: objects, and what they change.

use std::collections::{BTreeMap, BTreeSet};

use super::super::stream::{Next, Way};
use super::super::{Context, Object, counted, s05, s07};
use crate::s02_metainfo::InfoHash;
use crate::s04_handshake::{HANDSHAKE_LENGTH, Handshake, PROTOCOL};
use crate::s05_messages::{BLOCK_LENGTH, FAST_BIT, LONGEST_MESSAGE, Message, Request};
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

/// An object that has passed.
pub(super) struct Heard {
    pub object: Object,
    /// Its bytes. Of a block only those before the data.
    pub bytes: Vec<u8>,
    /// What is different now, a line each.
    pub changes: Vec<String>,
}

/// All that is known of a connection.
pub(super) struct Overheard {
    ours: Side,
    theirs: Side,
    /// How many pieces the torrent has, if that is known.
    pub pieces: Option<u32>,
}

/// One of the two that talk: what is on its way from there, and what it has said.
struct Side {
    next: Next,
    /// The start of what is not whole yet.
    kept: Vec<u8>,
    /// How much of a block's data has passed.
    passed: usize,
    /// Nothing makes sense any more, and is not looked at.
    lost: bool,
    total: u64,
    handshake: Option<Handshake>,
    /// The ids by which it wants to be sent extension messages.
    extensions: BTreeMap<u8, String>,
    chokes: bool,
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

impl Default for Side {
    fn default() -> Side {
        Side {
            next: Next::Handshake,
            kept: Vec::new(),
            passed: 0,
            lost: false,
            total: 0,
            handshake: None,
            extensions: BTreeMap::new(),
            chokes: true,
            interested: false,
            has: Pieces::default(),
            requests: BTreeSet::new(),
        }
    }
}

impl Side {
    /// The same limits as stage 5 has.
    fn wants(&self, pieces: Option<u32>) -> Want {
        let there = self.kept.len();
        if self.next == Next::Handshake {
            return match self.kept.first() {
                Some(first) if Some(first) != PROTOCOL.first() => Want::Broken,
                _ if there < HANDSHAKE_LENGTH => Want::Bytes(HANDSHAKE_LENGTH),
                _ => Want::Whole,
            };
        }
        let Some(length) = s05::length(&self.kept) else { return Want::Bytes(4) };
        let longest = LONGEST_MESSAGE.max(pieces.map_or(0, |pieces| pieces.div_ceil(8) as usize + 1));
        match self.kept.get(4) {
            _ if length == 4 => Want::Whole,
            _ if length > longest + 4 => Want::Broken,
            None => Want::Bytes(5),
            Some(&PIECE) if length > BLOCK_AT + BLOCK_LENGTH as usize => Want::Broken,
            Some(&PIECE) if length >= BLOCK_AT && there < BLOCK_AT => Want::Bytes(BLOCK_AT),
            Some(&PIECE) if length >= BLOCK_AT => Want::Block(length - BLOCK_AT),
            Some(_) if there < length => Want::Bytes(length),
            Some(_) => Want::Whole,
        }
    }
}

impl Overheard {
    pub fn new() -> Overheard {
        Overheard { ours: Side::default(), theirs: Side::default(), pieces: None }
    }

    fn side(&mut self, way: Way) -> &mut Side {
        match way {
            Way::In => &mut self.theirs,
            Way::Out => &mut self.ours,
        }
    }

    /// The torrent that this is about, once either side has named it.
    pub fn info_hash(&self) -> Option<InfoHash> {
        self.ours.handshake.or(self.theirs.handshake).map(|handshake| handshake.info_hash)
    }

    /// `68 bytes out, 73 bytes in`, and what has been left unfinished.
    pub fn summary(&self) -> String {
        let end = |side: &Side, way: Way| {
            let begun = side.kept.len() + side.passed;
            let rest = if begun == 0 { String::new() } else { format!(", the last {begun} of an unfinished object") };
            format!("{} {}{rest}", counted(usize::try_from(side.total).unwrap_or(usize::MAX), "byte"), way.word())
        };
        format!("{}; {}", end(&self.ours, Way::Out), end(&self.theirs, Way::In))
    }

    /// Takes what passes. Each object that is whole now is told.
    pub fn feed(&mut self, way: Way, mut bytes: &[u8], told: &mut dyn FnMut(&mut Overheard, Heard)) {
        self.side(way).total += bytes.len() as u64;
        loop {
            let pieces = self.pieces;
            let side = self.side(way);
            if side.lost {
                return;
            }
            match side.wants(pieces) {
                Want::Bytes(_) if bytes.is_empty() => return,
                Want::Bytes(count) => {
                    let (now, rest) = bytes.split_at(bytes.len().min(count.saturating_sub(side.kept.len())));
                    side.kept.extend_from_slice(now);
                    bytes = rest;
                }
                Want::Block(length) => {
                    let now = bytes.len().min(length.saturating_sub(side.passed));
                    side.passed += now;
                    bytes = bytes.get(now..).unwrap_or_default();
                    if side.passed < length {
                        return;
                    }
                    let head = std::mem::take(&mut side.kept);
                    side.passed = 0;
                    let changes = self.block(way, &head, length);
                    told(self, Heard { object: s05::piece_head(&head), bytes: head, changes });
                }
                Want::Whole => {
                    let whole = std::mem::take(&mut side.kept);
                    let heard = self.whole(way, whole);
                    told(self, heard);
                }
                Want::Broken => {
                    // Some more of it, so that one sees what it is instead.
                    let more = HANDSHAKE_LENGTH.saturating_sub(side.kept.len());
                    if side.next == Next::Handshake {
                        side.kept.extend_from_slice(bytes.get(..more).unwrap_or(bytes));
                    }
                    side.lost = true;
                    let bytes = std::mem::take(&mut side.kept);
                    let object = side.next.describe(&bytes, &Context { pieces, ..Context::default() });
                    let changes = vec!["what follows in this direction makes no sense, and is not shown".to_owned()];
                    told(self, Heard { object, bytes, changes });
                }
            }
        }
    }

    /// An object of which all bytes are there.
    fn whole(&mut self, way: Way, bytes: Vec<u8>) -> Heard {
        // The receiver gives the ids. Only messages of extensions need them, and only one.
        let extensions = match bytes.get(4..6) {
            Some(&[EXTENDED, id]) => self.side(way.back()).extensions.get(&id).map(|name| (id, name.clone())),
            _ => None,
        };
        let extensions = extensions.into_iter().collect();
        let context = Context { pieces: self.pieces, extensions };
        let side = self.side(way);
        let object = side.next.describe(&bytes, &context);
        let changes = if side.next == Next::Handshake {
            side.next = Next::Message;
            side.lost = object.broken.is_some();
            side.handshake = <[u8; HANDSHAKE_LENGTH]>::try_from(bytes.as_slice()).ok().and_then(|all| parsed(&all));
            self.agreed()
        } else {
            match Message::decode(bytes.get(4..).unwrap_or_default()) {
                Ok(message) => self.message(way, &message, &context.extensions),
                Err(_) => Vec::new(),
            }
        };
        Heard { object, bytes, changes }
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
    fn message(&mut self, way: Way, message: &Message, extensions: &BTreeMap<u8, String>) -> Vec<String> {
        let (fast, pieces) = (self.is_fast(), self.pieces);
        let (chokes, interested, has) = match way {
            Way::In => ("am choked", "peer interested", "peer has"),
            Way::Out => ("peer choked", "am interested", "we offer"),
        };
        let mut changes = Vec::new();
        match *message {
            Message::Choke | Message::Unchoke => {
                let now = *message == Message::Choke;
                let before = std::mem::replace(&mut self.side(way).chokes, now);
                changes.extend(yes_no(chokes, before, now));
                if now && !fast {
                    // BEP 3: nobody will answer them. With BEP 6 each gets its answer.
                    changes.extend(self.requests(way.back(), |requests| requests.clear()));
                }
            }
            Message::Interested | Message::NotInterested => {
                let now = *message == Message::Interested;
                let before = std::mem::replace(&mut self.side(way).interested, now);
                changes.extend(yes_no(interested, before, now));
            }
            Message::Have { index } => changes.extend(self.side(way).has.change(has, pieces, |has| has.set(index, true, pieces))),
            Message::Bitfield { bits } => changes.extend(self.side(way).has.change(has, pieces, |has| has.replace(bits))),
            Message::HaveAll => changes.extend(self.side(way).has.change(has, pieces, |has| has.all = true)),
            Message::HaveNone => changes.extend(self.side(way).has.change(has, pieces, |has| has.replace(&[]))),
            Message::Request(request) => changes.extend(self.requests(way, |requests| {
                if requests.len() < MOST_REQUESTS {
                    requests.insert(request);
                }
            })),
            Message::Cancel(request) if !fast => changes.extend(self.requests(way, |requests| requests.remove(&request))),
            Message::Reject(request) => {
                changes.extend(self.requests(way.back(), |requests| requests.remove(&request)));
            }
            Message::Unknown { id: EXTENDED, payload: [0, payload @ ..] } => {
                changes.extend(self.extension_handshake(way, payload))
            }
            Message::Unknown { id: EXTENDED, payload: &[id, a, b, c, d] }
                if extensions.get(&id).is_some_and(|name| name == dont_have::NAME) =>
            {
                let index = u32::from_be_bytes([a, b, c, d]);
                changes.extend(self.side(way).has.change(has, pieces, |has| has.set(index, false, pieces)));
            }
            _ => {}
        }
        changes
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
        let side = self.side(asks);
        let before = side.requests.len();
        change(&mut side.requests);
        let now = side.requests.len();
        let whose = if asks == Way::Out { "our" } else { "the peer's" };
        (before != now).then(|| format!("{whose} requests in flight: {before} -> {now}"))
    }

    /// The ids that a side gives out.
    fn extension_handshake(&mut self, way: Way, payload: &[u8]) -> Option<String> {
        let said = ExtensionHandshake::decode(payload).ok()?;
        let side = self.side(way);
        let before = names(&side.extensions);
        s07::learn(&mut side.extensions, said);
        let now = names(&side.extensions);
        let who = if way == Way::In { "peer takes" } else { "we take" };
        (before != now).then(|| format!("{who} extension messages: {before} -> {now}"))
    }
}

/// A handshake that is one: stage 4 reads it.
fn parsed(bytes: &[u8; HANDSHAKE_LENGTH]) -> Option<Handshake> {
    let mut stream = bytes.as_slice();
    let (reserved, info_hash) = Handshake::read_opening(&mut stream).ok()?;
    let peer_id = Handshake::read_peer_id(&mut stream).ok()?;
    Some(Handshake { reserved, info_hash, peer_id })
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
#[derive(Default)]
struct Pieces {
    bits: Vec<u8>,
    count: u32,
    /// Said in one word.
    all: bool,
}

impl Pieces {
    fn set(&mut self, index: u32, has: bool, pieces: Option<u32>) {
        let (byte, bit) = ((index / 8) as usize, 0x80 >> (index % 8));
        if index >= pieces.unwrap_or(MOST_PIECES) || self.all && has {
            return;
        }
        if self.all {
            // Not all any more. How many that were has to be known.
            let Some(pieces) = pieces else { return };
            *self = Pieces { bits: vec![0xff; pieces.div_ceil(8) as usize], count: pieces, all: false };
        }
        if self.bits.len() <= byte {
            self.bits.resize(byte + 1, 0);
        }
        if let Some(byte) = self.bits.get_mut(byte)
            && (*byte & bit != 0) != has
        {
            *byte ^= bit;
            self.count = if has { self.count + 1 } else { self.count.saturating_sub(1) };
        }
    }

    fn replace(&mut self, bits: &[u8]) {
        *self = Pieces { bits: bits.to_vec(), count: bits.iter().map(|byte| byte.count_ones()).sum(), all: false };
    }

    fn shown(&self, pieces: Option<u32>) -> String {
        match pieces {
            _ if !self.all => self.count.to_string(),
            Some(pieces) => pieces.to_string(),
            None => "all".to_owned(),
        }
    }

    fn change(&mut self, what: &str, pieces: Option<u32>, change: impl FnOnce(&mut Pieces)) -> Option<String> {
        let before = self.shown(pieces);
        change(self);
        let now = self.shown(pieces);
        let of = pieces.map_or(String::new(), |pieces| format!("of {pieces} "));
        (before != now).then(|| format!("{what} {before} -> {now} {of}pieces"))
    }
}
