//! What `info` must show of a torrent with trees, and which mistake shows something else.

use crate::actors::torrent::{Torrent, sha1};
use crate::actors::tree::{BLOCK, Hash, TreeFile, VersionTwo, sha256};
use crate::grade::check::Finding;
use crate::grade::miss::Miss;
use crate::grade::scene::Scene;

/// Nobody listens there, and nobody has to.
pub const ANNOUNCE: &str = "http://127.0.0.1:9/announce";

/// What is special about a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Right,
    /// The file is shorter than a piece.
    Small,
    /// It is a hybrid of several files, with padding behind the last one or without.
    Hybrid(bool),
}

/// Returns the hash of each of a file's pieces.
pub fn piece_hashes(torrent: &Torrent, file: &TreeFile) -> Vec<Hash> {
    if file.length <= torrent.piece_length {
        return (file.length > 0).then(|| file.tree.root()).into_iter().collect();
    }
    let height = (torrent.piece_length / BLOCK).max(1).ilog2() as usize;
    let pieces = file.length.div_ceil(torrent.piece_length);
    file.tree.layer(height).iter().take(pieces).copied().collect()
}

/// Returns the length of a torrent. To version 1, padding is content.
fn length(torrent: &Torrent, two: &VersionTwo) -> usize {
    match two.hybrid {
        true => torrent.content.len(),
        false => two.files.iter().map(|file| file.length).sum(),
    }
}

/// Returns what `info` prints.
pub fn text(torrent: &Torrent, two: &VersionTwo) -> String {
    let mut lines =
        vec![format!("Tracker URL: {ANNOUNCE}"), format!("Length: {}", length(torrent, two))];
    if two.hybrid {
        lines.push(format!("Info Hash: {}", torrent.hex()));
    }
    lines.push(format!("Info Hash v2: {}", hex::encode(two.name)));
    lines.push(format!("Piece Length: {}", torrent.piece_length));
    lines.push("Piece Hashes:".to_owned());
    if two.hybrid {
        lines.extend((0..torrent.pieces()).map(|piece| hex::encode(sha1(torrent.piece(piece)))));
    } else {
        let hashes = two.files.iter().flat_map(|file| piece_hashes(torrent, file));
        lines.extend(hashes.map(hex::encode));
    }
    lines.push("Roots:".to_owned());
    let full = two.files.iter().filter(|file| file.length > 0);
    lines.extend(full.map(|file| format!("{} {}", hex::encode(file.tree.root()), file.path)));
    lines.join("\n")
}

/// Runs `info`, and insists that it shows all of this.
pub fn told(scene: &mut Scene, torrent: &Torrent, special: Shown) -> Finding {
    let Some(two) = &torrent.version_two else { return Ok(()) };
    let file = scene.torrent_file(torrent, ANNOUNCE)?;
    let outcome = scene.run(&["info", &file])?;
    outcome.prints(&text(torrent, two)).map_err(|miss| {
        let text = outcome.text();
        match mistake(torrent, two, &text).filter(|_| !text.is_empty()) {
            Some(cause) => miss.likely(cause),
            None => guess(miss, special),
        }
    })
}

/// Returns the mistake that shows this, if it is a known one.
fn mistake(torrent: &Torrent, two: &VersionTwo, found: &str) -> Option<&'static str> {
    let has = |hash: &[u8]| found.contains(&hex::encode(hash));
    let whole = torrent.file(Some(ANNOUNCE));
    let length = format!("Length: {}", length(torrent, two));
    if !two.hybrid && has(&sha1(&torrent.info)) {
        return Some(
            "the name of version 2 is the SHA-256 of the value of info, and there is no SHA-1 in it",
        );
    }
    if has(&sha256(&whole)) {
        return Some("the hash is that of the whole .torrent file: hash the value of info");
    }
    if found.contains("Info Hash v2: ") && !has(&two.name) {
        return Some(match has(&two.short()) {
            true => "the name of version 2 has 32 bytes; it is cut to 20 on the wire only",
            false => {
                "the name of version 2 is the SHA-256 of the value of info, as it is in the file"
            }
        });
    }
    if !found.lines().any(|line| line == length) {
        return Some(match two.hybrid {
            true => {
                "the length of a hybrid is that of version 1: the sum of all `length` in `files`"
            }
            false => "the length is the sum of the files' own: there is no padding in the tree",
        });
    }
    None
}

fn guess(miss: Miss, special: Shown) -> Miss {
    match special {
        Shown::Right => miss.perhaps("a file is a dictionary with one key, which is empty; all other keys of a tree are names, and each file's hashes are at its root in `piece layers`"),
        Shown::Small => miss.perhaps("`piece layers` has no entry for a file that is no longer than a piece: its one piece has the root as hash"),
        Shown::Hybrid(true) => miss.perhaps("entries of `files` with a p in `attr` are padding, also the last one: they are no files, and the tree does not have them"),
        Shown::Hybrid(false) => miss.perhaps("there is no padding behind the last file: both forms of a hybrid are in use"),
    }
}
