//! What is at the output before a download, and what happens to it.

use super::super::support::{Recipe, Torrent, content, folder};
use super::super::{files_in, fill, info, snapshot};
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{StorageError, Store};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn single() -> Torrent {
    Recipe::single("t", 8, content(30, 1)).build()
}

fn several() -> Torrent {
    Recipe::files("t", 8, &[("a", content(13, 2)), ("empty", vec![]), ("sub/b", content(11, 3))])
        .build()
}

fn open(torrent: &Torrent, path: &Path, force: bool) -> Result<Output, StorageError> {
    Output::open(&info(torrent), path, force, &AtomicBool::new(false), &|_| {})
}

fn has(output: &Output) -> Vec<u32> {
    output.have.iter().collect()
}

/// `out` becomes `out.piecemeal`.
fn marker(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".piecemeal");
    name.into()
}

#[track_caller]
fn is_marked(torrent: &Torrent, path: &Path) {
    let text = fs::read_to_string(marker(path)).expect("a partial download has a marker");
    assert_eq!(text.trim_end(), torrent.hex());
}

/// The output is refused with an error that names `named`, and nothing changes.
#[track_caller]
fn is_refused(torrent: &Torrent, folder: &Path, path: &Path, named: &str) {
    let before = snapshot(folder);
    let error = open(torrent, path, false).map(drop).expect_err("it holds something else");
    let path = match &error {
        StorageError::Exists { path, .. } | StorageError::Foreign { path, .. } => path,
        _ => panic!("{error}"),
    };
    assert!(path.ends_with(named), "{error}");
    assert_eq!(snapshot(folder), before);
}

#[test]
fn nothing_there_becomes_a_marked_download() {
    for torrent in [single(), several()] {
        let folder = folder();
        let path = folder.path().join("new/folders/out");
        let output = open(&torrent, &path, false).expect("the place is free");
        assert_eq!(has(&output), [0; 0]);
        is_marked(&torrent, &path);
        assert_eq!(files_in(folder.path()), ["new/folders/out.piecemeal"]);
    }
}

#[test]
fn an_empty_file_or_an_empty_folder_can_be_used() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, b"").expect("the folder takes a file");
    assert_eq!(has(&open(&single(), &path, false).expect("nothing is lost")), [0; 0]);
    is_marked(&single(), &path);
    let path = folder.path().join("folder");
    fs::create_dir(&path).expect("the folder takes a folder");
    assert_eq!(has(&open(&several(), &path, false).expect("nothing is lost")), [0; 0]);
    is_marked(&several(), &path);
}

#[test]
fn a_marked_partial_goes_on_with_the_pieces_that_are_right() {
    for torrent in [single(), several()] {
        let folder = folder();
        let path = folder.path().join("out");
        let output = open(&torrent, &path, false).expect("the place is free");
        output.storage.write(8, &torrent.content[8..24]).expect("the folder takes files");
        // The marker of a run that was killed, without its newline, also counts.
        fs::write(marker(&path), torrent.hex()).expect("the folder takes files");
        let checked = AtomicU64::new(0);
        let again =
            Output::open(&info(&torrent), &path, false, &AtomicBool::new(false), &|bytes| {
                checked.fetch_max(bytes, Ordering::SeqCst);
            });
        assert_eq!(has(&again.expect("it is the same torrent's")), [1, 2]);
        assert_eq!(checked.into_inner(), torrent.content.len() as u64);
        is_marked(&torrent, &path);
    }
}

#[test]
fn a_marker_is_believed_as_far_as_the_hashes_go() {
    let (torrent, folder) = (single(), folder());
    let path = folder.path().join("out");
    let mut spoilt = torrent.content.clone();
    (spoilt[0], spoilt[29]) = (!spoilt[0], !spoilt[29]);
    fs::write(&path, &spoilt).expect("the folder takes files");
    fs::write(marker(&path), torrent.hex()).expect("the folder takes files");
    assert_eq!(has(&open(&torrent, &path, false).expect("it is marked")), [1, 2]);
    // Marked, but the content is gone.
    fs::remove_file(&path).expect("it is there");
    assert_eq!(has(&open(&torrent, &path, false).expect("it is marked")), [0; 0]);
}

