//! Torrents that are broken, each with the words that say so.

use super::super::support::assert_read;
use super::super::support::bencode::{bytes, dict, int};
use super::made::{BLOCK, Made, entry, root, torrent_file};
use piecemeal::s02_metainfo::MetainfoError;
use piecemeal::s23_v2::merkle::Hash;
use piecemeal::s23_v2::{V2Error, from_bytes, info_from_bytes, trees};

/// An info dictionary with this tree.
fn with_tree(tree: Vec<u8>) -> Vec<u8> {
    with(tree, int(16_384))
}

fn with(tree: Vec<u8>, piece_length: Vec<u8>) -> Vec<u8> {
    dict(&[
        ("file tree", tree),
        ("meta version", int(2)),
        ("name", bytes("n")),
        ("piece length", piece_length),
    ])
}

fn file(length: u64) -> Vec<u8> {
    entry(length, Some(&[7; 32]))
}

#[track_caller]
fn is_refused(info: &[u8], words: &str) -> MetainfoError {
    let told = match info_from_bytes(info) {
        Ok(_) => "nothing".to_owned(),
        Err(error) if error.to_string().contains(words) => return error,
        Err(error) => error.to_string(),
    };
    let told = told.as_str();
    assert_read(info, told, words, "BEP 52, file tree");
    unreachable!("they differ")
}

#[test]
fn trees_that_are_no_trees_of_files_are_refused() {
    let both = dict(&[("", dict(&[("length", int(0))])), ("b", file(1))]);
    let behind =
        [b"d".to_vec(), bytes("b"), file(1), bytes("c"), dict(&[("", int(1))]), b"e".to_vec()];
    let many = vec![b'n'; 100];
    let table = [
        (int(1), "info.file tree must be a dictionary, but is 1"),
        (b"de".to_vec(), "info.file tree must be a tree with at least one file, but is empty"),
        (dict(&[("sub", b"de".to_vec())]), "at least one file"),
        (entry(1, Some(&[7; 32])), "info.file tree: a file is where a folder is"),
        (dict(&[("a", both)]), "info.file tree.a: a file is where a folder is, or has neighbors"),
        (dict(&[("a", int(3))]), "info.file tree.a must be a dictionary, but is an integer"),
        (behind.concat(), "info.file tree.c.length"),
        (dict(&[("b", file(1)), ("a", file(1))]), "info.file tree: \"a\" comes after \"b\""),
        (dict(&[("s", dict(&[("b", file(1)), ("B", file(1))]))]), "info.file tree.s: \"B\" comes"),
        (dict(&[("a", file(1)), ("a", file(1))]), "the key \"a\" appears twice"),
        (dict(&[("..", file(1))]), "a name may not be a step up or to itself"),
        (dict(&[("a", dict(&[("..", dict(&[("b", file(1))]))]))]), "a step up"),
        (dict(&[("a", dict(&[("", b"de".to_vec())]))]), "info.file tree.a.length is missing"),
        (
            dict(&[("a", dict(&[("", dict(&[("length", int(-1))]))]))]),
            "info.file tree.a.length must be an integer, 0 or more, but is -1",
        ),
        (dict(&[("a", entry(1, None))]), "info.file tree.a.pieces root is missing"),
        (
            dict(&[("a", entry(1, Some(&[7; 31])))]),
            "info.file tree.a.pieces root must be 32 bytes, not all of them 0, but is 31 bytes",
        ),
        (dict(&[("a", entry(1, Some(&[7; 33])))]), "not all of them 0, but is 33 bytes"),
        (dict(&[("a", entry(1, Some(&[])))]), "not all of them 0, but is 0 bytes"),
        (
            dict(&[("a", entry(1, Some(&[0; 32])))]),
            "info.file tree.a.pieces root must be 32 bytes, not all of them 0, but is 32 zeros",
        ),
        (dict(&[("a", entry(20_000, Some(&[0; 32])))]), "not all of them 0, but is 32 zeros"),
        (
            dict(&[("a", file(i64::MAX as u64))]),
            "info.file tree.a must be within the first 2097152 pieces",
        ),
        (
            dict(&[("a", file(1 << 34)), ("b", file(1 << 34)), ("c", file(1 << 34))]),
            "info.file tree.c must be within",
        ),
    ];
    for (tree, words) in table {
        is_refused(&with_tree(tree), words);
    }
    assert!(
        info_from_bytes(&with_tree(dict(&[("a", file((1 << 35) - 1))]))).is_ok(),
        "2^21 pieces"
    );
    let long = dict(&[("a", dict(&[(std::str::from_utf8(&many).expect("text"), entry(1, None))]))]);
    assert!(is_refused(&with_tree(long), "is missing").to_string().len() < 200, "names are cut");
}

