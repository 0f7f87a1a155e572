//! Says what is wrong with the bytes of a client, and which mistake in it is the likely cause.
//!
//! The stages' errors say which rule was broken, what was expected and what was found. These
//! hints add what they cannot know: the usual mistakes. "A message of 16777216 bytes" does
//! not make anyone think of byte order, and yet everyone gets it wrong once.

use std::fmt;

use sha1::{Digest, Sha1};

use crate::s01_bencode::{Value, decode_prefix, excerpt};
use crate::s02_metainfo::InfoHash;
use crate::s04_handshake::{HANDSHAKE_LENGTH, PROTOCOL};
use crate::s05_messages::bitfield::SPARE_BITS;
use crate::s05_messages::{BLOCK_LENGTH, Message, MessageError, Request};
use crate::s07_extension::{EXTENDED, ExtensionHandshake, PeerExtensions};
use crate::s08_metadata::message::MetadataMessage;
use crate::s08_metadata::{METADATA_PIECE_LENGTH, NAME};

/// The chapters to read.
pub(crate) const BENCODE: &str = "piecemeal chapter 1";
pub(crate) const METAINFO: &str = "piecemeal chapter 2";
pub(crate) const TRACKER: &str = "piecemeal chapter 3";
pub(crate) const HANDSHAKE: &str = "piecemeal chapter 4";
pub(crate) const MESSAGES: &str = "piecemeal chapter 5";
pub(crate) const EXTENSION: &str = "piecemeal chapter 7";
pub(crate) const METADATA: &str = "piecemeal chapter 8";
pub(crate) const PIECES: &str = "piecemeal chapter 9";
pub(crate) const UDP_TRACKER: &str = "piecemeal chapter 18";
pub(crate) const HASHES: &str = "piecemeal chapter 24";

/// Mistakes that are told by more than the bytes of one message.
pub(crate) const HASTY: &str = "it sends a request right after interested; others drop requests that come before their unchoke";
pub(crate) const NO_BIT: &str =
    "message 20 needs bit 20 in both handshakes: 0x10 in byte 5 of the reserved ones; ignored";
/// What may be wrong with a length that makes no sense.
pub(crate) const TEXT: &str = "this is text";
pub(crate) const LENGTH_BEFORE: &str =
    "the message before it was longer or shorter than its length said";

/// Returns the hint for a client that has not said that it is interested.
pub(crate) fn not_interested(has_left: bool) -> String {
    let is = if has_left { "was never" } else { "is not" };
    format!("it {is} interested: to get blocks, send interested and wait for unchoke")
}

/// Returns the hint for a client that makes no request.
pub(crate) fn no_request(has_left: bool) -> String {
    let asks = if has_left { "asked" } else { "asks" };
    format!("it was unchoked, and {asks} for nothing")
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The kind of mistake; each is reported once for each connection.
    pub kind: &'static str,
    pub what: String,
    pub see: &'static str,
}

impl Mistake {
    pub(crate) fn new(kind: &'static str, what: impl Into<String>, see: &'static str) -> Mistake {
        Mistake { kind, what: what.into(), see }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}; see {}", self.what, self.see)
    }
}

/// Beginnings of other protocols, with what to say about them.
const BEGINNINGS: [(&[u8], &str); 8] = [
    (b"GET ", "this is HTTP, for a tracker; here is a peer"),
    (b"POST ", "this is HTTP, for a tracker; here is a peer"),
    (b"\x16\x03", "this is TLS (https), which is not spoken here"),
    (PROTOCOL, "this is a handshake, for a peer; here is a tracker"),
    (b"BitTorrent protocol", "the byte 19 (0x13) before the name is missing"),
    (b"19BitTorrent", "the length of the name is one byte, 0x13, not two digits"),
    (b"\\x13", "this is the text of an escape, not the byte 0x13"),
    (b"\0\0\0", "this is a message; the handshakes come first"),
];

fn beginning(bytes: &[u8]) -> Option<&'static str> {
    BEGINNINGS.iter().find(|(begin, _)| bytes.starts_with(begin)).map(|(_, hint)| *hint)
}

