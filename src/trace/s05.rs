//! Stage 5 on the wire: length-prefixed messages.

use super::walk::Walk;
use super::{Context, Object, counted, hex_text};
use super::{s07, s24};
use crate::s02_metainfo::MAX_PIECES;
use crate::s05_messages::bitfield::{Bitfield, SPARE_BITS, has_spare_bits};
use crate::s05_messages::kinds::{longest, name};
use crate::s05_messages::{BLOCK_LENGTH, Message, MessageError};
use crate::s07_extension::EXTENDED;
use crate::s24_hash_transfer::message::name as name_of_hashes;

/// Returns the length of the message that starts here, prefix included, if the prefix is
/// whole. Does not check the limits.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let prefix = bytes.first_chunk::<4>()?;
    Some((u32::from_be_bytes(*prefix) as usize).saturating_add(4))
}

/// Whether a message with this id is known, here or in a later stage.
pub fn is_known(id: u8) -> bool {
    known(id).is_some()
}

/// Returns the name of a message, and the BEP that specifies it.
fn known(id: u8) -> Option<(&'static str, &'static str)> {
    match id {
        EXTENDED => Some(("extended", "BEP 10")),
        21.. => name_of_hashes(id).zip(Some("BEP 52")),
        9 => name(id).zip(Some("BEP 5")),
        13.. => name(id).zip(Some("BEP 6")),
        _ => name(id).zip(Some("BEP 3")),
    }
}

/// Describes one message with its length prefix, and ignores what follows it. A block's
/// data is shown only as a size.
pub fn message(bytes: &[u8], context: &Context) -> Object {
    let bytes = length(bytes).and_then(|length| bytes.get(..length)).unwrap_or(bytes);
    let id = bytes.get(4).copied();
    let (name, spec) = id.and_then(known).unwrap_or(("message", "BEP 3"));
    let mut walk = Walk::new(bytes, name, 5, spec);
    let Some(length) = walk.number(4, "length prefix") else { return walk.end() };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    walk.note(if length == 0 { "no id and no payload" } else { "of what follows" });
    if length == 0 {
        walk.object.name = "keep-alive".to_owned();
        return walk.end();
    }
    let limit = longest(id, context.pieces.unwrap_or(MAX_PIECES as u32));
    if length > limit {
        let reversed = u32::try_from(length).unwrap_or(u32::MAX).swap_bytes();
        let hint = if reversed <= 2 * BLOCK_LENGTH {
            format!(" ({reversed} if it was sent low byte first)")
        } else {
            String::new()
        };
        walk.object.break_at(0..4, format!("at most {limit} bytes"), format!("{length}{hint}"));
        return walk.object;
    }
    let mut object = match id {
        Some(id) => payload(walk, id, context),
        None => walk.object,
    };
    let come = bytes.len() - 4;
    if come < length {
        object.broken = None;
        let hint =
            if come + 4 == length { " (a length does not count its own 4 bytes)" } else { "" };
        let expected = format!("{} after the length", counted(length, "byte"));
        object.break_at(bytes.len()..bytes.len(), expected, format!("{come}{hint}"));
    } else if let Err(MessageError::Size { expected, found, .. }) =
        Message::decode(bytes.get(4..).unwrap_or_default())
    {
        object.break_at(
            0..4,
            format!("a payload of {}", counted(expected, "byte")),
            found.to_string(),
        );
    }
    object
}

/// Describes a `piece` message from the 13 bytes before its data.
pub fn piece_head(head: &[u8]) -> Object {
    let length = length(head).unwrap_or(head.len());
    let mut walk = Walk::new(head, "piece", 5, "BEP 3");
    walk.number(4, "length prefix");
    walk.note("of what follows");
    walk.take(1, "id", |id| (id.first().map_or(0, |id| *id).to_string(), "piece".to_owned()));
    let (index, begin) = (walk.number(4, "index"), walk.number(4, "begin"));
    let mut object = walk.end();
    if let (Some(index), Some(begin)) = (index, begin) {
        let data = length.saturating_sub(object.covered());
        object.length = length;
        object.summary = format!("piece {index}, begin {begin}, {data} bytes");
        if data > 0 {
            object.add(length, "block", counted(data, "byte"), "data, not shown");
        }
    }
    object
}

fn payload(mut walk: Walk, id: u8, context: &Context) -> Object {
    let name = walk.object.name.clone();
    walk.take(1, "id", |_| (id.to_string(), name));
    let summary = match id {
        4 | 13 | 17 => walk.number(4, "index").map(|piece| format!("piece {piece}")),
        5 => bitfield(&mut walk, context),
        6 | 8 | 16 => request(&mut walk),
        7 => piece(&mut walk),
        9 => walk.number(2, "port").map(|port| format!("UDP port {port}")),
        0..=3 | 14 | 15 => None,
        EXTENDED => s07::extended(&mut walk, context),
        21..=23 => s24::message(&mut walk, id),
        _ => {
            walk.object.name = format!("message {id}");
            let rest = walk.left();
            walk.note("not known here");
            if !rest.is_empty() {
                walk.take(rest.len(), "payload", |bytes| (hex_text(bytes), String::new()));
            }
            None
        }
    };
    walk.object.summary = summary.unwrap_or_default();
    walk.end()
}

fn request(walk: &mut Walk) -> Option<String> {
    let (index, begin) = (walk.number(4, "index")?, walk.number(4, "begin")?);
    let length = walk.number(4, "length")?;
    if length > u64::from(BLOCK_LENGTH) {
        walk.note("more than 16384: others hang up on a peer that asks for this much");
    }
    Some(format!("piece {index}, begin {begin}, {length} bytes"))
}

fn piece(walk: &mut Walk) -> Option<String> {
    let (index, begin) = (walk.number(4, "index")?, walk.number(4, "begin")?);
    let length = walk.left().len();
    if length > 0 {
        walk.take(length, "block", |_| (counted(length, "byte"), "data, not shown".to_owned()));
    }
    Some(format!("piece {index}, begin {begin}, {length} bytes"))
}

/// Describes the bits, and checks them if the number of pieces is known.
fn bitfield(walk: &mut Walk, context: &Context) -> Option<String> {
    let bits = walk.left();
    let set: u32 = bits.iter().map(|byte| byte.count_ones()).sum();
    let decoded = context.pieces.map(|pieces| Bitfield::decode(bits, pieces));
    let value = match (context.pieces, &decoded) {
        (Some(pieces), Some(Ok(bits))) => format!("{} of {pieces} pieces", bits.count()),
        (Some(pieces), _) => format!("{set} of {pieces} pieces"),
        (None, _) => format!("{set} of {} bits set", bits.len() * 8),
    };
    let start = walk.object.covered();
    if !bits.is_empty() {
        walk.take(bits.len(), "bitfield", |_| {
            (value.clone(), "first piece in the highest bit".to_owned())
        });
    }
    if let Some(Err(error)) = decoded {
        walk.object.break_at(
            start..start + bits.len(),
            format!("the bits of {} pieces", context.pieces?),
            error.to_string(),
        );
    } else if context.pieces.is_some_and(|pieces| has_spare_bits(bits, pieces)) {
        walk.note(&format!("breaks a rule: {SPARE_BITS}"));
    }
    Some(value)
}
