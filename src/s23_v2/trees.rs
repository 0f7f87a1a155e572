//! What version 2 knows of a torrent: the tree of each file, down to its pieces.
//!
//! ```text
//!               root                          in the info dictionary: one for each file
//!           /          \
//!        .                 .
//!     /     \           /     \
//!    p0     p1         p2     p3              the piece layer: a hash for each piece. In the
//!   / \     / \       / \     / \             .torrent, or fetched from peers (stage 24)
//!  b0 b1  b2  b3    b4  b5  b6  b7            blocks of 16 KiB: never stored, only hashed
//! ```
//! All threads of a download share one value. A layer is set at most once, and only if its root is
//! right, so what is read here needs no check.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::V2Error;
use super::file_tree::{Found, Place};
use super::merkle::{Hash, height_of, root_of_layer};
use crate::s02_metainfo::InfoHash;

/// The trees of a torrent's files.
pub struct Trees {
    /// The torrent's name: the SHA-256 of its info dictionary.
    pub name: [u8; 32],
    /// In bytes: a power of two, and 16 KiB or more.
    pub piece_length: u32,
    /// The files that are not empty, in the order of their pieces.
    files: Vec<FileTree>,
    /// The positions in `files`, sorted by root: for searches.
    by_root: Vec<u32>,
    /// The number of files whose piece layer is not known.
    missing: AtomicUsize,
}

/// One file that is not empty, and its tree.
#[derive(Debug)]
pub struct FileTree {
    /// The file's index in [`Info::files`](crate::s02_metainfo::Info::files).
    pub number: usize,
    /// In bytes.
    pub length: u64,
    /// The top of its tree. Two files with the same content have the same one.
    pub root: Hash,
    /// The number of its first piece.
    pub first_piece: u32,
    /// The number of its pieces: one or more.
    pub pieces: u32,
    /// A hash for each piece, once they are known. A file of one piece has none: see
    /// [`FileTree::layer`].
    layer: OnceLock<Arc<[Hash]>>,
}

impl FileTree {
    /// Returns the hash of each piece, if they are known. The only piece of a file is the whole
    /// tree, and its hash is the root.
    pub fn layer(&self) -> Option<&[Hash]> {
        match self.pieces {
            1 => Some(std::slice::from_ref(&self.root)),
            _ => self.layer.get().map(|layer| &**layer),
        }
    }
}

impl fmt::Debug for Trees {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        // There may be a million files.
        write!(out, "Trees({}, {} files)", hex::encode(self.name), self.files.len())
    }
}

impl Trees {
    /// The trees of the files that were found, each in its place.
    ///
    /// # Errors
    /// If two files have one root and two lengths.
    pub(super) fn new(
        name: [u8; 32],
        piece_length: u32,
        found: &[Found],
        places: &[Place],
    ) -> Result<Arc<Trees>, V2Error> {
        let full = found.iter().zip(places).filter_map(|(found, place)| {
            let pieces = found.length.div_ceil(piece_length.into());
            Some(FileTree {
                number: place.number,
                length: found.length,
                root: found.root?, // an empty file has none
                first_piece: (place.offset / u64::from(piece_length)) as u32, // of 2^21 pieces
                pieces: pieces as u32,
                layer: OnceLock::new(),
            })
        });
        let files: Vec<FileTree> = full.collect();
        let mut by_root: Vec<u32> = (0..).take(files.len()).collect();
        // Four bytes for each file. A map would take ten times that, and there may be a million.
        let file = |position: &u32| files.get(*position as usize);
        by_root.sort_by_key(|position| file(position).map(|file| file.root));
        // A root stands for one content. With two lengths no peer could bring both files, and the
        // honest ones would be blamed for it. (A file of 64 bytes that are the two hashes below
        // another file's root has the same root. Nobody has one by accident.)
        let neighbors = by_root.iter().zip(by_root.iter().skip(1));
        for (one, other) in neighbors.filter_map(|(one, other)| file(one).zip(file(other))) {
            if one.root == other.root && one.length != other.length {
                let (root, lengths) = (one.root, [one.length, other.length]);
                return Err(V2Error::TwoLengths { root, lengths });
            }
        }
        let missing = AtomicUsize::new(files.iter().filter(|file| file.pieces > 1).count());
        Ok(Arc::new(Trees { name, piece_length, files, by_root, missing }))
    }

