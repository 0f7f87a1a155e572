//! Torrents with trees that are to be refused, as soon as they are read.

use super::{drafted, of_pieces, shown, some_files};
use crate::actors::bencode::{bytes, dict, int, list};
use crate::actors::torrent::Torrent;
use crate::actors::tree::{Hash, TreeFile};
use crate::actors::version_two::{Draft, leaf, padded};
use crate::grade::check::Finding;
use crate::grade::miss::worst;
use crate::grade::scene::Scene;

const PIECE: usize = 32_768;

/// Insists that `info` refuses this torrent.
fn refused(scene: &mut Scene, torrent: &Torrent, cause: &str) -> Finding {
    let name = format!("{}.torrent", scene.dice.word(6));
    let file = scene.file(&name, torrent.file(Some(shown::ANNOUNCE)))?;
    let outcome = scene.run(&["info", &file])?;
    outcome.refuses_silently().map_err(|miss| miss.likely(cause))
}

/// The same for several, until one is not refused.
fn all_refused(
    scene: &mut Scene,
    torrents: impl IntoIterator<Item = (Draft, &'static str)>,
) -> Finding {
    worst(torrents.into_iter().map(|(draft, cause)| refused(scene, &draft.build(), cause)))
}

/// Returns a torrent of one file, with a tree that is made of it.
fn with_tree(scene: &mut Scene, tree: impl Fn(&TreeFile) -> Vec<u8>) -> Draft {
    let mut draft = of_pieces(scene, 4);
    let tree = tree(&draft.files[0]);
    draft.set("file tree", tree);
    draft
}

/// Takes the layers away: of no file, they would be refused for that.
fn bare(mut draft: Draft) -> Draft {
    draft.layers.clear();
    draft
}

/// Returns what is at the name of a file.
fn at_name(file: &TreeFile) -> Vec<u8> {
    leaf(file.length, Some(&file.tree.root()))
}

pub fn unsorted(scene: &mut Scene) -> Finding {
    let cause = "the order of the tree is the order of the pieces: a tree whose keys are not sorted \
                 by their bytes would be two torrents to two clients";
    let flat = |scene: &mut Scene| {
        let mut files = [("a", 2), ("b", 3)].map(|(path, pieces)| {
            (format!("{path}{}", scene.dice.word(4)), scene.dice.bytes(pieces * PIECE))
        });
        files.reverse();
        drafted(scene, PIECE, &files)
    };
    // At the top, and inside of a folder.
    for inside in [false, true] {
        let mut draft = flat(scene);
        let mut entries: Vec<_> =
            draft.files.iter().map(|file| (file.path.as_str(), at_name(file))).collect();
        entries.reverse();
        let tree = dict(&entries);
        let tree = if inside { dict(&[("folder", tree)]) } else { tree };
        draft.set("file tree", tree);
        refused(scene, &draft.build(), cause)?;
    }
    Ok(())
}

/// Returns a torrent of one file, with another piece layer.
fn with_layer(scene: &mut Scene, change: impl Fn(&mut Vec<u8>)) -> Draft {
    let pieces = scene.dice.length(3, 6);
    let mut draft = of_pieces(scene, pieces);
    draft.layers.values_mut().for_each(change);
    draft
}

pub fn layer(scene: &mut Scene) -> Finding {
    let place = scene.dice.length(0, 95);
    let draft = with_layer(scene, |layer| layer[place] ^= 1);
    let cause = "`piece layers` is outside of info, so the torrent's name says nothing of it: compute \
                 the root above each layer, and compare it with the file's";
    refused(scene, &draft.build(), cause)
}

pub fn layer_sizes(scene: &mut Scene) -> Finding {
    let size = "a layer has 32 bytes for each piece of its file, not more and not less: what is \
                beyond the end is left out";
    let mut unknown = with_layer(scene, |_| ());
    let other: Hash = scene.dice.bytes(32).try_into().unwrap_or_default();
    unknown.layers.insert(other, scene.dice.bytes(64));
    let torrents = [
        (with_layer(scene, |layer| layer.truncate(layer.len() - 32)), size),
        (with_layer(scene, |layer| layer.extend([0; 32])), size),
        (with_layer(scene, |layer| layer.truncate(layer.len() - 1)), size),
        (with_layer(scene, Vec::clear), size),
        (unknown, "each key of `piece layers` is the root of a file: of this one, nobody knows it"),
    ];
    all_refused(scene, torrents)
}

pub fn roots(scene: &mut Scene) -> Finding {
    let leaf_of = |file: &TreeFile, root: Option<&[u8]>| {
        let mut keys = vec![("length", int(file.length as i64))];
        keys.extend(root.map(|root| ("pieces root", bytes(root))));
        dict(&[(file.path.as_str(), dict(&[("", dict(&keys))]))])
    };
    let zeros = with_tree(scene, |file| leaf_of(file, Some(&[0; 32])));
    let short = with_tree(scene, |file| leaf_of(file, file.tree.root().get(..31)));
    let none = with_tree(scene, |file| leaf_of(file, None));
    let torrents = [
        (bare(short), "a root has 32 bytes"),
        (bare(none), "a file that is not empty has a root: nothing could be checked without it"),
        (
            bare(zeros),
            "a root of zeros is the hash of nothing: zeros stand for leaves that are missing, and no file has this root",
        ),
    ];
    all_refused(scene, torrents)
}

pub fn numbers(scene: &mut Scene) -> Finding {
    let with = |scene: &mut Scene, key, value: usize| {
        // Of a file this short, there is no layer that would not fit.
        let length = scene.dice.length(1, 8_000);
        let content = scene.dice.bytes(length);
        let mut draft = Draft::single(&format!("{}.bin", scene.dice.word(8)), PIECE, content);
        draft.set(key, int(value as i64));
        draft
    };
    let power = "in version 2, the piece length is a power of two, and 16 KiB or more: a piece is a \
                 whole subtree";
    let version = "a `meta version` that you do not know may mean anything: refuse it";
    let torrents = [
        (with(scene, "piece length", 49_152), power),
        (with(scene, "piece length", 8_192), power),
        (with(scene, "piece length", 0), power),
        (with(scene, "meta version", 3), version),
    ];
    all_refused(scene, torrents)
}

pub fn neighbors(scene: &mut Scene) -> Finding {
    let beside = "a dictionary with the empty key is a file: nothing else can be in it";
    let keys = |file: &TreeFile| {
        dict(&[("length", int(file.length as i64)), ("pieces root", bytes(file.tree.root()))])
    };
    let torrents = [
        (
            with_tree(scene, |file| {
                let both = dict(&[("", keys(file)), ("other", at_name(file))]);
                dict(&[(file.path.as_str(), both)])
            }),
            beside,
        ),
        (
            with_tree(scene, |file| dict(&[("", keys(file))])),
            "the tree itself is a folder, and its files have names",
        ),
        (bare(with_tree(scene, |_| list(&[]))), "`file tree` is a dictionary"),
        (bare(with_tree(scene, |_| dict(&[]))), "a tree without a file is no torrent"),
    ];
    all_refused(scene, torrents)
}

pub fn step_up(scene: &mut Scene) -> Finding {
    let cause = "this path leads out of the folder for downloads: refuse it at once";
    let draft = with_tree(scene, |file| {
        let name = file.path.as_str();
        dict(&[("..", dict(&[(name, at_name(file))])), (name, at_name(file))])
    });
    refused(scene, &draft.build(), cause)
}

pub fn halves(scene: &mut Scene) -> Finding {
    let files = some_files(scene, PIECE);
    let with = |scene: &mut Scene, change: &dyn Fn(&mut Vec<TreeFile>)| {
        let mut draft = drafted(scene, PIECE, &files).hybrid(false);
        let mut changed = draft.files.clone();
        change(&mut changed);
        draft.set("files", list(&padded(&changed, draft.content.len())));
        draft
    };
    let without_padding = |scene: &mut Scene| {
        let mut draft = drafted(scene, PIECE, &files).hybrid(false);
        let entries: Vec<Vec<u8>> =
            draft.files.iter().flat_map(|file| padded(std::slice::from_ref(file), 0)).collect();
        draft.set("files", list(&entries));
        let all: Vec<u8> = files.iter().flat_map(|(_, data)| data.clone()).collect();
        let hashes = all.chunks(PIECE).flat_map(crate::actors::torrent::sha1);
        draft.set("pieces", bytes(hashes.collect::<Vec<u8>>()));
        draft
    };
    let length = |scene: &mut Scene| {
        let mut draft = of_pieces(scene, 4).hybrid(true);
        draft.set("length", int(draft.content.len() as i64 - 1));
        draft
    };
    let torrents = [
        (
            length(scene),
            "`length` and the tree say different lengths: a client of version 1 would see another \
             file",
        ),
        (
            with(scene, &|files| files[2].path = "another.txt".to_owned()),
            "`files` and the tree say different names: compare them one by one",
        ),
        (
            with(scene, &|files| {
                // The same lengths, so that all that differs is the order of two names.
                let (first, last) = (files[0].path.clone(), files[5].path.clone());
                (files[0].path, files[5].path) = (last, first);
            }),
            "`files` and the tree have the same names in different orders: compare them one by one",
        ),
        (
            without_padding(scene),
            "without padding in `files`, the second file begins inside a piece of version 1, and at \
             a piece in version 2",
        ),
    ];
    all_refused(scene, torrents)
}
