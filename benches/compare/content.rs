//! The content of every torrent here, and the torrents.
//!
//! It repeats itself after a prime number of bytes, a little more than a MiB. So no
//! two pieces are alike, and yet a seeder needs no more memory than its cache holds: to
//! answer costs as little as can be, and what is measured is the other side.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use piecemeal::s01_bencode::encode::{bytes, dictionary, integer};
use sha1::{Digest, Sha1};

const PERIOD: usize = 1_048_583;
/// The longest part that can be had at once.
pub const MOST: usize = 128 << 10;

/// The one content.
pub struct Content(Vec<u8>);

impl Content {
    /// Makes one period, by a fixed rule.
    pub fn new() -> Content {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let mut period: Vec<u8> = (0..PERIOD.div_ceil(8)).flat_map(|_| next()).collect();
        period.truncate(PERIOD);
        period.extend_from_within(..MOST);
        Content(period)
    }

    /// `length` bytes from `offset` on, `MOST` at the most.
    pub fn part(&self, offset: u64, length: usize) -> &[u8] {
        let start = (offset % PERIOD as u64) as usize;
        &self.0[start..start + length]
    }

    /// All of a range, in parts.
    fn parts(&self, from: u64, to: u64) -> impl Iterator<Item = &[u8]> {
        (from..to)
            .step_by(MOST)
            .map(move |offset| self.part(offset, (to - offset).min(MOST as u64) as usize))
    }

    /// Writes the first `length` bytes to a file.
    pub fn write(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        self.parts(0, length).try_for_each(|part| file.write_all(part))?;
        file.flush()
    }

    /// Whether a file holds the first `length` bytes and nothing else.
    pub fn is_in(&self, path: &Path, length: u64) -> io::Result<bool> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() != length {
            return Ok(false);
        }
        let mut buffer = vec![0; MOST];
        for part in self.parts(0, length) {
            file.read_exact(&mut buffer[..part.len()])?;
            if buffer[..part.len()] != *part {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A torrent of the content.
pub struct Torrent {
    pub path: PathBuf,
    pub length: u64,
    pub piece_length: u32,
}

/// The name in every torrent.
pub const NAME: &str = "content";

impl Torrent {
    /// Hashes the content and writes a torrent of it.
    pub fn make(
        content: &Content,
        path: PathBuf,
        length: u64,
        piece_length: u32,
        tracker: &str,
    ) -> io::Result<Torrent> {
        let mut hashes = Vec::new();
        for begin in (0..length).step_by(piece_length as usize) {
            let mut hash = Sha1::new();
            content
                .parts(begin, length.min(begin + u64::from(piece_length)))
                .for_each(|part| hash.update(part));
            hashes.extend_from_slice(&hash.finalize());
        }
        let info = dictionary([
            ("name", bytes(NAME)),
            ("length", integer(length)),
            ("piece length", integer(piece_length)),
            ("pieces", bytes(hashes)),
        ]);
        std::fs::write(&path, dictionary([("announce", bytes(tracker)), ("info", info)]))?;
        Ok(Torrent { path, length, piece_length })
    }
}
