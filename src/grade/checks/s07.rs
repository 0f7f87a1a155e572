//! Stage 7: `magnet_handshake LINK` makes the extension handshake.

use crate::grade::check::Check;

/// The checks of stage 7.
pub const CHECKS: &[Check] = &[];
