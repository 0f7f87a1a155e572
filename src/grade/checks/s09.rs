//! Stage 9: `download_piece -o OUT TORRENT N` fetches a piece and checks its hash.

use crate::grade::check::Check;

/// The checks of stage 9.
pub const CHECKS: &[Check] = &[];
