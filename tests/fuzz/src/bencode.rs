//! Bencode: a value is its bytes, all of them, each once.

use piecemeal::s01_bencode::{Kind, Value, decode, decode_prefix, encode};

use super::{bounded, is_printable};

/// Decodes; encodes what came out, and decodes that.
pub fn check(input: &[u8]) {
    // The smallest value is two bytes long and takes the memory of an item in a list that grows.
    bounded(input.len(), 256, || {
        let prefix = decode_prefix(input);
        let whole = decode(input);
        match (&prefix, &whole) {
            (Ok(value), _) => {
                assert_eq!(value.raw, &input[..value.raw.len()]);
                assert_eq!(
                    whole.is_ok(),
                    value.raw.len() == input.len(),
                    "all of it was read, or something follows"
                );
                is_made_of(value);
                let again = encoded(value);
                assert_eq!(again, value.raw, "there is one way to write a value");
                assert_eq!(decode(&again).as_ref(), Ok(value));
            }
            (Err(error), _) => {
                assert!(error.at <= input.len());
                assert_eq!(whole.as_ref(), Err(error));
                is_printable(error);
            }
        }
    });
}

/// The bytes of a value are those of the values in it, one after the other, and nothing else.
fn is_made_of(value: &Value) {
    let length = |bytes: &[u8]| bytes.len().to_string().len() + 1 + bytes.len();
    let inside = match &value.kind {
        Kind::Integer(number) => number.to_string().len(),
        Kind::Bytes(bytes) => length(bytes) - 2,
        Kind::List(items) => items.iter().map(|item| item.raw.len()).sum(),
        Kind::Dictionary(pairs) => {
            pairs.iter().map(|(key, value)| length(key) + value.raw.len()).sum()
        }
    };
    assert_eq!(value.raw.len(), inside + 2, "{value:?}");
    let mut at = value.raw.as_ptr_range().start;
    let mut follows = |inner: &Value| {
        let range = inner.raw.as_ptr_range();
        assert!(
            at < range.start && range.end < value.raw.as_ptr_range().end,
            "inside, and after the one before"
        );
        at = at.max(range.start);
        is_made_of(inner);
    };
    match &value.kind {
        Kind::List(items) => items.iter().for_each(&mut follows),
        Kind::Dictionary(pairs) => pairs.iter().for_each(|(_, value)| follows(value)),
        Kind::Integer(_) | Kind::Bytes(_) => {}
    }
}

/// Writes a value with its keys in the order in which they came.
fn encoded(value: &Value) -> Vec<u8> {
    match &value.kind {
        Kind::Integer(number) => encode::integer(*number),
        Kind::Bytes(bytes) => encode::bytes(bytes),
        Kind::List(items) => encode::list(items.iter().map(encoded)),
        Kind::Dictionary(pairs) => {
            let mut bytes: Vec<u8> = pairs
                .iter()
                .flat_map(|(key, value)| [encode::bytes(key), encoded(value)].concat())
                .collect();
            bytes.insert(0, b'd');
            bytes.push(b'e');
            bytes
        }
    }
}
