//! Stage 2: `info TORRENT` prints what a .torrent file says.

use crate::grade::check::Check;

/// The checks of stage 2.
pub const CHECKS: &[Check] = &[];
