//! Comparing the two halves of a hybrid torrent: they must describe the same bytes.
//!
//! ```text
//! info.file tree    a.txt            empty    sub/b.bin
//! info.files        a.txt  .pad/5    empty    sub/b.bin   .pad/9      the last one may be missing
//!                   |------|----|    |        |-----------|
//!                   0           piece                 a piece begins here
//! ```
//! The order is that of the tree: name by name, folder after folder. Sorting whole paths gives
//! another one, since `.` comes before `/`: then `a.txt` is before `a/x`, and after it in a tree.
//! libtorrent 2.1.1 makes such hybrids, and then refuses them itself.

use super::V2Error;
use super::file_tree::{Found, Place};
use crate::s01_bencode::{Value, excerpt};
use crate::s02_metainfo::MetainfoError;
use crate::s02_metainfo::keys::need;

/// Returns where each file of the tree is in the version 1 half.
///
/// # Errors
/// If the halves differ in the files' order, names or lengths, or in the padding between them.
pub(super) fn places(
    info: &Value,
    found: &[Found],
    piece_length: u32,
) -> Result<Vec<Place>, MetainfoError> {
    let Some(list) = info.get("files") else { return single(info, found) };
    // Stage 2 has read it: what is missing here was an error there. But it has made the names safe,
    // and two raw names may have become one. So the raw ones are compared.
    let list = list.list().unwrap_or_default();
    // One step in the tree for each entry that is a file; padding is in version 1 only.
    let mut found = found.iter();
    let mut places = Vec::with_capacity(found.len());
    let mut offset: u64 = 0;
    for (number, file) in list.iter().enumerate() {
        let length = file.get("length").and_then(Value::unsigned).unwrap_or(0);
        let gap = offset.next_multiple_of(piece_length.into()) - offset;
        let is_padding =
            file.get("attr").and_then(Value::bytes).is_some_and(|attr| attr.contains(&b'p'));
        if is_padding {
            // BEP 47 pads to the next piece, neither further nor less.
            if length != gap {
                return halves(format!(
                    "info.files[{number}] is {length} bytes of padding, and {gap} are needed"
                ));
            }
        } else {
            let Some(next) = found.next() else {
                return halves(format!("info.files[{number}] is not in the file tree"));
            };
            same(number, file, length, next)?;
            // An empty file has no piece, and may be anywhere.
            if gap > 0 && length > 0 {
                return halves(format!(
                    "info.files[{number}] does not begin at a piece: {gap} bytes of padding are missing"
                ));
            }
            places.push(Place { number, offset });
        }
        offset += length; // stage 2 has checked the sum
    }
    // All that is in the list is in the tree. The other way around:
    match found.next() {
        Some(missing) => halves(format!("{} is not in info.files", shown(&missing.path))),
        None => Ok(places),
    }
}

/// Compares a file without a folder. Its name is the torrent's, and it needs no padding.
///
/// The name that counts is `name.utf-8` if stage 2 uses that, as with the paths in [`same`].
fn single(info: &Value, found: &[Found]) -> Result<Vec<Place>, MetainfoError> {
    let utf8 = info.get("name.utf-8").and_then(Value::text).filter(|name| !name.is_empty());
    let name = match utf8 {
        Some(name) => name.as_bytes(),
        None => need(info, "info", "name", "a byte string", Value::bytes)?,
    };
    let length = need(info, "info", "length", "an integer, 0 or more", Value::unsigned)?;
    match found {
        [only] if *only.path == [name] && only.length == length => {
            Ok(vec![Place { number: 0, offset: 0 }])
        }
        [only] => halves(format!(
            "one file, \"{}\" of {length} bytes in version 1, and \"{}\" of {} in version 2",
            excerpt(name),
            shown(&only.path),
            only.length
        )),
        _ => halves(format!("one file in version 1, and {} in version 2", found.len())),
    }
}

/// Compares an entry of `files` with the file of the tree that is in its place. An old program may
/// have written the path in another encoding, with `path.utf-8` beside it; version 2 is in UTF-8.
/// Then stage 2 has used that one, so it is that one which must be the same.
fn same(number: usize, file: &Value, length: u64, other: &Found) -> Result<(), MetainfoError> {
    let names = |key| file.get(key).and_then(Value::list).unwrap_or_default();
    let is_utf8 = |name: &Value| name.bytes().is_some_and(|raw| std::str::from_utf8(raw).is_ok());
    let utf8 = names("path.utf-8");
    let counts = !utf8.is_empty() && utf8.iter().all(is_utf8);
    let ours = if counts { utf8 } else { names("path") };
    let theirs = shown(&other.path);
    if !ours.iter().map(Value::bytes).eq(other.path.iter().map(|name| Some(*name))) {
        return halves(format!(
            "info.files[{number}] is not \"{theirs}\", which is next in the file tree"
        ));
    }
    if length != other.length {
        return halves(format!(
            "\"{theirs}\" has {length} bytes in version 1, and {} in version 2",
            other.length
        ));
    }
    Ok(())
}

/// A path of raw names, for an error message: its start.
fn shown(path: &[&[u8]]) -> String {
    path.iter().take(10).map(|name| excerpt(name)).collect::<Vec<_>>().join("/")
}

/// Makes the error. Each kind of difference has its own words, since whoever made the torrent will
/// want to know where it is.
fn halves<T>(what: String) -> Result<T, MetainfoError> {
    Err(V2Error::Halves { what }.into())
}
