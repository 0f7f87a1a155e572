//! `LT_metadata`, the first way to fetch metadata, kept as a lesson in design.
//!
//! ```text
//! | 0 | start | size - 1 |                        request, in 256ths of the whole
//! | 1 | total_size, 4 bytes | offset, 4 | bytes..  data
//! | 2 |                                           "I don't have metadata"
//! ```
//! It lost to `ut_metadata` (BEP 9), for reasons that are easy to see:
//!
//! * The requester does not know the size, so it asks in 256ths. A part has no
//!   fixed size, and requests with different `size` overlap.
//! * No answer names its request. So a refusal cannot say *what* is refused, and data that two
//!   requests cover may belong to either.
//! * Its fields are fixed. A bencoded dictionary takes another key; this does not.
//!
//! BEP 9 put the size into the extension handshake, and the rest followed.

use thiserror::Error;

/// The payload of an `LT_metadata` message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LtMetadata<'a> {
    /// "Send me `size` / 256 of the whole, from `start` / 256 on."
    Request {
        /// 0 to 255.
        start: u8,
        /// 1 to 256; one less is sent.
        size: u16,
    },
    /// A part of the metadata.
    Data {
        /// The size of all the metadata, in bytes.
        total_size: u32,
        /// Where this part belongs, in bytes.
        offset: u32,
        /// The part.
        bytes: &'a [u8],
    },
    /// "I don't have metadata."
    DontHave,
}

impl<'a> LtMetadata<'a> {
    /// Decodes a payload, without the extension id.
    ///
    /// # Errors
    /// If the type is unknown, or fields are missing.
    pub fn decode(payload: &'a [u8]) -> Result<LtMetadata<'a>, LtMetadataError> {
        match *payload {
            [0, start, size] => Ok(LtMetadata::Request { start, size: u16::from(size) + 1 }),
            [1, a, b, c, d, e, f, g, h, ref bytes @ ..] => Ok(LtMetadata::Data {
                total_size: u32::from_be_bytes([a, b, c, d]),
                offset: u32::from_be_bytes([e, f, g, h]),
                bytes,
            }),
            [2] => Ok(LtMetadata::DontHave),
            _ => Err(LtMetadataError { msg_type: payload.first().copied(), length: payload.len() }),
        }
    }

    /// Encodes the payload, without the extension id.
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            LtMetadata::Request { start, size } => vec![0, start, (size.clamp(1, 256) - 1) as u8],
            LtMetadata::Data { total_size, offset, bytes } => {
                [&[1], &total_size.to_be_bytes()[..], &offset.to_be_bytes(), bytes].concat()
            }
            LtMetadata::DontHave => vec![2],
        }
    }
}

/// The payload is none of the three messages.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("not an LT_metadata message: type {msg_type:?}, {length} bytes")]
pub struct LtMetadataError {
    /// The first byte, if there is one.
    pub msg_type: Option<u8>,
    /// The payload's size in bytes.
    pub length: usize,
}
