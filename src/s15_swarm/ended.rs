//! The ends of a connection, and what becomes of the peer's address after each.

use std::io;

use thiserror::Error;

use crate::s02_metainfo::MetainfoError;
use crate::s04_handshake::HandshakeError;
use crate::s05_messages::MessageError;
use crate::s07_extension::ExtensionError;
use crate::s08_metadata::MetadataError;
use crate::s12_session::host::SessionEnd;
use crate::s14_peer_list::places::Why;

/// Why a connection ended, or could not be made, and so what becomes of the peer's address:
///
/// | end | the address |
/// |---|---|
/// | [`Handshake`](Ended::Handshake) | is dialed again later (1) |
/// | `Handshake`, and we had no descriptor left | is due at once, but nobody is dialed for 1 s |
/// | [`Session`](Ended::Session), but for the next four rows | is dialed again later (1) |
/// | `Session(Corrupt)` | is banned |
/// | `Session(BothComplete)` | is given up: neither side wants anything |
/// | `Session(Stopped)` | does not matter: the download is over |
/// | `Session(Local)` | does not matter: our disk failed, and the download ends |
/// | [`Metadata`](Ended::Metadata) | is dialed again later (1) |
/// | [`WrongMetadata`](Ended::WrongMetadata) | is banned |
/// | [`Unusable`](Ended::Unusable) | does not matter: the download ends |
/// | [`Banned`](Ended::Banned) | was banned when the lie was found |
/// | [`Ourselves`](Ended::Ourselves) | is given up |
/// | [`Twice`](Ended::Twice), the other connection is certain | is given up (2) |
/// | `Twice`, it is not | is dialed after a minute (2) |
/// | [`Crossed`](Ended::Crossed) | is dialed again later (1), as a rule after a minute |
/// | [`MadeRoom`](Ended::MadeRoom) | is dialed again later (1) |
/// | [`Panic`](Ended::Panic) | is dialed again later (1) |
///
/// 1. After 15 s, then twice as long each time, and given up after six dials in all. One that had
///    shaken hands gets one early chance after 2 s, and one that has sent a block starts from the
///    beginning. A dialed connection that ended within ten seconds, without a block, while another
///    to its peer was up, counts as a `Twice` that is not certain.
/// 2. Six dials in all, as above. When the other connection ends, it is due after 2 s. A connection
///    is certain if we dialed it and a block has gone over it; a peer id is only a claim.
///
/// The pauses are those of a patience of 60 s or more ([`Plan::retry`](super::Plan::retry)); with
/// less, they are shorter. A peer that dialed us did so from an address that cannot be dialed.
/// After (1), the address it listens at is dialed in 15 s if it had been given up.
#[derive(Debug, Error)]
#[allow(missing_docs)] // the messages say what each is
pub enum Ended {
    /// Nobody was there, or something that is not a peer of this torrent.
    #[error("{0}")]
    Handshake(HandshakeError),
    /// The session ended: the peer hung up, broke a rule or was too slow, or we had enough.
    #[error(transparent)]
    Session(SessionEnd),
    /// The peer could not give the info dictionary, and broke a rule over it.
    #[error(transparent)]
    Metadata(MetadataError),
    /// The peer gave another info dictionary than the one that the link names.
    #[error("{0}")]
    WrongMetadata(MetadataError),
    /// We hung up, since a piece that was fetched again showed which blocks had been wrong.
    #[error("blocks that it brought were wrong")]
    Banned,
    /// The handshake had our own peer id. A tracker names us to ourselves.
    #[error("it is ourselves")]
    Ourselves,
    /// We hung up at once: another connection to the peer is up.
    #[error("it is connected already")]
    Twice,
    /// We hung up: the peer had dialed us while we dialed it.
    #[error("two connections to it crossed, and the other one stays")]
    Crossed,
    /// We hung up: all places were taken.
    #[error("others wait for its place, and {}", reason(*.0))]
    MadeRoom(Why),
    /// A bug of ours. The other peers go on.
    #[error("its thread panicked, which is a bug in piecemeal")]
    Panic,
    /// The magnet link's torrent itself cannot be used. The download ends.
    #[error("{0}")]
    Unusable(MetainfoError),
}

/// Why this peer made room, and not another one.
fn reason(why: Why) -> &'static str {
    match why {
        Why::Crowded => "its IP has more than its share",
        Why::Unproved => "it was of no use yet, while its IP has more than its share",
        Why::Useless => "it was of no use for long",
        Why::Slowest => "it was the slowest",
    }
}

// The conversions sort out the errors that lead to another row of the table.

impl From<HandshakeError> for Ended {
    fn from(error: HandshakeError) -> Ended {
        match error {
            HandshakeError::Ourselves => Ended::Ourselves,
            error => Ended::Handshake(error),
        }
    }
}

impl From<MetadataError> for Ended {
    fn from(error: MetadataError) -> Ended {
        match error {
            // The hash was right, so every other peer would give the same one.
            MetadataError::Metainfo(error) => Ended::Unusable(error),
            error @ MetadataError::WrongHash { .. } => Ended::WrongMetadata(error),
            error => Ended::Metadata(error),
        }
    }
}

impl From<SessionEnd> for Ended {
    fn from(end: SessionEnd) -> Ended {
        Ended::Session(end)
    }
}

impl From<MessageError> for Ended {
    fn from(error: MessageError) -> Ended {
        SessionEnd::from(error).into()
    }
}

impl From<ExtensionError> for Ended {
    fn from(error: ExtensionError) -> Ended {
        SessionEnd::from(error).into()
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        SessionEnd::from(error).into()
    }
}
