//! Parts that are written side by side: the same as one after the other.

use super::super::support::mount::Mount;
use super::super::support::{Recipe, Torrent, content, folder};
use super::super::{files_in, info, snapshot};
use super::files::holds_b_to_o;
use piecemeal::s10_storage::{Storage, StorageError, Store};
use std::fs;
use std::io::ErrorKind;
use std::sync::Mutex;

/// `abc` nothing `defghijkl` `.....` `m` `nopq` nothing; the points are padding (BEP 47).
fn several() -> Torrent {
    Recipe::files(
        "several",
        4,
        &[("a.txt", b"abc".to_vec()), ("none", vec![]), ("folder/b.bin", b"defghijkl".to_vec())],
    )
    .file(&[b".pad", b"5"], vec![0; 5], "p")
    .file(&[b"folder", b"deep", b"c"], b"m".to_vec(), "")
    .file(&[b"d"], b"nopq".to_vec(), "")
    .file(&[b"last"], vec![], "")
    .build()
}

#[test]
fn parts_land_in_the_files_that_they_lie_in() {
    let folder = folder();
    let storage = Storage::new(&info(&several()), folder.path(), true);
    // Across three borders, with padding inside a part, and an empty file between two.
    let parts: [&[u8]; 6] = [b"", b"b", b"cdefgh", b"", b"ijkl.", b"....mno"];
    storage.write_parts(1, &parts).expect("the folder takes files");
    holds_b_to_o(folder.path());
}

#[test]
fn no_bytes_touch_nothing_however_many_parts_they_are() {
    let folder = folder();
    let storage = Storage::new(&info(&several()), &folder.path().join("out"), true);
    for offset in [0, 1, 3, 12, 22, 1 << 40] {
        for parts in [&[][..], &[&b""[..]], &[&b""[..]; 2000]] {
            storage.write_parts(offset, parts).expect("no bytes need no file");
        }
    }
    // Padding alone makes no file.
    storage.write_parts(12, &[b"xx", b"", b"xxx"]).expect("padding needs no file");
    assert_eq!(files_in(folder.path()), [""; 0]);
}

#[test]
fn however_a_range_is_cut_the_files_are_those_of_one_write() {
    let torrent = several();
    let length = torrent.content.len();
    let (whole, parted) = (folder(), folder());
    let at_once = Storage::new(&info(&torrent), whole.path(), true);
    let in_parts = Storage::new(&info(&torrent), parted.path(), true);
    let mut fresh = 0u8;
    // Some go beyond the end, where there is nothing.
    for from in 0..=length + 1 {
        for to in from..=length + 3 {
            for first in [0, 1, 3, 8] {
                for second in [0, 2, 5] {
                    let data: Vec<u8> = (from..to)
                        .map(|_| {
                            fresh = fresh.wrapping_add(1);
                            fresh
                        })
                        .collect();
                    let (one, rest) = data.split_at(first.min(data.len()));
                    let (two, three) = rest.split_at(second.min(rest.len()));
                    at_once.write(from as u64, &data).expect("the folder takes files");
                    in_parts
                        .write_parts(from as u64, &[one, two, three])
                        .expect("the folder takes files");
                }
            }
        }
        assert_eq!(snapshot(parted.path()), snapshot(whole.path()), "from {from} on");
    }
}

