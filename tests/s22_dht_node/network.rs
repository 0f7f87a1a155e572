//! Several nodes: they find each other, and each other's peers.

use std::net::SocketAddr;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use piecemeal::actors::dht::{FakeDht, FakeNode, NodePlan};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::QUERY_TIMEOUT;
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s22_dht_node::Node;
use piecemeal::s22_dht_node::searches::{Announce, Found};
use piecemeal::s22_dht_node::table_file::{Saved, TableFile};

use super::net::{SHORT, Wire, node, node_at, setup, start, status, wait_for};
use crate::support::{LIMIT, assert_number, assert_value, folder};

const CLAUSE: &str = "BEP 5, a node's questions";
const HASH: InfoHash =
    InfoHash(*b"\xcd\xa4\x92\x88\x94\x48\xd5\x40\xee\x03\x63\x65\x13\x7e\xed\xd2\x43\x08\xd2\x2c");

/// What a search has found, and its end.
#[track_caller]
fn all(results: &Receiver<Found>) -> (Vec<SocketAddr>, Found) {
    let mut found = Vec::new();
    loop {
        match results.recv_timeout(LIMIT).expect("the search ends") {
            Found::Peers { peers, .. } => found.extend(peers),
            done @ Found::Done { .. } => return (found, done),
        }
    }
}

/// How many nodes have written us down.
fn announced(done: &Found) -> usize {
    match done {
        Found::Done { announced, .. } => *announced,
        Found::Peers { .. } => 0,
    }
}

/// Nodes with random ids, each at an address of its own. Each knows the first one.
fn nodes(count: u8) -> Vec<Node> {
    let first = start(random([127, 0, 1, 1], &[]));
    let way = [first.address()];
    let others = (2..=count).map(|last| start(random([127, 0, 1, last], &way)));
    let mut nodes: Vec<Node> = others.collect();
    nodes.insert(0, first);
    nodes
}

fn random(ip: [u8; 4], ways: &[SocketAddr]) -> piecemeal::s22_dht_node::Setup {
    piecemeal::s22_dht_node::Setup { id: Some(NodeId::random()), ..setup(ip, ways) }
}

#[test]
fn two_nodes_get_to_know_each_other_by_one_address() {
    let nodes = nodes(2);
    for (one, other) in [(0, 1), (1, 0)] {
        let status = wait_for(&nodes[one], "the other's place", |it| it.counts.nodes == 1);
        let known = (status.good[0].id, status.good[0].address);
        let expected = (nodes[other].id(), nodes[other].address());
        assert_value("whom it knows", known, expected, CLAUSE);
    }
}

#[test]
fn twenty_nodes_find_each_others_announced_peers() {
    let nodes = nodes(20);
    for node in &nodes {
        wait_for(node, "eight places", |it| it.counts.nodes >= 8);
    }
    let announce = Some(Announce { port: 7_777, is_seed: true });
    let (_, done) = all(&nodes[3].handle().search(HASH, announce));
    assert_number("nodes that have written it down", announced(&done), 8, CLAUSE, &[]);
    for (number, node) in nodes.iter().enumerate().filter(|(number, _)| *number != 3) {
        let (peers, _) = all(&node.handle().search(HASH, None));
        let expected = vec!["127.0.1.4:7777".parse().expect("an address")];
        assert_value(&format!("what node {number} finds"), peers, expected, CLAUSE);
    }
    let kept: u64 = nodes.iter().map(|node| status(node).counts.peers).sum();
    assert_number("nodes that keep it", kept, 8, CLAUSE, &[]);
}

