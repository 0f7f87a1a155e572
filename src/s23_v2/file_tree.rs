//! `file tree`: folders in folders, with a file where the key is empty.
//!
//! ```text
//! d 5:a.txt d 0: d 6:length i40000e 11:pieces root 32:.. e e       a.txt, 40,000 bytes
//!   3:sub   d 5:empty d 0: d 6:length i0e e e                      sub/empty: no bytes, so no root
//!             5:z.bin d 0: d .. e e e  e                           sub/z.bin
//!
//! content   | a.txt         |pad|  z.bin  |           with the padding that the tree leaves out
//! pieces    | 0   | 1   | 2 |   |  3  | 4 |           each file begins at a piece
//! ```
//! | in the tree | here |
//! |---|---|
//! | names that are not in sorted order | an error: their order is that of the pieces |
//! | a file with neighbors in its own dictionary, or at the very top | an error |
//! | a tree without a file | an error |
//! | a folder without a file | left out, with a note |
//! | a root of zeros, or of another length than 32 bytes; a file without one | an error |
//! | a root of an empty file | left out, with a note |
//! | over 64 levels | an error of stage 1 |
//! | names that must not become paths | as in stage 2, by the same code |

use std::path::PathBuf;

use super::V2Error;
use super::merkle::Hash;
use crate::s01_bencode::forgiving::PassedOver;
use crate::s01_bencode::{Value, excerpt};
use crate::s02_metainfo::keys::{broken, need};
use crate::s02_metainfo::{FileEntry, MAX_PIECES, MetainfoError, paths};

/// A file, as the tree has it.
pub(super) struct Found<'a> {
    /// Its folders and its name, as they are in the torrent.
    pub path: Vec<&'a [u8]>,
    /// In bytes.
    pub length: u64,
    /// The root of its hashes. An empty file has none.
    pub root: Option<Hash>,
}

/// Where a file is.
pub(super) struct Place {
    /// Its index in [`Info::files`](crate::s02_metainfo::Info::files).
    pub number: usize,
    /// In the whole content, padding included.
    pub offset: u64,
}

/// Reads the tree, and returns its files in order.
pub(super) fn read<'a>(
    info: &Value<'a>,
    piece_length: u32,
    notes: &mut PassedOver,
) -> Result<Vec<Found<'a>>, MetainfoError> {
    // Not its pairs: an error about an entry names the way to it, from the top.
    let tree = need(info, "info", "file tree", "a dictionary", |tree| {
        tree.dictionary().is_some().then_some(tree)
    })?;
    let mut walk = Walk { found: Vec::new(), path: Vec::new(), pieces: 0, piece_length, notes };
    walk.folder(tree)?;
    if walk.found.is_empty() {
        return Err(broken("info.file tree", "a tree with at least one file".to_owned(), "empty"));
    }
    Ok(walk.found)
}

/// A walk through the tree, from the first name to the last.
struct Walk<'a, 'n> {
    found: Vec<Found<'a>>,
    /// The way to where we are.
    path: Vec<&'a [u8]>,
    /// The number of pieces so far.
    pieces: u64,
    piece_length: u32,
    notes: &'n mut PassedOver,
}