#[test]
fn the_marker_of_another_torrent_is_left_alone() {
    let (torrent, other, folder) = (single(), several(), folder());
    let path = folder.path().join("out");
    for text in [other.hex(), String::new(), torrent.hex() + "0", format!("x{}", torrent.hex())] {
        fs::write(marker(&path), text).expect("the folder takes files");
        // With the other download's content, with none, and with the right one.
        is_refused(&torrent, folder.path(), &path, "out.piecemeal");
        for content in [&b"the other's"[..], &torrent.content] {
            fs::write(&path, content).expect("the folder takes files");
            is_refused(&torrent, folder.path(), &path, "out.piecemeal");
        }
        fs::remove_file(&path).expect("it is there");
    }
}

#[test]
fn foreign_content_is_left_alone_byte_for_byte() {
    let (torrent, folder) = (single(), folder());
    let path = folder.path().join("out");
    let almost = {
        let mut content = torrent.content.clone();
        content[17] ^= 1;
        content
    };
    let longer = [&torrent.content[..], b"!"].concat();
    for foreign in [&b"x"[..], &[b'x'; 30], &[b'x'; 31], &almost, &longer, &torrent.content[..29]] {
        fs::write(&path, foreign).expect("the folder takes files");
        is_refused(&torrent, folder.path(), &path, "/out");
    }
}

#[test]
fn a_folder_with_foreign_content_is_left_alone() {
    let (torrent, folder) = (several(), folder());
    let path = folder.path().join("out");
    fs::create_dir(&path).expect("the folder takes a folder");
    fs::write(path.join("my diary"), b"").expect("the folder takes files");
    is_refused(&torrent, folder.path(), &path, "/out");
    // The right names and sizes do not make it ours.
    fill(&torrent, &path);
    fs::write(path.join("sub/b"), [b'x'; 11]).expect("the folder takes files");
    is_refused(&torrent, folder.path(), &path, "/out");
    // Nor does a file for a folder, or a folder for a single file.
    is_refused(&torrent, folder.path(), &path.join("sub/b"), "/b");
    let before = snapshot(folder.path());
    let error = open(&single(), &path, false).map(drop).expect_err("it is a folder");
    assert!(matches!(&error, StorageError::NotAFile { path } if path.ends_with("/out")), "{error}");
    assert_eq!(snapshot(folder.path()), before);
}

/// A torrent with pieces long enough to prove whose they are; the last has 452 bytes.
fn long_pieces() -> Torrent {
    Recipe::files("t", 1024, &[("a", content(2500, 4)), ("sub/b", content(1024, 5))]).build()
}

#[test]
fn one_whole_piece_shows_that_another_client_has_begun_the_download() {
    let torrent = long_pieces();
    for piece in 0..3 {
        let folder = folder();
        let path = folder.path().join("out");
        let mut there = vec![b'x'; torrent.content.len()];
        let bytes = piece * 1024..(piece + 1) * 1024;
        there[bytes.clone()].copy_from_slice(&torrent.content[bytes]);
        fs::create_dir_all(path.join("sub")).expect("the folder takes folders");
        fs::write(path.join("a"), &there[..2500]).expect("the folder takes files");
        fs::write(path.join("sub/b"), &there[2500..]).expect("the folder takes files");
        fs::write(path.join("my diary"), b"dear diary").expect("the folder takes files");
        let before = snapshot(&path);
        let output = open(&torrent, &path, false).expect("a piece of it is right");
        assert_eq!((has(&output), output.begun_elsewhere), (vec![piece as u32], true));
        is_marked(&torrent, &path);
        assert_eq!(snapshot(&path), before, "nothing has come yet");
        // From now on it counts as ours.
        assert!(!open(&torrent, &path, false).expect("it is marked").begun_elsewhere);
    }
}

#[test]
fn the_refusal_says_how_many_pieces_were_looked_at() {
    let (torrent, folder) = (long_pieces(), folder());
    let path = folder.path().join("out");
    fs::create_dir(&path).expect("the folder takes a folder");
    fs::write(path.join("a"), b"mine").expect("the folder takes files");
    is_refused(&torrent, folder.path(), &path, "/out");
    let error = open(&torrent, &path, false).map(drop).expect_err("it is foreign").to_string();
    assert!(
        error.ends_with(
            "/out: exists, and is not part of this torrent: 4 pieces checked, none right"
        ),
        "{error}"
    );
}

