//! Stage 9: fetch one piece from one peer, block by block, and verify it.
//!
//! A piece is requested in blocks of 16 KiB. Requesting the next block only when
//! the last has arrived would leave the line idle for a whole round trip each
//! time, so several requests are outstanding at once. When all blocks have
//! arrived, the hash of the piece must be the one in the torrent.
//!
//! * **Run it:** `piecemeal download_piece -o piece-0 lab/sample.torrent 0`
//! * **Spec:** BEP 3, "peer messages"; **chapter:** `docs/09-pieces.md`
//! * **Builds on:** messages from stage 5, [`Info`] from stage 2
//!
//! # The conversation
//! ```text
//! we                      peer
//!                     <-- bitfield           which pieces it has (may be absent)
//! interested          -->
//!                     <-- unchoke
//! request 0 .. 15     -->                    16 outstanding
//!                     <-- piece (block 0)
//! request 16          -->                    one more for each block received
//!                     <-- piece (block 1) ..
//! ```
//! # Decisions
//! * **[`PieceFetcher`] outlives the piece,** since choke and interest belong to the
//!   connection. A new connection for every piece is a classic mistake.
//! * **The missing blocks are a set, not a count.** So a block that arrives twice
//!   counts once, and anything that is not a block of this piece does not count.
//! * **After an unchoke we request again:** without the fast extension, a choke
//!   discards our requests.
//! * **Left out:** several peers, files, and pieces larger than memory. Stages 10
//!   and 11 hash and write each block as it arrives.

use std::collections::BTreeSet;
use std::io;
use std::time::Instant;

use thiserror::Error;

use crate::s02_metainfo::piece_check::Judgment;
use crate::s02_metainfo::{Info, PieceIndex};
use crate::s05_messages::bitfield::{Bitfield, BitfieldError, SPARE_BITS, has_spare_bits};
use crate::s05_messages::connection::Connection;
use crate::s05_messages::{BLOCK_LENGTH, Message, MessageError, Request};

/// The number of requests that are outstanding at once. Stage 12 finds the right
/// number; this one is plenty on a local network, and every peer accepts it.
///
/// With a round trip of 50 ms, 16 blocks of 16 KiB are 5 MiB/s at most. One at a time would be
/// 320 KiB/s, however fast the line is.
pub const PIPELINE: usize = 16;

/// Returns the blocks of a piece of `size` bytes in order, each as begin and length.
/// Only the last may be shorter than [`BLOCK_LENGTH`].
pub fn blocks(size: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..size.div_ceil(BLOCK_LENGTH)).map(move |block| {
        let begin = block * BLOCK_LENGTH;
        (begin, BLOCK_LENGTH.min(size - begin))
    })
}

/// Fetches pieces from one peer, one after the other. Its fields are what the connection
/// remembers from one piece to the next.
pub struct PieceFetcher<'c> {
    connection: &'c mut Connection,
    /// The pieces the peer says it has. `None` without a bitfield: then we just ask.
    has: Option<Bitfield>,
    /// Whether the peer chokes us (answers no requests). A connection starts choked.
    choked: bool,
    /// Whether we have told the peer that we want something. Once is enough, for all pieces.
    interested: bool,
    /// A rule that the peer broke without doing harm.
    pub passed_over: Option<&'static str>,
}

impl<'c> PieceFetcher<'c> {
    /// Takes over a connection, without sending anything yet.
    pub fn new(connection: &'c mut Connection) -> PieceFetcher<'c> {
        PieceFetcher { connection, has: None, choked: true, interested: false, passed_over: None }
    }

    /// Fetches a piece by `deadline` and returns its verified bytes.
    ///
    /// The peer may send its messages in any order, so the loop waits for none in particular. It
    /// does what it can, then takes the next message, whichever it is:
    ///
    /// | message | effect |
    /// |---|---|
    /// | `bitfield`, then `have` | we know whether it has the piece |
    /// | `unchoke` | the next turn sends requests |
    /// | `choke` | the requests are void; the blocks are still missing |
    /// | `piece` | one fewer block is missing; one more can be requested |
    ///
    /// # Errors
    /// If the peer does not have the piece, does not send it in time, or sends
    /// something else.
    pub fn fetch_piece(
        &mut self,
        info: &Info,
        piece: PieceIndex,
        deadline: Instant,
    ) -> Result<Vec<u8>, PieceError> {
        self.connection.set_deadline(deadline);
        let pieces = info.piece_count();
        self.connection.input.set_limit(pieces);
        if !self.interested {
            self.connection.send(&Message::Interested)?;
            self.interested = true;
        }
        let mut progress = Progress::new(info.piece_size(piece));
        while !progress.missing.is_empty() {
            // Checked each time: the bitfield may come after our first requests.
            if self.has.as_ref().is_some_and(|has| !has.has(piece.get())) {
                return Err(PieceError::NotThere { piece });
            }
            if !self.choked {
                self.ask_ahead(piece, &mut progress)?;
            }
            let choked = self.choked;
            match self.connection.read().map_err(|error| late(error, choked, piece))? {
                Message::Choke => {
                    self.choked = true;
                    progress.asked.clear();
                }
                Message::Unchoke => self.choked = false,
                Message::Bitfield { bits } => {
                    self.has = Some(Bitfield::decode(bits, pieces)?);
                    let spare = has_spare_bits(bits, pieces).then_some(SPARE_BITS);
                    self.passed_over = spare.or(self.passed_over);
                }
                Message::Have { index } => {
                    if let Some(has) = &mut self.has {
                        has.set(index, true);
                    }
                }
                // Blocks of other pieces may come late, from an earlier call: they are ignored.
                Message::Piece { index, begin, block } if index == piece.get() => {
                    progress.take(begin, block);
                }
                _ => {}
            }
        }
        verified(info, piece, progress.data)
    }

    /// Sends requests until [`PIPELINE`] are outstanding, in one write. After a choke `asked` is
    /// empty, so the same blocks are requested again.
    fn ask_ahead(&mut self, piece: PieceIndex, progress: &mut Progress) -> io::Result<()> {
        let mut requests = Vec::new();
        for &(begin, length) in &progress.missing {
            if progress.asked.len() == PIPELINE {
                break;
            }
            if progress.asked.insert((begin, length)) {
                Message::Request(Request { index: piece.get(), begin, length })
                    .encode_to(&mut requests);
            }
        }
        self.connection.send_bytes(&requests)
    }
}

/// A piece on its way. A block is in one of three states: missing, missing and asked for, or in
/// the data.
struct Progress {
    /// The blocks that have not arrived, each as begin and length. A BTreeSet gives them back in
    /// the order of the piece.
    missing: BTreeSet<(u32, u32)>,
    /// Those of them with an outstanding request. A choke empties it.
    asked: BTreeSet<(u32, u32)>,
    /// The blocks that have arrived, each in its place. It ends where the furthest one ends.
    data: Vec<u8>,
}

impl Progress {
    /// A piece of this many bytes, of which nothing has arrived.
    fn new(size: u32) -> Progress {
        Progress { missing: blocks(size).collect(), asked: BTreeSet::new(), data: Vec::new() }
    }

