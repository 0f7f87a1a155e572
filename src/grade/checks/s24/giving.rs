//! `seed`, asked for hashes.

use std::sync::Arc;
use std::time::Instant;

use crate::actors::line::Heard;
use crate::actors::torrent::Torrent;
use crate::actors::tree::{Asked, BLOCK, TreeFile};
use crate::actors::version_two::Draft;
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::checks::s16::server::Server;
use crate::grade::checks::s16::taker::{Taker, all_blocks};
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;
use crate::s01_bencode::counted;

/// A piece has four blocks.
const PIECE: usize = 4 * BLOCK;
const PIECE_LAYER: u32 = 2;

/// A torrent of one file, whose last piece has one block, a short one.
fn draft(scene: &mut Scene) -> Draft {
    let pieces = scene.dice.length(9, 15);
    let rest = scene.dice.length(1, BLOCK - 1);
    let content = scene.dice.bytes((pieces - 1) * PIECE + rest);
    Draft::single(&format!("{}.bin", scene.dice.word(8)), PIECE, content)
}

/// Returns the only file of a torrent.
fn file(torrent: &Torrent) -> Result<TreeFile, Miss> {
    let file = torrent.version_two.as_ref().and_then(|two| two.files.first()).cloned();
    file.ok_or_else(|| Miss::new("the grader has a fault of its own"))
}

/// Asks, and returns the id and the payload of the answer.
fn answer(taker: &mut Taker, server: &Server, asked: &Asked) -> Result<(u8, Vec<u8>), Miss> {
    taker.say(&asked.request());
    let until = Instant::now() + server.patience;
    loop {
        match taker.hear(until.saturating_duration_since(Instant::now())) {
            Heard::Message(id @ (wire::HASHES | wire::HASH_REJECT), payload) => {
                return Ok((id, payload));
            }
            Heard::Message(..) | Heard::KeepAlive if Instant::now() < until => {}
            heard => {
                let what = match heard {
                    Heard::Closed => "a request for hashes was answered by the end",
                    _ => "a request for hashes got no answer",
                };
                return Err(Miss::new(what)
                    .detail(described(asked))
                    .likely("each request is answered: by message 22 with hashes, or by 23, a reject, which repeat its 48 bytes; no unchoke is needed"));
            }
        }
    }
}

fn described(asked: &Asked) -> String {
    let Asked { base, index, length, proof, .. } = asked;
    format!("request  base layer {base}, index {index}, length {length}, proof layers {proof}")
}

/// Insists on the right hashes.
fn gives(taker: &mut Taker, server: &Server, file: &TreeFile, asked: &Asked) -> Finding {
    let (id, payload) = answer(taker, server, asked)?;
    let right = file.tree.answer(asked).unwrap_or_default();
    ensure(id == wire::HASHES, || {
        Miss::new("a request for hashes was rejected").detail(described(asked))
    })?;
    ensure(payload.starts_with(&asked.bytes()), || {
        Miss::new("an answer with hashes does not repeat the request")
            .likely("the 48 bytes of the request come first, and then the hashes")
    })?;
    let found = payload.get(48..).unwrap_or_default();
    ensure(found.len() == 32 * right.len(), || {
        Miss::new("an answer has another number of hashes")
            .detail(described(asked))
            .instead(counted(32 * right.len() as u64, "byte"), counted(found.len() as u64, "byte"))
            .likely("first the range, padding included, then the uncles: of the proof layers, the first log2(length) - 1 are left out, since they follow from the range")
    })?;
    let place = found.chunks(32).zip(&right).position(|(found, right)| found != right);
    let Some(place) = place else { return Ok(()) };
    let uncle = place.checked_sub(asked.length as usize);
    Err(Miss::new(match uncle {
        Some(uncle) => format!("uncle {uncle} of an answer is wrong"),
        None => format!("hash {place} of an answer is wrong"),
    })
    .detail(described(asked))
    .instead(hex::encode(right[place]), hex::encode(&found[32 * place..32 * place + 32]))
    .likely(match uncle {
        Some(_) => "the uncle nearest to the range comes first: the other child at each step on the way to the root",
        None => "the hashes are those of one layer, from index on; behind the last one are those of padding: zeros among the leaves, and what follows from zeros above",
    }))
}

/// Starts `seed`, and connects to it.
fn visited(scene: &mut Scene, torrent: &Torrent) -> Result<(Server, Taker), Miss> {
    let mut server = Server::of(scene, "seed", torrent)?;
    let taker = server.visit(scene)?;
    Ok((server, taker))
}

