//! What a client said to a peer about blocks, and the first mistake in it.

use crate::actors::recording::Recording;
use crate::actors::torrent::Torrent;
use crate::actors::wire;
use crate::grade::checks::peers::MAX_HEARD;
use crate::grade::miss::Miss;

/// The most bytes of a block.
const MAX_BLOCK: u32 = 16_384;

/// A request: piece, begin, length.
pub(in crate::grade::checks) type Request = (u32, u32, u32);

/// Returns the whole messages in some bytes, without keep-alives: each its id, and what follows.
pub(in crate::grade::checks) fn messages(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut messages = Vec::new();
    while let Some((prefix, behind)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        let Some((message, next)) = behind.split_at_checked(length) else { break };
        if let Some((id, payload)) = message.split_first() {
            messages.push((*id, payload));
        }
        bytes = next;
    }
    messages
}

/// Returns the requests that a client made of one peer, over all connections.
pub(in crate::grade::checks) fn requests(seen: &[Recording]) -> Vec<Request> {
    let said = seen.iter().map(|one| one.opening(MAX_HEARD));
    said.flat_map(|said| requests_in(&said)).collect()
}

fn requests_in(said: &[u8]) -> Vec<Request> {
    let rest = said.get(wire::HANDSHAKE..).unwrap_or_default();
    let requests = messages(rest).into_iter().filter(|(id, _)| *id == wire::REQUEST);
    requests.filter_map(|(_, payload)| wire::three(payload)).collect()
}

/// Adds the likely cause, as far as the conversations with the peers show it.
pub(in crate::grade::checks) fn explained(
    miss: Miss,
    seen: &[Recording],
    torrent: &Torrent,
) -> Miss {
    let peers = seen.iter().filter(|one| !one.is_tracker());
    match peers.filter_map(|peer| cause(peer, torrent)).next() {
        Some(cause) => miss.likely(cause),
        None => miss,
    }
}

/// Adds the cause that is likely if something was never said.
pub(in crate::grade::checks) fn unsaid(miss: Miss, seen: &[Recording]) -> Miss {
    let spoken: Vec<&Recording> =
        seen.iter().filter(|one| !one.is_tracker() && !one.is_silent()).collect();
    if spoken.is_empty() {
        return miss.likely(
            "no peer was dialed: its address comes from the command line, or from the tracker",
        );
    }
    let unchoked = |one: &&Recording| {
        let heard = one.to_client();
        let heard = messages(heard.get(wire::HANDSHAKE..).unwrap_or_default());
        heard.iter().any(|(id, _)| *id == wire::UNCHOKE)
    };
    if requests(seen).is_empty() && spoken.iter().any(unchoked) {
        return miss.likely("the peer unchoked, message 1, and no request came after that");
    }
    miss
}

/// Returns the first mistake in what a client said to a peer.
fn cause(seen: &Recording, torrent: &Torrent) -> Option<String> {
    let said = seen.opening(MAX_HEARD);
    let (handshake, rest) = said.split_at_checked(wire::HANDSHAKE)?;
    if handshake.get(28..48)? != torrent.info_hash {
        return Some("the info hash in the handshake is not the torrent's".to_owned());
    }
    let messages = messages(rest);
    let asked: Vec<&(u8, &[u8])> = messages.iter().filter(|(id, _)| *id == wire::REQUEST).collect();
    if let Some((_, payload)) = asked.iter().find(|(_, payload)| payload.len() != 12) {
        return Some(format!(
            "a request is 17 bytes: the length 13, the id 6, and three numbers of four bytes; yours had {}",
            payload.len() + 5
        ));
    }
    let requests = asked.iter().filter_map(|(_, payload)| wire::three(payload));
    if let Some(wrong) = requests.clone().find_map(|request| wrong(request, torrent)) {
        return Some(wrong);
    }
    if !messages.iter().any(|(id, _)| *id == wire::INTERESTED) {
        return Some("no `interested` came: until then a peer unchokes nobody".to_owned());
    }
    None
}

/// Says what is wrong with a request, on which a peer hangs up.
fn wrong((piece, begin, length): Request, torrent: &Torrent) -> Option<String> {
    let pieces = torrent.pieces() as u32;
    if piece >= pieces {
        let swapped = piece.swap_bytes() < pieces;
        let hint = if swapped { ": it was sent low byte first" } else { ", counted from 0" };
        return Some(format!("you asked for piece {piece} of {pieces}{hint}"));
    }
    if length > MAX_BLOCK {
        return Some(format!(
            "you asked for {length} bytes at once: peers give blocks of at most {MAX_BLOCK}, and hang up on more"
        ));
    }
    let size = torrent.piece(piece as usize).len() as u32;
    if length == 0 || begin.saturating_add(length) > size {
        return Some(format!(
            "you asked for {length} bytes from {begin} on, and piece {piece} has {size}: the last block is what is left, and the last piece is shorter"
        ));
    }
    None
}
