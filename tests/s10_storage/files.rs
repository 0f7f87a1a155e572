//! Ranges of bytes, and the files that hold them.

use super::super::support::{Recipe, Torrent, assert_bytes, content, folder};
use super::super::{files_in, fill, info};
use piecemeal::s10_storage::{Storage, StorageError, Store};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Empty files at the start, in the middle and at the end, a file of one byte,
/// one that spans pieces, and folders.
fn several() -> Torrent {
    Recipe::files(
        "several",
        4,
        &[
            ("empty-first", vec![]),
            ("a.txt", b"abc".to_vec()),
            ("empty-one", vec![]),
            ("empty-two", vec![]),
            ("folder/b.bin", b"defghijkl".to_vec()),
            ("folder/deep/c", b"m".to_vec()),
            ("d", b"nopq".to_vec()),
            ("empty-last", vec![]),
        ],
    )
    .build()
}

/// `abc` `.....` `defg` `.` `h`: two padding files of one path (BEP 47).
fn padded() -> Torrent {
    Recipe::files("padded", 4, &[("a", b"abc".to_vec())])
        .file(&[b".pad", b"5"], vec![0; 5], "p")
        .file(&[b"b"], b"defg".to_vec(), "")
        .file(&[b".pad", b"5"], vec![0; 1], "xp")
        .file(&[b"c"], b"h".to_vec(), "")
        .build()
}

/// The files after `b` to `o` were written from the second byte on.
#[track_caller]
pub fn holds_b_to_o(folder: &Path) {
    for (name, expected) in [
        ("a.txt", &b"\0bc"[..]),
        ("folder/b.bin", b"defghijkl"),
        ("folder/deep/c", b"m"),
        ("d", b"no"),
    ] {
        let found = fs::read(folder.join(name)).expect("it was written");
        assert_bytes(name, &found, expected, "BEP 3, files");
    }
    assert_eq!(files_in(folder), ["a.txt", "d", "folder/b.bin", "folder/deep/c"]);
}

#[test]
fn a_range_over_several_files_lands_in_each_of_them() {
    let folder = folder();
    let storage = Storage::new(&info(&several()), folder.path(), true);
    storage.write(1, b"bcdefghijklmno").expect("the folder takes files");
    holds_b_to_o(folder.path());
}

#[test]
fn nothing_is_touched_before_the_first_byte() {
    let folder = folder();
    let storage = Storage::new(&info(&several()), &folder.path().join("out"), true);
    storage.write(0, b"").expect("no bytes need no file");
    storage.read(17, &mut []).expect("no bytes need no file");
    assert_eq!(files_in(folder.path()), [""; 0]);
}

#[test]
fn every_range_reads_what_was_written_there() {
    for torrent in [several(), padded(), Recipe::single("one", 4, b"abcdefghijk".to_vec()).build()]
    {
        let folder = folder();
        let root = folder.path().join("out");
        let storage = Storage::new(&info(&torrent), &root, true);
        let mut model = vec![0; torrent.content.len()];
        storage.write(0, &model).expect("the folder takes files");
        for from in 0..model.len() {
            for to in from..=model.len() {
                // The padding of the model stays zero.
                let data: Vec<u8> =
                    (from..to).map(|at| (at as u8).wrapping_mul(31) ^ (to as u8) | 1).collect();
                storage.write(from as u64, &data).expect("the folder takes files");
                for (at, byte) in (from..to).zip(data) {
                    model[at] = if is_padding(&torrent, at) { 0 } else { byte };
                }
                let mut read = vec![0xEE; to - from];
                storage.read(from as u64, &mut read).expect("all of it is there");
                assert_eq!(read, model[from..to], "bytes {from} to {to}");
            }
        }
        let mut all = vec![0xEE; model.len()];
        Storage::new(&info(&torrent), &root, false).read(0, &mut all).expect("all of it is there");
        assert_eq!(all, model);
    }
}

fn is_padding(torrent: &Torrent, at: usize) -> bool {
    info(torrent)
        .files
        .iter()
        .any(|file| file.padding && (file.offset..file.offset + file.length).contains(&(at as u64)))
}

#[test]
fn padding_reads_as_zeros_and_is_never_written() {
    let folder = folder();
    let storage = Storage::new(&info(&padded()), folder.path(), true);
    storage.write(0, &[0xFF; 14]).expect("the folder takes files");
    storage.finish().expect("the folder takes files");
    let mut read = [0xEE; 14];
    storage.read(0, &mut read).expect("all of it is there");
    assert_eq!(read, *b"\xFF\xFF\xFF\0\0\0\0\0\xFF\xFF\xFF\xFF\0\xFF");
    assert_eq!(files_in(folder.path()), ["a", "b", "c"]);
}

#[test]
fn padding_can_be_read_where_no_file_is() {
    let folder = folder();
    let storage = Storage::new(&info(&padded()), &folder.path().join("nothing"), false);
    let mut read = [0xEE; 5];
    storage.read(3, &mut read).expect("padding needs no file");
    assert_eq!(read, [0; 5]);
}

#[test]
fn what_is_missing_is_an_error_that_names_the_file() {
    let folder = folder();
    let storage = Storage::new(&info(&several()), folder.path(), false);
    let error = storage.read(0, &mut [0; 3]).expect_err("nothing is there");
    assert!(error.to_string().contains("a.txt"), "{error}");
    fs::write(folder.path().join("a.txt"), b"ab").expect("the folder takes files");
    let error = storage.read(0, &mut [0; 3]).expect_err("one byte is missing");
    assert!(
        matches!(&error, StorageError::Io { error, .. } if error.kind() == ErrorKind::UnexpectedEof),
        "{error}"
    );
    assert_eq!(files_in(folder.path()), ["a.txt"], "reading makes no files");
}

