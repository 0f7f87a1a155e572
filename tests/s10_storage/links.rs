//! Links that another user puts in the way of a download, before it starts or while it runs.

use super::super::support::{Recipe, Torrent, content, folder};
use super::super::{files_in, info, snapshot};
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{Storage, StorageError, Store};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn torrent() -> Torrent {
    Recipe::single("t", 8, content(30, 1)).build()
}

fn open(torrent: &Torrent, path: &Path, force: bool) -> Result<Output, StorageError> {
    Output::open(&info(torrent), path, force, &AtomicBool::new(false), &|_| {})
}

/// The output is refused as a link, with and without `force`, and nothing changes.
#[track_caller]
fn is_refused(torrent: &Torrent, folder: &Path, named: &str) {
    let before = snapshot(folder);
    for force in [false, true] {
        let error = open(torrent, &folder.join("out"), force).map(drop).expect_err("it is a link");
        assert!(
            matches!(&error, StorageError::Link { path } if path.ends_with(named)),
            "force {force}: {error}"
        );
        assert_eq!(snapshot(folder), before, "force {force}");
    }
}

#[test]
fn a_link_in_place_of_the_marker_is_refused_wherever_it_leads() {
    let torrent = torrent();
    for held in [None, Some(String::new()), Some("somebody's".to_owned()), Some(torrent.hex())] {
        let folder = folder();
        fs::create_dir(folder.path().join("victim")).expect("the folder takes a folder");
        held.iter().for_each(|held| {
            fs::write(folder.path().join("victim/x"), held).expect("the folder takes a file")
        });
        symlink("victim/x", folder.path().join("out.piecemeal")).expect("the folder takes a link");
        is_refused(&torrent, folder.path(), "/out.piecemeal");
    }
}

#[test]
fn a_link_in_place_of_the_output_file_is_refused_before_anything_is_fetched() {
    let torrent = torrent();
    for held in [None, Some(vec![]), Some(b"somebody's".to_vec()), Some(torrent.content.clone())] {
        let folder = folder();
        held.iter().for_each(|held| {
            fs::write(folder.path().join("x"), held).expect("the folder takes a file")
        });
        symlink("x", folder.path().join("out")).expect("the folder takes a link");
        is_refused(&torrent, folder.path(), "/out");
        let error =
            Storage::new(&info(&torrent), &folder.path().join("out"), true).write(0, b"xxxxxxxx");
        assert!(matches!(error, Err(StorageError::Link { .. })), "and at the disk: {error:?}");
    }
}

#[test]
fn a_marker_with_a_second_name_leaves_what_is_under_that_one() {
    let (torrent, folder) = (torrent(), folder());
    fs::write(folder.path().join("victim"), "somebody's").expect("the folder takes a file");
    fs::hard_link(folder.path().join("victim"), folder.path().join("out.piecemeal"))
        .expect("the folder takes a link");
    open(&torrent, &folder.path().join("out"), true).expect("it was forced");
    assert_eq!(
        fs::read_to_string(folder.path().join("victim")).expect("it is there"),
        "somebody's"
    );
    let marker = fs::read_to_string(folder.path().join("out.piecemeal")).expect("it is there");
    assert_eq!(marker.trim_end(), torrent.hex());
}

#[test]
fn a_marker_without_an_end_is_not_read_to_its_end() {
    let (torrent, folder) = (torrent(), folder());
    let marker =
        fs::File::create(folder.path().join("out.piecemeal")).expect("the folder takes a file");
    marker.set_len(1 << 40).expect("a file may have holes");
    let error = open(&torrent, &folder.path().join("out"), false)
        .map(drop)
        .expect_err("that is no marker of ours");
    assert!(matches!(error, StorageError::Exists { .. }), "{error}");
}

/// A thread that keeps swapping something else into a place and back.
struct Swapper {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Swapper {
    fn start(place: PathBuf, leads: PathBuf) -> Swapper {
        let stop = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&stop);
        let aside = place.with_extension("aside");
        let work = move || {
            while !over.load(Ordering::SeqCst) {
                let _ = fs::rename(&place, &aside);
                let _ = symlink(&leads, &place);
                let _ = fs::remove_file(&place);
                if fs::rename(&aside, &place).is_err() {
                    // The download has made a new one meanwhile.
                    let _ = fs::remove_dir_all(&aside).or_else(|_| fs::remove_file(&aside));
                }
            }
        };
        Swapper { stop, thread: Some(std::thread::spawn(work)) }
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Writes and finishes repeatedly, until it was refused and accepted often enough to know that
/// the swapping went on in between.
fn write_meanwhile(torrent: &Torrent, root: &Path, swapped: PathBuf, leads: PathBuf) {
    let (refused, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let _swapper = Swapper::start(swapped, leads);
    let begun = Instant::now();
    while refused.load(Ordering::SeqCst) < 300 || done.load(Ordering::SeqCst) < 300 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{refused:?} were refused, {done:?} done"
        );
        // A new one, so that nothing is open yet.
        let storage = Storage::new(&info(torrent), root, true);
        let count = |done_now: Result<(), StorageError>| match done_now {
            Ok(()) => done.fetch_add(1, Ordering::SeqCst),
            Err(StorageError::Link { .. }) => refused.fetch_add(1, Ordering::SeqCst),
            Err(_) => 0, // it was gone for a moment
        };
        count(storage.write(0, &torrent.content));
        count(storage.finish());
    }
}

#[test]
fn a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere() {
    let torrent = Recipe::files("t", 8, &[("sub/b", content(8, 1)), ("sub/empty", vec![])]).build();
    let (outside, folder) = (folder(), folder());
    let root = folder.path().join("out");
    fs::create_dir_all(root.join("sub")).expect("the folder takes a folder");
    write_meanwhile(&torrent, &root, root.join("sub"), outside.path().to_owned());
    assert_eq!(files_in(outside.path()), [""; 0]);
}

#[test]
fn a_file_that_is_swapped_for_a_link_meanwhile_leads_nowhere() {
    let torrent = Recipe::files("t", 8, &[("b", content(8, 1))]).build();
    let (outside, folder) = (folder(), folder());
    let root = folder.path().join("out");
    fs::create_dir(&root).expect("the folder takes a folder");
    // An existing file is written to; a missing one is made.
    fs::write(outside.path().join("there"), "somebody's").expect("the folder takes a file");
    for leads in ["there", "missing"] {
        write_meanwhile(&torrent, &root, root.join("b"), outside.path().join(leads));
    }
    assert_eq!(files_in(outside.path()), ["there"]);
    assert_eq!(
        fs::read_to_string(outside.path().join("there")).expect("it is there"),
        "somebody's"
    );
}
