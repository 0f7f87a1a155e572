//! The messages of `LT_metadata`: every byte counts, so they are written as they were read.

use piecemeal::s08_metadata::lt_metadata::LtMetadata;

use super::{bounded, is_printable};

/// Decodes the input and encodes what came out.
pub fn check(input: &[u8]) {
    match bounded(0, 0, || LtMetadata::decode(input)) {
        Ok(message) => {
            assert_eq!(message.encode(), input);
            if let LtMetadata::Request { size, .. } = message {
                assert!((1..=256).contains(&size));
            }
        }
        Err(error) => {
            assert_eq!(error.length, input.len());
            is_printable(error);
        }
    }
}
