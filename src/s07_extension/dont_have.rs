//! `lt_donthave` (BEP 54): "I no longer have this piece", the opposite of `have`.
//!
//! ```text
//! 0        4    5    6
//! | 6      | 20 | id | piece, 4 bytes big-endian |
//! ```

use thiserror::Error;

use super::BoxError;
use super::extension::{Extension, Reply};

/// Receives a peer's notices that it lost a piece.
pub struct DontHave;

/// The extension's name in `m`.
pub const NAME: &str = "lt_donthave";

impl Extension for DontHave {
    fn name(&self) -> &'static str {
        NAME
    }

    fn message(&mut self, payload: &[u8], reply: &mut Reply) -> Result<(), BoxError> {
        reply.lost.push(decode(payload)?);
        Ok(())
    }
}

/// Encodes the payload for a piece.
pub fn encode(index: u32) -> [u8; 4] {
    index.to_be_bytes()
}

/// Decodes the piece in a payload. It is not checked against the torrent.
///
/// # Errors
/// If the payload is not four bytes.
pub fn decode(payload: &[u8]) -> Result<u32, DontHaveError> {
    payload.try_into().map(u32::from_be_bytes).map_err(|_| DontHaveError { found: payload.len() })
}

/// The payload has the wrong size.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("a piece index of 4 bytes was expected, but found {found}")]
pub struct DontHaveError {
    /// The payload's size in bytes.
    pub found: usize,
}