#[test]
fn files_of_one_root_have_one_length() {
    let of = |[one, between, other]: [(u64, u8); 3]| {
        let file = |(length, root): (u64, u8)| entry(length, Some(&[root; 32]));
        with_tree(dict(&[("a", file(one)), ("b", file(between)), ("c", file(other))]))
    };
    // The same number of pieces, another one, and one piece beside many: all of them contradict.
    for (one, other) in [(65_536, 65_531), (65_536, 49_152), (49_152, 65_536), (65_536, 16_384)] {
        let info = of([(one, 7), (9, 8), (other, 7)]);
        let words = format!("has files of {one} and of {other} bytes: the torrent contradicts");
        is_refused(&info, &words);
    }
    let same = of([(65_536, 7), (9, 8), (65_536, 7)]);
    assert!(info_from_bytes(&same).is_ok(), "a file and its copy");
}

#[test]
fn a_tree_is_as_deep_as_bencode_may_be() {
    let deep = |levels: usize| {
        let (open, close) = (b"d1:d".repeat(levels), b"e".repeat(levels));
        with_tree([open, file(1), close].concat())
    };
    // The info dictionary is one level, the tree one, and the file two.
    let info = info_from_bytes(&deep(61)).expect("64 levels");
    assert_eq!(info.files[0].path.components().count(), 61);
    is_refused(&deep(62), "64");
    is_refused(&deep(1_000_000), "64");
}

#[test]
fn a_piece_is_a_subtree_so_its_length_is_a_power_of_two() {
    let tree = || dict(&[("a", file(1))]);
    for length in [0, 1, 8_192, 16_383, 16_385, 24_576, 49_152, 1 << 30] {
        is_refused(
            &with(tree(), int(length)),
            "info.piece length must be a power of two from 16384 to 536870912",
        );
    }
    for length in [16_384, 1 << 20, 1 << 29] {
        assert!(info_from_bytes(&with(tree(), int(length))).is_ok(), "{length}");
    }
    is_refused(&with(tree(), int(-16_384)), "info.piece length must be a positive integer");
}

#[test]
fn other_versions_are_refused_and_keys_that_are_missing_are_named() {
    let pairs = Made::single(16_384, "a", 5).pairs();
    for version in [int(1), int(3), int(-2)] {
        let mut pairs = pairs.clone();
        pairs[1].1 = version;
        is_refused(&dict(&pairs), "only 2 is known");
    }
    for (version, found) in [(bytes("2"), "a byte string"), (b"le".to_vec(), "a list")] {
        let mut pairs = pairs.clone();
        pairs[1].1 = version;
        is_refused(
            &dict(&pairs),
            &format!("info.meta version must be the integer 2, but is {found}"),
        );
    }
    let without = |key: &str| {
        let kept: Vec<_> = pairs.iter().filter(|pair| pair.0 != key).cloned().collect();
        dict(&kept)
    };
    is_refused(&without("file tree"), "info.file tree is missing");
    is_refused(&without("name"), "info.name is missing");
    is_refused(&without("piece length"), "info.piece length is missing");
    is_refused(&without("meta version"), "info.pieces is missing");
    let whole = dict(&pairs);
    for length in 0..whole.len() {
        assert!(info_from_bytes(&whole[..length]).is_err(), "cut after {length} bytes");
    }
    assert!(info_from_bytes(&[&whole[..], b"x"].concat()).is_err(), "a byte too many");
}

#[test]
fn slips_that_cost_nothing_get_a_note() {
    let link = dict(&[("", dict(&[("attr", bytes("l")), ("symlink path", b"l1:ae".to_vec())]))]);
    let tree = dict(&[
        ("empty", dict(&[])),
        ("f", file(1)),
        ("l", link),
        ("none", entry(0, Some(&[7; 32]))),
    ]);
    let info = info_from_bytes(&with_tree(tree)).expect("none of them matters");
    let notes = info.passed_over.join("\n");
    for words in
        ["empty is a folder without a file", "l is a symbolic link", "none is empty and has a root"]
    {
        assert!(notes.contains(words), "{words:?} is not in {notes}");
    }
    let paths: Vec<_> = info.files.iter().map(|file| file.path.to_str().expect("text")).collect();
    assert_eq!(paths, ["f", "l", "none"]);
}

