//! Finds out what kind of thing some bytes are, and describes all of it.

use std::ops::ControlFlow;

use super::client::Client;
use super::stream::{self, Next};
use super::{
    Context, Object, Placed, counted, s01, s02, s03, s04, s05, s06, s07, s08, s18, s20, s21,
};
use crate::s03_tracker::PeerId;
use crate::s04_handshake::{HANDSHAKE_LENGTH, PROTOCOL};
use crate::s05_messages::Message;
use crate::s05_messages::kinds::MAX_MESSAGE_LENGTH;
use crate::s18_udp_tracker::packet::{Answer, Family, PROTOCOL_ID, Request};
use crate::s20_lsd::search::is_search;

/// The most objects of a stream that are described.
pub const MAX_OBJECTS: usize = 500;

/// A kind of thing that can be described on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A .torrent file.
    Torrent,
    /// A tracker's answer over HTTP.
    Answer,
    /// The dictionary of an extension handshake.
    Extension,
    /// The payload of a `ut_metadata` message.
    Metadata,
    /// Any other bencoded value.
    Bencode,
    /// A handshake.
    Handshake,
    /// One message or several.
    Messages,
    /// One direction of a connection: a handshake and messages.
    Stream,
    /// A packet from or to a UDP tracker, over IPv4.
    Udp,
    /// A packet from or to a UDP tracker, over IPv6.
    Udp6,
    /// A datagram of local service discovery.
    BtSearch,
    /// A datagram of the DHT.
    Krpc,
    /// A magnet link.
    Magnet,
    /// The URL of a tracker or of an announce.
    Url,
    /// A peer id.
    PeerId,
    /// 20 bytes, such as an info hash.
    InfoHash,
    /// The eight reserved bytes of a handshake.
    Reserved,
}

/// The kinds by name, with the phrase for each in a sentence.
const NAMES: [(Kind, &str, &str); 17] = [
    (Kind::Torrent, "torrent", "a .torrent file"),
    (Kind::Answer, "answer", "a tracker's answer"),
    (Kind::Extension, "extension", "an extension handshake"),
    (Kind::Metadata, "metadata", "the payload of a ut_metadata message"),
    (Kind::Bencode, "bencode", "bencode"),
    (Kind::Handshake, "handshake", "a handshake"),
    (Kind::Messages, "messages", "messages between peers"),
    (Kind::Stream, "stream", "one direction of a connection between peers"),
    (Kind::Udp, "udp", "a packet of a UDP tracker"),
    (Kind::Udp6, "udp6", "a packet of a UDP tracker over IPv6"),
    (Kind::BtSearch, "bt-search", "a BT-SEARCH of local service discovery"),
    (Kind::Krpc, "krpc", "a datagram of the DHT"),
    (Kind::Magnet, "magnet", "a magnet link"),
    (Kind::Url, "url", "a tracker's URL"),
    (Kind::PeerId, "peer-id", "a peer id"),
    (Kind::InfoHash, "info-hash", "an info hash or a peer id: both are 20 bytes"),
    (Kind::Reserved, "reserved", "the reserved bytes of a handshake"),
];

impl Kind {
    /// Returns all kinds.
    pub fn all() -> impl Iterator<Item = Kind> {
        NAMES.iter().map(|(kind, _, _)| *kind)
    }

    /// Returns the name: `handshake`.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// Returns the phrase for a sentence: `a handshake`.
    pub fn is(self) -> &'static str {
        self.entry().2
    }

    fn entry(self) -> (Kind, &'static str, &'static str) {
        *NAMES
            .iter()
            .find(|(kind, _, _)| *kind == self)
            .expect("every kind has its line in the table")
    }

    /// Returns the kind with this name. `message` also means `messages`.
    pub fn named(name: &str) -> Option<Kind> {
        let name = if name == "message" { "messages" } else { name };
        NAMES.iter().find(|(_, known, _)| *known == name).map(|(kind, _, _)| *kind)
    }

    /// Guesses what some bytes are; `None` if they look like nothing known.
    ///
    /// A kind that fits all of the bytes wins over one that begins well and then breaks.
    pub fn of(bytes: &[u8]) -> Option<Kind> {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("magnet:")) {
            return Some(Kind::Magnet);
        }
        if ["http://", "https://", "udp://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Some(Kind::Url);
        }
        if is_search(bytes) {
            return Some(Kind::BtSearch);
        }
        let named =
            bytes.iter().zip(PROTOCOL).take_while(|(found, expected)| found == expected).count();
        if named == PROTOCOL.len() || named > 0 && named == bytes.len() {
            return Some(if bytes.len() > HANDSHAKE_LENGTH {
                Kind::Stream
            } else {
                Kind::Handshake
            });
        }
        // A handshake is known by its name, even if the rest of it is broken.
        let name = PROTOCOL.get(1..).unwrap_or_default();
        let at = |start: usize| {
            bytes
                .get(start..start + name.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(name))
        };
        if at(0) || at(1) {
            return Some(Kind::Handshake);
        }
        if bytes.starts_with(&PROTOCOL_ID.to_le_bytes()) {
            return Some(Kind::Udp);
        }
        let peer_id = || {
            bytes
                .try_into()
                .is_ok_and(|id| Client::of(&PeerId(id)).is_some())
                .then_some(Kind::PeerId)
        };
        let udp = || is_udp(bytes).then_some(Kind::Udp);
        let messages = |whole| are_messages(bytes, whole).then_some(Kind::Messages);
        // Before messages: most reserved bytes would be a keep-alive and then something strange.
        let reserved = || {
            (bytes.len() == 8 && (bytes.starts_with(&[0; 4]) || messages(false).is_none()))
                .then_some(Kind::Reserved)
        };
        let bencode = bencoded(bytes).or_else(peer_id).or_else(reserved);
        let whole = bencode.or_else(|| messages(true)).or_else(udp);
        let broken = whole
            .or_else(|| messages(false))
            .or_else(|| (bytes.len() == 20).then_some(Kind::InfoHash));
        broken.or_else(|| {
            (bytes.len() >= 16 && matches!(bytes, [0, 0, 0, 1..=3, ..])).then_some(Kind::Udp)
        })
    }

    /// Describes bytes as this kind of thing: one object, or the objects of a stream. They end
    /// early after too many objects, or a broken one.
    pub fn describe(self, bytes: &[u8], context: &Context) -> Vec<Placed> {
        let object = match self {
            Kind::Messages => {
                return stream::all(bytes, Next::Message, context, MAX_OBJECTS).0;
            }
            Kind::Stream => {
                return stream::all(bytes, stream::begins_with(bytes), context, MAX_OBJECTS).0;
            }
            Kind::Torrent => s02::torrent(bytes),
            Kind::Answer => s03::answer(bytes),
            Kind::Extension => s07::handshake(bytes),
            Kind::Metadata => s08::message(bytes),
            Kind::Bencode => s01::bencode(bytes),
            Kind::Handshake => s04::handshake(bytes),
            Kind::Udp => udp(bytes, Family::V4),
            Kind::Udp6 => udp(bytes, Family::V6),
            Kind::BtSearch => s20::search(bytes),
            Kind::Krpc => s21::packet(bytes),
            Kind::Magnet => of_text(bytes, s06::magnet),
            Kind::Url => of_text(bytes, s03::url),
            Kind::PeerId => s03::peer_id(bytes),
            Kind::InfoHash => s03::info_hash(bytes),
            Kind::Reserved => s04::reserved(bytes),
        };
        vec![Placed { at: 0, object }]
    }
}

