//! Stage 24: `hashes TORRENT HOST:PORT` fetches the hashes of a file's pieces, with proofs; and
//! what `magnet_download`, `download` and `seed` do with such hashes.

mod asked;
mod blame;
mod giving;
mod links;

use std::net::SocketAddr;

use self::asked::right_requests;
use crate::actors::peer::FakePeer;
use crate::actors::peer_plan::{Hashes, Plan, Unchoke};
use crate::actors::torrent::Torrent;
use crate::actors::tree::BLOCK;
use crate::actors::version_two::Draft;
use crate::grade::check::{Check, Finding};
use crate::grade::checks::s23::{of_pieces, shown};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

const TRANSFER: &str = "BEP 52, hash request";
const PROOF: &str = "BEP 52, uncle hashes";
const UPGRADE: &str = "BEP 52, upgrade path";
const MAGNET: &str = "BEP 52, magnet links";
/// The checks with a good peer, with several messages, and with a good seed.
const GOOD: &str = "24.1";
const LONG: &str = "24.3";
const GIVES: &str = "24.18";

/// The checks of stage 24.
pub const CHECKS: &[Check] = &[
    Check::new("24.1", "prints the hashes of a file's pieces, also while choked", TRANSFER, plain)
        .points(2),
    Check::new("24.2", "a request is right to the byte", TRANSFER, request).points(2),
    Check::new("24.3", "a long layer: several requests, 512 hashes at most each", TRANSFER, long)
        .points(2),
    Check::new("24.4", "answers in another order, and others in between", TRANSFER, any_order),
    Check::new("24.5", "a wrong hash: an error, and none is printed", PROOF, |scene| {
        lie(scene, Hashes::WrongHash, PROVE)
    })
    .refusal(GOOD)
    .points(2),
    Check::new("24.6", "a wrong hash in the last of several answers", PROOF, later).refusal(LONG),
    Check::new("24.7", "a hash too few, a hash too many", TRANSFER, sizes).refusal(GOOD),
    Check::new("24.8", "hashes that nobody has asked for", TRANSFER, unasked),
    Check::new("24.9", "a reject: an error, in time", TRANSFER, |scene| {
        lie(scene, Hashes::Reject, REJECTED)
    })
    .refusal(GOOD),
    Check::new("24.10", "silence: an error, in time", TRANSFER, silence).refusal(GOOD),
    Check::new("24.11", "a hybrid: by its name of version 2, or by the bit", UPGRADE, hybrid),
    Check::new("24.12", "magnet_download: the peer has the hashes", MAGNET, links::plain).points(2),
    Check::new(
        "24.13",
        "magnet_download: one content twice, and small files",
        MAGNET,
        links::twins,
    ),
    Check::new("24.14", "magnet_download: the first peer's hashes are wrong", PROOF, links::lie),
    Check::new("24.15", "magnet_download: the first peer rejects", TRANSFER, links::reject),
    Check::new("24.16", "a peer lies in one block: only that comes again", TRANSFER, blame::again)
        .points(2),
    Check::new(
        "24.17",
        "whoever gave right blocks of that piece gives on",
        TRANSFER,
        blame::honest,
    ),
    Check::new("24.18", "seed: gives the hashes of pieces, with proof", TRANSFER, giving::layer)
        .points(2),
    Check::new("24.19", "seed: gives the hashes of a piece's blocks", TRANSFER, giving::leaves),
    Check::new("24.20", "seed: rejects what it cannot answer", TRANSFER, giving::rejects)
        .refusal(GIVES),
    Check::new(
        "24.21",
        "seed: a hybrid answers by its name of version 2",
        UPGRADE,
        giving::upgrade,
    ),
];

/// How long a client may wait for a peer that gives nothing.
const PATIENCE: u64 = 12;

/// Returns a torrent of one file with this many pieces. There are only hashes of it, and its
/// .torrent file has none of its pieces.
fn described(scene: &mut Scene, pieces: usize) -> Torrent {
    let piece_length = *scene.dice.one_of(&[BLOCK, 2 * BLOCK, 4 * BLOCK]);
    let length = (pieces - 1) * piece_length + scene.dice.length(1, piece_length);
    let bytes = scene.dice.bytes(32 * length.div_ceil(BLOCK));
    let leaves = bytes.as_chunks().0.to_vec();
    let name = format!("{}.bin", scene.dice.word(8));
    let torrent = Draft::of_leaves(&name, piece_length, length, leaves).build();
    Torrent { layers: Vec::new(), ..torrent }
}

/// The hashes of the pieces, as they are printed.
fn expected(torrent: &Torrent) -> String {
    let files = torrent.version_two.iter().flat_map(|two| &two.files);
    let hashes = files.flat_map(|file| shown::piece_hashes(torrent, file));
    hashes.map(hex::encode).collect::<Vec<_>>().join("\n")
}

/// Runs `hashes` with the torrent, and a peer at this address.
fn run(scene: &mut Scene, torrent: &Torrent, peer: SocketAddr) -> Result<Outcome, Miss> {
    let file = scene.torrent_file(torrent, shown::ANNOUNCE)?;
    scene.run(&["hashes", &file, &peer.to_string()])
}

