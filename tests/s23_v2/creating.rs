//! From files to torrents of version 2, and hybrids.

use super::super::support::bencode::{Value, decode};
use super::super::support::{Outcome, Run, assert_chosen, folder, in_time};
use super::made::{fixture, formula, layer, root};
use piecemeal::s02_metainfo::MetainfoError;
use piecemeal::s10_storage::create::{Content, CreateError, Created, Draft};
use piecemeal::s10_storage::{Storage, StorageError, verify};
use piecemeal::s23_v2::create::{Version, torrent};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const BOTH: [Version; 2] = [Version::Two, Version::Hybrid];

fn pieces_of(length: u64) -> Draft {
    Draft { piece_length: Some(length), ..Draft::default() }
}

fn try_create(path: &Path, version: Version, draft: &Draft) -> Result<Created, CreateError> {
    torrent(&Content::find(path, None)?, version, draft, &AtomicBool::new(false), &|_| {})
}

#[track_caller]
fn create(path: &Path, version: Version, piece_length: u64) -> Created {
    try_create(path, version, &pieces_of(piece_length))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let place = root.join(path);
    std::fs::create_dir_all(place.parent().expect("it lies in the root"))
        .expect("the folder takes a folder");
    std::fs::write(place, bytes).expect("the folder takes a file");
}

/// Each file's path and length in the version 1 half of a hybrid.
fn list(created: &Created) -> Vec<(String, i64)> {
    let (value, _) = decode(&created.bytes).expect("it is bencode");
    let Some(Value::List(files)) = value.get("info").and_then(|info| info.get("files")) else {
        panic!("no files")
    };
    let file = |file: &Value| {
        let (Some(Value::List(parts)), Some(Value::Int(length))) =
            (file.get("path"), file.get("length"))
        else {
            panic!("{file:?}")
        };
        let parts = parts.iter().map(|part| match part {
            Value::Bytes(part) => String::from_utf8_lossy(part).into_owned(),
            other => panic!("{other:?}"),
        });
        (parts.collect::<Vec<_>>().join("/"), *length)
    };
    files.iter().map(file).collect()
}

/// Paths, each with a length in bytes.
type Files = &'static [(&'static str, usize)];

#[test]
fn what_is_created_is_byte_for_byte_what_libtorrent_creates() {
    let folder = folder();
    let files: [(&str, Files, u64); 6] = [
        ("small", &[("small.bin", 1_000)], 32_768),
        ("b", &[("b.bin", 16_384)], 16_384),
        ("p1", &[("p1.bin", 16_385)], 16_384),
        ("odd", &[("odd.bin", 100_000)], 32_768),
        ("l600", &[("l600.bin", 9_830_405)], 16_384),
        (
            "d",
            &[
                ("d/a.bin", 32_768),
                ("d/b.bin", 40_000),
                ("d/empty", 0),
                ("d/sub/c.txt", 77),
                ("d/sub/d.bin", 131_073),
            ],
            32_768,
        ),
    ];
    for (label, files, piece_length) in files {
        for (number, (path, length)) in files.iter().enumerate() {
            write(folder.path(), path, &formula(*length, number));
        }
        let top = files[0].0.split('/').next().expect("a path has a first part");
        for (version, kind) in [(Version::Two, "v2"), (Version::Hybrid, "hybrid")] {
            let found = create(&folder.path().join(top), version, piece_length).bytes;
            let expected = fixture(&format!("{label}-{kind}"));
            assert!(
                found == expected,
                "{label}, {kind}:\n{}\ninstead of\n{}",
                String::from_utf8_lossy(&found),
                String::from_utf8_lossy(&expected)
            );
        }
    }
}

