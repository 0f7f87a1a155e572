//! Stage 3: `peers TORRENT` asks the trackers for peers.

use crate::grade::check::Check;

/// The checks of stage 3.
pub const CHECKS: &[Check] = &[];
