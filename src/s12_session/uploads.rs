//! The seam for uploading: what peers get, and how fast, is plugged in here.

use std::sync::Arc;

use super::Session;
use super::host::{Host, SessionEnd, Torrent};
use super::send_path::SendPath;
use super::stats::PeerStats;
use crate::s04_handshake::transport::Hangup;
use crate::s05_messages::{Message, Request};
use crate::s07_extension::BoxError;

/// Decides what peers get from us.
pub trait Uploads: Send + Sync {
    /// A peer is interested for the first time. `None` if it gets nothing.
    fn open(&self, peer: UploadPeer) -> Option<Box<dyn Upload>>;

    /// Whether to stay for the sake of others when we have all pieces. `uploaded` bytes have gone, of
    /// a torrent of this length. Called again and again.
    fn stays(&self, uploaded: u64, length: u64) -> bool;
}

/// A peer that is interested in what we have.
pub struct UploadPeer {
    /// The host of its session.
    pub host: Arc<Host>,
    /// The torrent.
    pub torrent: Arc<Torrent>,
    /// Its address and counters.
    pub stats: Arc<PeerStats>,
    /// Whether both sides speak the fast extension (BEP 6).
    pub fast: bool,
    /// The number of pieces it has.
    pub has: u32,
}

/// What one peer gets. It is told what the peer says, and answers by the path that it made.
pub trait Upload: Send {
    /// Takes over the way out: from now on, the session's messages go through what this returns.
    /// Called once, before anything else. `hang_up` ends the connection.
    fn take_over(&mut self, path: Box<dyn SendPath>, hang_up: &Hangup) -> Box<dyn SendPath>;

    /// The peer is interested, or no longer.
    fn set_interested(&mut self, yes: bool);

    /// The peer asks for a block.
    ///
    /// # Errors
    /// If the request breaks a rule: the connection ends.
    fn request(&mut self, request: Request) -> Result<(), BoxError>;

    /// The peer does not need a block any more.
    fn cancel(&mut self, request: Request);
}

/// Gives nothing.
pub struct NoUploads;

impl Uploads for NoUploads {
    fn open(&self, _: UploadPeer) -> Option<Box<dyn Upload>> {
        None
    }

    fn stays(&self, _: u64, _: u64) -> bool {
        false
    }
}

/// The half of a session that uploads. What, and how much, is for [`Uploads`] to say.
impl Session<'_> {
    /// The peer is interested for the first time. Returns the path by which messages go from now on.
    pub(super) fn open_upload(&mut self, path: Box<dyn SendPath>, hang_up: &Hangup) -> Box<dyn SendPath> {
        self.upload = self.host.uploads.open(UploadPeer {
            host: Arc::clone(self.host),
            torrent: Arc::clone(self.torrent),
            stats: Arc::clone(self.stats),
            fast: self.fast,
            has: self.claimant.count_pieces(),
        });
        match &mut self.upload {
            Some(upload) => upload.take_over(path, hang_up),
            None => path,
        }
    }

    pub(super) fn peer_interested(&mut self, yes: bool) {
        self.stats.flags().set_peer_interested(yes);
        if let Some(upload) = &mut self.upload {
            upload.set_interested(yes);
        }
    }

    /// A peer that gets nothing is told so, if both speak the fast extension.
    pub(super) fn requested(&mut self, request: Request) -> Result<(), SessionEnd> {
        if let Some(upload) = &mut self.upload {
            return upload.request(request).map_err(SessionEnd::Upload);
        }
        if self.fast {
            Message::Reject(request).encode_to(&mut self.out);
            self.urgent = true;
        }
        Ok(())
    }

    pub(super) fn cancelled(&mut self, request: Request) {
        if let Some(upload) = &mut self.upload {
            upload.cancel(request);
        }
    }
}
