//! Stage 15: `download -o OUT TORRENT` fetches from many peers at once.

use crate::grade::check::Check;

/// The checks of stage 15.
pub const CHECKS: &[Check] = &[];
