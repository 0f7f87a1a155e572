//! Reading a key that a torrent needs, and the error that says what is there instead.
//!
//! A key that a torrent can do without is read with stage 1's [`PassedOver`]: if it is broken,
//! it gets a note. Without the keys that are read here, a torrent is useless. Their errors name
//! the path, what was expected, and what was found, so that the torrent can be mended.

use std::fmt;

use super::{MAX_TEXT_LENGTH, MetainfoError};
use crate::s01_bencode::forgiving::PassedOver;
use crate::s01_bencode::{Kind, Value, counted};

/// What is expected of a key whose value is text.
pub(super) const TEXT: &str = "text in UTF-8";

/// Returns the start of a text that is meant for people, and notes a cut. The cut is between two
/// characters, so the text stays valid UTF-8.
pub(super) fn shortened(key: &str, text: &str, notes: &mut PassedOver) -> String {
    let start = text.get(..text.floor_char_boundary(MAX_TEXT_LENGTH)).unwrap_or_default();
    if start.len() < text.len() {
        notes.add(|| {
            format!("{key} is cut after {}, of {}", counted(start.len(), "byte"), text.len())
        });
    }
    start.to_owned()
}

/// Returns the value of `key` in the dictionary at the path `at`, as read by `read`, which
/// returns `None` for what it cannot use. `expected` follows "must be" in the error.
///
/// # Errors
/// If the key is missing ([`MetainfoError::Missing`]) or its value cannot be used
/// ([`MetainfoError::Broken`]).
pub(crate) fn need<'v, 'a, T>(
    dictionary: &'v Value<'a>,
    at: &str,
    key: &str,
    expected: &'static str,
    read: impl Fn(&'v Value<'a>) -> Option<T>,
) -> Result<T, MetainfoError> {
    let path = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    let Some(value) = dictionary.get(key) else {
        return Err(MetainfoError::Missing { path, expected });
    };
    read(value).ok_or_else(|| MetainfoError::Broken {
        path,
        expected: expected.to_owned(),
        found: found(value),
    })
}

/// What a value is, for an error message: an integer as it is, anything else by its type. Strings
/// are not quoted: they may be long.
fn found(value: &Value) -> String {
    match value.kind {
        Kind::Integer(number) => number.to_string(),
        Kind::Bytes([]) => "empty".to_owned(),
        Kind::Bytes(bytes) if std::str::from_utf8(bytes).is_err() => {
            "a byte string that is not UTF-8".to_owned()
        }
        _ => value.type_name().to_owned(),
    }
}

/// Makes the error for a value that breaks a rule. The path is the value's: `info.pieces`.
pub(crate) fn broken(path: &str, expected: String, found: impl fmt::Display) -> MetainfoError {
    MetainfoError::Broken { path: path.to_owned(), expected, found: found.to_string() }
}
