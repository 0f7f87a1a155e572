//! The actors' torrents, written to a folder that surely takes a file.

use piecemeal::actors::torrent;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

pub use piecemeal::actors::torrent::{content, sha1};

/// A torrent and all of its content.
#[derive(Debug, Clone)]
pub struct Torrent(torrent::Torrent);

/// How to make a torrent.
#[derive(Debug, Clone)]
pub struct Recipe(torrent::Recipe);

impl Recipe {
    pub fn single(name: impl AsRef<[u8]>, piece_length: usize, content: Vec<u8>) -> Recipe {
        Recipe(torrent::Recipe::single(name, piece_length, content))
    }

    pub fn files(name: impl AsRef<[u8]>, piece_length: usize, files: &[(&str, Vec<u8>)]) -> Recipe {
        Recipe(torrent::Recipe::files(name, piece_length, files))
    }

    pub fn file(self, path: &[&[u8]], data: Vec<u8>, attr: &'static str) -> Recipe {
        Recipe(self.0.file(path, data, attr))
    }

    pub fn extra(self, key: &'static str, value: Vec<u8>) -> Recipe {
        Recipe(self.0.extra(key, value))
    }

    pub fn build(self) -> Torrent {
        Torrent(self.0.build())
    }
}

impl Torrent {
    pub fn of_info(info: Vec<u8>, content: Vec<u8>, piece_length: usize) -> Torrent {
        Torrent(torrent::Torrent::of_info(info, content, piece_length))
    }

    pub fn sample() -> Torrent {
        Torrent(torrent::Torrent::sample())
    }

    pub fn of_pieces(pieces: usize, seed: u32) -> Torrent {
        Torrent(torrent::Torrent::of_pieces(pieces, seed))
    }

    /// The same torrent, said to describe other content.
    pub fn with_content(&self, content: Vec<u8>) -> Torrent {
        Torrent(torrent::Torrent { content, ..self.0.clone() })
    }

    pub fn write(&self, folder: &Path, announce: Option<&str>) -> PathBuf {
        self.0.write(folder, announce).expect("the test's folder takes a file")
    }
}

impl Deref for Torrent {
    type Target = torrent::Torrent;

    fn deref(&self) -> &torrent::Torrent {
        &self.0
    }
}

impl DerefMut for Torrent {
    fn deref_mut(&mut self) -> &mut torrent::Torrent {
        &mut self.0
    }
}
