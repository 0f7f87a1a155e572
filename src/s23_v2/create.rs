//! Making torrents of version 2, and hybrids.
//!
//! ```text
//! on the disk    | a.bin      | b.bin   | c.bin |           one after the other
//! pieces         | 0   | 1    | 2   | 3 | 4     |           each ends with its file, at the latest
//! tree           | a.bin      | b.bin   | c.bin |           version 2: a root for each
//! files          | a.bin      |pad| b.bin   |pad| c.bin |pad|    a hybrid: version 1 as well
//! SHA-1 pieces   | 0     | 1      | 2   | 3     | 4         |
//! ```
//! No padding is read or written here. It is zeros, so a hybrid's SHA-1 goes on with zeros where a
//! file has ended.
//!
//! | what | here; all but the order is as in libtorrent, see `hybrid` |
//! |---|---|
//! | order | name by name, folder by folder: the order of the tree, and so of the pieces |
//! | padding | `.pad/N`, of N bytes, behind each file that does not end with a piece |
//! | behind the last file | also, unless it is the only one |
//! | `piece layers` | always there, even if no file is longer than a piece |
//!
//! All else is the work of stage 10: finding files, hashing on all cores, keys and options.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::check::{BothHasher, TreeHasher};
use super::from_bytes;
use super::merkle::{BLOCK_LENGTH, Hash, height_of, root_of_layer};
use crate::s01_bencode::encode::{bytes, dictionary, integer};
use crate::s02_metainfo::keys::broken;
use crate::s02_metainfo::piece_check::{PieceHasher, sha1_hasher};
use crate::s02_metainfo::{FileEntry, MAX_PIECES};
use crate::s10_storage::create::encoding::{every_format, torrent as encoded, version_one};
use crate::s10_storage::create::{Content, CreateError, Created, Draft, Pieces, add_zeros};

/// The formats that have trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Version 2 alone. Older clients cannot read it.
    Two,
    /// Version 2 and version 1 in one: two names, and two hashes for each piece.
    Hybrid,
}

impl Version {
    /// The bytes of a SHA-1 for each piece.
    fn sha1_width(self) -> usize {
        match self {
            Version::Two => 0,
            Version::Hybrid => 20,
        }
    }
}

/// Makes the torrent of some content, as [`Content::torrent`] does for version 1.
///
/// # Errors
/// If the piece length is no power of two from 16 KiB up, a file cannot be read or changes
/// meanwhile, or there would be too many pieces.
pub fn torrent(
    content: &Content,
    version: Version,
    draft: &Draft,
    stop: &AtomicBool,
    hashed: &(dyn Fn(u64) + Sync),
) -> Result<Created, CreateError> {
    let aligned = Aligned::new(content, version, draft)?;
    // For each piece its SHA-1, if there is one, and its SHA-256.
    let width = version.sha1_width() + size_of::<Hash>();
    // First with invented hashes: what is wrong with names and lengths shows before hours of work.
    // No two of them are the same, or two files of different lengths would have one root.
    let mut any = vec![0xff; aligned.count as usize * width];
    for (hash, piece) in any.chunks_exact_mut(width).zip(0u32..) {
        hash.iter_mut().rev().zip(piece.to_be_bytes()).for_each(|(byte, digit)| *byte = digit);
    }
    aligned.with(&any, draft)?;
    let (range, begin) = (|piece| aligned.range(piece), |piece| aligned.begin(piece));
    let pieces = Pieces { count: aligned.count, range: &range, begin: &begin };
    aligned.with(&content.hashes(&pieces, width, stop, hashed)?, draft)
}

/// Returns the hash of each block of a single file: the leaves of its tree. `hashed` and `stop` are
/// as in [`Content::torrent`].
///
/// # Errors
/// If the file cannot be read or changes meanwhile, or if we are told to stop.
pub fn leaves(
    content: &Content,
    stop: &AtomicBool,
    hashed: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Hash>, CreateError> {
    let (length, block) = (content.length, BLOCK_LENGTH as u64);
    // Each block is hashed like a piece, so all cores take part.
    let range = |index| {
        let begin = u64::from(index) * block;
        begin..length.min(begin + block)
    };
    let begin = |_| Box::new(TreeHasher::new(0, BLOCK_LENGTH)) as Box<dyn PieceHasher>;
    let count = length.div_ceil(block).try_into().map_err(|_| CreateError::TooLarge {
        what: "the file",
        limit: u64::from(u32::MAX) * block,
    })?;
    let hashes =
        content.hashes(&Pieces { count, range: &range, begin: &begin }, 32, stop, hashed)?;
    Ok(hashes.as_chunks().0.iter().copied().map(Hash).collect())
}

/// Content that is cut into pieces file by file.
struct Aligned<'c> {
    content: &'c Content,
    version: Version,
    /// In bytes.
    piece_length: u32,
    /// The number of the first piece of each file. An empty file has that of the next one.
    first: Vec<u32>,
    /// The number of all pieces.
    count: u32,
    /// Whether the files of a hybrid are filled up to whole pieces. A single one is not: it has no
    /// list of files, and so no place for padding.
    is_padded: bool,
}

