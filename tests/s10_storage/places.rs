//! Places where nothing may be written, and where nothing can be.

use super::super::support::in_time;
use super::super::support::{Recipe, Torrent, content, folder, mount::Mount};
use super::super::{files_in, fill, info, snapshot};
use piecemeal::s10_storage::damage::{self, State};
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{Storage, StorageError, Store, verify};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

fn torrent() -> Torrent {
    Recipe::files(
        "t",
        8,
        &[("a", b"aaaaaaaa".to_vec()), ("sub/b", b"bbbbbbbb".to_vec()), ("empty", vec![])],
    )
    .build()
}

/// Everything that touches the files fails with an error that names the place.
#[track_caller]
fn everything_refuses(root: &Path, at: u64, refused: impl Fn(&StorageError) -> bool) {
    let info = info(&torrent());
    let (reading, writing) = (Storage::new(&info, root, false), Storage::new(&info, root, true));
    let errors = in_time(move || {
        let mut buffer = [0; 8];
        [
            ("reading", reading.read(at, &mut buffer)),
            ("writing", writing.write(at, b"xxxxxxxx")),
            ("reading, open for writing", writing.read(at, &mut buffer)),
            ("finishing", writing.finish()),
            ("verifying", verify(&info, &reading, &AtomicBool::new(false), &|_| {}).map(drop)),
        ]
    });
    for (what, done) in errors {
        let error = done.expect_err(what);
        assert!(refused(&error), "{what}: {error}");
    }
}

#[test]
fn a_link_in_place_of_a_file_is_refused_wherever_it_leads() {
    let outside = folder();
    let target = outside.path().join("treasure");
    fs::write(&target, b"untouched").expect("the folder takes a file");
    for leads in [
        target.as_path(),
        Path::new("/nowhere/at/all"),
        Path::new("sub/b"),
        Path::new("a"),
        Path::new("/dev/zero"),
    ] {
        let folder = folder();
        let root = folder.path().join("out");
        fill(&torrent(), &root);
        fs::remove_file(root.join("a")).expect("it is there");
        symlink(leads, root.join("a")).expect("the folder takes a link");
        let before = snapshot(folder.path());
        everything_refuses(
            &root,
            0,
            |error| matches!(error, StorageError::Link { path } if path.ends_with("/out/a")),
        );
        assert_eq!(snapshot(folder.path()), before);
    }
    assert_eq!(fs::read(&target).expect("it is there"), b"untouched");
}

#[test]
fn a_link_in_place_of_a_folder_is_refused_wherever_it_leads() {
    let outside = folder();
    fs::write(outside.path().join("b"), b"untouched").expect("the folder takes a file");
    for leads in [outside.path(), Path::new("/nowhere/at/all"), Path::new(".")] {
        let folder = folder();
        let root = folder.path().join("out");
        fs::create_dir(&root).expect("the folder takes a folder");
        fs::write(root.join("a"), b"aaaaaaaa").expect("the folder takes a file");
        symlink(leads, root.join("sub")).expect("the folder takes a link");
        let before = snapshot(folder.path());
        everything_refuses(
            &root,
            8,
            |error| matches!(error, StorageError::Link { path } if path.ends_with("/out/sub")),
        );
        assert_eq!(snapshot(folder.path()), before);
    }
    assert_eq!(files_in(outside.path()), ["b"]);
    assert_eq!(fs::read(outside.path().join("b")).expect("it is there"), b"untouched");
}

#[test]
fn what_is_only_read_may_be_the_users_own_links() {
    let library = folder();
    fs::write(library.path().join("a"), b"aaaaaaaa").expect("the folder takes a file");
    fs::create_dir(library.path().join("sub")).expect("the folder takes a folder");
    fs::write(library.path().join("sub/b"), b"bbbbbbbb").expect("the folder takes a file");
    let folder = folder();
    for name in ["a", "sub"] {
        symlink(library.path().join(name), folder.path().join(name))
            .expect("the folder takes a link");
    }
    let before = (snapshot(folder.path()), snapshot(library.path()));
    let storage = Storage::through_links(&info(&torrent()), folder.path());
    let right = verify(&info(&torrent()), &storage, &AtomicBool::new(false), &|_| {})
        .expect("links can be read");
    assert_eq!(right.count(), 2);
    // Whatever happens, it is not written through.
    storage.write(0, b"xxxxxxxx").expect_err("it is for reading");
    storage.write(8, b"xxxxxxxx").expect_err("it is for reading");
    assert_eq!((snapshot(folder.path()), snapshot(library.path())), before);
}

