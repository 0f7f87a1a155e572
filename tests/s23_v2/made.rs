//! Torrents of version 2 and hybrids, made here: with trees that are written out level by level,
//! as simply as one can.

use super::super::support::bencode::{bytes, dict, int, list};
use super::super::support::torrent::sha1;
use super::super::support::{Torrent, content};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

pub const BLOCK: usize = 16_384;

/// One of the torrents that libtorrent 2.1.1 has made.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/s23_v2/data").join(name);
    std::fs::read(path.with_extension("torrent")).expect("the torrent is beside the tests")
}

/// The content of file number `file` in those torrents.
pub fn formula(length: usize, file: usize) -> Vec<u8> {
    (0..length).map(|i| ((7 * i + i / 251 + file) % 256) as u8).collect()
}

pub fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// The level above: each two hashes become one.
fn above(level: &[[u8; 32]]) -> Vec<[u8; 32]> {
    level.chunks(2).map(|pair| sha256(pair.as_flattened())).collect()
}

/// All levels of a file's tree, the leaves first.
fn levels(data: &[u8]) -> Vec<Vec<[u8; 32]>> {
    let mut leaves: Vec<[u8; 32]> = data.chunks(BLOCK).map(sha256).collect();
    leaves.resize(leaves.len().next_power_of_two(), [0; 32]);
    let mut levels = vec![leaves];
    while let Some(top) = levels.last().filter(|level| level.len() > 1) {
        levels.push(above(top));
    }
    levels
}

pub fn root(data: &[u8]) -> [u8; 32] {
    levels(data).pop().expect("there is at least one level")[0]
}

/// The hashes of a file's pieces.
pub fn layer(data: &[u8], piece_length: usize) -> Vec<[u8; 32]> {
    let height = (piece_length / BLOCK).trailing_zeros() as usize;
    let mut layer = levels(data).swap_remove(height);
    layer.truncate(data.len().div_ceil(piece_length));
    layer
}

/// A file's dictionary in the tree.
pub fn entry(length: u64, root: Option<&[u8]>) -> Vec<u8> {
    let mut pairs = vec![("length", int(length as i64))];
    pairs.extend(root.map(|root| ("pieces root", bytes(root))));
    dict(&[("", dict(&pairs))])
}

/// Files, and how to describe them.
#[derive(Clone)]
pub struct Made {
    pub piece_length: usize,
    /// In the order of the tree. A path without `/` in a torrent of one file is its name.
    pub files: Vec<(&'static str, Vec<u8>)>,
    pub single: bool,
    pub tail_padding: bool,
}

impl Made {
    pub fn folder(piece_length: usize, files: &[(&'static str, usize)]) -> Made {
        let files =
            files.iter().zip(1..).map(|((path, length), seed)| (*path, content(*length, seed)));
        Made { piece_length, files: files.collect(), single: false, tail_padding: false }
    }

    pub fn single(piece_length: usize, name: &'static str, length: usize) -> Made {
        Made { single: true, ..Made::folder(piece_length, &[(name, length)]) }
    }

    fn name(&self) -> &'static str {
        if self.single { self.files[0].0 } else { "folder" }
    }

    pub fn tree(&self) -> Vec<u8> {
        let files: Vec<(&str, Vec<u8>)> = self
            .files
            .iter()
            .map(|(path, data)| {
                let root = (!data.is_empty()).then(|| root(data));
                (*path, entry(data.len() as u64, root.as_ref().map(|root| &root[..])))
            })
            .collect();
        tree_of(&files)
    }

    fn pads(&self) -> impl Iterator<Item = usize> {
        let last = self.files.len() - 1;
        self.files.iter().enumerate().map(move |(number, (_, data))| {
            let wanted = number < last || self.tail_padding;
            if wanted { data.len().next_multiple_of(self.piece_length) - data.len() } else { 0 }
        })
    }

    /// All files one after the other, with the padding between them.
    pub fn row(&self) -> Vec<u8> {
        let mut row = Vec::new();
        for ((_, data), pad) in self.files.iter().zip(self.pads()) {
            row.extend(data);
            row.resize(row.len() + pad, 0);
        }
        row
    }

    /// The `files` of the version 1 half.
    pub fn list(&self) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        for ((path, data), pad) in self.files.iter().zip(self.pads()) {
            let path: Vec<Vec<u8>> = path.split('/').map(bytes).collect();
            entries.push(dict(&[("length", int(data.len() as i64)), ("path", list(&path))]));
            if pad > 0 {
                entries.push(padding(pad));
            }
        }
        entries
    }

