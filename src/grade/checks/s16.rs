//! Stage 16: `serve --port N TORRENT PATH` gives to one peer at a time.

mod bad;
mod metadata;
pub(super) mod server;
pub(super) mod taker;

use std::time::Duration;

use crate::actors::leech::request;
use crate::actors::line::Heard;
use crate::actors::torrent::Recipe;
use crate::actors::wire;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;
use server::Server;
use taker::{all_blocks, blocks};

const HANDSHAKE: &str = "BEP 3, handshake";
const MESSAGES: &str = "BEP 3, peer messages";
const CONTRACT: &str = "your-own-client";

/// The checks of stage 16.
pub const CHECKS: &[Check] = &[
    Check::new("16.1", "a peer that dials gets a handshake", HANDSHAKE, handshake).points(2),
    Check::new("16.2", "the answer comes after 48 bytes, before the peer's id", HANDSHAKE, early),
    Check::new("16.3", "the peer is told of all pieces", MESSAGES, offers).points(2),
    Check::new("16.4", "a peer that is interested is unchoked", MESSAGES, unchokes).points(2),
    Check::new("16.5", "every block is right, also the last, short one", MESSAGES, gives).points(2),
    Check::new("16.6", "sixteen requests at once", MESSAGES, gives_many),
    Check::new("16.7", "when a peer has left, the next is served", CONTRACT, gives_again),
    Check::new("16.8", "a block that lies in two files", "BEP 3, info dictionary", gives_files),
    Check::new("16.9", "keep-alives and unknown messages between requests", MESSAGES, noise),
    Check::new("16.10", "seven bytes at a time", MESSAGES, slowly),
    Check::new("16.11", "a damaged piece is not offered", MESSAGES, bad::damaged_offer).points(2),
    Check::new("16.12", "the info dictionary, for a peer with a link", "BEP 9", metadata::gives),
    Check::new("16.13", "peers that hang up at any moment", MESSAGES, bad::hang_ups),
    Check::new("16.14", "a request for 32 KiB gets no such block", MESSAGES, bad::too_much)
        .refusal("16.5"),
    Check::new("16.15", "requests for what there is not", MESSAGES, bad::nowhere).refusal("16.5"),
    Check::new("16.16", "a damaged piece is not given", MESSAGES, bad::damaged).refusal("16.5"),
    Check::new("16.17", "a file that changes while it is given", MESSAGES, bad::changed)
        .refusal("16.5"),
    Check::new("16.18", "a choked peer gets no block", MESSAGES, bad::choked).refusal("16.5"),
    Check::new("16.19", "a peer of another torrent is turned away", HANDSHAKE, bad::other_torrent)
        .refusal("16.1"),
    Check::new("16.20", "content that is not there is an error", CONTRACT, bad::no_content)
        .refusal("16.1"),
    Check::new("16.21", "Ctrl-C ends it, with exit code 0", CONTRACT, interrupted),
];

fn serve(scene: &mut Scene) -> Result<Server, Miss> {
    let pieces = scene.dice.length(4, 7);
    let torrent = scene.torrent(pieces);
    Server::of(scene, "serve", &torrent)
}

fn handshake(scene: &mut Scene) -> Finding {
    let mut server = serve(scene)?;
    let taker = server.visit(scene)?;
    let (theirs, hash) = (&taker.handshake, server.torrent.info_hash);
    ensure(theirs.starts_with(b"\x13BitTorrent protocol"), || {
        Miss::new("the answer does not begin as a handshake")
            .instead("13426974546f7272656e742070726f746f636f6c", hex::encode(&theirs[..20]))
    })?;
    ensure(theirs[28..48] == hash, || {
        Miss::new("the answer has another info hash")
            .instead(hex::encode(hash), hex::encode(&theirs[28..48]))
            .likely("both sides say the same info hash, as 20 raw bytes, after 8 reserved ones")
    })?;
    let ours = taker.line.recording().to_client();
    ensure(ours.get(48..68) != theirs.get(48..68), || {
        Miss::new("the peer got its own peer id back")
            .likely("answer with a peer id of your own: one that comes back means a loop")
    })
}

fn early(scene: &mut Scene) -> Finding {
    let mut server = serve(scene)?;
    let mut line = server.dial(scene)?;
    let hello = wire::handshake([0; 8], server.torrent.info_hash, scene.dice.peer_id());
    let _ = line.send(&hello[..48]);
    let answer = line.handshake(server.patience);
    ensure(answer.is_ok(), || {
        Miss::new("48 bytes were sent, and no answer came before the other 20")
            .instead("68 bytes", format!("{} bytes", answer.as_ref().map_or_else(Vec::len, |a| a.len())))
            .likely(
                "the info hash is all that is needed for an answer: some peers and trackers send no \
                 more until they have it",
            )
    })
}

fn offers(scene: &mut Scene) -> Finding {
    // The last byte of a bitfield of this many pieces is not full.
    let pieces = scene.dice.length(9, 15);
    let torrent = scene.torrent(pieces);
    let mut server = Server::of(scene, "serve", &torrent)?;
    server.visit(scene)?.learns(&vec![true; pieces])
}

