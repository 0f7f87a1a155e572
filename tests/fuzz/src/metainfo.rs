//! Torrents: paths that are safe, files that lie end to end, a hash of the bytes as they were.

use std::collections::HashSet;
use std::path::{Component, Path};

use arbitrary::Unstructured;
use piecemeal::s01_bencode::encode;
use piecemeal::s02_metainfo::other_sources::{MAX_NODES, MAX_WEB_SEEDS};
use piecemeal::s02_metainfo::trackers::{MAX_TIERS, MAX_TRACKERS, MAX_URL_LENGTH};
use piecemeal::s02_metainfo::{Info, InfoHash, Metainfo};
use piecemeal::s23_v2::trees;

use super::{bounded, is_printable, torrent};

/// Takes the input for a .torrent file; or, after a 0, makes one up from it.
pub fn check(input: &[u8]) {
    let made = input
        .strip_prefix(b"\0")
        .and_then(|rest| torrent::made(&mut Unstructured::new(rest), 12, 50_000).ok());
    let file = match made {
        Some(made) => {
            encode::dictionary([("announce", encode::bytes(b"http://t/")), ("info", made.info)])
        }
        None => input.to_vec(),
    };
    let read = bounded(file.len(), 512, || Metainfo::from_bytes(&file));
    match read {
        Ok(torrent) => {
            let info = &torrent.info;
            is_sound(info);
            assert!(
                file.windows(info.raw.len()).any(|window| window == info.raw),
                "the bytes are those of the file"
            );
            let alone =
                Info::from_bytes(&info.raw).expect("what was good in the file is good alone");
            assert_eq!(
                format!("{:?}", (alone.info_hash, &alone.files, alone.length)),
                format!("{:?}", (info.info_hash, &info.files, info.length))
            );
            assert!(torrent.trackers().all(|url| (1..=MAX_URL_LENGTH).contains(&url.len())));
            assert!(torrent.tiers.len() <= MAX_TIERS && torrent.trackers().count() <= MAX_TRACKERS);
            assert!(torrent.web_seeds.iter().all(|url| (1..=MAX_URL_LENGTH).contains(&url.len())));
            assert!(torrent.web_seeds.len() <= MAX_WEB_SEEDS && torrent.nodes.len() <= MAX_NODES);
        }
        Err(error) => is_printable(error),
    }
    match bounded(file.len(), 512, || piecemeal::s23_v2::from_bytes(&file)) {
        Ok(torrent) => has_sound_trees(&torrent.info),
        Err(error) => is_printable(error),
    }
}

/// What holds for every torrent of version 2 that is accepted, and for hybrids.
fn has_sound_trees(info: &Info) {
    let Some(trees) = trees(info) else { return is_sound(info) };
    let is_hybrid = info.info_hash == InfoHash::of(&info.raw);
    if is_hybrid {
        is_sound(info);
    } else {
        has_safe_files(info);
        assert!(
            info.files.iter().filter(|file| !file.padding).map(|file| file.length).sum::<u64>()
                == info.length
        );
    }
    let mut next = 0;
    for tree in trees.files() {
        let entry = &info.files[tree.number];
        assert_eq!((entry.length, entry.padding, tree.first_piece), (tree.length, false, next));
        assert_eq!(entry.offset, u64::from(next) * u64::from(info.piece_length));
        next += tree.pieces;
        let last = info.piece(next - 1).expect("a file is covered by pieces");
        let rest = tree.length - u64::from(tree.pieces - 1) * u64::from(info.piece_length);
        assert!(u64::from(info.piece_size(last)) == rest || is_hybrid, "it ends with its file");
        assert_eq!(trees.file_of(last.get()).map(|file| file.number), Some(tree.number));
        assert!(tree.layer().is_none_or(|layer| layer.len() == tree.pieces as usize));
    }
    assert_eq!(next, info.piece_count(), "the pieces are those of the files");
    let sizes: u64 = info.pieces().map(|piece| u64::from(info.piece_size(piece))).sum();
    assert_eq!(sizes, info.length, "the pieces are the content");
}

/// What holds for every torrent that is accepted.
pub fn is_sound(info: &Info) {
    assert_eq!(info.info_hash, InfoHash::of(&info.raw));
    let end = has_safe_files(info);
    assert_eq!(end, info.length);
    let sizes: u64 = info.pieces().map(|piece| u64::from(info.piece_size(piece))).sum();
    assert_eq!(sizes, info.length, "the pieces are the content");
    assert!(info.pieces().all(|piece| (1..=info.piece_length).contains(&info.piece_size(piece))));
}

/// Returns where the last file ends.
fn has_safe_files(info: &Info) -> u64 {
    is_name(&info.name);
    let mut end = 0;
    for file in &info.files {
        assert_eq!(file.offset, end, "files lie end to end");
        end += file.length;
    }
    let mut paths = HashSet::new();
    for file in info.files.iter().filter(|file| !file.padding) {
        for component in file.path.components() {
            let Component::Normal(name) = component else {
                panic!("{:?} leaves the output folder", file.path)
            };
            is_name(name.to_str().expect("a name is UTF-8"));
        }
        assert!(file.path.components().next().is_some(), "a file has a name");
        assert!(paths.insert(file.path.as_path()), "{:?} is there twice", file.path);
    }
    let folders = |path: &'_ Path| path.ancestors().skip(1).any(|folder| paths.contains(folder));
    assert!(
        !paths.iter().any(|path| folders(path)),
        "no file is where another one needs a folder: {paths:?}"
    );
    end
}

/// A name that no file system and no terminal takes for more than a name.
fn is_name(name: &str) {
    let bad = |letter: char| letter.is_control() || letter == '/' || letter == '\\';
    assert!(
        !name.contains(bad) && !matches!(name, "" | "." | "..") && name.len() <= 255,
        "{name:?}"
    );
}
