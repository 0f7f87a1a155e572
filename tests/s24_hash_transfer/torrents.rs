//! Torrents of version 2 and hybrids, written by hand: an encoder and a tree of the tests' own.

use super::super::support::{Torrent, bencode};
use super::tree::{self, Plain, layers, leaves, sha256};
use piecemeal::s02_metainfo::Info;
use piecemeal::s23_v2::info_from_bytes;
use sha1::{Digest, Sha1};

/// A torrent of version 2 with one file, its content and its tree.
#[derive(Clone)]
pub struct V2 {
    /// As the scripted peers know torrents: named by the first 20 bytes of its SHA-256.
    pub torrent: Torrent,
    /// All hashes, the blocks' first.
    pub tree: Vec<Vec<Plain>>,
    /// The number of its pieces.
    pub pieces: usize,
    /// The layer in which a hash covers a piece.
    pub piece_layer: u32,
    /// The SHA-1 of a hybrid's info dictionary.
    pub sha1: [u8; 20],
    /// The whole SHA-256.
    pub sha256: [u8; 32],
}

impl V2 {
    /// A torrent of one file.
    pub fn new(piece_length: usize, length: usize) -> V2 {
        V2::of(piece_length, length, false)
    }

    /// A torrent of one file that is of both versions.
    pub fn hybrid(piece_length: usize, length: usize) -> V2 {
        V2::of(piece_length, length, true)
    }

    /// A torrent of so many pieces of one block, whose content nobody has.
    pub fn without_content(pieces: u32) -> V2 {
        let leaves = (0..pieces).map(|number| sha256(&number.to_be_bytes())).collect();
        V2::build(16_384, pieces as usize * 16_384, Vec::new(), layers(leaves), false)
    }

    /// A torrent whose author has given the root of four pieces to a file of three.
    pub fn contradicting(hybrid: bool) -> V2 {
        let tree = layers(leaves(&tree::file(4 * 16_384)));
        V2::build(16_384, 3 * 16_384, tree::file(3 * 16_384), tree, hybrid)
    }

    fn of(piece_length: usize, length: usize, hybrid: bool) -> V2 {
        let content = tree::file(length);
        let tree = layers(leaves(&content));
        V2::build(piece_length, length, content, tree, hybrid)
    }

    fn build(
        piece_length: usize,
        length: usize,
        content: Vec<u8>,
        tree: Vec<Vec<Plain>>,
        hybrid: bool,
    ) -> V2 {
        let root = tree[tree.len() - 1][0];
        let number = |number: usize| bencode::int(number as i64);
        let file =
            bencode::dict(&[("length", number(length)), ("pieces root", bencode::bytes(root))]);
        let file_tree = bencode::dict(&[("t", bencode::dict(&[("", file)]))]);
        let mut info = vec![("file tree", file_tree)];
        if hybrid {
            info.push(("length", number(length)));
        }
        info.extend([
            ("meta version", number(2)),
            ("name", bencode::bytes("t")),
            ("piece length", number(piece_length)),
        ]);
        if hybrid {
            let hash = |piece: &[u8]| <[u8; 20]>::from(Sha1::digest(piece));
            let pieces: Vec<u8> = content.chunks(piece_length).flat_map(hash).collect();
            info.push(("pieces", bencode::bytes(pieces)));
        }
        let info = bencode::dict(&info);
        let (sha1, sha256) = (Sha1::digest(&info).into(), sha256(&info));
        let mut torrent = Torrent::of_info(info, content, piece_length);
        torrent.info_hash = *sha256.first_chunk().expect("20 of 32 bytes");
        let piece_layer = (piece_length / 16_384).ilog2();
        let pieces = length.div_ceil(piece_length);
        V2 { torrent, tree, pieces, piece_layer, sha1, sha256 }
    }

    /// What we read of it: without its piece layer.
    pub fn info(&self) -> Info {
        info_from_bytes(&self.torrent.info).expect("the test's torrent is a good one")
    }

    pub fn root(&self) -> Plain {
        self.tree[self.tree.len() - 1][0]
    }

    /// The payload of a right answer: the request, and the hashes.
    pub fn answer(&self, request: &[u8]) -> Vec<u8> {
        let numbers = numbers(request);
        [request, &tree::answer(&self.tree, numbers).concat()].concat()
    }
}

/// The four numbers of a request.
pub fn numbers(request: &[u8]) -> [u32; 4] {
    let mut numbers = request[32..].as_chunks().0.iter().map(|bytes| u32::from_be_bytes(*bytes));
    [(); 4].map(|()| numbers.next().expect("a request has four numbers"))
}
