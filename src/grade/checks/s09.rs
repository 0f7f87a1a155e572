//! Stage 9: `download_piece -o OUT TORRENT N` fetches a piece and checks its hash.

pub(super) mod content;
pub(super) mod giver;
pub(super) mod said;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use self::giver::Giver;
use crate::actors::peer_plan::{Blocks, Plan, Unchoke};
use crate::actors::torrent::Torrent;
use crate::actors::wire;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

const MESSAGES: &str = "BEP 3, peer messages";
const PEERS: &str = "BEP 3, peer protocol";
const INFO: &str = "BEP 3, info dictionary";
const METADATA: &str = "BEP 9, metadata";

/// The length of a block.
const BLOCK: usize = 16_384;
/// How many requests must be outstanding. BEP 3 leaves the number to the client.
const AHEAD: usize = 5;
/// How long the first block is held back for them.
const HELD: Duration = Duration::from_secs(2);

/// The checks of stage 9.
pub const CHECKS: &[Check] = &[
    Check::new("9.1", "a piece, in blocks of 16 KiB", MESSAGES, middle)
        .points(2)
        .twin("download a piece"),
    Check::new("9.2", "the last piece is shorter, and so is its last block", INFO, last)
        .points(2)
        .twin("download a piece"),
    Check::new("9.3", "the last piece is as long as the others", INFO, exact),
    Check::new("9.4", "the last piece has one byte", INFO, one_byte),
    Check::new("9.5", "blocks in any order", MESSAGES, |scene| {
        blocks(
            scene,
            Blocks::Backwards,
            "the blocks came in the opposite order: `begin` says where each belongs",
        )
    }),
    Check::new("9.6", "a block that comes twice is one", MESSAGES, |scene| {
        blocks(
            scene,
            Blocks::Twice,
            "each block came twice: remember which ones are there, and do not count them",
        )
    }),
    Check::new("9.7", "a choke in the middle: the lost requests are made again", PEERS, choke)
        .points(2),
    Check::new("9.8", "five requests are outstanding at once", MESSAGES, ahead),
    Check::new("9.9", "magnet_download_piece: a piece of a link", METADATA, magnet)
        .points(2)
        .twin("download a piece (magnet links)"),
    Check::new("9.10", "one wrong bit: an error, and no file", INFO, wrong_hash)
        .points(2)
        .refusal("9.1"),
    Check::new("9.11", "the first peer is dead, another one gives", PEERS, dead).points(2),
    Check::new("9.12", "the first peer lies, another one gives", INFO, liar),
    Check::new("9.13", "there is no such piece", INFO, no_such_piece).refusal("9.1"),
    Check::new("9.14", "a block of another piece is passed over", MESSAGES, unexpected),
    Check::new("9.15", "silence after two blocks: an error, and no file", PEERS, silence)
        .refusal("9.1"),
    Check::new("9.16", "an unchoke that came before the metadata counts", PEERS, early),
    Check::new("9.17", "the first peer lacks the piece, another one gives", MESSAGES, lacking),
    Check::new("9.18", "the first peer leaves in the middle, another one gives", PEERS, leaving),
];

/// A piece that is to be fetched, and the name of the file for it.
struct Task {
    torrent: Torrent,
    index: usize,
    out: String,
}

impl Task {
    fn new(scene: &mut Scene, torrent: Torrent, index: usize) -> Task {
        Task { torrent, index, out: scene.dice.word(7) }
    }

    /// Returns a piece in the middle, so that it is neither the first nor a short one.
    fn middle(scene: &mut Scene) -> Task {
        let pieces = scene.dice.length(4, 7);
        let torrent = scene.torrent(pieces);
        let index = scene.dice.length(1, pieces - 3);
        Task::new(scene, torrent, index)
    }

    /// Returns a piece of this many blocks, of three pieces.
    fn of_blocks(scene: &mut Scene, blocks: usize) -> Task {
        let rest = scene.dice.length(1, BLOCK);
        let torrent = scene.torrent_of(blocks * BLOCK, 2 * blocks * BLOCK + rest);
        let index = scene.dice.length(0, 1);
        Task::new(scene, torrent, index)
    }

    /// Runs `download_piece`; the tracker knows these peers, in this order.
    fn run(&self, scene: &mut Scene, peers: &[SocketAddr]) -> Result<Outcome, Miss> {
        let tracker = scene.tracker_of(peers)?.url();
        let file = scene.torrent_file(&self.torrent, &tracker)?;
        self.run_with(scene, "download_piece", &file)
    }

    /// Runs a command that takes a torrent or a link, and the number of a piece.
    fn run_with(&self, scene: &Scene, command: &str, of: &str) -> Result<Outcome, Miss> {
        let out = scene.path(&self.out).to_string_lossy().into_owned();
        scene.run(&[command, "-o", &out, of, &self.index.to_string()])
    }

