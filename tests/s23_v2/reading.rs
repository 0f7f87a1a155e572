//! Torrents as they should be.

use super::super::support::assert_value;
use super::super::support::bencode::{bytes, dict, int};
use super::made::{Made, entry, fixture, formula, layer, root, sha256};
use piecemeal::s02_metainfo::{Info, Metainfo, PieceIndex};
use piecemeal::s23_v2::merkle::Hash;
use piecemeal::s23_v2::trees::Trees;
use piecemeal::s23_v2::{from_bytes, info_from_bytes, trees};
use std::sync::Arc;

#[track_caller]
pub fn read(file: &[u8]) -> Info {
    from_bytes(file).unwrap_or_else(|error| panic!("it is right: {error}")).info
}

#[track_caller]
pub fn trees_of(info: &Info) -> &Arc<Trees> {
    trees(info).expect("it has trees")
}

/// The sizes of all pieces.
pub fn sizes(info: &Info) -> Vec<u32> {
    info.pieces().map(|piece| info.piece_size(piece)).collect()
}

#[test]
fn the_names_are_those_that_libtorrent_gives() {
    // File, number of pieces, SHA-256, SHA-1 of the hybrid and its SHA-256.
    let table = [
        (
            "small",
            1,
            "7f03ebc9aa5d85620f19e611116ca28cda473899cda79c2c274c257b9670709b",
            "8005036b884f6515aaaa39cdedec7c8f78b0f1c3",
            "67f9cc25a717fcadf37dc408375429ea2c4af462687de18844c84d792ec77328",
        ),
        (
            "b",
            1,
            "35f470486c9af09c0d35bf80699dde93ec5b1b0acce7adf6a6b29eb134acc16e",
            "b44a18c3b95a4999f130a0d31e3c80b0852de097",
            "18b4c8471dbbeb6d1148f8b9f026969e623396b619264d3cd0a93e267d84a74f",
        ),
        (
            "p1",
            2,
            "44c5ffd7c620e7fa0dfc25a979d874703e63b8fbf717ed2be70dd1e1ffb24705",
            "f9fbde024635f36d6f163f3ea6157a1fbaf15312",
            "c033dec8e11fe9f892058435fee59e807952789b26b71e24b0e8e12918b3d4c6",
        ),
        (
            "odd",
            4,
            "b5d56814341c989d92d3bb7dec8d1da32153bbb255ebdcf77e9ffb0692dbe26c",
            "82b141dc905f7d7f2906ebab10cf316cfdd70c2c",
            "50c9b4a31140d591821a5c408598214332298f6ebbbe6b88a2a261193f62e7c4",
        ),
        (
            "l600",
            601,
            "c20c31e3d67b4d57c6308bd904962571543852ac46849bc4f8ffee427d7ee835",
            "3183f1926fb13fa4a4dbd852b1d3edb4ad546e22",
            "367dc119fb12a0fdff88aeabce161f28e6dba8f5603ca3c3cc06e795c13ac24c",
        ),
        (
            "d",
            9,
            "4087bd03169b1221ff65ed834d67c42c5deff9c752fc1535e84bbb8cf7b4f9b8",
            "28c3ca8f390358bace8dd6eb377ad28b226a9098",
            "68145a9ccba966ed904a16088e92213eac37031c88be0cc15edfbfdf488d797b",
        ),
    ];
    for (name, pieces, alone, sha1, both) in table {
        let v2 = read(&fixture(&format!("{name}-v2")));
        let names: Vec<String> = v2.names.all().map(|name| name.to_string()).collect();
        assert_eq!(hex::encode(trees_of(&v2).name), alone, "{name}");
        assert_eq!(names, [&alone[..40]], "{name}: 20 bytes of it are the name on the wire");
        assert_eq!((v2.info_hash.to_string(), v2.piece_count()), (alone[..40].to_owned(), pieces));
        let hybrid = read(&fixture(&format!("{name}-hybrid")));
        let names: Vec<String> = hybrid.names.all().map(|name| name.to_string()).collect();
        assert_eq!(hex::encode(trees_of(&hybrid).name), both, "{name}");
        assert_eq!(names, [sha1, &both[..40]], "{name}: version 1 speaks first");
        assert_eq!((hybrid.info_hash.to_string(), hybrid.piece_count()), (sha1.to_owned(), pieces));
        assert!(v2.is_whole() && v2.passed_over.is_empty(), "{name}: {:?}", v2.passed_over);
        assert!(hybrid.is_whole() && hybrid.passed_over.is_empty(), "{:?}", hybrid.passed_over);
        for (v2, hybrid) in trees_of(&v2).files().iter().zip(trees_of(&hybrid).files()) {
            assert_eq!((v2.root, v2.layer()), (hybrid.root, hybrid.layer()), "{name}");
        }
    }
}

