//! What to do about a broken extension handshake. (stage 7)

use crate::cli::exit_codes::NO_PEER;
use crate::cli::failure::{Failure, MORE_TIME};
use piecemeal::s07_extension::ExtensionError;

impl From<ExtensionError> for Failure {
    fn from(error: ExtensionError) -> Failure {
        let help = match &error {
            ExtensionError::Message(error) if error.is_timeout() => MORE_TIME,
            ExtensionError::Message(_) => "try another peer",
            ExtensionError::NotSpoken => "try another peer: this one has no extensions",
            _ => "try another peer: this one breaks the rules",
        };
        Failure::new(NO_PEER, error).help(help).see("07-extension")
    }
}
