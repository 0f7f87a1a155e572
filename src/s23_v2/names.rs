//! The names of version 2: a SHA-256, which links carry whole and messages cut to 20 bytes.
//!
//! | a link with | the torrent is known by | its info dictionary must have |
//! |---|---|---|
//! | `btih` | the SHA-1 | this SHA-1, and not be of version 2 only; it may turn out to be a hybrid |
//! | `btmh` | the first 20 bytes of the SHA-256 | this SHA-256; it may turn out to be a hybrid |
//! | both | either | both; with only one of them, the link is of no use |

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{V2Error, info_from_bytes, is_version_two_only};
use crate::s02_metainfo::{Info, InfoHash, InfoReader, MetainfoError, Names};
use crate::s06_magnet::{Magnet, MagnetError};

/// The reserved bit of a handshake by the SHA-1 of a hybrid: "I also know its other name". By that
/// one, peers can ask each other for hashes (stage 24).
pub const UPGRADE_BIT: usize = 4;

/// The hashes that an info dictionary must have: at least one. It reads all versions.
#[derive(Debug, Clone, Copy)]
struct Expected {
    sha1: Option<InfoHash>,
    sha256: Option<[u8; 32]>,
}

impl InfoReader for Expected {
    fn mismatch(&self, raw_info: &[u8]) -> Option<(String, String)> {
        let other = |expected: InfoHash, found: InfoHash| {
            (expected != found).then(|| (expected.to_string(), found.to_string()))
        };
        let sha1 = self.sha1.map(|expected| other(expected, InfoHash::of(raw_info)));
        let sha256 = self.sha256.map(|expected| {
            let found: [u8; 32] = Sha256::digest(raw_info).into();
            // All 32 bytes, not only those on the wire. They are shown only if these are the same.
            let whole = || (hex::encode(expected), hex::encode(found));
            let short = other(shortened(expected), shortened(found));
            short.or_else(|| (expected != found).then(whole))
        });
        // One is enough to know whose lie it is: nobody can make an info dictionary with a hash
        // that somebody else has put into a link. If the other one differs, the link is wrong.
        sha1.into_iter().chain(sha256).min_by_key(Option::is_some).flatten()
    }

    fn read(&self, raw_info: &[u8]) -> Result<Info, MetainfoError> {
        // A link with two hashes means one torrent.
        let is_sha1 = self.sha1.is_none_or(|expected| expected == InfoHash::of(raw_info));
        let is_sha256 = self.sha256.is_none_or(|expected| Sha256::digest(raw_info)[..] == expected);
        if !is_sha1 || !is_sha256 {
            return Err(V2Error::TwoTorrents.into());
        }
        // Whatever the link said: a name tells nothing about the other version.
        let info = info_from_bytes(raw_info)?;
        // But a swarm of version 2 does not use the SHA-1, and by it nobody gives hashes.
        match self.sha256 {
            None if is_version_two_only(&info) => Err(V2Error::OtherName.into()),
            _ => Ok(info),
        }
    }
}

/// Returns the name as it is on the wire: BEP 52 cuts it to 20 bytes.
pub fn shortened(name: [u8; 32]) -> InfoHash {
    InfoHash(*name.first_chunk().expect("20 of 32 bytes"))
}

/// Returns the names of a link's torrent. All versions are read.
///
/// # Errors
/// If the link has no info hash, which [`Magnet::parse`] refuses.
pub fn of_link(magnet: &Magnet) -> Result<Names, MagnetError> {
    let (sha1, sha256) = (magnet.info_hash, magnet.info_hash_v2);
    let short = sha256.map(shortened);
    let names = match (sha1, short) {
        (Some(sha1), Some(short)) => Names::from(sha1).and_better(short, UPGRADE_BIT),
        (Some(only), None) | (None, Some(only)) => only.into(),
        (None, None) => return Err(MagnetError::NoTopic { should_be: None }),
    };
    Ok(names.read_by(Arc::new(Expected { sha1, sha256 })))
}

/// The names of a torrent that is both version 1 and version 2. The older one is used where we
/// speak first, since more peers know it.
pub(super) fn of_hybrid(sha1: InfoHash, sha256: [u8; 32]) -> Names {
    let expected = Expected { sha1: Some(sha1), sha256: Some(sha256) };
    Names::from(sha1).and_better(shortened(sha256), UPGRADE_BIT).read_by(Arc::new(expected))
}

/// The name of a torrent that is only version 2.
pub(super) fn of_version_two(sha256: [u8; 32]) -> Names {
    let expected = Expected { sha1: None, sha256: Some(sha256) };
    Names::from(shortened(sha256)).read_by(Arc::new(expected))
}
