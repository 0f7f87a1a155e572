//! How a value looks in a failed test: its bytes as text where they are text.
//!
//! The derived form writes `4:spam` as `[52, 58, 115, 112, 97, 109]`, which nobody can read.

use std::fmt;

use super::{Kind, Value};

/// Bytes as text if they are UTF-8; otherwise as Rust writes bytes: `b"\xff\x00"`.
struct Text<'a>(&'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match std::str::from_utf8(self.0) {
            Ok(text) => write!(out, "{text:?}"),
            Err(_) => write!(out, "b\"{}\"", self.0.escape_ascii()),
        }
    }
}

/// Writes the bytes and what they mean: `Value { raw: "i7e", kind: Integer(7) }`.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let mut value = out.debug_struct("Value");
        value.field("raw", &Text(self.raw)).field("kind", &self.kind).finish()
    }
}

/// Writes the type and the value: `Bytes("spam")`.
impl fmt::Debug for Kind<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Kind::Integer(number) => out.debug_tuple("Integer").field(number).finish(),
            Kind::Bytes(bytes) => out.debug_tuple("Bytes").field(&Text(bytes)).finish(),
            Kind::List(items) => out.debug_tuple("List").field(items).finish(),
            Kind::Dictionary(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(key, value)| (Text(key), value)).collect();
                out.debug_tuple("Dictionary").field(&pairs).finish()
            }
        }
    }
}