    /// Insists that the piece is there.
    fn is_there(&self, scene: &Scene, outcome: &Outcome) -> Finding {
        let written = || {
            let found = scene.output(&self.out);
            found.map_err(|miss| miss.likely("the piece goes to the file whose name follows -o"))
        };
        let finding = outcome
            .succeeds()
            .and_then(|_| content::is_piece(&self.torrent, self.index, &written()?));
        finding.map_err(|miss| said::explained(miss, &scene.recordings(), &self.torrent))
    }

    /// Runs `download_piece`, and insists that the piece is there then.
    fn fetched(&self, scene: &mut Scene, peers: &[SocketAddr]) -> Finding {
        let outcome = self.run(scene, peers)?;
        self.is_there(scene, &outcome)
    }

    /// Insists on an error, and that nothing has the name of the file.
    fn refused(&self, scene: &Scene, outcome: &Outcome) -> Finding {
        outcome.refuses()?;
        ensure(!scene.path(&self.out).exists(), || {
            Miss::new("it ended with an error, and yet left a file where the piece should go")
                .likely("write the file only when the hash is right")
        })
    }

    /// Returns a torrent with one wrong bit in this piece.
    fn lie(&self, scene: &mut Scene) -> Torrent {
        spoilt(scene, &self.torrent, self.index)
    }
}

/// Returns the same torrent, with one wrong bit in the content of a piece.
pub(super) fn spoilt(scene: &mut Scene, torrent: &Torrent, piece: usize) -> Torrent {
    let mut spoilt = torrent.clone();
    let place = scene.dice.length(0, torrent.piece(piece).len().saturating_sub(1));
    if let Some(byte) = spoilt.content.get_mut(piece * torrent.piece_length + place) {
        *byte ^= 1;
    }
    spoilt
}

/// Fetches a piece from a good seed.
fn from_seed(scene: &mut Scene, task: &Task) -> Finding {
    let seed = scene.seed(&task.torrent)?.address();
    task.fetched(scene, &[seed]).map_err(|miss| said::unsaid(miss, &scene.recordings()))
}

fn middle(scene: &mut Scene) -> Finding {
    let task = Task::middle(scene);
    from_seed(scene, &task)
}

fn last(scene: &mut Scene) -> Finding {
    let (pieces, odd) = (scene.dice.length(2, 4), scene.dice.length(1, BLOCK - 1));
    let torrent = scene.torrent_of(3 * BLOCK, pieces * 3 * BLOCK + BLOCK + odd);
    let task = Task::new(scene, torrent, pieces);
    from_seed(scene, &task)
}

fn exact(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(2, 4);
    let torrent = scene.torrent_of(2 * BLOCK, pieces * 2 * BLOCK);
    let task = Task::new(scene, torrent, pieces - 1);
    let seed = scene.seed(&task.torrent)?.address();
    task.fetched(scene, &[seed]).map_err(|miss| {
        miss.perhaps("the length is a multiple of the piece length: what is left over is 0, and the last piece is a whole one")
    })
}

fn one_byte(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(2, 4);
    let torrent = scene.torrent_of(2 * BLOCK, pieces * 2 * BLOCK + 1);
    let task = Task::new(scene, torrent, pieces);
    from_seed(scene, &task)
}

/// Fetches a piece of eight blocks from a peer that serves them like this.
fn blocks(scene: &mut Scene, blocks: Blocks, cause: &str) -> Finding {
    let task = Task::of_blocks(scene, 8);
    let plan = scene.plan(&task.torrent).blocks(blocks);
    let peer = scene.peer(plan)?;
    task.fetched(scene, &[peer.address()]).map_err(|miss| match peer.mischief().is_open() {
        true => miss.perhaps(cause),
        false => miss,
    })
}

fn choke(scene: &mut Scene) -> Finding {
    let after = scene.dice.length(2, 4);
    let cause = format!(
        "after {after} blocks the peer choked, and unchoked 0.1 s later: a choke discards your requests, so ask again for every block that has not come"
    );
    blocks(scene, Blocks::ChokeAfter(after, true), &cause)
}

fn ahead(scene: &mut Scene) -> Finding {
    let task = Task::of_blocks(scene, 8);
    let peer = Giver::of(scene, &task.torrent);
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let peer = scene.scripted(move |line, _| {
        if peer.begin(line).is_some()
            && let Some(held) = peer.hold(line, AHEAD, HELD)
        {
            seen.fetch_max(held, Ordering::SeqCst);
            peer.serve(line);
        }
    })?;
    task.fetched(scene, &[peer.address()])?;
    let most = most.load(Ordering::SeqCst);
    ensure(most >= AHEAD, || {
        Miss::new("the line is empty between two blocks")
            .instead(
                format!("{AHEAD} requests before the first block comes"),
                format!("{most}, for {:.0} s", HELD.as_secs_f64()),
            )
            .likely("send several requests before you wait for a block, and one more for each that comes; else each costs a round trip")
    })
}

fn magnet(scene: &mut Scene) -> Finding {
    let task = Task::middle(scene);
    from_link(scene, &task, |plan| plan).map_err(|miss| said::unsaid(miss, &scene.recordings()))
}

