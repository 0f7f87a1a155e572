//! What to do about a piece that does not come. (stage 9)

use crate::cli::exit_codes::{NO_PEER, WRONG_HASH};
use crate::cli::failure::{Failure, MORE_TIME};
use piecemeal::s05_messages::MessageError;
use piecemeal::s09_pieces::PieceError;

impl From<PieceError> for Failure {
    fn from(error: PieceError) -> Failure {
        let code = if let PieceError::WrongHash { .. } = error { WRONG_HASH } else { NO_PEER };
        let help = match error {
            PieceError::WrongHash { .. } => "the peer sent bad data; try another",
            PieceError::Bitfield(_)
            | PieceError::Message(MessageError::TooLong { .. } | MessageError::Size { .. }) => {
                "try another peer: this one breaks the rules"
            }
            PieceError::NotThere { .. } => "try another peer: this one has other pieces",
            PieceError::Message(MessageError::HungUp { .. }) => {
                "try another peer, or the same one again"
            }
            _ => MORE_TIME,
        };
        Failure::new(code, error).help(help).see("09-pieces")
    }
}
