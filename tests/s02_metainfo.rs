//! Stage 2 from outside: good torrent files, and the errors of bad ones.

mod support;

mod s02_metainfo {
    mod optional;
}

use std::collections::HashSet;
use std::path::{Component, PathBuf};
use std::time::Duration;

use piecemeal::s02_metainfo::{Info, InfoHash, MAX_TORRENT_FILE, Metainfo, MetainfoError, Names};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{assert_number, assert_value, assert_wire, within};

/// `4:spam`, written again here, so that the tests do not depend on the crate's own encoder.
fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{}:", bytes.len()).as_bytes(), bytes].concat()
}

/// An entry of `files`, of one byte.
fn entry(path: &[&[u8]]) -> Vec<u8> {
    let path: Vec<u8> = path.iter().flat_map(string).collect();
    [b"d6:lengthi1e4:pathl", &path[..], b"ee"].concat()
}

/// An info dictionary with these entries, in a single piece.
fn folder(entries: &[Vec<u8>]) -> Vec<u8> {
    let hash = if entries.is_empty() { &b"0:"[..] } else { b"20:aaaaaaaaaaaaaaaaaaaa" };
    [
        b"d5:filesl",
        &entries.concat()[..],
        b"e4:name1:n12:piece lengthi268435456e6:pieces",
        hash,
        b"e",
    ]
    .concat()
}

/// The paths of a torrent, each as one string with `/` in between.
fn paths(entries: &[Vec<u8>]) -> Result<Vec<String>, MetainfoError> {
    let text = |path: PathBuf| path.to_str().expect("paths are text").to_owned();
    Ok(Info::from_bytes(&folder(entries))?.files.into_iter().map(|file| text(file.path)).collect())
}

fn refusal(info: &[u8]) -> String {
    Info::from_bytes(info).expect_err(&String::from_utf8_lossy(info)).to_string()
}

/// The info dictionary of the course's `sample.torrent`.
fn sample() -> Vec<u8> {
    let hashes = "e876f67a2a8886e8f36b136726c30fa29703022d6e2275e604a0766656736e81ff10b55204ad8d35\
                  f00d937a0213df1982bc8d097227ad9e909acc17";
    let hashes = hex::decode(hashes).expect("it is hex");
    [b"d6:lengthi92063e4:name10:sample.txt12:piece lengthi32768e6:pieces60:", &hashes[..], b"e"]
        .concat()
}

const TINY: &[u8] = b"d6:lengthi3e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";

#[test]
fn the_sample_torrent_of_the_course_has_its_known_info_hash() {
    let file =
        [b"d8:announce55:http://bittorrent-test-tracker.codecrafters.io/announce10:created by4:test4:info", &sample()[..], b"e"];
    let torrent = Metainfo::from_bytes(&file.concat()).expect("it is a torrent");
    assert_value(
        "the info hash",
        torrent.info.info_hash.to_string(),
        "d69f91e6b2ae4c542468d1073a71d4ea13879a7f",
        "BEP 3, info dictionary",
    );
    assert_eq!(
        torrent.trackers().collect::<Vec<_>>(),
        ["http://bittorrent-test-tracker.codecrafters.io/announce"]
    );
    assert_eq!(
        (torrent.info.name.as_str(), torrent.info.length, torrent.info.piece_length),
        ("sample.txt", 92063, 32768)
    );
    assert_eq!(torrent.created_by.as_deref(), Some("test"));
    assert!(!torrent.info.multi_file && !torrent.info.private);
    assert_eq!(torrent.info.files.len(), 1);
    assert_eq!(torrent.info.files[0].path, PathBuf::from("sample.txt"));
}

#[test]
fn only_pieces_have_hashes() {
    let info = Info::from_bytes(&sample()).expect("it is right");
    let hashes: Vec<String> =
        info.pieces().map(|piece| hex::encode(info.piece_hash(piece))).collect();
    assert_eq!(hashes[0], "e876f67a2a8886e8f36b136726c30fa29703022d");
    assert_eq!(hashes[1], "6e2275e604a0766656736e81ff10b55204ad8d35");
    assert_eq!(hashes[2], "f00d937a0213df1982bc8d097227ad9e909acc17");
    assert_eq!(hashes.len(), 3);
}

