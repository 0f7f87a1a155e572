//! Both halves of a hybrid describe the same bytes, or it is refused.

use super::super::support::bencode::{bytes, dict, int, list};
use super::made::{Made, fixture, padding};
use super::reading::{read, sizes, trees_of};
use piecemeal::s02_metainfo::{Metainfo, MetainfoError};
use piecemeal::s23_v2::{V2Error, from_bytes, info_from_bytes};

fn made() -> Made {
    Made::folder(16_384, &[("a/x", 20_000), ("a.txt", 16_384), ("empty", 0), ("z", 5)])
}

/// What the error says, which must be about the halves.
#[track_caller]
fn differ(info: &[u8]) -> String {
    let error = info_from_bytes(info).expect_err("its halves differ");
    let MetainfoError::Other(error) = error else { panic!("{error:?}") };
    let error = *error.downcast::<V2Error>().expect("it is ours");
    assert!(matches!(error, V2Error::Halves { .. }), "{error:?}");
    error.to_string()
}

#[track_caller]
fn differ_by(info: &[u8], words: &str) {
    let what = differ(info);
    assert!(what.contains(words), "{words:?} is not in {what}");
}

#[test]
fn padding_behind_the_last_file_may_be_there_or_not() {
    // `a` before `a.txt`: component by component, since "." is before "/".
    let without = made();
    let with = Made { tail_padding: true, ..without.clone() };
    let (without, with) =
        (read(&without.file(&without.hybrid_info())), read(&with.file(&with.hybrid_info())));
    assert_eq!(sizes(&without), [16_384, 16_384, 16_384, 5]);
    assert_eq!(sizes(&with), [16_384; 4]);
    let numbers = |info| -> Vec<_> {
        trees_of(info).files().iter().map(|file| (file.number, file.first_piece)).collect()
    };
    assert_eq!(numbers(&without), [(0, 0), (2, 2), (4, 3)]);
    assert_eq!(numbers(&with), numbers(&without));
    assert_ne!(trees_of(&with).name, trees_of(&without).name, "they are two torrents");
}

#[test]
fn padding_may_come_before_or_behind_an_empty_file_and_needs_no_path() {
    let made = Made::folder(16_384, &[("a", 5), ("b", 0), ("c", 7)]);
    let mut files = made.list();
    assert_eq!(files.len(), 4);
    files.swap(1, 2);
    let info = made.hybrid_with(files.clone(), &made.row());
    assert_eq!(trees_of(&read(&made.file(&info))).files()[1].number, 3);
    files[2] = dict(&[("attr", bytes("xp")), ("length", int(16_384 - 5))]);
    let info = made.hybrid_with(files, &made.row());
    assert_eq!(trees_of(&read(&made.file(&info))).files()[1].number, 3);
}

#[test]
fn lists_that_differ_from_the_tree_are_refused() {
    let made = made();
    let (list_, row) = (made.list(), made.row());
    let with = |files: Vec<Vec<u8>>, row: &[u8]| made.hybrid_with(files, row);
    // a/x, padding, a.txt, empty, z
    assert!(info_from_bytes(&with(list_.clone(), &row)).is_ok());
    let path = |names: &[&str]| list(&names.iter().map(bytes).collect::<Vec<_>>());
    let one = |length: i64, names: &[&str]| dict(&[("length", int(length)), ("path", path(names))]);
    let changed = |at: usize, file: Vec<u8>| {
        let mut files = list_.clone();
        files[at] = file;
        files
    };
    differ_by(&with(changed(4, one(5, &["y"])), &row), "info.files[4] is not \"z\", which is next");
    differ_by(&with(changed(4, one(5, &["z", "z"])), &row), "info.files[4] is not \"z\"");
    differ_by(&with(changed(0, one(20_000, &["A", "x"])), &row), "info.files[0] is not \"a/x\"");
    differ_by(
        &with(changed(4, one(6, &["z"])), &[&row[..], b"."].concat()),
        "\"z\" has 6 bytes in version 1, and 5 in version 2",
    );
    // An old encoding, with the name of the tree beside it; and the other way around.
    let two = |old: &[u8], utf8: &str| {
        let path = |name: &[u8]| list(&[bytes(name)]);
        let (old, utf8) = (("path", path(old)), ("path.utf-8", path(utf8.as_bytes())));
        with(changed(4, dict(&[("length", int(5)), old, utf8])), &row)
    };
    assert!(info_from_bytes(&two(b"\xe4", "z")).is_ok());
    differ_by(&two(b"z", "evil"), "info.files[4] is not \"z\", which is next");
    // The order of whole paths, as a library that sorts them writes it: `a.txt`, padding, `a/x`.
    let mut by_path =
        Made::folder(16_384, &[("a.txt", 16_384), ("a/x", 20_000), ("empty", 0), ("z", 5)]);
    by_path.files[0].1 = made.files[1].1.clone();
    by_path.files[1].1 = made.files[0].1.clone();
    differ_by(&with(by_path.list(), &by_path.row()), "info.files[0] is not \"a/x\"");
    // Too few, and too many.
    let row_3 = &row[..3 * 16_384];
    differ_by(&with(list_[..4].to_vec(), row_3), "z is not in info.files");
    let mut more = list_.clone();
    more.push(one(0, &["zz"]));
    differ_by(&with(more, &row), "info.files[5] is not in the file tree");
    // Padding that is missing, short, long, doubled, or where none is needed.
    let mut none = list_.clone();
    none.remove(1);
    let row_none = [&row[..20_000], &row[32_768..]].concat();
    differ_by(
        &with(none, &row_none),
        "info.files[1] does not begin at a piece: 12768 bytes of padding are missing",
    );
    for length in [12_767_usize, 12_769, 12_768 + 16_384] {
        let mut row_with = row[..20_000].to_vec();
        row_with.resize(20_000 + length, 0);
        row_with.extend(&row[32_768..]);
        differ_by(
            &with(changed(1, padding(length)), &row_with),
            &format!("info.files[1] is {length} bytes of padding, and 12768 are needed"),
        );
    }
    let mut twice = list_.clone();
    twice.insert(3, padding(16_384));
    let row_twice = [&row[..49_152], &[0; 16_384], &row[49_152..]].concat();
    differ_by(
        &with(twice, &row_twice),
        "info.files[3] is 16384 bytes of padding, and 0 are needed",
    );
}

