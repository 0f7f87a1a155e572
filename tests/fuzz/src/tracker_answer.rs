//! A tracker's answer: as many peers as there are bytes for, and none that cannot be dialed.

use std::net::SocketAddr;

use piecemeal::s01_bencode::{Value, decode_prefix, encode};
use piecemeal::s03_tracker::peers::MAX_PEERS;
use piecemeal::s03_tracker::{AnnounceResponse, TrackerError};

use super::{bounded, is_printable};

/// Decodes the input as an answer, and as the compact peers in one.
pub fn check(input: &[u8]) {
    match bounded(input.len(), 512, || AnnounceResponse::decode(input)) {
        Ok(answer) => {
            assert!(answer.peers.iter().all(|peer| peer.port() != 0));
            assert!(answer.peers.len() <= (input.len() / 6).min(2 * MAX_PEERS));
            answer.warning.iter().for_each(is_printable);
            answer.passed_over.iter().for_each(is_printable);
            // A strict reading refuses repeated keys.
            if let Ok(top) = decode_prefix(input) {
                for (number, key) in
                    [(answer.complete, "complete"), (answer.incomplete, "incomplete")]
                {
                    assert_eq!(number, top.get(key).and_then(Value::unsigned));
                }
            }
        }
        Err(TrackerError::Failure { reason, .. }) => is_printable(reason),
        Err(error) => is_printable(error),
    }

    let compact = encode::dictionary([("peers", encode::bytes(input))]);
    let peers = input.chunks(6).map(|peer| {
        let [a, b, c, d, high, low] = peer.try_into().ok()?;
        Some(SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low]))))
    });
    let peers: Option<Vec<SocketAddr>> = peers.collect();
    let read = AnnounceResponse::decode(&compact).ok().map(|answer| answer.peers);
    let most = |peers: Vec<SocketAddr>| {
        peers.into_iter().take(MAX_PEERS).filter(|peer| peer.port() != 0).collect()
    };
    assert_eq!(read, peers.map(most));
}
