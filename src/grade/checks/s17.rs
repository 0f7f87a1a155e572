//! Stage 17: `seed --port N TORRENT PATH` gives to many peers at once.

mod limit;
mod trade;

use std::thread;
use std::time::{Duration, Instant};

use super::s16::server::Server;
use super::s16::taker::{Taker, all_blocks, blocks};
use crate::actors::leech::request;
use crate::actors::line::Line;
use crate::actors::tracker::query_of;
use crate::actors::wire;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

const MESSAGES: &str = "BEP 3, peer messages";
const CHOKING: &str = "BEP 3, choking";
const TRACKER: &str = "BEP 3, trackers";
const OURS: &str = "your-own-client";

/// Peers that are interested at the same time.
const CROWD: usize = 20;
/// The most of them that may have a slot at once.
const MAX_SLOTS: usize = 10;
/// How long a client gets to fill the buffers on the way to a peer: nothing tells when they are
/// full.
const FILLS: Duration = Duration::from_millis(500);

/// The checks of stage 17.
pub const CHECKS: &[Check] = &[
    Check::new("17.1", "the tracker hears of the seed, and at which port", TRACKER, announces)
        .points(2),
    Check::new("17.2", "three peers at once get everything", MESSAGES, three).points(2),
    Check::new("17.3", "of twenty peers only a few are unchoked", CHOKING, few_slots).points(2),
    Check::new("17.4", "a slot that is given up goes to a peer that waits", CHOKING, next_slot),
    Check::new("17.5", "a peer that never reads holds nobody up", MESSAGES, never_reads).points(2),
    Check::new("17.6", "connections that say nothing hold nobody up", MESSAGES, silent),
    Check::new("17.7", "a download says `have` to peers", MESSAGES, trade::says_have),
    Check::new("17.8", "a download gives while it takes", MESSAGES, trade::gives).points(2),
    Check::new("17.9", "the tracker hears of the end", TRACKER, says_goodbye),
    Check::new("17.10", "--max-upload holds for all peers together", OURS, limit::holds),
];

fn seed(scene: &mut Scene) -> Result<Server, Miss> {
    let pieces = scene.dice.length(4, 7);
    let torrent = scene.torrent(pieces);
    Server::of(scene, "seed", &torrent)
}

/// Returns the first announce's pairs, undecoded.
fn first_announce(server: &mut Server) -> Result<Vec<(String, String)>, Miss> {
    server.wait_for(|server| !server.tracker.asked().is_empty());
    server.is_alive()?;
    let asked = server.tracker.asked();
    let first = asked.first().ok_or_else(|| {
        Miss::new("the tracker was not asked")
            .likely("a seed announces itself: else no peer knows that it is there")
    })?;
    Ok(query_of(first))
}

fn announces(scene: &mut Scene) -> Finding {
    let mut server = seed(scene)?;
    let port = server.address.port().to_string();
    let query = first_announce(&mut server)?;
    let cause =
        "`port` is where you listen, the one of --port; `left` is 0, since nothing is missing";
    for (key, expected) in [("port", port.as_str()), ("left", "0"), ("event", "started")] {
        let found = query.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str());
        ensure(found == Some(expected), || {
            Miss::new(format!("the announce has the wrong `{key}`"))
                .instead(format!("{key}={expected}"), found.unwrap_or("no such key"))
                .likely(cause)
        })?;
    }
    Ok(())
}

/// Has peers connect at the same time, all interested.
fn crowd(scene: &mut Scene, server: &mut Server, count: usize) -> Result<Vec<Taker>, Miss> {
    let mut takers = Vec::new();
    for number in 0..count {
        let mut taker = server.visit(scene).map_err(|miss| {
            if number == 0 {
                return miss;
            }
            miss.detail(format!("other peers that are connected: {number}"))
                .rather("each connection has a thread of its own, and accept goes on meanwhile")
        })?;
        taker.say(&wire::message(wire::INTERESTED, b""));
        takers.push(taker);
    }
    Ok(takers)
}

fn three(scene: &mut Scene) -> Finding {
    let mut server = seed(scene)?;
    let mut takers = crowd(scene, &mut server, 3)?;
    let torrent = server.torrent.clone();
    thread::scope(|scope| {
        let takes = |taker: &mut Taker| {
            taker.is_unchoked_within(Duration::from_secs(12))?;
            taker.takes(all_blocks(&torrent), 5)
        };
        let running: Vec<_> =
            takers.iter_mut().map(|taker| scope.spawn(move || takes(taker))).collect();
        let mut results = running.into_iter().map(thread::ScopedJoinHandle::join);
        results.try_for_each(|result| {
            result.unwrap_or_else(|_| Err(Miss::new("the grader has a fault of its own")))
        })
    })
}

