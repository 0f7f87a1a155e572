//! Why a client did not get the info dictionary: what it said to the peer, up to the first mistake.

use super::described::Described;
use crate::actors::bencode::{self, Value};
use crate::actors::recording::Recording;
use crate::actors::wire;
use crate::grade::checks::peers::MAX_HEARD;
use crate::grade::checks::s09::said::messages;
use crate::grade::miss::Miss;

/// Adds the likely cause, as far as the conversation with a peer shows it. `id` is the peer's
/// extension id for ut_metadata.
pub(super) fn explained(miss: Miss, seen: &[Recording], what: &Described, id: u8) -> Miss {
    let peers = seen.iter().filter(|one| !one.is_tracker());
    let said = peers.map(|one| one.opening(MAX_HEARD));
    // A further connection is no mistake: the one with the most is the conversation.
    match said.max_by_key(Vec::len).filter(|said| !said.is_empty()) {
        None => miss.likely(
            "no peer was dialed: ask the link's tracker (`tr`) for peers, with the link's info hash",
        ),
        Some(said) => match cause(&said, what, id) {
            Some(cause) => miss.likely(cause),
            None => miss,
        },
    }
}

/// Returns the first mistake in what a client said to a peer.
fn cause(said: &[u8], what: &Described, id: u8) -> Option<String> {
    let (handshake, rest) = said.split_at_checked(wire::HANDSHAKE)?;
    if handshake.get(28..48)? != what.torrent.info_hash {
        return Some("the info hash in the handshake is not the link's".to_owned());
    }
    if handshake.get(25)? & wire::EXTENSION_BIT == 0 {
        return Some("the handshake does not offer extensions: bit 20 from the right, which is 0x10 in the sixth of the reserved bytes".to_owned());
    }
    let mut ours = None;
    let mut asked = Vec::new();
    let extended = messages(rest).into_iter().filter(|(number, _)| *number == wire::EXTENDED);
    for (_, payload) in extended {
        let (&number, rest) = payload.split_first()?;
        let decoded = bencode::decode(rest);
        let Some((said, _)) = decoded else {
            return Some(format!("a dictionary must follow the bytes 20 and {number}"));
        };
        match number {
            0 => ours = said.get("m").and_then(|m| m.get("ut_metadata")).and_then(Value::int),
            _ if number != id => return Some(other_number(number, id, ours)),
            _ => asked.push(request(&said, what)?),
        }
    }
    missing(ours, asked, what)
}

/// Says whose extension id it is.
fn other_number(number: u8, id: u8, ours: Option<i64>) -> String {
    let own = if ours == Some(number.into()) { ", which is your own" } else { "" };
    format!(
        "you asked with extension id {number}{own}; to this peer ut_metadata is {id}: each side is sent messages by the ids in its own m"
    )
}

/// Returns the metadata piece that a request asks for, or what is wrong with the request.
fn request(said: &Value, what: &Described) -> Option<Result<usize, String>> {
    let number = |key: &str| said.get(key).and_then(Value::int);
    let Some(kind) = number("msg_type") else {
        return Some(Err("the request has no msg_type; it is 0 for a request".to_owned()));
    };
    if kind != 0 {
        return None; // a reject, or data: not a request
    }
    let count = what.metadata_pieces();
    Some(match number("piece").map(usize::try_from) {
        Some(Ok(piece)) if piece < count => Ok(piece),
        Some(_) => Err(format!(
            "metadata pieces are counted from 0, and of 16384 bytes each: the last one here is {}",
            count.saturating_sub(1)
        )),
        None => Err("the request has no piece".to_owned()),
    })
}

/// Says what is missing in a conversation without a wrong message.
fn missing(
    ours: Option<i64>,
    asked: Vec<Result<usize, String>>,
    what: &Described,
) -> Option<String> {
    let Some(ours) = ours else {
        return Some("no extension handshake of yours gives ut_metadata an id: message id 20, then 0, then a dictionary with m".to_owned());
    };
    let asked: Vec<usize> = match asked.into_iter().collect() {
        Ok(asked) => asked,
        Err(mistake) => return Some(mistake),
    };
    let lacking = (0..what.metadata_pieces()).find(|piece| !asked.contains(piece));
    match lacking {
        Some(0) => Some("no request for metadata piece 0 came: send it once the peer's extension handshake is there".to_owned()),
        Some(piece) => Some(format!(
            "metadata piece {piece} was never asked for: there are metadata_size / 16384 of them, rounded up"
        )),
        None => Some(format!(
            "you asked for all of it; the answers come with your own id, {ours}: a dictionary, and the bytes right behind it, up to the end of the message; total_size is the size of all pieces together"
        )),
    }
}
