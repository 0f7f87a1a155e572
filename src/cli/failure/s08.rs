//! What to do about an info dictionary that does not come. (stage 8)

use crate::cli::exit_codes::{BAD_INPUT, NO_PEER, WRONG_HASH};
use crate::cli::failure::{Failure, MORE_TIME};
use piecemeal::s07_extension::ExtensionError;
use piecemeal::s08_metadata::MetadataError;

impl From<MetadataError> for Failure {
    fn from(error: MetadataError) -> Failure {
        let (code, help) = match error {
            MetadataError::Extension(ExtensionError::Message(ref error)) if error.is_timeout() => {
                (NO_PEER, MORE_TIME)
            }
            MetadataError::WrongHash { .. } => {
                (WRONG_HASH, "try another peer: the hash tells a right answer from a wrong one")
            }
            MetadataError::Metainfo(_) => {
                (BAD_INPUT, "every peer has the same one; look for another link")
            }
            MetadataError::Extension(_)
            | MetadataError::NotOffered
            | MetadataError::Rejected { .. } => {
                (NO_PEER, "try another peer: this one does not give it")
            }
            _ => (NO_PEER, "try another peer: this one breaks the rules"),
        };
        Failure::new(code, error).help(help).see("08-metadata")
    }
}
