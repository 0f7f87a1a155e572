//! Peers tell each other where their nodes are: the `port` message (BEP 5).
//!
//! ```text
//! 0        4    5
//! | 3      | 9  | UDP port |      "there is a node at my address, and this is its port"
//! ```
//! Each peer of a download is a way into the DHT. Whoever has a node sets a bit in the handshake;
//! if both have, each sends its port. Ours then asks there, and the other becomes known only if it
//! answers. A peer can name no other address than its own.

use std::net::SocketAddr;

use super::Handle;
use crate::s04_handshake::Handshake;
use crate::s05_messages::Message;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::BoxError;
use crate::s07_extension::extension::{Extension, Offer, Reply};

/// The reserved bit in the handshake that means "I have a node": the last of all, counted as
/// [`EXTENSION_BIT`](crate::s07_extension::EXTENSION_BIT) is.
pub const DHT_BIT: usize = 0;

/// The nodes of a download: at most one for each family.
pub struct PortOffer {
    /// Each with its UDP port.
    nodes: Vec<(Handle, SocketAddr)>,
    /// Whether the torrent is known to be private. Then no peer hears of the node (BEP 27).
    is_private: Box<dyn Fn() -> bool + Send + Sync>,
}

impl PortOffer {
    /// Offers nodes, each with the address at which it listens.
    pub fn new(
        nodes: Vec<(Handle, SocketAddr)>,
        is_private: impl Fn() -> bool + Send + Sync + 'static,
    ) -> PortOffer {
        PortOffer { nodes, is_private: Box::new(is_private) }
    }
}

impl Offer for PortOffer {
    fn bit(&self) -> Option<usize> {
        Some(DHT_BIT)
    }

    fn open(&self, peer: &Connection) -> Option<Box<dyn Extension>> {
        // From a magnet link, we may learn only after the handshake that the torrent is private.
        // The bit was set then, but no port follows.
        if (self.is_private)() {
            return None;
        }
        let fits = |node: &&(Handle, SocketAddr)| node.1.is_ipv4() == peer.peer.is_ipv4();
        let (handle, ours) = self.nodes.iter().find(fits)?.clone();
        Some(Box::new(Port { handle, ours: ours.port(), peer: peer.peer, asked: false }))
    }
}

/// The `port` messages of one connection. Both sides send one at most, right after the handshakes.
struct Port {
    /// Our node, of the family of the connection.
    handle: Handle,
    /// The UDP port of our node.
    ours: u16,
    /// The other end of the connection.
    peer: SocketAddr,
    /// Whether its node was asked. Once is enough: a peer may send any number of ports.
    asked: bool,
}

impl Extension for Port {
    fn name(&self) -> &'static str {
        "port"
    }

    /// It has no message 20.
    fn is_listed(&self) -> bool {
        false
    }

    /// Never called: nobody has an id for it.
    fn message(&mut self, _payload: &[u8], _reply: &mut Reply) -> Result<(), BoxError> {
        Ok(())
    }

    fn opened(&mut self, theirs: &Handshake, reply: &mut Reply) {
        // Without the bit, the peer may not know the message, and may hang up.
        if theirs.has_bit(DHT_BIT) {
            Message::Port { port: self.ours }.encode_to(&mut reply.plain);
        }
    }

    fn plain(&mut self, message: &Message, _reply: &mut Reply) -> Result<bool, BoxError> {
        let Message::Port { port } = message else { return Ok(false) };
        // Some clients send it without the bit. It says the same.
        if *port != 0 && !self.asked {
            self.asked = true;
            self.handle.check(SocketAddr::new(self.peer.ip(), *port));
        }
        Ok(true)
    }
}
