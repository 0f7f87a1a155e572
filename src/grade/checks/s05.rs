//! Stage 5: messages, seen from the wire while `download_piece` runs.

use crate::grade::check::Check;

/// The checks of stage 5.
pub const CHECKS: &[Check] = &[];
