//! Datagrams from people who mean no good, or who do not know what they do.

use std::net::{Ipv4Addr, UdpSocket};

use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s22_dht_node::bootstrap::Hosts;
use piecemeal::s22_dht_node::{Node, Setup};

use super::net::{SHORT, THEIRS, Wire, join, node, node_at, start, status, wait_for};
use crate::support::{LIMIT, assert_number, assert_value};

const CLAUSE: &str = "BEP 5, a node's answers";
const FIND_NODE: &[u8] =
    b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe";

#[test]
fn a_node_that_answers_once_and_then_only_refuses_is_bad_after_three_refusals() {
    let (node, wire) = (node(), Wire::new());
    let transaction = || {
        node.handle().check(wire.address());
        wire.question("ping").transaction
    };
    let answer = [&b"d1:rd2:id20:abcdefghij0123456789e1:t2:"[..], &transaction(), b"1:y1:re"];
    wire.send(&node, &join(&answer));
    wait_for(&node, "a place in the table", |status| status.good.len() == 1);
    for _ in 0..3 {
        let refusal = [&b"d1:eli202e4:Busye1:t2:"[..], &transaction(), b"1:y1:ee"];
        wire.send(&node, &join(&refusal));
    }
    // It has its place until somebody else wants it, as one that is silent has.
    let status = wait_for(&node, "the end of its goodness", |status| status.good.is_empty());
    assert_number("places", status.counts.nodes, 1, CLAUSE, &[]);
}

#[test]
fn garbage_is_dropped_without_a_word() {
    let (node, wire) = (node(), Wire::new());
    // Cut at every length.
    for length in 1..FIND_NODE.len() {
        wire.is_ignored(&node, &FIND_NODE[..length]);
    }
    let nested =
        [&b"d1:a"[..], &[b'l'; 30_000], &[b'e'; 30_000], b"1:q4:ping1:t2:aa1:y1:qe"].concat();
    let deep = [
        &b"d1:ad2:id20:abcdefghij01234567891:x"[..],
        &[b'l'; 50],
        &[b'e'; 50],
        b"e1:q4:ping1:t2:aa1:y1:qe",
    ];
    let huge = [&b"d1:ad2:id20:abcdefghij01234567891:x60000:"[..], &[b'x'; 60_000], b"e1:q4:pin"];
    let many = [
        &b"d1:ad2:id20:abcdefghij01234567891:xl"[..],
        &b"0:".repeat(5_000),
        b"ee1:q4:ping1:t2:aa1:y1:qe",
    ];
    let others = [
        nested,
        deep.concat(),
        huge.concat(),
        many.concat(),
        b"\x01\x00\x00\x00".to_vec(), // uTP begins like this
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"i1e".to_vec(),
        b"le".to_vec(),
        b"de".to_vec(),
        vec![0; 1_000],
        vec![b'd'; 1_000],
        // Questions without a transaction: nobody could know what the answer is to.
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:y1:qe".to_vec(),
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:ti1e1:y1:qe".to_vec(),
    ];
    for garbage in others {
        wire.is_ignored(&node, &garbage);
    }
    let counts = status(&node).counts;
    assert!(counts.dropped > 100, "{counts:?}");
    assert_number("nodes that have a place", counts.nodes, 0, CLAUSE, &[]);
}

#[test]
fn five_thousand_datagrams_of_garbage_are_survived() {
    let (node, wire) = (node(), Wire::new());
    for number in 0..5_000_u32 {
        let _ = wire.socket.send_to(&number.to_be_bytes().repeat(25), node.address());
    }
    // The system may have lost some of them, but the node is there.
    let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
    let answered = (0..20).any(|_| {
        wire.send(&node, ping);
        wire.answer(LIMIT / 20).is_some()
    });
    assert!(answered, "the node is gone");
}