#[test]
fn a_piece_is_right_if_the_sha_1_of_its_blocks_is_its_hash() {
    // The SHA-1 of "abc" is the example of FIPS 180.
    let hash = hex::decode("a9993e364706816aba3e25717850c26c9cd0d89d").expect("it is hex");
    let raw = [b"d6:lengthi3e4:name1:a12:piece lengthi16384e6:pieces20:", &hash[..], b"e"];
    let info = Info::from_bytes(&raw.concat()).expect("it is right");
    let piece = info.piece(0).expect("there is one");
    assert_eq!((info.piece_hash(piece), info.check.expected(piece)), (&hash[..], &hash[..]));
    // Two in progress do not mix, and it is the same in any parts.
    let (mut one, mut other) = (info.check.begin(piece), info.check.begin(piece));
    one.update(b"ab");
    other.update(b"abc");
    one.update(b"c");
    assert_eq!((one.finish(), other.finish()), (hash.clone(), hash.clone()));
    let mut wrong = info.check.begin(piece);
    wrong.update(b"abd");
    assert_ne!(wrong.finish(), hash);
}

#[test]
fn a_torrent_may_have_several_names_and_each_is_as_good() {
    let info = Info::from_bytes(TINY).expect("it is right");
    let only = &info.names;
    assert_eq!((only.first(), only.has(info.info_hash)), (info.info_hash, true));
    assert!(!only.has(InfoHash([7; 20])) && only.is(TINY) && !only.is(&TINY[1..]));
    let names = Names::from(InfoHash([7; 20])).and(info.info_hash);
    assert_eq!(names.first(), InfoHash([7; 20]));
    assert!(names.all().eq([InfoHash([7; 20]), info.info_hash]));
    assert!(names.has(info.info_hash) && names.has(InfoHash([7; 20])) && names.is(TINY));
    assert!(!names.has(InfoHash([8; 20])) && !names.is(b"de"));
}

#[test]
fn unknown_keys_and_odd_order_stay_in_the_info_hash() {
    // The hashes are those of `sha1sum`.
    let table: [(&[u8], &str); 3] = [
        (TINY, "f57885ddc30a153b9f534bc8c8b5d3744ca9b535"),
        (
            b"d6:lengthi3e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa6:source4:abc e",
            "8116ed9832fce59e5b7c0ff6183affebcaf735fd",
        ),
        (
            b"d6:source4:abc 6:pieces20:aaaaaaaaaaaaaaaaaaaa12:piece lengthi16384e4:name1:a6:lengthi3ee",
            "fecc2ddef6622050f73640144c2f0f41c1f0d50f",
        ),
    ];
    for (info, hash) in table {
        let read = Info::from_bytes(info).expect("all of them are right");
        assert_wire(&read.raw, info, "BEP 3, info dictionary");
        assert_value("the info hash", read.info_hash.to_string(), hash, "BEP 3, info dictionary");
        let torrent = Metainfo::from_bytes(&[b"d4:info", info, b"3:zzzi1ee"].concat())
            .expect("all of them are right");
        assert_eq!(torrent.info, read);
    }
}

#[test]
fn length_is_read_from_inside_info_not_from_the_top_of_the_file() {
    let torrent =
        Metainfo::from_bytes(&[b"d4:info", TINY, b"6:lengthi99ee"].concat()).expect("it is right");
    assert_eq!(torrent.info.length, 3);
}

#[test]
fn files_is_a_list_of_dictionaries() {
    let info = b"d5:filesld6:lengthi5e4:pathl3:doc5:a.txteed6:lengthi0e4:pathl5:emptyeed6:lengthi3e4:pathl3:doc1:beee\
                 4:name3:top12:piece lengthi4e6:pieces40:aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb7:privatei1ee";
    let info = Info::from_bytes(info).expect("it is right");
    let files: Vec<_> = info
        .files
        .iter()
        .map(|file| (file.path.to_str(), file.offset, file.length, file.padding))
        .collect();
    assert_eq!(
        files,
        [
            (Some("doc/a.txt"), 0, 5, false),
            (Some("empty"), 5, 0, false),
            (Some("doc/b"), 5, 3, false)
        ]
    );
    assert!(info.multi_file && info.private);
    assert_eq!((info.name.as_str(), info.length, info.piece_count()), ("top", 8, 2));
    let dictionary = b"d5:filesd6:lengthi5e4:pathl1:aee4:name1:n12:piece lengthi16384e6:pieces0:e";
    assert_eq!(refusal(dictionary), "info.files must be a list, but is a dictionary");
}

