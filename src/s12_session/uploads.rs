//! The seam for giving: what is given, to whom, and how fast, is plugged in here.

use std::sync::Arc;

use super::Torrent;
use super::outbox::Outbox;
use super::traffic::Traffic;
use crate::s05_messages::Request;
use crate::s07_extension::BoxError;

/// What a swarm gives to its peers.
pub trait Uploads: Send + Sync {
    /// A peer is interested for the first time. `None`: it gets nothing.
    fn open(&self, taker: Taker) -> Option<Box<dyn Upload>>;

    /// Appends a block that is due to `out`, as a message; or nothing, and then the
    /// answer is `false`.
    fn block(&self, torrent: &Torrent, request: Request, out: &mut Vec<u8>) -> bool;

    /// Whether to stay when we have all pieces, for the sake of others: so many bytes
    /// have gone, of a torrent of this length. Asked again and again.
    fn stays(&self, uploaded: u64, length: u64) -> bool;
}

/// A peer that wants something of us.
pub struct Taker {
    /// Who it is, what it has brought and what it has got.
    pub traffic: Arc<Traffic>,
    /// What it is interested in.
    pub torrent: Arc<Torrent>,
    /// How to answer it.
    pub outbox: Arc<Outbox>,
    /// Whether it speaks the fast extension, too.
    pub fast: bool,
    /// How many pieces it has.
    pub has: u32,
}

/// What one peer gets. It is told what the peer says, and answers by the [`Outbox`]
/// of its [`Taker`].
pub trait Upload: Send {
    /// The peer is interested, or no longer.
    fn interested(&mut self, yes: bool);

    /// The peer asks for a block.
    ///
    /// # Errors
    /// If the request breaks a rule: the connection ends.
    fn request(&mut self, request: Request) -> Result<(), BoxError>;

    /// The peer does not need the block any more.
    fn cancel(&mut self, request: Request);
}

/// Gives nothing.
pub struct NoUploads;

impl Uploads for NoUploads {
    fn open(&self, _: Taker) -> Option<Box<dyn Upload>> {
        None
    }

    fn block(&self, _: &Torrent, _: Request, _: &mut Vec<u8>) -> bool {
        false
    }

    fn stays(&self, _: u64, _: u64) -> bool {
        false
    }
}