#[test]
fn pieces_that_any_file_may_have_do_not_show_whose_it_is() {
    let zeros = vec![0; 1024];
    let with_zeros = Recipe::single(
        "t",
        1024,
        [content(1024, 6), zeros.clone(), zeros[..1000].to_vec()].concat(),
    )
    .build();
    let padded = Recipe::single("t", 1024, Vec::new())
        .file(&[b"a"], content(1024, 7), "")
        .file(&[b".pad", b"2048"], vec![0; 2048], "p")
        .build();
    let with_short_end =
        Recipe::single("t", 1024, [content(2048, 8), b"</html>".to_vec()].concat()).build();
    let with_short_pieces = Recipe::single("t", 1, content(2000, 9)).build();
    // A torrent, a file, what is in it, and pieces that happen to be right.
    type Case<'a> = (&'a Torrent, &'a [&'a str], Vec<u8>, &'a [u32]);
    let table: [Case; 4] = [
        // Space that was reserved for another file.
        (&with_zeros, &["out"], vec![0; 3048], &[1, 2]),
        // Padding is always right.
        (&padded, &["out", "a"], b"mine".to_vec(), &[1, 2]),
        (&with_short_end, &["out"], [vec![b'x'; 2048], b"</html>".to_vec()].concat(), &[2]),
        (&with_short_pieces, &["out"], [content(500, 9), vec![0; 1500]].concat(), &[0, 1]),
    ];
    for (torrent, place, there, right) in table {
        let folder = folder();
        let path = folder.path().join("out");
        let file: PathBuf =
            place.iter().fold(folder.path().to_owned(), |path, part| path.join(part));
        fs::create_dir_all(file.parent().expect("it has one")).expect("the folder takes folders");
        fs::write(&file, &there).expect("the folder takes files");
        is_refused(torrent, folder.path(), &path, "/out");
        // They are still right.
        let output = open(torrent, &path, true).expect("it was forced");
        assert!(right.iter().all(|piece| output.have.has(*piece)) && !output.begun_elsewhere);
    }
    // If all of it is there, with the right lengths, nothing has to be written.
    let folder = folder();
    let all_zeros = Recipe::single("t", 1024, vec![0; 3000]).build();
    let path = folder.path().join("out");
    fill(&all_zeros, &path);
    assert!(open(&all_zeros, &path, false).expect("it is complete").have.is_full());
    fs::write(&path, [0; 3001]).expect("the folder takes files");
    is_refused(&all_zeros, folder.path(), &path, "/out");
}

#[test]
fn what_was_added_to_a_file_is_not_cut_off_unasked() {
    let (torrent, folder) = (long_pieces(), folder());
    let path = folder.path().join("out");
    fill(&torrent, &path);
    fs::write(path.join("a"), [&torrent.content[..2500], b"and my notes"].concat())
        .expect("the folder takes files");
    for complete in [true, false] {
        if !complete {
            fs::remove_file(path.join("sub/b")).expect("it is there");
        }
        is_refused(&torrent, folder.path(), &path, "/out/a");
        let error = open(&torrent, &path, false).map(drop).expect_err("it is longer").to_string();
        assert!(
            error.ends_with("/out/a: exists, and is not as in the torrent: it has more bytes"),
            "{error}"
        );
    }
    open(&torrent, &path, true).expect("it was forced");
}

#[test]
fn a_download_neither_reads_nor_writes_through_a_link() {
    use std::os::unix::fs::symlink;
    let (torrent, folder) = (long_pieces(), folder());
    let path = folder.path().join("out");
    fill(&torrent, &path);
    fs::rename(path.join("a"), folder.path().join("real")).expect("it is there");
    symlink("../real", path.join("a")).expect("the folder takes a link");
    for damaged in [false, true] {
        if damaged {
            fs::write(path.join("sub/b"), b"short").expect("the folder takes files");
        }
        for force in [false, true] {
            let before = snapshot(folder.path());
            let error = open(&torrent, &path, force).map(drop).expect_err("it could be written");
            assert!(
                matches!(&error, StorageError::Link { path } if path.ends_with("/out/a")),
                "{error}"
            );
            assert_eq!(snapshot(folder.path()), before);
        }
    }
}

#[test]
fn complete_content_needs_no_marker_and_gets_none() {
    for torrent in [single(), several()] {
        let folder = folder();
        let path = folder.path().join("out");
        fill(&torrent, &path);
        if torrent.pieces() == 3 {
            fs::write(path.join("my diary"), b"beside it").expect("the folder takes files");
        }
        let before = snapshot(folder.path());
        let output = open(&torrent, &path, false).expect("it is complete");
        assert!(output.have.is_full());
        output.complete().expect("there is nothing to do");
        assert_eq!(snapshot(folder.path()), before);
    }
}

