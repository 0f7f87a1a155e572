//! Only hashes are trusted.

use super::super::support::in_time;
use super::super::support::{Recipe, Torrent, content, folder};
use super::super::{files_in, fill, info};
use super::by_blocks::by_blocks;
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::output::is_part_of;
use piecemeal::s10_storage::{Storage, StorageError, Store, verify};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Pieces of 40 bytes over files of 100, 0, 30, 20 (padding), 50 and 7 bytes: the
/// last piece has 7.
fn torrent() -> Torrent {
    Recipe::files("t", 40, &[("a", content(100, 1)), ("none", vec![]), ("b", content(30, 2))])
        .file(&[b".pad", b"20"], vec![0; 20], "p")
        .file(&[b"c", b"d"], content(50, 3), "")
        .file(&[b"e"], content(7, 4), "")
        .build()
}

/// The pieces that are wrong.
fn wrong(info: &Info, store: &dyn Store) -> Vec<u32> {
    let right =
        verify(info, store, &AtomicBool::new(false), &|_| {}).expect("nothing stands in the way");
    (0..info.piece_count()).filter(|piece| !right.has(*piece)).collect()
}

fn wrong_at(torrent: &Torrent, root: &Path) -> Vec<u32> {
    wrong(&info(torrent), &Storage::new(&info(torrent), root, false))
}

/// Content in memory.
struct Memory(Vec<u8>);

impl Store for Memory {
    fn write(&self, _: u64, _: &[u8]) -> Result<(), StorageError> {
        unreachable!("verifying writes nothing")
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let from = offset as usize;
        buffer.copy_from_slice(&self.0[from..from + buffer.len()]);
        Ok(())
    }
}

#[test]
fn one_wrong_byte_makes_exactly_its_piece_wrong() {
    let torrent = torrent();
    let info = info(&torrent);
    assert_eq!(info.piece_count(), 6);
    assert_eq!(wrong(&info, &Memory(torrent.content.clone())), [0; 0]);
    for at in 0..torrent.content.len() {
        let mut spoilt = torrent.content.clone();
        spoilt[at] ^= 0x10;
        assert_eq!(wrong(&info, &Memory(spoilt)), [at as u32 / 40], "byte {at}");
    }
}

#[test]
fn pieces_are_checked_as_the_torrent_says() {
    // Pieces of 18 and a half blocks: more than is read at once, and not a whole number.
    let length = 18 * 16_384 + 8_192;
    let torrent = Recipe::single("long", length, content(2 * length + 3, 9)).build();
    let checked = by_blocks(info(&torrent), &torrent.content);
    assert_eq!(wrong(&checked, &Memory(torrent.content.clone())), [0; 0]);
    for (at, piece) in [(0, 0), (length - 1, 0), (length, 1), (2 * length + 2, 2)] {
        let mut spoilt = torrent.content.clone();
        spoilt[at] ^= 1;
        assert_eq!(wrong(&checked, &Memory(spoilt)), [piece], "byte {at}");
    }
    // Reserved space looks the same in any torrent, whatever the hash.
    let zeros = Recipe::single("zeros", length, vec![0; length]).build();
    for (torrent, proves) in [(&torrent, true), (&zeros, false)] {
        let checked = by_blocks(info(torrent), &torrent.content);
        assert_eq!(is_part_of(&checked, &Bitfield::full(checked.piece_count())), proves);
    }
}

#[test]
fn a_piece_longer_than_the_read_buffer_is_hashed_whole() {
    let torrent = Recipe::single("long", 1 << 20, content((2 << 20) + 3, 9)).build();
    let info = info(&torrent);
    assert_eq!(wrong(&info, &Memory(torrent.content.clone())), [0; 0]);
    for (at, piece) in
        [(0, 0), (262_143, 0), (262_144, 0), ((1 << 20) - 1, 0), (1 << 20, 1), ((2 << 20) + 2, 2)]
    {
        let mut spoilt = torrent.content.clone();
        spoilt[at] ^= 1;
        assert_eq!(wrong(&info, &Memory(spoilt)), [piece], "byte {at}");
    }
}

#[test]
fn missing_and_short_files_make_only_their_pieces_wrong() {
    let torrent = torrent();
    let folder = folder();
    assert_eq!(wrong_at(&torrent, &folder.path().join("nothing")), [0, 1, 2, 3, 4, 5]);
    let root = folder.path().join("out");
    fill(&torrent, &root);
    assert_eq!(wrong_at(&torrent, &root), [0; 0]);
    // An empty file is in no piece.
    fs::remove_file(root.join("none")).expect("it is there");
    assert_eq!(wrong_at(&torrent, &root), [0; 0]);
    // Bytes 100 to 130: pieces 2 and 3.
    fs::remove_file(root.join("b")).expect("it is there");
    assert_eq!(wrong_at(&torrent, &root), [2, 3]);
    // One byte short, of bytes 150 to 200: piece 4.
    fs::write(root.join("c/d"), &torrent.content[150..199]).expect("it can be written");
    assert_eq!(wrong_at(&torrent, &root), [2, 3, 4]);
    // A longer file is right up to its length in the torrent.
    fs::write(root.join("e"), [&torrent.content[200..], b"and more"].concat())
        .expect("it can be written");
    assert_eq!(wrong_at(&torrent, &root), [2, 3, 4]);
    // A file is in the place of its folder.
    fs::remove_dir_all(root.join("c")).expect("it is there");
    fs::write(root.join("c"), b"").expect("it can be written");
    assert_eq!(wrong_at(&torrent, &root), [2, 3, 4]);
    assert_eq!(files_in(&root), ["a", "c", "e"], "verifying makes no files");
}

