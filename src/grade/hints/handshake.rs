//! What is wrong with a client's handshake.

use super::{Cause, Known, Shown};
use crate::lab::hints;
use crate::s02_metainfo::InfoHash;
use crate::s04_handshake::{HANDSHAKE_LENGTH, PROTOCOL};
use crate::trace::{Object, s04};

/// Where the reserved bytes and the info hash begin.
const RESERVED: usize = 20;
const INFO_HASH: usize = 28;

/// Returns the mistake in the first bytes of a client: 68 of them, or all that came.
pub fn mistake(bytes: &[u8], known: &Known) -> Option<Cause> {
    let bytes = bytes.get(..HANDSHAKE_LENGTH).unwrap_or(bytes);
    if !bytes.starts_with(PROTOCOL) {
        let shown = Some(shown(bytes, |_| {}));
        // What follows a wrong name is something else.
        let name = bytes.get(..RESERVED).unwrap_or(bytes);
        return Some(Cause::new(hints::handshake(name), shown));
    }
    let names = || known.contents.iter().flat_map(|content| content.info.names.all());
    let places = || names().filter_map(|name| place(bytes, name));
    match places().next() {
        Some(INFO_HASH) if bytes.len() == HANDSHAKE_LENGTH => None,
        Some(place) if place != INFO_HASH => Some(reserved(bytes, place)),
        None if bytes.len() == HANDSHAKE_LENGTH => other_torrent(bytes, known),
        _ => Some(Cause::new(hints::handshake(bytes), Some(shown(bytes, |_| {})))),
    }
}

/// Returns the handshake with its fields, and with a break.
fn shown(bytes: &[u8], breaks: impl FnOnce(&mut Object)) -> Shown {
    let mut object = s04::handshake(bytes);
    breaks(&mut object);
    Shown { at: 0, bytes: bytes.to_vec(), object }
}

/// Shows that bit 20 is not set.
pub fn without_bit_20(bytes: &[u8]) -> Shown {
    const BYTE: usize = RESERVED + 5;
    shown(bytes, |object| object.break_at(BYTE..BYTE + 1, "the bit 0x10", "a byte without it"))
}

fn place(bytes: &[u8], hash: InfoHash) -> Option<usize> {
    bytes.windows(hash.0.len()).position(|window| window == hash.0)
}

/// The info hash comes too early, or too late.
fn reserved(bytes: &[u8], place: usize) -> Cause {
    let count = place.saturating_sub(RESERVED);
    let hint = match count {
        0 => "the 8 reserved bytes between the name and the info hash are missing".to_owned(),
        _ => format!("the reserved bytes between the name and the info hash are 8, not {count}"),
    };
    let shown = shown(bytes, |object| {
        if let Some(field) = object.fields.iter_mut().find(|field| field.name == "reserved") {
            // Bits that are none would fill the screen.
            (field.value, field.note) = (String::new(), String::new());
        }
        object.broken = None;
        if place < INFO_HASH {
            let found = "the info hash, which begins at byte 28";
            object.break_at(place..INFO_HASH, "8 bytes of flags", found);
        } else {
            let found = format!("{count} bytes before it");
            object.break_at(INFO_HASH..place, "the info hash", found);
        }
    });
    Cause::new(hint, Some(shown))
}

fn other_torrent(bytes: &[u8], known: &Known) -> Option<Cause> {
    let here = known.contents.first()?.info_hash();
    let found = bytes.get(INFO_HASH..)?.first_chunk().copied().map(InfoHash)?;
    let hint = format!("another info hash: {}", hints::other_torrent(found, &known.wrong));
    let shown = shown(bytes, |object| {
        object.break_field("info hash", here.to_string(), "another torrent's");
    });
    Some(Cause::new(hint, Some(shown)))
}