#[test]
fn a_link_that_leads_nowhere_is_a_missing_file() {
    let folder = folder();
    let root = folder.path().join("out");
    fill(&torrent(), &root);
    fs::remove_file(root.join("a")).expect("it is there");
    symlink("/nowhere/at/all", root.join("a")).expect("the folder takes a link");
    let (info, storage) = (info(&torrent()), Storage::through_links(&info(&torrent()), &root));
    let right = verify(&info, &storage, &AtomicBool::new(false), &|_| {})
        .expect("a missing file is no error");
    assert!(!right.has(0) && right.has(1));
    let files = damage::files(&info, &storage, &right).expect("a missing file is no error");
    assert_eq!((files[0].state, files[0].found), (State::Missing, None));
}

#[test]
fn a_link_to_something_that_is_no_file_is_refused_without_waiting() {
    let folder = folder();
    let root = folder.path().join("out");
    fill(&torrent(), &root);
    fs::remove_file(root.join("a")).expect("it is there");
    let made = Command::new("mkfifo")
        .arg(folder.path().join("pipe"))
        .status()
        .expect("coreutils are there");
    assert!(made.success());
    for leads in [Path::new("../pipe"), Path::new("/dev/zero"), Path::new("sub")] {
        symlink(leads, root.join("a")).expect("the folder takes a link");
        let (info, storage) = (info(&torrent()), Storage::through_links(&info(&torrent()), &root));
        let error =
            in_time(move || verify(&info, &storage, &AtomicBool::new(false), &|_| {}).map(drop));
        let error = error.expect_err("it is no file");
        assert!(
            matches!(&error, StorageError::NotAFile { path } if path.ends_with("/out/a")),
            "{error}"
        );
        fs::remove_file(root.join("a")).expect("it is there");
    }
}

#[test]
fn an_empty_file_is_not_made_through_a_link() {
    let outside = folder();
    let folder = folder();
    fs::write(folder.path().join("a"), b"aaaaaaaa").expect("the folder takes a file");
    symlink(outside.path().join("new"), folder.path().join("empty"))
        .expect("the folder takes a link");
    let storage = Storage::new(&info(&torrent()), folder.path(), true);
    storage.write(0, b"aaaaaaaabbbbbbbb").expect("the folder takes files");
    let error = storage.finish().expect_err("empty is a link");
    assert!(matches!(&error, StorageError::Link { path } if path.ends_with("/empty")), "{error}");
    assert_eq!(files_in(outside.path()), [""; 0]);
}

#[test]
fn the_output_itself_may_be_a_link_since_the_user_named_it() {
    let (folder, disk) = (folder(), folder());
    let root = folder.path().join("out");
    symlink(disk.path(), &root).expect("the folder takes a link");
    fill(&torrent(), &root);
    assert_eq!(files_in(disk.path()), ["a", "empty", "sub/b"]);
}

#[test]
fn a_pipe_in_place_of_a_file_is_refused_without_waiting_for_its_other_end() {
    let folder = folder();
    let root = folder.path().join("out");
    fill(&torrent(), &root);
    fs::remove_file(root.join("a")).expect("it is there");
    let made = Command::new("mkfifo").arg(root.join("a")).status().expect("coreutils are there");
    assert!(made.success());
    everything_refuses(
        &root,
        0,
        |error| matches!(error, StorageError::NotAFile { path } if path.ends_with("/out/a")),
    );
    // And as the whole output.
    let single = info(&Recipe::single("t", 8, b"aaaaaaaa".to_vec()).build());
    let opened = in_time(move || {
        Output::open(&single, &root.join("a"), false, &AtomicBool::new(false), &|_| {}).map(drop)
    });
    assert!(opened.is_err(), "a pipe is no output");
}

