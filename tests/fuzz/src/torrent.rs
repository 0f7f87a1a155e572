//! Torrents with names that nobody wants, and with the hashes of their content.

use arbitrary::{Result, Unstructured};
use piecemeal::s01_bencode::encode;
use sha1::{Digest, Sha1};

/// Names that are not what they seem, or collide when they have been made safe.
const NAMES: [&[u8]; 24] = [
    b"a",
    b"b",
    b"A",
    b"a.1",
    b"..",
    b".",
    b"",
    b"/",
    b"a/b",
    b"../a",
    b"\\",
    b"a\\b",
    b"a_b",
    b"\0",
    b"a\0b",
    b"_",
    b"\xff",
    b"\xfe",
    "\u{fffd}".as_bytes(),
    b"out",
    b"out.piecemeal",
    b"con",
    b"\x1b[2J",
    "\u{202e}a".as_bytes(),
];

/// A torrent that was made up.
pub struct Made {
    /// The info dictionary.
    pub info: Vec<u8>,
    /// All files one after the other.
    pub content: Vec<u8>,
    /// The bytes in a piece.
    pub piece_length: usize,
}

/// A name: one of the bad ones, one as long as can be, or any bytes.
pub fn name(from: &mut Unstructured) -> Result<Vec<u8>> {
    let number: u8 = from.arbitrary()?;
    Ok(match NAMES.get(usize::from(number)) {
        Some(name) => name.to_vec(),
        None if number < 40 => {
            [&vec![b'n'; 240 + usize::from(number)][..], &from.arbitrary::<[u8; 2]>()?].concat()
        }
        None => from.arbitrary::<Vec<u8>>()?,
    })
}

/// A torrent of one file with so many pieces, the last of which is a byte short where it can be.
pub fn plain(pieces: usize, piece_length: usize) -> Made {
    let total = pieces * piece_length - usize::from(piece_length > 1);
    let content = content(total, 3);
    let keys = [
        ("length", encode::integer(total as u64)),
        ("name", encode::bytes(b"t")),
        ("piece length", encode::integer(piece_length as u64)),
        ("pieces", encode::bytes(hashes(&content, piece_length))),
    ];
    Made { info: encode::dictionary(keys), content, piece_length }
}

/// Bytes of which no two blocks are the same.
fn content(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8).wrapping_add(seed))
        .collect()
}

fn hashes(content: &[u8], piece_length: usize) -> Vec<u8> {
    content.chunks(piece_length).flat_map(|piece| <[u8; 20]>::from(Sha1::digest(piece))).collect()
}

/// Makes a torrent up. Padding in it is zeros, as it must be.
pub fn made(from: &mut Unstructured, most_files: usize, longest_file: usize) -> Result<Made> {
    let piece_length = from.int_in_range(1..=40_000usize)?;
    let mut keys = vec![
        ("name", encode::bytes(name(from)?)),
        ("piece length", encode::integer(piece_length as u64)),
    ];
    let length = |from: &mut Unstructured| from.int_in_range(0..=longest_file);
    let mut total = 0;
    let mut padding = Vec::new();
    if from.arbitrary()? {
        let mut files = Vec::new();
        for _ in 0..from.int_in_range(0..=most_files)? {
            let length = length(from)?;
            total += length;
            let mut path = Vec::new();
            for _ in 0..from.int_in_range(0..=3)? {
                path.push(encode::bytes(name(from)?));
            }
            let mut file =
                vec![("length", encode::integer(length as u64)), ("path", encode::list(path))];
            if from.ratio(1, 8)? {
                file.push(("attr", encode::bytes(b"p")));
                padding.push(total - length..total);
            }
            files.push(encode::dictionary(file));
        }
        keys.push(("files", encode::list(files)));
    } else {
        total = length(from)?;
        keys.push(("length", encode::integer(total as u64)));
    }
    let mut content = content(total, from.arbitrary()?);
    padding.into_iter().for_each(|range| content[range].fill(0));
    keys.push(("pieces", encode::bytes(hashes(&content, piece_length))));
    Ok(Made { info: encode::dictionary(keys), content, piece_length })
}
