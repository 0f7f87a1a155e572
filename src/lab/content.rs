//! Makes content from a seed: the same bytes, and so the same info hash, on every machine.
//!
//! It is text in lines of 64 bytes, and each line begins with its own offset in the
//! file. So a look at a piece, or at a file that was put together wrongly, shows at once
//! which bytes are there.
//!
//! ```text
//! 0000000000 amber frost birch gravel otter meadow ................
//! 0000000064 heron dusk ...
//! ```

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha1::{Digest, Sha1};

use crate::s01_bencode::encode;
use crate::s02_metainfo::{Info, InfoHash, MetainfoError};
use crate::s23_v2;
use crate::s23_v2::create::{Leaf, tree_and_layers};
use crate::s23_v2::merkle::{BLOCK_LENGTH, Hash, Tree, height_of};

/// The largest content for [`Content::made`], in bytes: it is all held in memory.
pub const MAX_MADE: usize = 256 << 20;

/// The bytes in a line of content.
const LINE: usize = 64;

/// A word for each number of five bits.
const WORDS: [&str; 32] = [
    "amber", "birch", "cedar", "clover", "copper", "coral", "dusk", "ember", "fern", "flint",
    "frost", "gravel", "harbor", "hazel", "heron", "indigo", "ivy", "juniper", "lantern", "maple",
    "marble", "meadow", "mist", "moss", "otter", "pebble", "quartz", "raven", "reed", "sparrow",
    "thistle", "willow",
];

/// A torrent's content, held in memory. Copies share it.
#[derive(Debug, Clone)]
pub struct Content {
    /// The info dictionary, as stage 2 reads it.
    pub info: Arc<Info>,
    /// All files, one after the other, with the padding between them.
    pub data: Arc<Vec<u8>>,
    /// The raw info dictionary, as peers ask for it (BEP 9).
    pub metadata: Arc<[u8]>,
    /// What stands beside it in the .torrent file, if it is of version 2: `piece layers`.
    pub layers: Option<Arc<[u8]>>,
    /// Whether a lab's seeders have it. If not, it is there for a client to seed.
    pub seeded: bool,
}

impl Content {
    /// Makes one file of `size` bytes.
    ///
    /// # Errors
    /// If it would not be a valid torrent: a piece length of 0, an unsafe name.
    pub fn single(
        name: &str,
        size: usize,
        piece_length: u32,
        seed: u64,
    ) -> Result<Content, MetainfoError> {
        Content::new(
            name,
            text(size, seed),
            vec![("length", encode::integer(size as u64))],
            piece_length,
        )
    }

    /// Makes a folder of files, each a path with `/` between its parts, and a size in bytes.
    ///
    /// # Errors
    /// As [`Content::single`], or if the paths of two files collide.
    pub fn folder(
        name: &str,
        files: &[(&str, usize)],
        piece_length: u32,
        seed: u64,
    ) -> Result<Content, MetainfoError> {
        let entry = |(path, size): &(&str, usize)| {
            entry(*size, &path.split('/').collect::<Vec<_>>(), false)
        };
        let list = encode::list(files.iter().map(entry));
        // Each file has its own seed, or all files would begin alike.
        let mut data = Vec::with_capacity(files.iter().map(|(_, size)| size).sum());
        let seeds = (0..).map(|number| seed.wrapping_add(number));
        files.iter().zip(seeds).for_each(|((_, size), seed)| data.append(&mut text(*size, seed)));
        Content::new(name, data, vec![("files", list)], piece_length)
    }

    /// Makes `size` bytes of content, in one file or in a folder of `files` files. The name has
    /// all three numbers, so that several contents can be in one folder.
    ///
    /// # Errors
    /// As [`Content::single`].
    pub fn made(size: usize, files: Option<usize>, seed: u64) -> Result<Content, MetainfoError> {
        let name = format!("made-{seed}-{}", short_size(size));
        // At most a thousand pieces, while a piece stays below a megabyte.
        let piece_length =
            (size as u64 / 1_000).next_power_of_two().clamp(32 << 10, 1 << 20) as u32;
        // Files count their seeds upwards, so neighboring seeds are spread out to share no file.
        let seed = SplitMix64(seed).next();
        let Some(count) = files else {
            return Content::single(&format!("{name}.txt"), size, piece_length, seed);
        };
        // Of every eight files one is short and one is long, and most pieces span two.
        let parts: Vec<usize> = [3, 1, 4, 1, 5, 9, 2, 6].into_iter().cycle().take(count).collect();
        let all: usize = parts.iter().sum();
        let ends = parts.iter().scan(0, |before, part| {
            *before += part;
            Some(*before)
        });
        let ends: Vec<usize> =
            ends.map(|end| (size as u128 * end as u128 / all as u128) as usize).collect();
        let paths: Vec<String> = (1..=count).map(|number| format!("{number:04}.txt")).collect();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let sizes = starts.zip(&ends).map(|(start, end)| end - start);
        let list: Vec<(&str, usize)> = paths.iter().map(String::as_str).zip(sizes).collect();
        Content::folder(&format!("{name}-{count}"), &list, piece_length, seed)
    }

