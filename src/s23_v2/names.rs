//! The names of version 2: a SHA-256, which links carry whole and messages cut to 20 bytes.
//!
//! | a link with | the torrent is known by | its info dictionary must have |
//! |---|---|---|
//! | `btih` | the SHA-1 | this SHA-1; it may turn out to be a hybrid |
//! | `btmh` | the first 20 bytes of the SHA-256 | this SHA-256; it may turn out to be a hybrid |
//! | both | either | both |

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::info_from_bytes;
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
    fn mismatch(&self, raw_info: &[u8]) -> Option<(InfoHash, InfoHash)> {
        // A link with both names must mean one torrent. If only one of them fits, it means two.
        let other = |expected: InfoHash, found| (expected != found).then_some((expected, found));
        let sha1 = self.sha1.and_then(|expected| other(expected, InfoHash::of(raw_info)));
        let sha256 = self.sha256.and_then(|expected| {
            let found: [u8; 32] = Sha256::digest(raw_info).into();
            // All 32 bytes, not only those on the wire.
            (expected != found).then_some((shortened(expected), shortened(found)))
        });
        sha1.or(sha256)
    }

    fn read(&self, raw_info: &[u8]) -> Result<Info, MetainfoError> {
        // Whatever the link said: a name tells nothing about the other version.
        info_from_bytes(raw_info)
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
