//! The seam for uploading: what peers get from us is plugged in here.
//!
//! ```text
//!   the peer's first `interested`  --> Uploads::open --> an Upload, or None: it gets nothing
//!                                                          | take_over: it makes the send path
//!   interested, request, cancel    ----------------------> |
//!   the session's own messages     ----------------------> |--> the peer
//! ```
//! From then on, everything leaves by one path: two threads that write to one socket would mix up
//! their messages. A session that only downloads never gets here, and needs no second thread.

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
    /// Opens the upload to a peer that is interested for the first time. `None` if it gets nothing;
    /// then this is called again when it next says that it is interested. Called on the peer's
    /// thread.
    fn open(&self, peer: UploadPeer) -> Option<Box<dyn Upload>>;

    /// Whether to keep seeding now that we have all pieces. We have `uploaded` this many bytes of a
    /// torrent of this length. Called repeatedly.
    fn stays(&self, uploaded: u64, length: u64) -> bool;
}

/// A peer that is interested in what we have, and all that an upload needs to know about it.
pub struct UploadPeer {
    /// The host of the peer's session.
    pub host: Arc<Host>,
    /// The torrent.
    pub torrent: Arc<Torrent>,
    /// The peer's address and counters.
    pub stats: Arc<PeerStats>,
    /// Whether both sides speak the fast extension (BEP 6).
    pub fast: bool,
    /// The number of pieces the peer has at this moment. One with few gets some allowed fast (BEP
    /// 6).
    pub has: u32,
}

/// The upload to one peer. It gets the peer's messages, and answers through the path that it made.
pub trait Upload: Send {
    /// Takes over the send path: from now on, the session's messages go through the path returned.
    /// Called once, before anything else. `hang_up` ends the connection.
    ///
    /// What the old path has not sent must go first: it may have sent half of a message.
    fn take_over(&mut self, path: Box<dyn SendPath>, hang_up: &Hangup) -> Box<dyn SendPath>;

    /// Sets whether the peer is interested.
    fn set_interested(&mut self, yes: bool);

    /// Handles a request for a block.
    ///
    /// # Errors
    /// If the request breaks a rule; then the connection ends.
    fn request(&mut self, request: Request) -> Result<(), BoxError>;

    /// Cancels a request. A request that is not known is no error: the block may be on its way.
    fn cancel(&mut self, request: Request);
}

/// Uploads nothing.
pub struct NoUploads;

impl Uploads for NoUploads {
    fn open(&self, _: UploadPeer) -> Option<Box<dyn Upload>> {
        None
    }

    fn stays(&self, _: u64, _: u64) -> bool {
        false
    }
}

/// The half of a session that uploads. [`Uploads`] decides what, and how much.
impl Session<'_> {
    /// Opens the upload when the peer is first interested. Returns the path for all further
    /// messages.
    pub(super) fn open_upload(
        &mut self,
        path: Box<dyn SendPath>,
        hang_up: &Hangup,
    ) -> Box<dyn SendPath> {
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

    /// Takes in that the peer is interested, or no longer. It may keep its slot; the upload
    /// decides.
    pub(super) fn peer_interested(&mut self, yes: bool) {
        self.stats.flags().set_peer_interested(yes);
        if let Some(upload) = &mut self.upload {
            upload.set_interested(yes);
        }
    }

    /// Passes a request on. If there is no upload, rejects it, if both sides speak the fast
    /// extension.
    pub(super) fn requested(&mut self, request: Request) -> Result<(), SessionEnd> {
        if let Some(upload) = &mut self.upload {
            return upload.request(request).map_err(SessionEnd::Upload);
        }
        // BEP 6: every request gets an answer. BEP 3 has no message for this, so there it gets
        // none.
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
