//! What a torrent is called: an info hash, and all the info hashes of one torrent.
//!
//! A message has room for one name, an [`InfoHash`]. What compares names asks [`Names`]: a torrent
//! that is both version 1 and version 2 (BEP 52) has two, and a peer may use either. Such a
//! torrent is read as version 1 here, and so has one.
//!
//! A link has only names. So they also say how its info dictionary is recognized and read: by its
//! SHA-1 and as version 1, unless an [`InfoReader`] knows better.

use std::fmt;
use std::iter;
use std::sync::{Arc, OnceLock};

use sha1::{Digest, Sha1};

use super::{Info, MetainfoError};

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

/// Recognizes the info dictionary of one torrent, in a format of its own, and reads it.
pub trait InfoReader: fmt::Debug + Send + Sync {
    /// Compares the hash of these bytes, `d` to `e`, with the torrent's. Returns `None` if they are
    /// its info dictionary; if not, the name that they should have and the one that they have, in
    /// hex digits, as long as it takes to show the difference.
    fn mismatch(&self, raw_info: &[u8]) -> Option<(String, String)>;

    /// Reads the info dictionary.
    ///
    /// # Errors
    /// If the bytes are none.
    fn read(&self, raw_info: &[u8]) -> Result<Info, MetainfoError>;
}

/// The names of one torrent, at least one. A link may lack some, which are learned with the info
/// dictionary: then all copies have them at once.
#[derive(Debug, Clone)]
pub struct Names {
    /// The one that we use where we speak first.
    first: InfoHash,
    /// The rest. A torrent of version 1 has none.
    others: Vec<InfoHash>,
    /// The better one of two, if there is such a one.
    better: Option<Better>,
    /// All names, once the info dictionary has come.
    learned: Arc<OnceLock<Names>>,
    /// Reads the info dictionary. `None` for version 1.
    reader: Option<Arc<dyn InfoReader>>,
}

/// The names of a torrent that has only this one.
impl From<InfoHash> for Names {
    fn from(only: InfoHash) -> Names {
        let learned = Arc::default();
        Names { first: only, others: Vec::new(), better: None, learned, reader: None }
    }
}

/// A name by which two peers can do more than by the others. Not all peers know it. So one that
/// dials with another name sets a bit in its handshake, and the answer may have the better name.
#[derive(Debug, Clone, Copy)]
struct Better {
    name: InfoHash,
    /// The reserved bit.
    bit: usize,
}

impl Names {
    /// The same torrent with one more name.
    pub fn and(mut self, other: InfoHash) -> Names {
        self.others.push(other);
        self
    }

    /// The same names, with another way to recognize and read the info dictionary.
    pub fn read_by(mut self, reader: Arc<dyn InfoReader>) -> Names {
        self.reader = Some(reader);
        self
    }

    /// The name that we use where we speak first: to a peer that we dial, and to a tracker.
    pub fn first(&self) -> InfoHash {
        self.first
    }

    /// The name by which different users find that they mean the same torrent, whichever name each
    /// of them was given: the first one in the info dictionary's own order, once that has come.
    pub fn common(&self) -> InfoHash {
        self.learned.get().map_or(self.first, |learned| learned.first)
    }

    /// The same torrent with one more name, which is the better one. Peers say by this reserved bit
    /// that they know it.
    pub fn and_better(self, name: InfoHash, bit: usize) -> Names {
        Names { better: Some(Better { name, bit }), ..self.and(name) }
    }

    /// Adds the names that the torrent has by its info dictionary. The first call counts.
    pub fn learn(&self, names: &Names) {
        // Those may be these same names, and a value must not hold itself.
        let Names { first, others, better, .. } = names.clone();
        let _ = self.learned.set(Names { others, better, ..first.into() });
    }

    /// All of them, the first one first.
    pub fn all(&self) -> impl Iterator<Item = InfoHash> + '_ {
        self.own().chain(self.learned())
    }

    /// Those that were known from the start.
    fn own(&self) -> impl Iterator<Item = InfoHash> + '_ {
        iter::once(self.first).chain(self.others.iter().copied())
    }

    /// Those that have come with the info dictionary, and were not known before.
    pub fn learned(&self) -> impl Iterator<Item = InfoHash> + '_ {
        let is_new = |name: &InfoHash| *name != self.first && !self.others.contains(name);
        self.learned.get().into_iter().flat_map(Names::own).filter(is_new)
    }

    /// Returns the name by which to dial a peer that has hung up this many times before its
    /// handshake: it may know the torrent by another name.
    pub fn to_dial(&self, hung_up: usize) -> InfoHash {
        let count = self.all().count();
        self.all().nth(hung_up % count).unwrap_or(self.first)
    }

    fn better(&self) -> Option<Better> {
        self.better.or_else(|| self.learned.get().and_then(|learned| learned.better))
    }

    /// Returns the bit to set in a handshake with this name, if there is a better one.
    pub fn bit(&self, name: InfoHash) -> Option<usize> {
        self.better().filter(|better| better.name != name).map(|better| better.bit)
    }

    /// Returns the name with which to answer a peer that has dialed with this one. `has_bit` says
    /// whether it has set a reserved bit.
    pub fn to_answer(&self, name: InfoHash, has_bit: impl Fn(usize) -> bool) -> InfoHash {
        self.better().filter(|better| has_bit(better.bit)).map_or(name, |better| better.name)
    }

    /// Whether a name is one of them.
    pub fn has(&self, name: InfoHash) -> bool {
        self.all().any(|known| known == name)
    }

    /// Whether these bytes, `d` to `e`, are the torrent's info dictionary: their hash is one of the
    /// names.
    pub fn is(&self, raw_info: &[u8]) -> bool {
        self.mismatch(raw_info).is_none()
    }

    /// Returns `None` if these bytes are the torrent's info dictionary; if not, the name that they
    /// should have and the one that they have, in hex digits.
    pub fn mismatch(&self, raw_info: &[u8]) -> Option<(String, String)> {
        match &self.reader {
            Some(reader) => reader.mismatch(raw_info),
            None => {
                let found = InfoHash::of(raw_info);
                (!self.has(found)).then(|| (self.first.to_string(), found.to_string()))
            }
        }
    }

    /// Reads the torrent's info dictionary.
    ///
    /// # Errors
    /// If the bytes are none. Whether they are the right ones is not checked here.
    pub fn read(&self, raw_info: &[u8]) -> Result<Info, MetainfoError> {
        match &self.reader {
            Some(reader) => reader.read(raw_info),
            None => Info::from_bytes(raw_info),
        }
    }
}