#[test]
fn a_piece_layer_that_is_not_its_roots_is_refused() {
    let made = Made::folder(2 * BLOCK, &[("a", 150_000), ("b", 20_000)]);
    let (info, layers) = (made.v2_info(), made.layers());
    let (key, hashes) = layers[0].clone();
    let small = root(&made.files[1].1);
    let refused = |layers: &[([u8; 32], Vec<u8>)]| {
        let error = from_bytes(&torrent_file(&info, layers)).expect_err("it is broken");
        let MetainfoError::Other(error) = error else { panic!("{error:?}") };
        *error.downcast::<V2Error>().expect("it is ours")
    };
    let (root, expected) = (Hash(key), 5 * 32);
    for length in [0, 1, 31, 32, 4 * 32, 5 * 32 - 1, 5 * 32 + 1, 6 * 32, 8 * 32] {
        let mut other = hashes.clone();
        other.resize(length, 0);
        let found = refused(&[(key, other)]);
        assert_eq!(found, V2Error::LayerSize { root, expected, found: length });
    }
    for byte in [0, 40, 5 * 32 - 1] {
        let mut other = hashes.clone();
        other[byte] ^= 1;
        assert!(
            matches!(refused(&[(key, other)]), V2Error::LayerRoot { root: of, .. } if of == root)
        );
    }
    // Two hashes that have changed places.
    let mut other = hashes.clone();
    other.rotate_left(32);
    assert!(matches!(refused(&[(key, other)]), V2Error::LayerRoot { .. }));
    assert_eq!(
        refused(&[(key, hashes.clone()), ([9; 32], hashes)]),
        V2Error::UnknownRoot { root: Hash([9; 32]) }
    );
    // A file of one piece needs none. Its own root is no harm, anything else is.
    let of_small = |value: Vec<u8>| torrent_file(&info, &[(small, value)]);
    let read = from_bytes(&of_small(small.to_vec())).expect("harmless");
    assert!(read.info.passed_over[0].contains("needs no layer"), "{:?}", read.info.passed_over);
    assert_eq!(refused(&[(small, vec![1; 64])]), V2Error::UnknownRoot { root: Hash(small) });
}

#[test]
fn piece_layers_that_are_no_layers_are_refused_and_missing_ones_are_not() {
    let made = Made::single(BLOCK, "a", 40_000);
    let info = made.v2_info();
    let file = |layers: &[u8]| [b"d4:info", &info[..], b"12:piece layers", layers, b"e"].concat();
    let table: [(&[u8], &str); 3] = [
        (b"d3:abci1ee", "piece layers must be by roots of 32 bytes, but is one of 3"),
        (b"d32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaai1ee", "piece layers must be byte strings"),
        (b"d32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0:e", "no file longer than a piece has the root"),
    ];
    for (layers, words) in table {
        let error = from_bytes(&file(layers)).expect_err(words).to_string();
        assert!(error.contains(words), "{words:?} is not in {error}");
    }
    for layers in [&b"de"[..], b"le", b"0:"] {
        let read = from_bytes(&file(layers)).expect("peers can send them");
        assert!(!read.info.is_whole() && trees(&read.info).is_some_and(|it| it.is_incomplete()));
    }
    let read = from_bytes(&dict(&[("info", info.clone())])).expect("peers can send them");
    assert!(!read.info.is_whole());
}

#[test]
fn a_layer_that_is_learned_must_be_of_this_torrent() {
    let made = Made::folder(BLOCK, &[("a", 40_000), ("b", 10)]);
    let info = info_from_bytes(&made.v2_info()).expect("it is right");
    let trees = trees(&info).expect("it has trees");
    let layers = made.layers();
    let (root, hashes) = (Hash(layers[0].0), layers[0].1.as_chunks().0.iter().copied().map(Hash));
    let hashes: Vec<Hash> = hashes.collect();
    let mut wrong = hashes.clone();
    wrong.swap(0, 1);
    assert!(matches!(trees.learn(root, wrong), Err(V2Error::LayerRoot { .. })));
    let short = V2Error::LayerSize { root, expected: 96, found: 64 };
    assert_eq!(trees.learn(root, hashes[..2].to_vec()), Err(short));
    let unknown = V2Error::UnknownRoot { root: Hash([1; 32]) };
    assert_eq!(trees.learn(Hash([1; 32]), hashes.clone()), Err(unknown));
    assert!(trees.is_incomplete(), "none of them was kept");
    trees.learn(root, hashes.clone()).expect("it is right");
    trees.learn(root, hashes).expect("and again");
    assert!(!trees.is_incomplete());
}
