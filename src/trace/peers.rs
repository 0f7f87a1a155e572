//! Peers as tracker messages name them: compact addresses and peer ids, each a single field.

use std::net::SocketAddr;

use super::client::Client;
use super::quoted;
use crate::s03_tracker::PeerId;
use crate::s03_tracker::peers::{address_v4, address_v6};

/// Returns value and note of a peer id that is a single field.
pub(super) fn one_peer_id(bytes: &[u8]) -> (String, String) {
    let client = bytes.first_chunk().and_then(|id| Client::of(&PeerId(*id)));
    (quoted(bytes), client.map(|client| client.to_string()).unwrap_or_default())
}

/// Returns value and note of a compact peer, 6 bytes.
pub(super) fn peer_v4(bytes: &[u8]) -> (String, String) {
    bytes.first_chunk().map(address_v4).map_or_else(Default::default, peer)
}

/// Returns value and note of a compact peer, 18 bytes.
pub(super) fn peer_v6(bytes: &[u8]) -> (String, String) {
    bytes.first_chunk().map(address_v6).map_or_else(Default::default, peer)
}

fn peer(address: SocketAddr) -> (String, String) {
    (
        address.to_string(),
        if address.port() == 0 { "port 0: of no use".to_owned() } else { String::new() },
    )
}