pub fn layer(scene: &mut Scene) -> Finding {
    let torrent = draft(scene).build();
    let file = file(&torrent)?;
    let (server, mut taker) = visited(scene, &torrent)?;
    // 16 pieces, padding included: the root is four steps above.
    let root = file.tree.root();
    let of = |index, length, proof| Asked { root, base: PIECE_LAYER, index, length, proof };
    for asked in [of(0, 16, 3), of(8, 8, 3), of(4, 4, 3), of(2, 2, 3), of(6, 2, 0)] {
        gives(&mut taker, &server, &file, &asked)?;
    }
    // And blocks, as ever: the last one is short.
    taker.waits_for_slot()?;
    taker.takes(all_blocks(&torrent), 5)
}

pub fn leaves(scene: &mut Scene) -> Finding {
    let torrent = draft(scene).build();
    let file = file(&torrent)?;
    let (server, mut taker) = visited(scene, &torrent)?;
    let root = file.tree.root();
    let last = torrent.pieces() as u32 - 1;
    let some = scene.dice.number(1, u64::from(last) - 1) as u32;
    for piece in [0, some, last] {
        let asked = Asked { root, base: 0, index: 4 * piece, length: 4, proof: 5 };
        gives(&mut taker, &server, &file, &asked)?;
    }
    Ok(())
}

pub fn rejects(scene: &mut Scene) -> Finding {
    let torrent = draft(scene).build();
    let file = file(&torrent)?;
    let (mut server, mut taker) = visited(scene, &torrent)?;
    let right = Asked { root: file.tree.root(), base: PIECE_LAYER, index: 0, length: 16, proof: 3 };
    let unknown: [u8; 32] = scene.dice.bytes(32).try_into().unwrap_or_default();
    for (wrong, cause) in [
        (Asked { root: unknown, ..right }, "no file has this root"),
        (Asked { length: 0, ..right }, "a length of 0 is no range"),
        (Asked { base: 6, length: 2, proof: 0, ..right }, "the root itself is known to everybody"),
        (Asked { base: u32::MAX, ..right }, "there is no such layer"),
        (Asked { index: 1 << 31, ..right }, "the layer ends before"),
        (Asked { length: 1 << 31, ..right }, "the layer ends before, and 2^31 hashes fit nowhere"),
        (Asked { proof: u32::MAX, ..right }, "a proof ends below the root"),
    ] {
        let finding = answer(&mut taker, &server, &wrong).and_then(|(id, payload)| {
            ensure(id == wire::HASH_REJECT && payload == wrong.bytes(), || {
                Miss::new("a request that has no answer got one").detail(described(&wrong)).instead(
                    "message 23, with the 48 bytes of the request",
                    format!("message {id}"),
                )
            })
        });
        finding
            .map_err(|miss| miss.rather(format!("{cause}: reject it (message 23), and go on")))?;
    }
    server.is_alive()?;
    gives(&mut taker, &server, &file, &right)
}

pub fn upgrade(scene: &mut Scene) -> Finding {
    let torrent = draft(scene).hybrid(true).build();
    let file = file(&torrent)?;
    let asked = Asked { root: file.tree.root(), base: PIECE_LAYER, index: 0, length: 16, proof: 3 };
    let short = torrent.version_two.as_ref().map(|two| two.short()).unwrap_or_default();
    let mut server = Server::of(scene, "seed", &torrent)?;
    let bits = [0, 0, 0, 0, 0, 0, 0, wire::UPGRADE_BIT];
    let taker = server.visit_with(scene, bits)?;
    let name = &taker.handshake[28..48];
    ensure(name == torrent.info_hash || name == short, || {
        Miss::new("the answer to a handshake has neither of the two names")
            .instead(hex::encode(short), hex::encode(name))
    })?;
    drop(taker);
    server.torrent = Arc::new(Torrent { info_hash: short, ..torrent });
    let mut taker = server.visit(scene).map_err(|miss| {
        miss.rather("a hybrid has two names, and peers may dial by either: this one has dialed by the first 20 bytes of the SHA-256")
    })?;
    ensure(taker.handshake[28..48] == short, || {
        Miss::new("the answer to a handshake has another name than the handshake")
            .instead(hex::encode(short), hex::encode(&taker.handshake[28..48]))
    })?;
    gives(&mut taker, &server, &file, &asked)
}
