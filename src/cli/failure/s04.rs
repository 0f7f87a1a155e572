//! What to do about a handshake that fails. (stage 4)

use crate::cli::exit_codes::NO_PEER;
use crate::cli::failure::{Failure, MORE_TIME};
use piecemeal::s04_handshake::HandshakeError;
use std::io::ErrorKind;

impl From<HandshakeError> for Failure {
    fn from(error: HandshakeError) -> Failure {
        let help = match error {
            HandshakeError::OtherProtocol { .. } => {
                "this is not a BitTorrent peer; check the address and the port"
            }
            HandshakeError::OtherTorrent { .. } | HandshakeError::HungUp => {
                "the peer may not have this torrent; try another"
            }
            HandshakeError::Ourselves => "that is our own address; try another",
            HandshakeError::Io(ref error) if error.kind() == ErrorKind::TimedOut => MORE_TIME,
            HandshakeError::Io(_) => {
                "nothing listens there: check the address, or try another; is the lab running?"
            }
        };
        Failure::new(NO_PEER, error).help(help).see("04-handshake")
    }
}