#[test]
fn every_option_is_a_key_in_its_place() {
    let folder = folder();
    write(folder.path(), "abc.txt", b"abc");
    let draft = Draft {
        piece_length: Some(16_384),
        tiers: vec![vec!["http://a/1".to_owned()], vec!["http://c".to_owned()]],
        private: true,
        web_seeds: vec!["http://w/abc.txt".to_owned()],
        nodes: vec![("n".to_owned(), 6881)],
        comment: Some("hello".to_owned()),
        source: Some("HERE".to_owned()),
        created_by: Some("us".to_owned()),
        creation_date: Some(1_234_567_890),
    };
    // FIPS 180-2: the SHA-256 of "abc". FIPS 180-1: its SHA-1.
    let root = hex::decode("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let sha1 = hex::decode("a9993e364706816aba3e25717850c26c9cd0d89d");
    let (root, sha1) = (root.expect("it is hex"), sha1.expect("it is hex"));
    let head = b"d8:announce10:http://a/113:announce-listll10:http://a/1el8:http://cee\
        7:comment5:hello10:created by2:us13:creation datei1234567890e\
        4:infod9:file treed7:abc.txtd0:d6:lengthi3e11:pieces root32:";
    let tail = b"7:privatei1e6:source4:HEREe5:nodesll1:ni6881eee12:piece layersde\
        8:url-listl16:http://w/abc.txtee";
    let two =
        [&head[..], &root, b"eee12:meta versioni2e4:name7:abc.txt12:piece lengthi16384e", tail];
    let hybrid = [
        &head[..],
        &root,
        b"eee6:lengthi3e12:meta versioni2e4:name7:abc.txt12:piece lengthi16384e6:pieces20:",
        &sha1,
        tail,
    ];
    for (version, expected) in [(Version::Two, two.concat()), (Version::Hybrid, hybrid.concat())] {
        let found = try_create(&folder.path().join("abc.txt"), version, &draft);
        let found = found.expect("nothing is wrong with it").bytes;
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected));
        assert_eq!(found, expected, "{version:?}");
    }
}

#[test]
fn a_folder_comes_before_a_file_whose_name_goes_on() {
    let folder = folder();
    // By whole paths, `a.txt` would be first: `.` is less than `/`.
    write(folder.path(), "top/a.txt", b"file");
    write(folder.path(), "top/a/x", b"in a folder");
    // In another order it is refused: the halves of a hybrid must have one.
    let found = match try_create(&folder.path().join("top"), Version::Hybrid, &pieces_of(16_384)) {
        Ok(created) => list(&created),
        Err(error) => vec![(error.to_string(), 0)],
    };
    let expected = [("a/x", 11), (".pad/16373", 16_373), ("a.txt", 4), (".pad/16380", 16_380)];
    let expected = expected.map(|(path, length)| (path.to_owned(), length));
    let why = "names are compared one by one, as in the tree: the folder a is before a.txt";
    assert_chosen("the files", &found[..], &expected[..], why, "BEP 52, file tree");
}

#[test]
fn padding_is_behind_each_file_that_does_not_end_with_a_piece() {
    let folder = folder();
    write(folder.path(), "top/a", &[1; 16_384]);
    write(folder.path(), "top/b", &[2; 16_385]);
    write(folder.path(), "top/c", b"");
    write(folder.path(), "top/d", &[3; 5]);
    write(folder.path(), "top/e", b"");
    let created = create(&folder.path().join("top"), Version::Hybrid, 16_384);
    let expected = [
        ("a", 16_384),
        ("b", 16_385),
        (".pad/16383", 16_383),
        ("c", 0),
        ("d", 5),
        (".pad/16379", 16_379),
        ("e", 0),
    ];
    assert_eq!(list(&created), expected.map(|(path, length)| (path.to_owned(), length)));
    // A list of one file gets none, as in libtorrent.
    write(folder.path(), "one/file", &[1; 5]);
    let created = create(&folder.path().join("one"), Version::Hybrid, 16_384);
    assert_eq!(list(&created), [("file".to_owned(), 5)]);
}