impl<'c> Aligned<'c> {
    /// Cuts the content, in the order in which it was found. That is the order of the tree: both
    /// sort names by their bytes, folder by folder.
    ///
    /// # Errors
    /// If there would be too many pieces, whatever their length or with the length in the draft.
    fn new(content: &'c Content, version: Version, draft: &Draft) -> Result<Self, CreateError> {
        let rows: Vec<u64> = content.files.iter().map(|file| file.length).collect();
        let full = rows.iter().filter(|length| **length > 0).count();
        if full as u64 > MAX_PIECES {
            // No piece length would help: each of these files has a piece of its own.
            let expected = format!("at most {MAX_PIECES} files that are not empty");
            return Err(broken("info.file tree", expected, full).into());
        }
        let piece_length = content.piece_length(draft, &rows)?;
        let mut count = 0;
        let first = rows.iter().map(|length| {
            let first = count;
            count += length.div_ceil(piece_length.into()) as u32; // at most 2^21, all together
            first
        });
        let (first, is_padded) = (first.collect(), rows.len() > 1);
        Ok(Aligned { content, version, piece_length, first, count, is_padded })
    }

    /// Returns the file of a piece, and where in the file the piece begins.
    fn place(&self, piece: u32) -> (&FileEntry, u64) {
        // The last of those that begin at it or before: the others at the same place are empty.
        let number = self.first.partition_point(|first| *first <= piece).saturating_sub(1);
        let found = self.content.files.get(number).zip(self.first.get(number));
        let (file, first) = found.expect("each piece is a file's");
        (file, u64::from(piece - first) * u64::from(self.piece_length))
    }

    /// Returns where a piece is, in the files as they are on the disk.
    fn range(&self, piece: u32) -> Range<u64> {
        let (file, before) = self.place(piece);
        let length = (file.length - before).min(self.piece_length.into());
        file.offset + before..file.offset + before + length
    }

    /// Begins the hashes of a piece: both of a hybrid in one go, since reading costs more than a
    /// second look at a block that is in the cache.
    fn begin(&self, piece: u32) -> Box<dyn PieceHasher> {
        let (file, before) = self.place(piece);
        let length = (file.length - before).min(self.piece_length.into()) as u32;
        let height = height_of(file.length.min(self.piece_length.into()));
        let tree = TreeHasher::new(height, length as usize);
        match self.version {
            Version::Two => Box::new(tree),
            Version::Hybrid => {
                let both = BothHasher { sha1: sha1_hasher(), tree };
                let padding = if self.is_padded { self.piece_length - length } else { 0 };
                Box::new(PaddedHasher { both, padding })
            }
        }
    }

    /// Encodes the torrent with these hashes, and reads it back.
    fn with(&self, hashes: &[u8], draft: &Draft) -> Result<Created, CreateError> {
        let content = self.content;
        let (mut sha1, mut trees) = (Vec::new(), Vec::with_capacity(self.count as usize));
        for hash in hashes.chunks(self.version.sha1_width() + size_of::<Hash>()) {
            let (first, tree) = hash.split_last_chunk().expect("each ends with a SHA-256");
            sha1.extend_from_slice(first);
            trees.push(Hash(*tree));
        }
        let files: Vec<Leaf> = content.files.iter().map(|file| self.leaf(file)).collect();
        let (tree, layers) = tree_and_layers(&files, self.piece_length, &trees);
        // What both versions have is there once, and so are name, piece length and options.
        let mut info = every_format(&content.name, self.piece_length, draft);
        info.extend([("file tree", tree), ("meta version", integer(2))]);
        if self.version == Version::Hybrid {
            info.extend(version_one(content.folder, &self.padded(), &sha1));
        }
        // The layers are outside: a link's name covers the roots, and the roots cover the layers.
        let torrent = encoded(dictionary(info), [("piece layers", layers)], draft);
        content.read_back(torrent, draft, from_bytes)
    }

