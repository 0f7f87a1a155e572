//! The dictionaries of a new torrent.
//!
//! ```text
//! d 8:announce ..           the first tracker, for clients from before BEP 12
//!   13:announce-list ..     all of them in tiers, if there is more than one
//!   7:comment ..  10:created by ..  13:creation date ..
//!   4:info d 5:files ..     or 6:length, for a single file; the info hash is over this dictionary
//!            4:name ..  12:piece length ..  6:pieces ..  7:private ..  6:source ..
//!          e
//!   5:nodes ..              BEP 5
//!   8:url-list ..           BEP 19
//! e
//! ```
//! Keys that are not needed are left out, so that two programs given the same choices write the
//! same bytes.

use super::Draft;
use crate::s01_bencode::encode::{bytes, dictionary, integer, list};
use crate::s02_metainfo::FileEntry;

/// Keys of a dictionary, with their encoded values, in any order: [`dictionary`] sorts them, as
/// BEP 3 requires. In any other order the torrent would have another info hash.
pub type Pairs = Vec<(&'static str, Vec<u8>)>;

/// Encodes the info dictionary. With `folder`, `files` becomes a list; otherwise only the
/// one file's length counts.
pub(super) fn info(
    name: &str,
    folder: bool,
    files: &[FileEntry],
    piece_length: u32,
    hashes: &[u8],
    draft: &Draft,
) -> Vec<u8> {
    let mut pairs = every_format(name, piece_length, draft);
    pairs.extend(version_one(folder, files, hashes));
    dictionary(pairs)
}

/// Returns the keys of the info dictionary that say the same in every format.
pub fn every_format(name: &str, piece_length: u32, draft: &Draft) -> Pairs {
    let mut pairs = vec![("name", bytes(name)), ("piece length", integer(piece_length))];
    if draft.private {
        pairs.push(("private", integer(1)));
    }
    pairs.extend(draft.source.iter().map(|source| ("source", bytes(source))));
    pairs
}

/// Returns the keys of the info dictionary for files one after the other, and the SHA-1 of their
/// pieces.
pub fn version_one(folder: bool, files: &[FileEntry], hashes: &[u8]) -> Pairs {
    let files = if folder {
        ("files", list(files.iter().map(entry)))
    } else {
        ("length", integer(files.iter().map(|file| file.length).sum::<u64>()))
    };
    vec![("pieces", bytes(hashes)), files]
}

/// Encodes one of several files.
fn entry(file: &FileEntry) -> Vec<u8> {
    // BEP 3: a list of names. Not every system separates them by `/`.
    let parts = file.path.components().map(|part| bytes(part.as_os_str().as_encoded_bytes()));
    let mut pairs = vec![("length", integer(file.length)), ("path", list(parts))];
    if file.padding {
        pairs.push(("attr", bytes("p"))); // BEP 47
    }
    dictionary(pairs)
}

/// Encodes the whole .torrent file around an info dictionary, which is copied as it is: encoding it
/// a second time could change the hash. `more` are keys that only some formats have beside it.
pub fn torrent(
    info: Vec<u8>,
    more: impl IntoIterator<Item = (&'static str, Vec<u8>)>,
    draft: &Draft,
) -> Vec<u8> {
    let mut pairs = vec![("info", info)];
    pairs.extend(more);
    let urls = || draft.tiers.iter().flatten();
    // BEP 12: clients that know `announce-list` ignore `announce`; older ones need it.
    pairs.extend(urls().next().map(|first| ("announce", bytes(first))));
    if urls().count() > 1 {
        let tiers = draft.tiers.iter().map(|tier| list(tier.iter().map(bytes)));
        pairs.push(("announce-list", list(tiers)));
    }
    if !draft.web_seeds.is_empty() {
        pairs.push(("url-list", list(draft.web_seeds.iter().map(bytes))));
    }
    if !draft.nodes.is_empty() {
        let nodes = draft.nodes.iter().map(|(host, port)| list([bytes(host), integer(*port)]));
        pairs.push(("nodes", list(nodes)));
    }
    pairs.extend(draft.comment.iter().map(|comment| ("comment", bytes(comment))));
    pairs.extend(draft.created_by.iter().map(|program| ("created by", bytes(program))));
    pairs.extend(draft.creation_date.map(|date| ("creation date", integer(date))));
    dictionary(pairs)
}