    /// The name on the wire, where there is room for 20 bytes.
    pub fn info_hash(&self) -> InfoHash {
        super::names::shortened(self.name)
    }

    /// The files that are not empty, in the order of their pieces.
    pub fn files(&self) -> &[FileTree] {
        &self.files
    }

    /// The height of the piece layer: the number of steps from a block's hash to a piece's.
    pub fn piece_height(&self) -> u32 {
        height_of(self.piece_length.into())
    }

    /// The height of the tree above one piece of this file: that of the piece layer, or of the
    /// whole file if it is no longer than a piece.
    pub fn height_at(&self, file: &FileTree) -> u32 {
        if file.pieces == 1 { height_of(file.length) } else { self.piece_height() }
    }

    /// The number of bytes that this piece has of its file. The last one may have fewer than the
    /// others, and what is after them is padding.
    pub fn bytes_of(&self, file: &FileTree, piece: u32) -> u64 {
        let before = u64::from(piece - file.first_piece) * u64::from(self.piece_length);
        (file.length - before).min(self.piece_length.into())
    }

    /// The file that has this piece.
    pub fn file_of(&self, piece: u32) -> Option<&FileTree> {
        // The last file that begins at this piece or before it.
        let after = self.files.partition_point(|file| file.first_piece <= piece);
        self.files.get(after.checked_sub(1)?).filter(|file| piece < file.first_piece + file.pieces)
    }

    /// The hash of this piece, if it is known.
    pub fn piece_hash(&self, piece: u32) -> Option<&Hash> {
        let file = self.file_of(piece)?;
        file.layer()?.get((piece - file.first_piece) as usize)
    }

    /// The files with this root: several if they have the same content.
    pub fn of_root(&self, root: Hash) -> impl Iterator<Item = &FileTree> {
        let file = |position: &u32| self.files.get(*position as usize);
        let first = self.by_root.partition_point(|it| file(it).is_some_and(|it| it.root < root));
        self.by_root.iter().skip(first).filter_map(file).take_while(move |file| file.root == root)
    }

    /// Whether a file's pieces have no hashes yet. Asked several times a second, so it is counted.
    pub fn is_incomplete(&self) -> bool {
        self.missing() > 0
    }

    /// The number of files whose pieces have no hashes yet.
    pub fn missing(&self) -> usize {
        self.missing.load(Ordering::Acquire)
    }

    /// The files whose pieces have no hashes yet.
    pub fn unknown(&self) -> impl Iterator<Item = &FileTree> {
        self.files.iter().filter(|file| file.layer().is_none())
    }

    /// Takes the piece layer of the files with this root, if the root follows from it.
    ///
    /// # Errors
    /// If no file that is longer than a piece has this root, or the layer is not its.
    pub fn learn(&self, root: Hash, layer: Vec<Hash>) -> Result<(), V2Error> {
        // All files with this root are of one length: `new` has seen to that.
        let mut files = self.of_root(root).filter(|file| file.pieces > 1).peekable();
        let Some(first) = files.peek() else { return Err(V2Error::UnknownRoot { root }) };
        if layer.len() != first.pieces as usize {
            let (expected, found) = (first.pieces as usize * 32, layer.len() * 32);
            return Err(V2Error::LayerSize { root, expected, found });
        }
        // This is all the proof that there is, and all that is needed: nobody can make other hashes
        // that lead to the same root.
        let found = root_of_layer(&layer, self.piece_height(), first.length);
        if found != root {
            return Err(V2Error::LayerRoot { root, found });
        }
        let layer: Arc<[Hash]> = layer.into();
        // If another thread was faster, it has set the same.
        for file in files {
            if file.layer.set(Arc::clone(&layer)).is_ok() {
                self.missing.fetch_sub(1, Ordering::AcqRel);
            }
        }
        Ok(())
    }
}
