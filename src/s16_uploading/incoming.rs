//! A peer that dials us: its handshake, and our answer.

use std::io::{Read, Write};

use crate::s02_metainfo::Names;
use crate::s04_handshake::{Handshake, HandshakeError};

/// Reads a peer's handshake and answers it, if it is about our torrent. Our answer has the name
/// that the peer used, which may be any of `names`; or a better one, if the peer says that it knows
/// it. The handshake that is returned has the name of our answer, which both sides go by.
///
/// We read before we write: the peer has dialed, and says first which torrent it wants. We answer
/// after 48 bytes, as soon as that is known. The last 20, the peer id, may come later: some
/// trackers and peers only check whether we are there, and hang up when they have our answer.
///
/// # Errors
/// If the peer hangs up, speaks another protocol, wants another torrent, or is ourselves.
pub fn answer<S: Read + Write>(
    stream: &mut S,
    ours: &Handshake,
    names: &Names,
) -> Result<Handshake, HandshakeError> {
    let (reserved, info_hash) = Handshake::read_opening(stream)?;
    if !names.has(info_hash) {
        return Err(HandshakeError::OtherTorrent { expected: ours.info_hash, found: info_hash });
    }
    let theirs = Handshake { reserved, info_hash, ..*ours };
    let info_hash = names.to_answer(info_hash, |bit| theirs.has_bit(bit));
    // Not before the check: a peer that asks for another torrent learns nothing from us, not even
    // which client this is.
    stream.write_all(&Handshake { info_hash, ..*ours }.encode())?;
    let peer_id = Handshake::read_peer_id(stream)?;
    if peer_id == ours.peer_id {
        return Err(HandshakeError::Ourselves);
    }
    Ok(Handshake { reserved, info_hash, peer_id })
}