#[test]
fn a_length_that_is_a_multiple_of_the_piece_length_has_no_piece_too_many() {
    let info = |length: u64, hashes: usize| {
        let head =
            format!("d6:lengthi{length}e4:name1:a12:piece lengthi4e6:pieces{}:", hashes * 20);
        Info::from_bytes(&[head.as_bytes(), &vec![b'h'; hashes * 20], b"e"].concat())
    };
    for (length, sizes) in
        [(0, &[][..]), (1, &[1]), (4, &[4]), (5, &[4, 1]), (8, &[4, 4]), (9, &[4, 4, 1])]
    {
        let info = info(length, sizes.len()).expect("it is right");
        let clause = "BEP 3, pieces of the info dictionary";
        let what = format!("the number of pieces of 4 bytes that {length} bytes make");
        assert_number(&what, info.pieces().count(), sizes.len(), clause, &[]);
        for (piece, size) in info.pieces().zip(sizes) {
            let what = format!("the size of piece {piece} of {length} bytes, in pieces of 4");
            let known = [(4, "that is the piece length, and the last piece has only what is left")];
            assert_number(&what, info.piece_size(piece), *size, clause, &known);
        }
        assert!(info.piece(sizes.len() as u32).is_none() && info.piece(u32::MAX).is_none());
    }
    assert_eq!(
        info(8, 3).expect_err("one too many").to_string(),
        "info.pieces must be 40 bytes for 2 pieces, but is 60 bytes"
    );
    assert!(info(9, 2).is_err());
}

#[test]
fn more_than_four_gib_has_pieces_of_the_usual_size() {
    const PIECE: u32 = 1 << 29;
    let length = (4_u64 << 30) + 7;
    let head = format!("d6:lengthi{length}e4:name1:a12:piece lengthi{PIECE}e6:pieces180:");
    let info = [head.as_bytes(), &[b'h'; 180], b"e"].concat();
    let info = Info::from_bytes(&info).expect("it is right");
    for (piece, size) in info.pieces().zip([[PIECE; 8].as_slice(), &[7]].concat()) {
        let what = format!("the size of piece {piece} of 4 GiB and 7 bytes, in pieces of 512 MiB");
        let known = [(7, "the length has 64 bits, and that is what its lower 32 leave")];
        let clause = "BEP 3, pieces of the info dictionary";
        assert_number(&what, info.piece_size(piece), size, clause, &known);
    }
}

#[test]
fn tracker_urls_come_in_tiers() {
    let tiers = |keys: &str| {
        let file = [b"d", keys.as_bytes(), b"4:info", TINY, b"e"].concat();
        Metainfo::from_bytes(&file).expect("trackers never spoil a torrent").tiers
    };
    assert_eq!(tiers(""), Vec::<Vec<String>>::new());
    assert_eq!(tiers("8:announce5:x://a"), [["x://a"]]);
    assert_eq!(tiers("8:announcei1e"), Vec::<Vec<String>>::new());
    assert_eq!(
        tiers("8:announce5:x://a13:announce-listll5:x://b5:x://cel5:x://dee"),
        [&["x://b", "x://c"][..], &["x://d"]]
    );
    assert_eq!(tiers("8:announce5:x://a13:announce-listle"), [["x://a"]]);
    assert_eq!(tiers("8:announce5:x://a13:announce-listllee"), [["x://a"]]);
    assert_eq!(tiers("8:announce5:x://a13:announce-list1:x"), [["x://a"]]);
    assert_eq!(tiers("13:announce-listl5:x://zli1e0:5:x://bee"), [["x://b"]]);
    assert_eq!(tiers("8:announce7: x://a\n"), [["x://a"]]);
}

