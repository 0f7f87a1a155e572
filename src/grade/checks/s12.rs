//! Stage 12: `download_from -o OUT TORRENT HOST:PORT` fetches all of a torrent from one peer.

mod download;
mod part;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use self::download::Download;
use self::part::{Given, serve_until};
use super::s09::giver::Giver;
use super::s09::{said, spoilt};
use crate::actors::gate::Gate;
use crate::actors::peer_plan::Blocks;
use crate::actors::wire;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::End;
use crate::grade::scene::Scene;

const MESSAGES: &str = "BEP 3, peer messages";
const PEERS: &str = "BEP 3, peer protocol";
const INFO: &str = "BEP 3, info dictionary";

/// The length of a block.
const BLOCK: usize = 16_384;
/// How many requests must be outstanding, in pieces of two blocks.
const AHEAD: usize = 5;
/// How long the first block is held back for them.
const HELD: Duration = Duration::from_secs(2);
/// How long a client gets to write what has come.
const SETTLES: Duration = Duration::from_millis(300);
/// How long a peer that has stopped giving stays.
const STAYS: Duration = Duration::from_secs(30);

/// The checks of stage 12.
pub const CHECKS: &[Check] = &[
    Check::new("12.1", "one file: all pieces from one peer", MESSAGES, file).points(2),
    Check::new("12.2", "several files, in folders; pieces reach over their ends", INFO, files)
        .points(2),
    Check::new("12.3", "the peer left: the next run asks only for what is missing", MESSAGES, left)
        .points(2),
    Check::new("12.4", "Ctrl-C ends it, and the next run goes on", MESSAGES, interrupted),
    Check::new("12.5", "one wrong bit: an error; the next run mends it", INFO, lie)
        .points(2)
        .refusal("12.1"),
    Check::new("12.6", "a file of no bytes, and one deep in folders", INFO, empty),
    Check::new("12.7", "a choke in the middle: the lost requests are made again", PEERS, choke)
        .points(2),
    Check::new("12.8", "requests stay ahead, from one piece to the next", MESSAGES, ahead),
    Check::new("12.9", "one piece is damaged: only that one is asked for", MESSAGES, damaged),
    Check::new("12.10", "everything is there: nothing is asked for", MESSAGES, complete)
        .refusal("12.1"),
    Check::new("12.11", "the peer gets its second half later, by haves", MESSAGES, haves),
    Check::new("12.12", "one connection for all pieces", PEERS, one_connection),
];

fn file(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(5, 9);
    let download = Download::of_pieces(scene, pieces)?;
    from_seed(scene, &download)
}

/// Downloads from a good seed.
fn from_seed(scene: &mut Scene, download: &Download) -> Finding {
    let seed = scene.seed(&download.torrent)?.address();
    download.fetched(scene, seed).map_err(|miss| said::unsaid(miss, &scene.recordings()))
}

fn files(scene: &mut Scene) -> Finding {
    let folder = scene.dice.word(5);
    // None of them ends where a piece does, and the third is inside of one.
    let lengths = [50_000, 40_000, 100, 70_000].map(|least| least + scene.dice.length(1, 400));
    let names: Vec<String> = lengths.iter().map(|_| scene.dice.word(6)).collect();
    let paths = [
        format!("{}.bin", names[0]),
        format!("{folder}/{} {}.txt", names[1], names[0]),
        format!("{folder}/{}", names[2]),
        format!("{}.bin", names[3]),
    ];
    let files: Vec<(String, usize)> = paths.into_iter().zip(lengths).collect();
    let download = Download::of_files(scene, &files)?;
    from_seed(scene, &download).map_err(|miss| {
        miss.perhaps(
            "each path is below OUT, in its folders, and a piece may belong to several files",
        )
    })
}

fn empty(scene: &mut Scene) -> Finding {
    let [a, b, c, name] = [3, 4, 5, 6].map(|length| scene.dice.word(length));
    let length = scene.dice.length(40_000, 90_000);
    let files = [
        (format!("{a}/{b}/{c}/{name}.bin"), length),
        (format!("{a}/{b}/{name}.empty"), 0),
        (format!("{b}/{name}.empty"), 0),
    ];
    let download = Download::of_files(scene, &files)?;
    from_seed(scene, &download).map_err(|miss| {
        miss.perhaps("no piece belongs to a file of no bytes, so it must be made all the same, with its folders")
    })
}

