//! From the names in a torrent to paths that are safe to write.
//!
//! Whoever made the torrent chose the names, and may mean harm: `..` climbs
//! out of the output folder, an absolute path ignores it, a NUL ends a name
//! early, and an escape sequence rewrites the user's terminal. What can only
//! be an attack is an error; what may be an accident is repaired.
//!
//! | in the torrent | here |
//! |---|---|
//! | `name.utf-8`, `path.utf-8` | used instead of `name`, `path`, and trusted as little |
//! | `.` or `..` as a component | an error |
//! | an empty component | left out; an error if no other is left and the file is not empty |
//! | a file where another needs a folder | an error |
//! | `/`, `\`, NUL and control characters in a component | `_` |
//! | invisible characters, and those that reverse text: zero width, bidi controls | left out |
//! | a component over 255 bytes | cut between two characters, before a short extension |
//! | names that differ in the torrent, but no longer after these changes | `.1`, `.2`, ... before the extension |
//! | two files with one path | the same, with a note |
//! | more than 128 names in a path | an error |
//! | padding (BEP 47) | needs no path and gets none |

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::keys::{broken, need};
use super::{FileEntry, MetainfoError, Value};
use crate::s01_bencode::forgiving::PassedOver;
use crate::s01_bencode::{excerpt, printable};

/// The longest name that file systems allow, in bytes.
const MAX_NAME_LENGTH: usize = 255;
/// The most names in a path. Real paths have fewer than 20, and every error about a file
/// quotes its path.
const DEEPEST: usize = 128;
/// The most bytes kept of a name that gets a suffix: the longest suffix is `.4294967295`.
const MAX_STEM_LENGTH: usize = MAX_NAME_LENGTH - 11;
/// The longest extension, with its dot, in bytes. A longer one counts as part of the name.
const MAX_EXTENSION_LENGTH: usize = 16;

/// Reads the name and the single entry of a torrent without `files`. The entry's path is the name;
/// the user may choose another.
pub(super) fn one(
    info: &Value,
    notes: &mut PassedOver,
) -> Result<(String, Vec<FileEntry>), MetainfoError> {
    let (name, at) = name(info, notes)?;
    let length = need(info, "info", "length", "an integer, 0 or more", Value::unsigned)?;
    let path = checked(PathBuf::from(&name), at)?;
    Ok((name, vec![FileEntry { path, offset: 0, length, padding: false }]))
}

/// Reads the folder's name and the entries of a torrent with `files`.
pub(super) fn many(
    info: &Value,
    notes: &mut PassedOver,
) -> Result<(String, Vec<FileEntry>), MetainfoError> {
    let (name, at) = name(info, notes)?;
    // The folder's name is not part of the entries' paths: the user may choose another.
    checked(PathBuf::from(&name), at)?;
    let list = need(info, "info", "files", "a list", Value::list)?;
    let mut tree = Tree::default();
    let mut files = Vec::with_capacity(list.len());
    let mut offset: u64 = 0;
    for (number, file) in list.iter().enumerate() {
        let at = format!("info.files[{number}]");
        // BEP 47: `p` padding, `l` symbolic link; `x` executable and `h` hidden are not used.
        let attr =
            notes.read_inside(file, &at, "attr", "a byte string", Value::bytes).unwrap_or_default();
        let length = match attr.contains(&b'l') && file.get("length").is_none() {
            true => 0, // BEP 47: a symbolic link
            false => need(file, &at, "length", "an integer, 0 or more", Value::unsigned)?,
        };
        let padding = attr.contains(&b'p');
        let path = if padding { PathBuf::new() } else { tree.entry(file, &at, length, notes)? };
        // Without a name there is nothing to say: `entry` has noted that it is passed over.
        if attr.contains(&b'l') && !path.as_os_str().is_empty() {
            notes.add(|| {
                format!("{at} is a symbolic link, which is not made: {} is a file", shown(&path))
            });
        }
        // A file without a name has no bytes: it is handled like padding.
        files.push(FileEntry {
            padding: padding || path.as_os_str().is_empty(),
            path,
            offset,
            length,
        });
        // Lengths are claims, and three of almost 2^63 would overflow the sum.
        offset = offset
            .checked_add(length)
            .ok_or_else(|| broken(&at, "a total below 2^64".to_owned(), "more"))?;
    }
    Ok((name, files))
}

