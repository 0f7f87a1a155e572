//! Torrents to talk about: an info dictionary, the bytes it describes, and the file or the
//! magnet link for it.

use super::bencode::{bytes, dict, int, list};
use super::tree::VersionTwo;
use super::wire::percent_encoded;
use sha1::{Digest, Sha1};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that look random and are the same every time.
pub fn content(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            (state >> 16) as u8
        })
        .collect()
}

/// A torrent and all of its content.
#[derive(Debug, Clone)]
pub struct Torrent {
    /// The info dictionary, over which the hash is taken.
    pub info: Vec<u8>,
    /// The SHA-1 of the info dictionary, or the start of its SHA-256 if it is version 2 only.
    pub info_hash: [u8; 20],
    /// All files, one after the other, padding included.
    pub content: Vec<u8>,
    /// The length of each piece but the last.
    pub piece_length: usize,
    /// What version 2 adds, if it is such a torrent.
    pub version_two: Option<Arc<VersionTwo>>,
    /// The piece layers, encoded; none in version 1.
    pub layers: Vec<u8>,
}

/// How to make a torrent.
#[derive(Debug, Clone)]
pub struct Recipe {
    name: Vec<u8>,
    piece_length: usize,
    content: Vec<u8>,
    /// `None` makes a torrent of the single-file kind.
    files: Option<Vec<File>>,
    /// Further keys of the info dictionary, put in their sorted places.
    extra: Vec<(&'static str, Vec<u8>)>,
}

#[derive(Debug, Clone)]
struct File {
    path: Vec<Vec<u8>>,
    length: usize,
    attr: &'static str,
}

impl Recipe {
    /// One file.
    pub fn single(name: impl AsRef<[u8]>, piece_length: usize, content: Vec<u8>) -> Recipe {
        Recipe {
            name: name.as_ref().to_vec(),
            piece_length,
            content,
            files: None,
            extra: Vec::new(),
        }
    }

    /// Several files: each a path with `/` between the components.
    pub fn files(name: impl AsRef<[u8]>, piece_length: usize, files: &[(&str, Vec<u8>)]) -> Recipe {
        let mut recipe = Recipe::single(name, piece_length, Vec::new());
        recipe.files = Some(Vec::new());
        for (path, data) in files {
            let path: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
            recipe = recipe.file(&path, data.clone(), "");
        }
        recipe
    }

    /// Adds a file with raw components and `attr` (BEP 47).
    pub fn file(mut self, path: &[&[u8]], data: Vec<u8>, attr: &'static str) -> Recipe {
        let path = path.iter().map(|c| c.to_vec()).collect();
        self.files.get_or_insert_default().push(File { path, length: data.len(), attr });
        self.content.extend(data);
        self
    }

    /// Adds a key to the info dictionary.
    pub fn extra(mut self, key: &'static str, value: Vec<u8>) -> Recipe {
        self.extra.push((key, value));
        self
    }

    /// The torrent, its pieces hashed.
    pub fn build(self) -> Torrent {
        let hashes: Vec<u8> =
            self.content.chunks(self.piece_length.max(1)).flat_map(sha1).collect();
        let mut pairs = vec![
            ("name", bytes(&self.name)),
            ("piece length", int(self.piece_length as i64)),
            ("pieces", bytes(hashes)),
        ];
        match &self.files {
            None => pairs.push(("length", int(self.content.len() as i64))),
            Some(files) => {
                let files: Vec<Vec<u8>> = files
                    .iter()
                    .map(|file| {
                        let path: Vec<Vec<u8>> = file.path.iter().map(bytes).collect();
                        let mut pairs =
                            vec![("length", int(file.length as i64)), ("path", list(&path))];
                        if !file.attr.is_empty() {
                            pairs.insert(0, ("attr", bytes(file.attr)));
                        }
                        dict(&pairs)
                    })
                    .collect();
                pairs.push(("files", list(&files)));
            }
        }
        pairs.extend(self.extra);
        pairs.sort_by_key(|(key, _)| *key);
        Torrent::of_info(dict(&pairs), self.content, self.piece_length)
    }
}

impl Torrent {
    /// A torrent of this info dictionary, which need not be a good one.
    pub fn of_info(info: Vec<u8>, content: Vec<u8>, piece_length: usize) -> Torrent {
        let (info_hash, version_two, layers) = (sha1(&info), None, Vec::new());
        Torrent { info_hash, info, content, piece_length, version_two, layers }
    }

    /// One file `sample.bin` of five pieces, two blocks each, the last one short.
    pub fn sample() -> Torrent {
        Recipe::single("sample.bin", 32_768, content(4 * 32_768 + 20_000, 1)).build()
    }

    /// This many pieces of two blocks; `seed` makes torrents different.
    pub fn of_pieces(pieces: usize, seed: u32) -> Torrent {
        Recipe::single("many.bin", 32_768, content(pieces * 32_768, seed)).build()
    }

    /// The number of pieces.
    pub fn pieces(&self) -> usize {
        if let Some(two) = &self.version_two {
            return two.pieces;
        }
        self.content.len().div_ceil(self.piece_length.max(1))
    }

    /// A piece's bytes; none if there is no such piece.
    pub fn piece(&self, index: usize) -> &[u8] {
        let begin = index.saturating_mul(self.piece_length);
        let end = self.content.len().min(begin.saturating_add(self.piece_length));
        self.content.get(begin..end).unwrap_or_default()
    }

    /// The info hash in hexadecimal.
    pub fn hex(&self) -> String {
        self.info_hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bytes of a .torrent file with this tracker, or with none.
    pub fn file(&self, announce: Option<&str>) -> Vec<u8> {
        let announce = announce.map(|url| ("announce", bytes(url)));
        let layers = Some(&self.layers).filter(|layers| !layers.is_empty());
        let layers = layers.map(|layers| ("piece layers", layers.clone()));
        let info = Some(("info", self.info.clone()));
        dict(&[announce, info, layers].into_iter().flatten().collect::<Vec<_>>())
    }

    /// Writes the .torrent file into a folder.
    ///
    /// # Errors
    /// If the folder does not take a file.
    pub fn write(&self, folder: &Path, announce: Option<&str>) -> io::Result<PathBuf> {
        let path = folder.join("test.torrent");
        std::fs::write(&path, self.file(announce))?;
        Ok(path)
    }

    /// A magnet link with these trackers.
    pub fn magnet(&self, trackers: &[&str]) -> String {
        let mut topics = Vec::new();
        if self.version_two.as_ref().is_none_or(|two| two.hybrid) {
            topics.push(format!("xt=urn:btih:{}", self.hex()));
        }
        if let Some(two) = &self.version_two {
            let name: String = two.name.iter().map(|byte| format!("{byte:02x}")).collect();
            topics.push(format!("xt=urn:btmh:1220{name}"));
        }
        let mut link = format!("magnet:?{}", topics.join("&"));
        for url in trackers {
            link += "&tr=";
            link += &percent_encoded(url.as_bytes());
        }
        link
    }
}

/// The SHA-1 of some bytes.
pub fn sha1(data: &[u8]) -> [u8; 20] {
    Sha1::digest(data).into()
}
