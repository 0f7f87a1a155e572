//! The content is a function of its name and seed.

use std::fs;

use piecemeal::lab::content::Content;
use piecemeal::lab::{album, hybrid, sample, version_two};
use piecemeal::s02_metainfo::Metainfo;
use piecemeal::s23_v2::trees::FileTree;
use piecemeal::s23_v2::{self, trees};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::support::folder;

#[test]
fn the_chapters_content_never_changes() {
    let (sample, album) = (sample().expect("a torrent"), album().expect("a torrent"));
    assert_eq!(sample.info_hash().to_string(), "cda492889448d540ee036365137eedd24308d22c");
    assert_eq!(album.info_hash().to_string(), "fd7f5aebc29622b73f4dee057dadf5288969ed49");
    assert!(sample.data.starts_with(
        b"0000000000 reed dusk flint gravel fern sparrow otter cedar ....\n0000000064 reed"
    ));
}

#[test]
fn the_sample_has_a_shorter_last_piece() {
    let sample = sample().expect("a torrent");
    let sizes: Vec<u32> = sample.info.pieces().map(|piece| sample.info.piece_size(piece)).collect();
    assert_eq!(sizes, [32_768, 32_768, 26_527]);
    assert_eq!(sample.data.len(), 92_063);
}

#[test]
fn the_hashes_are_those_of_the_pieces() {
    let album = album().expect("a torrent");
    for (piece, data) in album.info.pieces().zip(album.data.chunks(32_768)) {
        assert_eq!(
            album.info.piece_hash(piece),
            <[u8; 20]>::from(Sha1::digest(data)),
            "piece {piece}"
        );
    }
    assert_eq!(album.info_hash().0, <[u8; 20]>::from(Sha1::digest(&album.metadata)));
}

/// The root of some content's tree, level by level.
fn root(data: &[u8]) -> [u8; 32] {
    let mut level: Vec<[u8; 32]> =
        data.chunks(16_384).map(|block| Sha256::digest(block).into()).collect();
    level.resize(level.len().next_power_of_two(), [0; 32]);
    while level.len() > 1 {
        level = level.chunks(2).map(|two| Sha256::digest(two.as_flattened()).into()).collect();
    }
    level[0]
}

#[test]
fn torrents_with_trees_never_change() {
    let names = |content: Content| {
        let long = trees(&content.info).expect("it has trees").name;
        (content.info_hash().to_string(), hex::encode(long))
    };
    let (short, long) = names(hybrid().expect("a torrent"));
    assert_eq!(short, "9b0ee089de084630e1e2c50b73d1ab287a3b3505");
    assert_eq!(long, "7d63cf8fb353a93a0c5864b4bad074e06a7716942c91edc8db800f237b92b5c4");
    let (short, long) = names(version_two().expect("a torrent"));
    assert_eq!(long, "dec95abdbb1b849989df233a2640a8567fbfad915cebd7c657c81864be07e0f7");
    assert_eq!(short, long[..40]);
}

#[test]
fn the_sample_has_the_same_root_in_two_torrents() {
    let expected = root(&sample().expect("a torrent").data);
    for content in [hybrid().expect("a torrent"), version_two().expect("a torrent")] {
        let trees = trees(&content.info).expect("it has trees");
        let is_sample =
            |file: &&FileTree| content.info.files[file.number].path.to_str() == Some("sample.txt");
        let file = trees.files().iter().find(is_sample).expect("it has the sample's file");
        assert_eq!(file.root.0, expected, "{}", content.info.name);
        assert_eq!(
            file.layer().map(<[_]>::len),
            Some(3),
            "{}: its hashes are known",
            content.info.name
        );
    }
}

#[test]
fn torrents_with_trees_are_written_with_their_layers_and_linked_to_by_all_names() {
    let folder = folder();
    for (content, names) in [
        (hybrid().expect("a torrent"), &["btih:", "btmh:1220"][..]),
        (version_two().expect("a torrent"), &["btmh:1220"]),
    ] {
        let path = content.write_torrent(folder.path(), &[]).expect("written");
        let there = s23_v2::read(&path).expect("a torrent").info;
        assert!(there.is_whole() && there == *content.info, "{}", there.name);
        assert_eq!(content.names().len(), names.len());
        let link = content.magnet(&[], &[]);
        for name in ["btih:", "btmh:1220"] {
            assert_eq!(link.contains(name), names.contains(&name), "{link}");
        }
        // Padding is no file.
        let top = content.write_original(folder.path()).expect("written");
        let mut there = fs::read_dir(&top).expect("a folder").count();
        if top.join("notes").is_dir() {
            there += fs::read_dir(top.join("notes")).expect("a folder").count() - 1;
        }
        let files = content.info.files.iter().filter(|file| !file.padding).count();
        assert_eq!(there, files, "{}", top.display());
    }
}

