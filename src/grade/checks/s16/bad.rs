//! Peers that ask for what they must not get, and content that is not what it should be.

use std::time::Duration;

use super::server::Server;
use super::taker::{Block, Taker, blocks};
use crate::actors::leech::request;
use crate::actors::line::Heard;
use crate::actors::torrent::Torrent;
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

/// Returns a torrent, and its content with one byte wrong in this piece.
fn damaged_content(scene: &mut Scene) -> (Torrent, Vec<u8>, usize) {
    let torrent = scene.torrent(6);
    let piece = scene.dice.length(1, 4);
    let mut content = torrent.content.clone();
    content[piece * torrent.piece_length + scene.dice.length(0, 16_000)] ^= 0x55;
    (torrent, content, piece)
}

pub fn damaged_offer(scene: &mut Scene) -> Finding {
    let (torrent, content, piece) = damaged_content(scene);
    let mut server = Server::with(scene, "serve", &torrent, &content)?;
    let expected: Vec<bool> = (0..torrent.pieces()).map(|each| each != piece).collect();
    server.visit(scene)?.learns(&expected)
}

pub fn damaged(scene: &mut Scene) -> Finding {
    let (torrent, content, piece) = damaged_content(scene);
    let mut server = Server::with(scene, "serve", &torrent, &content)?;
    let mut taker = server.visit(scene)?;
    taker.waits_for_slot()?;
    let (bad, good) = (blocks(&torrent, piece)[0], blocks(&torrent, 0)[0]);
    let refused = taker.is_refused(bad, good, |given, _, _| given as usize == piece);
    refused.map_err(|miss| {
        miss.likely(format!(
            "the hash of piece {piece} is wrong on disk: give only what you have verified, or you \
             are the peer that lies"
        ))
    })?;
    drop(taker);
    server.serves_on(scene, "a request for a piece that is not there")
}

pub fn changed(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(6);
    let mut server = Server::of(scene, "serve", &torrent)?;
    let mut taker = server.visit(scene)?;
    taker.waits_for_slot()?;
    taker.takes(blocks(&torrent, 0), 2)?;
    let piece = scene.dice.length(1, 4);
    let begin = piece * torrent.piece_length;
    let mut content = torrent.content.clone();
    content[begin..begin + torrent.piece_length].iter_mut().for_each(|byte| *byte = !*byte);
    std::fs::write(&server.content, content)
        .map_err(|error| Miss::new(format!("the grader cannot write: {error}")))?;
    let (bad, good) = (blocks(&torrent, piece)[0], blocks(&torrent, 0)[0]);
    // What a client has read before is right, and may be given.
    let is_wrong = |given: u32, begin: u32, bytes: &[u8]| {
        let begin = begin as usize;
        torrent.piece(given as usize).get(begin..begin + bytes.len()) != Some(bytes)
    };
    taker.is_refused(bad, good, is_wrong).map_err(|miss| {
        miss.likely(format!(
            "piece {piece} was right at the start, and then somebody edited the file: check its \
             hash again when the file's time or length has changed"
        ))
    })
}

pub fn too_much(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent_of(65_536, 4 * 65_536);
    let mut server = Server::of(scene, "serve", &torrent)?;
    let mut taker = server.visit(scene)?;
    taker.waits_for_slot()?;
    let refused = taker
        .is_refused((1, 0, 32_768), blocks(&torrent, 0)[0], |_, _, bytes| bytes.len() > 16_384);
    refused.map_err(|miss| {
        miss.likely("a block has at most 16 KiB: close the connection of a peer that asks for more")
    })?;
    drop(taker);
    server.serves_on(scene, "a request for 32 KiB")
}

