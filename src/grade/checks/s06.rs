//! Stage 6: `magnet_parse LINK` prints what a magnet link says.

use crate::grade::check::Check;

/// The checks of stage 6.
pub const CHECKS: &[Check] = &[];