fn left(scene: &mut Scene) -> Finding {
    let download = Download::of_pieces(scene, 10)?;
    let giver = Giver::of(scene, &download.torrent);
    let given = Given::default();
    let peer = {
        let (giver, given) = (giver.clone(), given.clone());
        scene.scripted(move |line, _| {
            // A client that comes again once it has four pieces gets no more: the peer has left.
            if given.whole(&giver).len() < 4 && giver.begin(line).is_some() {
                serve_until(line, &giver, 4, &given);
                // No more than that: a reset would take back what the client has not read yet.
                line.close_ours();
                line.hold(STAYS);
            }
        })?
    };
    let outcome = download.run(scene, peer.address())?;
    let whole = given.whole(&giver);
    ensure(whole.len() >= 4, || {
        let miss = Miss::new("the peer was to give four pieces, and then leave")
            .instead("requests for all blocks of four pieces", format!("{} pieces", whole.len()));
        said::explained(miss, &scene.recordings(), &download.torrent)
    })?;
    ensure(outcome.end != End::Code(0), || {
        Miss::new("the peer left in the middle, and it ended as if all were well")
            .likely("end with code 1, and a sentence on stderr, when pieces are missing")
    })?;
    let cause = "the first run ended early: what it left is not whole, even if it has its full length; hash it";
    let asked = again(scene, &download, cause)?;
    let twice: Vec<&u32> = whole.iter().filter(|piece| asked.contains(piece)).collect();
    ensure(twice.is_empty(), || {
        Miss::new("the second run asked for pieces that the first one had got")
            .instead(
                format!("requests for {} pieces", download.torrent.pieces() - whole.len()),
                format!("also for {} of the {} that were there", twice.len(), whole.len()),
            )
            .likely("keep what has come; at the start, hash each piece of what is there, and ask only for the wrong ones")
    })
}

/// Runs it a second time, with a good seed; returns the pieces that were asked for.
///
/// If not all is right then, this is the cause: the usual ones know nothing of a first run.
fn again(scene: &mut Scene, download: &Download, cause: &str) -> Result<BTreeSet<u32>, Miss> {
    let seed = scene.seed(&download.torrent)?;
    let fetched = download.fetched(scene, seed.address());
    fetched.map_err(|miss| Miss { hint: Some(cause.to_owned()), ..miss })?;
    Ok(pieces(&said::requests(&seed.recordings())))
}

/// Returns the pieces that were asked for.
fn pieces(requests: &[said::Request]) -> BTreeSet<u32> {
    requests.iter().map(|(piece, ..)| *piece).collect()
}

fn interrupted(scene: &mut Scene) -> Finding {
    let download = Download::of_pieces(scene, 10)?;
    let giver = Giver::of(scene, &download.torrent);
    let (half, given) = (Gate::default(), Given::default());
    let peer = {
        let half = half.clone();
        scene.scripted(move |line, _| {
            if giver.begin(line).is_some() && serve_until(line, &giver, 5, &given) {
                half.open();
            }
            line.hold(STAYS);
        })?
    };
    let mut running = download.start(scene, peer.address())?;
    if !running.wait_for(|_| half.is_open()) {
        let miss = Miss::new("five pieces were to be fetched before Ctrl-C, and were not");
        return Err(said::explained(miss, &scene.recordings(), &download.torrent));
    }
    // A moment in which it writes what has come: then what it leaves looks most like a whole file.
    std::thread::sleep(SETTLES);
    let outcome = running.interrupt();
    ensure(outcome.end != End::OutOfTime, || {
        Miss::new("4 s after Ctrl-C it was still running")
            .likely("end on SIGINT: no wait may be longer than a second or so")
    })?;
    ensure(outcome.end != End::Code(0), || {
        Miss::new("it ended with code 0 after Ctrl-C, with pieces missing")
            .likely("to a script, code 0 is a whole download")
    })?;
    let cause = "the first run was ended by Ctrl-C: what it left is not whole, even if it has its full length; hash it";
    again(scene, &download, cause).map(drop)
}

fn lie(scene: &mut Scene) -> Finding {
    let download = Download::of_pieces(scene, 6)?;
    let wrong = scene.dice.length(0, 4);
    let liar = spoilt(scene, &download.torrent, wrong);
    let liar = scene.seed(&liar)?.address();
    download.run(scene, liar)?.refuses().map_err(|miss| {
        miss.perhaps(format!(
            "one bit of piece {wrong} was wrong: check the SHA-1 of each piece, and end with an error if the only peer has it wrong"
        ))
    })?;
    let cause = format!(
        "the first run got piece {wrong} with a wrong hash, and the second, from a good peer, did not mend it"
    );
    again(scene, &download, &cause).map(drop)
}