#[test]
fn files_with_the_same_content_share_a_root_and_a_layer() {
    let folder = folder();
    let content = formula(50_000, 1);
    write(folder.path(), "top/a", &content);
    write(folder.path(), "top/b", &content);
    for version in BOTH {
        let created = create(&folder.path().join("top"), version, 16_384);
        let (value, _) = decode(&created.bytes).expect("it is bencode");
        let Some(Value::Dict(layers)) = value.get("piece layers") else { panic!("no layers") };
        let expected = [(root(&content).to_vec(), layer(&content, 16_384).concat())];
        let found: Vec<(Vec<u8>, Vec<u8>)> = layers
            .iter()
            .map(|(root, layer)| match layer {
                Value::Bytes(layer) => (root.clone(), layer.clone()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(found == expected, "{version:?}: {} layers", found.len());
    }
}

#[test]
fn what_is_created_verifies_its_content_and_nothing_else() {
    let folder = folder();
    let top = folder.path().join("top");
    for (path, length) in [("a/x", 100_000), ("a.txt", 1), ("b/empty", 0), ("c", 65_536)] {
        write(&top, path, &formula(length, length));
    }
    for version in BOTH {
        let info = create(&top, version, 32_768).metainfo.info;
        let right = || {
            let store = Storage::new(&info, &top, false);
            let right = verify(&info, &store, &AtomicBool::new(false), &|_| {});
            let right = right.unwrap_or_else(|error| panic!("{version:?}: {error}"));
            info.pieces().map(|piece| right.has(piece.get())).collect::<Vec<bool>>()
        };
        assert_eq!(right(), [true; 7], "{version:?}");
        let mut changed = formula(100_000, 100_000);
        changed[99_999] ^= 1;
        write(&top, "a/x", &changed);
        assert_eq!(right(), [true, true, true, false, true, true, true], "{version:?}");
        write(&top, "a/x", &formula(100_000, 100_000));
    }
}

#[test]
fn padding_is_never_read_hashed_or_counted_in_version_2() {
    let folder = folder();
    let top = folder.path().join("top");
    // With their padding, these would be 62 GiB.
    for number in 0..2_000 {
        write(&top, &format!("{number:04}"), &[number as u8]);
    }
    let most = AtomicU64::new(0);
    let created = in_time(move || {
        let content = Content::find(&top, None).expect("the files are there");
        let created = torrent(
            &content,
            Version::Two,
            &pieces_of(32 << 20),
            &AtomicBool::new(false),
            &|done| {
                most.fetch_max(done, Ordering::Relaxed);
            },
        );
        (created.map(|created| created.metainfo.info), most.into_inner())
    });
    let info = created.0.expect("nothing is wrong with it");
    assert_eq!((info.piece_count(), info.length, created.1), (2_000, 2_000, 2_000));
}

#[test]
fn progress_of_a_hybrid_ends_at_the_length_of_the_files() {
    let folder = folder();
    write(folder.path(), "top/a", &[1; 20_000]);
    write(folder.path(), "top/b", &[2; 20_000]);
    let content = Content::find(&folder.path().join("top"), None).expect("the files are there");
    let most = AtomicU64::new(0);
    let hashed = |done| {
        most.fetch_max(done, Ordering::Relaxed);
    };
    let (draft, stop) = (pieces_of(16_384), AtomicBool::new(false));
    torrent(&content, Version::Hybrid, &draft, &stop, &hashed).expect("nothing is wrong with it");
    assert_eq!(most.into_inner(), 40_000);
    stop.store(true, Ordering::Relaxed);
    let stopped = torrent(&content, Version::Hybrid, &draft, &stop, &|_| {});
    let error = stopped.expect_err("it was told to stop");
    assert!(matches!(error, CreateError::Storage(StorageError::Stopped)), "{error}");
}

#[test]
fn a_piece_length_that_is_no_subtree_is_refused_before_anything_is_hashed() {
    let folder = folder();
    write(folder.path(), "a", &[1; 100_000]);
    for length in [1_u64, 8_192, 16_383, 16_385, 49_152] {
        for version in BOTH {
            let content = Content::find(&folder.path().join("a"), None).expect("it is there");
            let hashed = AtomicBool::new(false);
            let error =
                torrent(&content, version, &pieces_of(length), &AtomicBool::new(false), &|_| {
                    hashed.store(true, Ordering::Relaxed);
                });
            let error = error.expect_err("the length is wrong").to_string();
            assert_eq!(
                error,
                format!(
                    "info.piece length must be a power of two from 16384 to 536870912, but is {length}"
                ),
            );
            assert!(!hashed.into_inner(), "{version:?}, {length}");
        }
    }
}

#[test]
fn a_folder_that_a_reader_takes_for_a_single_file_is_refused() {
    let folder = folder();
    write(folder.path(), "x/x", b"a file with its folder's name");
    let error = try_create(&folder.path().join("x"), Version::Two, &Draft::default());
    let error = error.expect_err("no reader could tell").to_string();
    assert_eq!(error, "x/x: clients would change this to x");
    // With a second file nothing is ambiguous.
    write(folder.path(), "x/y", b"another");
    create(&folder.path().join("x"), Version::Two, 16_384);
}

#[test]
fn folders_that_are_nested_too_deep_are_refused_before_anything_is_hashed() {
    let folder = folder();
    let path = vec!["d"; 70].join("/");
    write(folder.path(), &format!("top/{path}/file"), b"deep down");
    for version in BOTH {
        let error = try_create(&folder.path().join("top"), version, &Draft::default());
        let error = error.expect_err("a reader stops before it");
        assert!(
            matches!(error, CreateError::Refused(MetainfoError::Bencode(_))),
            "{version:?}: {error}"
        );
    }
}

fn command(folder: &Path, words: &[&str]) -> Outcome {
    Run::new(["create"].iter().chain(words)).dir(folder).run()
}

/// The names of `small.bin`, as libtorrent 2.1.1 gives them.
const SMALL: &str = "7f03ebc9aa5d85620f19e611116ca28cda473899cda79c2c274c257b9670709b";
const SMALL_HYBRID: [&str; 2] = [
    "8005036b884f6515aaaa39cdedec7c8f78b0f1c3",
    "67f9cc25a717fcadf37dc408375429ea2c4af462687de18844c84d792ec77328",
];

#[test]
fn the_command_prints_all_names_and_a_link_with_them() {
    let folder = folder();
    write(folder.path(), "small.bin", &formula(1_000, 0));
    let words = ["--force", "--piece-length", "32KiB", "--version"];
    command(folder.path(), &[&words[..], &["2", "small.bin"]].concat()).prints(&format!(
        "Info Hash v2: {SMALL}\nMagnet: magnet:?xt=urn:btmh:1220{SMALL}&dn=small.bin\nCreated small.bin.torrent.\n"
    ));
    let [sha1, sha256] = SMALL_HYBRID;
    command(folder.path(), &[&words[..], &["hybrid", "small.bin"]].concat()).prints(&format!(
        "Info Hash: {sha1}\nInfo Hash v2: {sha256}\n\
        Magnet: magnet:?xt=urn:btih:{sha1}&xt=urn:btmh:1220{sha256}&dn=small.bin\nCreated small.bin.torrent.\n"
    ));
    Run::new(["verify", "small.bin.torrent", "small.bin"]).dir(folder.path()).run().succeeds();
}

#[test]
fn version_1_is_the_default_and_can_be_named() {
    let folder = folder();
    write(folder.path(), "a", &formula(40_000, 0));
    let outcome = command(folder.path(), &["a"]);
    outcome.succeeds();
    assert!(!outcome.out().contains("v2"), "{outcome}");
    let first = std::fs::read(folder.path().join("a.torrent")).expect("it was created");
    command(folder.path(), &["--force", "--version", "1", "a"]).prints(&outcome.out());
    assert_eq!(std::fs::read(folder.path().join("a.torrent")).expect("it was created"), first);
    let outcome = command(folder.path(), &["--force", "--version", "3", "a"]);
    assert!(outcome.code == Some(2) && outcome.err().contains("1, 2, hybrid"), "{outcome}");
}

#[test]
fn for_programs_a_torrent_without_a_sha_1_has_none() {
    let folder = folder();
    write(folder.path(), "top/a", &formula(20_000, 0));
    write(folder.path(), "top/b", &formula(20_000, 1));
    for (version, has_sha1) in [("2", false), ("hybrid", true)] {
        let outcome = command(folder.path(), &["--json", "--force", "--version", version, "top"]);
        outcome.succeeds();
        let made: serde_json::Value = serde_json::from_str(&outcome.out()).expect("it is JSON");
        assert_eq!(made["info_hash"].is_string(), has_sha1, "{outcome}");
        assert_eq!(made["info_hash_v2"].as_str().map(str::len), Some(64), "{outcome}");
        let numbers = ["pieces", "length", "files"].map(|key| made[key].as_u64());
        assert_eq!(numbers, [Some(4), Some(40_000), Some(2)], "{outcome}");
    }
}