/// Returns the hint for a handshake that failed, from the bytes that were read.
pub(crate) fn handshake(bytes: &[u8]) -> String {
    let whole = format!("1 + 19 + 8 + 20 + 20 = {HANDSHAKE_LENGTH}");
    let (first, name) =
        bytes.split_first().map_or((None, bytes), |(first, name)| (Some(*first), name));
    match bytes.len() {
        0 => "the side that dials speaks first".to_owned(),
        60 if bytes.starts_with(PROTOCOL) => {
            format!("60 bytes came, not {whole}: are the 8 reserved ones missing?")
        }
        67 if bytes.starts_with(PROTOCOL) => {
            format!("67 bytes came, not {whole}: has the peer id only 19?")
        }
        come if come < PROTOCOL.len() || bytes.starts_with(PROTOCOL) => {
            format!("{come} bytes came, not {whole}")
        }
        _ => match (beginning(bytes), first) {
            (Some(hint), _) => hint.to_owned(),
            (None, Some(first)) if PROTOCOL.ends_with(name) => {
                format!("the first byte must be 19 (0x13), but is {first}")
            }
            _ if PROTOCOL.get(1..).is_some_and(|right| right.eq_ignore_ascii_case(name)) => {
                "only the B and the T are capital letters".to_owned()
            }
            _ if bytes.is_ascii() => "it must begin with byte 19 (0x13) and the name".to_owned(),
            _ => "if it is encrypted (MSE), switch that off: it is not spoken here".to_owned(),
        },
    }
}

