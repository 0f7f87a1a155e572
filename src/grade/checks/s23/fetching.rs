//! Downloads of torrents with trees.

use std::net::SocketAddr;

use super::{drafted, of_pieces, some_files};
use crate::actors::peer::FakePeer;
use crate::actors::peer_plan::Plan;
use crate::actors::torrent::{Torrent, sha1};
use crate::actors::tree::BLOCK;
use crate::actors::version_two::Draft;
use crate::grade::check::Finding;
use crate::grade::checks::s09::spoilt;
use crate::grade::checks::s15::{OUT, is_whole};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

const PIECE: usize = 32_768;
/// How long a download may take.
const SECONDS: u64 = 15;
/// The name on the wire.
const NAME: &str = "on the wire, to peers and to trackers, the name of a torrent that is version 2 \
                    only is the first 20 bytes of the SHA-256 of info";
/// What a client of version 1 makes of pieces.
const ALIGNED: &str = "in version 2 each file begins at a piece, and the last piece of a file ends \
                       with it: its length is what is left of the file, not of the content";

/// Downloads a torrent from these peers, which a tracker names.
pub fn fetch(scene: &mut Scene, torrent: &Torrent, peers: &[SocketAddr]) -> Result<Outcome, Miss> {
    let tracker = scene.tracker_of(peers)?;
    let file = scene.torrent_file(torrent, &tracker.url())?;
    run(scene, "download", &file)
}

/// Downloads what a link names from these peers, which a tracker names.
pub fn fetch_link(
    scene: &mut Scene,
    torrent: &Torrent,
    peers: &[SocketAddr],
) -> Result<Outcome, Miss> {
    let tracker = scene.tracker_of(peers)?;
    run(scene, "magnet_download", &torrent.magnet(&[&tracker.url()]))
}

fn run(scene: &mut Scene, command: &str, of: &str) -> Result<Outcome, Miss> {
    scene.within(SECONDS);
    scene.run(&[command, "-o", &scene.path(OUT).to_string_lossy(), of])
}

/// Insists on success, and on all of a torrent of one file.
pub fn is_there(scene: &Scene, torrent: &Torrent, outcome: &Outcome) -> Finding {
    outcome.succeeds()?;
    is_whole(torrent, &scene.output(OUT)?)
}

/// Insists on success, and on each of these files.
pub fn are_there(scene: &Scene, files: &[(String, Vec<u8>)], outcome: &Outcome) -> Finding {
    outcome.succeeds()?;
    for (path, content) in files {
        let found = scene.output(&format!("{OUT}/{path}")).map_err(|miss| {
            miss.detail(format!("expected OUT/{path}"))
                .likely("OUT is the folder: each file is at OUT and its path in the tree")
        })?;
        let same = found.iter().zip(content).take_while(|(found, byte)| found == byte).count();
        ensure(found == *content, || {
            Miss::new(format!("OUT/{path} differs at byte {same}"))
                .instead(format!("{} bytes", content.len()), format!("{} bytes", found.len()))
                .likely(ALIGNED)
        })?;
    }
    Ok(())
}

/// Explains a client that never got as far as a handshake that was right.
fn unmet(miss: Miss, torrent: &Torrent, peer: &FakePeer) -> Miss {
    let sent: Vec<Vec<u8>> =
        peer.recordings().iter().map(|recording| recording.opening(48)).collect();
    let names: Vec<&[u8]> = sent.iter().filter_map(|sent| sent.get(28..48)).collect();
    match names.iter().any(|name| **name == torrent.info_hash) {
        true => miss,
        false if names.iter().any(|name| **name == sha1(&torrent.info)) => {
            miss.rather(format!("the handshake has the SHA-1 of info: {NAME}"))
        }
        false if names.is_empty() => miss,
        false => miss.likely(NAME),
    }
}

/// Insists that no request went beyond the end of a file.
fn within_files(torrent: &Torrent, peer: &FakePeer) -> Finding {
    let Some(two) = &torrent.version_two else { return Ok(()) };
    let asked: Vec<_> = peer.talks().iter().flat_map(|talk| talk.requests()).collect();
    for (piece, begin, length) in asked {
        let start = piece as usize * torrent.piece_length + begin as usize;
        let end = start + length as usize;
        let is_inside = two.files.iter().any(|file| {
            file.offset <= start && end <= file.offset + file.length && file.length > 0
        });
        ensure(is_inside, || {
            Miss::new("a request for bytes that are in no file")
                .detail(format!("request  piece {piece}, begin {begin}, length {length}"))
                .likely(ALIGNED)
        })?;
    }
    Ok(())
}

pub fn one(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(3, 6);
    let torrent = of_pieces(scene, pieces).build();
    let seed = scene.seed(&torrent)?;
    let outcome = fetch(scene, &torrent, &[seed.address()])?;
    is_there(scene, &torrent, &outcome).map_err(|miss| unmet(miss, &torrent, &seed))
}

pub fn several(scene: &mut Scene) -> Finding {
    let files = some_files(scene, PIECE);
    let torrent = drafted(scene, PIECE, &files).build();
    let seed = scene.seed(&torrent)?;
    let outcome = fetch(scene, &torrent, &[seed.address()])?;
    let whole = are_there(scene, &files, &outcome);
    within_files(&torrent, &seed)?;
    whole.map_err(|miss| unmet(miss, &torrent, &seed).perhaps(ALIGNED))
}

