//! The three messages of `ut_metadata`: a dictionary, in one case followed by raw bytes.

use thiserror::Error;

use super::MetadataPieceIndex;
use crate::s01_bencode::limits::{Limits, decode_within};
use crate::s01_bencode::{BencodeError, Value, encode};

/// Limits of the dictionary: two or three numbers, and room for keys that others may add.
pub const LIMITS: Limits = Limits { depth: 4, items: 50 };

/// The payload of a `ut_metadata` message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // of the fields, which are BEP 9's
pub enum MetadataMessage<'a> {
    /// `msg_type` 0: "send me this metadata piece".
    Request { piece: MetadataPieceIndex },
    /// `msg_type` 1: "here it is". `total_size` is the size of all the metadata;
    /// the size of this piece is what is left of the message.
    Data { piece: MetadataPieceIndex, total_size: Option<u64>, data: &'a [u8] },
    /// `msg_type` 2: "I do not have it".
    Reject { piece: MetadataPieceIndex },
    /// An unknown `msg_type`, which BEP 9 says to ignore.
    Unknown { msg_type: u64 },
}

impl<'a> MetadataMessage<'a> {
    /// Decodes a payload, without the extension id.
    ///
    /// # Errors
    /// If it does not start with a dictionary, or lacks a number it needs.
    pub fn decode(payload: &'a [u8]) -> Result<MetadataMessage<'a>, MetadataMessageError> {
        let dictionary = decode_within(payload, LIMITS)?;
        // Missing, not a number and negative are one error: none of them can be used.
        let number = |key: &'static str| {
            dictionary
                .get(key)
                .and_then(Value::unsigned)
                .ok_or(MetadataMessageError::Missing { key })
        };
        let piece = || {
            let number = number("piece")?;
            u32::try_from(number)
                .map(MetadataPieceIndex)
                .map_err(|_| MetadataMessageError::Missing { key: "piece" })
        };
        Ok(match number("msg_type")? {
            0 => MetadataMessage::Request { piece: piece()? },
            1 => {
                // Where the dictionary ended, by the decoder's own count.
                let data = payload.get(dictionary.raw.len()..).unwrap_or_default();
                MetadataMessage::Data {
                    piece: piece()?,
                    total_size: number("total_size").ok(), // not needed: the handshake said it
                    data,
                }
            }
            2 => MetadataMessage::Reject { piece: piece()? },
            msg_type => MetadataMessage::Unknown { msg_type },
        })
    }

    /// Encodes the payload, without the extension id.
    pub fn encode(&self) -> Vec<u8> {
        let head = |msg_type: u64, piece: Option<u32>, total_size: Option<u64>| {
            let keys = [
                ("msg_type", Some(msg_type)),
                ("piece", piece.map(u64::from)),
                ("total_size", total_size),
            ];
            encode::dictionary(
                keys.into_iter().filter_map(|(key, number)| Some((key, encode::integer(number?)))),
            )
        };
        match self {
            MetadataMessage::Request { piece } => head(0, Some(piece.0), None),
            MetadataMessage::Data { piece, total_size, data } => {
                [&head(1, Some(piece.0), *total_size), *data].concat()
            }
            MetadataMessage::Reject { piece } => head(2, Some(piece.0), None),
            MetadataMessage::Unknown { msg_type } => head(*msg_type, None, None),
        }
    }
}

/// Why a `ut_metadata` message is refused.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum MetadataMessageError {
    /// It does not start with bencode.
    #[error("a ut_metadata message is not bencode: {0}")]
    Bencode(#[from] BencodeError),
    /// A key is missing, or not a number in the valid range.
    #[error("a ut_metadata message needs a number at {key}")]
    Missing { key: &'static str },
}