fn unchokes(scene: &mut Scene) -> Finding {
    serve(scene)?.visit(scene)?.waits_for_slot()
}

fn gives(scene: &mut Scene) -> Finding {
    let mut server = serve(scene)?;
    let mut taker = server.visit(scene)?;
    taker.waits_for_slot()?;
    let mut wanted = all_blocks(&server.torrent);
    let from = scene.dice.length(1, wanted.len() - 1);
    wanted.rotate_left(from);
    taker.takes(wanted, 1)
}

fn gives_many(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent_of(32_768, 9 * 32_768 + 1);
    let mut server = Server::of(scene, "serve", &torrent)?;
    let mut taker = server.visit(scene)?;
    taker.waits_for_slot()?;
    taker.takes(all_blocks(&torrent), 16)
}

fn gives_again(scene: &mut Scene) -> Finding {
    let mut server = serve(scene)?;
    let mut taker = server.visit(scene)?;
    taker.waits_for_slot()?;
    taker.takes(blocks(&server.torrent, 1), 2)?;
    drop(taker);
    server.serves_on(scene, "a peer that took a piece, and left")?;
    server.serves_on(scene, "two peers that took something, and left")
}

fn gives_files(scene: &mut Scene) -> Finding {
    let [name, folder] = [6, 7].map(|length| scene.dice.word(length));
    let names = [format!("{name}.a"), format!("{folder}/{name}"), format!("{folder}/{name}.z")];
    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    for name in &names {
        let length = scene.dice.length(20_000, 40_000);
        files.push((name, scene.dice.bytes(length)));
    }
    let torrent = Recipe::files(scene.dice.word(8), 32_768, &files).build();
    for (name, content) in &files {
        scene.file(&format!("content/{name}"), content)?;
    }
    let content = scene.path("content");
    let mut server = Server::at(scene, "serve", &torrent, &content)?;
    let mut taker = server.visit(scene)?;
    taker.waits_for_slot()?;
    taker.takes(all_blocks(&torrent), 1).map_err(|miss| {
        miss.perhaps_rather(
            "PATH is the folder of the files; pieces run over all files as if they were one, so a \
             block may come from two",
        )
    })
}

fn noise(scene: &mut Scene) -> Finding {
    let mut server = serve(scene)?;
    let mut taker = server.visit(scene)?;
    let unknown = scene.dice.number(60, 250) as u8;
    let noise = [
        wire::keep_alive(),
        wire::message(unknown, b"what is this"),
        wire::message(9, &[0x1a, 0xe1]),
        wire::keep_alive(),
    ]
    .concat();
    let cause = "a message of length 0 has no id, and one with an id that you do not know is \
                 passed over by its length";
    taker.say(&noise);
    taker.waits_for_slot().map_err(|miss| miss.perhaps_rather(cause))?;
    for _ in 0..3 {
        taker.say(&noise);
        taker.takes(blocks(&server.torrent, 0), 2).map_err(|miss| miss.perhaps_rather(cause))?;
    }
    Ok(())
}

fn slowly(scene: &mut Scene) -> Finding {
    let mut server = serve(scene)?;
    let mut line = server.dial(scene)?;
    let pause = Duration::from_millis(3);
    let hello = wire::handshake([0; 8], server.torrent.info_hash, scene.dice.peer_id());
    let _ = line.send_slowly(&hello, 7, pause);
    let _ = line.send_slowly(&wire::message(wire::INTERESTED, b""), 2, pause);
    let cause = "a read returns what has come, and not a whole message: read until you have all bytes of one";
    let theirs = line.handshake(server.patience).map_err(|came| {
        Miss::new(format!(
            "the handshake came seven bytes at a time; {} of 68 came back",
            came.len()
        ))
        .likely(cause)
    })?;
    let mut taker = taker::Taker::new(line, theirs, server.torrent.clone(), server.patience);
    taker
        .is_unchoked_within(server.patience)
        .map_err(|miss| miss.detail("it came in parts").likely(cause))?;
    let (piece, begin, length) = blocks(&server.torrent, 0)[0];
    let _ = taker.line.send_slowly(&request(piece, begin, length), 7, pause);
    loop {
        match taker.hear(server.patience) {
            Heard::Message(wire::PIECE, payload) => {
                let right = &server.torrent.piece(0)[..length as usize];
                return ensure(payload.get(8..) == Some(right), || {
                    Miss::new("the block is wrong").likely(cause)
                });
            }
            Heard::Message(..) | Heard::KeepAlive => {}
            Heard::Closed | Heard::Silence => {
                return Err(Miss::new("a request that came seven bytes at a time got no answer")
                    .likely(cause));
            }
        }
    }
}

fn interrupted(scene: &mut Scene) -> Finding {
    let mut server = serve(scene)?;
    // A peer is there, and says nothing.
    let _taker = server.visit(scene)?;
    server.ends_politely()
}
