//! The half of a session that uploads: it opens an [`Upload`](super::host::Upload), and passes
//! the peer's requests on to it. The upload may also hide some of our pieces from the peer.

use std::sync::Arc;

use super::Session;
use super::host::{SessionEnd, UploadPeer};
use super::send_path::SendPath;
use crate::s02_metainfo::PieceIndex;
use crate::s04_handshake::transport::Hangup;
use crate::s05_messages::bitfield::Bitfield;
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
        self.upload = self.host.uploads.open(self.upload_peer());
        self.hand_over(path, hang_up)
    }

    /// Lets an upload that is open from the start take over the path, and returns the path for all
    /// further messages. Our first messages leave before that: the upload may send haves at once,
    /// and a bitfield must come before them.
    pub(super) fn begin_upload(
        &mut self,
        mut path: Box<dyn SendPath>,
        hang_up: &Hangup,
    ) -> Result<Box<dyn SendPath>, SessionEnd> {
        if self.upload.is_some() {
            self.send(&mut *path)?;
        }
        Ok(self.hand_over(path, hang_up))
    }

    /// Passes the path to the upload, if there is one.
    fn hand_over(&mut self, path: Box<dyn SendPath>, hang_up: &Hangup) -> Box<dyn SendPath> {
        match &mut self.upload {
            Some(upload) => upload.take_over(path, hang_up),
            None => path,
        }
    }

    /// The peer, as an upload sees it at this moment.
    pub(super) fn upload_peer(&self) -> UploadPeer {
        UploadPeer {
            host: Arc::clone(self.host),
            torrent: Arc::clone(self.torrent),
            stats: Arc::clone(self.stats),
            fast: self.fast,
            has: self.claimant.count_pieces(),
        }
    }

    /// Whether the peer is to know that we have this piece.
    pub(super) fn shows(&self, piece: PieceIndex) -> bool {
        self.upload.as_ref().is_none_or(|upload| upload.shows(piece))
    }

    /// The pieces that the peer is to know we have.
    pub(super) fn shown_pieces(&self) -> Bitfield {
        let queue = &self.torrent.queue;
        // Not all that are done: those that were changed on disk since are left out.
        let mut pieces = queue.given_pieces();
        // Without an upload nothing is hidden, and a torrent may have two million pieces.
        if self.upload.is_some() {
            for piece in queue.info().pieces().filter(|piece| !self.shows(*piece)) {
                pieces.set(piece.get(), false);
            }
        }
        pieces
    }

    /// Whether to say that we want no more pieces. Not while some of ours are hidden: a peer may
    /// leave one that only uploads and shows nothing new, as libtorrent does.
    pub(super) fn says_upload_only(&self) -> bool {
        let shows_all = self.upload.as_ref().is_none_or(|upload| upload.shows_all());
        shows_all && self.torrent.is_upload_only()
    }

    /// Tells the upload that the peer has these pieces.
    pub(super) fn peer_has(&mut self, indexes: impl IntoIterator<Item = u32>) {
        let Some(upload) = &mut self.upload else { return };
        let info = self.torrent.queue.info();
        let pieces = indexes.into_iter().filter_map(|index| info.piece(index));
        pieces.for_each(|piece| upload.has(piece));
    }

    /// Takes in that the peer is interested, or no longer. It may keep its slot; the upload
    /// decides.
    pub(super) fn peer_interested(&mut self, yes: bool) {
        self.stats.flags().set_peer_interested(yes);
        if let Some(upload) = &mut self.upload {
            upload.set_interested(yes);
        }
    }

    /// Passes a request on. Without an upload, or for a piece that the peer is not to know of,
    /// rejects it if both sides speak the fast extension.
    pub(super) fn requested(&mut self, request: Request) -> Result<(), SessionEnd> {
        // A number that the torrent does not have is passed on: there it ends the connection.
        let piece = self.torrent.queue.info().piece(request.index);
        let hidden = piece.is_some_and(|piece| !self.shows(piece));
        if let Some(upload) = &mut self.upload
            && !hidden
        {
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