    fn new(
        name: &str,
        data: Vec<u8>,
        files: Vec<(&str, Vec<u8>)>,
        piece_length: u32,
    ) -> Result<Content, MetainfoError> {
        // Stage 2 refuses a piece length of 0; cutting by it would panic before.
        let hashes: Vec<u8> =
            data.chunks((piece_length as usize).max(1)).flat_map(Sha1::digest).collect();
        let keys = [
            ("name", encode::bytes(name)),
            ("piece length", encode::integer(piece_length)),
            ("pieces", encode::bytes(hashes)),
        ];
        let raw = encode::dictionary(keys.into_iter().chain(files));
        let info = Info::from_bytes(&raw)?;
        Ok(Content {
            info: Arc::new(info),
            data: Arc::new(data),
            metadata: raw.into(),
            layers: None,
            seeded: true,
        })
    }

    /// Makes a folder of files with trees: of version 2, or a hybrid. Each file is a path, a size
    /// in bytes and a seed of its own; with the same size and seed it is the same file as
    /// elsewhere. They are in the order of the tree.
    ///
    /// # Errors
    /// As [`Content::folder`], or if the piece length is no power of two from 16 KiB up.
    pub fn trees(
        name: &str,
        files: &[(&str, usize, u64)],
        piece_length: u32,
        is_hybrid: bool,
    ) -> Result<Content, MetainfoError> {
        let (mut data, mut pieces, mut leaves, mut list) = (vec![], vec![], vec![], vec![]);
        // One that is too short is refused at the end.
        let length = (piece_length as usize).max(1);
        for (path, size, seed) in files {
            let (file, path) = (text(*size, *seed), path.split('/').collect::<Vec<_>>());
            pieces.extend(piece_layer(&file, length));
            data.extend(file);
            let padding = data.len().next_multiple_of(length) - data.len();
            data.resize(data.len() + padding, 0);
            list.push(entry(*size, &path, false));
            list.extend(
                (padding > 0).then(|| entry(padding, &[".pad", &padding.to_string()], true)),
            );
            leaves.push(Leaf { path, length: *size as u64 });
        }
        let (tree, layers) = tree_and_layers(&leaves, length as u32, &pieces);
        let mut keys = vec![
            ("file tree", tree),
            ("meta version", encode::integer(2)),
            ("name", encode::bytes(name)),
            ("piece length", encode::integer(piece_length)),
        ];
        if is_hybrid {
            let hashes: Vec<u8> = data.chunks(length).flat_map(Sha1::digest).collect();
            keys.extend([("files", encode::list(list)), ("pieces", encode::bytes(hashes))]);
        }
        let raw = encode::dictionary(keys);
        let torrent = encode::dictionary([("info", raw.clone()), ("piece layers", layers.clone())]);
        Ok(Content {
            info: Arc::new(s23_v2::from_bytes(&torrent)?.info),
            data: Arc::new(data),
            metadata: raw.into(),
            layers: Some(layers.into()),
            seeded: true,
        })
    }

    /// Returns the content as one that no seeder of a lab has.
    pub fn unseeded(self) -> Content {
        Content { seeded: false, ..self }
    }

    /// Returns the info hash, which names the torrent everywhere. Of two names it is the older one.
    pub fn info_hash(&self) -> InfoHash {
        self.info.info_hash
    }

    /// Returns all names that peers may use: a hybrid has two.
    pub fn names(&self) -> Vec<InfoHash> {
        self.info.names.all().collect()
    }

    /// Returns the bytes of a .torrent file. Each tracker is a tier of its own, since they are
    /// not alternatives to each other.
    pub fn torrent(&self, trackers: &[String]) -> Vec<u8> {
        let mut keys =
            vec![("created by", encode::bytes("piecemeal lab")), ("info", self.metadata.to_vec())];
        keys.extend(self.layers.as_ref().map(|layers| ("piece layers", layers.to_vec())));
        keys.extend(trackers.first().map(|url| ("announce", encode::bytes(url))));
        if trackers.len() > 1 {
            let tiers = trackers.iter().map(|url| encode::list([encode::bytes(url)]));
            keys.push(("announce-list", encode::list(tiers)));
        }
        encode::dictionary(keys)
    }

