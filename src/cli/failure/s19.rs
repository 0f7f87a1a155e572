//! What to do about a peer that names no others, and about a torrent for which none may. (stage 19)

use std::path::Path;

use crate::cli::exit_codes::{BAD_INPUT, NO_PEER};
use crate::cli::failure::{Failure, MORE_TIME};
use piecemeal::s19_pex::one_peer::PexError;

impl From<PexError> for Failure {
    fn from(error: PexError) -> Failure {
        let help = match error {
            PexError::NamesNobody => {
                "some clients wait for a minute or more: try --timeout 100; or it knows nobody else"
            }
            PexError::Extension(_) => MORE_TIME,
            PexError::NotSpoken => "try another peer: this one names no others",
            PexError::Bencode(_) => "try another peer: this one breaks the rules",
        };
        Failure::new(NO_PEER, error).help(help).see("19-pex")
    }
}

/// The torrent is private: no peer may be asked for others.
pub fn private(torrent: &Path) -> Failure {
    let why = "this torrent is private, so only its trackers name peers";
    let help = "`piecemeal peers` asks them";
    Failure::new(BAD_INPUT, why).about(torrent.display()).help(help).see("19-pex")
}