#[test]
fn a_search_announces_to_the_eight_closest_that_gave_a_token() {
    // Twelve that know each other; the closest one of all gives no token.
    let target = HASH.0;
    let id =
        |bits| piecemeal::actors::dht::krpc::at_distance(&target, bits, b"abcdefghij0123456789");
    let plans = (0..12).map(|number| {
        let plan = NodePlan::new(id(40 + 5 * number));
        if number == 0 { plan.saying([piecemeal::actors::dht::Answer::NoToken]) } else { plan }
    });
    let swarm = FakeDht::mesh(plans).expect("loopback has ports");
    let node = node_at([127, 0, 0, 1], &[swarm.address(11)]);
    let announce = Some(Announce { port: 7_777, is_seed: false });
    let (_, done) = all(&node.handle().search(HASH, announce));
    assert_number("nodes that have written it down", announced(&done), 7, CLAUSE, &[]);
    let told: Vec<usize> = (0..12)
        .filter(|number| !swarm.nodes[*number].queries_of("announce_peer").is_empty())
        .collect();
    assert_value("whom it told", told, (1..8).collect::<Vec<_>>(), CLAUSE);
}

#[test]
fn nothing_is_announced_without_a_port() {
    let swarm = FakeDht::mesh([NodePlan::new([1; 20])]).expect("loopback has ports");
    let node = node_at([127, 0, 0, 1], &[swarm.address(0)]);
    let (_, done) = all(&node.handle().search(HASH, None));
    assert_number("nodes that have written it down", announced(&done), 0, CLAUSE, &[]);
    assert!(!swarm.nodes[0].queries_of("get_peers").is_empty());
    assert!(swarm.nodes[0].queries_of("announce_peer").is_empty());
}

#[test]
fn a_search_of_a_node_that_knows_nobody_ends_with_nobody() {
    let node = node();
    let (peers, done) = all(&node.handle().search(HASH, None));
    let Found::Done { counts, closest, .. } = done else { panic!("{done:?}") };
    assert_eq!((peers.len(), counts.asked, closest.len()), (0, 0, 0));
}

#[test]
fn a_way_in_that_is_silent_at_first_is_asked_again() {
    let wire = Wire::new();
    let _node = node_at([127, 0, 0, 1], &[wire.address()]);
    for _ in 0..3 {
        assert_eq!(wire.question("find_node").target(), Some(*super::net::OURS));
    }
}

/// A file with this many nodes, of which every fifth is dead.
fn saved(living: &[FakeNode], count: usize) -> Saved {
    let dead = |number: usize| piecemeal::s21_dht_lookup::krpc::Contact {
        id: NodeId([number as u8; 20]),
        // Nothing listens there, and nobody answers for it.
        address: SocketAddr::from(([127, 0, 9, number as u8], 4_444)),
    };
    let alive = |number: usize| {
        let node = &living[number % living.len()];
        piecemeal::s21_dht_lookup::krpc::Contact { id: NodeId(node.id()), address: node.address() }
    };
    Saved {
        id: NodeId(*b"abcdefghij0123456789"),
        ip: None,
        port: 1,
        nodes: (0..count).map(|it| if it % 5 == 0 { dead(it) } else { alive(it) }).collect(),
        at: std::time::SystemTime::now(),
    }
}

#[test]
fn a_saved_table_with_a_fifth_dead_needs_no_way_in_and_does_not_wait_for_the_dead() {
    let peer: SocketAddr = "127.0.0.9:7777".parse().expect("an address");
    let plans = (0..40).map(|number| NodePlan::new([number * 6; 20]).having(HASH.0, &[peer]));
    let swarm = FakeDht::mesh(plans).expect("loopback has ports");
    let folder = folder();
    let table_file = TableFile::at(folder.path().join("dht.nodes"));
    table_file.save(&saved(&swarm.nodes, 50)).expect("it can be written");
    let begin = Instant::now();
    let setup = piecemeal::s22_dht_node::Setup {
        table_file: Some(table_file.clone()),
        ..setup([127, 0, 0, 1], &[])
    };
    let node = start(setup);
    let results = node.handle().search(HASH, None);
    let Ok(Found::Peers { peers, .. }) = results.recv_timeout(LIMIT) else { panic!("no peers") };
    let took = begin.elapsed();
    assert_eq!(peers, [peer]);
    // Less than it waits for one of the dead.
    assert!(took < QUERY_TIMEOUT, "the first peer took {took:?}");
    all(&results);
    node.stop();
    // At its end it saves those that have answered, and not the dead ones. Not all of them: on a
    // busy machine, one may have missed a question.
    let (again, note) = table_file.load(std::time::SystemTime::now());
    assert_eq!(note, None);
    let again = again.expect("the file is there").nodes;
    assert!(again.len() >= 4, "{again:?}");
    assert!(again.iter().all(|node| node.address.ip().to_string() == "127.0.0.1"), "{again:?}");
}

