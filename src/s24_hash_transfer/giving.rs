//! What we give when a peer asks for hashes, and what we refuse.
//!
//! | asked for | we give it if |
//! |---|---|
//! | hashes of the piece layer, or above it | we know the file's layer |
//! | hashes below it, of one piece | we have the piece; it is read and hashed again |
//! | anything else | never: [`Refused`] |
//!
//! A layer goes on beyond the end of the file, up to a power of two: in these places are the hashes
//! of zeros, and they are given like any others.
//!
//! A request costs a peer 53 bytes, and may cost us 16 KiB of answer and a piece that is read from
//! disk. So each peer has an [`Allowance`], which is far more than a download needs. Nothing that a
//! peer asks for makes us hang up: it may have a reason that we do not know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use super::layers::MAX_LENGTH;
use super::message::HashRequest;
use super::proof::{Impossible, possible};
use super::subtree::{Subtree, answer};
use crate::s02_metainfo::Info;
use crate::s10_storage::Store;
use crate::s11_work_queue::WorkQueue;
use crate::s12_session::host::Torrent;
use crate::s23_v2::merkle::{BLOCK_LENGTH, Hash, height_of};
use crate::s23_v2::trees::{FileTree, Trees};

/// How many times a peer may fetch all the layers. A few are for a peer that starts over.
const MAX_TIMES: u64 = 8;
/// Answers that are allowed beside these: proofs of single pieces, and small torrents.
const MAX_SINGLE: u64 = 1_000;
/// The most pieces that are read and hashed for one peer. It needs the hashes of a piece's blocks
/// only if somebody has sent it wrong ones.
const MAX_PIECES: u32 = 100;

/// What one peer may still ask for.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// Answers with hashes.
    answers: u64,
    /// Pieces that are hashed for it.
    pieces: u32,
}

impl Allowance {
    /// That of a peer that has asked for nothing yet, of a torrent with this many pieces.
    pub fn new(pieces: u32) -> Allowance {
        // A file's last part is a request of its own, and the smallest are two pieces.
        let requests = u64::from(pieces.div_ceil(2));
        Allowance { answers: MAX_TIMES * requests + MAX_SINGLE, pieces: MAX_PIECES }
    }
}

/// Gives hashes to the peers of one torrent. It keeps what several of them are likely to want.
///
/// How much that is follows from the torrent, and not from what peers ask for: twice the layers,
/// and the blocks of one piece. Two threads may compute the same hashes at once. They are equal, so
/// it does not matter which are kept.
#[derive(Default)]
pub struct Giver {
    /// Held for a lookup, never while something is hashed.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The hashes from the piece layer up, by the root: 64 bytes a piece.
    upper: HashMap<Hash, Arc<Subtree>>,
    /// The hashes of the piece that was asked about last: 64 bytes a block.
    lower: Option<(u32, Arc<Subtree>)>,
}

impl Giver {
    /// Returns the hashes that answer a request. `torrent` is what we have of the content, if its
    /// place on disk is known already.
    ///
    /// # Errors
    /// If they cannot or may not be given. The peer then gets a reject, which has no reason in it.
    pub fn give(
        &self,
        request: &HashRequest,
        trees: &Trees,
        torrent: Option<&Torrent>,
        allowance: &mut Allowance,
    ) -> Result<Vec<Hash>, Refused> {
        let file = trees.of_root(request.root).next().ok_or(Refused::UnknownRoot)?;
        possible(request, height_of(file.length))?;
        if request.length > MAX_LENGTH {
            return Err(Refused::TooLong { found: request.length });
        }
        allowance.answers = allowance.answers.checked_sub(1).ok_or(Refused::Enough)?;
        // It may be missing: we may be fetching it ourselves. The hashes of a piece's blocks can be
        // proved up to the piece without it.
        let upper = self.upper(file, trees);
        let lower = match request.base_layer < trees.height_at(file) {
            true => Some(self.lower(request, trees, torrent, allowance)?),
            false => None,
        };
        let subtrees: Vec<&Subtree> = lower.iter().chain(&upper).map(|it| &**it).collect();
        answer(request, &subtrees).ok_or(Refused::UnknownLayer)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the hashes of a file from its piece layer up, if that is known. They are computed
    /// once.
    fn upper(&self, file: &FileTree, trees: &Trees) -> Option<Arc<Subtree>> {
        if let Some(kept) = self.kept().upper.get(&file.root) {
            return Some(Arc::clone(kept));
        }
        let layer = file.layer()?.to_vec();
        let (base, top) = (trees.height_at(file), height_of(file.length));
        let upper = Arc::new(Subtree::new(base, 0, layer, top));
        self.kept().upper.insert(file.root, Arc::clone(&upper));
        Some(upper)
    }

    /// Returns the hashes of a piece, which is read and hashed if it is not the one that was asked
    /// about last.
    fn lower(
        &self,
        request: &HashRequest,
        trees: &Trees,
        torrent: Option<&Torrent>,
        allowance: &mut Allowance,
    ) -> Result<Arc<Subtree>, Refused> {
        let piece = Piece::of(request, trees, torrent)?;
        let kept = self.kept().lower.clone().filter(|(number, _)| *number == piece.number);
        if let Some((_, lower)) = kept {
            return Ok(lower);
        }
        allowance.pieces = allowance.pieces.checked_sub(1).ok_or(Refused::Enough)?;
        let lower = Arc::new(piece.hash()?);
        self.kept().lower = Some((piece.number, Arc::clone(&lower)));
        Ok(lower)
    }
}

/// A piece that we have, and about whose blocks a peer asks.
struct Piece<'t> {
    /// Its number in the torrent.
    number: u32,
    /// Its number in the file.
    in_file: u32,
    /// Where its bytes are: the offset in the torrent's content, and how many. What is behind the
    /// end of the file is no part of the tree.
    offset: u64,
    length: u64,
    /// The layer of its hash in the file's tree, and the hash.
    layer: u32,
    expected: Hash,
    store: &'t dyn Store,
}

