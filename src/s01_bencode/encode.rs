//! Writing bencode: a value is built from the encoded values inside it.
//!
//! There is no tree to build first. `list([integer(1), bytes(b"two")])` *is* the encoded list, so a
//! call looks like the value it makes.
//!
//! ```
//! use piecemeal::s01_bencode::encode::{bytes, dictionary, integer};
//!
//! let request = dictionary([("piece", integer(0)), ("msg_type", integer(0))]);
//! assert_eq!(request, b"d8:msg_typei0e5:piecei0ee"); // sorted
//! assert_eq!(dictionary([("m", dictionary([("a", bytes("x"))]))]), b"d1:md1:a1:xee");
//! ```

use std::collections::BTreeMap;

/// Returns `i-7e`. Takes an `i64` as well as a `u64`: `i128` has room for both.
pub fn integer(number: impl Into<i128>) -> Vec<u8> {
    format!("i{}e", number.into()).into_bytes()
}

/// Returns `4:spam`. Takes text or bytes: the length counts bytes, not letters.
pub fn bytes(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut out = format!("{}:", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out
}

/// Returns `l4:spami7ee`, from items that are already encoded.
pub fn list(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = vec![b'l'];
    for item in items {
        out.extend_from_slice(&item);
    }
    out.push(b'e');
    out
}

/// Returns `d3:cow3:mooe`, from values that are already encoded. The keys are sorted
/// here, as raw bytes: BEP 3 requires it. Of two equal keys the later one counts.
pub fn dictionary<'k>(pairs: impl IntoIterator<Item = (&'k str, Vec<u8>)>) -> Vec<u8> {
    // Rust compares `str` byte by byte, which is the order that BEP 3 means.
    let sorted: BTreeMap<&str, Vec<u8>> = pairs.into_iter().collect();
    let mut out = vec![b'd'];
    for (key, value) in sorted {
        out.extend_from_slice(&bytes(key));
        out.extend_from_slice(&value);
    }
    out.push(b'e');
    out
}
