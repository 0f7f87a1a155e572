//! The extensions' part of a session: what they are told, and what they say.
//!
//! They append encoded messages to `out`, as everything does that the session sends, so an
//! extension needs no way to the connection.

use super::Session;
use super::host::SessionEnd;
use crate::s04_handshake::Handshake;
use crate::s05_messages::Message;

/// The size in bytes up to which a message does not count toward the upload limit. A reject is no
/// longer, and each request has one: a peer that floods us with requests would use up the limit,
/// and keep the others from their blocks. A session's own small messages do not count either.
const SMALL: usize = 64;

impl Session<'_> {
    /// Tells the extensions that the session begins.
    pub(super) fn open_extensions(&mut self, theirs: &Handshake) {
        let before = self.out.len();
        self.extensions.opened(theirs, &mut self.out);
        self.spoke(before);
    }

    /// Tells the extensions the time.
    pub(super) fn tick_extensions(&mut self) {
        let before = self.out.len();
        self.extensions.tick(self.clock.now, &mut self.out);
        self.spoke(before);
    }

    /// Handles an extension message (BEP 10).
    pub(super) fn receive_extended(&mut self, payload: &[u8]) -> Result<(), SessionEnd> {
        let before = self.out.len();
        for piece in self.extensions.hear(payload, &mut self.out)? {
            self.claimant.lost(piece);
        }
        self.spoke(before);
        self.host.report_passed_over(self.peer, &mut self.extensions);
        self.show_pieces();
        if let Some(port) = self.extensions.theirs.said.p.filter(|port| *port != 0) {
            self.stats.set_listen_port(port);
        }
        Ok(())
    }

    /// Handles a message that a session itself has no use for. An extension may have one.
    pub(super) fn receive_plain(&mut self, message: &Message) -> Result<(), SessionEnd> {
        let before = self.out.len();
        self.extensions.hear_plain(message, &mut self.out)?;
        self.spoke(before);
        // It may have been what convicts a liar.
        self.host.report_lies(self.torrent);
        self.host.report_passed_over(self.peer, &mut self.extensions);
        Ok(())
    }

    /// Counts what extensions have added to `out`, which had this length before. It is sent at
    /// once.
    fn spoke(&mut self, before: usize) {
        let length = self.out.len() - before;
        if length > SMALL {
            // The info dictionary may be large, so it counts toward the upload limit as blocks do.
            self.host.upload_limit.spend(length, self.clock.now);
        }
        self.urgent |= length > 0;
    }
}
