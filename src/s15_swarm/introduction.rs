//! How we introduce ourselves to a peer: by which name of the torrent, and with which bits. It
//! changes when the info dictionary comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::Swarm;
use crate::s02_metainfo::{Info, InfoHash};
use crate::s04_handshake::{Handshake, HandshakeError};
use crate::s05_messages::FAST_BIT;
use crate::s05_messages::connection::{Connection, HANDSHAKE_TIMEOUT};
use crate::s07_extension::EXTENSION_BIT;

impl Swarm {
    /// Notes the info dictionary, from the user or from a peer. From here on, it is offered to
    /// peers that only have a magnet link. The first call counts; all others bring the same.
    pub(super) fn know(&self, info: &Arc<Info>) {
        // The link may have had only one of two.
        self.names.learn(&info.names);
        let _ = self.metadata.set(info.raw.clone().into());
        let _ = self.info.set(Arc::clone(info));
    }

    /// Our handshake at this moment. A client that offers the fast extension must say which pieces
    /// it has right after the handshake, and without the info dictionary we do not know how many
    /// pieces there are.
    pub(super) fn handshake(&self) -> Handshake {
        // The answer to a peer that dials us has the name that it has used, or a better one.
        let bits = self.offers.iter().filter_map(|offer| offer.bit()).chain([EXTENSION_BIT]);
        let ours = bits.fold(Handshake::new(self.names.first(), self.peer_id), Handshake::with_bit);
        if self.torrent.get().is_some() { ours.with_bit(FAST_BIT) } else { ours }
    }

    /// Dials a peer and introduces us by one of the torrent's names. One deadline for all of it: a
    /// peer that is slow in everything holds a place meanwhile.
    ///
    /// # Errors
    /// If the peer cannot be reached, or does not serve the torrent.
    pub(super) fn meet(
        &self,
        peer: SocketAddr,
        name: InfoHash,
    ) -> Result<Connection, HandshakeError> {
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let dial =
            |ours: &Handshake| Connection::open_any(&*self.dial, peer, ours, &self.names, deadline);
        let plain = Handshake { info_hash: name, ..self.handshake() };
        let Some(bit) = self.names.bit(name) else { return dial(&plain) };
        match dial(&plain.with_bit(bit)) {
            // It also knows a better name, and that is not ours. If we have both from a link, they
            // may be two torrents'. By the name that we share, it can give us the info dictionary,
            // which proves that. Its word alone does not.
            Err(HandshakeError::OtherTorrent { .. }) if self.info.get().is_none() => dial(&plain),
            met => met,
        }
    }
}
