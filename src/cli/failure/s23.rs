//! What to do about a broken torrent of version 2. (stage 23)

use std::error::Error;

use crate::cli::exit_codes::BAD_INPUT;
use crate::cli::failure::Failure;
use piecemeal::s23_v2::V2Error;

/// Returns the failure for a torrent whose version 2 part is refused.
pub fn failure(error: &(dyn Error + Send + Sync + 'static)) -> Failure {
    let help = match error.downcast_ref() {
        Some(
            V2Error::UnknownRoot { .. } | V2Error::LayerSize { .. } | V2Error::LayerRoot { .. },
        ) => "its piece hashes were damaged or changed; download it again",
        Some(V2Error::TwoLengths { .. } | V2Error::Longer { .. }) => {
            "no content fits this torrent: get another torrent of the same content"
        }
        Some(V2Error::Halves { .. }) => {
            "clients would see two different contents in it: get another torrent of the same content"
        }
        Some(V2Error::OtherName) => "look for a link with `xt=urn:btmh:`, or for the torrent file",
        Some(V2Error::Unsorted { .. } | V2Error::FileOrFolder { .. }) => {
            "it was made by a broken program: get another torrent of the same content"
        }
        Some(V2Error::TwoTorrents) => "try the link with one of its hashes, or get another link",
        None => "it is damaged, or not a torrent; download it again",
    };
    Failure::new(BAD_INPUT, error).help(help).see("23-v2")
}