/// Returns which of these peers have a slot, a moment after the first has one.
fn unchoked(takers: &mut [Taker], time: Duration) -> Vec<bool> {
    let mut until = Instant::now() + time;
    let mut some = false;
    while Instant::now() < until {
        for taker in takers.iter_mut() {
            taker.hear(Duration::from_millis(5));
        }
        if !some && takers.iter().any(|taker| taker.unchoked) {
            (some, until) = (true, Instant::now() + Duration::from_millis(1_500));
        }
    }
    takers.iter().map(|taker| taker.unchoked).collect()
}

/// Returns the rule that a seed with this many slots breaks.
fn slots_are_few(slots: usize) -> &'static str {
    match slots {
        0 => "a free slot goes to a peer that is interested, at once",
        _ => {
            "a few slots, four or so, and the others wait: a peer can pass a piece on only when it \
             has all of it, and twenty at once each take twenty times as long"
        }
    }
}

fn few_slots(scene: &mut Scene) -> Finding {
    let mut server = seed(scene)?;
    let mut takers = crowd(scene, &mut server, CROWD)?;
    let slots = unchoked(&mut takers, Duration::from_secs(12)).iter().filter(|has| **has).count();
    ensure((1..=MAX_SLOTS).contains(&slots), || {
        Miss::new(format!("{CROWD} peers are interested, and {slots} are unchoked"))
            .instead(format!("1 to {MAX_SLOTS}"), slots)
            .likely(slots_are_few(slots))
    })
}

fn next_slot(scene: &mut Scene) -> Finding {
    let mut server = seed(scene)?;
    let mut takers = crowd(scene, &mut server, CROWD)?;
    let has_slot = unchoked(&mut takers, Duration::from_secs(12));
    let slots = has_slot.iter().filter(|has| **has).count();
    ensure((1..CROWD).contains(&slots), || {
        Miss::new(format!("{slots} of {CROWD} peers are unchoked")).likely(slots_are_few(slots))
    })?;
    // Those with a slot hang up.
    let mut has_slot = has_slot.into_iter();
    takers.retain(|_| !has_slot.next().unwrap_or_default());
    unchoked(&mut takers, Duration::from_secs(15));
    let Some(next) = takers.iter_mut().find(|taker| taker.unchoked) else {
        return Err(Miss::new(format!(
            "{slots} peers with a slot hung up, and nobody else was unchoked"
        ))
        .instead("an unchoke within 15 s", "none")
        .likely("decide again every ten seconds, and at once when a peer with a slot has left"));
    };
    next.takes(blocks(&server.torrent, 0), 2)
}

fn never_reads(scene: &mut Scene) -> Finding {
    let mut server = seed(scene)?;
    let mut deaf = server.visit(scene)?;
    deaf.waits_for_slot()?;
    // More than both sockets hold: a write that waits for this peer waits for long.
    let all = all_blocks(&server.torrent);
    let requests = all.iter().cycle().take(1_500);
    let requests: Vec<u8> = requests.flat_map(|block| request(block.0, block.1, block.2)).collect();
    deaf.say(&requests);
    thread::sleep(FILLS);
    let served = server.visit(scene).and_then(|mut taker| {
        taker.say(&wire::message(wire::INTERESTED, b""));
        taker.is_unchoked_within(Duration::from_secs(15))?;
        taker.takes(all, 5)
    });
    served.map_err(|miss| {
        miss.detail("another peer has asked for 1,500 blocks, and reads none").perhaps_rather(
            "a write to a peer that does not read waits: each peer needs a thread of its own for \
             that, and a time limit",
        )
    })
}

fn silent(scene: &mut Scene) -> Finding {
    let mut server = seed(scene)?;
    let mut lines: Vec<Line> = Vec::new();
    for number in 0..CROWD {
        let mut line = server.dial(scene)?;
        // Half of them have begun their handshake.
        if number % 2 == 0 {
            let _ = line.send(b"\x13BitTorrent");
        }
        lines.push(line);
    }
    let mut taker = server.visit(scene).map_err(|miss| {
        miss.detail(format!("{CROWD} connections without a handshake are open")).perhaps_rather(
            "wait for a handshake on the connection's own thread, not in the loop that accepts",
        )
    })?;
    taker.say(&wire::message(wire::INTERESTED, b""));
    taker.is_unchoked_within(Duration::from_secs(12))?;
    taker.takes(all_blocks(&server.torrent), 5)
}

fn says_goodbye(scene: &mut Scene) -> Finding {
    let mut server = seed(scene)?;
    first_announce(&mut server)?;
    let before = server.tracker.asked().len();
    let ended = server.ends_politely();
    let asked = server.tracker.asked();
    let events = asked.iter().flat_map(|target| query_of(target));
    let events: Vec<String> =
        events.filter(|(key, _)| key == "event").map(|(_, event)| event).collect();
    ensure(events.iter().any(|event| event == "stopped"), || {
        Miss::new("Ctrl-C ended the seed, and the tracker was not told")
            .instead("event=stopped", format!("{} more announces", asked.len() - before))
            .likely("catch SIGINT, announce once more with event=stopped, and end with 0")
    })?;
    ended
}