/// Returns the name of the file or folder, and the key that it came from.
///
/// BEP 3 wants UTF-8. Clients of the 2000s wrote names in their system's encoding, such
/// as GBK, and the same names in UTF-8 in a key of their own.
pub(crate) fn name(
    info: &Value,
    notes: &mut PassedOver,
) -> Result<(String, &'static str), MetainfoError> {
    let filled = |value: &Value| value.text().filter(|name| !name.is_empty()).map(|_| ());
    if notes.read_inside(info, "info", "name.utf-8", "text in UTF-8", filled).is_some() {
        let raw = need(info, "info", "name.utf-8", "a byte string", Value::bytes)?;
        return Ok((component(raw, "info.name.utf-8")?, "info.name.utf-8"));
    }
    let raw = need(info, "info", "name", "a byte string", Value::bytes)?;
    Ok((component(raw, "info.name")?, "info.name"))
}

/// Returns the components of a path, if it is a list of byte strings; `None` if not.
fn components<'a>(path: &Value<'a>) -> Option<Vec<&'a [u8]>> {
    path.list()?.iter().map(Value::bytes).collect()
}

/// The names given out so far, folder by folder. A raw name is what the torrent
/// says; each gets a safe name that is unique in its folder. The cost is linear
/// in the torrent's size, whatever names it holds.
#[derive(Default)]
pub(crate) struct Tree<'a> {
    /// The file or folder that each raw name in each folder became. The output folder is number
    /// 0. A folder's number is shorter than its path, which every file in it would repeat.
    places: HashMap<(usize, &'a [u8]), Place>,
    /// Every safe name in each folder.
    taken: HashSet<(usize, String)>,
    /// The last suffix of each stem and extension. A stem is cut to the same length whatever its
    /// suffix, so no number is tried twice.
    suffixes: HashMap<(usize, String, String), u32>,
    /// The folders so far; also the latest one's number.
    folders: usize,
}

/// What a raw name became: a file, or a folder with its safe name, which every file in it needs
/// for its path. A name cannot be both.
enum Place {
    File,
    Folder { number: usize, name: String },
}

impl<'a> Tree<'a> {
    /// Returns a safe path for an entry of `files`. It is empty if the entry has neither a
    /// name nor bytes.
    ///
    /// `path.utf-8` counts only if it has a name and is UTF-8 throughout. Otherwise it gets a
    /// note, and `path` is used.
    fn entry(
        &mut self,
        file: &Value<'a>,
        at: &str,
        length: u64,
        notes: &mut PassedOver,
    ) -> Result<PathBuf, MetainfoError> {
        let named = |raw: &Vec<&[u8]>| raw.iter().any(|part| !part.is_empty());
        let text = |raw: &Vec<&[u8]>| raw.iter().all(|part| std::str::from_utf8(part).is_ok());
        let utf8 = |path: &Value<'a>| components(path).filter(named).filter(text);
        let (mut raw, at) =
            match notes.read_inside(file, at, "path.utf-8", "a list of names in UTF-8", utf8) {
                Some(raw) => (raw, format!("{at}.path.utf-8")),
                None => (
                    need(file, at, "path", "a list of byte strings", components)?,
                    format!("{at}.path"),
                ),
            };
        // Some programs list an empty file without a name. There is nothing to lose.
        if !named(&raw) && length == 0 {
            notes.add(|| format!("{at} is empty, and so is the file; it is passed over"));
            return Ok(PathBuf::new());
        }
        raw.retain(|part| !part.is_empty()); // as a shell reads `a//b`
        self.place(&raw, &at, notes)
    }