#[test]
fn a_saved_table_of_the_dead_does_not_keep_a_way_in_waiting() {
    let peer: SocketAddr = "127.0.0.9:7777".parse().expect("an address");
    let plans = (1..=9).map(|number| NodePlan::new([number; 20]).having(HASH.0, &[peer]));
    let swarm = FakeDht::mesh(plans).expect("loopback has ports");
    let folder = folder();
    let table_file = TableFile::at(folder.path().join("dht.nodes"));
    let dead = Saved { nodes: saved(&swarm.nodes, 100).nodes, ..saved(&swarm.nodes, 0) };
    let silent = |node: &piecemeal::s21_dht_lookup::krpc::Contact| node.address.port() == 4_444;
    let nodes = dead.nodes.iter().filter(|node| silent(node)).copied().collect();
    table_file.save(&Saved { nodes, ..dead }).expect("it can be written");
    let way = [swarm.address(0)];
    let begin = Instant::now();
    let setup = piecemeal::s22_dht_node::Setup {
        table_file: Some(table_file),
        ..setup([127, 0, 0, 1], &way)
    };
    let node = start(setup);
    let results = node.handle().search(HASH, None);
    let Ok(Found::Peers { peers, .. }) = results.recv_timeout(LIMIT) else { panic!("no peers") };
    assert_eq!(peers, [peer]);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[test]
fn a_broken_table_is_a_note_and_the_node_starts() {
    let folder = folder();
    let path = folder.path().join("dht.nodes");
    std::fs::write(&path, b"broken").expect("it can be written");
    let table_file = Some(TableFile::at(&path));
    let node = start(piecemeal::s22_dht_node::Setup { table_file, ..setup([127, 0, 0, 1], &[]) });
    assert!(node.note().is_some_and(|note| note.contains("broken")), "{:?}", node.note());
    node.stop();
    // It knows nobody, so the file stays as it is.
    assert_eq!(std::fs::read(&path).expect("it is there"), b"broken");
}

#[test]
fn a_stopped_node_is_gone_at_once_and_says_nothing_more() {
    let node = node();
    let (handle, address) = (node.handle().clone(), node.address());
    let begin = Instant::now();
    node.stop();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(handle.status(), None);
    assert!(handle.search(HASH, None).recv_timeout(SHORT).is_err());
    // The port is free again.
    drop(handle);
    std::net::UdpSocket::bind(address).expect("nobody listens there now");
}

#[test]
fn an_ipv6_node_is_in_a_network_of_its_own() {
    let here = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0));
    let six = |ways: &[SocketAddr]| {
        let named = ways.iter().map(ToString::to_string).collect();
        let hosts = piecemeal::s22_dht_node::bootstrap::Hosts { named, ..Default::default() };
        start(piecemeal::s22_dht_node::Setup { hosts, ..piecemeal::s22_dht_node::Setup::at(here) })
    };
    let (first, four) = (six(&[]), node());
    let second = six(&[first.address(), four.address()]);
    wait_for(&first, "the other's place", |it| it.counts.nodes == 1);
    wait_for(&second, "the first's place", |it| it.counts.nodes == 1);
    let announce = Some(Announce { port: 7_777, is_seed: false });
    assert_number(
        "nodes that have written it down",
        announced(&all(&first.handle().search(HASH, announce)).1),
        1,
        CLAUSE,
        &[],
    );
    let (peers, _) = all(&second.handle().search(HASH, None));
    assert_value("the peer", peers, Vec::<SocketAddr>::new(), "BEP 32, a node's questions");
    assert_number("nodes that the other network knows", status(&four).counts.nodes, 0, CLAUSE, &[]);
}
