//! Stage 17: give. A program that only takes is not a peer.
//!
//! Every byte that somebody downloads, somebody else has uploaded. This stage plugs
//! into the swarm of stage 15, so that a download gives what it has while it takes
//! what it lacks; and a *seed*, which has everything, is a download with nothing left
//! to do that stays.
//!
//! * **Run it:** `piecemeal seed lab/sample.torrent sample.txt`
//! * **Spec:** BEP 3, 6, 21, 54; **chapter:** `docs/17-seeding.md`
//! * **Builds on:** [`Uploads`] from stage 12, [`PeerSource`] from stage 13
//!
//! # On the wire
//! ```text
//! them                                us
//!   handshake, 68 bytes  ->              they dial: we read first,
//!                        <-  handshake   and answer if we have the torrent
//!                        <-  bitfield, or have all (BEP 6)
//!   interested           ->
//!                        <-  unchoke     when there is a slot for them
//!   request, request, .. ->
//!                        <-  piece, piece, ..
//!                        <-  choke       their queue is dropped; with BEP 6,
//!                        <-  reject, ..  each dropped request is told
//! ```
//! # Decisions
//! * **A few at a time** ([`choking`]). Many streams side by side get into each other's
//!   way, and a few quick ones make new givers sooner. A download gives to those that give
//!   to it; a seed gives in turn.
//! * **A request that cannot be meant well ends the connection:** a block outside the
//!   piece, or longer than 16 KiB. One that merely comes too late (after a choke) is
//!   refused, or passed over where there are no words for that.
//! * **Nobody is given what is not verified.** A file that somebody has changed since
//!   is hashed again before any more of it goes out (`shelf`).
//! * **The choker decides, the peer's own threads act.** No decision waits for a socket.
//! * **Left out:** super seeding (BEP 16); `event=paused` of a partial seed (BEP 21);
//!   counting a block before all of it has left.
//!
//! [`PeerSource`]: crate::s13_peer_sources::source::PeerSource

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod allowed_fast;
pub mod choking;
pub mod listener;
pub mod send_queue;
pub mod sharing_slots;
mod shelf;
mod waiting_list;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use self::send_queue::{Queued, SendQueue, Writer};
use self::shelf::Shelf;
use self::waiting_list::{Place, WaitingList};
use crate::s04_handshake::transport::Hangup;
use crate::s05_messages::{BLOCK_LENGTH, Message, Request};
use crate::s07_extension::{BoxError, OUR_REQQ};
use crate::s12_session::host::Torrent;
use crate::s12_session::send_path::SendPath;
use crate::s12_session::uploads::{Upload, UploadPeer, Uploads};

/// How much is given, and for how long.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How many peers get something at the same time.
    pub slots: usize,
    /// How often the slots are dealt out.
    pub round: Duration,
    /// Whether what can be given is limited, by a rate or a ratio. A seed then shares it
    /// by heads ([`choking::is_ahead`]), even if a part of its line stays idle.
    pub scarce: bool,
    /// Whether to stay when there is nothing more to take.
    pub stay: bool,
    /// Then: until this many times the torrent's length has been given.
    pub ratio: Option<f64>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { slots: 5, round: choking::ROUND, scarce: false, stay: false, ratio: None }
    }
}

/// What a swarm gives. Plugged into [`Plan::uploads`](crate::s15_swarm::Plan::uploads).
pub struct Uploader {
    rules: Rules,
    list: Arc<WaitingList>,
    shelf: Arc<Shelf>,
}

impl Uploader {
    /// Gives by these rules.
    pub fn new(rules: Rules) -> Uploader {
        Uploader { list: WaitingList::new(&rules), rules, shelf: Arc::default() }
    }
}

impl Uploads for Uploader {
    fn open(&self, peer: UploadPeer) -> Option<Box<dyn Upload>> {
        let allowed = if peer.fast { allowed_fast::set_for(&peer) } else { Vec::new() };
        let taker = Taker { peer, send_queue: Arc::default() };
        taker.send_queue.edit(|queued| {
            for index in &allowed {
                Message::AllowedFast { index: *index }.encode_to(&mut queued.messages);
            }
        });
        Some(Box::new(Giving { shelf: Arc::clone(&self.shelf), place: self.list.enter(taker, allowed) }))
    }