fn early(scene: &mut Scene) -> Finding {
    let task = Task::middle(scene);
    from_link(scene, &task, |plan| plan.unchoke(Unchoke::Early)).map_err(|miss| {
        miss.perhaps("the peer unchoked before it gave the metadata, and does not do so again: keep what it says meanwhile")
    })
}

/// Fetches a piece of a link from a seed with this plan.
fn from_link(scene: &mut Scene, task: &Task, alter: impl FnOnce(Plan) -> Plan) -> Finding {
    let plan = alter(scene.plan(&task.torrent));
    let seed = scene.peer(plan)?.address();
    let tracker = scene.tracker_of(&[seed])?.url();
    let link = task.torrent.magnet(&[&tracker]);
    let outcome = task.run_with(scene, "magnet_download_piece", &link)?;
    task.is_there(scene, &outcome)
}

fn wrong_hash(scene: &mut Scene) -> Finding {
    let task = Task::middle(scene);
    let liar = task.lie(scene);
    let liar = scene.seed(&liar)?.address();
    let outcome = task.run(scene, &[liar])?;
    task.refused(scene, &outcome).map_err(|miss| {
        miss.perhaps("one bit of the piece was wrong: its SHA-1 must be its hash in `pieces`, 20 bytes at 20 times its number")
    })
}

fn dead(scene: &mut Scene) -> Finding {
    let task = Task::middle(scene);
    let nobody = nobody(scene)?;
    let seed = scene.seed(&task.torrent)?;
    task.fetched(scene, &[nobody, seed.address()]).map_err(|miss| match &seed.recordings()[..] {
        [] => miss
            .likely("nobody listens at the first address that the tracker named: try the next one"),
        _ => miss,
    })
}

/// Returns an address at which nobody listens.
fn nobody(scene: &mut Scene) -> Result<SocketAddr, Miss> {
    let free = TcpListener::bind((scene.host(), 0)).and_then(|listener| listener.local_addr());
    free.map_err(|error| Miss::new(format!("the grader cannot go on: {error}")))
}

fn liar(scene: &mut Scene) -> Finding {
    let task = Task::middle(scene);
    let liar = task.lie(scene);
    let liar = scene.seed(&liar)?.address();
    second(
        scene,
        &task,
        liar,
        "one bit of what the first peer gave was wrong: throw the piece away, and ask the other peer for it",
    )
}

fn lacking(scene: &mut Scene) -> Finding {
    let task = Task::middle(scene);
    let others = (0..task.torrent.pieces()).filter(|piece| *piece != task.index);
    let plan = scene.plan(&task.torrent).only(others);
    let first = scene.peer(plan)?.address();
    second(
        scene,
        &task,
        first,
        "the first peer's bitfield says that it lacks the piece: ask the other peer",
    )
}

fn leaving(scene: &mut Scene) -> Finding {
    let task = Task::of_blocks(scene, 8);
    let plan = scene.plan(&task.torrent).blocks(Blocks::CloseAfter(2));
    let first = scene.peer(plan)?.address();
    second(scene, &task, first, "the first peer hung up after two blocks: go on with the other one")
}

/// Fetches a piece that the first peer does not give, and a good seed, named second, does.
fn second(scene: &mut Scene, task: &Task, first: SocketAddr, cause: &str) -> Finding {
    let seed = scene.seed(&task.torrent)?.address();
    task.fetched(scene, &[first, seed]).map_err(|miss| miss.perhaps(cause))
}

fn no_such_piece(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(4);
    let task = Task::new(scene, torrent, 4);
    let seed = scene.seed(&task.torrent)?.address();
    let outcome = task.run(scene, &[seed])?;
    task.refused(scene, &outcome).map_err(|miss| {
        miss.perhaps("there are four pieces, counted from 0, and 4 was asked for: say so, before a peer is asked")
    })
}

fn unexpected(scene: &mut Scene) -> Finding {
    let task = Task::middle(scene);
    let peer = Giver::of(scene, &task.torrent);
    let peer = scene.scripted(move |line, _| {
        if peer.begin(line).is_none() {
            return;
        }
        while let Some((piece, begin, length)) = peer.asked(line) {
            // The next piece is a whole one too.
            let foreign = peer.block((piece + 1, begin, length)).unwrap_or_default();
            let foreign = wire::block(piece + 1, begin, foreign);
            if line.send(&foreign).is_err() || peer.give(line, (piece, begin, length)).is_err() {
                return;
            }
        }
    })?;
    task.fetched(scene, &[peer.address()]).map_err(|miss| {
        miss.perhaps("before each block came one of another piece, as it may after a choke: look at the index of a block, not only at its begin")
    })
}

fn silence(scene: &mut Scene) -> Finding {
    let task = Task::of_blocks(scene, 4);
    let plan = scene.plan(&task.torrent).blocks(Blocks::SilentAfter(2));
    let peer = scene.peer(plan)?.address();
    let outcome = task.run(scene, &[peer])?;
    task.refused(scene, &outcome).map_err(|miss| {
        miss.perhaps("the peer sent two blocks and nothing more: every wait needs a limit, of some seconds here")
    })
}
