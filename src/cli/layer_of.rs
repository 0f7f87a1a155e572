//! Which hashes of a torrent a peer can be asked for. (stage 24)

use std::path::{Path, PathBuf};

use piecemeal::s02_metainfo::{Info, InfoHash};
use piecemeal::s23_v2::merkle::{BLOCK_LENGTH, height_of};
use piecemeal::s23_v2::trees;
use piecemeal::s23_v2::trees::FileTree;
use piecemeal::s24_hash_transfer::layers::Lacking;

use super::exit_codes::{BAD_INPUT, USAGE};
use super::failure::Failure;

/// A layer of hashes to ask for.
pub struct Wanted {
    /// The name of the torrent in handshakes.
    pub info_hash: InfoHash,
    /// The file.
    pub path: PathBuf,
    pub layer: Lacking,
}

/// Returns the piece layer of a file, or of the first one that has one. A file of one piece has no
/// hash of a piece but its root; then its blocks' are asked for.
pub fn layer_of(info: &Info, path: Option<&Path>) -> Result<Wanted, Failure> {
    let Some(trees) = trees(info) else {
        let what = "this torrent is of version 1: it has a list of hashes, and no tree";
        let help = "`piecemeal create --version 2` makes one with trees";
        return Err(Failure::new(BAD_INPUT, what).help(help).see("23-v2"));
    };
    let entry = |file: &FileTree| info.files.get(file.number).map(|entry| entry.path.as_path());
    let is_it = |file: &&FileTree| path.is_none_or(|path| entry(file) == Some(path));
    let mut files = trees.files().iter().filter(is_it).peekable();
    if let (None, Some(path)) = (files.peek(), path) {
        let is_there = info.files.iter().any(|entry| !entry.padding && entry.path == path);
        let (what, help) = if is_there {
            let what = format!("the file \"{}\" is empty, and so has no hashes", path.display());
            (what, "name a file that is not empty")
        } else {
            let what = format!("there is no file \"{}\" in it", path.display());
            (what, "`piecemeal info` lists the files")
        };
        return Err(Failure::new(USAGE, what).help(help).see("24-hash-transfer"));
    }
    let asked = |file: &FileTree| {
        let layer = if file.pieces == 1 { 0 } else { trees.piece_height() };
        let covered = (BLOCK_LENGTH as u64) << layer;
        Lacking {
            root: file.root,
            pieces: file.length.div_ceil(covered) as u32, // at most 2^21
            piece_layer: layer,
            height: height_of(file.length),
        }
    };
    let all: Vec<_> = files.map(|file| (file, asked(file))).collect();
    // A piece layer rather than blocks.
    let found = all.iter().find(|(file, _)| file.pieces > 1);
    let Some((file, layer)) = found.or_else(|| all.iter().find(|(_, layer)| layer.pieces > 1))
    else {
        let what = "there is nothing to ask for: a file of one block has no hash but its root";
        return Err(Failure::new(BAD_INPUT, what)
            .help("name a file of more than 16 KiB, or another torrent")
            .see("24-hash-transfer"));
    };
    let path = entry(file).unwrap_or(Path::new("")).to_owned();
    Ok(Wanted { info_hash: trees.info_hash(), path, layer: *layer })
}