#[test]
fn one_file_must_be_the_same_one() {
    let made = Made::single(16_384, "a", 20_000);
    assert!(info_from_bytes(&made.hybrid_info()).is_ok());
    let hybrid = |tree: &Made| {
        let mut pairs = made.pairs();
        pairs[0].1 = tree.tree();
        pairs.extend([("length", int(20_000)), ("pieces", bytes([1; 40]))]);
        pairs.sort_by_key(|(key, _)| *key);
        dict(&pairs)
    };
    differ_by(
        &hybrid(&Made::folder(16_384, &[("b", 20_000)])),
        "one file, \"a\" of 20000 bytes in version 1, and \"b\" of 20000 in version 2",
    );
    differ_by(&hybrid(&Made::folder(16_384, &[("a", 19_999)])), "and \"a\" of 19999 in version 2");
    differ_by(&hybrid(&Made::folder(16_384, &[("a/a", 20_000)])), "\"a/a\"");
    differ_by(
        &hybrid(&Made::folder(16_384, &[("a", 20_000), ("b", 0)])),
        "one file in version 1, and 2 in version 2",
    );
}

#[test]
fn the_name_of_one_file_is_compared_in_the_encoding_that_is_used() {
    let made = Made::single(16_384, "a", 20_000);
    let hybrid = |name: &[u8], utf8: &[u8]| {
        let mut pairs = made.pairs();
        pairs.retain(|(key, _)| *key != "name");
        pairs.extend([("length", int(20_000)), ("name", bytes(name))]);
        pairs.extend([("name.utf-8", bytes(utf8)), ("pieces", bytes([1; 40]))]);
        pairs.sort_by_key(|(key, _)| *key);
        dict(&pairs)
    };
    // An old encoding, with the name of the tree beside it; and the other way around.
    let info = info_from_bytes(&hybrid(b"\xe4", b"a")).expect("one name in two encodings");
    assert_eq!((&*info.name, info.files[0].path.to_str()), ("a", Some("a")));
    differ_by(
        &hybrid(b"a", b"evil"),
        "one file, \"evil\" of 20000 bytes in version 1, and \"a\" of 20000 in version 2",
    );
    // Neither of these is used.
    for utf8 in [&b""[..], b"\xe4"] {
        assert!(info_from_bytes(&hybrid(b"a", utf8)).is_ok(), "{utf8:?}");
        differ_by(&hybrid(b"\xe4", utf8), "and \"a\" of 20000 in version 2");
    }
}

#[test]
fn each_half_must_also_be_right_on_its_own() {
    let made = made();
    let mut pairs = made.pairs();
    pairs.push(("pieces", bytes([1; 80])));
    // Neither `length` nor `files`: stage 2's words.
    let error = info_from_bytes(&dict(&pairs)).expect_err("it has half a version 1");
    assert!(matches!(error, MetainfoError::Missing { .. }), "{error:?}");
    // Version 1 may have any piece length, and a hybrid may not.
    let odd = Made { piece_length: 20_000, ..Made::folder(20_000, &[("a", 5)]) };
    let error = info_from_bytes(&odd.hybrid_info()).expect_err("20,000 is no power of two");
    assert!(error.to_string().contains("a power of two"), "{error}");
    assert!(Metainfo::from_bytes(&odd.file(&odd.hybrid_info())).is_ok(), "as version 1 it is good");
    // Piece layers are checked in a hybrid too.
    let mut file = fixture("odd-hybrid");
    let last = file.len() - 4;
    file[last] ^= 1;
    assert!(from_bytes(&file).is_err_and(|error| error.to_string().contains("piece layers")));
}
