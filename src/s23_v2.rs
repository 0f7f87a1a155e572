//! Stage 23: read version 2 torrents, in which each file is a tree of hashes.
//!
//! A version 1 torrent has one long list of hashes, and they depend on how its files lie one after
//! the other. In version 2 each file has a tree of its own, and one hash at its top, the root. The
//! same file has the same root in every torrent. A few hashes prove any part of it, so pieces can
//! be checked before all hashes are here (stage 24), and a wrong block can be told from right ones.
//!
//! * **Run it:** `piecemeal tree lab/original/sample.txt`
//! * **Spec:** BEP 52; BEP 47; **chapter:** `docs/23-v2.md`
//! * **Builds on:** [`Info`] from stage 2, and the seams there: [`Parts`],
//!   [`InfoReader`](crate::s02_metainfo::InfoReader) and
//!   [`PieceCheck`](crate::s02_metainfo::piece_check::PieceCheck)
//!
//! # In the file
//! ```text
//! d
//!   4:info           d                                     <- SHA-256 of this: the torrent's name
//!                      9:file tree    d                       folders in folders, in sorted order
//!                                       5:a.txt d 0: d 6:length .. 11:pieces root 32:.. e e
//!                                       3:sub   d  5:b.txt d 0: d .. e e  e
//!                                     e
//!                      12:meta version i2e
//!                      4:name, 12:piece length               a power of two, 16 KiB or more
//!                      6:pieces, 5:files ..                  a hybrid: all of version 1 as well
//!                    e
//!   12:piece layers  d 32:<root> ..:<32 bytes for each piece>  e   of files longer than a piece
//! e
//! ```
//! # Decisions
//! * **Padding is a file like any other.** Each file begins at a piece, and the gaps become entries
//!   of [`Info::files`]. So the storage, bitfields, the work queue and rarest first do not know of
//!   version 2. Only the length of a piece differs: it ends with its file.
//! * **The order of the tree is the order of the pieces.** Stage 1 accepts keys in any order; here
//!   a tree that is not sorted is refused, or two clients would see two different contents.
//! * **A missing piece layer is no error,** and a wrong one is. Peers can send a missing one,
//!   with proof (stage 24). Until then its file's pieces are never right.
//! * **A hybrid is checked twice.** Its halves must describe the same files, and each piece must
//!   have both hashes. If it has only one of them, no peer is to blame: the torrent contradicts
//!   itself, and the download stops.
//! * **Padding that comes from a peer must be zeros.** In a hybrid, the tree does not cover it. If
//!   only the SHA-1 is wrong, the padding is the first suspect, and whoever sent it is to blame.
//! * **Names:** a message has room for 20 bytes, so the first 20 of the SHA-256 are the name there.
//! * **Left out:** storing a file once if several torrents have it, though equal roots would show
//!   it; and hashes of single blocks, which are computed when they are needed.
//!
//! # In two sittings
//! 1. This file, `merkle`, `trees`, `file_tree`, `layers` and `check`: from the torrent to a piece
//!    that is right.
//! 2. `hybrid` and `names`, which join the two versions, and `create`, which goes the other way.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

mod check;
pub mod create;
mod file_tree;
mod hybrid;
mod layers;
pub mod merkle;
pub mod names;
pub mod trees;

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;

use self::check::TreeCheck;
use self::file_tree::Found;
use self::merkle::{BLOCK_LENGTH, Hash};
use self::trees::Trees;
use crate::s01_bencode::forgiving::PassedOver;
use crate::s01_bencode::{Value, decode, printable};
use crate::s02_metainfo::keys::{broken, need};
use crate::s02_metainfo::{Info, MAX_PIECE_LENGTH, Metainfo, MetainfoError, Parts, paths};

/// Reads a .torrent file of version 1, of version 2, or of both.
///
/// # Errors
/// If the file cannot be read, or is not a torrent.
pub fn read(path: &Path) -> Result<Metainfo, MetainfoError> {
    from_bytes(&Metainfo::bytes_at(path)?)
}

/// Reads the bytes of a .torrent file of version 1, of version 2, or of both.
///
/// # Errors
/// If they are not bencode, or not a torrent; also if a piece layer is not that of its root.
pub fn from_bytes(bytes: &[u8]) -> Result<Metainfo, MetainfoError> {
    Metainfo::from_bytes_by(bytes, |top, info| {
        let mut info = info_of(info)?;
        // Only now: the info dictionary says which files there are, and how long each layer is.
        if let Some(trees) = trees(&info) {
            let mut notes = PassedOver::default();
            layers::read(top, trees, &mut notes)?;
            info.passed_over.extend(notes.into_notes());
        }
        Ok(info)
    })
}

/// Reads the bytes of an info dictionary of any version, as a peer sends them. It has no piece
/// layers, so the hashes of files longer than a piece are still unknown ([`Trees::unknown`]).
///
/// # Errors
/// If they are not bencode, or not an info dictionary.
pub fn info_from_bytes(raw: &[u8]) -> Result<Info, MetainfoError> {
    info_of(&decode(raw)?)
}

/// Returns what version 2 knows of a torrent; `None` if it is of version 1 only.
pub fn trees(info: &Info) -> Option<&Arc<Trees>> {
    // The engine carries an `Info` around and knows nothing of trees. Its check is ours, if stage
    // 23 has read it.
    let check: &dyn Any = &*info.check;
    check.downcast_ref::<TreeCheck>().map(|check| &check.trees)
}

