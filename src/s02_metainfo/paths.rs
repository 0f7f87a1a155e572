//! From the names in a torrent to paths that are safe to write.
//!
//! Whoever made the torrent chose the names, and may not be a friend: `..`
//! climbs out of the output folder, an absolute path ignores it, a NUL ends a
//! name early, and an escape sequence rewrites the reader's terminal. What
//! cannot be meant well is an error; what may be an accident is mended.
//!
//! | in the torrent | here |
//! |---|---|
//! | `.`, `..` or nothing as a component | an error |
//! | two files of one name; a file where another needs a folder | an error |
//! | `/`, `\`, NUL and control characters in a component | `_` |
//! | a component over 255 bytes | cut, at a character |
//! | names that differ, but no longer after that | `.1`, `.2`, ... at the end |
//! | padding (BEP 47) | needs no path and gets none |

use std::collections::{HashMap, HashSet};
use std::path::{Component, PathBuf};

use super::{FileEntry, MetainfoError, Value, broken, need};
use crate::s01_bencode::excerpt;

/// What file systems allow for one name, in bytes.
const LONGEST: usize = 255;
/// What is left of a name that gets a suffix: the longest is `.4294967295`.
const LONGEST_STEM: usize = LONGEST - 11;

/// The name and the one entry of a torrent without `files`.
pub(super) fn one(info: &Value, name: &[u8]) -> Result<(String, Vec<FileEntry>), MetainfoError> {
    let length = need(info, "info", "length", "an integer, 0 or more", Value::unsigned)?;
    let name = component(name, "info.name")?;
    let path = checked(PathBuf::from(&name), "info.name")?;
    Ok((name, vec![FileEntry { path, offset: 0, length, padding: false }]))
}

/// The folder's name and the entries of a torrent with `files`.
pub(super) fn many(info: &Value, name: &[u8]) -> Result<(String, Vec<FileEntry>), MetainfoError> {
    let name = component(name, "info.name")?;
    checked(PathBuf::from(&name), "info.name")?;
    let list = need(info, "info", "files", "a list", Value::list)?;
    let mut tree = Tree::default();
    let mut files = Vec::with_capacity(list.len());
    let mut offset: u64 = 0;
    for (number, file) in list.iter().enumerate() {
        let at = format!("info.files[{number}]");
        let length = need(file, &at, "length", "an integer, 0 or more", Value::unsigned)?;
        let padding = file.get("attr").and_then(Value::bytes).is_some_and(|attr| attr.contains(&b'p'));
        let path = if padding {
            PathBuf::new()
        } else {
            let components = need(file, &at, "path", "a list of byte strings", |path| {
                path.list()?.iter().map(Value::bytes).collect::<Option<Vec<&[u8]>>>()
            })?;
            tree.place(&components, &format!("{at}.path"))?
        };
        files.push(FileEntry { path, offset, length, padding });
        offset = offset.checked_add(length).ok_or_else(|| broken(&at, "a total below 2^64".to_owned(), "more"))?;
    }
    Ok((name, files))
}

/// The names given out so far, folder by folder. A raw name is what the torrent
/// says; each gets one safe name in its folder, and no two the same. The cost
/// is linear in the torrent's size, whatever names it holds.
#[derive(Default)]
struct Tree<'a> {
    /// What each raw name in each folder is. The output folder is number 0.
    places: HashMap<(usize, &'a [u8]), Place>,
    /// Every safe name in each folder.
    taken: HashSet<(usize, String)>,
    /// The last suffix of each stem. A stem is cut to the same length whatever its
    /// suffix, so that no number is tried twice for one.
    suffixes: HashMap<(usize, String), u32>,
    folders: usize,
}

enum Place {
    File,
    Folder { number: usize, name: String },
}

impl<'a> Tree<'a> {
    fn place(&mut self, raw: &[&'a [u8]], at: &str) -> Result<PathBuf, MetainfoError> {
        let unsafe_path = |why| MetainfoError::UnsafePath { path: at.to_owned(), why, name: shown(raw) };
        let Some((last, parents)) = raw.split_last() else { return Err(unsafe_path("a path needs at least one component")) };
        let mut path = PathBuf::new();
        let mut folder = 0;
        for parent in parents {
            match self.places.get(&(folder, *parent)) {
                Some(Place::File) => return Err(unsafe_path("a folder is needed where another file is")),
                Some(Place::Folder { number, name }) => {
                    path.push(name);
                    folder = *number;
                }
                None => {
                    let name = self.free(folder, component(parent, at)?);
                    path.push(&name);
                    self.folders += 1;
                    self.places.insert((folder, parent), Place::Folder { number: self.folders, name });
                    folder = self.folders;
                }
            }
        }
        match self.places.insert((folder, last), Place::File) {
            Some(Place::File) => return Err(unsafe_path("two files have the same path")),
            Some(Place::Folder { .. }) => return Err(unsafe_path("a file stands where another needs a folder")),
            None => path.push(self.free(folder, component(last, at)?)),
        }
        checked(path, at)
    }

    /// The name, or `name.1` and so on if it is taken in this folder.
    fn free(&mut self, folder: usize, name: String) -> String {
        let mut free = name;
        if self.taken.contains(&(folder, free.clone())) {
            let stem = cut(&free, LONGEST_STEM).to_owned();
            let number = self.suffixes.entry((folder, stem.clone())).or_insert(0);
            while self.taken.contains(&(folder, free.clone())) {
                *number += 1;
                free = format!("{stem}.{number}");
            }
        }
        self.taken.insert((folder, free.clone()));
        free
    }
}

/// One raw component as a name that is safe by itself.
fn component(raw: &[u8], at: &str) -> Result<String, MetainfoError> {
    let why = match raw {
        b"" => "a name may not be empty",
        b"." | b".." => "a name may not be a step up or to itself",
        _ => {
            let clean = |letter: char| if letter.is_control() || letter == '/' || letter == '\\' { '_' } else { letter };
            let name: String = String::from_utf8_lossy(raw).chars().map(clean).collect();
            return Ok(cut(&name, LONGEST).to_owned());
        }
    };
    Err(MetainfoError::UnsafePath { path: at.to_owned(), why, name: excerpt(raw) })
}

/// At most `length` bytes of the name, not ending inside a character.
fn cut(name: &str, length: usize) -> &str {
    &name[..name.floor_char_boundary(length)]
}

/// The last line of defence: whatever went wrong above, a path that leaves the
/// output folder does not get past here.
fn checked(path: PathBuf, at: &str) -> Result<PathBuf, MetainfoError> {
    let safe = path.components().count() > 0 && path.components().all(|part| matches!(part, Component::Normal(_)));
    if safe {
        return Ok(path);
    }
    Err(MetainfoError::UnsafePath {
        path: at.to_owned(),
        why: "the path leaves the output folder",
        name: excerpt(path.as_os_str().as_encoded_bytes()),
    })
}

/// The start of a path, for an error message.
fn shown(raw: &[&[u8]]) -> String {
    let start: Vec<String> = raw.iter().take(10).map(|part| excerpt(part)).collect();
    start.join("/")
}
