//! Stage 4 on the wire: the handshake and its reserved bits.

use super::client::Client;
use super::peers::one_peer_id;
use super::walk::Walk;
use super::{Object, counted, hex_text, quoted};
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::PeerId;
use crate::s04_handshake::{Handshake, HandshakeError, PROTOCOL};

/// The known bits and their uses, counted from the right as in the specifications.
const BITS: [(usize, &str); 10] = [
    (0, "DHT (BEP 5)"),
    (1, "peer exchange of XBT, long gone"),
    (2, "fast extension (BEP 6)"),
    (3, "NAT traversal of XBT, long gone"),
    (4, "version 2 as well (BEP 52)"),
    (16, "choice of an extension protocol, of Azureus, long gone"),
    (17, "choice of an extension protocol, of Azureus, long gone"),
    (20, "extension protocol (BEP 10)"),
    (43, "location-aware protocol, never spread"),
    (63, "messages of Azureus"),
];

const MISSING: &str =
    "this many? perhaps the 8 reserved bytes are missing, and this is the info hash";
const HEX: &str = "hex? the 20 bytes themselves are wanted, not their digits";

/// Describes a handshake, 68 bytes.
pub fn handshake(bytes: &[u8]) -> Object {
    let mut walk = Walk::new(bytes, "handshake", 4, "BEP 3");
    if let Some(client) = bytes.get(48..68).and_then(|id| Client::of(&PeerId(*id.first_chunk()?))) {
        walk.object.summary = client.to_string();
    }
    walk.number(1, "length of the name");
    walk.take(19, "name", |bytes| (quoted(bytes), String::new()));
    walk.take(8, "reserved", |bytes| {
        (bits(bytes), if unlikely(bytes) { MISSING } else { "" }.to_owned())
    });
    let hash = |bytes: &[u8]| if is_hex(bytes) { HEX } else { "the torrent" }.to_owned();
    walk.take(20, "info hash", |bytes| (hex_text(bytes), hash(bytes)));
    walk.take(20, "peer id", one_peer_id);
    let mut object = walk.end();
    // The stage's decoder decides, and it checks the first byte first: other bytes are no
    // handshake, not one that is cut short.
    if let Err(HandshakeError::OtherProtocol { .. }) = Handshake::read_from(&mut &*bytes) {
        let wrong = bytes
            .iter()
            .zip(PROTOCOL)
            .position(|(found, expected)| found != expected)
            .unwrap_or(bytes.len());
        object.broken = None;
        let end = bytes.len().min(PROTOCOL.len());
        object.break_at(
            wrong..end.max(wrong),
            "byte 19 and \"BitTorrent protocol\"",
            quoted(bytes.get(..end).unwrap_or_default()),
        );
        object.fields.retain(|field| field.range.start < PROTOCOL.len());
    }
    object
}

/// Describes the eight reserved bytes alone.
pub fn reserved(bytes: &[u8]) -> Object {
    let mut walk = Walk::new(bytes, "reserved bytes", 4, "BEP 3");
    walk.take(8, "reserved", |bytes| (bits(bytes), String::new()));
    if walk.object.broken.is_none() {
        walk.object.summary = match bytes.iter().take(8).map(|byte| byte.count_ones()).sum::<u32>()
        {
            0 => "no extension".to_owned(),
            count => format!("{} set", counted(count, "bit")),
        };
    }
    walk.end()
}

/// Whether this looks like an info hash, as in a handshake of 60 bytes: no program sets
/// this many bits.
fn unlikely(reserved: &[u8]) -> bool {
    let known: u64 = BITS.iter().map(|(bit, _)| 1 << bit).sum();
    reserved
        .first_chunk()
        .is_some_and(|bytes| (u64::from_be_bytes(*bytes) & !known).count_ones() > 8)
}

/// Whether these look like hex digits in place of bytes. By chance, one hash in 10^21 does.
fn is_hex(hash: &[u8]) -> bool {
    hash.iter().all(u8::is_ascii_hexdigit) && hash.iter().any(u8::is_ascii_digit)
}

/// Returns a line for each bit that is set, the lowest first.
fn bits(bytes: &[u8]) -> String {
    let Some(reserved) = bytes.first_chunk::<8>() else { return String::new() };
    let handshake =
        Handshake { reserved: *reserved, ..Handshake::new(InfoHash([0; 20]), PeerId([0; 20])) };
    let name = |bit: usize| {
        BITS.iter().find(|(known, _)| *known == bit).map_or("not known here", |(_, name)| *name)
    };
    let lines: Vec<String> = (0..64)
        .filter(|bit| handshake.has_bit(*bit))
        .map(|bit| format!("bit {bit}: {}", name(bit)))
        .collect();
    if lines.is_empty() { "no bit is set: no extension".to_owned() } else { lines.join("\n") }
}