#[test]
fn an_answer_counts_only_from_the_address_that_was_asked_and_only_once() {
    let (node, wire, other) = (node(), Wire::new(), Wire::at(Ipv4Addr::new(127, 0, 0, 2)));
    node.handle().check(wire.address());
    let ping = wire.question("ping");
    let answer = |id: &str, transaction: &[u8]| {
        join(&[b"d1:rd2:id20:", id.as_bytes(), b"e1:t2:", transaction, b"1:y1:re"])
    };
    let theirs = String::from_utf8_lossy(THEIRS);
    let [first, second] = ping.transaction[..] else { panic!("{:?}", ping.transaction) };
    let guesses = [[first, !second], [!first, second]];
    // Another transaction, another address, an error of another.
    guesses.iter().for_each(|guess| wire.is_ignored(&node, &answer(&theirs, guess)));
    other.is_ignored(&node, &answer("a stranger's own id.", &ping.transaction));
    other.is_ignored(&node, &join(&[b"d1:eli201e1:xe1:t2:", &ping.transaction, b"1:y1:ee"]));
    assert_number("nodes that have a place", status(&node).counts.nodes, 0, CLAUSE, &[]);
    // The right one is still awaited.
    wire.send(&node, &answer(&theirs, &ping.transaction));
    let known = wait_for(&node, "a place in the table", |status| status.counts.nodes == 1).good;
    assert_value(
        "who has it",
        (known[0].id, known[0].address),
        (NodeId(*THEIRS), wire.address()),
        CLAUSE,
    );
    // A second answer to it, with another id, changes nothing.
    wire.is_ignored(&node, &answer("zzzzzzzzzzzzzzzzzzzz", &ping.transaction));
    assert_eq!(status(&node).good, known);
}

#[test]
fn a_node_that_answers_with_another_id_loses_its_place() {
    let (node, wire) = (node(), Wire::new());
    for (id, places) in [("abcdefghij0123456789", 1), ("zzzzzzzzzzzzzzzzzzzz", 0)] {
        node.handle().check(wire.address());
        let ping = wire.question("ping");
        wire.send(
            &node,
            &join(&[b"d1:rd2:id20:", id.as_bytes(), b"e1:t2:", &ping.transaction, b"1:y1:re"]),
        );
        wait_for(&node, "its place", |status| status.counts.nodes == places);
    }
}

#[test]
fn a_node_that_is_its_own_way_in_asks_itself_once_and_rests() {
    // A port that is free a moment later.
    let socket = UdpSocket::bind("127.0.0.88:0").expect("loopback has ports");
    let address = socket.local_addr().expect("it is bound");
    drop(socket);
    let hosts = Hosts { named: vec![address.to_string()], ..Hosts::default() };
    let node = start(Setup { hosts, ..Setup::at(address) });
    wait_for(&node, "its own question", |status| status.counts.find_node > 0);
    std::thread::sleep(SHORT);
    let counts = status(&node).counts;
    assert!(counts.find_node < 10 && counts.nodes == 0, "{counts:?}");
}

#[test]
fn names_of_impossible_addresses_are_not_asked() {
    // The way in names nodes at port 0, at a port of a service, at a group, at nobody and far away
    // from itself; one is real.
    let (way, real) = (Wire::new(), Wire::at(Ipv4Addr::new(127, 0, 0, 3)));
    let node = node_at([127, 0, 0, 1], &[way.address()]);
    let question = way.question("find_node");
    let port = real.address().port().to_be_bytes();
    let named: [(u8, [u8; 4], [u8; 2]); 6] = [
        (b'1', [127, 0, 0, 3], [0, 0]),
        (b'2', [127, 0, 0, 3], [0, 53]),
        (b'3', [224, 0, 0, 1], [0x1a, 0xe1]),
        (b'4', [0, 0, 0, 0], [0x1a, 0xe1]),
        (b'5', [255, 255, 255, 255], [0x1a, 0xe1]),
        (b'6', [127, 0, 0, 3], port),
    ];
    let nodes: Vec<u8> =
        named.iter().flat_map(|(id, ip, port)| join(&[&[*id; 20], ip, port])).collect();
    let answer = join(&[
        b"d1:rd2:id20:abcdefghij01234567895:nodes156:",
        &nodes,
        b"e1:t2:",
        &question.transaction,
        b"1:y1:re",
    ]);
    way.send(&node, &answer);
    let asked = real.question("find_node");
    real.send(
        &node,
        &join(&[b"d1:rd2:id20:66666666666666666666e1:t2:", &asked.transaction, b"1:y1:re"]),
    );
    wait_for(&node, "two places", |status| status.counts.nodes == 2);
}

#[test]
fn a_silent_node_costs_a_search_no_more_than_its_time() {
    let wire = Wire::new();
    let node: Node = node_at([127, 0, 0, 1], &[wire.address()]);
    wire.question("find_node");
    // It is dropped while a search runs, and its thread ends all the same.
    let _results = node.handle().search(piecemeal::s02_metainfo::InfoHash([7; 20]), None);
    let begin = std::time::Instant::now();
    node.stop();
    assert!(begin.elapsed().as_secs() < 3, "{:?}", begin.elapsed());
}
