//! One extension of one connection: what it is told, and what it may answer.
//!
//! Later stages plug their messages in here. An extension never touches the connection. It is told
//! what happens, and returns what is to be sent:
//!
//! ```text
//!                                  Offer::open makes one for each peer
//!                                                 |
//!   a message 20 with its id         --> message  v
//!   another message, not of stage 5  --> plain    Extension --> Reply --> the peer
//!   the session begins               --> opened
//!   time passes                      --> tick
//! ```
//! Many only handle their message 20, as `ut_metadata` (stage 8) and
//! [`lt_donthave`](super::dont_have) do. A first reading can stop after [`Extension::message`]: the
//! rest is for extensions that speak first, or that have messages outside of message 20.

use std::time::{Duration, Instant};

use thiserror::Error;

use super::{BoxError, ExtensionError, ExtensionHandshake, Extensions, encode_extended, refused};
use crate::s04_handshake::Handshake;
use crate::s05_messages::Message;
use crate::s05_messages::connection::Connection;

/// How often extensions are told that time passes, at most.
const TICK: Duration = Duration::from_millis(250);

/// An extension: one value for each peer.
pub trait Extension: Send {
    /// The extension's name in `m`, and in messages to the user.
    fn name(&self) -> &'static str;

    /// Adds the extension's own keys to our handshake, such as `metadata_size`.
    fn offer(&self, _ours: &mut ExtensionHandshake) {}

    /// Handles a message from the peer, given without the ids.
    ///
    /// # Errors
    /// If the message breaks the extension's rules; then the connection ends.
    fn message(&mut self, payload: &[u8], reply: &mut Reply) -> Result<(), BoxError>;

    /// Whether it is listed in `m`. One that is not has no message 20; both sides know of it by a
    /// reserved bit of their handshakes, [`Offer::bit`].
    fn is_listed(&self) -> bool {
        true
    }

    /// Handles a message that stage 5 knows only by its id, or not at all: `port` is one. Returns
    /// whether it was the extension's own.
    ///
    /// # Errors
    /// If the message breaks the extension's rules; then the connection ends.
    fn plain(&mut self, _message: &Message, _reply: &mut Reply) -> Result<bool, BoxError> {
        Ok(false)
    }

    /// The session begins, and this is the peer's handshake. Its extension handshake may not have
    /// come yet.
    fn opened(&mut self, _theirs: &Handshake, _reply: &mut Reply) {}

    /// Time passes. Called up to four times a second, and every two seconds if the session is idle.
    /// If the extension is listed, it is called only while the peer speaks it too.
    fn tick(&mut self, _now: Instant, _reply: &mut Reply) {}
}

/// An extension ends the connection because what the peer has sent is proved to be wrong. A slip
/// can happen to an honest peer, and this cannot; so it is told apart by its type.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct PeerLied(pub BoxError);

/// What an extension wants done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Payloads to send to the same extension on the other side.
    pub send: Vec<Vec<u8>>,
    /// Encoded messages to send as they are.
    pub plain: Vec<u8>,
    /// Pieces that the peer no longer has, as it says in a message 20. Numbers as received: they
    /// may not exist.
    pub lost: Vec<u32>,
    /// Notes about what was wrong in a message, and did no harm.
    pub passed_over: Vec<String>,
}

impl Reply {
    /// Appends to `out` what is to be sent. A peer that gave the extension no id, or turned it off,
    /// gets only the plain messages.
    pub(super) fn encode_to(&self, id: Option<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.plain);
        if let Some(id) = id {
            self.send.iter().for_each(|payload| encode_extended(id, payload, out));
        }
    }
}

/// Makes an extension for each peer of a torrent.
pub trait Offer: Send + Sync {
    /// The reserved bit of our handshake that says we speak it, counted as
    /// [`EXTENSION_BIT`](super::EXTENSION_BIT) is. Most have none.
    fn bit(&self) -> Option<usize> {
        None
    }

    /// How much has come of what the download needs before its first block, over all peers. Any
    /// number that grows: as long as it does, the download has patience.
    fn progress(&self) -> u64 {
        0
    }

    /// Makes the extension for a peer whose handshake is done. `None` if it is not for this peer.
    fn open(&self, peer: &Connection) -> Option<Box<dyn Extension>>;
}

impl Extensions {
    /// Offers a plain message to one extension after the other, until one takes it. Appends encoded
    /// answers to `out`.
    ///
    /// # Errors
    /// If an extension's rules are broken.
    pub fn hear_plain(
        &mut self,
        message: &Message,
        out: &mut Vec<u8>,
    ) -> Result<(), ExtensionError> {
        let mut passed_over = Vec::new();
        for extension in &mut self.ours {
            let mut reply = Reply::default();
            let taken = extension.plain(message, &mut reply);
            let taken = taken.map_err(|error| refused(&**extension, error))?;
            reply.encode_to(self.theirs.id(extension.name()), out);
            passed_over.append(&mut reply.passed_over);
            if taken {
                break;
            }
        }
        passed_over.into_iter().for_each(|note| self.pass_over(note));
        Ok(())
    }

    /// Tells all extensions that the session begins. Appends what they send to `out`.
    pub fn opened(&mut self, theirs: &Handshake, out: &mut Vec<u8>) {
        for extension in &mut self.ours {
            let mut reply = Reply::default();
            extension.opened(theirs, &mut reply);
            reply.encode_to(self.theirs.id(extension.name()), out);
        }
    }

    /// Makes the next [`Extensions::tick`] tell the time, however short ago the last one did: there
    /// is news that an extension may act on.
    pub fn hurry(&mut self) {
        self.next_tick = None;
    }

    /// Tells the extensions the time, if the last time was long enough ago. Appends what they send
    /// to `out`.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<u8>) {
        // A session calls this before each read, and usually it ends here.
        if self.next_tick.is_some_and(|next| now < next) {
            return;
        }
        self.next_tick = Some(now + TICK);
        for extension in &mut self.ours {
            let id = self.theirs.id(extension.name());
            if id.is_some() || !extension.is_listed() {
                let mut reply = Reply::default();
                extension.tick(now, &mut reply);
                reply.encode_to(id, out);
            }
        }
    }
}
