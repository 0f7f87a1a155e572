//! How we introduce ourselves to a peer: by which name of the torrent, and with which bits. It
//! changes when the info dictionary comes.

use std::sync::Arc;

use super::Swarm;
use crate::s02_metainfo::{Info, InfoHash};
use crate::s04_handshake::Handshake;
use crate::s05_messages::FAST_BIT;
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

    /// The handshake with which we dial a peer, by one of the torrent's names.
    pub(super) fn opening(&self, name: InfoHash) -> Handshake {
        let ours = Handshake { info_hash: name, ..self.handshake() };
        self.names.bit(name).map_or(ours, |bit| ours.with_bit(bit))
    }
}
