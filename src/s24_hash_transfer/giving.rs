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
//! disk. No peer needs a slot for it, or to be interested. So there are limits of its own:
//!
//! | what | how much |
//! |---|---|
//! | hashed for all peers together | 32 MiB a second, 128 MiB after a rest |
//! | sent to all peers together | 8 MiB a second, or a quarter of our upload limit |
//! | sent on one connection | all layers four times, and 65,536 hashes |
//!
//! Nothing that a peer asks for makes us hang up: it may have a reason that we do not know.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use thiserror::Error;

use super::budget::Budget;
use super::layers::MAX_LENGTH;
use super::message::HashRequest;
use super::proof::{Impossible, possible};
use super::subtree::{Subtree, answer_with};
use super::upper::{TopLayers, UpperLayers};
use crate::s02_metainfo::Info;
use crate::s04_handshake::origin::Origin;
use crate::s10_storage::Store;
use crate::s11_work_queue::WorkQueue;
use crate::s12_session::host::Torrent;
use crate::s23_v2::merkle::{BLOCK_LENGTH, Hash, height_of};
use crate::s23_v2::trees::Trees;

/// How many times a connection may fetch all the layers. A few are for a peer that starts over.
const MAX_TIMES: u64 = 4;
/// Hashes that are allowed beside these: proofs of single pieces, and the blocks of wrong ones.
const MAX_SINGLE: u64 = 65_536;
/// What is hashed for all peers together, in bytes a second: a few percent of a core.
const HASHED: u64 = 32 << 20;
/// The most that is hashed at once, if nobody has asked for a while. It also limits how long a
/// peer's thread waits for the others, to about a second with a slow disk.
const MAX_HASHED: u64 = 4 * HASHED;
/// What is sent to all peers together, in bytes a second, and the most at once: the layer of two
/// million pieces.
const SENT: u64 = 8 << 20;
const MAX_SENT: u64 = 64 << 20;
/// With an upload limit, a part of it, and the time in which that may be saved up. The rest is for
/// blocks: without them, hashes are of no use.
const SENT_PART: u64 = 4;
const SAVED: u64 = 10;
/// The least that can be saved up, in bytes: an answer for a peer that has had none, while others
/// have taken half.
const MIN_SAVED: u64 = 64 << 10;

/// What one connection may still ask for, in hashes.
#[derive(Debug, Clone, Copy)]
pub struct Allowance(u64);

impl Allowance {
    /// That of a connection on which nothing was asked for yet, of a torrent with this many pieces.
    pub fn new(pieces: u32) -> Allowance {
        // A layer goes on up to a power of two, so it may be nearly twice as long as the file.
        Allowance(MAX_TIMES * 2 * u64::from(pieces) + MAX_SINGLE)
    }
}

/// What an answer depends on besides the request.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// Where the peer is.
    pub origin: Origin,
    /// Our upload limit in bytes a second, if there is one.
    pub upload_limit: Option<u64>,
    /// The time.
    pub now: Instant,
}

/// Gives hashes to the peers of one torrent. It keeps what several of them are likely to want.
///
/// How much that is follows from the torrent, and not from what peers ask for, or how many of them
/// ask at once: less than 400 bytes for each 512 pieces, and the blocks of one piece.
pub struct Giver {
    /// The hashes far above the piece layer.
    tops: TopLayers,
    /// The hashes of the piece that was asked about last: 64 bytes a block. The lock is held while
    /// a piece is read and hashed, so that it is one at a time, however many ask. Whoever waits is
    /// a session that answers hash requests; blocks are sent by a thread of their own.
    lower: Mutex<Option<(u32, Arc<Subtree>)>>,
    /// What may still be hashed. Its lock is a leaf.
    hashed: Mutex<Budget>,
    /// What may still be sent. `None` until somebody asks: only then the limit is known. A leaf.
    sent: Mutex<Option<Budget>>,
}

impl Default for Giver {
    fn default() -> Giver {
        Giver {
            tops: TopLayers::default(),
            lower: Mutex::default(),
            hashed: Mutex::new(Budget::new(HASHED, MAX_HASHED)),
            sent: Mutex::default(),
        }
    }
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
        asker: &Asker,
    ) -> Result<Vec<Hash>, Refused> {
        let file = trees.of_root(request.root).next().ok_or(Refused::UnknownRoot)?;
        possible(request, height_of(file.length))?;
        if request.length > MAX_LENGTH {
            return Err(Refused::TooLong { found: request.length });
        }
        let count = u64::from(request.length) + u64::from(request.uncles());
        let left = allowance.0.checked_sub(count).ok_or(Refused::Enough)?;
        // `None` while we are fetching the piece layer ourselves. The hashes of a piece's blocks
        // can be proved up to the piece without it.
        let upper = UpperLayers::of(file, trees, &self.tops);
        let piece = if request.base_layer < trees.height_at(file) {
            Some(Piece::of(request, trees, torrent)?)
        } else if upper.is_none() {
            return Err(Refused::UnknownLayer);
        } else {
            None
        };
        // Taken before anything is hashed, and after all that costs nothing: what is refused for
        // another reason would be taken from the others.
        self.send(count, asker)?;
        self.hash(upper.as_ref().map_or(0, |upper| upper.cost(request)), asker)?;
        let lower = piece.map(|piece| self.lower(&piece, asker)).transpose()?;
        let below = |layer, place| lower.as_ref().and_then(|lower| lower.at(layer, place));
        let above = |layer, place| upper.as_ref().and_then(|upper| upper.at(layer, place));
        let at = |layer, place| below(layer, place).or_else(|| above(layer, place));
        let hashes = answer_with(request, at).ok_or(Refused::UnknownLayer)?;
        allowance.0 = left;
        Ok(hashes)
    }

    /// Returns how many hashes are kept for all layers from the pieces' up.
    pub fn kept(&self) -> usize {
        self.tops.hashes()
    }

    /// Takes the bytes of an answer from what may be sent.
    fn send(&self, hashes: u64, asker: &Asker) -> Result<(), Refused> {
        let budget = || match asker.upload_limit {
            None => Budget::new(SENT, MAX_SENT),
            Some(limit) => {
                let part = (limit / SENT_PART).min(SENT);
                Budget::new(part, (SAVED * part).max(MIN_SAVED))
            }
        };
        let bytes = hashes * size_of::<Hash>() as u64;
        let mut sent = lock(&self.sent);
        let enough = sent.get_or_insert_with(budget).take(bytes, asker.origin, asker.now);
        if enough { Ok(()) } else { Err(Refused::Busy) }
    }

    /// Takes bytes from what may be hashed.
    fn hash(&self, bytes: u64, asker: &Asker) -> Result<(), Refused> {
        let enough = bytes == 0 || lock(&self.hashed).take(bytes, asker.origin, asker.now);
        if enough { Ok(()) } else { Err(Refused::Busy) }
    }

    /// Returns the hashes of a piece, which is read and hashed if it is not the one that was asked
    /// about last.
    fn lower(&self, piece: &Piece, asker: &Asker) -> Result<Arc<Subtree>, Refused> {
        let mut kept = lock(&self.lower);
        if let Some((_, lower)) = kept.as_ref().filter(|(number, _)| *number == piece.number) {
            return Ok(Arc::clone(lower));
        }
        // Under the lock: another thread may just have hashed the same piece.
        self.hash(piece.length, asker)?;
        let lower = Arc::new(piece.hash()?);
        *kept = Some((piece.number, Arc::clone(&lower)));
        Ok(lower)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    #[error("others have had so much that there is nothing left for now")]
    Busy,
}
