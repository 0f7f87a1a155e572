//! Stage 13: `announce TORRENT` announces again and again.

use crate::grade::check::Check;

/// The checks of stage 13.
pub const CHECKS: &[Check] = &[];