#[test]
fn what_the_maker_says_of_the_torrent_is_kept() {
    let file = [b"d7:comment2:hi10:created by3:me 13:creation datei1700000000e4:info", TINY, b"e"]
        .concat();
    let torrent = Metainfo::from_bytes(&file).expect("it is right");
    assert_eq!(
        (torrent.comment.as_deref(), torrent.created_by.as_deref()),
        (Some("hi"), Some("me "))
    );
    assert_eq!(torrent.creation_date, Some(1_700_000_000));
    assert_eq!((torrent.nodes.len(), torrent.web_seeds.len()), (0, 0));
    let file = [b"d7:commenti1e10:created byle13:creation datei-1e4:info", TINY, b"e"].concat();
    let torrent =
        Metainfo::from_bytes(&file).expect("a broken comment is no reason to refuse a torrent");
    assert_eq!((torrent.comment, torrent.created_by, torrent.creation_date), (None, None, None));
}

#[test]
fn missing_and_broken_keys_are_named_with_what_was_expected_and_found() {
    // @ is replaced with the other keys, all right, and # with the hashes.
    let hashes = "6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let rest = format!("4:name1:a12:piece lengthi4e{hashes}");
    let table = [
        (
            "d6:lengthi3e12:piece lengthi4e#",
            "the key info.name is missing; it must be a byte string",
        ),
        ("d6:lengthi3e4:namei1e12:piece lengthi4e#", "info.name must be a byte string, but is 1"),
        (
            "d6:lengthi3e4:name1:a#",
            "the key info.piece length is missing; it must be a positive integer",
        ),
        (
            "d6:lengthi3e4:name1:a12:piece lengthi0e#",
            "info.piece length must be 1 to 536870912, but is 0",
        ),
        (
            "d6:lengthi3e4:name1:a12:piece lengthi-1e#",
            "info.piece length must be a positive integer, but is -1",
        ),
        (
            "d4:name1:a12:piece lengthi536870913e#",
            "info.piece length must be 1 to 536870912, but is 536870913",
        ),
        (
            "d4:name1:a12:piece lengthi4ee",
            "the key info.pieces is missing; it must be a byte string",
        ),
        ("d4:name1:a12:piece lengthi4e6:piecesi1ee", "info.pieces must be a byte string, but is 1"),
        ("d@", "the key info.length is missing; it must be an integer, 0 or more"),
        ("d6:lengthi-3e@", "info.length must be an integer, 0 or more, but is -3"),
        ("d6:lengthi5e@", "info.pieces must be 40 bytes for 2 pieces, but is 20 bytes"),
        ("d6:lengthi8388609e@", "info.pieces must be at most 2097152 pieces, but is 2097153"),
        (
            "d6:lengthi9223372036854775807e@",
            "info.pieces must be at most 2097152 pieces, but is 2305843009213693952",
        ),
        ("d5:filesi1e@", "info.files must be a list, but is 1"),
        (
            "d5:filesli1ee@",
            "the key info.files[0].length is missing; it must be an integer, 0 or more",
        ),
        (
            "d5:filesld6:lengthi1eee@",
            "the key info.files[0].path is missing; it must be a list of byte strings",
        ),
        (
            "d5:filesld6:lengthi1e4:path1:aee@",
            "info.files[0].path must be a list of byte strings, but is a byte string",
        ),
        (
            "d5:filesld6:lengthi1e4:pathli1eeee@",
            "info.files[0].path must be a list of byte strings, but is a list",
        ),
    ];
    for (info, expected) in table {
        assert_eq!(
            refusal(info.replace('@', &rest).replace('#', hashes).as_bytes()),
            expected,
            "{info}"
        );
    }
    let top = |file: &[u8]| Metainfo::from_bytes(file).expect_err("it is no torrent").to_string();
    assert_eq!(top(b"de"), "the key info is missing; it must be a dictionary");
    assert_eq!(top(b"le"), "the file must be a dictionary, but is a list");
    assert_eq!(top(b"d4:info1:xe"), "info must be a dictionary, but is a byte string");
    let huge = "d6:lengthi9223372036854775807e4:pathl1:";
    let huge =
        format!("d5:filesl{huge}aee{huge}bee{huge}ceee4:name1:n12:piece lengthi4e6:pieces0:e");
    assert_eq!(refusal(huge.as_bytes()), "info.files[2] must be a total below 2^64, but is more");
}

#[test]
fn a_torrent_cut_at_any_length_is_refused() {
    let file = [b"d4:info", &sample()[..], b"e"].concat();
    (0..file.len()).for_each(|length| {
        drop(Metainfo::from_bytes(&file[..length]).expect_err("a part is not the whole"))
    });
}