impl<'t> Piece<'t> {
    /// Finds the piece that has all the blocks that are asked for, in one of the files with this
    /// root. The peer does not care which of them: their bytes are the same, and we may have only
    /// one.
    fn of(
        request: &HashRequest,
        trees: &Trees,
        torrent: Option<&'t Torrent>,
    ) -> Result<Piece<'t>, Refused> {
        let torrent = torrent.ok_or(Refused::NotOurs)?;
        let (queue, store): (&WorkQueue, _) = (&torrent.queue, &*torrent.store);
        let info: &Info = queue.info();
        for file in trees.of_root(request.root) {
            let layer = trees.height_at(file);
            let Some(up) = layer.checked_sub(request.base_layer) else { continue };
            // A request is for a whole subtree, so one that is no longer than a piece is within
            // one.
            if request.length > 1 << up {
                return Err(Refused::SeveralPieces);
            }
            let in_file = request.index >> up;
            if in_file >= file.pieces {
                return Err(Refused::NotOurs); // it is all beyond the end of the file
            }
            let number = file.first_piece + in_file;
            let Some(piece) = queue.given_piece(number) else { continue };
            let expected = *trees.piece_hash(number).ok_or(Refused::UnknownLayer)?;
            let (offset, length) = (info.piece_offset(piece), trees.bytes_of(file, number));
            return Ok(Piece { number, in_file, offset, length, layer, expected, store });
        }
        Err(Refused::NotOurs)
    }

    /// Reads the piece block by block, and computes its hashes. A block is in memory at a time,
    /// however long the piece is.
    fn hash(&self) -> Result<Subtree, Refused> {
        let mut block = Vec::new();
        let mut leaves = Vec::new();
        for begin in (0..self.length).step_by(BLOCK_LENGTH) {
            block.resize((self.length - begin).min(BLOCK_LENGTH as u64) as usize, 0);
            let read = self.store.read(self.offset + begin, &mut block);
            read.map_err(|_| Refused::Changed)?;
            leaves.push(Hash::of_block(&block));
        }
        let lower = Subtree::new(0, self.in_file << self.layer, leaves, self.layer);
        // Another program may have changed it since we verified it.
        let is_right = lower.root() == Some(self.expected);
        if is_right { Ok(lower) } else { Err(Refused::Changed) }
    }
}

/// Why a peer gets a reject.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum Refused {
    #[error("no file of the torrent has this root")]
    UnknownRoot,
    #[error(transparent)]
    Impossible(#[from] Impossible),
    #[error("{found} hashes are asked for, but only {MAX_LENGTH} are given at a time (BEP 52)")]
    TooLong { found: u32 },
    #[error("hashes of blocks are given for one piece at a time")]
    SeveralPieces,
    #[error("we do not know the hashes of the file's pieces yet")]
    UnknownLayer,
    #[error("we do not have the piece")]
    NotOurs,
    #[error("the piece cannot be read, or has been changed on disk")]
    Changed,
    #[error("the peer has had enough hashes")]
    Enough,
}
