//! Stage 10: `verify` and `create`.

use crate::grade::check::Check;

/// The checks of stage 10.
pub const CHECKS: &[Check] = &[];