#[test]
fn a_hybrid_torrent_is_read_as_version_1() {
    let info = b"d9:file treed1:ad0:d6:lengthi3e11:pieces root32:rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrreee6:lengthi3e\
                 12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let info = Info::from_bytes(info).expect("it has a version 1 part");
    assert_eq!((info.length, info.piece_count()), (3, 1));
}

#[test]
fn a_torrent_of_version_2_alone_is_refused_as_such() {
    let info =
        b"d9:file treed1:ad0:d6:lengthi3eeee12:meta versioni2e4:name1:a12:piece lengthi16384ee";
    assert!(matches!(Info::from_bytes(info), Err(MetainfoError::VersionTwo)));
    assert!(matches!(
        Metainfo::from_bytes(&[b"d4:info", &info[..], b"e"].concat()),
        Err(MetainfoError::VersionTwo)
    ));
}

#[test]
fn a_file_that_cannot_be_a_torrent_is_not_read_whole() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("huge.torrent");
    let file = std::fs::File::create(&path).expect("there is room");
    file.set_len(MAX_TORRENT_FILE + 1).expect("a hole takes no room");
    assert!(matches!(Metainfo::read(&path), Err(MetainfoError::TooLarge)));
    assert!(matches!(Metainfo::read(&folder.path().join("none")), Err(MetainfoError::Io(_))));
    assert!(matches!(Metainfo::read(folder.path()), Err(MetainfoError::Io(_))));
}

#[test]
fn hostile_names_are_mended_or_refused() {
    let long = "a".repeat(300);
    let accents = "é".repeat(128);
    let accepted: &[(&[&[u8]], &str)] = &[
        (&[b"a", b"b.txt"], "a/b.txt"),
        (&[b"/etc/passwd"], "_etc_passwd"),
        (&[b"..\\..\\x"], ".._.._x"),
        (&[b"../x"], ".._x"),
        (&[b"a\0b", b"c\nd"], "a_b/c_d"),
        (&[b"\x1b[2J\x7f"], "_[2J_"),
        (&["a\u{85}b".as_bytes()], "a_b"),
        (&[b"...", b"x"], ".../x"),
        (&[b" ", b"...."], " /...."),
        (&[b"\xff.txt"], "\u{fffd}.txt"),
        (&["日本".as_bytes(), "é".as_bytes()], "日本/é"),
        // Nothing leaves the output folder by a part that is not there.
        (&[b"", b"film.mkv"], "film.mkv"),
        (&[b"a", b"", b"", b"b"], "a/b"),
        (&[b"a", b""], "a"),
        (&[long.as_bytes()], &long[..255]),
        (&[accents.as_bytes()], &accents[..254]),
    ];
    for (components, expected) in accepted {
        assert_eq!(paths(&[entry(components)]).expect("it can be mended"), [*expected]);
    }
    let refused: &[&[&[u8]]] = &[
        &[],
        &[b""],
        &[b"", b""],
        &[b"."],
        &[b".."],
        &[b"..", b"etc", b"passwd"],
        &[b"a", b"..", b"b"],
        &[b"", b".."],
        &[b"a", b"."],
    ];
    for components in refused {
        let error = paths(&[entry(components)]).expect_err("it cannot be meant well");
        assert!(matches!(error, MetainfoError::UnsafePath { .. }), "{components:?}: {error}");
        assert!(error.to_string().starts_with("info.files[0].path: "), "{error}");
    }
}

#[test]
fn a_hostile_name_of_the_whole_is_mended_or_refused() {
    for (name, expected) in [
        ("a/b", Some("a_b")),
        ("/tmp", Some("_tmp")),
        ("..", None),
        (".", None),
        ("", None),
        ("\u{1b}c", Some("_c")),
    ] {
        let head = format!(
            "4:name{}:{name}12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae",
            name.len()
        );
        let single = Info::from_bytes(format!("d6:lengthi3e{head}").as_bytes());
        let many = Info::from_bytes(format!("d5:filesld6:lengthi3e4:pathl1:feee{head}").as_bytes());
        assert_eq!(many.ok().map(|info| info.name).as_deref(), expected);
        assert_eq!(single.ok().map(|info| info.files[0].path.clone()), expected.map(PathBuf::from));
    }
}

