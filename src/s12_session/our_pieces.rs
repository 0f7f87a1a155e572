//! What we tell the peer about ourselves: which pieces we have, and whether we want more.
//!
//! | when | what | where the spec says so |
//! |---|---|---|
//! | at the start | `bitfield`, `have all` or `have none` | BEP 3, 6 |
//! | after that | the extension handshake | BEP 10 |
//! | a piece is finished | `have` | BEP 3 |
//! | a finished piece was changed on disk | `lt_donthave` | BEP 54 |
//! | we want no more pieces | the extension handshake again, with `upload_only` | BEP 21 |

use super::Session;
use crate::s05_messages::Message;
use crate::s07_extension::{dont_have, encode_extended};

impl Session<'_> {
    /// Says which pieces we have. BEP 6 requires exactly one of three messages; BEP 3 allows us to
    /// leave out an empty bitfield. It must be the first message after the handshake, so the
    /// extension handshake comes after it.
    pub(super) fn say_what_we_have(&mut self) {
        let pieces = self.shown_pieces();
        match pieces.count() {
            0 if self.fast => Message::HaveNone.encode_to(&mut self.out),
            0 => {}
            _ if self.fast && pieces.is_full() => Message::HaveAll.encode_to(&mut self.out),
            _ => Message::Bitfield { bits: &pieces.encode() }.encode_to(&mut self.out),
        }
    }

    /// Sends our extension handshake, as it is now. BEP 10 allows any number of them.
    pub(super) fn send_extension_handshake(&mut self) {
        self.extensions.upload_only = self.says_upload_only();
        if self.extended {
            encode_extended(0, &self.extensions.greeting(self.peer.ip()).encode(), &mut self.out);
            self.urgent = true;
        }
    }

    /// Tells the peer which pieces are finished, or lost. Gives up the finished ones that we were
    /// also fetching here. Takes no lock unless there is news.
    pub(super) fn take_news(&mut self) {
        for piece in self.claimant.news() {
            // A seed does not need our haves.
            if !self.claimant.is_seed() && self.shows(piece) {
                if self.out.is_empty() {
                    self.waiting_since = self.clock.now;
                }
                Message::Have { index: piece.get() }.encode_to(&mut self.out);
            }
            // In the end game another peer was faster. Cancel, before the blocks come twice.
            self.give_back(piece.get());
        }
        for piece in self.claimant.withdrawn() {
            // A peer without the extension may still request the piece, and gets no block of it.
            if let Some(id) = self.extensions.theirs.id(dont_have::NAME)
                && self.shows(piece)
            {
                encode_extended(id, &dont_have::encode(piece.get()), &mut self.out);
                self.urgent = true;
            }
        }
        if self.extensions.upload_only != self.says_upload_only() {
            self.send_extension_handshake();
        }
    }
}
