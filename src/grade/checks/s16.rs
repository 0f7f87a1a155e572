//! Stage 16: `serve` gives to one peer at a time.

use crate::grade::check::Check;

/// The checks of stage 16.
pub const CHECKS: &[Check] = &[];
