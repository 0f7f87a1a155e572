//! Stage 17: `seed` gives to many peers at once.

use crate::grade::check::Check;

/// The checks of stage 17.
pub const CHECKS: &[Check] = &[];
