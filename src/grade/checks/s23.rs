//! Stage 23: torrents of version 2, and hybrids: what `info`, `verify`, `magnet_parse`, `download`
//! and `magnet_download` make of them.

mod broken;
pub(super) mod fetching;
mod links;
pub(super) mod shown;

use crate::actors::tree::BLOCK;
use crate::actors::version_two::Draft;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::Miss;
use crate::grade::scene::Scene;
use shown::{Shown, told};

const TREE: &str = "BEP 52, file tree";
const LAYERS: &str = "BEP 52, piece layers";
const INFO: &str = "BEP 52, info dictionary";
const UPGRADE: &str = "BEP 52, upgrade path";
const MAGNET: &str = "BEP 52, magnet links";
const HANDSHAKE: &str = "BEP 52, infohash";
/// The checks with a good torrent of one file, with a hybrid, and with several files.
const ONE: &str = "23.1";
const HYBRID: &str = "23.2";
const SEVERAL: &str = "23.3";
/// The checks with right content, with a good link, and with good peers.
const RIGHT: &str = "23.5";
const LINK: &str = "23.7";
const FROM_FILE: &str = "23.20";

/// The checks of stage 23.
pub const CHECKS: &[Check] = &[
    Check::new("23.1", "a torrent of version 2: its name, and the file's root", INFO, one)
        .points(2),
    Check::new("23.2", "a hybrid: both names, and the hashes of both", UPGRADE, hybrid).points(2),
    Check::new("23.3", "files in folders, and an empty one, as in the tree", TREE, several),
    Check::new("23.4", "a file of one piece: the root is the piece's hash", TREE, small),
    Check::new("23.5", "verify: files of a byte, a block, a piece, and more", TREE, lengths)
        .points(2),
    Check::new("23.6", "verify: one wrong bit is found", TREE, wrong_bit).refusal(RIGHT),
    Check::new("23.7", "magnet_parse: a link with a name of version 2", MAGNET, links::new),
    Check::new("23.8", "magnet_parse: a link with both names", MAGNET, links::both),
    Check::new("23.9", "magnet_parse: a hash of another kind is refused", MAGNET, links::odd)
        .refusal(LINK),
    Check::new("23.10", "a tree that is not sorted is refused", TREE, broken::unsorted)
        .refusal(SEVERAL),
    Check::new("23.11", "a piece layer with a wrong hash is refused", LAYERS, broken::layer)
        .refusal(ONE)
        .points(2),
    Check::new("23.12", "layers too short, too long, of no file", LAYERS, broken::layer_sizes)
        .refusal(ONE),
    Check::new("23.13", "a root of zeros, of 31 bytes, or none", TREE, broken::roots).refusal(ONE),
    Check::new("23.14", "a piece length or a version that there is not", INFO, broken::numbers)
        .refusal(ONE),
    Check::new("23.15", "a file beside others in its own dictionary", TREE, broken::neighbors)
        .refusal(SEVERAL),
    Check::new("23.16", "a name in the tree that leads out of it", TREE, broken::step_up)
        .refusal(SEVERAL),
    Check::new("23.17", "a hybrid whose halves differ is refused", UPGRADE, broken::halves)
        .refusal(HYBRID)
        .points(2),
    Check::new("23.18", "download: a file, from a peer of version 2", HANDSHAKE, fetching::one)
        .points(2),
    Check::new("23.19", "download: each file begins at a piece", TREE, fetching::several).points(2),
    Check::new("23.20", "download: a hybrid, and no padding on disk", UPGRADE, fetching::hybrid),
    Check::new("23.21", "download: a peer lies, and another one gives", TREE, fetching::liar),
    Check::new("23.22", "download: a hybrid with two contents", UPGRADE, fetching::contradiction)
        .refusal(FROM_FILE),
    Check::new("23.23", "magnet_download: a link of version 2", MAGNET, fetching::link).points(2),
    Check::new("23.24", "magnet_download: a peer's metadata is forged", MAGNET, fetching::forged),
    Check::new("23.25", "the tracker is told the first 20 bytes", HANDSHAKE, fetching::announced),
];

/// Returns a torrent of one file with this many pieces, of which the last is short.
pub(super) fn of_pieces(scene: &mut Scene, pieces: usize) -> Draft {
    let piece_length = *scene.dice.one_of(&[32_768, 65_536, 131_072]);
    let last = scene.dice.length(1, piece_length - 1);
    let content = scene.dice.bytes(pieces.saturating_sub(1) * piece_length + last);
    Draft::single(&format!("{}.bin", scene.dice.word(8)), piece_length, content)
}

