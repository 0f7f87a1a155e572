//! Writing bencode: a value is built from the encoded values inside it.
//!
//! There is no tree to build first. `list([integer(1), bytes(b"two")])` *is*
//! the encoded list, so what is written here looks like what it says.

use std::collections::BTreeMap;

/// `i-7e`
pub fn integer(number: impl Into<i128>) -> Vec<u8> {
    format!("i{}e", number.into()).into_bytes()
}

/// `4:spam`
pub fn bytes(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut out = format!("{}:", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out
}

/// `l4:spami7ee`, from items that are already encoded.
pub fn list(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = vec![b'l'];
    for item in items {
        out.extend_from_slice(&item);
    }
    out.push(b'e');
    out
}

/// `d3:cow3:mooe`, from values that are already encoded. The keys are sorted
/// here, as raw bytes: BEP 3 requires it.
pub fn dictionary<'k>(pairs: impl IntoIterator<Item = (&'k str, Vec<u8>)>) -> Vec<u8> {
    let sorted: BTreeMap<&str, Vec<u8>> = pairs.into_iter().collect();
    let mut out = vec![b'd'];
    for (key, value) in sorted {
        out.extend_from_slice(&bytes(key));
        out.extend_from_slice(&value);
    }
    out.push(b'e');
    out
}
