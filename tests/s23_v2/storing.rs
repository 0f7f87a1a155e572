//! Files on disk, compared with trees.

use super::super::support::folder;
use super::checking::{contradictory, made};
use super::made::{BLOCK, Made};
use super::reading::read;
use piecemeal::s02_metainfo::Info;
use piecemeal::s10_storage::damage::{State, files};
use piecemeal::s10_storage::output::{Output, is_part_of};
use piecemeal::s10_storage::{Storage, StorageError, Store, verify};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// The pieces that are right, and the last progress.
fn right(info: &Info, root: &Path) -> Result<(Vec<u32>, u64), StorageError> {
    let told = Mutex::new(0);
    let most = |bytes: u64| {
        let mut told = told.lock().expect("nobody panics with this lock");
        *told = bytes.max(*told);
    };
    let right = verify(info, &Storage::new(info, root, false), &AtomicBool::new(false), &most)?;
    let told = *told.lock().expect("nobody panics with this lock");
    Ok((right.iter().collect(), told))
}

#[test]
fn files_without_padding_between_them_are_whole() {
    let (made, folder) = (made(), folder());
    made.write(folder.path());
    for info in [made.v2_info(), made.hybrid_info()] {
        let info = read(&made.file(&info));
        let all = (0..6).collect::<Vec<_>>();
        assert_eq!(right(&info, folder.path()).expect("they can be read"), (all, info.length));
    }
    // What cannot be right has no effect on other files.
    let path = folder.path().join("c/d");
    std::fs::write(&path, [0; 100]).expect("the test's folder takes a file");
    let info = read(&made.file(&made.v2_info()));
    let (found, _) = right(&info, folder.path()).expect("they can be read");
    assert_eq!(found, [0, 1, 2, 4, 5]);
    let storage = Storage::new(&info, folder.path(), false);
    let right =
        verify(&info, &storage, &AtomicBool::new(false), &|_| ()).expect("they can be read");
    let reports = files(&info, &storage, &right).expect("they can be examined");
    let states: Vec<State> = reports.iter().map(|report| report.state).collect();
    use State::{Whole, Wrong};
    assert_eq!(states, [Whole, Whole, Wrong, Whole, Whole], "a piece has bytes of one file");
    assert_eq!((reports[2].pieces.clone(), reports[2].first_wrong.clone()), (3..4, Some(0..100)));
}

#[test]
fn a_single_file_has_the_bytes_of_its_pieces() {
    let folder = folder();
    for length in [1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 9 * BLOCK] {
        let made = Made::single(2 * BLOCK, "a", length);
        let info = read(&made.file(&made.v2_info()));
        let root = folder.path().join(length.to_string());
        made.write(&root);
        let (found, told) = right(&info, &root).expect("it can be read");
        assert_eq!((found.len(), told), (length.div_ceil(2 * BLOCK), length as u64));
    }
}

#[test]
fn a_contradiction_ends_the_check_and_blames_the_torrent() {
    let (made, folder) = (made(), folder());
    made.write(folder.path());
    let mut other = made.row();
    other[3 * BLOCK] ^= 1;
    let info = read(&made.file(&contradictory(&made, &other)));
    let error = right(&info, folder.path()).expect_err("no content is right");
    assert!(
        matches!(error, StorageError::Contradiction { piece } if piece.get() == 1),
        "{error:?}"
    );
    assert!(!error.is_missing(), "it is not as if the piece were not there");
    // Content that is wrong in both is just wrong.
    std::fs::write(folder.path().join("a"), vec![1; 5 * BLOCK + 7]).expect("it takes a file");
    assert_eq!(right(&info, folder.path()).expect("they can be read").0, [3, 4, 5]);
}

#[test]
fn a_download_goes_on_with_what_is_there() {
    let (made, folder) = (made(), folder());
    let info = read(&made.file(&made.v2_info()));
    let output = folder.path().join("out");
    made.write(&output);
    std::fs::write(output.join("f"), [1; BLOCK + 1]).expect("it takes a file");
    std::fs::remove_file(output.join("b")).expect("it is there");
    let open = || Output::open(&info, &output, false, &AtomicBool::new(false), &|_| ());
    let opened = open().expect("most of it is this torrent's");
    assert!(opened.begun_elsewhere);
    assert_eq!(opened.have.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let marker = folder.path().join("out.piecemeal");
    let note = std::fs::read_to_string(&marker).expect("there is a marker");
    assert_eq!(note.trim(), info.info_hash.to_string(), "20 bytes of the SHA-256");
    let last = info.piece(5).expect("it is the last one");
    opened.storage.write(info.piece_offset(last), &made.files[4].1).expect("it takes bytes");
    opened.complete().expect("all is there");
    assert!(!marker.exists());
    for (path, data) in &made.files {
        assert!(std::fs::read(output.join(path)).expect("it is there") == *data, "{path}");
    }
    let names = std::fs::read_dir(&output).expect("it is a folder").count();
    assert_eq!(names, 4, "no file for padding");
}

#[test]
fn zeros_prove_nothing() {
    let mut made =
        Made::folder(2 * BLOCK, &[("a", 5_000), ("b", 5 * BLOCK), ("c", 20_000), ("d", 700)]);
    made.files.iter_mut().for_each(|(_, data)| data.fill(0));
    // Each of these pieces has another tree: of one block, of two, and at the end of a long file.
    for info in [made.v2_info(), made.hybrid_info()] {
        let info = read(&made.file(&info));
        let mut right = piecemeal::s05_messages::bitfield::Bitfield::full(info.piece_count());
        assert!(!is_part_of(&info, &right), "reserved space looks the same");
        right.set(0, false);
        assert!(!is_part_of(&info, &right));
    }
    made.files[2].1[10_000] = 1;
    for info in [made.v2_info(), made.hybrid_info()] {
        let info = read(&made.file(&info));
        let right = piecemeal::s05_messages::bitfield::Bitfield::full(info.piece_count());
        assert!(is_part_of(&info, &right), "one piece is not zeros");
    }
}