#[test]
fn a_folder_in_place_of_a_file_is_refused() {
    let folder = folder();
    let root = folder.path().join("out");
    fill(&torrent(), &root);
    fs::remove_file(root.join("a")).expect("it is there");
    fs::create_dir(root.join("a")).expect("the folder takes a folder");
    everything_refuses(
        &root,
        0,
        |error| matches!(error, StorageError::NotAFile { path } if path.ends_with("/out/a")),
    );
}

#[test]
fn a_file_in_place_of_a_folder_is_an_error_that_names_it() {
    let folder = folder();
    fs::write(folder.path().join("sub"), b"mine").expect("the folder takes a file");
    let storage = Storage::new(&info(&torrent()), folder.path(), true);
    let error = storage.write(8, b"bbbbbbbb").expect_err("sub is a file");
    assert!(error.to_string().contains("sub"), "{error}");
    assert_eq!(fs::read(folder.path().join("sub")).expect("it is there"), b"mine");
}

#[test]
fn a_place_that_takes_no_writes_is_an_error_before_anything_is_fetched() {
    let folder = folder();
    let Some(mount) = Mount::read_only(&folder.path().join("ro")) else { return };
    let root = mount.path().join("out");
    let info = info(&torrent());
    let error = Output::open(&info, &root, false, &AtomicBool::new(false), &|_| {})
        .map(drop)
        .expect_err("nothing can be written");
    assert!(
        matches!(&error, StorageError::Io { path, error } if path.contains("/ro/out") && error.kind() == ErrorKind::ReadOnlyFilesystem),
        "{error}"
    );
    let error =
        Storage::new(&info, &root, true).write(0, b"aaaaaaaa").expect_err("nothing can be written");
    assert!(
        matches!(&error, StorageError::Io { error, .. } if error.kind() == ErrorKind::ReadOnlyFilesystem),
        "{error}"
    );
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file_and_what_fitted_stays() {
    let folder = folder();
    let Some(mount) = Mount::small(&folder.path().join("small"), 256) else { return };
    let torrent = Recipe::single("t", 32_768, content(1 << 20, 1)).build();
    let (info, root) = (info(&torrent), mount.path().join("out"));
    let output = Output::open(&info, &root, false, &AtomicBool::new(false), &|_| {})
        .expect("the marker fits");
    let blocks = torrent.content.chunks(16_384).enumerate();
    let mut written =
        blocks.map(|(number, block)| output.storage.write(number as u64 * 16_384, block));
    let error = written.find_map(Result::err).expect("256 KiB do not hold a megabyte");
    assert!(
        matches!(&error, StorageError::Io { path, error } if path.ends_with("/out") && error.kind() == ErrorKind::StorageFull),
        "{error}"
    );
    let again =
        Output::open(&info, &root, false, &AtomicBool::new(false), &|_| {}).expect("it is marked");
    assert!((1..32).contains(&again.have.count()), "{} pieces", again.have.count());
}

#[test]
fn a_block_far_behind_takes_no_room_before_it() {
    let pieces = [0x5A; 20].repeat(64);
    let head =
        b"d6:lengthi34359738368e4:name4:huge12:piece lengthi536870912e6:pieces1280:".to_vec();
    let info = piecemeal::s02_metainfo::Info::from_bytes(&[head, pieces, b"e".to_vec()].concat())
        .expect("the numbers agree");
    let folder = folder();
    let root = folder.path().join("out");
    let output = Output::open(&info, &root, false, &AtomicBool::new(false), &|_| {})
        .expect("a number takes no room");
    assert!(!root.exists(), "nothing has come yet");
    output.storage.write(34_359_738_368 - 4, b"last").expect("the folder takes a file");
    let there = fs::metadata(&root).expect("it was written");
    assert_eq!(there.len(), 34_359_738_368);
    assert!(there.blocks() < 2048, "{} blocks of 512 bytes for four bytes", there.blocks());
}
