//! Stage 4: `handshake TORRENT HOST:PORT` shakes hands with a peer.

use crate::grade::check::Check;

/// The checks of stage 4.
pub const CHECKS: &[Check] = &[];