fn choke(scene: &mut Scene) -> Finding {
    let download = Download::of_pieces(scene, 6)?;
    let after = scene.dice.length(3, 7);
    let plan = scene.plan(&download.torrent).blocks(Blocks::ChokeAfter(after, true));
    let peer = scene.peer(plan)?.address();
    download.fetched(scene, peer).map_err(|miss| {
        miss.perhaps(format!(
            "after {after} blocks the peer choked, and unchoked 0.1 s later: a choke discards your requests, so ask again for every block that has not come"
        ))
    })
}

fn ahead(scene: &mut Scene) -> Finding {
    let rest = scene.dice.length(1, BLOCK);
    let torrent = scene.torrent_of(2 * BLOCK, 8 * 2 * BLOCK + rest);
    let download = Download::of(scene, torrent)?;
    let giver = Giver::of(scene, &download.torrent);
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let peer = scene.scripted(move |line, _| {
        if giver.begin(line).is_none() {
            return;
        }
        // Once is enough: a client may come again for each piece.
        if seen.load(Ordering::SeqCst) == 0
            && let Some(held) = giver.hold(line, AHEAD, HELD)
        {
            seen.fetch_max(held, Ordering::SeqCst);
        }
        giver.serve(line);
    })?;
    download.fetched(scene, peer.address())?;
    let most = most.load(Ordering::SeqCst);
    ensure(most >= AHEAD, || {
        Miss::new("the line is empty between two pieces, which have two blocks each")
            .instead(
                format!("{AHEAD} requests before the first block comes"),
                format!("{most}, for {:.0} s", HELD.as_secs_f64()),
            )
            .likely("ask for blocks of the next piece before those of this one have come")
    })
}

fn damaged(scene: &mut Scene) -> Finding {
    let download = Download::of_pieces(scene, 6)?;
    let wrong = scene.dice.length(1, 4);
    let there = spoilt(scene, &download.torrent, wrong);
    scene.file(&download.out, &there.content)?;
    asks_only_for(scene, &download, &[wrong as u32])
}

fn complete(scene: &mut Scene) -> Finding {
    let download = Download::of_pieces(scene, 5)?;
    scene.file(&download.out, &download.torrent.content)?;
    asks_only_for(scene, &download, &[])
}

/// Downloads from a good seed, and insists that no other pieces are asked for.
fn asks_only_for(scene: &mut Scene, download: &Download, wanted: &[u32]) -> Finding {
    let seed = scene.seed(&download.torrent)?;
    download.fetched(scene, seed.address())?;
    let asked = pieces(&said::requests(&seed.recordings()));
    ensure(asked.iter().all(|piece| wanted.contains(piece)), || {
        Miss::new(format!("of {} pieces, too many were asked for", download.torrent.pieces()))
            .instead(format!("requests for {wanted:?}"), format!("requests for {asked:?}"))
            .likely("hash each piece of what is at the output at the start, and ask only for the wrong ones")
    })
}

fn haves(scene: &mut Scene) -> Finding {
    let download = Download::of_pieces(scene, 8)?;
    let all = Giver::of(scene, &download.torrent);
    let half = all.with(|piece| piece % 2 == 0);
    let given = Given::default();
    let peer = scene.scripted(move |line, _| {
        if given.whole(&half).len() == 4 {
            if all.begin(line).is_some() {
                all.serve(line);
            }
        } else if half.begin(line).is_some() && serve_until(line, &half, 4, &given) {
            let haves: Vec<u8> = [1, 3, 5, 7].into_iter().flat_map(wire::have).collect();
            if line.send(&haves).is_ok() {
                all.serve(line);
            }
        }
    })?;
    download.fetched(scene, peer.address()).map_err(|miss| {
        miss.perhaps("the bitfield had every other piece, and `have` messages came for the rest once those were given: wait for them")
    })
}

fn one_connection(scene: &mut Scene) -> Finding {
    let download = Download::of_pieces(scene, 10)?;
    let seed = scene.seed(&download.torrent)?;
    download.fetched(scene, seed.address())?;
    let connections = seed.recordings().len();
    ensure(connections <= 5, || {
        Miss::new(format!("{connections} connections for {} pieces", download.torrent.pieces()))
            .likely(
                "keep the connection: each new one costs a handshake, and the wait for an unchoke",
            )
    })
}