    /// Walks the raw path from the output folder, makes the folders that are new, and returns
    /// the file's safe path. *Makes* means here: in this tree. Nothing on disk is touched.
    pub(crate) fn place(
        &mut self,
        raw: &[&'a [u8]],
        at: &str,
        notes: &mut PassedOver,
    ) -> Result<PathBuf, MetainfoError> {
        let unsafe_path =
            |why| MetainfoError::UnsafePath { path: at.to_owned(), why, name: raw_text(raw) };
        let Some((last, parents)) = raw.split_last() else {
            return Err(unsafe_path("a path needs at least one name"));
        };
        if raw.len() > DEEPEST {
            return Err(broken(at, format!("a list of at most {DEEPEST} names"), raw.len()));
        }
        let mut path = PathBuf::new();
        let mut folder = 0;
        for parent in parents {
            let next = self.folder(folder, parent, at, &mut path)?;
            folder = next.ok_or_else(|| unsafe_path("a folder is needed where another file is"))?;
        }
        let there = self.places.insert((folder, last), Place::File);
        if let Some(Place::Folder { .. }) = there {
            return Err(unsafe_path("a file is where another needs a folder"));
        }
        path.push(self.free(folder, component(last, at)?));
        if there.is_some() {
            // The bytes of both files belong to the content.
            notes.add(|| {
                format!(
                    "{at} is also the path of an earlier file; this one becomes {}",
                    shown(&path)
                )
            });
        }
        checked(path, at)
    }

    /// Goes into a folder, and makes it if its raw name is new here: returns its number, and adds
    /// its safe name to the path. `None` if the name is a file's.
    fn folder(
        &mut self,
        inside: usize,
        raw: &'a [u8],
        at: &str,
        path: &mut PathBuf,
    ) -> Result<Option<usize>, MetainfoError> {
        match self.places.get(&(inside, raw)) {
            Some(Place::File) => Ok(None),
            Some(Place::Folder { number, name }) => {
                path.push(name);
                Ok(Some(*number))
            }
            None => {
                let name = self.free(inside, component(raw, at)?);
                path.push(&name);
                self.folders += 1;
                let number = self.folders;
                self.places.insert((inside, raw), Place::Folder { number, name });
                Ok(Some(number))
            }
        }
    }

    /// Returns the name, or `name.1` and so on if it is taken in this folder; the number goes
    /// before the extension. The numbers go on from the last one that was used, so each file costs
    /// a few lookups. Starting from 1 each time, 200,000 equal names would cost 20 billion.
    fn free(&mut self, folder: usize, name: String) -> String {
        let mut free = name;
        if self.taken.contains(&(folder, free.clone())) {
            let (stem, extension) = split(&free);
            let stem = cut(stem, MAX_STEM_LENGTH - extension.len()).to_owned();
            let extension = extension.to_owned();
            let number =
                self.suffixes.entry((folder, stem.clone(), extension.clone())).or_insert(0);
            while self.taken.contains(&(folder, free.clone())) {
                *number += 1;
                free = format!("{stem}.{number}{extension}");
            }
        }
        self.taken.insert((folder, free.clone()));
        free
    }
}

/// Turns one raw component into a name that is safe on its own: exactly one step down, even on
/// Windows, where `\` separates names. Bytes that are not UTF-8 become U+FFFD, `�`.
fn component(raw: &[u8], at: &str) -> Result<String, MetainfoError> {
    let clean = |letter: char| {
        if letter.is_control() || letter == '/' || letter == '\\' { '_' } else { letter }
    };
    let name: String = String::from_utf8_lossy(raw)
        .chars()
        .filter(|letter| !is_hidden(*letter))
        .map(clean)
        .collect();
    let why = match name.as_str() {
        "" if raw.is_empty() => "a name may not be empty",
        "" => return Ok("_".to_owned()), // it was nothing but invisible characters
        // Checked after the cleaning, which can produce one: of two dots with a zero width
        // space between them, two dots are left.
        "." | ".." => "a name may not be a step up or to itself",
        _ if name.len() <= MAX_NAME_LENGTH => return Ok(name),
        _ => {
            // Keep the extension: without it, no program would open the file.
            let (stem, extension) = split(&name);
            return Ok(format!("{}{extension}", cut(stem, MAX_NAME_LENGTH - extension.len())));
        }
    };
    Err(MetainfoError::UnsafePath { path: at.to_owned(), why, name: excerpt(raw) })
}

/// Whether a character is invisible, or reverses those around it. Such a character makes
/// two names look the same, or `gpj.exe` look like `exe.jpg`.
fn is_hidden(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}')
        || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Splits a name before its extension, if it has a short one: `song` and `.mp3`. A name such as
/// `.profile` has none, and neither has `Mr. Smith goes home`.
fn split(name: &str) -> (&str, &str) {
    let (stem, extension) = name.split_at(name.rfind('.').unwrap_or(name.len()));
    let usual = (2..=MAX_EXTENSION_LENGTH).contains(&extension.len())
        && extension.chars().skip(1).all(char::is_alphanumeric);
    if usual && !stem.is_empty() { (stem, extension) } else { (name, "") }
}

/// Returns at most the first `length` bytes of the name, cut between two characters.
fn cut(name: &str, length: usize) -> &str {
    &name[..name.floor_char_boundary(length)]
}

/// The last line of defense: whatever went wrong above, a path that leaves the
/// output folder does not get past here.
pub(crate) fn checked(path: PathBuf, at: &str) -> Result<PathBuf, MetainfoError> {
    // `Normal` is a plain name: no root, no drive, no step up or to itself.
    let safe = path.components().count() > 0
        && path.components().all(|part| matches!(part, Component::Normal(_)));
    if safe {
        return Ok(path);
    }
    Err(MetainfoError::UnsafePath {
        path: at.to_owned(),
        why: "the path leaves the output folder",
        name: excerpt(path.as_os_str().as_encoded_bytes()),
    })
}

/// The start of a path, for an error message: ten names at most, each as an excerpt.
fn raw_text(raw: &[&[u8]]) -> String {
    let start: Vec<String> = raw.iter().take(10).map(|part| excerpt(part)).collect();
    start.join("/")
}

/// A path as it will be on disk, for a note.
fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}
