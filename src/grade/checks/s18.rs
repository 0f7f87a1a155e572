//! Stage 18: UDP trackers, and `scrape`.

use crate::grade::check::Check;

/// The checks of stage 18.
pub const CHECKS: &[Check] = &[];
