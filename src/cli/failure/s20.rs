//! What to do when the local network cannot be asked. (stage 20)

use std::io::ErrorKind;

use crate::cli::exit_codes::{BAD_INPUT, LOCAL};
use crate::cli::failure::Failure;
use piecemeal::s20_lsd::LsdError;

impl From<LsdError> for Failure {
    fn from(error: LsdError) -> Failure {
        let (code, help) = match &error {
            LsdError::Private => (BAD_INPUT, "`piecemeal peers` asks them"),
            LsdError::Join { error, .. } if error.kind() == ErrorKind::AddrNotAvailable => {
                (LOCAL, "--bind must be an address of this computer")
            }
            LsdError::Join { .. } | LsdError::Receive { .. } => {
                (LOCAL, "connect this computer to a network, or choose one with --bind IP")
            }
        };
        Failure::new(code, error).help(help).see("20-lsd")
    }
}
