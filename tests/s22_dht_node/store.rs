//! Who has which torrent, and that no stranger fills it.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::reach::Reach;
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s22_dht_node::store::Store;

use crate::support::{assert_number, assert_value};

const CLAUSE: &str = "BEP 5, peer store";

fn hash(number: u16) -> InfoHash {
    let mut hash = [0xaa; 20];
    hash[..2].copy_from_slice(&number.to_be_bytes());
    InfoHash(hash)
}

/// A peer far away: 198.18.0.0/15 is for tests.
fn peer(number: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::from((0xc612_0000 + number).to_be_bytes()), 6881)
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// The store of a node whose id is all zeros: a smaller number is nearer.
fn store(now: Instant) -> Store {
    Store::new(NodeId([0; 20]), now)
}

fn all(store: &mut Store, torrent: InfoHash, now: Instant) -> Vec<SocketAddr> {
    store.peers(torrent, (Reach::Internet, false), (1_000, 0), now)
}

#[test]
fn a_peer_is_remembered_for_half_an_hour_after_its_last_announce() {
    let begin = Instant::now();
    let mut store = store(begin);
    assert!(store.announce(hash(1), peer(1), false, begin));
    assert!(store.announce(hash(1), peer(2), false, begin));
    assert!(store.announce(hash(1), peer(2), false, begin + minutes(20)));
    let at = |store: &mut Store, minute| all(store, hash(1), begin + minutes(minute));
    assert_value("after 29 minutes", at(&mut store, 29), vec![peer(1), peer(2)], CLAUSE);
    assert_value("after 30 minutes", at(&mut store, 30), vec![peer(2)], CLAUSE);
    assert_value("after 50 minutes", at(&mut store, 50), vec![], CLAUSE);
    assert_value("torrents that are left", (store.torrents(), store.len()), (0, 0), CLAUSE);
}

#[test]
fn each_question_gets_others_of_a_large_swarm() {
    let now = Instant::now();
    let mut store = store(now);
    for number in 0..250 {
        store.announce(hash(1), peer(number), false, now);
    }
    let mut heard = std::collections::BTreeSet::new();
    for turn in [0, 100, 200] {
        let some = store.peers(hash(1), (Reach::Internet, false), (100, turn), now);
        assert_number("peers of one answer", some.len(), 100, CLAUSE, &[]);
        heard.extend(some);
    }
    assert_number("peers of three answers", heard.len(), 250, CLAUSE, &[]);
    assert!(store.peers(hash(2), (Reach::Internet, false), (100, 7), now).is_empty());
}

#[test]
fn one_address_has_ten_entries_of_a_torrent_and_a_hundred_in_all() {
    let now = Instant::now();
    let mut store = store(now);
    let at = |port| SocketAddr::new(peer(1).ip(), port);
    for port in 1..=500 {
        assert!(store.announce(hash(1), at(port), false, now), "its oldest entry goes");
    }
    let ports: Vec<u16> = all(&mut store, hash(1), now).iter().map(SocketAddr::port).collect();
    assert_value("its ports", ports, (491..=500).collect::<Vec<_>>(), CLAUSE);
    let taken = (2..2000).filter(|torrent| store.announce(hash(*torrent), at(1), false, now));
    assert_number("further torrents of that address", taken.count(), 90, CLAUSE, &[]);
    // Another one is not kept out by it.
    assert!(store.announce(hash(3000), peer(2), false, now));
    // What is forgotten is free again.
    let later = now + minutes(31);
    assert!(store.announce(hash(4000), at(1), false, later));
    assert_number("entries half an hour later", store.len(), 1, CLAUSE, &[]);
}

#[test]
fn a_lab_at_one_address_has_no_such_limit() {
    let now = Instant::now();
    let mut store = store(now);
    for port in 1..=300 {
        assert!(store.announce(hash(1), SocketAddr::from(([127, 0, 0, 1], port)), false, now));
    }
    let known = store.peers(hash(1), (Reach::Machine, false), (1_000, 0), now);
    assert_number("peers of this computer", known.len(), 300, CLAUSE, &[]);
}

#[test]
fn a_torrent_has_five_hundred_peers_and_the_oldest_goes() {
    let now = Instant::now();
    let mut store = store(now);
    for number in 0..600 {
        store.announce(hash(1), peer(number), false, now);
    }
    let known = all(&mut store, hash(1), now);
    assert_number("peers", known.len(), 500, CLAUSE, &[]);
    assert_value("the first and the last", (known[0], known[499]), (peer(100), peer(599)), CLAUSE);
}

