//! One peer, without a swarm: whom does it name?
//!
//! In a download, a session hears of peers while it does something else. Here we want nothing but
//! addresses: we listen for as long as we have time, and pass over whatever the peer says about
//! pieces.

use std::io;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::NAME;
use super::message::PexMessage;
use crate::s01_bencode::BencodeError;
use crate::s05_messages::connection::Connection;
use crate::s05_messages::{Message, MessageError};
use crate::s07_extension::{EXTENDED, ExtensionError, Extensions};

/// The time after which we tell a peer that we only listen to that we are still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Waits until a peer has named others, and returns its message. The extension handshakes must
/// have been exchanged.
///
/// Nobody can ask for it. A peer speaks when it has news: at first within seconds, and then once a
/// minute at most.
///
/// # Errors
/// If the peer does not speak `ut_pex`, or names nobody until the deadline.
pub fn wait_for_peers(
    connection: &mut Connection,
    extensions: &mut Extensions,
    deadline: Instant,
) -> Result<PexMessage, PexError> {
    extensions.theirs.id(NAME).ok_or(PexError::NotSpoken)?;
    // A peer hangs up on those that say nothing for two minutes, whatever it says itself.
    let mut keep_alive = Instant::now() + KEEP_ALIVE;
    loop {
        connection.set_deadline(deadline.min(keep_alive));
        match connection.read() {
            Ok(Message::Unknown { id: EXTENDED, payload: [id, payload @ ..] })
                if extensions.our_id(NAME) == Some(*id) =>
            {
                let message = PexMessage::decode(payload)?;
                if !message.added.is_empty() {
                    return Ok(message);
                }
            }
            Ok(_) => {} // its pieces, and whatever else: we want nothing but addresses
            Err(error) if error.is_timeout() && Instant::now() >= deadline => {
                return Err(PexError::NamesNobody);
            }
            Err(error) if error.is_timeout() => {
                // The deadline that is over is also that of what we send.
                connection.set_deadline(deadline);
                connection.send(&Message::KeepAlive)?;
                keep_alive = Instant::now() + KEEP_ALIVE;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Why a peer has not named others.
#[derive(Debug, Error)]
pub enum PexError {
    /// The extension protocol failed (stage 7), or the connection below it.
    #[error("{}", match .0 {
        ExtensionError::Message(error) => format!("a ut_pex message was expected, but {error}"),
        error => error.to_string(),
    })]
    Extension(#[from] ExtensionError),
    /// The peer does not list `ut_pex`.
    #[error("the peer does not speak ut_pex")]
    NotSpoken,
    /// The time is over. It may be connected to nobody else.
    #[error("the peer has named nobody so far")]
    NamesNobody,
    /// A message cannot be read.
    #[error("a ut_pex message is not bencode: {0}")]
    Bencode(#[from] BencodeError),
}

impl From<MessageError> for PexError {
    fn from(error: MessageError) -> PexError {
        ExtensionError::from(error).into()
    }
}

impl From<io::Error> for PexError {
    fn from(error: io::Error) -> PexError {
        MessageError::from(error).into()
    }
}
