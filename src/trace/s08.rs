//! Stage 8 on the wire: `ut_metadata`.

use super::s01::{self, Meaning};
use super::{Object, counted};
use crate::s01_bencode::Kind;
use crate::s08_metadata::message::{LIMITS, MetadataMessage, MetadataMessageError};

/// The extension's name in `m`.
pub const NAME: &str = "ut_metadata";

/// Describes the payload of a `ut_metadata` message, without any id.
pub fn message(bytes: &[u8]) -> Object {
    let mut object = Object::new(NAME, bytes.len(), 8, "BEP 9");
    s01::prefix(&mut object, bytes, LIMITS, lexicon);
    let rest = bytes.len() - object.covered();
    if object.broken.is_none() && rest > 0 {
        object.add(bytes.len(), "data", counted(rest, "byte"), "of the info dictionary, not shown");
    }
    let (name, piece) = match MetadataMessage::decode(bytes) {
        Ok(MetadataMessage::Request { piece }) => ("request", piece.0),
        Ok(MetadataMessage::Data { piece, .. }) => ("data", piece.0),
        Ok(MetadataMessage::Reject { piece }) => ("reject", piece.0),
        Ok(MetadataMessage::Unknown { msg_type }) => {
            object.summary = format!("of type {msg_type}, to be ignored");
            return object;
        }
        Err(error) => {
            if let MetadataMessageError::Missing { key } = error {
                object.break_field(key, format!("a number at {key}"), "none");
            }
            return object;
        }
    };
    object.name = format!("{NAME} {name}");
    object.summary = format!("metadata piece {piece}");
    object
}

fn lexicon(path: &str, value: &Kind) -> Meaning {
    match (path, value) {
        ("msg_type", Kind::Integer(0)) => Meaning::note("a request"),
        ("msg_type", Kind::Integer(1)) => Meaning::note("data: the bytes follow the dictionary"),
        ("msg_type", Kind::Integer(2)) => Meaning::note("a reject"),
        ("piece", _) => Meaning::note("which 16 KiB of the info dictionary"),
        ("total_size", _) => Meaning::note("bytes in all of the info dictionary"),
        _ => Meaning::default(),
    }
}
