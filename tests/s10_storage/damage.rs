//! Which files have wrong pieces.

use super::super::support::{Recipe, Torrent, content, folder};
use super::super::{fill, info};
use piecemeal::s10_storage::damage::{FileReport, State, files};
use piecemeal::s10_storage::{Storage, StorageError, verify};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Pieces of 40 bytes over `a` (0 to 100), `none`, `b` (100 to 130), padding
/// (130 to 150), `c/d` (150 to 400) and `e` (400 to 407).
fn torrent() -> Torrent {
    Recipe::files("t", 40, &[("a", content(100, 1)), ("none", vec![]), ("b", content(30, 2))])
        .file(&[b".pad", b"20"], vec![0; 20], "p")
        .file(&[b"c", b"d"], content(250, 3), "")
        .file(&[b"e"], content(7, 4), "")
        .build()
}

fn try_reports(torrent: &Torrent, root: &Path) -> Result<Vec<FileReport>, StorageError> {
    let info = info(torrent);
    let storage = Storage::new(&info, root, false);
    let right = verify(&info, &storage, &AtomicBool::new(false), &|_| {})?;
    files(&info, &storage, &right)
}

fn states(torrent: &Torrent, root: &Path) -> Vec<State> {
    try_reports(torrent, root)
        .expect("nothing stands in the way")
        .iter()
        .map(|file| file.state)
        .collect()
}

#[test]
fn every_file_but_padding_is_told_of_with_the_pieces_it_lies_in() {
    let folder = folder();
    fill(&torrent(), folder.path());
    let reports = try_reports(&torrent(), folder.path()).expect("nothing stands in the way");
    let told: Vec<_> = reports
        .iter()
        .map(|file| (file.number, file.found, file.pieces.clone(), file.wrong))
        .collect();
    let expected = [
        (0, Some(100), 0..3, 0),
        (1, Some(0), 2..2, 0),
        (2, Some(30), 2..4, 0),
        (4, Some(250), 3..10, 0),
        (5, Some(7), 10..11, 0),
    ];
    assert_eq!(told, expected);
    assert!(reports.iter().all(|file| file.state == State::Whole && file.first_wrong.is_none()));
}

#[test]
fn a_wrong_byte_is_told_as_the_bytes_of_the_file_that_its_piece_covers() {
    let folder = folder();
    let torrent = torrent();
    // A byte of the content, and the wrong range of each file.
    let table = [
        (0, vec![(0, 0..40)]),
        (79, vec![(0, 40..80)]),
        // Piece 2 ends `a` and begins `b`: either may be wrong.
        (80, vec![(0, 80..100), (2, 0..20)]),
        (119, vec![(0, 80..100), (2, 0..20)]),
        // Piece 3 has the rest of `b`, padding, and ten bytes of `c/d`.
        (120, vec![(2, 20..30), (4, 0..10)]),
        (399, vec![(4, 210..250)]),
        (400, vec![(5, 0..7)]),
    ];
    for (at, expected) in table {
        fill(&torrent, folder.path());
        let mut spoilt = torrent.content.clone();
        spoilt[at] ^= 1;
        let spoilt = torrent.with_content(spoilt);
        fill(&spoilt, folder.path());
        let reports = try_reports(&torrent, folder.path()).expect("nothing stands in the way");
        let wrong: Vec<_> = reports.iter().filter(|file| file.state != State::Whole).collect();
        assert!(
            wrong.iter().all(|file| file.state == State::Wrong && file.wrong == 1),
            "byte {at}"
        );
        let told: Vec<_> = wrong
            .iter()
            .map(|file| (file.number, file.first_wrong.clone().expect("a piece is wrong")))
            .collect();
        assert_eq!(told, expected, "byte {at}");
    }
}

