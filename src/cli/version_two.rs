//! What a torrent of version 2 adds to what is shown of a torrent. (stage 23)

use std::io::{self, Write};

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::s02_metainfo::Info;
use piecemeal::s23_v2::trees;
use serde_json::{Value, json};

use super::exit_codes::BAD_INPUT;
use super::failure::Failure;

/// Adds the long name to the lines of names, or puts it in place of the short one: a torrent that
/// is version 2 only has no SHA-1.
pub fn name(info: &Info, names: &mut String) {
    let Some(trees) = trees(info) else { return };
    let name = format!("Info Hash v2: {}", hex::encode(trees.name));
    match is_hybrid(info) {
        true => *names += &format!("\n{name}"),
        false => *names = name,
    }
}

/// Prints the root of each file. An empty one has none.
pub fn roots(info: &Info, out: &mut dyn Write) -> io::Result<()> {
    let Some(trees) = trees(info) else { return Ok(()) };
    writeln!(out, "Roots:")?;
    trees.files().iter().try_for_each(|file| {
        let path = info.files.get(file.number).map(|entry| entry.path.to_string_lossy());
        writeln!(out, "{} {}", file.root, printable(&path.unwrap_or_default()))
    })
}

/// Adds the long name, and the root of each file. `files` are those that are no padding.
pub fn add_to_json(info: &Info, names: &mut Value, files: &mut [Value]) {
    let Some(trees) = trees(info) else { return };
    if !is_hybrid(info) {
        names["info_hash"] = Value::Null;
    }
    names["info_hash_v2"] = json!(hex::encode(trees.name));
    let mut roots = trees.files().iter().peekable();
    let shown = info.files.iter().enumerate().filter(|(_, entry)| !entry.padding);
    for ((number, _), file) in shown.zip(files) {
        let root = roots.next_if(|tree| tree.number == number).map(|tree| tree.root.to_string());
        file["pieces_root"] = json!(root);
    }
}

/// Checks that the hash of each piece is known.
pub fn need_hashes(info: &Info) -> Result<(), Failure> {
    if info.is_whole() {
        return Ok(());
    }
    let missing = trees(info).map_or(0, |trees| trees.unknown().count());
    let what = format!(
        "the torrent lacks the piece hashes of {}: they are not in its info dictionary",
        counted(missing, "file")
    );
    let help =
        "get a .torrent file with \"piece layers\"; `piecemeal download` can ask peers for them";
    Err(Failure::new(BAD_INPUT, what).help(help).see("23-v2"))
}

/// Whether the torrent is of version 1 too.
pub fn is_hybrid(info: &Info) -> bool {
    trees(info).is_some_and(|trees| trees.info_hash() != info.info_hash)
}