pub fn nowhere(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent_of(32_768, 3 * 32_768 + 20_000);
    let mut server = Server::of(scene, "serve", &torrent)?;
    let good = blocks(&torrent, 0)[0];
    let requests: [(Block, &str); 5] = [
        ((4, 0, 16_384), "a request for piece 4 of 4"),
        ((3, 16_384, 16_384), "a request that goes over the end of the content"),
        ((1, 32_768, 16_384), "a request that begins at the end of a piece"),
        ((u32::MAX, 0, 16_384), "a request for piece 4294967295"),
        ((1, 0, u32::MAX), "a request for 4 GiB"),
    ];
    for (bad, what) in requests {
        let mut taker = server.visit(scene)?;
        taker.waits_for_slot()?;
        let given = |piece: u32, begin: u32, _: &[u8]| (piece, begin) == (bad.0, bad.1);
        taker.is_refused(bad, good, given).map_err(|miss| {
            miss.detail(what).likely(
                "check a request before you read the file: the piece exists, and begin and length \
                 lie inside it",
            )
        })?;
        drop(taker);
        server.serves_on(scene, what)?;
    }
    Ok(())
}

pub fn choked(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(4);
    let mut server = Server::of(scene, "serve", &torrent)?;
    let mut taker = server.visit(scene)?;
    let (piece, begin, length) = blocks(&torrent, 1)[0];
    // Whoever unchokes everybody at once has not been asked too early.
    taker.say(&[request(piece, begin, length), wire::message(wire::INTERESTED, b"")].concat());
    let until = std::time::Instant::now() + server.patience;
    while !taker.unchoked {
        match taker.hear(until.saturating_duration_since(std::time::Instant::now())) {
            Heard::Message(wire::PIECE, _) => {
                return Err(Miss::new("a peer that had never been unchoked was given a block")
                    .likely("only a peer that you have unchoked gets blocks: drop its requests until then"));
            }
            Heard::Message(..) | Heard::KeepAlive => {}
            Heard::Closed | Heard::Silence => break,
        }
    }
    drop(taker);
    server.serves_on(scene, "a request from a choked peer")
}

pub fn other_torrent(scene: &mut Scene) -> Finding {
    let mut server = super::serve(scene)?;
    let mut line = server.dial(scene)?;
    let other = scene.dice.twenty();
    let hello = wire::handshake([0; 8], other, scene.dice.peer_id());
    let _ = line.send(&[hello, wire::message(wire::INTERESTED, b"")].concat());
    // To hang up, or to answer for the torrent that there is, are both fine.
    let theirs = line.handshake(Duration::from_secs(2));
    if let Ok(theirs) = theirs {
        ensure(theirs[28..48] != other, || {
            Miss::new("a peer asked for another torrent, and its info hash came back").likely(
                "compare the info hash of the handshake with yours, and hang up if it is another",
            )
        })?;
        let patience = Duration::from_secs(2);
        let mut taker = Taker::new(line, theirs, server.torrent.clone(), patience);
        ensure(taker.is_unchoked_within(patience).is_err(), || {
            Miss::new("a peer of another torrent was unchoked").likely(
                "compare the info hash of the handshake with yours, and hang up if it is another",
            )
        })?;
    }
    server.serves_on(scene, "a handshake for another torrent")
}

pub fn hang_ups(scene: &mut Scene) -> Finding {
    let mut server = super::serve(scene)?;
    drop(server.dial(scene)?);
    server.serves_on(scene, "a peer that connected and hung up")?;
    let mut line = server.dial(scene)?;
    let hello = wire::handshake([0; 8], server.torrent.info_hash, scene.dice.peer_id());
    let _ = line.send(&hello[..scene.dice.length(1, 40)]);
    drop(line);
    server.serves_on(scene, "a peer that hung up inside its handshake")?;
    let mut taker = server.visit(scene)?;
    taker.waits_for_slot()?;
    let all = super::taker::all_blocks(&server.torrent);
    let requests = all.iter().flat_map(|block| request(block.0, block.1, block.2));
    taker.say(&requests.collect::<Vec<u8>>());
    // Hanging up with unread blocks resets the connection.
    drop(taker);
    server.serves_on(scene, "a peer that hung up while it was given blocks")
}

pub fn no_content(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(3);
    let tracker = scene.tracker_of(&[])?;
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    let (port, missing) = (scene.free_port()?.to_string(), scene.path("missing"));
    scene.within(8);
    scene.run(&["serve", "--port", &port, &file, &missing.to_string_lossy()])?.refuses().map_err(
        |miss| {
            miss.likely(
                "hash what is at PATH before you listen: if nothing is there, say so, and end",
            )
        },
    )
}