pub fn hybrid(scene: &mut Scene) -> Finding {
    let files = some_files(scene, PIECE);
    let tail = scene.dice.coin();
    let torrent = drafted(scene, PIECE, &files).hybrid(tail).build();
    // A peer that knows version 1 only, as most do.
    let plan = scene.plan(&torrent);
    let old = Torrent { version_two: None, layers: Vec::new(), ..torrent.clone() };
    let seed = scene.peer(Plan { torrent: std::sync::Arc::new(old), ..plan })?;
    let outcome = fetch(scene, &torrent, &[seed.address()])?;
    are_there(scene, &files, &outcome).map_err(|miss| {
        miss.perhaps("this peer knows the hybrid by its SHA-1, and nothing of trees: to it, padding is content like any other, and it is asked for or known to be zeros")
    })?;
    ensure(!scene.path(OUT).join(".pad").exists(), || {
        Miss::new("there is a folder .pad in the output")
            .likely("padding is zeros between files: it is not written")
    })
}

pub fn liar(scene: &mut Scene) -> Finding {
    let torrent = of_pieces(scene, 5).build();
    let wrong = spoilt(scene, &torrent, 2);
    let liar = scene.plan(&wrong).only([2]);
    let liar = scene.peer(liar)?;
    let good = scene.plan(&torrent);
    // The good one gives only once the other has given: nobody can get around it.
    let good = scene.peer(good.unchoke_after(std::time::Duration::from_millis(700)))?;
    let outcome = fetch(scene, &torrent, &[liar.address(), good.address()])?;
    is_there(scene, &torrent, &outcome).map_err(|miss| {
        unmet(miss, &torrent, &good).perhaps("one peer's piece has a wrong bit: compare the top of the tree of its blocks with the piece's hash, throw it away, and ask the other peer")
    })
}

pub fn contradiction(scene: &mut Scene) -> Finding {
    let mut draft = of_pieces(scene, 3);
    // The SHA-1 hashes are those of other content: the last bit of a piece differs.
    let old = {
        let mut old = draft.clone();
        old.content[PIECE / 2] ^= 1;
        old.hybrid(true)
    };
    let pieces = old.info.iter().find(|(key, _)| *key == "pieces").map(|(_, value)| value.clone());
    draft = draft.hybrid(true);
    draft.set("pieces", pieces.unwrap_or_default());
    let torrent = Torrent { content: old.content, ..draft.build() };
    let seed = scene.seed(&torrent)?.address();
    let outcome = fetch(scene, &torrent, &[seed])?;
    outcome.refuses().map_err(|miss| {
        miss.likely("each piece has the right SHA-1, and one has the wrong tree: the two halves of this torrent are different files, so it cannot be downloaded as what it says")
    })
}

/// Returns a torrent whose files are no longer than a piece: its info dictionary has all hashes.
fn without_layers(scene: &mut Scene) -> (Torrent, Vec<(String, Vec<u8>)>) {
    let lengths = [scene.dice.length(1, BLOCK - 1), PIECE, scene.dice.length(BLOCK + 1, PIECE - 1)];
    let files: Vec<(String, Vec<u8>)> = ('a'..)
        .zip(lengths)
        .map(|(letter, length)| {
            (format!("{letter}{}", scene.dice.word(5)), scene.dice.bytes(length))
        })
        .collect();
    (drafted(scene, PIECE, &files).build(), files)
}

pub fn link(scene: &mut Scene) -> Finding {
    let (torrent, files) = without_layers(scene);
    let seed = scene.seed(&torrent)?;
    let outcome = fetch_link(scene, &torrent, &[seed.address()])?;
    are_there(scene, &files, &outcome).map_err(|miss| {
        unmet(miss, &torrent, &seed).perhaps("metadata is right if its SHA-256 is the link's name, all 32 bytes; these files are no longer than a piece, so their roots are all the hashes that there are")
    })
}

pub fn forged(scene: &mut Scene) -> Finding {
    let (torrent, files) = without_layers(scene);
    // The same content, all of whose hashes are right, with other names.
    let mut other = files.clone();
    other.iter_mut().for_each(|(path, _)| path.push('x'));
    let other = drafted(scene, PIECE, &other).build();
    let plan = scene.plan(&torrent);
    let forged = std::sync::Arc::new(Torrent { info: other.info, ..torrent.clone() });
    let liar = scene.peer(Plan { torrent: forged, ..plan })?.address();
    let seed = scene.seed(&torrent)?.address();
    let outcome = fetch_link(scene, &torrent, &[liar, seed])?;
    are_there(scene, &files, &outcome).map_err(|miss| {
        miss.rather("the first peer's metadata was that of another torrent: its SHA-256 must be the link's name before anything is believed")
    })
}

pub fn announced(scene: &mut Scene) -> Finding {
    let torrent =
        Draft::single(&format!("{}.bin", scene.dice.word(8)), PIECE, scene.dice.bytes(2 * PIECE))
            .build();
    let seed = scene.seed(&torrent)?;
    let tracker = scene.tracker_of(&[seed.address()])?;
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    let outcome = run(scene, "download", &file)?;
    let asked = tracker.asked();
    let query = asked.first().and_then(|target| target.split_once('?')).map(|(_, query)| query);
    let query =
        query.ok_or_else(|| outcome.with_last_words(Miss::new("the tracker was not asked")))?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("info_hash="));
    let found = crate::actors::wire::percent_decoded(value.unwrap_or_default());
    ensure(found == torrent.info_hash, || {
        Miss::new("the tracker was asked for another torrent")
            .instead(hex::encode(torrent.info_hash), hex::encode(&found))
            .likely(NAME)
    })?;
    is_there(scene, &torrent, &outcome)
}