#[test]
fn an_error_about_a_name_does_not_obey_its_escape_sequences() {
    let error = paths(&[entry(&[b"\x1b[31m"]), entry(&[b"\x1b[31m", b"a"])])
        .expect_err("a folder is needed")
        .to_string();
    assert!(!error.contains('\x1b') && error.contains("u{1b}"), "{error}");
}

#[test]
fn names_that_collide_after_mending_are_numbered() {
    type Case<'a> = (&'a [&'a [&'a [u8]]], &'a [&'a str]);
    let table: &[Case] = &[
        (&[&[b"a/b"], &[b"a_b"], &[b"a\\b"]], &["a_b", "a_b.1", "a_b.2"]),
        (&[&[b"a_b.1"], &[b"a/b"], &[b"a_b"]], &["a_b.1", "a_b", "a_b.2"]),
        (&[&[b"a/b"], &[b"a_b"], &[b"a_b.1"]], &["a_b", "a_b.1", "a_b.1.1"]),
        (
            &[&[b"x/", b"1"], &[b"x_", b"1"], &[b"x/", b"2"], &[b"x_", b"2"]],
            &["x_/1", "x_.1/1", "x_/2", "x_.1/2"],
        ),
        (&[&[b"d/", b"f"], &[b"d_"]], &["d_/f", "d_.1"]),
        (&[&[b"a", b"b/"], &[b"c", b"b_"]], &["a/b_", "c/b_"]),
        (&[&[b"A"], &[b"a"]], &["A", "a"]),
        // The number goes before the extension.
        (&[&[b"a/.txt"], &[b"a_.txt"], &[b"a_.1.txt"]], &["a_.txt", "a_.1.txt", "a_.1.1.txt"]),
        (&[&[b"a.tar.gz"], &[b"a.tar.gz"]], &["a.tar.gz", "a.tar.1.gz"]),
        (&[&[b".profile"], &[b".profile"]], &[".profile", ".profile.1"]),
        (&[&[b"a. b"], &[b"a. b"], &[b"c."], &[b"c."]], &["a. b", "a. b.1", "c.", "c..1"]),
        (
            &[&[b"a.seventeen-letters"], &[b"a.seventeen-letters"]],
            &["a.seventeen-letters", "a.seventeen-letters.1"],
        ),
        // Two entries with one path are two files.
        (&[&[b"a"], &[b"a"], &[b"a"]], &["a", "a.1", "a.2"]),
        (&[&[b"d", b"b.iso"], &[b"c"], &[b"d", b"b.iso"]], &["d/b.iso", "c", "d/b.1.iso"]),
        (&[&[b"a.txt"], &[b"a.1.txt"], &[b"a.txt"]], &["a.txt", "a.1.txt", "a.2.txt"]),
    ];
    for (files, expected) in table {
        let entries: Vec<Vec<u8>> = files.iter().map(|path| entry(path)).collect();
        assert_eq!(paths(&entries).expect("names can be mended"), *expected);
    }
    let [one, two] = ["1", "2"].map(|tail| entry(&[("a".repeat(255) + tail).as_bytes()]));
    let cut = paths(&[one, two]).expect("names can be mended");
    assert_eq!(cut[0], "a".repeat(255));
    assert!(cut[1].len() <= 255 && cut[1].ends_with("aa.1"), "{}", cut[1]);
}

#[test]
fn an_overlong_name_keeps_a_short_extension() {
    let long = |stem: &str, extension: &str| {
        let paths = paths(&[entry(&[(stem.repeat(300) + extension).as_bytes()])])
            .expect("it can be mended");
        paths.into_iter().next().expect("there is one")
    };
    assert_eq!(long("x", ".mkv"), "x".repeat(251) + ".mkv");
    assert_eq!(long("é", ".mkv"), "é".repeat(125) + ".mkv");
    assert_eq!(long("x", ".a-dash"), "x".repeat(255));
    assert_eq!(long("x", ".fifteen0letters"), "x".repeat(239) + ".fifteen0letters");
    assert_eq!(long("x", ".sixteen00letters"), "x".repeat(255));
    assert_eq!(long("x", ".日本語"), "x".repeat(245) + ".日本語");
    assert_eq!(long("x.", ""), "x.".repeat(127) + "x");
    assert_eq!(long(".", "mkv"), ".".repeat(251) + ".mkv");
    // The number also goes before the extension.
    let twice = entry(&[("x".repeat(300) + ".mkv").as_bytes()]);
    let paths = paths(&[twice.clone(), twice]).expect("it can be mended");
    assert_eq!(paths[1], "x".repeat(240) + ".1.mkv");
}