/// The system takes 1,024 at once, and no more.
#[test]
fn any_number_of_parts_is_written() {
    let all = content(3 * 5000 + 700, 77);
    let torrent = Recipe::files(
        "many",
        64,
        &[("first", all[..9001].to_vec()), ("second", all[9001..].to_vec())],
    )
    .build();
    for sizes in [&[1][..], &[0, 1, 0, 2, 3], &[5]] {
        let folder = folder();
        let storage = Storage::new(&info(&torrent), folder.path(), true);
        let (mut parts, mut rest) = (Vec::new(), &all[..]);
        for size in sizes.iter().cycle() {
            let (part, behind) = rest.split_at(rest.len().min(*size));
            parts.push(part);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        assert!(parts.len() > 3000, "{} parts", parts.len());
        storage.write_parts(0, &parts).expect("the folder takes files");
        assert!(
            fs::read(folder.path().join("first")).expect("it was written") == all[..9001],
            "sizes {sizes:?}"
        );
        assert!(
            fs::read(folder.path().join("second")).expect("it was written") == all[9001..],
            "sizes {sizes:?}"
        );
    }
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_the_parts_is_an_error_that_names_the_file() {
    let torrent =
        Recipe::files("t", 16_384, &[("a", content(40_000, 1)), ("b", content(300_000, 2))])
            .build();
    let parts: Vec<&[u8]> = torrent.content.chunks(10_000).collect();
    let one: [&[u8]; 1] = [&torrent.content];
    for parts in [&parts[..], &one] {
        let folder = folder();
        let Some(disk) = Mount::small(&folder.path().join("disk"), 128) else { return };
        let storage = Storage::new(&info(&torrent), disk.path(), true);
        let error = storage.write_parts(0, parts).expect_err("it does not hold 340,000 bytes");
        let StorageError::Io { path, error } = error else { panic!("{error}") };
        assert!(path.ends_with("/b") && error.kind() == ErrorKind::StorageFull, "{path}: {error}");
        // Everything before it is right.
        assert!(
            fs::read(disk.path().join("a")).expect("it was written") == torrent.content[..40_000]
        );
        let second = fs::read(disk.path().join("b")).expect("it was begun");
        assert!(
            !second.is_empty() && torrent.content[40_000..].starts_with(&second),
            "{} bytes",
            second.len()
        );
    }
}

#[test]
fn a_file_that_cannot_be_written_stops_the_parts_there() {
    let parts: [&[u8]; 3] = [b"abcd", b"efgh", b"ijkl.....mnopq"];
    for link in [false, true] {
        let folder = folder();
        if link && cfg!(unix) {
            #[cfg(unix)]
            std::os::unix::fs::symlink("elsewhere", folder.path().join("folder"))
                .expect("the folder takes a link");
        } else {
            fs::create_dir_all(folder.path().join("folder/b.bin"))
                .expect("the folder takes folders");
        }
        let storage = Storage::new(&info(&several()), folder.path(), true);
        let error = storage.write_parts(0, &parts).expect_err("b.bin is no file");
        assert!(
            matches!(error, StorageError::Link { .. } | StorageError::NotAFile { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("folder"), "{error}");
        assert_eq!(fs::read(folder.path().join("a.txt")).expect("it was written"), b"abc");
        assert!(!folder.path().join("d").exists(), "what comes after it is not begun");
    }
}

#[test]
fn parts_that_are_not_to_be_written_are_not() {
    let folder = folder();
    let torrent = several();
    Storage::new(&info(&torrent), folder.path(), true)
        .write(0, &torrent.content)
        .expect("the folder takes files");
    let before = snapshot(folder.path());
    let storage = Storage::new(&info(&torrent), folder.path(), false);
    let error = storage.write_parts(0, &[b"x", b"y"]).expect_err("it is open for reading");
    assert!(error.to_string().contains("a.txt"), "{error}");
    assert_eq!(snapshot(folder.path()), before);
}

/// A store that knows only how to write one part; the third fails.
#[derive(Default)]
struct Plain(Mutex<Vec<(u64, Vec<u8>)>>);

impl Store for Plain {
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        let mut writes = self.0.lock().expect("no test panics with this lock");
        if writes.len() == 2 {
            return Err(StorageError::Stopped);
        }
        writes.push((offset, data.to_vec()));
        Ok(())
    }

    fn read(&self, _: u64, _: &mut [u8]) -> Result<(), StorageError> {
        unreachable!("nothing is read back")
    }
}

#[test]
fn a_store_that_cannot_write_parts_gets_them_one_by_one_up_to_the_first_that_fails() {
    let store = Plain::default();
    store.write_parts(100, &[b"spam", b"eg"]).expect("it takes two");
    assert_eq!(
        *store.0.lock().expect("nobody else is here"),
        [(100, b"spam".to_vec()), (104, b"eg".to_vec())]
    );
    let store = Plain::default();
    let error = store.write_parts(7, &[b"a", b"bc", b"d", b"e"]).expect_err("it takes two");
    assert!(matches!(error, StorageError::Stopped));
    assert_eq!(
        *store.0.lock().expect("nobody else is here"),
        [(7, b"a".to_vec()), (8, b"bc".to_vec())]
    );
}
