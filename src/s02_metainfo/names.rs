//! What a torrent is called: an info hash, and all the info hashes of one torrent.
//!
//! A message has room for one name, an [`InfoHash`]. What compares names asks [`Names`]: a torrent
//! that is both version 1 and version 2 (BEP 52) has two, and a peer may use either. Such a
//! torrent is read as version 1 here, and so has one.

use std::fmt;
use std::iter;

use sha1::{Digest, Sha1};

/// The SHA-1 of the raw info dictionary: the torrent's name (BEP 3). On the wire it is the
/// 20 bytes; for people it is 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InfoHash(pub [u8; 20]);

impl InfoHash {
    /// Hashes the bytes of an info dictionary, `d` to `e`.
    pub fn of(raw_info: &[u8]) -> InfoHash {
        InfoHash(Sha1::digest(raw_info).into())
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "InfoHash({self})")
    }
}

/// The names of one torrent, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The one that we use where we speak first.
    first: InfoHash,
    /// The rest. A torrent of version 1 has none.
    others: Vec<InfoHash>,
}

/// The names of a torrent that has only this one.
impl From<InfoHash> for Names {
    fn from(only: InfoHash) -> Names {
        Names { first: only, others: Vec::new() }
    }
}

impl Names {
    /// The same torrent with one more name.
    pub fn and(mut self, other: InfoHash) -> Names {
        self.others.push(other);
        self
    }

    /// The name that we use where we speak first: to a peer that we dial, and to a tracker.
    pub fn first(&self) -> InfoHash {
        self.first
    }

    /// All of them, the first one first.
    pub fn all(&self) -> impl Iterator<Item = InfoHash> + '_ {
        iter::once(self.first).chain(self.others.iter().copied())
    }

    /// Whether a name is one of them.
    pub fn has(&self, name: InfoHash) -> bool {
        self.all().any(|known| known == name)
    }

    /// Whether these bytes, `d` to `e`, are the torrent's info dictionary: their hash is one of the
    /// names.
    pub fn is(&self, raw_info: &[u8]) -> bool {
        self.has(InfoHash::of(raw_info))
    }
}