#[test]
fn the_output_takes_the_place_of_the_name() {
    let folder = folder();
    let single = Recipe::single("name-in-the-torrent", 4, b"abcdef".to_vec()).build();
    fill(&single, &folder.path().join("mine"));
    assert_eq!(fs::read(folder.path().join("mine")).expect("it was written"), b"abcdef");
    // A list of one file still makes a folder.
    let listed = Recipe::files("name-in-the-torrent", 4, &[("x", b"abcdef".to_vec())]).build();
    fill(&listed, &folder.path().join("listed"));
    assert_eq!(files_in(folder.path()), ["listed/x", "mine"]);
}

#[test]
fn more_files_than_may_be_open_are_written_and_read_by_many_threads() {
    let names: Vec<String> =
        (0..150).map(|number| format!("f{:02}/file-{number:03}", number % 7)).collect();
    let files: Vec<(&str, Vec<u8>)> = names
        .iter()
        .zip(0..)
        .map(|(name, seed)| (name.as_str(), content(200 + seed as usize % 50, seed)))
        .collect();
    let torrent = Recipe::files("many", 64, &files).build();
    let folder = folder();
    let root = folder.path().join("out");
    let storage = Storage::new(&info(&torrent), &root, true);
    let (storage, torrent) = (&storage, &torrent);
    std::thread::scope(|scope| {
        let write = |thread| {
            scope.spawn(move || {
                for (number, piece) in torrent
                    .content
                    .chunks(64)
                    .enumerate()
                    .filter(|(number, _)| number % 8 == thread)
                {
                    storage.write(number as u64 * 64, piece)?;
                }
                Ok::<(), StorageError>(())
            })
        };
        for writer in (0..8).map(write).collect::<Vec<_>>() {
            let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written.expect("the folder takes files");
        }
    });
    let mut read = vec![0; torrent.content.len()];
    storage.read(0, &mut read).expect("all of it is there");
    assert!(read == torrent.content, "what was written is there");
    for (name, data) in &files {
        assert!(fs::read(root.join(name)).expect("it was written") == *data, "{name}");
    }
    if let Some(open) = open_files(&root) {
        assert!((1..=64).contains(&open), "{open} files are open");
    }
}

/// How many of our descriptors are files below this folder.
fn open_files(root: &Path) -> Option<usize> {
    let all = fs::read_dir("/proc/self/fd").ok()?;
    let root = root.canonicalize().ok()?;
    Some(
        all.flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .filter(|file| file.starts_with(&root))
            .count(),
    )
}

#[test]
fn finishing_makes_empty_files_and_cuts_longer_ones() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("folder")).expect("the folder takes a folder");
    fs::write(folder.path().join("folder/b.bin"), [b'x'; 5000]).expect("the folder takes files");
    fs::write(folder.path().join("empty-two"), b"not empty").expect("the folder takes files");
    let torrent = several();
    fill(&torrent, folder.path());
    assert_eq!(
        files_in(folder.path()),
        [
            "a.txt",
            "d",
            "empty-first",
            "empty-last",
            "empty-one",
            "empty-two",
            "folder/b.bin",
            "folder/deep/c"
        ]
    );
    assert_eq!(fs::read(folder.path().join("folder/b.bin")).expect("it is there"), b"defghijkl");
    assert_eq!(fs::read(folder.path().join("empty-two")).expect("it is there"), b"");
    assert!(Storage::new(&info(&torrent), folder.path(), false).has_right_sizes());
}

/// Another program deletes or cuts a file during the download. An open file is still written
/// to, and every piece was verified; but the content is not there.
#[test]
fn finishing_does_not_make_up_zeros_for_content_that_is_gone() {
    let harms: [fn(&Path); 2] = [
        |file| fs::remove_file(file).expect("it is there"),
        |file| fs::write(file, b"short").expect("it can be written"),
    ];
    for harm in harms {
        let folder = folder();
        let torrent = several();
        let storage = Storage::new(&info(&torrent), folder.path(), true);
        storage.write(0, &torrent.content).expect("the folder takes files");
        let file = folder.path().join("folder/b.bin");
        harm(&file);
        let error = storage.finish().expect_err("nine bytes of b.bin are not there");
        assert!(error.to_string().contains("b.bin"), "{error}");
        assert_ne!(fs::read(&file).unwrap_or_default(), [0; 9]);
    }
}

#[test]
fn right_sizes_are_those_of_every_file_but_padding() {
    let folder = folder();
    let torrent = padded();
    let storage = Storage::new(&info(&torrent), folder.path(), false);
    assert!(!storage.has_right_sizes(), "nothing is there");
    fill(&torrent, folder.path());
    assert!(storage.has_right_sizes());
    fs::write(folder.path().join("b"), b"defgh").expect("the folder takes files");
    assert!(!storage.has_right_sizes(), "a byte too many");
    fs::remove_file(folder.path().join("b")).expect("it is there");
    fs::create_dir(folder.path().join("b")).expect("the folder takes a folder");
    assert!(!storage.has_right_sizes(), "a folder is no file");
}