    /// Takes a block of this piece, if it is still missing. Any other changes nothing.
    fn take(&mut self, begin: u32, block: &[u8]) {
        let part = (begin, block.len() as u32);
        self.asked.remove(&part);
        // Refuse a block far beyond what we requested: one block must not make `data` grow to
        // the size of the piece.
        let near = begin as usize <= self.data.len() + PIPELINE * BLOCK_LENGTH as usize;
        if near && self.missing.remove(&part) {
            put(&mut self.data, begin as usize, block);
        }
    }
}

/// Says why no message came. "Timed out" alone would not say that we never had a chance to ask.
fn late(error: MessageError, choked: bool, piece: PieceIndex) -> PieceError {
    if choked && error.is_timeout() { PieceError::Choked { piece } } else { error.into() }
}

/// Returns the piece if its hash is the torrent's.
fn verified(info: &Info, piece: PieceIndex, data: Vec<u8>) -> Result<Vec<u8>, PieceError> {
    let mut hasher = info.check.begin(piece);
    hasher.update(&data);
    let found = hasher.finish();
    match info.check.judge(piece, &found) {
        Judgment::Right => Ok(data),
        Judgment::Contradiction => Err(PieceError::Contradiction { piece }),
        Judgment::Wrong => {
            let expected = info.piece_hash(piece);
            // If the torrent has several hashes of a piece, the first one is told.
            let found = found.get(..expected.len()).unwrap_or(&found);
            let (expected, found) = (hex::encode(expected), hex::encode(found));
            Err(PieceError::WrongHash { piece, expected, found })
        }
    }
}

/// Copies a block to its place. The buffer grows as blocks arrive, so a torrent
/// cannot make us allocate 512 MiB just by claiming such a piece.
fn put(data: &mut Vec<u8>, begin: usize, block: &[u8]) {
    let end = begin + block.len();
    // A gap before the block is zeros for now: its blocks are still missing.
    if data.len() < end {
        data.resize(end, 0);
    }
    data[begin..end].copy_from_slice(block);
}

/// Why a peer did not give us a piece.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum PieceError {
    /// The connection failed (stage 5).
    #[error("{}", match .0 {
        MessageError::Io(_) | MessageError::HungUp { .. } => format!("the piece was expected, but {}", .0),
        error => error.to_string(),
    })]
    Message(#[from] MessageError),
    /// The peer's bitfield does not fit the torrent.
    #[error(transparent)]
    Bitfield(#[from] BitfieldError),
    /// We were still choked at the deadline.
    #[error("an unchoke was expected, to ask for piece {piece}, but none came in time")]
    Choked { piece: PieceIndex },
    /// The peer has other pieces, but not this one.
    #[error("the peer does not have piece {piece}")]
    NotThere { piece: PieceIndex },
    /// All blocks arrived, but together they are not the piece.
    #[error("piece {piece} has the wrong hash: expected {expected}, found {found}")]
    WrongHash { piece: PieceIndex, expected: String, found: String },
    /// All blocks arrived, and only one of the torrent's hashes of the piece is right.
    #[error(
        "piece {piece} fits one of its hashes and not the other: the torrent contradicts itself"
    )]
    Contradiction { piece: PieceIndex },
}

impl From<io::Error> for PieceError {
    fn from(error: io::Error) -> PieceError {
        MessageError::from(error).into()
    }
}
