//! What to do about a peer that gives no hashes, or wrong ones. (stage 24)

use crate::cli::exit_codes::{NO_PEER, WRONG_HASH};
use crate::cli::failure::{Failure, MORE_TIME};
use piecemeal::s24_hash_transfer::HashTransferError;
use piecemeal::s24_hash_transfer::one_peer::FetchError;

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Failure {
        let (code, help) = match error {
            FetchError::Connection(_) => (NO_PEER, MORE_TIME),
            FetchError::Rejected => {
                (NO_PEER, "try another peer: one that has only some pieces may lack their hashes")
            }
            FetchError::Hashes(HashTransferError::Message(_)) => {
                (NO_PEER, "try another peer: this one breaks the rules")
            }
            FetchError::Hashes(_) => (WRONG_HASH, "try another peer: this one lies"),
        };
        Failure::new(code, error).help(help).see("24-hash-transfer")
    }
}