#[test]
fn of_two_thousand_torrents_the_one_farthest_from_us_goes() {
    let now = Instant::now();
    let mut store = store(now);
    for number in 1..=2000 {
        store.announce(hash(number), peer(u32::from(number)), false, now);
    }
    assert_number("torrents", store.torrents(), 2000, CLAUSE, &[]);
    // A stranger with many addresses and hashes of its own choice gains nothing far away from us.
    for number in 2001..=4000 {
        assert!(!store.announce(hash(number), peer(u32::from(number)), false, now));
    }
    assert!(store.announce(hash(0), peer(9_999), false, now), "nearer than all");
    assert_number("torrents then", store.torrents(), 2000, CLAUSE, &[]);
    assert!(all(&mut store, hash(2000), now).is_empty(), "the farthest has gone");
    assert_value("the nearest", all(&mut store, hash(0), now), vec![peer(9_999)], CLAUSE);
}

#[test]
fn there_are_fifty_thousand_entries_in_all() {
    let now = Instant::now();
    let mut store = store(now);
    for torrent in 1..=101_u16 {
        for number in 0..500_u32 {
            store.announce(hash(torrent), peer(u32::from(torrent) * 500 + number), false, now);
        }
    }
    assert_number("entries", store.len(), 50_000, CLAUSE, &[]);
    assert_number("torrents", store.torrents(), 100, CLAUSE, &[]);
}

#[test]
fn somebody_far_away_does_not_hear_of_peers_near_us() {
    let now = Instant::now();
    let mut store = store(now);
    let near: SocketAddr = "192.168.1.7:6881".parse().expect("an address");
    store.announce(hash(1), near, false, now);
    store.announce(hash(1), peer(1), false, now);
    let told = store.peers(hash(1), (Reach::Network, false), (100, 0), now);
    assert_value("told to this network", told, vec![near, peer(1)], CLAUSE);
    assert_value("told to the internet", all(&mut store, hash(1), now), vec![peer(1)], CLAUSE);
}

#[test]
fn samples_are_the_same_for_ten_minutes_and_then_the_next_ones() {
    let begin = Instant::now();
    let mut store = store(begin);
    for number in 1..=30 {
        store.announce(hash(number), peer(1), false, begin);
    }
    let clause = "BEP 51, samples";
    let first = store.samples(20, begin);
    assert_number("samples", first.len(), 20, clause, &[]);
    assert_value("nine minutes later", &store.samples(20, begin + minutes(9)), &first, clause);
    let next = store.samples(20, begin + minutes(10));
    let both: std::collections::BTreeSet<_> = first.iter().chain(&next).collect();
    assert_number("torrents in both", both.len(), 30, clause, &[]);
    assert_number("samples of fewer", store.samples(100, begin).len(), 30, clause, &[]);
}

#[test]
fn seeds_and_others_are_counted_apart() {
    let now = Instant::now();
    let mut store = store(now);
    for number in 0..40 {
        store.announce(hash(1), peer(number), true, now);
    }
    for number in 40..60 {
        store.announce(hash(1), peer(number), false, now);
    }
    let (seeds, peers) = store.filters(hash(1), now);
    let counted = (seeds.estimate().round() as u32, peers.estimate().round() as u32);
    assert_value("seeds and others", counted, (40, 20), "BEP 33, filter of addresses");
}

#[test]
fn whoever_is_a_seed_can_have_the_others_alone() {
    let now = Instant::now();
    let mut store = store(now);
    (0..6).for_each(|number| assert!(store.announce(hash(1), peer(number), number % 2 == 0, now)));
    let clause = "BEP 33, peer store";
    let others = store.peers(hash(1), (Reach::Internet, true), (100, 0), now);
    assert_value("peers that are no seeds", others, vec![peer(1), peer(3), peer(5)], clause);
    assert_number("peers of both kinds", all(&mut store, hash(1), now).len(), 6, clause, &[]);
    // Whoever has become a seed says so with its next announce.
    assert!(store.announce(hash(1), peer(3), true, now));
    let others = store.peers(hash(1), (Reach::Internet, true), (100, 0), now);
    assert_value("those that are left", others, vec![peer(1), peer(5)], clause);
}

#[test]
fn with_another_id_nothing_is_lost_and_another_torrent_is_the_farthest() {
    let now = Instant::now();
    let mut store = store(now);
    for number in 1..=2000 {
        store.announce(hash(number), peer(u32::from(number)), false, now);
    }
    store.move_to(NodeId([0xff; 20]));
    assert_number("torrents", store.torrents(), 2000, CLAUSE, &[]);
    assert!(store.announce(hash(0xffff), peer(1), false, now));
    assert!(all(&mut store, hash(1), now).is_empty(), "it is the farthest now");
    assert!(!all(&mut store, hash(2000), now).is_empty());
}
