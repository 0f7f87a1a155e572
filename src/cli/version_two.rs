//! What a torrent of version 2 adds to what is shown of a torrent. (stage 23)

use std::io::{self, Write};
use std::path::Path;

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::s02_metainfo::Info;
use piecemeal::s15_swarm::view::Watch;
use piecemeal::s23_v2::trees;
use serde_json::{Value, json};

use super::exit_codes::BAD_INPUT;
use super::failure::Failure;
use super::screen::progress::Progress;

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

/// Checks that the hash of each piece is known, of a torrent from this file.
pub fn need_hashes(info: &Info, torrent: &Path) -> Result<(), Failure> {
    let Some(files) = lacking(info) else { return Ok(()) };
    let what = format!("has no \"piece layers\" for {files}");
    let help = "get a .torrent file that has them; only `piecemeal download` asks peers for them";
    Err(Failure::new(BAD_INPUT, what).about(torrent.display()).help(help).see("23-v2"))
}

/// Checks that the hash of each piece is known, of a torrent from a link.
pub fn need_hashes_of_link(info: &Info) -> Result<(), Failure> {
    let Some(files) = lacking(info) else { return Ok(()) };
    let what = format!("a link leads to no piece hashes, and {files} of this torrent need them");
    let help = "`piecemeal magnet_download` asks peers for them";
    Err(Failure::new(BAD_INPUT, what).help(help).see("24-hash-transfer"))
}

/// The number of files whose piece hashes must be known and are not: `2 files`.
fn lacking(info: &Info) -> Option<String> {
    let missing = trees(info).map_or(0, |trees| trees.unknown().count());
    (!info.is_whole()).then(|| counted(missing, "file"))
}

/// What trackers and peers know the torrent by, if it is no SHA-1.
pub fn known_by(info: &Info) -> Option<&'static str> {
    let is_cut = trees(info).is_some() && !is_hybrid(info);
    is_cut.then_some("the first 20 bytes of the SHA-256 of its info dictionary")
}

/// Explains where the hashes of pieces come from, once those are known that a download needs.
pub fn tell_hashes(watch: &Watch, progress: &Progress) {
    // It is known this early only if it began without some of the hashes.
    let Some(info) = watch.info() else { return };
    let Some(trees) = trees(&info) else { return };
    let files = trees.files().iter().filter(|file| file.pieces > 1).count();
    if trees.is_incomplete() {
        let what = "its SHA-1 hashes are enough to begin; peers are asked for those of its trees";
        progress.say(24, what);
    } else if !is_hybrid(&info) && files > 0 {
        let files = counted(files, "file");
        progress.say(24, &format!("peers gave the piece hashes of {files}, proved by their roots"));
    }
}

/// The chapter about finding out who has spoilt a piece, if its blocks have hashes that show it. A
/// hybrid may have begun without them.
pub fn blame(watch: &Watch) -> Option<u8> {
    let info = watch.info()?;
    trees(&info).filter(|trees| !trees.is_incomplete()).map(|_| 24)
}

/// Whether the torrent is of version 1 too.
pub fn is_hybrid(info: &Info) -> bool {
    trees(info).is_some_and(|trees| trees.info_hash() != info.info_hash)
}
