//! Links to torrents whose files are longer than a piece: info has their roots only, so the hashes
//! of the pieces come from peers.

use std::net::SocketAddr;

use crate::actors::peer_plan::Hashes;
use crate::actors::torrent::Torrent;
use crate::actors::tree::BLOCK;
use crate::grade::check::Finding;
use crate::grade::checks::s23::fetching::{are_there, fetch_link, is_there};
use crate::grade::checks::s23::{drafted, of_pieces};
use crate::grade::miss::Miss;
use crate::grade::scene::Scene;

const PIECE: usize = 2 * BLOCK;
const CAUSE: &str = "info has only the root of each file: ask for the layer of its pieces (message \
                     21), prove it, and only then ask for blocks";

/// Downloads a file of a link from peers that answer requests for hashes like this.
fn from_peers(scene: &mut Scene, answers: &[Hashes], cause: &str) -> Finding {
    let torrent = of_pieces(scene, 5).build();
    let mut peers: Vec<SocketAddr> = Vec::new();
    for hashes in answers {
        let plan = scene.plan(&torrent).hashes(*hashes);
        peers.push(scene.peer(plan)?.address());
    }
    let outcome = fetch_link(scene, &torrent, &peers)?;
    is_there(scene, &torrent, &outcome).map_err(|miss| miss.perhaps(cause))
}

pub fn plain(scene: &mut Scene) -> Finding {
    from_peers(scene, &[Hashes::Good], CAUSE)
}

pub fn lie(scene: &mut Scene) -> Finding {
    let cause = "one peer's hashes do not lead to the root: believe none of them, and ask the other \
                 peer, which has everything";
    from_peers(scene, &[Hashes::WrongHash, Hashes::Good], cause)
}

pub fn reject(scene: &mut Scene) -> Finding {
    let cause = "one peer rejects each request, since it may lack the hashes itself: ask the other";
    from_peers(scene, &[Hashes::Reject, Hashes::Good], cause)
}

pub fn twins(scene: &mut Scene) -> Finding {
    let length = scene.dice.length(2 * PIECE + 1, 3 * PIECE);
    let twin = scene.dice.bytes(length);
    let small = scene.dice.length(1, PIECE);
    let files = vec![
        (format!("a{}", scene.dice.word(4)), twin.clone()),
        (format!("b{}", scene.dice.word(4)), scene.dice.bytes(small)),
        (format!("c{}", scene.dice.word(4)), twin),
        (format!("d{}", scene.dice.word(4)), Vec::new()),
    ];
    let torrent: Torrent = drafted(scene, PIECE, &files).build();
    let seed = scene.seed(&torrent)?.address();
    let outcome = fetch_link(scene, &torrent, &[seed])?;
    are_there(scene, &files, &outcome).map_err(|miss: Miss| {
        miss.perhaps("two files with the same content have the same root: one layer is that of both; and a file that is no longer than a piece has no layer to ask for")
    })
}