#[test]
fn what_is_no_file_is_an_error_and_not_just_wrong() {
    let torrent = torrent();
    let folder = folder();
    fs::create_dir(folder.path().join("b")).expect("the folder takes a folder");
    let storage = Storage::new(&info(&torrent), folder.path(), false);
    let error = verify(&info(&torrent), &storage, &AtomicBool::new(false), &|_| {})
        .expect_err("b is a folder");
    assert!(matches!(&error, StorageError::NotAFile { path } if path.ends_with("/b")), "{error}");
}

#[test]
fn a_disk_that_fails_is_an_error_and_not_just_wrong() {
    struct Failing;
    impl Store for Failing {
        fn write(&self, _: u64, _: &[u8]) -> Result<(), StorageError> {
            unreachable!("verifying writes nothing")
        }
        fn read(&self, _: u64, _: &mut [u8]) -> Result<(), StorageError> {
            Err(StorageError::Io {
                path: "disk".to_owned(),
                error: io::Error::from(ErrorKind::PermissionDenied),
            })
        }
    }
    let error = verify(&info(&torrent()), &Failing, &AtomicBool::new(false), &|_| {})
        .expect_err("nothing can be read");
    assert!(
        matches!(error, StorageError::Io { error, .. } if error.kind() == ErrorKind::PermissionDenied)
    );
}

#[test]
fn progress_goes_up_to_the_length() {
    let torrent = Recipe::single("t", 16, content(1000, 5)).build();
    let (calls, most) = (AtomicU64::new(0), AtomicU64::new(0));
    let checked = |bytes| {
        calls.fetch_add(1, Ordering::SeqCst);
        most.fetch_max(bytes, Ordering::SeqCst);
    };
    let right = verify(
        &info(&torrent),
        &Memory(torrent.content.clone()),
        &AtomicBool::new(false),
        &checked,
    );
    assert_eq!(right.expect("nothing stands in the way").count(), 63);
    assert_eq!((calls.into_inner(), most.into_inner()), (63, 1000));
}

#[test]
fn a_stop_ends_it_early_and_is_no_verdict() {
    let torrent = Recipe::single("t", 16, content(16 * 5000, 5)).build();
    let stop = AtomicBool::new(false);
    let hashed = AtomicU64::new(0);
    let result = verify(&info(&torrent), &Memory(torrent.content.clone()), &stop, &|bytes| {
        hashed.fetch_max(bytes, Ordering::SeqCst);
        stop.store(true, Ordering::SeqCst);
    });
    assert!(matches!(result, Err(StorageError::Stopped)), "{result:?}");
    let (hashed, all) = (hashed.into_inner(), torrent.content.len() as u64);
    assert!((1..all).contains(&hashed), "{hashed} of {all} bytes were hashed");
    let result =
        verify(&info(&torrent), &Memory(torrent.content.clone()), &AtomicBool::new(true), &|_| {});
    assert!(matches!(result, Err(StorageError::Stopped)), "{result:?}");
}

#[test]
fn each_piece_is_read_once() {
    struct Counting(Memory, Mutex<Vec<u64>>);
    impl Store for Counting {
        fn write(&self, _: u64, _: &[u8]) -> Result<(), StorageError> {
            unreachable!("verifying writes nothing")
        }
        fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
            self.1.lock().expect("no thread panics").push(offset);
            self.0.read(offset, buffer)
        }
    }
    let torrent = Recipe::single("t", 16, content(1000, 5)).build();
    let store = Counting(Memory(torrent.content.clone()), Mutex::default());
    assert_eq!(wrong(&info(&torrent), &store), [0; 0]);
    let mut offsets = store.1.into_inner().expect("no thread panics");
    offsets.sort_unstable();
    assert_eq!(offsets, (0..63).map(|piece| piece * 16).collect::<Vec<u64>>());
}

#[test]
fn a_torrent_without_a_byte_is_complete() {
    for torrent in [
        Recipe::single("t", 16, vec![]).build(),
        Recipe::files("t", 16, &[("a", vec![]), ("b", vec![])]).build(),
    ] {
        let right = verify(&info(&torrent), &Memory(vec![]), &AtomicBool::new(false), &|_| {})
            .expect("there is nothing to read");
        assert!(right.is_full() && right.count() == 0);
    }
}

#[test]
fn a_huge_length_is_only_a_number() {
    // A terabyte, of which the first byte is there.
    let pieces = [0x5A; 20].repeat(2048);
    let head =
        b"d6:lengthi1099511627776e4:name4:huge12:piece lengthi536870912e6:pieces40960:".to_vec();
    let info =
        Info::from_bytes(&[head, pieces, b"e".to_vec()].concat()).expect("the numbers agree");
    let folder = folder();
    let path = folder.path().join("huge");
    fs::write(&path, b"x").expect("the folder takes a file");
    let storage = Storage::new(&info, &path, false);
    let right = in_time(move || verify(&info, &storage, &AtomicBool::new(false), &|_| {}));
    assert_eq!(right.expect("a short file is no error").count(), 0);
    assert_eq!(fs::metadata(&path).expect("it is there").len(), 1);
}