#[test]
fn the_smallest_torrent_is_these_bytes() {
    let data = formula(1_000, 0);
    let file = [
        b"d4:infod9:file treed9:small.bind0:d6:lengthi1000e11:pieces root32:".to_vec(),
        root(&data).to_vec(),
        b"eee12:meta versioni2e4:name9:small.bin12:piece lengthi32768ee12:piece layersdee".to_vec(),
    ]
    .concat();
    assert_eq!(file, fixture("small-v2"), "libtorrent writes the same");
    let info = read(&file);
    assert_eq!((info.name.as_str(), info.length, info.multi_file), ("small.bin", 1_000, false));
    assert_eq!(info.files.len(), 1);
    assert_eq!(info.files[0].path.to_str(), Some("small.bin"));
    // A file of one block is its own leaf.
    let piece = info.piece(0).expect("there is one");
    assert_eq!(info.piece_hash(piece), sha256(&data));
}

#[test]
fn each_file_begins_at_a_piece_and_padding_fills_the_gaps() {
    let info = read(&fixture("d-v2"));
    let files: Vec<(&str, u64, u64, bool)> = info
        .files
        .iter()
        .map(|file| (file.path.to_str().expect("text"), file.offset, file.length, file.padding))
        .collect();
    assert_eq!(
        files,
        [
            ("a.bin", 0, 32_768, false),
            ("b.bin", 32_768, 40_000, false),
            ("empty", 72_768, 0, false),
            ("", 72_768, 25_536, true),
            ("sub/c.txt", 98_304, 77, false),
            ("", 98_381, 32_691, true),
            ("sub/d.bin", 131_072, 131_073, false),
        ]
    );
    assert_value(
        "the sizes of the pieces of d.torrent",
        sizes(&info),
        [32_768, 32_768, 7_232, 77, 32_768, 32_768, 32_768, 32_768, 1],
        "BEP 52, file tree",
    );
    assert_eq!(info.length, 32_768 + 40_000 + 77 + 131_073, "padding does not count");
    let offsets: Vec<u64> = info.pieces().map(|piece| info.piece_offset(piece)).collect();
    assert!(offsets.iter().copied().eq((0..9).map(|piece| piece * 32_768)));
    let first: Vec<(usize, u32, u32)> = trees_of(&info)
        .files()
        .iter()
        .map(|file| (file.number, file.first_piece, file.pieces))
        .collect();
    assert_eq!(first, [(0, 0, 1), (1, 1, 2), (4, 3, 1), (6, 4, 5)], "an empty file has no tree");
    let of = |piece| trees_of(&info).file_of(piece).map(|file| file.number);
    assert!((0..10).map(of).eq([0, 1, 1, 4, 6, 6, 6, 6, 6].map(Some).into_iter().chain([None])));
}

#[test]
fn a_hybrid_keeps_the_pieces_of_version_1() {
    let info = read(&fixture("d-hybrid"));
    // Libtorrent pads the last file too.
    assert_eq!((sizes(&info), info.length), (vec![32_768; 9], 9 * 32_768));
    let v1 = Metainfo::from_bytes(&fixture("d-hybrid")).expect("it is also version 1").info;
    assert_eq!((&v1.files, v1.info_hash), (&info.files, info.info_hash));
    let hashes = |info: &Info| -> Vec<Vec<u8>> {
        info.pieces().map(|piece: PieceIndex| info.piece_hash(piece).to_vec()).collect()
    };
    assert_eq!(hashes(&v1), hashes(&info), "what it shows is what it showed");
}

#[test]
fn the_layers_are_the_hashes_of_the_pieces() {
    let table = [("p1", 16_385, 16_384), ("odd", 100_000, 32_768), ("l600", 9_830_405, 16_384)];
    for (name, length, piece_length) in table {
        let data = formula(length, 0);
        let info = read(&fixture(&format!("{name}-v2")));
        let file = &trees_of(&info).files()[0];
        assert_eq!(file.root.0, root(&data), "{name}");
        let expected = layer(&data, piece_length);
        let found: Vec<[u8; 32]> =
            file.layer().expect("it is in the file").iter().map(|hash| hash.0).collect();
        assert_eq!(found, expected, "{name}");
        let pieces: Vec<&[u8]> = info.pieces().map(|piece| info.piece_hash(piece)).collect();
        assert!(pieces.iter().copied().eq(expected.iter().map(|hash| &hash[..])), "{name}");
    }
    assert_eq!(
        trees_of(&read(&fixture("odd-v2"))).files()[0].root.to_string(),
        "26ce98d1c2ad96891be47b6d01b8a5a8d5a91866997522ee3a57ae0ba846bba9"
    );
    assert_eq!(
        trees_of(&read(&fixture("l600-v2"))).files()[0].root.to_string(),
        "8ae9898d55f8edbceff8ea188df615da09377b3137aebee50981647416344e45"
    );
}

