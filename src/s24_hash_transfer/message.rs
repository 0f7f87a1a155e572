//! The three messages about hashes, byte by byte.
//!
//! ```text
//! 0        4    5      37           41      45       49             53
//! | length | 21 | root | base layer | index | length | proof layers |            hash request
//! | length | 22 | root | base layer | index | length | proof layers | hashes ..  hashes
//! | length | 23 | root | base layer | index | length | proof layers |            hash reject
//! ```
//! An answer repeats the request, so each side knows what it is about without any numbering. The
//! request also says how many hashes must follow: an answer of any other size is broken.

use thiserror::Error;

use crate::s05_messages::Message;
use crate::s23_v2::merkle::Hash;

/// The id of a hash request. The next two are those of its answers.
pub const HASH_REQUEST: u8 = 21;
/// The id of an answer with hashes.
pub const HASHES: u8 = 22;
/// The id of an answer without: the hashes cannot be given.
pub const HASH_REJECT: u8 = 23;

/// The size of a request in bytes, without the message's length and id.
pub const REQUEST_SIZE: usize = 32 + 4 * 4;
/// The size of a hash in bytes.
const HASH_SIZE: usize = 32;

/// Hashes that stand side by side in a file's tree, and the hashes that prove them.
///
/// It names the file by its root, and not by its number: a torrent may have the same file twice,
/// and one answer serves for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashRequest {
    /// `pieces root`: the root of the file's tree.
    pub root: Hash,
    /// The layer of the hashes, counted from the leaves, which are layer 0.
    pub base_layer: u32,
    /// The first hash, counted within that layer.
    pub index: u32,
    /// How many hashes: a power of two, at least two.
    pub length: u32,
    /// How many layers above the base layer the proof reaches.
    pub proof_layers: u32,
}

impl HashRequest {
    /// How many hashes of the proof are sent. Those of the layers that the receiver computes itself
    /// from the hashes that it asked for are left out.
    ///
    /// ```text
    ///            o              layer 3
    ///        o       U          layer 2: an uncle, which is sent
    ///      o   o                layer 1: both are computed from layer 0
    ///     H H H H               layer 0: four hashes, with a proof of two layers
    /// ```
    pub fn uncles(&self) -> u32 {
        let computed = self.length.checked_ilog2().unwrap_or(0);
        self.proof_layers.saturating_sub(computed.saturating_sub(1))
    }

    /// Whether `length` is one that a request may have. Anything else makes no complete subtree.
    pub fn has_good_length(&self) -> bool {
        self.length >= 2 && self.length.is_power_of_two()
    }

    /// Decodes the 48 bytes.
    fn decode(bytes: &[u8; REQUEST_SIZE]) -> HashRequest {
        let (root, numbers) = bytes.split_first_chunk().expect("32 of 48 bytes");
        let word = |position: usize| {
            let bytes = numbers.as_chunks().0.get(position).expect("four numbers of 4 bytes");
            u32::from_be_bytes(*bytes)
        };
        HashRequest {
            root: Hash(*root),
            base_layer: word(0),
            index: word(1),
            length: word(2),
            proof_layers: word(3),
        }
    }

    /// Appends the 48 bytes.
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.root.0);
        for number in [self.base_layer, self.index, self.length, self.proof_layers] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// A message about hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashMessage {
    /// Asks for hashes.
    Request(HashRequest),
    /// The hashes that were asked for, and then the uncles, those nearest to them first.
    Hashes(HashRequest, Vec<Hash>),
    /// These hashes cannot be given.
    Reject(HashRequest),
}

impl HashMessage {
    /// Decodes a message from its id and payload. `None` if it is another message.
    ///
    /// A request for impossible hashes is decoded all the same, since it has an answer: a reject.
    ///
    /// # Errors
    /// If the payload is shorter or longer than the message must be.
    pub fn decode(id: u8, payload: &[u8]) -> Result<Option<HashMessage>, HashMessageError> {
        if !(HASH_REQUEST..=HASH_REJECT).contains(&id) {
            return Ok(None);
        }
        let size = |expected: u64| HashMessageError::Size { id, expected, found: payload.len() };
        let (request, rest) =
            payload.split_first_chunk().ok_or_else(|| size(REQUEST_SIZE as u64))?;
        let request = HashRequest::decode(request);
        if id != HASHES {
            return match (id, rest) {
                (HASH_REQUEST, []) => Ok(Some(HashMessage::Request(request))),
                (_, []) => Ok(Some(HashMessage::Reject(request))),
                _ => Err(size(REQUEST_SIZE as u64)),
            };
        }
        if !request.has_good_length() {
            return Err(HashMessageError::Length { found: request.length });
        }
        // In 64 bits: a length of 2^31 is a claim like any other.
        let count = u64::from(request.length) + u64::from(request.uncles());
        if rest.len() as u64 != count * HASH_SIZE as u64 {
            return Err(size(REQUEST_SIZE as u64 + count * HASH_SIZE as u64));
        }
        let hashes = rest.as_chunks().0.iter().copied().map(Hash).collect();
        Ok(Some(HashMessage::Hashes(request, hashes)))
    }

    /// Appends the whole message to `out`.
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        let (id, request, hashes) = match self {
            HashMessage::Request(request) => (HASH_REQUEST, request, &[][..]),
            HashMessage::Hashes(request, hashes) => (HASHES, request, hashes.as_slice()),
            HashMessage::Reject(request) => (HASH_REJECT, request, &[][..]),
        };
        let mut payload = Vec::with_capacity(REQUEST_SIZE + hashes.len() * HASH_SIZE);
        request.encode_to(&mut payload);
        hashes.iter().for_each(|hash| payload.extend_from_slice(&hash.0));
        Message::Unknown { id, payload: &payload }.encode_to(out);
    }
}

/// Returns the name that BEP 52 gives to the message with this id.
pub fn name(id: u8) -> Option<&'static str> {
    match id {
        HASH_REQUEST => Some("hash request"),
        HASHES => Some("hashes"),
        HASH_REJECT => Some("hash reject"),
        _ => None,
    }
}

/// Why a message about hashes cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum HashMessageError {
    /// The payload is too short or too long. Of an answer, the request in it says how long.
    #[error("message {id}, {}, must have {expected} bytes of payload, but has {found}", name(*id).unwrap_or("unknown"))]
    Size { id: u8, expected: u64, found: usize },
    /// An answer to a request that nobody can have made.
    #[error(
        "message 22, hashes, must bring a power of two of hashes, at least 2, but brings {found}"
    )]
    Length { found: u32 },
}
