//! The half of a session that uploads: it opens an [`Upload`](super::host::Upload), and passes
//! the peer's requests on to it.

use std::sync::Arc;

use super::Session;
use super::host::{SessionEnd, UploadPeer};
use super::send_path::SendPath;
use crate::s04_handshake::transport::Hangup;
use crate::s05_messages::{Message, Request};

/// [`Uploads`](super::host::Uploads) decides what the peer gets, and how much.
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

    /// Passes a request on. Without an upload, rejects it if both sides speak the fast extension.
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
