//! The simulator's own sums, against what can be computed by hand.

use super::asked::run;
use piecemeal::simulate::outcome::{Ending, Run};
use piecemeal::simulate::setup::{Arrival, Class, Setup, Stay};
use piecemeal::simulate::simulate;
use std::sync::atomic::AtomicBool;

const PIECE: f64 = 256.0 * 1024.0;

fn swarm(setup: &Setup) -> Run {
    simulate(setup, "", 7, &AtomicBool::new(false))
}

/// One seed and these peers, all there from the start.
fn at_once(pieces: u32, seed_up: f64, mut peers: Vec<Class>) -> Setup {
    peers.iter_mut().for_each(|class| class.arrival = Arrival::At(0.0));
    Setup::new(pieces, [vec![Class::seed(seed_up)], peers].concat())
}

#[track_caller]
fn assert_near(found: f64, expected: f64, what: &str) {
    let off = (found - expected).abs();
    assert!(off <= 1e-4 * expected.abs().max(1e-3), "{what} is {found}, and should be {expected}");
}

#[test]
fn one_peer_takes_as_long_as_the_slower_of_two_lines_needs() {
    // (up, down, seconds for 40 pieces)
    let cases =
        [(PIECE, f64::INFINITY, 40.0), (PIECE, 2.0 * PIECE, 40.0), (4.0 * PIECE, PIECE, 40.0)];
    for (up, down, expected) in cases {
        let peer = Class { down, ..Class::new("peer", 1, 1000.0) };
        let run = swarm(&at_once(40, up, vec![peer]));
        assert_eq!((run.ending, run.times.len()), (Ending::AllDone, 1));
        let what = format!("the time at {up} B/s up and {down} B/s down");
        assert_near(run.times[0], expected, &what);
        assert_near(run.peers[0].given, 40.0 * PIECE, "what the seed gave");
        assert_near(run.peers[1].taken, 40.0 * PIECE, "what the peer took");
        assert_near(run.peers[1].from_seeds, 40.0 * PIECE, "what came from the seed");
    }
}

#[test]
fn a_line_is_split_evenly_among_those_that_take() {
    // Two peers that give nothing to each other: each gets half of the seed's line.
    let peers = Class { slots: 0, ..Class::new("peer", 2, PIECE) };
    let run = swarm(&at_once(30, PIECE, vec![peers]));
    assert_eq!(run.times.len(), 2);
    for time in &run.times {
        assert_near(*time, 60.0, "the time of each");
    }
    assert_near(run.gave_in_all[0][1], 60.0 * PIECE, "what the seed's class gave to the other");
}

#[test]
fn the_most_connections_at_a_time_are_counted_each_once() {
    // Seven that all know each other: 7 x 6 / 2.
    let peers = Class::new("peer", 6, PIECE);
    assert_eq!(swarm(&at_once(10, PIECE, vec![peers])).connections, 21);
    // One after the other: the second comes when the first has left.
    let one = Class { stay: Stay::Seconds(0.0), ..Class::new("peer", 1, PIECE) };
    let mut setup = at_once(10, PIECE, vec![one.clone()]);
    setup.classes.push(Class { arrival: Arrival::At(100.0), ..one });
    let run = swarm(&setup);
    assert_eq!((run.times.len(), run.connections), (2, 1));
}

#[test]
fn no_swarm_is_quicker_than_its_lines_allow() {
    // Kumar and Ross 2006: nobody is done before the seed has given everything once, and not all
    // before all lines together have carried it to all.
    for seed_up in [0.5, 2.0, 8.0] {
        let setup = at_once(40, seed_up * PIECE, vec![Class::new("peer", 12, PIECE)]);
        let run = swarm(&setup);
        assert_eq!(run.ending, Ending::AllDone);
        let last = run.times.iter().copied().fold(0.0, f64::max);
        let least = (40.0 / seed_up).max(12.0 * 40.0 / (seed_up + 12.0));
        assert!(last >= least, "the last is done after {last} s, and {least} s are the least");
        assert!(last <= 2.5 * least, "{last} s are much more than {least} s");
        let given: f64 = run.peers.iter().map(|peer| peer.given).sum();
        assert!(given <= 12.0 * 40.0 * PIECE + 1.0, "more is given than there are copies");
        let taken: f64 = run.peers.iter().map(|peer| peer.taken).sum();
        assert_near(taken, 12.0 * 40.0 * PIECE, "what is taken is a copy each");
        let in_all: f64 = run.gave_in_all.iter().flatten().sum();
        assert_near(in_all, taken, "what is given is what is taken");
    }
}

#[test]
fn the_same_seed_gives_the_same_numbers_and_another_seed_others() {
    for name in ["pieces", "everybody", "super-seed", "end-game"] {
        let settings = "peers=20 pieces=20 repeat=2 seed=3";
        let (one, other) = (run(name, settings), run(name, settings));
        let one = one.expect("nothing is wrong");
        assert_eq!(one, other.expect("nothing is wrong"), "{name}");
        // All of it, also what no table shows.
        let times: Vec<_> = one.runs.iter().take(2).map(|run| &run.times).collect();
        assert_ne!(times[0], times[1], "{name}: seeds 3 and 4");
    }
}

#[test]
fn samples_are_few_and_in_order_and_end_with_the_run() {
    let outcome = run("pieces", "peers=30 pieces=60").expect("nothing is wrong");
    for run in &outcome.runs {
        assert!(run.samples.len() <= 401, "{} samples", run.samples.len());
        assert!(run.samples.windows(2).all(|pair| pair[0].t <= pair[1].t));
        let last = run.samples.last().expect("there is one");
        assert_eq!((last.done, last.leechers, last.t), (30, 0, run.lasted));
        assert_eq!((last.rarest, last.mean), (31, 31.0), "all have all");
    }
}
