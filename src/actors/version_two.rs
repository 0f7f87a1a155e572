//! Torrents of version 2, and hybrids (BEP 52): drafts of them, which may be altered before they
//! are built, to be wrong.

use super::bencode::{bytes, dict, int, list};
use super::torrent::{Torrent, sha1};
use super::tree::{Hash, Tree, TreeFile, VersionTwo, sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A torrent that is not built yet.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The keys of the info dictionary, in their order.
    pub info: Vec<(&'static str, Vec<u8>)>,
    /// The piece layers, by the root.
    pub layers: BTreeMap<Hash, Vec<u8>>,
    /// The files, in the order of the tree.
    pub files: Vec<TreeFile>,
    /// All files, each at the start of a piece, with zeros between them.
    pub content: Vec<u8>,
    /// The length of each piece but the last of each file.
    pub piece_length: usize,
    hybrid: bool,
}

impl Draft {
    /// One file.
    pub fn single(name: &str, piece_length: usize, content: Vec<u8>) -> Draft {
        let file = (name.to_owned(), content.len(), Tree::of(&content));
        Draft::new(name, piece_length, vec![file], content)
    }

    /// Files in folders: each a path with `/` between the components. They are sorted here.
    pub fn files(name: &str, piece_length: usize, files: &[(&str, Vec<u8>)]) -> Draft {
        let mut files: Vec<&(&str, Vec<u8>)> = files.iter().collect();
        files.sort_by_key(|(path, _)| path.split('/').collect::<Vec<_>>());
        let mut content = Vec::new();
        let mut trees = Vec::new();
        for (path, data) in files {
            if !data.is_empty() {
                content.resize(content.len().next_multiple_of(piece_length.max(1)), 0);
                content.extend_from_slice(data);
            }
            trees.push(((*path).to_owned(), data.len(), Tree::of(data)));
        }
        Draft::new(name, piece_length, trees, content)
    }

    /// One file of which there are only hashes: nobody fetches a block of it.
    pub fn of_leaves(name: &str, piece_length: usize, length: usize, leaves: Vec<Hash>) -> Draft {
        let file = (name.to_owned(), length, Tree::of_leaves(leaves));
        Draft::new(name, piece_length, vec![file], Vec::new())
    }

    fn new(
        name: &str,
        piece_length: usize,
        files: Vec<(String, usize, Tree)>,
        content: Vec<u8>,
    ) -> Draft {
        let (mut offset, mut layers, mut placed) = (0, BTreeMap::new(), Vec::new());
        for (path, length, tree) in files {
            if length > 0 {
                offset = usize::next_multiple_of(offset, piece_length.max(1));
            }
            if length > piece_length {
                let height = (piece_length / super::tree::BLOCK).max(1).ilog2();
                let pieces = length.div_ceil(piece_length.max(1));
                let layer = tree.layer(height as usize).get(..pieces).unwrap_or_default();
                layers.insert(tree.root(), layer.concat());
            }
            placed.push(TreeFile { path, offset, length, tree });
            offset += length;
        }
        let info = vec![
            ("file tree", file_tree(&placed)),
            ("meta version", int(2)),
            ("name", bytes(name)),
            ("piece length", int(piece_length as i64)),
        ];
        Draft { info, layers, files: placed, content, piece_length, hybrid: false }
    }

    /// Adds what version 1 needs: a hybrid. With a `tail`, there is padding behind the last one of
    /// several files as well; both forms are in use.
    pub fn hybrid(mut self, tail: bool) -> Draft {
        let is_single = matches!(&self.files[..], [only] if self.has_name(&only.path));
        if tail && !is_single {
            let end = self.content.len().next_multiple_of(self.piece_length.max(1));
            self.content.resize(end, 0);
        }
        let hashes: Vec<u8> =
            self.content.chunks(self.piece_length.max(1)).flat_map(sha1).collect();
        self.set("pieces", bytes(hashes));
        match &self.files[..] {
            // One file without a folder has the torrent's own name.
            [only] if self.has_name(&only.path) => {
                let length = int(only.length as i64);
                self.set("length", length);
            }
            files => {
                let files = list(&padded(files, self.content.len()));
                self.set("files", files);
            }
        }
        self.hybrid = true;
        self
    }

    fn has_name(&self, name: &str) -> bool {
        self.info.contains(&("name", bytes(name)))
    }

    /// Sets a key of the info dictionary, in its sorted place.
    pub fn set(&mut self, key: &'static str, value: Vec<u8>) {
        self.info.retain(|(other, _)| *other != key);
        self.info.push((key, value));
        self.info.sort_by_key(|(key, _)| *key);
    }

    /// The torrent.
    pub fn build(self) -> Torrent {
        let info = dict(&self.info);
        let pieces = self.files.iter().map(|file| file.length.div_ceil(self.piece_length.max(1)));
        let two = VersionTwo {
            name: sha256(&info),
            hybrid: self.hybrid,
            pieces: pieces.sum(),
            files: self.files,
        };
        let mut layers = b"d".to_vec();
        for (root, layer) in &self.layers {
            layers.extend([bytes(root), bytes(layer)].concat());
        }
        layers.push(b'e');
        let info_hash = if self.hybrid { sha1(&info) } else { two.short() };
        Torrent {
            info,
            info_hash,
            content: self.content,
            piece_length: self.piece_length,
            version_two: Some(Arc::new(two)),
            layers,
        }
    }
}

/// The `file tree` of these files, which are in its order.
pub fn file_tree(files: &[TreeFile]) -> Vec<u8> {
    folder(files, 0)
}

/// A folder, with this many folders above it. Files of one folder are side by side.
fn folder(files: &[TreeFile], depth: usize) -> Vec<u8> {
    let steps = |file: &TreeFile| file.path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let name = |file: &TreeFile| steps(file).into_iter().nth(depth).unwrap_or_default();
    let mut out = b"d".to_vec();
    for below in files.chunk_by(|one, other| name(one) == name(other)) {
        let Some(first) = below.first() else { continue };
        out.extend(bytes(name(first)));
        out.extend(match steps(first).len() - depth {
            1 => leaf(first.length, (first.length > 0).then(|| first.tree.root()).as_ref()),
            _ => folder(below, depth + 1),
        });
    }
    out.push(b'e');
    out
}

/// What is at a file's name in a tree.
pub fn leaf(length: usize, root: Option<&Hash>) -> Vec<u8> {
    let mut keys = vec![("length", int(length as i64))];
    keys.extend(root.map(|root| ("pieces root", bytes(root))));
    dict(&[("", dict(&keys))])
}

/// The entries of `files`, with padding behind each that does not end with a piece, up to the next
/// one that has bytes; behind the last of these up to this byte.
pub fn padded(files: &[TreeFile], content: usize) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for (number, file) in (1..).zip(files) {
        let path: Vec<Vec<u8>> = file.path.split('/').map(bytes).collect();
        entries.push(dict(&[("length", int(file.length as i64)), ("path", list(&path))]));
        let mut behind = files.iter().skip(number).filter(|next| next.length > 0);
        let gap = behind.next().map_or(content, |next| next.offset);
        let gap = gap.saturating_sub(file.offset + file.length);
        if file.length > 0 && gap > 0 {
            let path = list(&[bytes(".pad"), bytes(gap.to_string())]);
            let keys = [("attr", bytes("p")), ("length", int(gap as i64)), ("path", path)];
            entries.push(dict(&keys));
        }
    }
    entries
}
