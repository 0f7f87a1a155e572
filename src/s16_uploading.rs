//! Stage 16: answer a peer's requests with verified blocks.
//!
//! Every byte that somebody downloads, somebody else has uploaded. This stage plugs into the
//! session of stage 12, which so far rejects each request. A request waits in the peer's queue
//! until the peer's writer thread has sent the block.
//!
//! * **Run it:** `piecemeal serve lab/sample.torrent lab/original/sample.txt`
//! * **Spec:** BEP 3, 6, 54; **chapter:** `docs/16-uploading.md`
//! * **Builds on:** [`Uploads`] and `SendPath` from stage 12, `Store::changes` from stage 10
//!
//! # On the wire
//! ```text
//! them                                us
//!   handshake, 68 bytes  ->              they dial: we read first,
//!                        <-  handshake   and answer if we have the torrent
//!                        <-  bitfield, or have all (BEP 6)
//!   interested           ->
//!                        <-  allowed fast, ..  pieces that need no unchoke
//!                        <-  unchoke     when the choker says so
//!   request, request, .. ->
//!                        <-  piece, piece, ..
//!   cancel               ->
//!                        <-  reject      with BEP 6, each request has one answer
//!                        <-  choke       the queue is dropped; with BEP 6,
//!                        <-  reject, ..  the peer is told of each request
//! ```
//! # Decisions
//! * **The reader never waits for a write** ([`send_queue`]). Two peers that upload to each other
//!   and both block in a write wait forever.
//! * **The queue holds requests, not blocks.** A block is read from the disk when its turn has
//!   come, so 500 requests cost 6 KB and not 8 MB.
//! * **Only verified bytes leave.** If a file was changed since, each piece is hashed again before
//!   more of it goes out (`shelf`).
//! * **A request that no honest peer sends ends the connection:** a block outside the piece, or
//!   longer than 16 KiB. One that merely comes too late, after a choke, is rejected, or ignored
//!   where the peer does not speak BEP 6.
//! * **[`Choker`] is a seam.** It decides which peers may request blocks; [`requester`] carries the
//!   decision to the peer. Here it is [`UnchokeAll`]; stage 17 has one that chooses.
//! * **Left out:** choosing among peers, and serving several at once (stage 17).

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod allowed_fast;
pub mod incoming;
pub mod requester;
pub mod send_queue;
mod shelf;

use std::sync::Arc;

use thiserror::Error;

use self::requester::Requester;
use self::send_queue::{Queued, Writer};
use self::shelf::Shelf;
use crate::s04_handshake::transport::Hangup;
use crate::s05_messages::{BLOCK_LENGTH, Message, Request};
use crate::s07_extension::{BoxError, OUR_REQQ};
use crate::s12_session::host::Torrent;
use crate::s12_session::host::{Upload, UploadPeer, Uploads};
use crate::s12_session::send_path::SendPath;

/// Decides which peers are unchoked, on any thread and at any time. It carries a decision out by
/// [`Requester::set_unchoked`] and [`Requester::tell`].
pub trait Choker: Send + Sync {
    /// Takes in a peer when it is first interested; called on the thread of its session, so it must
    /// not wait. What is returned lives as long as the connection.
    fn enter(&self, peer: Arc<Requester>) -> Box<dyn Place>;
}

/// A peer's place with the choker. Dropping it makes room for another peer: a session that ends,
/// for whatever reason, cannot keep a slot.
pub trait Place: Send {
    /// Notes whether the peer is interested. May be told the same twice in a row.
    fn set_interested(&self, yes: bool);
}

/// Unchokes every peer that is interested.
pub struct UnchokeAll;

impl Choker for UnchokeAll {
    fn enter(&self, peer: Arc<Requester>) -> Box<dyn Place> {
        Box::new(Unchoked(peer))
    }
}

/// A peer that is unchoked once it is interested, and stays unchoked: it takes no slot from others.
struct Unchoked(Arc<Requester>);

impl Place for Unchoked {
    fn set_interested(&self, yes: bool) {
        if yes {
            self.0.set_unchoked(true);
            self.0.tell(None);
        }
    }
}

/// Answers requests. Plugged into a session's host, as
/// [`Host::uploads`](crate::s12_session::host::Host::uploads).
pub struct Uploader {
    choker: Box<dyn Choker>,
    /// What is known of changed files, so that not every writer hashes a piece again.
    shelf: Arc<Shelf>,
}

impl Uploader {
    /// Answers the peers that this choker unchokes.
    pub fn new(choker: impl Choker + 'static) -> Uploader {
        Uploader { choker: Box::new(choker), shelf: Arc::default() }
    }
}

