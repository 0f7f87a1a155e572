//! The datagrams of the DHT.

use piecemeal::s21_dht_lookup::krpc::{Body, MAX_ECHOED, MAX_NODES, MAX_VALUES, Packet, program};

use super::{bounded, is_printable};

/// Decodes the input; encodes what came out, and decodes that.
pub fn check(input: &[u8]) {
    // A value of two bytes takes 48, and a node of 26 bytes about as much again.
    match bounded(input.len(), 64, || Packet::decode(input)) {
        Ok(packet) => {
            if let Some(version) = &packet.version {
                is_printable(program(version));
            }
            if let Body::Response(response) = &packet.body {
                assert!(response.nodes.len() <= 2 * MAX_NODES);
                assert!(response.values.len() <= MAX_VALUES);
                let addresses = response.nodes.iter().map(|node| &node.address);
                assert!(addresses.chain(&response.values).all(|address| address.port() != 0));
                assert!(response.token.as_ref().is_none_or(|token| token.len() <= MAX_ECHOED));
            }
            // Of a question that nobody knows, only its name is kept.
            assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
        }
        Err(error) => is_printable(error),
    }
}