/// Files to make a torrent of: a folder and a file whose names begin in the same way, so that the
/// order of the tree is not that of the whole paths.
pub(super) fn some_files(scene: &mut Scene, piece_length: usize) -> Vec<(String, Vec<u8>)> {
    let [stem, inner, last] = [5, 6, 4].map(|length| scene.dice.word(length));
    let lengths = [
        (format!("{stem}/{inner}"), 2 * piece_length + 1, 4 * piece_length),
        (format!("{stem}/{inner}.dat"), 1, 900),
        (format!("{stem}.txt"), piece_length - 700, piece_length - 1),
        (format!("{stem}x/{last}/empty"), 0, 0),
        (format!("{stem}x/{last}/full"), piece_length, piece_length),
        (format!("{stem}y"), BLOCK + 1, 2 * BLOCK - 1),
    ];
    let file = |(path, low, high)| {
        let length = scene.dice.length(low, high);
        (path, scene.dice.bytes(length))
    };
    lengths.map(file).into()
}

/// Returns a torrent of such files.
fn of_files(scene: &mut Scene) -> Draft {
    let piece_length = *scene.dice.one_of(&[32_768, 65_536]);
    let files = some_files(scene, piece_length);
    drafted(scene, piece_length, &files)
}

/// Returns a torrent of these files.
pub(super) fn drafted(
    scene: &mut Scene,
    piece_length: usize,
    files: &[(String, Vec<u8>)],
) -> Draft {
    let files: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(path, data)| (path.as_str(), data.clone())).collect();
    Draft::files(&scene.dice.word(7), piece_length, &files)
}

fn one(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(3, 7);
    let torrent = of_pieces(scene, pieces).build();
    told(scene, &torrent, Shown::Right)
}

fn hybrid(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(3, 7);
    let torrent = of_pieces(scene, pieces).hybrid(true).build();
    told(scene, &torrent, Shown::Right)?;
    // With padding, also behind the last file; or without that, as older programs make them.
    let tail = scene.dice.coin();
    for tail in [tail, !tail] {
        let torrent = of_files(scene).hybrid(tail).build();
        told(scene, &torrent, Shown::Hybrid(tail))?;
    }
    Ok(())
}

fn several(scene: &mut Scene) -> Finding {
    let torrent = of_files(scene).build();
    told(scene, &torrent, Shown::Right)
}

fn small(scene: &mut Scene) -> Finding {
    for blocks in [1, 3] {
        let rest = scene.dice.length(1, BLOCK - 1);
        let content = scene.dice.bytes((blocks - 1) * BLOCK + rest);
        let name = format!("{}.bin", scene.dice.word(8));
        let torrent = Draft::single(&name, 16 * BLOCK, content).build();
        told(scene, &torrent, Shown::Small)?;
    }
    Ok(())
}

/// Why a hash of right content may come out wrong.
fn cause_of(length: usize, piece_length: usize) -> &'static str {
    match length {
        _ if length <= BLOCK => {
            "a file of one block has one leaf, which is the root: SHA-256 of the bytes that there \
             are, and no zeros behind them"
        }
        _ if length < piece_length => {
            "a file shorter than a piece: its leaves are filled up to the next power of two, and \
             not to the number of blocks in a piece"
        }
        _ if length.is_multiple_of(piece_length) => {
            "a file that ends with a piece: there is no short one behind it"
        }
        _ => {
            "the last piece is short: its last block is hashed as short as it is, and the leaves \
             that are missing are 32 zero bytes each, up to a whole piece"
        }
    }
}

fn lengths(scene: &mut Scene) -> Finding {
    const PIECE: usize = 4 * BLOCK;
    let some = scene.dice.length(2 * BLOCK + 1, 3 * BLOCK - 1);
    for length in
        [1, BLOCK, BLOCK + 1, some, PIECE, PIECE + 1, 2 * PIECE + some, 3 * PIECE, 5 * PIECE + 1]
    {
        let content = scene.dice.bytes(length);
        let torrent =
            Draft::single(&format!("{}.bin", scene.dice.word(8)), PIECE, content.clone()).build();
        let file = scene.torrent_file(&torrent, shown::ANNOUNCE)?;
        let content = scene.file("content", &content)?;
        let outcome = scene.run(&["verify", &file, &content])?;
        outcome.succeeds().map_err(|miss| {
            miss.detail(format!("the file has {length} bytes, in pieces of {PIECE}"))
                .perhaps(cause_of(length, PIECE))
                .likely(cause_of(length, PIECE))
        })?;
    }
    Ok(())
}

fn wrong_bit(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(3, 6);
    for hybrid in [false, true] {
        let draft = of_pieces(scene, pieces);
        let torrent = if hybrid { draft.hybrid(true) } else { draft }.build();
        let file = scene.torrent_file(&torrent, shown::ANNOUNCE)?;
        let mut content = torrent.content.clone();
        let place = scene.dice.length(0, content.len() - 1);
        content[place] ^= 1;
        let path = scene.file("content", &content)?;
        scene.run(&["verify", &file, &path])?.refuses().map_err(|miss: Miss| {
            miss.likely("the hash of a piece is the top of the tree of its blocks: compare it with the piece's in `piece layers`")
        })?;
    }
    Ok(())
}