impl Uploads for Uploader {
    fn open(&self, peer: UploadPeer) -> Option<Box<dyn Upload>> {
        let peer = Arc::new(Requester::new(peer));
        let place = self.choker.enter(Arc::clone(&peer));
        // The session calls `set_interested` next. Until then the peer stays choked.
        Some(Box::new(PeerUpload { peer, place, shelf: Arc::clone(&self.shelf) }))
    }

    /// Always false: a download leaves when it is complete. A seed stays, and that is stage 17.
    fn stays(&self, _: u64, _: u64) -> bool {
        false
    }
}

/// The upload to one peer. The methods are called by the peer's session, on its thread.
struct PeerUpload {
    peer: Arc<Requester>,
    place: Box<dyn Place>,
    shelf: Arc<Shelf>,
}

impl Upload for PeerUpload {
    fn take_over(&mut self, path: Box<dyn SendPath>, hang_up: &Hangup) -> Box<dyn SendPath> {
        let UploadPeer { host, torrent, stats, fast, .. } = self.peer.peer();
        let writer = Writer {
            host: Arc::clone(host),
            torrent: Arc::clone(torrent),
            stats: Arc::clone(stats),
            fast: *fast,
            blocks: self.shelf.clone(),
            queue: Arc::clone(&self.peer.send_queue),
        };
        writer.take_over(path, hang_up)
    }

    fn set_interested(&mut self, yes: bool) {
        self.place.set_interested(yes);
    }

    /// Puts a request into the peer's queue, or rejects it.
    fn request(&mut self, request: Request) -> Result<(), BoxError> {
        let UploadPeer { torrent, fast, .. } = self.peer.peer();
        check(request, torrent)?;
        // To request a piece withdrawn a moment ago is an honest mistake. With BEP 6 we can say so;
        // without it no message can, so we hang up.
        let here = torrent.queue.given_piece(request.index).is_some();
        if !here && !fast {
            return Err(UploadError::NotHere { index: request.index }.into());
        }
        self.peer.send_queue.edit(|queued| {
            // Checked inside the edit: a choke on another thread comes before this request or
            // after it, and the peer gets one answer in either case. `may_request` comes last,
            // because it counts what is allowed fast, and a rejected request must not count.
            let has_room = queued.blocks.len() < OUR_REQQ as usize;
            if here && has_room && self.peer.may_request(request, queued) {
                queued.blocks.push_back(request);
            } else if *fast {
                Message::Reject(request).encode_to(&mut queued.messages);
            }
        });
        Ok(())
    }

    /// BEP 6: a canceled request still gets an answer. If its block is on its way already, that
    /// is the answer.
    fn cancel(&mut self, request: Request) {
        let fast = self.peer.peer().fast;
        self.peer.send_queue.edit(|queued: &mut Queued| {
            let before = queued.blocks.len();
            queued.blocks.retain(|other| *other != request);
            // A block that was requested twice is answered twice.
            let gone = before - queued.blocks.len();
            for _ in (0..gone).filter(|_| fast) {
                Message::Reject(request).encode_to(&mut queued.messages);
            }
        });
    }
}

/// Returns an error if no honest peer would send this request.
fn check(request: Request, torrent: &Torrent) -> Result<(), UploadError> {
    let Request { index, begin, length } = request;
    let info = torrent.queue.info();
    let Some(piece) = info.piece(index) else {
        return Err(UploadError::NoSuchPiece { index, pieces: info.piece_count() });
    };
    if !(1..=BLOCK_LENGTH).contains(&length) {
        return Err(UploadError::Length { length });
    }
    let size = info.piece_size(piece);
    // In u64: `begin` and `length` are the peer's, and their sum may not fit into a u32.
    if u64::from(begin) + u64::from(length) > u64::from(size) {
        return Err(UploadError::Outside { index, begin, length, size });
    }
    Ok(())
}

/// A request that ends the connection.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum UploadError {
    /// The torrent has fewer pieces.
    #[error("it asks for piece {index} of {pieces}")]
    NoSuchPiece { index: u32, pieces: u32 },
    /// The block is empty, or longer than any client requests.
    #[error("it asks for a block of {length} bytes; 1 to {BLOCK_LENGTH} are given")]
    Length { length: u32 },
    /// The block ends outside the piece.
    #[error("it asks for {length} bytes at {begin} of piece {index}, which has {size} bytes")]
    Outside { index: u32, begin: u32, length: u32, size: u32 },
    /// We have never said that we have the piece, or no longer have it.
    #[error("it asks for piece {index}, which is not here")]
    NotHere { index: u32 },
}
