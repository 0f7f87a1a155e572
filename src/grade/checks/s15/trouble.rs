//! Peers that are no help, beside one that is.

use std::net::{SocketAddr, TcpListener};

use super::fetch;
use crate::actors::peer::FakePeer;
use crate::actors::peer_plan::{Blocks, Greeting, Unchoke};
use crate::actors::torrent::Torrent;
use crate::grade::check::Finding;
use crate::grade::miss::Miss;
use crate::grade::scene::Scene;

/// A peer dies while it gives. The other one gives only after that, so nobody can get around it.
pub fn one_dies(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(6);
    let served = scene.dice.length(2, 4);
    beside(scene, &torrent, Blocks::CloseAfter(served), |miss| {
        miss.perhaps(format!(
            "a peer hung up after {served} blocks: the piece that it was to give goes back, and the \
             other peer, which has all pieces, is asked for it"
        ))
    })
}

/// A peer has the right lengths and the wrong bytes.
pub fn one_lies(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(6);
    beside(scene, &torrent, Blocks::Corrupt, |miss| {
        miss.perhaps(
            "one peer's blocks are wrong: a piece whose SHA-1 is wrong goes back, and its peer is \
             asked no more; the other has every piece",
        )
    })
}

/// A peer stops talking with a piece half given.
pub fn falls_silent(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(6);
    let served = scene.dice.length(1, 3);
    beside(scene, &torrent, Blocks::SilentAfter(served), |miss| {
        miss.perhaps(format!(
            "a peer gave {served} blocks, and then nothing more, without hanging up: what it owes \
             is asked of the other peer, after some seconds at the latest"
        ))
    })
}

/// Downloads from a peer that answers like this, and from a good one that serves once the first has
/// done its worst.
fn beside(
    scene: &mut Scene,
    torrent: &Torrent,
    blocks: Blocks,
    cause: impl Fn(Miss) -> Miss,
) -> Finding {
    let plan = scene.plan(torrent).blocks(blocks);
    let bad = scene.peer(plan)?;
    let plan = scene.plan(torrent).once(bad.mischief());
    let good = scene.peer(plan)?;
    fetch(scene, torrent, &[bad.address(), good.address()]).map_err(|miss| {
        match bad.mischief().is_open() {
            true => cause(miss),
            false if good.talks().is_empty() => miss,
            false => never_asked(miss, &bad),
        }
    })
}

/// Blames a client that is connected to one peer for waiting for it while another would give.
fn never_asked(miss: Miss, other: &FakePeer) -> Miss {
    miss.perhaps(match other.talks().is_empty() {
        true => {
            "two peers are there, and the first one of the tracker's list was never connected to: \
             talk to all of them at once"
        }
        false => {
            "one peer keeps you choked for a while, and the other one unchokes you at once and \
             is asked for nothing: talk to all of them at once"
        }
    })
}

/// A peer accepts, and never answers the handshake.
pub fn one_is_silent(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(6);
    let plan = scene.plan(&torrent).greeting(Greeting::Silent);
    let silent = scene.peer(plan)?;
    let good = scene.seed(&torrent)?;
    fetch(scene, &torrent, &[silent.address(), good.address()]).map_err(|miss| {
        miss.perhaps(
            "one peer accepts the connection and never answers the handshake: give each peer a \
             thread of its own, and each handshake a time limit",
        )
    })
}

/// A peer has all pieces, and gives none.
pub fn one_chokes(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(6);
    let plan = scene.plan(&torrent).unchoke(Unchoke::Never);
    let choking = scene.peer(plan)?;
    let good = scene.seed(&torrent)?;
    fetch(scene, &torrent, &[choking.address(), good.address()]).map_err(|miss| {
        miss.perhaps(match choking.talks().iter().any(|talk| talk.choked_requests > 0) {
            true => {
                "a peer that chokes you answers no request: wait for its unchoke, and let the \
                 others fetch meanwhile"
            }
            false => {
                "one peer never unchokes you: a piece is promised to a peer only once it unchokes, \
                 and the others go on"
            }
        })
    })
}

/// Returns an address where nobody listens.
pub fn nobody(scene: &mut Scene) -> Result<SocketAddr, Miss> {
    let bound = TcpListener::bind((scene.host(), 0)).and_then(|listener| listener.local_addr());
    bound.map_err(|error| Miss::new(format!("the grader has no port left: {error}")))
}
