//! A peer that has only a magnet link asks for the info dictionary.

use std::time::Instant;

use super::server::Server;
use super::taker::Taker;
use crate::actors::bencode::{self, Value};
use crate::actors::line::Heard;
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

/// The length of each metadata piece but the last.
const PIECE: usize = 16_384;

/// Takes an info dictionary of two pieces, as a peer with ids of its own.
pub fn gives(scene: &mut Scene) -> Finding {
    // 20 bytes for each piece: more than one piece of metadata.
    let pieces = scene.dice.length(840, 990);
    let torrent = scene.torrent_of(1_024, pieces * 1_024);
    let mut server = Server::of(scene, "serve", &torrent)?;
    let mut taker = server.visit_with(scene, [0, 0, 0, 0, 0, wire::EXTENSION_BIT, 0, 0])?;
    ensure(taker.handshake[25] & wire::EXTENSION_BIT != 0, || {
        Miss::new("the handshake does not say that you speak the extension protocol")
            .instead("bit 0x10 in reserved byte 5", format!("{:#04x}", taker.handshake[25]))
            .likely("a peer with only a link asks you for the info dictionary: set bit 20 (BEP 10)")
    })?;
    let ours = scene.dice.extension_id();
    taker.say(&wire::extended(0, format!("d1:md11:ut_metadatai{ours}eee").as_bytes()));
    let greeting = next(&mut taker, &server, 0, "no extension handshake came")?;
    let (greeting, _) = bencode::decode(&greeting)
        .ok_or_else(|| Miss::new("the extension handshake is not a bencoded dictionary"))?;
    let theirs = greeting.get("m").and_then(|m| m.get("ut_metadata")).and_then(Value::int);
    let theirs =
        theirs.and_then(|id| u8::try_from(id).ok()).filter(|id| *id > 0).ok_or_else(|| {
            Miss::new("the extension handshake has no ut_metadata in m").likely(
                "you have the info dictionary: offer it, with an id of your choice from 1 to 255",
            )
        })?;
    let size = greeting.get("metadata_size").and_then(Value::int);
    ensure(size == Some(torrent.info.len() as i64), || {
        Miss::new("metadata_size is wrong").instead(
            torrent.info.len(),
            size.map_or("no number".to_owned(), |size| size.to_string()),
        )
    })?;
    for (piece, part) in
        torrent.info.chunks(PIECE).enumerate().collect::<Vec<_>>().into_iter().rev()
    {
        taker.say(&wire::extended(theirs, format!("d8:msg_typei0e5:piecei{piece}ee").as_bytes()));
        let answer =
            next(&mut taker, &server, ours, &format!("metadata piece {piece} did not come"))?;
        let (head, length) = bencode::decode(&answer)
            .ok_or_else(|| Miss::new("a ut_metadata message does not begin with a dictionary"))?;
        let found =
            (head.get("msg_type").and_then(Value::int), head.get("piece").and_then(Value::int));
        ensure(found == (Some(1), Some(piece as i64)), || {
            Miss::new(format!("metadata piece {piece} was asked for"))
                .instead("msg_type 1 and that piece", format!("{head:?}"))
        })?;
        ensure(answer[length..] == *part, || {
            Miss::new(format!("metadata piece {piece} is wrong"))
                .instead(format!("{} bytes", part.len()), format!("{} bytes", answer.len() - length))
                .likely(
                    "give the info dictionary's bytes as they are in the file, 16 KiB at a time, right \
                     behind the dictionary of the message",
                )
        })?;
    }
    Ok(())
}

/// Returns the payload of the next extended message with this id.
fn next(taker: &mut Taker, server: &Server, id: u8, lack: &str) -> Result<Vec<u8>, Miss> {
    let until = Instant::now() + server.patience;
    let mut others = Vec::new();
    loop {
        match taker.hear(until.saturating_duration_since(Instant::now())) {
            Heard::Message(wire::EXTENDED, payload) => match payload.split_first() {
                Some((found, rest)) if *found == id => return Ok(rest.to_vec()),
                Some((found, _)) => others.push(*found),
                None => {}
            },
            Heard::Message(..) | Heard::KeepAlive => {}
            Heard::Closed | Heard::Silence => break,
        }
    }
    let miss = Miss::new(lack);
    let Some(other) = others.first() else { return Err(miss) };
    Err(miss
        .instead(format!("a message with the id {id}"), format!("one with the id {other}"))
        .likely("a message to a peer has the id that the *peer* gave the extension"))
}