impl<'a> Walk<'a, '_> {
    /// Where we are, for an error.
    fn at(&self) -> String {
        let names = self.path.iter().map(|name| format!(".{}", excerpt(name)));
        format!("info.file tree{}", names.collect::<String>())
    }

    /// Reads the names in a folder. They are as deep as stage 1 lets a value be: about 60 calls.
    fn folder(&mut self, folder: &Value<'a>) -> Result<(), MetainfoError> {
        let names = folder
            .dictionary()
            .ok_or_else(|| broken(&self.at(), "a dictionary".to_owned(), folder.type_name()))?;
        let mut last: Option<&[u8]> = None;
        for (name, value) in names {
            // Byte by byte, as BEP 3 sorts keys. Stage 1 has refused a name that is there twice.
            if let Some(after) = last.filter(|last| last >= name) {
                let (name, after) = (excerpt(name), excerpt(after));
                return Err(V2Error::Unsorted { path: self.at(), name, after }.into());
            }
            last = Some(name);
            // The empty key alone makes a file, and was handled one level up.
            if name.is_empty() {
                let what = "a file is where a folder is, or has neighbors in its own dictionary";
                return Err(V2Error::FileOrFolder { path: self.at(), what }.into());
            }
            self.path.push(name);
            match value.dictionary() {
                // A file is a dictionary with the empty key, and no other.
                Some([([], file)]) => self.file(file)?,
                Some([]) => {
                    let at = self.at();
                    self.notes.add(|| format!("{at} is a folder without a file; it is left out"));
                }
                _ => self.folder(value)?,
            }
            self.path.pop();
        }
        Ok(())
    }

    /// Reads a file's length and root. Its other keys, such as whether it can be executed, are not
    /// used.
    fn file(&mut self, file: &Value<'a>) -> Result<(), MetainfoError> {
        let at = self.at();
        let attr = self.notes.read_inside(file, &at, "attr", "a byte string", Value::bytes);
        let is_link = attr.is_some_and(|attr| attr.contains(&b'l')) && file.get("length").is_none();
        let length = if is_link {
            self.notes.add(|| format!("{at} is a symbolic link, which is not made: it is a file"));
            0 // BEP 47
        } else {
            need(file, &at, "length", "an integer, 0 or more", Value::unsigned)?
        };
        // Counted before anything is made of it: a length is a claim, and a torrent of a few bytes
        // can claim a million terabytes.
        self.pieces = self.pieces.saturating_add(length.div_ceil(self.piece_length.into()));
        if self.pieces > MAX_PIECES {
            return Err(broken(
                &at,
                format!("within the first {MAX_PIECES} pieces"),
                "beyond them",
            ));
        }
        let root = match length {
            // There is no block, and so no hash.
            0 => {
                if file.get("pieces root").is_some() {
                    self.notes.add(|| format!("{at} is empty and has a root; it is passed over"));
                }
                None
            }
            _ => Some(root(file, &at)?),
        };
        // The path of the walk goes on to the next file, so this one gets a copy.
        self.found.push(Found { path: self.path.clone(), length, root });
        Ok(())
    }
}

/// Reads a file's root. Zeros stand for no block, and nobody knows content that has this hash.
fn root(file: &Value, at: &str) -> Result<Hash, MetainfoError> {
    let expected = "32 bytes, not all of them 0";
    let bytes = need(file, at, "pieces root", expected, Value::bytes)?;
    let found = match bytes.try_into().map(Hash) {
        Ok(Hash::ZERO) => "32 zeros".to_owned(),
        Ok(root) => return Ok(root),
        Err(_) => format!("{} bytes", bytes.len()),
    };
    Err(broken(&format!("{at}.pieces root"), expected.to_owned(), found))
}

/// Puts the files one after the other, each at a piece, with padding between them; returns the
/// entries of stage 2, and where each of the files is.
///
/// `alone` is the name of the only file of a torrent without a folder.
pub(super) fn layout(
    found: &[Found],
    piece_length: u32,
    alone: Option<&str>,
    notes: &mut PassedOver,
) -> Result<(Vec<FileEntry>, Vec<Place>), MetainfoError> {
    let (mut entries, mut places) = (Vec::new(), Vec::with_capacity(found.len()));
    let mut names = paths::Tree::default();
    let mut offset: u64 = 0;
    for file in found {
        // The last file needs none behind it: there is no piece to begin.
        let gap = offset.next_multiple_of(piece_length.into()) - offset;
        if gap > 0 && file.length > 0 {
            entries.push(FileEntry { path: PathBuf::new(), offset, length: gap, padding: true });
            offset += gap;
        }
        let path = match alone {
            Some(name) => paths::checked(PathBuf::from(name), "info.name")?,
            None => names.place(&file.path, "info.file tree", notes)?,
        };
        places.push(Place { number: entries.len(), offset });
        entries.push(FileEntry { path, offset, length: file.length, padding: false });
        offset += file.length; // at most 2^21 pieces of 512 MiB
    }
    Ok((entries, places))
}
