//! Wrong values that everybody sends once, and the sentence about each.
//!
//! The sentences are those of `src/lab/hints.rs`, which a prefix of the stages does not have.

use super::fields::{Field, Kind};

/// The part of both sides that differs.
pub struct Part<'b> {
    pub field: &'b Field,
    pub found: &'b [u8],
    pub expected: &'b [u8],
}

/// What else is known: all of both sides, and the fields of the right one.
pub struct Whole<'b> {
    pub fields: &'b [Field],
    pub found: &'b [u8],
    pub expected: &'b [u8],
}

/// Returns the likely mistake, if it is a known one.
pub fn hint(whole: &Whole, part: &Part) -> Option<String> {
    of_values(part)
        .or_else(|| unsorted(whole, part))
        .map(str::to_owned)
        .or_else(|| missing(whole, part))
        .or_else(|| mixed_up(whole, part))
}

fn of_values(&Part { field, found, expected }: &Part) -> Option<&'static str> {
    let name = field.name.as_str();
    let value = found.strip_prefix(b"info_hash=").unwrap_or_default();
    if value.get(..40).is_some_and(|value| value.iter().all(u8::is_ascii_hexdigit)) {
        return Some("these are hex digits; send the 20 bytes that the 40 digits stand for");
    }
    let (is, must_be) = (number(found)?, number(expected)?);
    Some(match name {
        "reserved bytes" if is == must_be.reverse_bits() => {
            "reserved bits are counted from the right: bit 0 is the lowest bit of the last byte, and bit 20 is 0x10 in byte 5"
        }
        _ if (name.ends_with(": bits") || name.starts_with("pieces "))
            && is_mirrored(found, expected) =>
        {
            "the first piece is the highest bit, not the lowest"
        }
        _ if name.ends_with(": length prefix") && is == must_be + 4 => {
            "a length does not count its own four bytes; it counts the id and what follows"
        }
        _ if name.ends_with(": length prefix") && is + 1 == must_be => {
            "a length also counts the id"
        }
        "request: length" if is == 16_384 && must_be < 16_384 => {
            "the last block of a piece is what is left of it, so it is shorter"
        }
        "extended: extension id" => {
            "the id is the one in the m of the side that receives the message; your own ids are for messages to you"
        }
        "length of the name" if found == b"1" => {
            "the length of the name is one byte, 0x13, not two digits"
        }
        "length of the name" if found == b"B" => "the byte 19 (0x13) before the name is missing",
        _ if field.kind == Kind::Number && found.len() > 1 && found.iter().rev().eq(expected) => {
            "it was sent low byte first; the high one comes first"
        }
        _ => return None,
    })
}

/// A key of a dictionary comes later, and another one in its place.
fn unsorted(whole: &Whole, part: &Part) -> Option<&'static str> {
    let come = whole.found.get(part.field.at..)?;
    let mut keys = whole.fields.iter().filter(|field| field.name == "a key");
    let comes = |key: &Field| {
        key != part.field
            && whole
                .expected
                .get(key.at..key.at + key.length)
                .is_some_and(|key| come.starts_with(key))
    };
    let is_unsorted = part.field.name == "a key"
        && come.windows(part.expected.len()).any(|bytes| bytes == part.expected)
        && keys.any(comes);
    is_unsorted.then_some("the keys of a dictionary must be sorted as bytes")
}

/// What follows a field comes in its place.
fn missing(whole: &Whole, part: &Part) -> Option<String> {
    let (start, end) = (part.field.at, part.field.at + part.field.length);
    let (behind, come) = (whole.expected.get(end..)?, whole.found.get(start..)?);
    let seen = behind.len().min(come.len()).min(16);
    let is_missing = seen >= 4
        && behind[..seen] == come[..seen]
        && behind[..seen] != part.expected[..seen.min(part.expected.len())];
    is_missing.then(|| {
        format!("the field {:?} is missing: what follows it comes in its place", part.field.name)
    })
}

/// The value of another field of the same length.
fn mixed_up(whole: &Whole, part: &Part) -> Option<String> {
    let is_long = part.field.length > 1 && part.found.iter().any(|byte| *byte != 0);
    let other = whole.fields.iter().find(|other| {
        *other != part.field
            && other.length == part.field.length
            && whole.expected.get(other.at..other.at + other.length) == Some(part.found)
    })?;
    is_long.then(|| format!("this is the {}, which belongs at byte {}", other.name, other.at))
}

/// Up to eight bytes as a number, high byte first.
pub fn number(bytes: &[u8]) -> Option<u64> {
    (1..=8)
        .contains(&bytes.len())
        .then(|| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn is_mirrored(found: &[u8], expected: &[u8]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| *found == expected.reverse_bits())
}
