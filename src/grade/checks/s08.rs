//! Stage 8: `magnet_info LINK` fetches the info dictionary from a peer.

use crate::grade::check::Check;

/// The checks of stage 8.
pub const CHECKS: &[Check] = &[];
