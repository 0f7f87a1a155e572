//! The messages of `ut_metadata`: a dictionary, and exactly what is behind it.

use piecemeal::s01_bencode::decode_prefix;
use piecemeal::s08_metadata::message::MetadataMessage;

use super::{bounded, is_printable};

/// Decodes the input; encodes what came out, and decodes that.
pub fn check(input: &[u8]) {
    match bounded(input.len(), 512, || MetadataMessage::decode(input)) {
        Ok(message) => {
            let dictionary =
                decode_prefix(input).expect("a message begins with a dictionary").raw.len();
            if let MetadataMessage::Data { data, .. } = message {
                assert_eq!(data, &input[dictionary..]);
            }
            let again = message.encode();
            assert_eq!(MetadataMessage::decode(&again), Ok(message));
        }
        Err(error) => is_printable(error),
    }
}