    /// Returns a file with its place in the tree.
    fn leaf(&self, file: &'c FileEntry) -> Leaf<'c> {
        let names = file.path.iter().filter_map(|name| name.to_str()); // checked by `find`
        let path = if self.content.folder { names.collect() } else { vec![&*self.content.name] };
        Leaf { path, length: file.length }
    }

    /// Returns the files of a hybrid's version 1 part, with the padding between them.
    fn padded(&self) -> Vec<FileEntry> {
        let mut files = Vec::new();
        for file in &self.content.files {
            files.push(file.clone());
            let length = file.length.next_multiple_of(self.piece_length.into()) - file.length;
            if self.is_padded && length > 0 {
                // BEP 47 recommends this name. Nobody makes the file.
                let path = PathBuf::from(format!(".pad/{length}"));
                files.push(FileEntry { path, offset: 0, length, padding: true });
            }
        }
        files
    }
}

/// A file on its way into the tree. A single file has one name in its path: the torrent's. That is
/// how a reader knows that there is no folder.
pub struct Leaf<'c> {
    /// Its folders, and its name.
    pub path: Vec<&'c str>,
    /// In bytes.
    pub length: u64,
}

/// Encodes `file tree` and `piece layers` of files whose pieces have these hashes. The files are in
/// the order of the tree, and so are the pieces. An empty file has no piece, and no root.
pub fn tree_and_layers(files: &[Leaf], piece_length: u32, pieces: &[Hash]) -> (Vec<u8>, Vec<u8>) {
    // Two files with the same content have the same root, and need one layer.
    let mut layers = BTreeMap::new();
    let mut entries: Vec<(&Leaf, Vec<u8>)> = Vec::with_capacity(files.len());
    let mut rest = pieces;
    for file in files {
        let count = file.length.div_ceil(piece_length.into()) as usize;
        let layer = rest.split_off(..count).expect("there is a hash for each piece");
        let root = match layer {
            [] => None,
            // The only piece of a file is its whole tree.
            [root] => Some(*root),
            _ => {
                let root = root_of_layer(layer, height_of(piece_length.into()), file.length);
                layers.insert(root, layer);
                Some(root)
            }
        };
        let mut pairs = vec![("length", integer(file.length))];
        pairs.extend(root.map(|root| ("pieces root", bytes(root.0))));
        entries.push((file, dictionary([("", dictionary(pairs))])));
    }
    (folder(&entries, 0), encoded_layers(&layers))
}

/// Encodes a folder: the part of the tree below the first `depth` names, which are the same for all
/// these files. Those of a subfolder are side by side. It is one call deeper for each folder in a
/// folder, and stage 2 takes at most 128 names in a path.
fn folder(files: &[(&Leaf, Vec<u8>)], depth: usize) -> Vec<u8> {
    let entries = files.chunk_by(|(one, _), (next, _)| one.path.get(depth) == next.path.get(depth));
    dictionary(entries.filter_map(|same| {
        let first = same.first()?;
        let is_file = first.0.path.len() == depth + 1;
        let value = if is_file { first.1.clone() } else { folder(same, depth + 1) };
        Some((*first.0.path.get(depth)?, value))
    }))
}

/// Encodes the layers by their roots, in sorted order. A root is not text, and [`dictionary`] takes
/// only text as keys.
fn encoded_layers(layers: &BTreeMap<Hash, &[Hash]>) -> Vec<u8> {
    let mut out = vec![b'd'];
    for (root, layer) in layers {
        out.extend(bytes(root.0));
        out.extend(bytes(layer.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>()));
    }
    out.push(b'e');
    out
}

/// Both hashes of a hybrid's piece, at the end of which there may be padding.
struct PaddedHasher {
    both: BothHasher,
    /// The number of zeros that are only in the version 1 part.
    padding: u32,
}

impl PieceHasher for PaddedHasher {
    fn update(&mut self, blocks: &[u8]) {
        self.both.update(blocks);
    }

    fn finish(&mut self) -> Vec<u8> {
        // The tree gets none of them; a leaf is as short as the file's end makes it.
        add_zeros(&mut *self.both.sha1, self.padding);
        self.both.finish()
    }
}