/// Whether a torrent has no version 1 part, and so no name but the SHA-256.
fn is_version_two_only(info: &Info) -> bool {
    trees(info).is_some_and(|trees| info.names.first() == trees.info_hash())
}

/// Reads an info dictionary of any version.
fn info_of(info: &Value) -> Result<Info, MetainfoError> {
    // BEP 52: check the version first. Stage 2 has the words for one that nobody knows.
    if info.get("meta version").and_then(Value::integer) != Some(2) {
        return Info::from_value(info);
    }
    let piece_length = piece_length(info)?;
    let mut notes = PassedOver::default();
    let found = file_tree::read(info, piece_length, &mut notes)?;
    let name = Sha256::digest(info.raw).into();
    if info.get("pieces").is_some() {
        // A hybrid is a torrent of version 1 with one more check and one more name. Its pieces and
        // files are those of version 1, padding included.
        let mut both = Info::from_value(info)?;
        let places = hybrid::places(info, &found, piece_length)?;
        let trees = Trees::new(name, piece_length, &found, &places)?;
        both.check = Arc::new(TreeCheck { trees, sha1: Some(both.check) });
        both.names = names::of_hybrid(both.info_hash, name);
        both.passed_over.extend(notes.into_notes());
        return Ok(both);
    }
    version_two(info, piece_length, found, name, notes)
}

/// Reads the rest of an info dictionary that has no version 1 part.
fn version_two(
    info: &Value,
    piece_length: u32,
    found: Vec<Found>,
    name: [u8; 32],
    mut notes: PassedOver,
) -> Result<Info, MetainfoError> {
    let (title, _) = paths::name(info, &mut notes)?;
    // A tree of one file that has the torrent's own name is that file, without a folder. With any
    // other name, the torrent's is that of a folder around it.
    let raw_name = info.get("name").and_then(Value::bytes);
    let multi_file = !matches!(&*found, [only] if only.path.len() == 1 && only.path.first().copied() == raw_name);
    let (files, places) =
        file_tree::layout(&found, piece_length, (!multi_file).then_some(&*title), &mut notes)?;
    let private = notes.read_inside(info, "info", "private", "0 or 1", Value::integer);
    Parts {
        raw: info.raw.to_vec(),
        names: names::of_version_two(name),
        name: title,
        piece_length,
        multi_file,
        private: private.is_some_and(|private| private != 0), // as in stage 2
        check: Arc::new(TreeCheck {
            trees: Trees::new(name, piece_length, &found, &places)?,
            sha1: None,
        }),
        files,
        passed_over: notes.into_notes(),
    }
    .into_info()
}

/// Reads the piece length. A piece is a subtree, and one leaf of it is a block: so it is a power of
/// two, and never shorter than a block.
fn piece_length(info: &Value) -> Result<u32, MetainfoError> {
    let length = need(info, "info", "piece length", "a positive integer", Value::unsigned)?;
    let fits = (BLOCK_LENGTH as u64..=MAX_PIECE_LENGTH).contains(&length);
    match u32::try_from(length) {
        Ok(length) if fits && length.is_power_of_two() => Ok(length),
        _ => Err(broken(
            "info.piece length",
            format!("a power of two from {BLOCK_LENGTH} to {MAX_PIECE_LENGTH}"),
            length,
        )),
    }
}

/// Why a torrent's version 2 part is refused. A key that is missing or of the wrong kind is an
/// error of stage 2, [`MetainfoError::Broken`].
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum V2Error {
    /// The order of the tree is the order of the pieces.
    #[error(
        "{}: \"{}\" comes after \"{}\", but a file tree is sorted",
        printable(path),
        printable(name),
        printable(after)
    )]
    Unsorted { path: String, name: String, after: String },
    /// A file is where a folder is, or has neighbors in its own dictionary.
    #[error("{}: {what}", printable(path))]
    FileOrFolder { path: String, what: &'static str },
    /// A root stands for one content, and so for one length.
    #[error(
        "the root {root} has files of {} and of {} bytes: the torrent contradicts itself",
        lengths[0],
        lengths[1]
    )]
    TwoLengths { root: Hash, lengths: [u64; 2] },
    /// Hashes that are proved, and that the file has no bytes for.
    #[error(
        "the tree below the root {root} goes on behind the end of its file: the torrent contradicts itself"
    )]
    Longer { root: Hash },
    /// A piece layer for a file that the torrent does not have, or that needs none.
    #[error("piece layers: no file longer than a piece has the root {root}")]
    UnknownRoot { root: Hash },
    /// A piece layer that is too long or too short, in bytes.
    #[error(
        "piece layers: the file with the root {root} needs {expected} bytes of hashes, but has {found}"
    )]
    LayerSize { root: Hash, expected: usize, found: usize },
    /// A piece layer whose hashes lead to another root.
    #[error("piece layers: the piece hashes lead to {found}, and not to the root {root}")]
    LayerRoot { root: Hash, found: Hash },
    /// An info dictionary has one of a link's two hashes, and not the other.
    #[error("the link's two hashes name two torrents")]
    TwoTorrents,
    /// A link that gives a torrent of version 2 only the name that its peers do not use.
    #[error(
        "the link has the SHA-1 of a torrent of version 2, whose peers know it by its SHA-256 only"
    )]
    OtherName,
    /// The version 1 part of a hybrid describes another content.
    #[error("the two halves of this hybrid torrent describe different content: {what}")]
    Halves { what: String },
}

impl From<V2Error> for MetainfoError {
    fn from(error: V2Error) -> MetainfoError {
        MetainfoError::Other(Box::new(error))
    }
}
