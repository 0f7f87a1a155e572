//! The messages about hashes, and proofs of whatever hashes are in them.

use piecemeal::s23_v2::merkle::Hash;
use piecemeal::s24_hash_transfer::message::HashMessage;
use piecemeal::s24_hash_transfer::proof::{check, climb, possible};

use super::{bounded, is_printable};

/// Decodes the input, whose first byte is the id; encodes what came out. Then checks the hashes in
/// it, in trees of every height.
pub fn check_all(input: &[u8]) {
    let (&id, payload) = input.split_first().unwrap_or((&22, &[]));
    match bounded(input.len(), 4, || HashMessage::decode(id, payload)) {
        Ok(Some(message)) => {
            let mut bytes = Vec::new();
            message.encode_to(&mut bytes);
            assert_eq!(&bytes[4..], input, "there is one way to write a message");
            let (request, hashes) = match &message {
                HashMessage::Hashes(request, hashes) => (request, &hashes[..]),
                HashMessage::Request(request) | HashMessage::Reject(request) => (request, &[][..]),
            };
            for height in 0..=50 {
                if let Err(error) = possible(request, height) {
                    is_printable(error);
                }
            }
            bounded(input.len(), 8, || match climb(request, hashes) {
                Ok(hash) => {
                    assert_eq!(check(request, hashes, hash), Ok(()));
                    assert!(check(request, hashes, Hash(hash.0.map(|byte| !byte))).is_err());
                }
                Err(error) => is_printable(error),
            });
        }
        Ok(None) => assert!(!(21..=23).contains(&id)),
        Err(error) => is_printable(error),
    }
}