#[test]
fn the_album_has_an_empty_file_and_a_name_that_is_not_ascii() {
    let files = album().expect("a torrent").info.files.clone();
    assert!(files.iter().any(|file| file.length == 0));
    assert!(files.iter().any(|file| !file.path.to_string_lossy().is_ascii()));
    assert!(files.iter().any(|file| file.path.components().count() > 1));
}

#[test]
fn a_torrent_names_its_trackers_a_tier_each() {
    let tiny = Content::single("a", 1, 1, 0).expect("a torrent");
    let info = b"4:infod6:lengthi1e4:name1:a12:piece lengthi1e6:pieces20:";
    let hash = Sha1::digest(b"0");
    let none = [b"d10:created by13:piecemeal lab".as_slice(), info, &hash, b"ee"].concat();
    assert_eq!(tiny.torrent(&[]), none);
    let one =
        [b"d8:announce8:http://x10:created by13:piecemeal lab".as_slice(), info, &hash, b"ee"]
            .concat();
    assert_eq!(tiny.torrent(&["http://x".to_owned()]), one);
    let two = tiny.torrent(&["http://x".to_owned(), "http://y".to_owned()]);
    let head = b"d8:announce8:http://x13:announce-listll8:http://xel8:http://yee10:created by";
    assert!(two.starts_with(head), "{}", String::from_utf8_lossy(&two));
}

#[test]
fn a_magnet_link_names_trackers_and_peers() {
    let tiny = Content::single("a b", 1, 1, 0).expect("a torrent");
    let hash = tiny.info_hash();
    let peers = ["127.0.0.2:6881".parse().expect("an address")];
    assert_eq!(
        tiny.magnet(&["http://127.0.0.1:6969/announce".to_owned()], &peers),
        format!(
            "magnet:?xt=urn:btih:{hash}&dn=a%20b&tr=http%3A%2F%2F127.0.0.1%3A6969%2Fannounce&x.pe=127.0.0.2:6881"
        )
    );
}

#[test]
fn impossible_content_is_an_error() {
    assert!(Content::single("a", 1, 0, 0).is_err());
    assert!(Content::single("..", 1, 1, 0).is_err());
    assert!(Content::folder("a", &[("x", 1), ("x/y", 1)], 1, 0).is_err());
}

#[test]
fn originals_are_written_but_not_over_anything_else() {
    let (folder, album) = (folder(), album().expect("a torrent"));
    let top = album.write_original(folder.path()).expect("written");
    let mut all = Vec::new();
    for file in &album.info.files {
        all.extend(fs::read(top.join(&file.path)).expect("the file is there"));
    }
    assert!(all == *album.data);
    album.write_original(folder.path()).expect("the same content is no reason to fail");
    fs::write(top.join("02 low tide.txt"), "mine").expect("written");
    let error = album.write_original(folder.path()).expect_err("other content");
    assert!(error.to_string().ends_with("02 low tide.txt: exists, with other content"), "{error}");
    assert_eq!(fs::read(top.join("02 low tide.txt")).expect("still there"), b"mine");
}

#[test]
fn a_torrent_file_is_replaced_only_by_the_same_torrent() {
    let (folder, sample) = (folder(), sample().expect("a torrent"));
    let path = sample
        .write_torrent(folder.path(), &["http://127.0.0.1:1/announce".to_owned()])
        .expect("written");
    assert_eq!(path, folder.path().join("sample.torrent"));
    sample
        .write_torrent(folder.path(), &["http://127.0.0.1:2/announce".to_owned()])
        .expect("replaced");
    let there = Metainfo::read(&path).expect("a torrent");
    assert_eq!(there.trackers().collect::<Vec<_>>(), ["http://127.0.0.1:2/announce"]);
    let other = Content::single("sample.md", 1, 1, 0).expect("a torrent");
    assert!(other.write_torrent(folder.path(), &[]).is_err());
}