#[test]
fn a_second_file_of_one_path_is_told_of() {
    let info =
        Info::from_bytes(&folder(&[entry(&[b"d", b"\x1ba.txt"]), entry(&[b"d", b"\x1ba.txt"])]))
            .expect("it can be mended");
    let note =
        "info.files[1].path is also the path of an earlier file; this one becomes d/_a.1.txt";
    assert_eq!((info.length, info.passed_over), (2, vec![note.to_owned()]));
}

#[test]
fn a_file_without_a_name_needs_none_if_it_has_no_bytes() {
    for path in ["le", "l0:e", "l0:0:e"] {
        let nameless = format!("d6:lengthi0e4:path{path}e").into_bytes();
        let info = Info::from_bytes(&folder(&[entry(&[b"a"]), nameless])).expect("nothing is lost");
        assert_eq!(
            info.passed_over,
            ["info.files[1].path is empty, and so is the file; it is passed over"]
        );
        assert!(info.files[1].padding && info.files[1].path.as_os_str().is_empty());
    }
}

#[test]
fn a_torrent_is_one_file_or_several_and_not_both() {
    let head = "4:name1:a12:piece lengthi4e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    for (files, found) in
        [("ld6:lengthi3e4:pathl1:feee", "a list"), ("le", "a list"), ("i1e", "an integer")]
    {
        let both = refusal(format!("d5:files{files}6:lengthi3e{head}").as_bytes());
        assert_eq!(
            both,
            format!("info.files must be left out where info.length is (BEP 3), but is {found}")
        );
    }
}

#[test]
fn an_unknown_meta_version_is_a_newer_format() {
    let pieces = "6:pieces20:aaaaaaaaaaaaaaaaaaaa";
    for version in ["-1", "0", "1", "3", "9223372036854775807"] {
        for pieces in ["", pieces] {
            let info = format!(
                "d6:lengthi3e12:meta versioni{version}e4:name1:a12:piece lengthi16384e{pieces}e"
            );
            let expected = "but only 2 is known (BEP 52): the torrent is of an unknown format";
            assert_eq!(
                refusal(info.as_bytes()),
                format!("info.meta version is {version}, {expected}")
            );
        }
    }
    // The version comes before everything else: we may not know any other key.
    assert!(refusal(b"d12:meta versioni3ee").contains("unknown format"));
}

#[test]
fn a_file_in_place_of_a_folder_is_refused() {
    let table: &[&[&[&[u8]]]] = &[
        &[&[b"a"], &[b"a", b"b"]],
        &[&[b"a", b"b"], &[b"a"]],
        &[&[b"a", b"b", b"c"], &[b"a", b"b"]],
    ];
    for files in table {
        let entries: Vec<Vec<u8>> = files.iter().map(|path| entry(path)).collect();
        let error = paths(&entries).expect_err("it cannot be meant well");
        assert!(matches!(error, MetainfoError::UnsafePath { .. }), "{error}");
    }
}

#[test]
fn two_hundred_thousand_colliding_names_take_no_longer_than_others() {
    // All of them are "__________________" after the repair.
    let name = |n: u32| {
        std::array::from_fn::<u8, 18, _>(|bit| if n >> bit & 1 == 0 { b'/' } else { b'\\' })
    };
    let entries: Vec<Vec<u8>> = (0..200_000).map(|n| entry(&[&name(n)])).collect();
    let files =
        within(Duration::from_secs(40), move || paths(&entries).expect("names can be mended"));
    assert_eq!(files.last().map(String::as_str), Some("__________________.199999"));
}

#[test]
fn long_names_that_differ_only_where_a_suffix_goes_take_no_longer_than_others() {
    // 10,000 pairs. Each pair is cut to one name of 255 bytes; the pairs' names
    // differ in the last four bytes only, which is where the number must go.
    let name = |n: u32, tail: char| format!("{}{n:04}{tail}", "x".repeat(251));
    let entries: Vec<Vec<u8>> = (0..10_000)
        .flat_map(|n| ['1', '2'].map(|tail| entry(&[name(n, tail).as_bytes()])))
        .collect();
    let files =
        within(Duration::from_secs(40), move || paths(&entries).expect("names can be mended"));
    assert_eq!(files.into_iter().collect::<HashSet<String>>().len(), 20_000);
}