    /// The pairs of the info dictionary that all version 2 torrents have.
    pub fn pairs(&self) -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("file tree", self.tree()),
            ("meta version", int(2)),
            ("name", bytes(self.name())),
            ("piece length", int(self.piece_length as i64)),
        ]
    }

    pub fn v2_info(&self) -> Vec<u8> {
        dict(&self.pairs())
    }

    pub fn hybrid_info(&self) -> Vec<u8> {
        self.hybrid_with(self.list(), &self.row())
    }

    /// A hybrid whose version 1 half says this.
    pub fn hybrid_with(&self, files: Vec<Vec<u8>>, row: &[u8]) -> Vec<u8> {
        let hashes: Vec<u8> = row.chunks(self.piece_length).flat_map(sha1).collect();
        let mut pairs = self.pairs();
        pairs.push(("pieces", bytes(hashes)));
        match self.single {
            true => pairs.push(("length", int(row.len() as i64))),
            false => pairs.push(("files", list(&files))),
        }
        pairs.sort_by_key(|(key, _)| *key);
        dict(&pairs)
    }

    /// `piece layers`: each root with its hashes.
    pub fn layers(&self) -> Vec<([u8; 32], Vec<u8>)> {
        let long = self.files.iter().filter(|(_, data)| data.len() > self.piece_length);
        let mut layers: Vec<_> =
            long.map(|(_, data)| (root(data), layer(data, self.piece_length).concat())).collect();
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    /// A whole .torrent file around this info dictionary.
    pub fn file(&self, info: &[u8]) -> Vec<u8> {
        torrent_file(info, &self.layers())
    }

    /// What a fake peer needs to give a torrent with this info dictionary, under this name.
    pub fn torrent(&self, info: &[u8], name: &[u8]) -> Torrent {
        let mut torrent = Torrent::of_info(info.to_vec(), self.row(), self.piece_length);
        torrent.info_hash.copy_from_slice(&name[..20]);
        torrent
    }

    /// Writes the files below a folder, or the single one to a path.
    pub fn write(&self, root: &Path) {
        for (path, data) in &self.files {
            let path = if self.single { root.to_owned() } else { root.join(path) };
            let folder = path.parent().expect("it is in a folder");
            std::fs::create_dir_all(folder).expect("the test's folder takes a folder");
            std::fs::write(path, data).expect("the test's folder takes a file");
        }
    }
}

/// An entry of padding.
pub fn padding(length: usize) -> Vec<u8> {
    let path = list(&[bytes(".pad"), bytes(length.to_string())]);
    dict(&[("attr", bytes("p")), ("length", int(length as i64)), ("path", path)])
}

/// Puts files into folders. Those of a folder stand together.
fn tree_of(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let first = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let folders = files.chunk_by(|(path, _), (next, _)| first(path) == first(next));
    let pairs: Vec<(String, Vec<u8>)> = folders
        .map(|files| match files {
            [(path, entry)] if !path.contains('/') => ((*path).to_owned(), entry.clone()),
            _ => {
                let inside = files.iter().map(|(path, entry)| {
                    (path.split_once('/').expect("it is in a folder").1, entry.clone())
                });
                (first(files[0].0), tree_of(&inside.collect::<Vec<_>>()))
            }
        })
        .collect();
    dict(&pairs.iter().map(|(name, value)| (&**name, value.clone())).collect::<Vec<_>>())
}

/// A .torrent file with these layers.
pub fn torrent_file(info: &[u8], layers: &[([u8; 32], Vec<u8>)]) -> Vec<u8> {
    let mut pairs = Vec::new();
    for (root, hashes) in layers {
        pairs.extend(bytes(root));
        pairs.extend(bytes(hashes));
    }
    let layers = [b"d".to_vec(), pairs, b"e".to_vec()].concat();
    dict(&[("info", info.to_vec()), ("piece layers", layers)])
}
