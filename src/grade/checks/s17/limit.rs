//! Whether a limit on what is sent holds, for all peers together.

use std::time::{Duration, Instant};

use super::super::s16::server::Server;
use super::super::s16::taker::{Block, Taker, all_blocks};
use super::crowd;
use crate::actors::leech::request;
use crate::actors::line::Heard;
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

/// How many peers take at the same time: a limit for each of them alone would be twice as much.
const PEERS: usize = 2;
/// How many requests each of them has on their way, so that the limit alone is what it waits for.
const AHEAD: usize = 6;
/// What comes before this is not counted: a limit on the average lets a first burst through.
const BURST: Duration = Duration::from_secs(1);
/// How long is measured. In this time at least thirty blocks come.
const MEASURED: Duration = Duration::from_millis(2_500);
/// How often that is tried before it fails: something else may have held the machine up.
const TRIES: usize = 3;
/// How far from the limit it may be.
const TOLERANCE: f64 = 0.2;

/// A peer that takes the same blocks again and again.
struct Thirsty {
    taker: Taker,
    blocks: Vec<Block>,
    /// How many it has asked for, and how many of these have not come.
    asked: usize,
    open: usize,
    gone: bool,
}

impl Thirsty {
    /// Keeps requests on their way, and listens for a moment; returns the size of a block.
    fn takes(&mut self) -> Option<usize> {
        while self.taker.unchoked && self.open < AHEAD {
            let (piece, begin, length) = self.blocks[self.asked % self.blocks.len()];
            self.taker.say(&request(piece, begin, length));
            (self.asked, self.open) = (self.asked + 1, self.open + 1);
        }
        match self.taker.hear(Duration::from_millis(5)) {
            Heard::Message(wire::PIECE, payload) => {
                self.open = self.open.saturating_sub(1);
                return Some(payload.len().saturating_sub(8));
            }
            // It forgets what was asked.
            Heard::Message(wire::CHOKE, _) => self.open = 0,
            Heard::Closed => self.gone = true,
            _ => {}
        }
        None
    }
}

pub fn holds(scene: &mut Scene) -> Finding {
    let limit = 32_768 * scene.dice.length(6, 9);
    let pieces = scene.dice.length(4, 7);
    let torrent = scene.torrent(pieces);
    let mut server = Server::limited(scene, &torrent, limit)?;
    let mut takers = crowd(scene, &mut server, PEERS)?;
    takers[0].is_unchoked_within(Duration::from_secs(12))?;
    let blocks = all_blocks(&torrent);
    let thirsty = |taker| Thirsty { taker, blocks: blocks.clone(), asked: 0, open: 0, gone: false };
    let mut peers: Vec<Thirsty> = takers.into_iter().map(thirsty).collect();
    rate(&mut peers, BURST);
    let mut found = 0.0;
    for _ in 0..TRIES {
        found = rate(&mut peers, MEASURED).unwrap_or(0.0);
        if (found / limit as f64 - 1.0).abs() <= TOLERANCE {
            return Ok(());
        }
        // No machine is held up that much.
        if found > 3.0 * limit as f64 {
            break;
        }
    }
    server.is_alive()?;
    ensure(found > 0.0, || Miss::new("no more than one block came in 2.5 s"))?;
    let (share, kib) =
        (found / limit as f64, |rate: f64| format!("{:.0} KiB a second", rate / 1024.0));
    let miss = Miss::new(format!("two peers take from a seed with --max-upload {limit}"))
        .instead(format!("{}, give or take 20 %", kib(limit as f64)), kib(found));
    Err(miss.likely(match share {
        1.8..2.2 => "each of the two has the limit for itself: all connections share one",
        1.0.. => {
            "before you send a block, wait until the ones before it are paid for: each costs \
                  its bytes divided by the limit, in seconds"
        }
        _ => {
            "a limit is no pause between blocks: it counts the time that sending takes as well, \
              and a peer that waits for requests costs nothing"
        }
    }))
}

/// Returns how many bytes a second all of them get in this time; none if there were less than two
/// blocks.
fn rate(peers: &mut [Thirsty], time: Duration) -> Option<f64> {
    let until = Instant::now() + time;
    let mut blocks: Vec<(Instant, usize)> = Vec::new();
    while Instant::now() < until && !peers.iter().all(|peer| peer.gone) {
        let came = peers.iter_mut().filter(|peer| !peer.gone).filter_map(Thirsty::takes);
        blocks.extend(came.map(|length| (Instant::now(), length)));
    }
    let ((first, _), (last, _)) = (blocks.first()?, blocks.last()?);
    let seconds = (*last - *first).as_secs_f64();
    let bytes: usize = blocks[1..].iter().map(|(_, length)| length).sum();
    (seconds > 0.0).then(|| bytes as f64 / seconds)
}
