//! One peer, without a swarm: fetch one layer of one file.
//!
//! In a download, a session asks for hashes while it does something else. Here we want nothing but
//! hashes, so we wait for each answer, and say what it proves.
//!
//! Nothing is needed but a handshake by the name of version 2: no bitfield, no `interested`, no
//! unchoke, and no extension handshake. A peer that chokes us also answers. So this is the shortest
//! conversation in BitTorrent from which one can learn something that is certain.

use std::fmt;
use std::io;
use std::time::Instant;

use thiserror::Error;

use super::HashTransferError;
use super::asking::Owed;
use super::layers::{Lacking, MissingLayers};
use super::message::{HashMessage, HashMessageError, HashRequest};
use super::proof::check;
use crate::s01_bencode::counted;
use crate::s05_messages::connection::Connection;
use crate::s05_messages::{Message, MessageError};
use crate::s23_v2::merkle::Hash;

/// What has happened, for whoever follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// We have asked for hashes.
    Asked(HashRequest),
    /// They have come, and lead to the file's root.
    Proved(HashRequest),
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Step::Asked(HashRequest { base_layer, index, length, proof_layers, .. }) => {
                let end = index + length - 1;
                write!(out, "asked for hashes {index} to {end} of layer {base_layer}, ")?;
                write!(out, "with a proof of {}", counted(*proof_layers as usize, "layer"))
            }
            Step::Proved(request) => {
                let uncles = counted(request.uncles() as usize, "uncle");
                write!(out, "{} hashes and {uncles} have come, ", request.length)?;
                write!(out, "and lead to the root")
            }
        }
    }
}

/// Asks a peer for all hashes of a layer, and returns them once each is proved.
///
/// # Errors
/// If the peer rejects a request, sends wrong hashes, or is too slow.
pub fn fetch_layer(
    connection: &mut Connection,
    layer: Lacking,
    deadline: Instant,
    tell: &dyn Fn(Step),
) -> Result<Vec<Hash>, FetchError> {
    let (mut missing, mut owed) = (MissingLayers::new([layer]), Owed::default());
    // One deadline for all of it: whoever waits for the answer has no use for a part.
    connection.set_deadline(deadline);
    loop {
        // An answer makes room for the next request, as with blocks in stage 9.
        let mut requests = Vec::new();
        for request in owed.ask(&mut missing, Instant::now()) {
            HashMessage::Request(request).encode_to(&mut requests);
            tell(Step::Asked(request));
        }
        connection.send_bytes(&requests)?;
        let Message::Unknown { id, payload } = connection.read()? else { continue };
        match HashMessage::decode(id, payload)? {
            Some(HashMessage::Hashes(request, hashes)) if owed.given(&request) => {
                check(&request, &hashes, layer.root).map_err(HashTransferError::from)?;
                tell(Step::Proved(request));
                if let Some((_, hashes)) = missing.keep(&request, &hashes) {
                    return Ok(hashes);
                }
            }
            Some(HashMessage::Reject(request)) if owed.requests().contains(&request) => {
                return Err(FetchError::Rejected);
            }
            _ => {} // its pieces, and whatever else: we want nothing but hashes
        }
    }
}

/// Why a peer has not given the hashes of a layer.
#[derive(Debug, Error)]
#[allow(missing_docs)] // the messages say it
pub enum FetchError {
    #[error("hashes were expected, but {0}")]
    Connection(#[from] MessageError),
    #[error(transparent)]
    Hashes(#[from] HashTransferError),
    #[error("the peer rejects the request: it does not have these hashes, or gives them to nobody")]
    Rejected,
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> FetchError {
        MessageError::from(error).into()
    }
}

impl From<HashMessageError> for FetchError {
    fn from(error: HashMessageError) -> FetchError {
        HashTransferError::from(error).into()
    }
}