#[test]
fn padding_files_count_as_bytes_but_have_no_path() {
    let pad = "d4:attr1:p6:lengthi3e4:pathl4:.pad1:3ee";
    let no_path = "d4:attr2:xp6:lengthi2ee";
    let info = format!(
        "d5:filesld6:lengthi1e4:pathl1:aee{pad}d6:lengthi1e4:pathl1:bee{pad}{no_path}d4:attr1:x6:lengthi1e4:pathl1:ceee\
         4:name1:n12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaae"
    );
    let info = Info::from_bytes(info.as_bytes()).expect("padding may repeat a path, or have none");
    let files: Vec<_> = info
        .files
        .iter()
        .map(|file| (file.path.to_str(), file.offset, file.length, file.padding))
        .collect();
    let padding = |offset, length| (Some(""), offset, length, true);
    let expected = [
        (Some("a"), 0, 1, false),
        padding(1, 3),
        (Some("b"), 4, 1, false),
        padding(5, 3),
        padding(8, 2),
        (Some("c"), 10, 1, false),
    ];
    assert_eq!((files, info.length), (expected.to_vec(), 11));
}

/// Checks what must be true of the files of any torrent that is accepted.
fn check(info: &Info) {
    let mut end = 0;
    let (mut files, mut folders) = (HashSet::new(), HashSet::new());
    for file in &info.files {
        assert_eq!(file.offset, end);
        end += file.length;
        if !file.padding {
            assert!(file.path.components().count() > 0);
            assert!(
                file.path
                    .components()
                    .all(|part| matches!(part, Component::Normal(name) if name.len() <= 255)),
                "{file:?}"
            );
            assert!(files.insert(file.path.clone()), "{file:?} is there twice");
            folders.extend(file.path.ancestors().skip(1).map(PathBuf::from));
        }
    }
    assert_eq!(end, info.length);
    assert!(files.is_disjoint(&folders));
    let all: u64 = info.pieces().map(|piece| u64::from(info.piece_size(piece))).sum();
    assert_eq!(all, info.length);
}

#[test]
fn whatever_the_names_no_two_files_share_a_path() {
    let names: [&[u8]; 13] = [
        b"a",
        "a\u{200b}".as_bytes(),
        b"a/",
        b"a_",
        b"a\\",
        b"a.1",
        b"a_.1",
        b"a_.1.1",
        b"b",
        b"\x01",
        b"_",
        b"\xff",
        b"\xfe",
    ];
    let mut random = StdRng::seed_from_u64(2);
    for _ in 0..4_000 {
        let entries: Vec<Vec<u8>> = (0..random.random_range(1..12))
            .map(|_| {
                (0..random.random_range(1..4))
                    .map(|_| names[random.random_range(0..names.len())])
                    .collect::<Vec<_>>()
            })
            .map(|path| entry(&path))
            .collect();
        if let Ok(info) = Info::from_bytes(&folder(&entries)) {
            check(&info);
            assert_eq!(info.files.len(), entries.len());
        }
    }
}

#[test]
fn mutilated_torrents_are_refused_or_read_but_never_panic() {
    let entries: [&[&[u8]]; 4] = [&[b"a", b"b"], &[b"c/"], &[b"a", b"d"], &[b"ee"]];
    let seeds = [folder(&entries.map(entry)), sample()]
        .map(|info| [b"d8:announce5:x://a4:info", &info[..], b"e"].concat());
    let mut random = StdRng::seed_from_u64(3);
    for round in 0..10_000 {
        let mut file = seeds[round % 2].clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..file.len());
            match random.random_range(0..3) {
                0 => file[at] = random.random(),
                1 => file[at] = b"ilde0123456789:-./"[random.random_range(0..18)],
                _ => drop(file.remove(at)),
            }
        }
        match Metainfo::from_bytes(&file) {
            Ok(torrent) => check(&torrent.info),
            Err(error) => assert!(!error.to_string().chars().any(char::is_control)),
        }
    }
}
