//! Reading a block that is due, and making sure that it is still what was verified.
//!
//! Between hashing a piece and sending it, hours may pass in which the user opens the file and
//! saves it. A changed block would spoil a piece at the peer, and the peer would ban us. Hashing
//! the whole piece for each block would cost as many times the reading as a piece has blocks: 64
//! with pieces of 1 MiB. So this compares the file's length and time of change. Only when one of
//! the two differs are its pieces hashed again, each before its next block goes out.
//!
//! | the file, since the piece was last hashed | and the piece | so the block |
//! |---|---|---|
//! | is as it was | is not looked at | goes out |
//! | has changed | still has its hash | goes out; noted, so that the next block costs nothing |
//! | has changed | has another hash | is rejected, and the piece is withdrawn |
//! | is gone, or too short | is gone | is rejected, and the piece is withdrawn |
//! | cannot be read just now | may be right | is rejected; the next request finds out |
//!
//! Without BEP 6 there is no reject, and we hang up instead.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::send_queue::Blocks;
use crate::s02_metainfo::PieceIndex;
use crate::s05_messages::{Message, Request};
use crate::s10_storage::{StorageError, is_right};
use crate::s12_session::host::Torrent;

/// How much is read at once when hashing, in bytes.
const READ_LENGTH: usize = 256 << 10;

/// The way from the store to a peer. All writers of a torrent share one.
#[derive(Default)]
pub(super) struct Shelf {
    /// The number of the change after which each piece was last hashed again, and was right
    /// ([`Store::changes`](crate::s10_storage::Store::changes) counts them). Empty as long as
    /// nobody touches the files. A leaf lock.
    hashed: Mutex<HashMap<PieceIndex, u32>>,
}

impl Blocks for Shelf {
    /// Withdraws the piece if it is gone, or is not what it was. What cannot be read just now, for
    /// another reason, is only rejected.
    fn append(&self, torrent: &Torrent, request: Request, out: &mut Vec<u8>) -> bool {
        // Asked again: the piece may have been withdrawn while the request waited in the queue.
        let Some(piece) = torrent.queue.given_piece(request.index) else { return false };
        let before = out.len();
        let done = self.check(torrent, piece, request).and_then(|right| {
            if !right {
                return Ok(false);
            }
            match append(torrent, piece, request, out) {
                Err(error) if error.is_missing() => Ok(false),
                done => done.map(|()| true),
            }
        });
        if let Ok(true) = done {
            return true;
        }
        // A message whose block could not be read must not leave: the peer would take zeros for
        // data.
        out.truncate(before);
        if done.is_ok_and(|right| !right) {
            torrent.queue.withdraw(piece);
        }
        false
    }
}

impl Shelf {
    /// Returns whether a piece is what it was when it was verified. Called for each block.
    fn check(
        &self,
        torrent: &Torrent,
        piece: PieceIndex,
        request: Request,
    ) -> Result<bool, StorageError> {
        let info = torrent.queue.info();
        let offset = info.piece_offset(piece) + u64::from(request.begin);
        // Only the files that this block lies in. At a file's border that may be two.
        let changed = match torrent.store.changes(offset, request.length as usize) {
            Err(error) if error.is_missing() => return Ok(false),
            changed => changed?,
        };
        // Several writers may get here for one piece, and each hashes it. That is rare, and costs
        // less than a lock that is held while hashing.
        let lock = || self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        if changed == 0 || lock().get(&piece).is_some_and(|hashed| *hashed >= changed) {
            return Ok(true);
        }
        let right = is_right(info, piece, &*torrent.store, &mut vec![0; READ_LENGTH])?;
        // Only if it is right: a wrong piece is withdrawn, so nobody asks again.
        if right {
            lock().insert(piece, changed);
        }
        Ok(right)
    }
}

/// Appends a `piece` message. It is made in place, so that the block is copied only once: from the
/// file's pages to where the socket takes it from.
fn append(
    torrent: &Torrent,
    piece: PieceIndex,
    request: Request,
    out: &mut Vec<u8>,
) -> Result<(), StorageError> {
    let Request { index, begin, length } = request;
    let offset = torrent.queue.info().piece_offset(piece) + u64::from(begin);
    Message::piece_head(index, begin, length, out);
    let block = out.len();
    out.resize(block + length as usize, 0);
    torrent.store.read(offset, out.get_mut(block..).unwrap_or_default())
}
