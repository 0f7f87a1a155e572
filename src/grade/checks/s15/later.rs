//! What is not there at once: a second run, a rare piece, the last block.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::giver::{Giver, News};
use super::{OUT, SECONDS, download, fetch, fetched, shown};
use crate::actors::gate::Gate;
use crate::actors::peer_plan::Blocks;
use crate::actors::torrent::Torrent;
use crate::actors::tracker::Reply;
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

/// How long a client may take to put blocks that it has into its file.
const TO_DISK: Duration = Duration::from_millis(1_500);
/// How long a peer that lacks a piece has nothing to give.
const LACK: Duration = Duration::from_millis(400);

/// Stopped when some pieces are there, and started again: those are not fetched twice.
pub fn resumed(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(9);
    let lacking = [scene.dice.length(1, 4), scene.dice.length(5, 8)];
    let early: Vec<usize> = (0..9).filter(|piece| !lacking.contains(piece)).collect();
    let plan = scene.plan(&torrent).only(early.iter().copied());
    let first = scene.peer(plan)?;
    let second = scene.seed(&torrent)?;
    let again = Gate::default();
    let replies = [&first, &second].map(|peer| Reply::peers(&[peer.address()]));
    let tracker = scene.tracker({
        let again = again.clone();
        move |_, _| replies[usize::from(again.is_open())].clone()
    })?;
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    scene.within(SECONDS);
    let mut running = scene.start(&["download", "-o", &shown(&scene.path(OUT)), &file])?;
    let blocks = early.iter().map(|piece| torrent.piece(*piece).len().div_ceil(16_384)).sum();
    if !running.wait_for(|_| first.served() >= blocks) {
        let miss = Miss::new(format!("{} of {blocks} blocks were asked for", first.served()));
        return Err(miss.perhaps("the first peer has seven of nine pieces: fetch those"));
    }
    let given = Instant::now();
    running.wait_for(|_| given.elapsed() > TO_DISK || is_written(scene, &torrent, &early));
    running.interrupt();
    again.open();
    let outcome = download(scene, &file)?;
    fetched(scene, &torrent, &outcome)?;
    let asked: BTreeSet<usize> = second
        .talks()
        .iter()
        .flat_map(|talk| talk.requests())
        .map(|(piece, _, _)| piece as usize)
        .filter(|piece| early.contains(piece))
        .collect();
    // The last one may have been on its way to the disk.
    ensure(asked.len() <= 1, || {
        Miss::new(format!("{} of 7 pieces were fetched a second time", asked.len()))
            .instead("pieces that were there when it was stopped are kept", format!("{asked:?}"))
            .likely(
                "write each piece when its hash is right; at the start, hash what the file has, \
                 and fetch only the rest",
            )
    })
}

/// Whether these pieces are in the output file.
fn is_written(scene: &Scene, torrent: &Torrent, pieces: &[usize]) -> bool {
    scene.output(OUT).is_ok_and(|found| {
        pieces.iter().all(|piece| {
            let begin = piece * torrent.piece_length;
            let piece = torrent.piece(*piece);
            found.get(begin..begin + piece.len()) == Some(piece)
        })
    })
}

/// No peer has a certain piece, until one says `have`.
pub fn rare(scene: &mut Scene) -> Finding {
    let torrent = Arc::new(scene.torrent(5));
    let rare = scene.dice.length(0, 4);
    let others: usize = (0..5)
        .filter(|piece| *piece != rare)
        .map(|piece| torrent.piece(piece).len().div_ceil(16_384))
        .sum();
    // Blocks that were given, and when the last new one was.
    let given = Arc::new(Mutex::new((BTreeSet::new(), Instant::now())));
    let (late, peer_id) = (Gate::default(), scene.dice.peer_id());
    let peer = scene.scripted({
        let (torrent, given, late) = (torrent.clone(), given.clone(), late.clone());
        move |line, _| {
            let has = (0..5).map(|piece| piece != rare || late.is_open()).collect();
            let Some(mut giver) = Giver::meet(line, &torrent, peer_id, has) else { return };
            loop {
                match giver.goes_on(Duration::from_millis(50)) {
                    News::Gone => return,
                    News::Took(piece, begin) => {
                        let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
                        if given.0.insert((piece, begin)) {
                            given.1 = Instant::now();
                        }
                    }
                    News::Said(..) | News::Nothing => {}
                }
                let given = given.lock().unwrap_or_else(PoisonError::into_inner);
                if !giver.has[rare] && given.0.len() >= others && given.1.elapsed() > LACK {
                    late.open();
                    giver.gets(rare);
                }
            }
        }
    })?;
    fetch(scene, &torrent, &[peer.address()]).map_err(|miss| {
        if late.is_open() {
            miss.detail(format!("the peer said `have {rare}` when all others were fetched")).perhaps(
                "a `have` may come at any time: note it, say interested again if you took it back, \
                 and ask for the piece",
            )
        } else {
            miss.perhaps(format!(
                "the only peer lacks piece {rare} at first: fetch the others and stay connected, \
                 since it may get that piece too"
            ))
        }
    })
}

/// A slow peer has a piece on loan when another has given everything else.
pub fn end_game(scene: &mut Scene) -> Finding {
    let length = scene.dice.length(5 * 65_536 + 1, 6 * 65_536 - 1);
    let torrent = scene.torrent_of(65_536, length);
    let plan = scene.plan(&torrent).blocks(Blocks::KilobytesPerSecond(2));
    let slow = scene.peer(plan)?;
    let asked = Gate::default();
    let plan = scene.plan(&torrent).once(asked.clone());
    let fast = scene.peer(plan)?;
    let tracker = scene.tracker_of(&[slow.address(), fast.address()])?;
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    scene.within(SECONDS);
    let mut running = scene.start(&["download", "-o", &shown(&scene.path(OUT)), &file])?;
    running.wait_for(|_| slow.served() > 0);
    asked.open();
    let outcome = running.finish();
    fetched(scene, &torrent, &outcome).map_err(|miss| {
        miss.detail(format!(
            "the slow peer gave {} blocks, the fast one {}",
            slow.served(),
            fast.served()
        ))
        .perhaps(
            "one peer needs 8 s for a block, and the other one has nothing left to do: ask it \
                 for the missing blocks too (the end game)",
        )
    })
}