#[test]
fn force_keeps_what_is_right_and_overwrites_the_rest() {
    let (torrent, folder) = (single(), folder());
    let path = folder.path().join("out");
    let mut content = torrent.content.clone();
    content[3] ^= 1;
    content.extend(b"and more");
    fs::write(&path, &content).expect("the folder takes files");
    fs::write(marker(&path), several().hex()).expect("the folder takes files");
    let output = open(&torrent, &path, true).expect("it was forced");
    assert_eq!(has(&output), [1, 2, 3]);
    assert_eq!(fs::read(&path).expect("it is there"), content, "nothing has come yet");
    is_marked(&torrent, &path);
    output.storage.write(0, &torrent.content[..8]).expect("it can be written");
    output.complete().expect("it can be cut");
    assert_eq!(fs::read(&path).expect("it is there"), torrent.content);
    assert_eq!(files_in(folder.path()), ["out"]);
}

#[test]
fn completing_makes_empty_files_cuts_longer_ones_and_removes_the_marker() {
    let (torrent, folder) = (several(), folder());
    let path = folder.path().join("out");
    let output = open(&torrent, &path, false).expect("the place is free");
    output.storage.write(0, &torrent.content).expect("the folder takes files");
    fs::write(path.join("sub/b"), [&torrent.content[13..], b"longer"].concat())
        .expect("the folder takes files");
    output.complete().expect("the folder takes files");
    assert_eq!(files_in(folder.path()), ["out/a", "out/empty", "out/sub/b"]);
    assert_eq!(fs::read(path.join("empty")).expect("it is there"), b"");
    assert_eq!(fs::read(path.join("sub/b")).expect("it is there"), torrent.content[13..]);
    output.complete().expect("twice is once");
}

#[test]
fn a_torrent_without_a_byte_is_complete_at_once() {
    let folder = folder();
    let torrent = Recipe::files("t", 8, &[("a", vec![]), ("sub/b", vec![])]).build();
    let output = open(&torrent, &folder.path().join("out"), false).expect("the place is free");
    assert!(output.have.is_full());
    output.complete().expect("the folder takes files");
    assert_eq!(files_in(folder.path()), ["out/a", "out/sub/b"]);
    let foreign = folder.path().join("foreign");
    fs::write(&foreign, b"x").expect("the folder takes a file");
    is_refused(&Recipe::single("t", 8, vec![]).build(), folder.path(), &foreign, "/foreign");
}

#[test]
fn a_slash_at_the_end_does_not_hide_the_marker_in_the_folder() {
    let (torrent, folder) = (several(), folder());
    for spelling in ["one/", "two//", "three/."] {
        let spelled = folder.path().join(spelling);
        let output = open(&torrent, &spelled, false).expect("the place is free");
        output.storage.write(0, &torrent.content[..8]).expect("the folder takes files");
        assert_eq!(has(&open(&torrent, &spelled, false).expect("it is marked")), [0]);
    }
    let markers = ["one.piecemeal", "three.piecemeal", "two.piecemeal"];
    let found: Vec<String> =
        files_in(folder.path()).into_iter().filter(|name| name.contains("piecemeal")).collect();
    assert_eq!(found, markers);
}

#[test]
fn a_name_that_is_not_utf8_gets_its_marker_too() {
    use std::os::unix::ffi::OsStrExt;
    let (torrent, folder) = (single(), folder());
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"\xFFout"));
    open(&torrent, &path, false).expect("the place is free");
    is_marked(&torrent, &path);
}

#[test]
fn a_download_stopped_while_it_was_checked_is_not_called_foreign() {
    let (torrent, folder) = (Recipe::single("t", 8, content(8 * 5000, 7)).build(), folder());
    let path = folder.path().join("out");
    fill(&torrent, &path);
    let before = snapshot(folder.path());
    let stop = AtomicBool::new(true);
    let opened = Output::open(&info(&torrent), &path, false, &stop, &|_| {});
    let foreign = opened.is_err_and(|error| {
        matches!(error, StorageError::Exists { .. } | StorageError::Foreign { .. })
    });
    assert!(!foreign, "nobody has hashed it, so nobody can say that it is not this torrent's");
    // And nothing proves that it is ours, so it gets no marker.
    assert_eq!(snapshot(folder.path()), before);
}
