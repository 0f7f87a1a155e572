//! Storage: torrents with any names, over whatever is there already. What was written can be
//! read, and outside of the output nothing changes.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use arbitrary::{Result, Unstructured};
use piecemeal::s02_metainfo::Info;
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{Storage, Store, verify};

use super::torrent::{self, Made};
use super::{is_printable, metainfo};

/// What lies outside, in a file of which nobody but this test knows.
const OUTSIDE: &str = "not yours";

/// The input is a torrent, what is in the way, and what happens.
pub fn check(input: &[u8]) {
    let mut from = Unstructured::new(input);
    let Ok(made) = torrent::made(&mut from, 8, 60_000) else { return };
    let Ok(info) = Info::from_bytes(&made.info) else { return };
    metainfo::is_sound(&info);
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    for path in [&inside, &outside] {
        fs::create_dir(path).expect("there is room for a folder");
    }
    fs::write(outside.join("file"), OUTSIDE).expect("there is room for a file");
    let output = inside.join("out");
    let clear = !from.ratio(1, 2).unwrap_or(false);
    if !clear {
        let _ = obstruct(&mut from, &info, &output, &outside);
    }
    let before = all_in(&outside);
    download(&mut from, &info, &made, &output, clear);

    assert_eq!(all_in(&outside), before, "nothing changes outside");
    assert_eq!(names(folder.path()), ["inside", "outside"]);
    assert!(
        names(&inside).iter().all(|name| ["out", "out.piecemeal"].contains(&name.as_str())),
        "{:?}",
        names(&inside)
    );
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let name = |entry: io::Result<DirEntry>| {
        entry.expect("it can be read").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// Everything below a folder: what it is called and what is in it.
fn all_in(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = folder.join(name);
        let there = fs::symlink_metadata(&path).expect("it is there");
        if there.is_dir() {
            found.extend(all_in(&path));
        }
        let content =
            if there.is_file() { fs::read(&path).expect("it can be read") } else { Vec::new() };
        found.push((path, content));
    }
    found
}

/// Puts links, folders and files where the torrent's own go.
fn obstruct(from: &mut Unstructured, info: &Info, output: &Path, outside: &Path) -> Result<()> {
    for _ in 0..from.int_in_range(1..=3)? {
        let place = match from.int_in_range(0..=3u8)? {
            0 => output.to_owned(),
            1 => output.with_extension("piecemeal"),
            _ => {
                let whole =
                    from.choose(&info.files).map_or(PathBuf::new(), |file| file.path.clone());
                let depth = from.int_in_range(0..=3)?;
                output.join(whole.components().take(depth).collect::<PathBuf>())
            }
        };
        // What fails is in the way of itself.
        let _ = fs::create_dir_all(place.parent().unwrap_or(output));
        // A link at the output itself is followed: the user has put it there.
        let least = if place == output { 3 } else { 0 };
        let _ = match from.int_in_range(least..=4u8)? {
            0 => symlink(outside, &place),
            1 => symlink(outside.join("file"), &place),
            2 => symlink(outside.join("new"), &place),
            3 => fs::create_dir_all(&place),
            _ => fs::write(&place, from.arbitrary::<Vec<u8>>()?),
        };
    }
    Ok(())
}

/// Writes some of the content, reads it again, and then writes all of it.
fn download(from: &mut Unstructured, info: &Info, made: &Made, path: &Path, clear: bool) {
    let (stop, force) = (AtomicBool::new(false), from.arbitrary().unwrap_or(false));
    let output = match Output::open(info, path, force, &stop, &|_| {}) {
        Ok(output) => output,
        Err(error) => {
            assert!(!clear, "there is nothing in the way: {error}");
            return is_printable(error);
        }
    };
    let storage = &*output.storage;
    let mut there = vec![false; made.content.len()];
    while let (false, Ok(start), Ok(length)) =
        (from.is_empty(), from.int_in_range(0..=there.len()), from.int_in_range(0..=40_000))
    {
        let range = start..there.len().min(start + length);
        let offset = range.start as u64;
        if from.arbitrary().unwrap_or(false) {
            match storage.write(offset, &made.content[range.clone()]) {
                Ok(()) => there[range].fill(true),
                Err(error) => return blocked(error, clear),
            }
        } else if there[range.clone()].iter().all(|there| *there) {
            let mut read = vec![0; range.len()];
            match storage.read(offset, &mut read) {
                Ok(()) => assert!(read == made.content[range], "what was written can be read"),
                Err(error) => return blocked(error, clear),
            }
        }
    }
    let parts: Vec<&[u8]> = made.content.chunks(7_001).collect();
    match storage.write_parts(0, &parts).and_then(|()| output.complete()) {
        Ok(()) => is_there(info, made, path),
        Err(error) => blocked(error, clear),
    }
}

fn blocked(error: impl ToString, clear: bool) {
    assert!(!clear, "there is nothing in the way: {}", error.to_string());
    is_printable(error);
}

/// All of it is there: by the storage, and by looking at the files.
fn is_there(info: &Info, made: &Made, path: &Path) {
    let storage = Storage::new(info, path, false);
    let right = verify(info, &storage, &AtomicBool::new(false), &|_| {})
        .expect("what was written can be read");
    assert!(right.is_full() && storage.has_right_sizes());
    for file in info.files.iter().filter(|file| !file.padding) {
        let place = if info.multi_file { path.join(&file.path) } else { path.to_owned() };
        let range = file.offset as usize..(file.offset + file.length) as usize;
        assert!(
            fs::read(&place).expect("the file is there") == made.content[range],
            "{}",
            place.display()
        );
    }
    // Where no file has a byte there is nothing by which a download could be known.
    if !info.files.iter().any(|file| !file.padding && file.length > 0) {
        return;
    }
    let again = Output::open(info, path, false, &AtomicBool::new(false), &|_| {})
        .expect("it is a finished download");
    assert!(again.have.is_full());
}
