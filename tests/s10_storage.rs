//! Stage 10: pieces on one side, files on the other.

mod support;

mod s10_storage {
    #[path = "../s02_metainfo/by_blocks.rs"]
    mod by_blocks;
    mod create;
    mod damage;
    mod files;
    mod links;
    mod output;
    mod parts;
    mod places;
    mod verifying;
}

use piecemeal::s02_metainfo::Info;
use piecemeal::s10_storage::{Storage, Store};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::Torrent;

fn info(torrent: &Torrent) -> Info {
    Info::from_bytes(&torrent.info).expect("the test's torrent is a good one")
}

/// Writes all of the content, as if it had been downloaded.
fn fill(torrent: &Torrent, root: &Path) {
    let storage = Storage::new(&info(torrent), root, true);
    storage.write(0, &torrent.content).expect("the test's folder takes files");
    storage.finish().expect("the test's folder takes files");
}

/// Every file below a folder with its bytes; folders as `None`, links as what
/// they say.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the test's folder can be read") {
            let path = entry.expect("the test's folder can be read").path();
            let name = path.strip_prefix(root).expect("an entry lies in its folder").to_owned();
            let kind = path.symlink_metadata().expect("the entry is there").file_type();
            if kind.is_dir() {
                found.insert(name, None);
                folders.push(path);
            } else if kind.is_file() {
                found.insert(name, Some(std::fs::read(&path).expect("the file can be read")));
            } else {
                found.insert(
                    name,
                    Some(format!("{kind:?} {:?}", std::fs::read_link(&path).ok()).into_bytes()),
                );
            }
        }
    }
    found
}

/// The names of the files below a folder, in order.
fn files_in(root: &Path) -> Vec<String> {
    let all = snapshot(root).into_iter().filter(|(_, bytes)| bytes.is_some());
    all.map(|(name, _)| name.to_string_lossy().into_owned()).collect()
}