#[test]
fn the_same_file_has_one_root_in_every_torrent() {
    let data = formula(100_000, 0);
    let roots = [16_384, 32_768, 65_536, 131_072, 1 << 20].map(|piece_length| {
        let mut made = Made::folder(piece_length, &[("a", 5_000), ("z/same", 0)]);
        made.files[1].1.clone_from(&data);
        let info = read(&made.file(&made.v2_info()));
        let file = trees_of(&info).files().last().map(|file| file.root);
        file.expect("there are two")
    });
    assert!(roots.iter().all(|found| found.0 == root(&data)), "{roots:?}");
    // Twice in one torrent, it needs its layer once.
    let mut twice = Made::folder(16_384, &[("one", 0), ("two", 0)]);
    twice.files.iter_mut().for_each(|(_, file)| file.clone_from(&data));
    assert_eq!(twice.layers().len(), 1);
    let info = read(&twice.file(&twice.v2_info()));
    assert!(info.is_whole());
    let found = trees_of(&info).of_root(Hash(root(&data)));
    assert_eq!(found.map(|file| file.number).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn layers_that_are_not_in_the_file_can_be_learned_later() {
    let made = Made::folder(16_384, &[("a", 40_000), ("b", 16_384), ("c", 70_000)]);
    let layers = made.layers();
    for file in [made.v2_info(), dict(&[("info", made.v2_info())])] {
        // An info dictionary alone, as a peer sends it, and a file without the key.
        let info = match file.starts_with(b"d4:info") {
            true => read(&file),
            false => info_from_bytes(&file).expect("it is right"),
        };
        let trees = trees_of(&info);
        assert!(!info.is_whole() && trees.is_incomplete());
        let unknown: Vec<usize> = trees.unknown().map(|file| file.number).collect();
        assert_eq!(unknown, [0, 3], "b is one piece: its root is enough");
        for (root, hashes) in &layers {
            let hashes = hashes.as_chunks().0.iter().copied().map(Hash);
            trees.learn(Hash(*root), hashes.collect()).expect("right");
        }
        assert!(info.is_whole() && trees.unknown().next().is_none());
    }
}

#[test]
fn one_file_with_another_name_than_the_torrent_is_in_a_folder() {
    let data = entry(5, Some(&[7; 32]));
    let info = |name: &str, tree: Vec<u8>| {
        let pairs = [
            ("file tree", tree),
            ("meta version", int(2)),
            ("name", bytes(name)),
            ("piece length", int(16_384)),
        ];
        info_from_bytes(&dict(&pairs)).expect("it is right")
    };
    let shown = |info: &Info| (info.multi_file, info.files[0].path.to_str().map(str::to_owned));
    let path = |path: &str| Some(path.to_owned());
    let same = info("a", dict(&[("a", data.clone())]));
    assert_eq!(shown(&same), (false, path("a")));
    let other = info("b", dict(&[("a", data.clone())]));
    assert_eq!(shown(&other), (true, path("a")));
    let deeper = info("a", dict(&[("a", dict(&[("a", data)]))]));
    assert_eq!(shown(&deeper), (true, path("a/a")));
}

#[test]
fn names_become_paths_by_the_rules_of_stage_2() {
    let file = |length: u64| entry(length, (length > 0).then_some(&[7; 32]));
    let pairs = |tree| {
        [
            ("file tree", tree),
            ("meta version", int(2)),
            ("name", bytes("n")),
            ("piece length", int(16_384)),
            ("private", int(1)),
        ]
    };
    let mut sorted: Vec<(&str, Vec<u8>)> =
        vec![("a\u{202e}", file(1)), ("a/b", file(1)), ("a\\b", file(1)), ("é", file(0))];
    sorted.sort_by_key(|(name, _)| name.as_bytes().to_vec());
    let info = info_from_bytes(&dict(&pairs(dict(&sorted)))).expect("it is right");
    let paths: Vec<&str> = info
        .files
        .iter()
        .filter(|file| !file.padding)
        .map(|file| file.path.to_str().expect("text"))
        .collect();
    assert_eq!(paths, ["a_b", "a_b.1", "a", "é"]);
    assert!(info.private);
}

#[test]
fn a_torrent_of_version_1_is_read_as_by_stage_2() {
    let file = b"d4:infod6:lengthi3e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa5:sharei1eee";
    let (ours, stage_2) =
        (from_bytes(file).expect("right"), Metainfo::from_bytes(file).expect("right"));
    assert_eq!(ours, stage_2);
    assert!(trees(&ours.info).is_none());
    assert_eq!(ours.info.names.all().count(), 1);
    // Without "meta version", the other keys mean nothing.
    let file = b"d4:infod9:file treei1e6:lengthi3e4:name1:a12:piece lengthi3e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    assert!(trees(&from_bytes(file).expect("right").info).is_none());
}
