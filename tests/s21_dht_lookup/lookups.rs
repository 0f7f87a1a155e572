//! Lookups in a network in memory: how many queries they take, and whether they find the page.

use std::time::Duration;

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::MAX_QUERIES;

use super::network::{Dice, Looked, SimulatedNetwork};

/// Runs lookups, twenty in each of several networks, each from three nodes.
fn look_up(count: usize, silent: u64, liars: u64, networks: u64) -> Vec<Looked> {
    let mut all = Vec::new();
    for seed in 0..networks {
        let mut network = SimulatedNetwork::new(count, silent, liars, 1_000 + seed);
        for number in 0..20 {
            let info_hash = InfoHash(Dice(seed << 32 | number).id().0);
            let from = [network.somebody(), network.somebody(), network.somebody()];
            all.push(network.look_up(info_hash, &from));
        }
    }
    all
}

/// The middle one and the last one, when they are sorted.
fn middle_and_most<T: Ord + Copy>(looked: &[Looked], what: impl Fn(&Looked) -> T) -> (T, T) {
    let mut all: Vec<T> = looked.iter().map(what).collect();
    all.sort();
    (all[all.len() / 2], all[all.len() - 1])
}

/// Prints what came of them, and returns how many have found all eight.
fn told(what: &str, looked: &[Looked]) -> usize {
    let (get_peers, find_node) =
        (middle_and_most(looked, |it| it.get_peers), middle_and_most(looked, |it| it.find_node));
    let (time, first) =
        (middle_and_most(looked, |it| it.time), middle_and_most(looked, |it| it.first_peer));
    let all = looked.iter().filter(|it| it.right == 8).count();
    println!(
        "{what}: all eight in {all} of {}; middle and most: get_peers {get_peers:?}, find_node {find_node:?}, over after {time:?}, first peer after {first:?}",
        looked.len()
    );
    all
}

#[test]
fn among_a_thousand_nodes_the_eight_nearest_are_found_with_twenty_queries() {
    let looked = look_up(1_000, 0, 0, 3);
    assert_eq!(told("all alive", &looked), 60);
    assert!(middle_and_most(&looked, |it| it.get_peers).1 <= 22);
    assert!(middle_and_most(&looked, |it| it.time).1 < Duration::from_millis(400));
}

#[test]
fn with_one_node_in_five_gone_the_eight_are_found_within_four_seconds_and_thirty_queries() {
    let looked = look_up(1_000, 20, 0, 5);
    let all = told("20 % silent", &looked);
    assert!(all >= 99, "{all} of 100");
    let (middle, most) = middle_and_most(&looked, |it| it.get_peers);
    assert!(middle <= 20 && most <= 30, "{middle} and {most} get_peers");
    let (_, most) = middle_and_most(&looked, |it| it.time);
    assert!(most < Duration::from_secs(4), "{most:?}");
    assert!(looked.iter().all(|it| it.first_peer.is_some()));
    let (middle, _) = middle_and_most(&looked, |it| it.first_peer);
    assert!(middle < Some(Duration::from_millis(300)), "{middle:?}");
}

#[test]
fn liars_that_invent_nodes_cost_time_and_hide_nothing() {
    let looked = look_up(1_000, 20, 10, 5);
    let all = told("20 % silent, 10 % liars", &looked);
    assert!(all >= 97, "{all} of 100");
    assert!(looked.iter().all(|it| it.first_peer.is_some()));
    let (middle, _) = middle_and_most(&looked, |it| it.time);
    assert!(middle < Duration::from_secs(4), "{middle:?}");
    let (_, most) = middle_and_most(&looked, |it| it.get_peers);
    assert!(most <= 60, "{most} get_peers");
}

#[test]
fn ten_times_the_nodes_are_a_few_queries_more() {
    let queries = [100, 1_000, 10_000].map(|count| {
        let looked = look_up(count, 0, 0, 1);
        told(&format!("{count} nodes"), &looked);
        middle_and_most(&looked, |it| it.get_peers).0
    });
    // With the logarithm, each step adds as much as the one before.
    assert!(queries.is_sorted(), "{queries:?}");
    assert!(queries[2] - queries[0] <= 14, "{queries:?}");
}

#[test]
fn a_network_in_which_all_lie_keeps_nobody_busy_forever() {
    let mut network = SimulatedNetwork::new(200, 0, 100, 7);
    let from: Vec<usize> = (0..20).collect();
    let looked = network.look_up(InfoHash([0x33; 20]), &from);
    let queries = looked.get_peers + looked.find_node;
    assert!(queries <= MAX_QUERIES, "{queries} queries");
    assert!(looked.time < Duration::from_secs(60), "{:?}", looked.time);
}
