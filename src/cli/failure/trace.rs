//! What to do about a capture that cannot be replayed. (trace)

use crate::cli::exit_codes::BAD_INPUT;
use crate::cli::failure::Failure;
use piecemeal::trace::replay::ReplayError;

/// The page of the documentation about traces and captures.
pub const PAGE: &str = "reading-a-trace";

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Failure {
        let help = match error {
            ReplayError::NoConnection { .. } => "--connection N takes one of these",
            ReplayError::Unfit { .. } => {
                "piecemeal explain shows what is in the capture; --torrent FILE adds the torrent, --connection N takes another one"
            }
            ReplayError::OtherTorrent { .. } => {
                "give the torrent that was downloaded then, with --torrent FILE"
            }
        };
        Failure::new(BAD_INPUT, error).help(help).see(PAGE)
    }
}
