//! Why a seeder's connection ended, in the words of a note, and the limits that end one.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use thiserror::Error;

use crate::lab::hints::{self, Mistake};
use crate::s02_metainfo::InfoHash;
use crate::s04_handshake::HandshakeError;
use crate::s05_messages::bitfield::BitfieldError;
use crate::s05_messages::{MessageError, Request};
use crate::s07_extension::{ExtensionError, OUR_REQQ};

/// The longest silence of the peer.
pub const IDLE_TIME: Duration = Duration::from_secs(180);
/// The longest time that a peer may leave our data unread.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// A client that leaves earlier after its last message has not waited for anything.
pub const SHORTEST_WAIT: Duration = Duration::from_secs(2);
/// The most requests that may wait: twice the number that we tell the peer.
pub const MAX_QUEUE: usize = 2 * OUR_REQQ as usize;

/// Why a connection ended, as a note says it.
#[derive(Debug, Error)]
pub enum End {
    #[error("this seeder dies")]
    Died,
    #[error("this seeder hangs up, as its fault is")]
    Quirk,
    #[error("it hung up after {seconds} s without a byte: the side that dials speaks first")]
    Unspoken { seconds: u64 },
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

impl End {
    /// Returns the mistake that ended the connection, if one did.
    pub fn mistake(&self) -> Option<Mistake> {
        let see = match self {
            End::Message { error: MessageError::HungUp { .. } | MessageError::Io(_), .. }
            | End::Died
            | End::Quirk
            | End::Idle => {
                return None;
            }
            End::Handshake { .. } | End::Unspoken { .. } => hints::HANDSHAKE,
            End::OtherTorrent { .. } => hints::METAINFO,
            End::Extension(_) => hints::EXTENSION,
            End::Request { .. } | End::TooMany | End::Unread => hints::PIECES,
            End::Message { .. } | End::Unfinished { .. } | End::Bitfield(_) | End::Have { .. } => {
                hints::MESSAGES
            }
        };
        Some(Mistake::new("end", self.to_string(), see))
    }
}

impl From<MessageError> for End {
    fn from(error: MessageError) -> End {
        End::Message { error, hint: None }
    }
}

/// Converts an error of a write. Reads have errors of their own.
impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        if error.kind() == ErrorKind::TimedOut {
            End::Unread
        } else {
            MessageError::Io(error).into()
        }
    }
}

fn behind<T: fmt::Display>(hint: &Option<T>) -> String {
    hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default()
}

/// Whether the peer hung up between two messages, as every client does in the end. Some systems
/// report that as an error.
pub fn is_hangup(error: &MessageError) -> bool {
    match error {
        MessageError::HungUp { inside } => !inside,
        MessageError::Io(error) => {
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
        }
        _ => false,
    }
}

/// Returns why a read failed.
fn broken(error: &MessageError) -> String {
    if is_hangup(error) { "it hung up".to_owned() } else { error.to_string() }
}