    /// Returns a magnet link with these trackers and peers, if any.
    pub fn magnet(&self, trackers: &[String], peers: &[SocketAddr]) -> String {
        let mut topics = Vec::new();
        let long = s23_v2::trees(&self.info).map(|trees| trees.name);
        if long.is_none_or(|long| s23_v2::names::shortened(long) != self.info_hash()) {
            topics.push(format!("xt=urn:btih:{}", self.info_hash()));
        }
        topics.extend(long.map(|long| format!("xt=urn:btmh:1220{}", hex::encode(long))));
        let name = urlencoding::encode(&self.info.name);
        let mut link = format!("magnet:?{}&dn={name}", topics.join("&"));
        trackers.iter().for_each(|url| link += &format!("&tr={}", urlencoding::encode(url)));
        peers.iter().for_each(|peer| link += &format!("&x.pe={peer}"));
        link
    }

    /// Writes the .torrent file into a folder, named after the content. It replaces a file for
    /// the same content, which may name an older tracker.
    ///
    /// # Errors
    /// If it cannot be written, or a different file is there.
    pub fn write_torrent(&self, folder: &Path, trackers: &[String]) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let path = folder.join(Path::new(&self.info.name).with_extension("torrent"));
        let same =
            || s23_v2::read(&path).is_ok_and(|there| there.info.info_hash == self.info_hash());
        if path.exists() && !same() {
            return Err(other_content(&path));
        }
        fs::write(&path, self.torrent(trackers)).map_err(|error| about(&path, error))?;
        Ok(path)
    }

    /// Writes the content itself into a folder, to compare a download with, and returns its
    /// path.
    ///
    /// # Errors
    /// If it cannot be written, or a file with other content is there.
    pub fn write_original(&self, folder: &Path) -> io::Result<PathBuf> {
        let top = folder.join(&self.info.name);
        for file in self.info.files.iter().filter(|file| !file.padding) {
            let path = if self.info.multi_file { top.join(&file.path) } else { top.clone() };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|error| about(parent, error))?;
            }
            let data = usize::try_from(file.offset)
                .ok()
                .and_then(|offset| self.data.get(offset..)?.get(..file.length as usize));
            let data = data.unwrap_or_default();
            match fs::read(&path) {
                Ok(there) if there == data => {}
                Ok(_) => return Err(other_content(&path)),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    fs::write(&path, data).map_err(|error| about(&path, error))?;
                }
                Err(error) => return Err(about(&path, error)),
            }
        }
        Ok(top)
    }
}

/// Returns the hash of each piece of a file.
fn piece_layer(file: &[u8], piece_length: usize) -> Vec<Hash> {
    let height = height_of(file.len().min(piece_length) as u64);
    let hash = |piece: &[u8]| {
        let mut tree = Tree::new();
        piece.chunks(BLOCK_LENGTH).for_each(|block| tree.push(Hash::of_block(block)));
        tree.root(height)
    };
    file.chunks(piece_length).map(hash).collect()
}

/// Encodes an entry of `files`.
fn entry(size: usize, path: &[&str], is_padding: bool) -> Vec<u8> {
    let parts = encode::list(path.iter().map(encode::bytes));
    let mut keys = vec![("length", encode::integer(size as u64)), ("path", parts)];
    keys.extend(is_padding.then(|| ("attr", encode::bytes("p"))));
    encode::dictionary(keys)
}

/// Returns a size in short: `1MiB`, or the bytes if it is not a round number.
fn short_size(size: usize) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let even = units.into_iter().find(|(unit, _)| size >= *unit && size.is_multiple_of(*unit));
    even.map_or_else(|| size.to_string(), |(unit, name)| format!("{}{name}", size / unit))
}

/// Returns `size` bytes of lines.
fn text(size: usize, seed: u64) -> Vec<u8> {
    let mut random = SplitMix64(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut text = String::with_capacity(size + LINE);
    while text.len() < size {
        let end = text.len() + LINE - 1;
        text += &format!("{:010} ", text.len());
        // Twelve words of five bits are more than a line has room for.
        let mut bits = random.next();
        loop {
            let word = WORDS.get(bits as usize % WORDS.len()).copied().unwrap_or_default();
            if text.len() + word.len() >= end {
                break;
            }
            text += word;
            text.push(' ');
            bits >>= 5;
        }
        text.extend(std::iter::repeat_n('.', end - text.len()));
        text.push('\n');
    }
    text.truncate(size);
    text.into_bytes()
}

/// Steele, Lea and Flood's generator. The crate `rand` promises no fixed sequence
/// from one version to the next, but chapters and tests print these info hashes.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

fn other_content(path: &Path) -> io::Error {
    about(path, io::Error::new(ErrorKind::AlreadyExists, "exists, with other content"))
}

/// Adds the path to an error.
fn about(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