/// Wrong info hashes, and what each is the hash of.
pub(crate) type WrongHashes = Vec<(InfoHash, &'static str)>;

/// Returns the hashes that a mistake makes of this info dictionary, and of the .torrent file around
/// it, if there is one.
pub(crate) fn wrong_hashes(info: &[u8], torrent: Option<&[u8]>) -> WrongHashes {
    let cut = info.split_last().map_or(info, |(_, cut)| cut);
    let mut hashes = vec![
        (InfoHash::of(cut), "it is that of the info dictionary without its last byte, the e"),
        (
            InfoHash::of(&[info, b"e"].concat()),
            "it is that of the info dictionary with one e too many",
        ),
        (
            InfoHash::of(&[b"4:info", info].concat()),
            "it is that of the key 4:info and its value; hash the value alone",
        ),
        (InfoHash(Sha1::digest(Sha1::digest(info)).into()), "the hash was hashed once more"),
    ];
    if let Some(torrent) = torrent {
        let whole = InfoHash::of(torrent);
        hashes.push((whole, "it is that of the whole .torrent file; hash the value of info alone"));
    }
    hashes
}

/// Returns the hint for an info hash that is not here.
pub(crate) fn other_torrent(found: InfoHash, wrong: &[(InfoHash, &'static str)]) -> &'static str {
    match wrong.iter().find(|(hash, _)| *hash == found) {
        Some((_, hint)) => hint,
        None if found.0.iter().all(u8::is_ascii_hexdigit) => {
            "these are 20 hex digits; send the 20 bytes that 40 digits stand for"
        }
        None => {
            "if it was meant to be here, hash the bytes of info as they are in the file, not encoded again"
        }
    }
}

/// Returns the hint for a message that cannot be read. `keep_alive_before`: a keep-alive
/// came right before it.
pub(crate) fn message(error: &MessageError, keep_alive_before: bool) -> Option<&'static str> {
    let mine = match error {
        MessageError::TooLong { length, .. } => {
            let prefix = u32::try_from(*length).unwrap_or(u32::MAX);
            match prefix.to_be_bytes() {
                [0x13, b'B', b'i', b't'] => "this is a second handshake; there is one each way",
                bytes if bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') => TEXT,
                _ if keep_alive_before => {
                    "a length of 0 came before, a keep-alive: a length also counts the id"
                }
                _ if prefix.swap_bytes() <= 2 * BLOCK_LENGTH => {
                    "the length was sent low byte first; the high one comes first"
                }
                _ => LENGTH_BEFORE,
            }
        }
        MessageError::Size { expected, found, .. } if *found == expected + 4 => {
            "if its length counts its own four bytes: it must not; it counts the id and what follows"
        }
        MessageError::Size { expected, found, .. } if found + 1 == *expected => {
            "a length also counts the id"
        }
        _ => return None,
    };
    Some(mine)
}

/// Returns the hint for the start of a message after which nothing more comes.
pub(crate) fn unfinished(begun: &[u8]) -> String {
    let Some((prefix, behind)) = begun.split_first_chunk::<4>() else {
        return format!("a message begins with a length of 4 bytes, and {} came", begun.len());
    };
    let (length, come) = (u32::from_be_bytes(*prefix) as usize, behind.len());
    let hint = match come {
        0 if length == 1 => ": the id is missing",
        _ if come + 4 == length => ": a length does not count its own four bytes",
        0 => "",
        _ => {
            "; if you sent no such length, the message before it was longer or shorter than its own length said"
        }
    };
    format!("the message's length says that {length} bytes follow, and {come} came{hint}")
}

/// Returns the hint for a wrong request.
pub(crate) fn request(request: &Request, pieces: u32, size: Option<u32>) -> Option<String> {
    let Request { index, begin, length } = *request;
    let Some(size) = size else {
        return (index.swap_bytes() < pieces && index > 0xffff)
            .then(|| "sent low byte first?".to_owned());
    };
    if length == 0 {
        return None;
    }
    if length > BLOCK_LENGTH {
        return Some("a longer piece is asked for in several requests".to_owned());
    }
    let left = size.saturating_sub(begin);
    if left == 0 {
        return Some("begin counts from the first byte of the piece".to_owned());
    }
    Some(format!("from {begin} on there are only {left} more, so the last block is shorter"))
}

/// Returns the mistake of a bitfield with a bit set for a piece that does not exist.
pub(crate) fn spare_bits(bits: &[u8], pieces: u32) -> Mistake {
    let last = bits.last().copied().unwrap_or_default();
    let reversed = !pieces.is_multiple_of(8) && last.reverse_bits() << (pieces % 8) == 0;
    let hint = if reversed { "; the first piece is the highest bit, not the lowest" } else { "" };
    Mistake::new("spare bits", format!("{SPARE_BITS}{hint}; others may hang up"), MESSAGES)
}

/// Returns the mistake in an extended message, if any. `ours` is our id for `ut_metadata`, and
/// `metadata` the size of ours in bytes.
pub(crate) fn extended(
    payload: &[u8],
    ours: u8,
    theirs: &PeerExtensions,
    metadata: usize,
) -> Option<Mistake> {
    let (&id, rest) = payload.split_first()?;
    if id == 0 {
        let broken = |why: String| Some(Mistake::new("extension handshake", why, EXTENSION));
        let handshake = match ExtensionHandshake::decode(rest) {
            Ok(handshake) => handshake,
            Err(error) => {
                return broken(format!(
                    "{error}; a peer that sends it counts as one without extensions"
                ));
            }
        };
        let Ok(dictionary) = decode_prefix(rest) else {
            return broken(format!(
                "in its extension handshake {}",
                handshake.passed_over.join("; ")
            ));
        };
        let flat = dictionary.dictionary()?.iter().any(|(key, _)| *key == NAME.as_bytes());
        if flat || dictionary.get("m").is_some_and(|m| m.dictionary().is_none()) {
            let what =
                "its extension handshake has no dictionary m, in which names and numbers belong";
            return Some(Mistake::new("no m", what, EXTENSION));
        }
        let wrong =
            handshake.passed_over.first().map(|note| format!("in its extension handshake {note}"));
        return wrong.map_or_else(|| unsorted(&dictionary), broken);
    }
    if id != ours {
        let assigned = || theirs.said.m.values().any(|assigned| *assigned == id);
        let hint = match id {
            b'd' => "; between message id 20 and the dictionary the extension id is missing, 0 for the handshake".to_owned(),
            _ if assigned() => format!("; {id} is the number that it assigned itself, for messages that it receives"),
            _ => String::new(),
        };
        let what = format!(
            "its message has extension id {id}, which means nothing here: to this seeder {NAME} has the id {ours}{hint}"
        );
        return Some(Mistake::new("extension id", what, EXTENSION));
    }
    let Ok(MetadataMessage::Request { piece }) = MetadataMessage::decode(rest) else { return None };
    if theirs.id(NAME).is_none() {
        let what = format!(
            "it asks for metadata, but no extension handshake of its own gave {NAME} an id to answer with"
        );
        return Some(Mistake::new("no id", what, EXTENSION));
    }
    let count = metadata.div_ceil(METADATA_PIECE_LENGTH);
    if piece.0 as usize >= count {
        let what = format!(
            "there is no metadata piece {}: {metadata} bytes make {count}, counted from 0; rejected",
            piece.0
        );
        return Some(Mistake::new("metadata piece", what, METADATA));
    }
    unsorted(&decode_prefix(rest).ok()?)
}

/// Returns the mistake of a dictionary with unsorted keys. Stage 1 reads it all the same.
fn unsorted(value: &Value) -> Option<Mistake> {
    let pairs = value.dictionary()?;
    match pairs.windows(2).find(|pair| matches!(pair, [(first, _), (second, _)] if first > second))
    {
        Some([(first, _), (second, _)]) => {
            let [first, second] = [first, second].map(|key| excerpt(key));
            let what = format!(
                "the keys of a dictionary must be sorted as bytes, but {second} comes after {first}"
            );
            Some(Mistake::new("unsorted", what, BENCODE))
        }
        _ => pairs.iter().find_map(|(_, value)| unsorted(value)),
    }
}

/// Returns the mistake of a message that is well formed but comes at the wrong time. `late`:
/// a bitfield is no longer allowed.
pub(crate) fn out_of_place(message: &Message, late: bool, choked: bool) -> Option<Mistake> {
    let (kind, what, see) = match message {
        Message::Bitfield { .. } if late => (
            "late bitfield",
            "a bitfield may only be the first message of BEP 3; later pieces are announced by have",
            MESSAGES,
        ),
        Message::Request(_) if choked => (
            "choked request",
            "it asks while it is choked, and gets nothing: send interested, then wait for unchoke",
            PIECES,
        ),
        Message::Suggest { .. }
        | Message::HaveAll
        | Message::HaveNone
        | Message::Reject(_)
        | Message::AllowedFast { .. } => (
            "fast",
            "messages 13 to 17 need bit 2 in both handshakes, and this seeder does not set it; ignored",
            MESSAGES,
        ),
        Message::Unknown { id, .. } if *id != EXTENDED => {
            let hint = if id.is_ascii_digit() { ": an id is a number, not a digit" } else { "" };
            return Some(Mistake::new(
                "unknown",
                format!("no message has the id {id}{hint}; ignored"),
                MESSAGES,
            ));
        }
        _ => return None,
    };
    Some(Mistake::new(kind, what, see))
}

/// Whether a request comes right after `interested`.
pub(crate) fn hasty(begun: &[u8]) -> bool {
    matches!(begun, [0, 0, 0, 13, 6, ..])
}

/// Returns the hint for bytes that are not an HTTP request.
pub(crate) fn http(head: &[u8]) -> String {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let hint = match beginning(head).filter(|_| !head.starts_with(b"GET ")) {
        Some(hint) => hint,
        None if head.is_empty() => "nothing came",
        None if line.starts_with(b"GET ") && line.iter().any(|byte| !byte.is_ascii()) => {
            "its first line has raw bytes; in info_hash and peer_id each byte is percent-encoded"
        }
        None if line.starts_with(b"GET ")
            && line.iter().filter(|byte| **byte == b' ').count() > 2 =>
        {
            "its first line has a space too many; %20 stands for one"
        }
        None if head.starts_with(b"GET ") && head.len() < 8 << 10 => {
            "it has no end: an empty line, \\r\\n\\r\\n in all, closes it"
        }
        None => "it begins with a line like GET /announce?... HTTP/1.1",
    };
    format!("this is not an HTTP request that a tracker understands: {hint}")
}

/// Returns the hint for a packet that is not of the tracker protocol.
pub(crate) fn packet(packet: &[u8]) -> &'static str {
    const MAGIC: [u8; 8] = [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80];
    let reversed: Vec<u8> = MAGIC.iter().rev().copied().collect();
    match packet {
        _ if packet.starts_with(&reversed) => ": it was sent low byte first",
        _ if packet.get(4..12) == Some(&MAGIC) => ": the protocol id comes first, then the action",
        _ if packet.starts_with(b"GET ") => ": this is HTTP, which goes over TCP",
        _ if packet.starts_with(b"d1:") => ": this looks like a packet of the DHT",
        _ if packet.len() == 100 => {
            ": an announce has 98 bytes, and a struct may have been padded to 100"
        }
        _ => "",
    }
}

/// Returns the hint for a port that is a usual one with its bytes swapped.
pub(crate) fn reversed_port(port: u16) -> Option<String> {
    let usual = (6881..=6889).contains(&port.swap_bytes());
    usual.then(|| format!("its port {port} is {} low byte first", port.swap_bytes()))
}
