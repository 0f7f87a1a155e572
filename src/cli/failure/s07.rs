//! What to do about a broken extension handshake. (stage 7)

use crate::cli::exit_codes::NO_PEER;
use crate::cli::failure::{Failure, MORE_TIME};
use piecemeal::s07_extension::ExtensionError;

impl From<ExtensionError> for Failure {
    fn from(error: ExtensionError) -> Failure {
        let late = matches!(&error, ExtensionError::Message(error) if error.is_timeout());
        let help = if late { MORE_TIME } else { "try another peer: this one cannot give metadata" };
        Failure::new(NO_PEER, error).help(help).see("07-extension")
    }
}
