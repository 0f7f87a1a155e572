//! Why a seeder's connection ended, in the words of a note.

use std::fmt;
use std::io::{self, ErrorKind};

use thiserror::Error;

use super::hints::{self, Mistake};
use super::session::{IDLE_TIME, MAX_QUEUE, WRITE_TIMEOUT};
use crate::s02_metainfo::InfoHash;
use crate::s04_handshake::HandshakeError;
use crate::s05_messages::bitfield::BitfieldError;
use crate::s05_messages::{MessageError, Request};
use crate::s07_extension::ExtensionError;

/// Why a connection ended, as a note says it.
#[derive(Debug, Error)]
pub(super) enum Over {
    #[error("this seeder dies")]
    Died,
    #[error("{}{}", broken(error), behind(hint))]
    Message { error: MessageError, hint: Option<&'static str> },
    #[error("the peer hung up in the middle of a message: {hint}")]
    Unfinished { hint: String },
    #[error("{error}; {hint}")]
    Handshake { error: HandshakeError, hint: String },
    #[error("it asked for {found}, which is not here: expected {here}; {hint}")]
    OtherTorrent { found: InfoHash, here: String, hint: &'static str },
    #[error("{0}")]
    Extension(#[from] ExtensionError),
    #[error("its request for piece {}, begin {}, length {} is wrong: {rule}{}", request.index, request.begin, request.length, behind(hint))]
    Request { request: Request, rule: String, hint: Option<String> },
    #[error("{0}; the first piece is the highest bit of the first byte")]
    Bitfield(#[from] BitfieldError),
    #[error("it says that it has piece {index}, but there are {pieces}, counted from 0")]
    Have { index: u32, pieces: u32 },
    #[error("more of its requests are waiting than this seeder keeps ({MAX_QUEUE})")]
    TooMany,
    #[error("for {} s it did not read what it was sent: read while you write", WRITE_TIMEOUT.as_secs())]
    Unread,
    #[error("it said nothing for {} s", IDLE_TIME.as_secs())]
    Idle,
}

impl Over {
    /// Returns the mistake that ended the connection, if one did.
    pub(super) fn mistake(&self) -> Option<Mistake> {
        let see = match self {
            Over::Message { error: MessageError::HungUp { .. } | MessageError::Io(_), .. }
            | Over::Died
            | Over::Idle => {
                return None;
            }
            Over::Handshake { .. } => hints::HANDSHAKE,
            Over::OtherTorrent { .. } => hints::METAINFO,
            Over::Extension(_) => hints::EXTENSION,
            Over::Request { .. } | Over::TooMany | Over::Unread => hints::PIECES,
            Over::Message { .. }
            | Over::Unfinished { .. }
            | Over::Bitfield(_)
            | Over::Have { .. } => hints::MESSAGES,
        };
        Some(Mistake::new("end", self.to_string(), see))
    }
}

impl From<MessageError> for Over {
    fn from(error: MessageError) -> Over {
        Over::Message { error, hint: None }
    }
}

/// Converts an error of a write. Reads have errors of their own.
impl From<io::Error> for Over {
    fn from(error: io::Error) -> Over {
        if error.kind() == ErrorKind::TimedOut {
            Over::Unread
        } else {
            MessageError::Io(error).into()
        }
    }
}

fn behind<T: fmt::Display>(hint: &Option<T>) -> String {
    hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default()
}

/// Returns why a read failed. Every client ends by hanging up, which some systems report
/// as an error.
fn broken(error: &MessageError) -> String {
    match error {
        MessageError::HungUp { inside: false } => "it hung up".to_owned(),
        MessageError::Io(error)
            if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
        {
            "it hung up".to_owned()
        }
        other => other.to_string(),
    }
}