/// Runs `hashes` with a peer that does what its plan says.
fn ask(
    scene: &mut Scene,
    torrent: &Torrent,
    alter: impl FnOnce(Plan) -> Plan,
) -> Result<(Outcome, std::sync::Arc<FakePeer>), Miss> {
    let plan = alter(scene.plan(torrent));
    let peer = scene.peer(plan)?;
    let outcome = run(scene, torrent, peer.address())?;
    Ok((outcome, peer))
}

/// Insists on all hashes, with the help of a peer that does what its plan says.
fn shows(scene: &mut Scene, torrent: &Torrent, alter: impl FnOnce(Plan) -> Plan) -> Finding {
    let (outcome, peer) = ask(scene, torrent, alter)?;
    outcome.prints(&expected(torrent)).map_err(|miss| asked::explained(miss, torrent, &peer))
}

fn plain(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(3, 20);
    let torrent = described(scene, pieces);
    shows(scene, &torrent, |plan| plan.unchoke(Unchoke::Never))
}

fn request(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(5, 100);
    let torrent = described(scene, pieces);
    let (outcome, peer) = ask(scene, &torrent, |plan| plan)?;
    right_requests(&torrent, &peer).map_err(|miss| outcome.with_last_words(miss))
}

fn long(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(1_030, 1_500);
    let torrent = described(scene, pieces);
    let (outcome, peer) = ask(scene, &torrent, |plan| plan)?;
    right_requests(&torrent, &peer)?;
    outcome.prints(&expected(&torrent)).map_err(|miss| {
        asked::explained(miss, &torrent, &peer).perhaps("a layer is as wide as a power of two: behind the last piece are the hashes of padding, which are part of an answer and of no layer")
    })
}

fn any_order(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(1_030, 1_500);
    let torrent = described(scene, pieces);
    shows(scene, &torrent, |plan| plan.hashes(Hashes::Backwards).noise())
        .map_err(|miss| miss.perhaps("an answer repeats the request, and so says which it is for: look at it, and pass over all other messages"))
}

/// What is to be done with hashes that are not proved.
const PROVE: &str = "compute the root from each answer, and compare it with the file's before any \
                     of its hashes is kept or printed";

/// What a reject means.
const REJECTED: &str = "message 23 is a reject: this peer gives none of these hashes, so do not \
                        wait for them";

fn lie(scene: &mut Scene, hashes: Hashes, cause: &str) -> Finding {
    let pieces = scene.dice.length(3, 20);
    let torrent = described(scene, pieces);
    refused(scene, &torrent, hashes, cause)
}

fn refused(scene: &mut Scene, torrent: &Torrent, hashes: Hashes, cause: &str) -> Finding {
    scene.within(PATIENCE);
    let (outcome, peer) = ask(scene, torrent, |plan| plan.hashes(hashes))?;
    let refusal = outcome.refuses();
    // However it refuses, it must not have printed anything before.
    if refusal.as_ref().err().is_none_or(|miss| miss.half) {
        outcome.says_nothing().map_err(|miss| miss.likely(cause))?;
    }
    let is_met = peer.mischief().is_open();
    refusal.map_err(|miss| if is_met { miss.likely(cause) } else { miss })
}

fn later(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(1_030, 1_500);
    let torrent = described(scene, pieces);
    refused(scene, &torrent, Hashes::WrongLater, PROVE)
}

fn sizes(scene: &mut Scene) -> Finding {
    let cause = "the request says how many hashes follow: length, and the uncles of its proof; an \
                 answer of any other size is broken";
    lie(scene, Hashes::TooShort, cause)?;
    lie(scene, Hashes::TooLong, cause)
}

fn unasked(scene: &mut Scene) -> Finding {
    for hashes in [Hashes::OtherRoot, Hashes::OtherRange] {
        let pieces = scene.dice.length(3, 20);
        let torrent = described(scene, pieces);
        let (outcome, peer) = ask(scene, &torrent, |plan| plan.hashes(hashes))?;
        ensure(peer.mischief().is_open(), || {
            outcome.with_last_words(Miss::new("the peer was asked for no hashes"))
        })?;
        // It may pass over them, or hang up on such a peer.
        if outcome.refuses().is_ok() {
            outcome.says_nothing()?;
            continue;
        }
        outcome.prints(&expected(&torrent)).map_err(|miss| {
            miss.perhaps("before the answer came hashes of another file or place: an answer repeats the request, so compare all of it")
        })?;
    }
    Ok(())
}

fn silence(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(3, 20);
    let torrent = described(scene, pieces);
    scene.within(PATIENCE);
    let (outcome, _) = ask(scene, &torrent, |plan| plan.hashes(Hashes::Silent))?;
    outcome.refuses_after_a_wait()
}

fn hybrid(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(3, 9);
    let torrent = of_pieces(scene, pieces).hybrid(true).build();
    let torrent = Torrent { layers: Vec::new(), ..torrent };
    let (outcome, _) = ask(scene, &torrent, |plan| plan)?;
    outcome.prints(&expected(&torrent)).map_err(|miss| {
        miss.likely("this peer speaks of hashes on a connection of version 2 only: dial it by the first 20 bytes of the SHA-256, or set 0x10 in the last reserved byte and take the other name in its answer")
    })
}
