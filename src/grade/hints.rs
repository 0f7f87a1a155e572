//! The likely cause of a failure, from the bytes that the actors wrote down.
//!
//! The sentences are those of the lab, which says them while the client runs. Here they are found
//! afterwards.

use crate::actors::recording::Recording;
use crate::lab::hints;
use crate::s04_handshake::{HANDSHAKE_LENGTH, PROTOCOL};
use crate::s05_messages::Message;

/// Returns the first likely cause in the order of the recordings.
pub(super) fn cause(recordings: &[Recording]) -> Option<String> {
    let peers = recordings.iter().filter(|recording| !recording.is_tracker());
    peers.filter_map(|recording| of_peer(&recording.from_client())).next()
}

/// Returns the likely cause in the bytes that a client sent to a peer.
fn of_peer(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return None;
    }
    let Some((handshake, mut rest)) =
        bytes.split_at_checked(HANDSHAKE_LENGTH).filter(|(all, _)| all.starts_with(PROTOCOL))
    else {
        return Some(hints::handshake(bytes.get(..HANDSHAKE_LENGTH).unwrap_or(bytes)));
    };
    debug_assert_eq!(handshake.len(), HANDSHAKE_LENGTH);
    let mut keep_alive = false;
    while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        if length == 0 {
            (keep_alive, rest) = (true, behind);
            continue;
        }
        let Some((frame, next)) = behind.split_at_checked(length) else {
            return Some(hints::unfinished(rest));
        };
        if let Err(error) = Message::decode(frame) {
            return hints::message(&error, keep_alive)
                .map_or_else(|| Some(error.to_string()), |hint| Some(hint.to_owned()));
        }
        (keep_alive, rest) = (false, next);
    }
    if rest.is_empty() { None } else { Some(hints::unfinished(rest)) }
}
