//! Stage 12: `download_from -o OUT TORRENT HOST:PORT` fetches all of a torrent from one peer.

use crate::grade::check::Check;

/// The checks of stage 12.
pub const CHECKS: &[Check] = &[];
