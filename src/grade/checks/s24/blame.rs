//! A piece that two peers have given, in which one block is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::actors::gate::Gate;
use crate::actors::line::{Heard, Line};
use crate::actors::peer::FakePeer;
use crate::actors::torrent::Torrent;
use crate::actors::tree::BLOCK;
use crate::actors::version_two::Draft;
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::checks::peers::{HOLD, bitfield_of, block, hear_handshake};
use crate::grade::checks::s23::fetching::{fetch, is_there};
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

/// The blocks of a piece.
const BLOCKS: usize = 16;
/// How many of them the liar gives.
const GIVEN: usize = 8;
/// The most blocks that the good peer has to give: all of the piece, and one again.
const MAX_BLOCKS: usize = BLOCKS + 1;
/// Its rest before each of them, so that there is time to ask for hashes meanwhile, and to cancel.
const PACE: u64 = 250;

/// What becomes of a wrong piece of several peers.
const CAUSE: &str = "a piece with blocks of two peers is wrong, and nobody can say whose: ask one of \
                     them for the hashes of its blocks (base layer 0), prove them, and put only the \
                     wrong block back";

/// A peer that has the first piece only. It gives half of that, one block of it with a wrong bit,
/// and then hangs up for good.
struct Liar {
    torrent: Torrent,
    peer_id: [u8; 20],
    /// The block that is wrong, in the order of the requests.
    wrong: usize,
    given: AtomicUsize,
    /// Opens when it has hung up.
    gone: Gate,
}

impl Liar {
    fn talk(&self, line: &mut Line) {
        if self.gone.is_open() || hear_handshake(line, self.torrent.info_hash).is_none() {
            return;
        }
        let has: Vec<bool> = (0..self.torrent.pieces()).map(|piece| piece == 0).collect();
        let hello = wire::handshake([0; 8], self.torrent.info_hash, self.peer_id);
        let _ = line.send(&[hello, bitfield_of(&has)].concat());
        loop {
            match line.hear_within(HOLD) {
                Heard::Closed | Heard::Silence => return,
                Heard::Message(wire::INTERESTED, _) => {
                    let _ = line.send(&wire::message(wire::UNCHOKE, &[]));
                }
                // If it is given, the last arm takes it.
                Heard::Message(wire::REQUEST, payload) if !self.gives(line, &payload) => return,
                _ => {}
            }
        }
    }

    /// Gives a block; says whether it goes on.
    fn gives(&self, line: &mut Line, payload: &[u8]) -> bool {
        let number = self.given.fetch_add(1, Ordering::SeqCst);
        if number >= GIVEN {
            // What it has sent is to arrive before the end does.
            line.close_ours();
            line.hold(Duration::from_secs(1));
            self.gone.open();
            return false;
        }
        let Some((piece, begin, length)) = wire::three(payload) else { return false };
        let Some(mut data) = block(&self.torrent, piece, begin, length) else { return false };
        if number == self.wrong {
            data[0] ^= 1;
        }
        line.send(&wire::block(piece, begin, &data)).is_ok()
    }
}

/// What came of a download from a liar, and from a good peer that gives once the liar has gone.
struct Ran {
    good: Arc<FakePeer>,
    whole: Finding,
}

fn run(scene: &mut Scene, pieces: usize, pace: u64) -> Result<Ran, Miss> {
    let content = scene.dice.bytes(pieces * BLOCKS * BLOCK);
    let name = format!("{}.bin", scene.dice.word(8));
    let torrent = Draft::single(&name, BLOCKS * BLOCK, content).build();
    let gone = Gate::default();
    let liar = Arc::new(Liar {
        torrent: torrent.clone(),
        peer_id: scene.dice.peer_id(),
        wrong: scene.dice.length(1, GIVEN - 2),
        given: AtomicUsize::new(0),
        gone: gone.clone(),
    });
    let talks = liar.clone();
    let first = scene.scripted(move |line, _| talks.talk(line))?;
    let plan = scene.plan(&torrent).once(gone).pace(pace);
    let good = scene.peer(plan)?;
    let outcome = fetch(scene, &torrent, &[first.address(), good.address()])?;
    ensure(liar.given.load(Ordering::SeqCst) >= GIVEN, || {
        outcome.with_last_words(Miss::new("the first peer was not asked for half of a piece"))
    })?;
    Ok(Ran { good, whole: is_there(scene, &torrent, &outcome) })
}

pub fn again(scene: &mut Scene) -> Finding {
    let ran = run(scene, 1, PACE)?;
    ran.whole.map_err(|miss| miss.perhaps(CAUSE))?;
    let given = ran.good.served();
    ensure(given <= MAX_BLOCKS, || {
        Miss::new(format!("the good peer gave {given} blocks, of a piece of {BLOCKS}"))
            .instead(format!("{MAX_BLOCKS} at most: one was wrong"), given)
            .half()
            .likely(CAUSE)
    })
}

pub fn honest(scene: &mut Scene) -> Finding {
    let ran = run(scene, 3, 0)?;
    ran.whole.map_err(|miss| {
        miss.perhaps("one of the two peers that gave this piece was honest, and it alone has the others: whoever is to be banned is known once the blocks are compared with their hashes")
    })
}
