//! A download with a peer that lacks what the client gets elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::s15::giver::{Giver, News};
use super::super::s15::{OUT, download, is_whole};
use super::super::s16::taker::blocks;
use crate::actors::gate::Gate;
use crate::actors::leech::{block_of, request};
use crate::actors::torrent::Torrent;
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

/// How long the partner keeps its last piece back, if it is given nothing.
const PATIENCE: Duration = Duration::from_secs(12);

/// What the partner has seen of the client.
#[derive(Clone, Default)]
struct Seen {
    /// The partner's handshake and bitfield. The other peer gives only after that, so that the
    /// client has nothing before, and must say `have`.
    met: Gate,
    /// A `have` for a piece that the partner lacks.
    have: Gate,
    unchoke: Gate,
    /// A whole piece, right.
    block: Gate,
    wrong: Gate,
}

pub fn says_have(scene: &mut Scene) -> Finding {
    let (finding, seen) = trade(scene)?;
    ensure(seen.have.is_open(), || {
        finding.clone().err().unwrap_or_else(|| Miss::new("the download ended without a `have`")).likely(
            "say `have` to every peer when a piece is verified: from that it knows what you can give",
        )
    })
}

pub fn gives(scene: &mut Scene) -> Finding {
    let (finding, seen) = trade(scene)?;
    ensure(seen.block.is_open(), || {
        let what = match (seen.have.is_open(), seen.unchoke.is_open(), seen.wrong.is_open()) {
            (false, ..) => "the client never said `have`, so nothing was asked of it",
            (_, false, _) => "the client said `have`, and left the peer that was interested choked",
            (.., true) => "the client gave a block with wrong bytes",
            _ => "the client unchoked a peer, and answered no request",
        };
        Miss::new(what).likely(
            "both sides of a connection may ask: read requests and blocks in one loop, whichever \
             comes, and give what you have verified",
        )
    })?;
    finding
}

/// Downloads from a partner with one half of the pieces, which wants the others, and from a peer
/// with those.
fn trade(scene: &mut Scene) -> Result<(Finding, Seen), Miss> {
    let torrent = Arc::new(scene.torrent_of(32_768, 8 * 32_768));
    let half: Vec<bool> = (0..8).map(|piece| piece % 2 == 0).collect();
    let last = 2 * scene.dice.length(0, 3);
    let (seen, peer_id) = (Seen::default(), scene.dice.peer_id());
    let partner = scene.scripted({
        let (torrent, seen, half) = (torrent.clone(), seen.clone(), half.clone());
        move |line, _| {
            let mut has = half.clone();
            has[last] = seen.block.is_open();
            if let Some(giver) = Giver::meet(line, &torrent, peer_id, has) {
                seen.met.open();
                takes(giver, &torrent, &half, last, &seen);
            }
        }
    })?;
    let plan =
        scene.plan(&torrent).only((0..8).filter(|piece| !half[*piece])).once(seen.met.clone());
    let other = scene.peer(plan)?;
    let tracker = scene.tracker_of(&[partner.address(), other.address()])?;
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    let outcome = download(scene, &file)?;
    let finding = outcome
        .succeeds()
        .and_then(|_| scene.output(OUT))
        .and_then(|found| is_whole(&torrent, &found));
    Ok((finding, seen))
}

/// Gives, and takes the first piece that the client says it has. The last piece comes after that.
fn takes(mut giver: Giver, torrent: &Torrent, half: &[bool], last: usize, seen: &Seen) {
    let begun = Instant::now();
    let (mut left, mut unchoked, mut asked) = (Vec::new(), false, false);
    loop {
        match giver.goes_on(Duration::from_millis(50)) {
            News::Gone => return,
            News::Said(wire::CHOKE, _) => (unchoked, asked) = (false, false),
            News::Said(wire::UNCHOKE, _) => {
                unchoked = true;
                seen.unchoke.open();
            }
            News::Said(wire::PIECE, payload) => {
                let Some((piece, begin, bytes)) = block_of(&payload) else { return };
                let end = (begin as usize).saturating_add(bytes.len());
                if torrent.piece(piece as usize).get(begin as usize..end) != Some(bytes) {
                    return seen.wrong.open();
                }
                left.retain(|block| *block != (piece, begin, bytes.len() as u32));
                if asked && left.is_empty() {
                    seen.block.open();
                }
            }
            News::Said(id, payload) => {
                let piece = offered(id, &payload, half);
                if let Some(piece) = piece.filter(|_| !asked && left.is_empty()) {
                    left = blocks(torrent, piece);
                    seen.have.open();
                    let _ = giver.line.send(&wire::message(wire::INTERESTED, &[]));
                }
            }
            News::Took(..) | News::Nothing => {}
        }
        if unchoked && !asked && !left.is_empty() {
            asked = true;
            let requests = left.iter().flat_map(|block| request(block.0, block.1, block.2));
            let _ = giver.line.send(&requests.collect::<Vec<u8>>());
        }
        if !giver.has[last] && (seen.block.is_open() || begun.elapsed() > PATIENCE) {
            giver.gets(last);
        }
    }
}

/// Returns a piece that the client says it has, and that is not in this half.
fn offered(id: u8, payload: &[u8], half: &[bool]) -> Option<usize> {
    let has = |piece: usize| match id {
        wire::HAVE => payload == (piece as u32).to_be_bytes(),
        wire::BITFIELD => payload.first().is_some_and(|byte| byte & (0x80 >> piece) != 0),
        _ => false,
    };
    (0..half.len()).find(|piece| !half[*piece] && has(*piece))
}
