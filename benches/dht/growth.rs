//! How a lookup grows with the network: in memory and in virtual time, with the lookup alone. Nothing
//! waits, so ten thousand nodes take a second.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::krpc::Response;
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s21_dht_lookup::{Goal, Lookup};

use crate::nodes::{Dice, K, Kind, Mix, Network};

/// The sizes of the networks.
pub const SIZES: [usize; 5] = [100, 300, 1_000, 3_000, 10_000];
/// Lookups in each.
const LOOKUPS: usize = 200;
/// How many of the nodes are silent, in hundredths.
const SILENT: usize = 20;

/// Lookups in a network of one size.
#[derive(Clone, Copy)]
pub struct Grown {
    pub nodes: usize,
    /// Queries of a lookup, on average.
    pub queries: f64,
    /// And the number that nine of ten lookups do not exceed.
    pub most: usize,
    /// Seconds in the middle, of virtual time.
    pub seconds: f64,
    /// The hundredths of the eight nearest that were found.
    pub found: f64,
    /// The same where no node has noticed any that is silent.
    pub found_unnoticed: f64,
}

/// All sizes.
pub fn run() -> Vec<Grown> {
    SIZES.map(grown).to_vec()
}

fn grown(nodes: usize) -> Grown {
    let runs = runs(nodes, 50);
    let mut queries: Vec<usize> = runs.iter().map(|run| run.queries).collect();
    let mut seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
    queries.sort_unstable();
    seconds.sort_by(f64::total_cmp);
    Grown {
        nodes,
        queries: queries.iter().sum::<usize>() as f64 / LOOKUPS as f64,
        most: queries[LOOKUPS * 9 / 10],
        seconds: seconds[LOOKUPS / 2],
        found: found(&runs),
        found_unnoticed: found(&self::runs(nodes, 100)),
    }
}

fn runs(nodes: usize, unnoticed: usize) -> Vec<Run> {
    let seed = nodes as u64;
    let network = Network::new(Mix { nodes, silent: SILENT, liars: 0, unnoticed, seed });
    let mut dice = Dice::new(7);
    (0..LOOKUPS).map(|_| look_up(&network, &mut dice)).collect()
}

fn found(runs: &[Run]) -> f64 {
    let right: usize = runs.iter().map(|run| run.right).sum();
    100.0 * right as f64 / (LOOKUPS * K) as f64
}

struct Run {
    queries: usize,
    seconds: f64,
    right: usize,
}

/// One lookup, by somebody that has a table like all the others'.
fn look_up(network: &Network, dice: &mut Dice) -> Run {
    let (ours, torrent) = (dice.id(), InfoHash(dice.id().0));
    let target = NodeId::from(torrent);
    let mut lookup = Lookup::new(Goal::Peers(torrent), ours, true);
    network.newcomer(ours, target, dice).into_iter().for_each(|node| lookup.start_from(node));
    let begin = Instant::now();
    let (mut now, mut queries) = (begin, 0);
    // When an answer comes, to which query, and from which node.
    let mut due: BinaryHeap<Reverse<(Instant, usize, usize)>> = BinaryHeap::new();
    while !lookup.is_done() {
        while let Some(ask) = lookup.next(now) {
            queries += 1;
            let node = network.at(ask.to).filter(|node| network.kinds[*node] != Kind::Silent);
            let delay = Duration::from_micros(10_000 + dice.below(20_000) as u64);
            due.extend(node.map(|node| Reverse((now + delay, ask.number, node))));
        }
        let next = due.peek().map(|Reverse((at, ..))| *at);
        match lookup.due() {
            Some(end) if next.is_none_or(|next| end < next) => now = end,
            _ => {
                let Some(Reverse((at, number, node))) = due.pop() else { break };
                now = at;
                let mut response = Response::new(network.contacts[node].id);
                response.nodes = network.answer(node, target, dice);
                lookup.answer(number, &response, now);
            }
        }
    }
    let closest = network.closest(target);
    let found = lookup.closest();
    let found = found.iter().filter_map(|neighbor| network.at(neighbor.contact.address));
    Run {
        queries,
        seconds: (now - begin).as_secs_f64(),
        right: found.filter(|node| closest.contains(node)).count(),
    }
}
