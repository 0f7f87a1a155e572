//! Whether three peers are faster than one: a ratio of two runs, so the machine does not matter.

use std::time::Duration;

use super::fetch;
use crate::actors::peer_plan::Blocks;
use crate::actors::recording::{Recording, Way};
use crate::grade::check::Finding;
use crate::grade::miss::Miss;
use crate::grade::scene::Scene;

/// How much faster three must be. Three times is the most there is.
const WANTED: f64 = 1.8;
/// How often it is tried before it fails: something else may have held the machine up.
const TRIES: usize = 3;
/// What each peer gives, in thousand bytes a second.
const RATE: u32 = 1_200;
/// Chunks at least this long have a block in them.
const BLOCK: usize = 1_000;

/// Downloads from one limited peer, then from three of them.
pub fn ratio(scene: &mut Scene) -> Finding {
    let (mut one, mut three) = (Duration::MAX, Duration::MAX);
    let mut tries = 0;
    loop {
        // Whatever else the machine does makes a run longer, and never shorter.
        one = one.min(time(scene, 1)?.0);
        let (of_three, givers) = time(scene, 3)?;
        three = three.min(of_three);
        tries += 1;
        if one.as_secs_f64() >= WANTED * three.as_secs_f64() {
            return Ok(());
        }
        // A client that asks only one of them is not faster the next time.
        if tries == TRIES || givers == 1 {
            break;
        }
    }
    let ratio = one.as_secs_f64() / three.as_secs_f64().max(0.001);
    let tries = if tries == 1 { "one try".to_owned() } else { format!("{tries} tries") };
    let miss = Miss::new(format!("three peers are {ratio:.2} times as fast as one of them"))
        .instead(
            format!("{WANTED} times, in {tries}"),
            format!("{:.2} s with one, {:.2} s with three", one.as_secs_f64(), three.as_secs_f64()),
        );
    Err(miss.likely(
        "the peers take turns: each needs a thread of its own, and nobody may hold the lock of the \
         queue while it reads from its peer",
    ))
}

/// Returns the time from the first block of a download to the last one, so that the time for the
/// start of a program is not in it, and how many peers gave something.
fn time(scene: &mut Scene, peers: usize) -> Result<(Duration, usize), Miss> {
    // Of several blocks each: a peer's first block comes at once, and the others one by one.
    let torrent = scene.torrent_of(131_072, 12 * 131_072);
    let mut seeds = Vec::new();
    for _ in 0..peers {
        let plan = scene.plan(&torrent).blocks(Blocks::KilobytesPerSecond(RATE));
        seeds.push(scene.peer(plan)?);
    }
    let addresses: Vec<_> = seeds.iter().map(|seed| seed.address()).collect();
    let _ = std::fs::remove_file(scene.path(super::OUT));
    fetch(scene, &torrent, &addresses)?;
    let recordings: Vec<Recording> = seeds.iter().flat_map(|seed| seed.recordings()).collect();
    let blocks = recordings.iter().flat_map(Recording::chunks);
    let times = blocks
        .filter(|chunk| chunk.way == Way::ToClient && chunk.bytes.len() >= BLOCK)
        .map(|chunk| chunk.at);
    let (first, last) = times.fold((None, None), |(first, last), at| {
        (Some(first.map_or(at, |first| at.min(first))), last.max(Some(at)))
    });
    match (first, last) {
        (Some(first), Some(last)) => {
            Ok((last - first, seeds.iter().filter(|seed| seed.served() > 0).count()))
        }
        _ => Err(Miss::new("no block was asked for")),
    }
}