    fn stays(&self, uploaded: u64, length: u64) -> bool {
        let enough = |ratio: f64| uploaded as f64 >= ratio * length as f64;
        self.rules.stay && !self.rules.ratio.is_some_and(enough)
    }
}

/// A peer that is interested, and what is to be sent to it.
struct Taker {
    peer: UploadPeer,
    send_queue: Arc<SendQueue>,
}

/// What one peer is given.
struct Giving {
    shelf: Arc<Shelf>,
    place: Place,
}

impl Upload for Giving {
    fn take_over(&mut self, path: Box<dyn SendPath>, hang_up: &Hangup) -> Box<dyn SendPath> {
        let Taker { peer, send_queue } = self.place.taker();
        let writer = Writer {
            host: Arc::clone(&peer.host),
            torrent: Arc::clone(&peer.torrent),
            stats: Arc::clone(&peer.stats),
            fast: peer.fast,
            blocks: self.shelf.clone(),
            queue: Arc::clone(send_queue),
        };
        writer.take_over(path, hang_up)
    }

    fn set_interested(&mut self, yes: bool) {
        self.place.interested(yes);
    }

    /// Puts the request into the peer's queue, or refuses it.
    fn request(&mut self, request: Request) -> Result<(), BoxError> {
        let taker = self.place.taker();
        check(request, &taker.peer.torrent)?;
        let here = taker.peer.torrent.queue.given_piece(request.index).is_some();
        if !here && !taker.peer.fast {
            return Err(SeedingError::NotHere { index: request.index }.into());
        }
        taker.send_queue.edit(|queued| {
            let may = self.place.is_unchoked(queued) || self.place.is_allowed(request);
            if here && may && queued.blocks.len() < OUR_REQQ as usize {
                queued.blocks.push_back(request);
            } else if taker.peer.fast {
                Message::Reject(request).encode_to(&mut queued.messages);
            }
        });
        Ok(())
    }

    /// BEP 6: a request that is taken back still gets an answer. If its block is on its
    /// way already, that is the answer.
    fn cancel(&mut self, request: Request) {
        let taker = self.place.taker();
        taker.send_queue.edit(|queued: &mut Queued| {
            let before = queued.blocks.len();
            queued.blocks.retain(|other| *other != request);
            // Asked for twice, it is answered twice.
            let gone = before - queued.blocks.len();
            for _ in (0..gone).filter(|_| taker.peer.fast) {
                Message::Reject(request).encode_to(&mut queued.messages);
            }
        });
    }
}

/// Whether a block could be given, if it were here.
fn check(request: Request, torrent: &Torrent) -> Result<(), SeedingError> {
    let Request { index, begin, length } = request;
    let info = torrent.queue.info();
    let Some(piece) = info.piece(index) else {
        return Err(SeedingError::NoSuchPiece { index, pieces: info.piece_count() });
    };
    if !(1..=BLOCK_LENGTH).contains(&length) {
        return Err(SeedingError::Length { length });
    }
    let size = info.piece_size(piece);
    if u64::from(begin) + u64::from(length) > u64::from(size) {
        return Err(SeedingError::Outside { index, begin, length, size });
    }
    Ok(())
}

/// A request that ends the connection.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum SeedingError {
    /// There are not so many pieces.
    #[error("it asks for piece {index} of {pieces}")]
    NoSuchPiece { index: u32, pieces: u32 },
    /// Nobody asks for so much at once, or for nothing.
    #[error("it asks for a block of {length} bytes; 1 to {BLOCK_LENGTH} are given")]
    Length { length: u32 },
    /// The block does not lie in the piece.
    #[error("it asks for {length} bytes at {begin} of piece {index}, which has {size} bytes")]
    Outside { index: u32, begin: u32, length: u32, size: u32 },
    /// We have never said that we have it, or have it no longer.
    #[error("it asks for piece {index}, which is not here")]
    NotHere { index: u32 },
}