#[test]
fn the_first_run_of_wrong_pieces_is_told_as_one_range() {
    let folder = folder();
    let torrent = torrent();
    let mut spoilt = torrent.content.clone();
    // Pieces 4, 5, 6 and 8, all of them in `c/d` alone.
    [165, 205, 245, 325].into_iter().for_each(|at| spoilt[at] ^= 1);
    fill(&torrent.with_content(spoilt), folder.path());
    let reports = try_reports(&torrent, folder.path()).expect("nothing stands in the way");
    assert_eq!((reports[3].wrong, reports[3].first_wrong.clone()), (4, Some(10..130)));
}

#[test]
fn missing_short_and_long_files_are_told_apart() {
    use State::{Missing, TooLong, TooShort, Whole, Wrong};
    let folder = folder();
    let root = folder.path().join("out");
    let torrent = torrent();
    assert_eq!(states(&torrent, &root), [Missing; 5]);
    let fresh = || {
        let _ = fs::remove_dir_all(&root);
        fill(&torrent, &root);
    };
    fresh();
    // No piece covers an empty file, but it is still missing.
    fs::remove_file(root.join("none")).expect("it is there");
    assert_eq!(states(&torrent, &root), [Whole, Missing, Whole, Whole, Whole]);
    fs::write(root.join("none"), b"something").expect("the folder takes it");
    assert_eq!(states(&torrent, &root), [Whole, TooLong, Whole, Whole, Whole]);
    fresh();
    // `e` has a piece of its own; `b` shares both of its pieces.
    fs::remove_file(root.join("e")).expect("it is there");
    assert_eq!(states(&torrent, &root), [Whole, Whole, Whole, Whole, Missing]);
    fs::remove_file(root.join("b")).expect("it is there");
    assert_eq!(states(&torrent, &root), [Wrong, Whole, Missing, Wrong, Missing]);
    fresh();
    fs::write(root.join("e"), &torrent.content[400..406]).expect("the folder takes it");
    assert_eq!(states(&torrent, &root), [Whole, Whole, Whole, Whole, TooShort]);
    fs::write(root.join("e"), [&torrent.content[400..], b"!"].concat())
        .expect("the folder takes it");
    let reports = try_reports(&torrent, &root).expect("nothing stands in the way");
    assert_eq!(
        (reports[4].state, reports[4].found, reports[4].wrong),
        (TooLong, Some(8), 0),
        "its piece is right"
    );
    fs::write(root.join("e"), b"different").expect("the folder takes it");
    let reports = try_reports(&torrent, &root).expect("nothing stands in the way");
    assert_eq!((reports[4].state, reports[4].wrong), (TooLong, 1));
    fresh();
    fs::remove_dir_all(root.join("c")).expect("it is there");
    fs::write(root.join("c"), b"a file, where a folder goes").expect("the folder takes it");
    assert_eq!(states(&torrent, &root), [Whole, Whole, Wrong, Missing, Whole]);
}

#[test]
fn the_one_file_of_a_torrent_is_where_the_output_is() {
    let folder = folder();
    let path = folder.path().join("renamed");
    let torrent = Recipe::single("original", 40, content(100, 5)).build();
    assert_eq!(states(&torrent, &path), [State::Missing]);
    fill(&torrent, &path);
    assert_eq!(states(&torrent, &path), [State::Whole]);
    fs::write(&path, &torrent.content[..99]).expect("it is ours");
    assert_eq!(states(&torrent, &path), [State::TooShort]);
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_an_empty_file_is_an_error() {
    let folder = folder();
    let torrent = torrent();
    fill(&torrent, folder.path());
    fs::remove_file(folder.path().join("none")).expect("it is there");
    std::os::unix::fs::symlink("/dev/null", folder.path().join("none"))
        .expect("the folder takes a link");
    let error = try_reports(&torrent, folder.path()).expect_err("a link is not followed");
    assert!(matches!(&error, StorageError::Link { path } if path.ends_with("/none")), "{error}");
    fs::remove_file(folder.path().join("none")).expect("it is there");
    fs::create_dir(folder.path().join("none")).expect("the folder takes a folder");
    let error = try_reports(&torrent, folder.path()).expect_err("a folder is no file");
    assert!(
        matches!(&error, StorageError::NotAFile { path } if path.ends_with("/none")),
        "{error}"
    );
}