/// Describes text, without the newline at the end of a file. It breaks where it is not UTF-8.
fn of_text(bytes: &[u8], describe: impl Fn(&str) -> Object) -> Object {
    let bytes = bytes.trim_ascii_end();
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return describe(text),
        Err(error) => error,
    };
    let (good, bad) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
    let mut object = describe(std::str::from_utf8(good).unwrap_or_default());
    (object.length, object.broken) = (bytes.len(), None);
    let found = bad.first().map(|byte| format!("byte 0x{byte:02x}")).unwrap_or_default();
    object.break_at(good.len()..good.len() + 1, "text in UTF-8", found);
    object
}

/// Describes a packet. A request begins with a connection id of eight bytes, an answer with its
/// action, a small number. Few connection ids begin like one.
fn udp(bytes: &[u8], family: Family) -> Object {
    match bytes {
        [0, 0, 0, 0..=3, ..] => s18::answer(bytes, family),
        _ => s18::request(bytes),
    }
}

fn is_udp(bytes: &[u8]) -> bool {
    match bytes {
        [0, 0, 0, 0..=3, ..] => Answer::decode(bytes, Family::V4).is_ok(),
        _ => Request::decode(bytes).is_ok(),
    }
}

/// Whether these are messages with known ids: all of them `whole`, or only the first one, with
/// a possible length.
fn are_messages(bytes: &[u8], whole: bool) -> bool {
    let mut rest = bytes;
    while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        let known = length == 0 || behind.first().is_none_or(|id| s05::is_known(*id));
        if length > MAX_MESSAGE_LENGTH || !known {
            return false;
        }
        // The start of a message is enough: the user wants to see what is wrong with it.
        let Some((message, behind)) = behind.split_at_checked(length).filter(|_| whole) else {
            return !whole;
        };
        if Message::decode(message).is_err() {
            return false;
        }
        rest = behind;
    }
    whole && rest.is_empty() && !bytes.is_empty()
}

/// Guesses the kind of bencode from its top-level keys; if it is broken, from those before the
/// break.
fn bencoded(bytes: &[u8]) -> Option<Kind> {
    let whole = crate::s01_bencode::decode_prefix(bytes);
    if bytes.first() != Some(&b'd') {
        // Many things besides bencode begin with a number, as the length of a string does.
        let all = whole.is_ok_and(|value| value.raw.len() == bytes.trim_ascii_end().len());
        return all.then_some(Kind::Bencode);
    }
    if s21::looks_like_one(bytes) {
        return Some(Kind::Krpc);
    }
    let object = s01::bencode(bytes);
    if object.fields.len() < 2 {
        return (bytes.len() == 1 || object.fields.len() == 1 && object.broken.is_none())
            .then_some(Kind::Bencode);
    }
    let kind = object.fields.iter().try_for_each(|field| match field.name.as_str() {
        "info" | "announce" | "announce-list" => ControlFlow::Break(Kind::Torrent),
        "peers" | "peers6" | "failure reason" | "interval" | "min interval" | "files" => {
            ControlFlow::Break(Kind::Answer)
        }
        "m" | "metadata_size" | "reqq" => ControlFlow::Break(Kind::Extension),
        "msg_type" => ControlFlow::Break(Kind::Metadata),
        "a.id" | "r.id" => ControlFlow::Break(Kind::Krpc),
        _ => ControlFlow::Continue(()),
    });
    kind.break_value().or(Some(Kind::Bencode))
}

/// Returns the number of bytes that were not described, if any: `12 bytes more`.
pub fn left_over(placed: &[Placed], bytes: &[u8]) -> Option<String> {
    let end = placed.last().map_or(0, |last| last.at + last.object.length);
    let rest = bytes.get(end..).unwrap_or_default();
    // A newline at the end of a file is no part of what is in it.
    (!rest.trim_ascii().is_empty()).then(|| format!("{} more", counted(rest.len(), "byte")))
}
