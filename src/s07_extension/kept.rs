//! How much of a peer's extension handshake is read and kept. Skip this at first reading.

use std::collections::BTreeMap;

use super::ExtensionHandshake;
use crate::s01_bencode::forgiving::PassedOver;
use crate::s01_bencode::limits::Limits;
use crate::s01_bencode::{Value, excerpt, printable};

/// Limits of the dictionary. Real ones hold some twenty values, two levels deep. These leave room
/// for three names for each of the 255 ids.
pub const LIMITS: Limits = Limits { depth: 8, items: 1_000 };

/// The most extension names that are kept for one peer: an id is one byte.
const MAX_NAMES: usize = 255;

/// The longest name in `m` and the longest client name in `v`, in bytes. A longer name is passed
/// over; a longer `v` is cut. Real names stay below 30.
const MAX_NAME_LENGTH: usize = 100;

/// Reads an entry of `m`: the name, and the id the sender wants for it.
pub(super) fn extension(name: &[u8], id: &Value, notes: &mut PassedOver) -> Option<(String, u8)> {
    let text = std::str::from_utf8(name).ok().filter(|text| text.len() <= MAX_NAME_LENGTH);
    let number = id.unsigned().and_then(|id| u8::try_from(id).ok());
    if text.is_none() {
        notes
            .add(|| format!("m.{} must be a name in UTF-8 of at most {MAX_NAME_LENGTH} bytes; it is passed over", excerpt(name)));
    } else if number.is_none() {
        notes.skip(&format!("m.{}", excerpt(name)), "an id from 0 to 255", id);
    }
    Some((text?.to_owned(), number?))
}

/// Returns the client's name and version, safe to print and cut to [`MAX_NAME_LENGTH`].
pub(super) fn client_name(v: &[u8]) -> String {
    let start = String::from_utf8_lossy(v.get(..MAX_NAME_LENGTH).unwrap_or(v));
    let whole = if v.len() > MAX_NAME_LENGTH { start.trim_end_matches('\u{fffd}') } else { &start };
    let mut name = printable(whole);
    // An escaped control character takes more bytes, so cut again.
    name.truncate(name.floor_char_boundary(MAX_NAME_LENGTH));
    name
}

/// Adds the names of a later handshake to the earlier ones, up to a limit. A peer could invent
/// names until they fill our memory.
pub(super) fn add_names(said: &mut ExtensionHandshake, later: BTreeMap<String, u8>) {
    for (name, id) in later {
        if said.m.len() < MAX_NAMES || said.m.contains_key(&name) {
            said.m.insert(name, id);
        }
    }
}
