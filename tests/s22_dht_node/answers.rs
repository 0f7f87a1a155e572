//! What a node answers, byte by byte. The questions are those of BEP 5.

use std::net::{Ipv4Addr, SocketAddr};

use piecemeal::actors::dht::krpc::Reply;

use super::net::{OURS, SHORT, THEIRS, Wire, join, node, wait_for};
use crate::support::{LIMIT, assert_number, assert_value, assert_wire};

const CLAUSE: &str = "BEP 5, a node's answers";

const FIND_NODE: &[u8] =
    b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe";
const GET_PEERS: &[u8] = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe";

/// An `announce_peer`, with these arguments behind the info hash.
fn announce(arguments: &[u8], token: &[u8]) -> Vec<u8> {
    let length = format!("5:token{}:", token.len()).into_bytes();
    join(&[
        b"d1:ad2:id20:abcdefghij0123456789",
        arguments,
        &length,
        token,
        b"e1:q13:announce_peer1:t2:aa1:y1:qe",
    ])
}

const AT_6881: &[u8] = b"9:info_hash20:mnopqrstuvwxyz1234564:porti6881e";

#[test]
fn a_ping_is_answered_with_our_id_and_the_address_that_it_came_from() {
    let (node, wire) = (node(), Wire::new());
    let answer = wire.ask(&node, b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
    let head = join(&[b"d2:ip6:", &wire.compact()]);
    let expected = join(&[&head, b"1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:v4:PM\x00\x011:y1:re"]);
    assert_wire(&answer, &expected, CLAUSE);
}

#[test]
fn the_transaction_comes_back_as_it_is_whatever_its_length_up_to_64_bytes() {
    let (node, wire) = (node(), Wire::new());
    for length in [0, 1, 2, 3, 8, 20, 64] {
        let transaction = vec![0xfe; length];
        let ping = |transaction: &[u8]| {
            let length = format!("e1:q4:ping1:t{}:", transaction.len()).into_bytes();
            let id = b"d1:ad2:id20:abcdefghij0123456789";
            join(&[id, &length, transaction, b"1:y1:qe"])
        };
        let answer = wire.ask_for(&node, &ping(&transaction));
        assert_value("the transaction", answer.transaction, transaction, CLAUSE);
        if length == 64 {
            wire.is_ignored(&node, &ping(&[0xfe; 65]));
        }
    }
}

#[test]
fn whoever_has_answered_us_is_named_to_others() {
    let (node, wire, other) = (node(), Wire::new(), Wire::at(Ipv4Addr::new(127, 0, 0, 2)));
    // Nobody is known yet.
    let answer = other.ask(&node, FIND_NODE);
    let own =
        |wire: &Wire| join(&[b"d2:ip6:", &wire.compact(), b"1:rd2:id20:mnopqrstuvwxyz123456"]);
    let end = b"e1:t2:aa1:v4:PM\x00\x011:y1:re";
    assert_wire(&answer, &join(&[&own(&other), b"5:nodes0:", end]), CLAUSE);
    // One asks us, is asked in turn, and answers.
    wire.ask(&node, b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
    let ping = wire.question("ping");
    assert_value("who asks", ping.id(), Some(*OURS), "BEP 5, a node's questions");
    assert_number("bytes of our transaction", ping.transaction.len(), 2, CLAUSE, &[]);
    let pong = join(&[b"d1:rd2:id20:abcdefghij0123456789e1:t2:", &ping.transaction, b"1:y1:re"]);
    wire.send(&node, &pong);
    wait_for(&node, "a place in the table", |status| status.counts.nodes == 1);
    let answer = other.ask(&node, FIND_NODE);
    let nodes = join(&[b"5:nodes26:abcdefghij0123456789", &wire.compact()]);
    assert_wire(&answer, &join(&[&own(&other), &nodes, end]), CLAUSE);
}

#[test]
fn a_node_that_knows_nobody_says_so_for_each_family_that_was_asked_for() {
    let (node, wire) = (node(), Wire::new());
    let cases: [(&[u8], &[u8]); 4] = [
        (b"le", b"5:nodes0:"),
        (b"l2:n4e", b"5:nodes0:"),
        (b"l2:n6e", b"6:nodes60:"),
        (b"l2:n42:n6e", b"5:nodes0:6:nodes60:"),
    ];
    for (want, expected) in cases {
        let id = b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:want";
        let answer = wire.ask(&node, &join(&[id, want, b"e1:q9:find_node1:t2:aa1:y1:qe"]));
        let head = join(&[b"d2:ip6:", &wire.compact(), b"1:rd2:id20:mnopqrstuvwxyz123456"]);
        let expected = join(&[&head, expected, b"e1:t2:aa1:v4:PM\x00\x011:y1:re"]);
        assert_wire(&answer, &expected, CLAUSE);
    }
}

#[test]
fn our_ping_has_the_bytes_of_bep_5_but_for_transaction_and_version() {
    let (node, wire) = (node(), Wire::new());
    node.handle().check(wire.address());
    let ping = wire.question("ping");
    let expected = join(&[
        b"d1:ad2:id20:mnopqrstuvwxyz123456e1:q4:ping1:t2:",
        &ping.transaction,
        b"1:v4:PM\x00\x011:y1:qe",
    ]);
    assert_wire(&ping.bytes, &expected, "BEP 5, a node's questions");
}

#[test]
fn a_peer_that_announces_itself_is_named_to_others() {
    let (node, wire, other) = (node(), Wire::new(), Wire::at(Ipv4Addr::new(127, 0, 0, 2)));
    let token = wire.ask_for(&node, GET_PEERS).token().expect("get_peers gives a token");
    assert_number("bytes of a token", token.len(), 8, CLAUSE, &[]);
    let answer = wire.ask(&node, &announce(AT_6881, &token));
    let head = join(&[b"d2:ip6:", &wire.compact()]);
    let expected = join(&[&head, b"1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:v4:PM\x00\x011:y1:re"]);
    assert_wire(&answer, &expected, CLAUSE);
    let answer = other.ask(&node, GET_PEERS);
    let token = Reply::read(&answer).and_then(|it| it.token()).expect("a token");
    let expected = join(&[
        b"d2:ip6:",
        &other.compact(),
        b"1:rd2:id20:mnopqrstuvwxyz1234565:nodes0:5:token8:",
        &token,
        b"6:valuesl6:\x7f\x00\x00\x01\x1a\xe1ee1:t2:aa1:v4:PM\x00\x011:y1:re",
    ]);
    assert_wire(&answer, &expected, CLAUSE);
    // Ours of another torrent are not named.
    let others = GET_PEERS.to_vec().into_iter().map(|byte| if byte == b'm' { b'M' } else { byte });
    let none = other.ask_for(&node, &others.collect::<Vec<u8>>()).peers();
    assert_value("peers of another torrent", none, Vec::new(), CLAUSE);
}

#[test]
fn a_seed_that_asks_for_no_seeds_is_told_of_the_others() {
    let (node, wire) = (node(), Wire::new());
    let token = wire.ask_for(&node, GET_PEERS).token().expect("get_peers gives a token");
    for (port, seed) in [(6881, 1), (6882, 0)] {
        let arguments = format!("9:info_hash20:mnopqrstuvwxyz1234564:porti{port}e4:seedi{seed}e");
        wire.ask_for(&node, &announce(arguments.as_bytes(), &token));
    }
    let noseed = |flag: &[u8]| {
        let id = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234566:noseed";
        let question = join(&[id, flag, b"e1:q9:get_peers1:t2:aa1:y1:qe"]);
        let mut ports: Vec<u16> =
            wire.ask_for(&node, &question).peers().iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports
    };
    assert_value("the ports with noseed 1", noseed(b"i1e"), vec![6882], "BEP 33, peer store");
    assert_value("the ports with noseed 0", noseed(b"i0e"), vec![6881, 6882], "BEP 33, peer store");
}

#[test]
fn implied_port_takes_the_port_of_the_datagram() {
    let (node, wire) = (node(), Wire::new());
    let token = wire.ask_for(&node, GET_PEERS).token().expect("get_peers gives a token");
    let implied = b"12:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti1e";
    // Its own clause needs sorted keys no more than anybody else's.
    wire.ask_for(&node, &announce(implied, &token));
    let peers = wire.ask_for(&node, GET_PEERS).peers();
    assert_value("the peer", peers, vec![wire.address()], CLAUSE);
}

#[test]
fn a_wrong_token_is_refused_with_203() {
    let (node, wire, other) = (node(), Wire::new(), Wire::at(Ipv4Addr::new(127, 0, 0, 2)));
    let token = wire.ask_for(&node, GET_PEERS).token().expect("get_peers gives a token");
    let anothers = other.ask_for(&node, GET_PEERS).token().expect("get_peers gives a token");
    let refused = wire.ask(&node, &announce(AT_6881, &anothers));
    let expected = join(&[
        b"d1:eli203e57:the token is not yours, or too old: ask get_peers for onee2:ip6:",
        &wire.compact(),
        b"1:t2:aa1:v4:PM\x00\x011:y1:ee",
    ]);
    assert_wire(&refused, &expected, CLAUSE);
    for wrong in [&b""[..], b"aoeusnth", &[0; 64], &token[1..], &[b'x'; 500]] {
        let error = wire.ask_for(&node, &announce(AT_6881, wrong)).error();
        assert_value("the error", error.map(|(code, _)| code), Some(203), CLAUSE);
    }
    assert_value("peers", wire.ask_for(&node, GET_PEERS).peers(), Vec::<SocketAddr>::new(), CLAUSE);
}

#[test]
fn a_question_that_lacks_something_is_refused_with_203_and_an_unknown_one_with_204() {
    let (node, wire) = (node(), Wire::new());
    let token = wire.ask_for(&node, GET_PEERS).token().expect("get_peers gives a token");
    let port_0 = announce(b"9:info_hash20:mnopqrstuvwxyz1234564:porti0e", &token);
    let big_port = announce(b"9:info_hash20:mnopqrstuvwxyz1234564:porti65536e", &token);
    let no_port = announce(b"9:info_hash20:mnopqrstuvwxyz123456", &token);
    let cases: [(&str, &[u8], i64); 10] = [
        ("an id of 19 bytes", b"d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe", 203),
        ("no id", b"d1:ade1:q4:ping1:t2:aa1:y1:qe", 203),
        ("no arguments", b"d1:q4:ping1:t2:aa1:y1:qe", 203),
        ("no target", b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe", 203),
        ("no info hash", b"d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:aa1:y1:qe", 203),
        ("port 0", &port_0, 203),
        ("port 65536", &big_port, 203),
        ("no port", &no_port, 203),
        ("no method", b"d1:ad2:id20:abcdefghij0123456789e1:t2:aa1:y1:qe", 203),
        ("an unknown one", b"d1:ad2:id20:abcdefghij0123456789e1:q3:get1:t2:aa1:y1:qe", 204),
    ];
    for (what, question, code) in cases {
        let answer = wire.ask_for(&node, question);
        let found = answer.error().map(|(code, _)| code);
        assert_value(&format!("the error for {what}"), found, Some(code), CLAUSE);
        assert_value("its transaction", answer.transaction, b"aa".to_vec(), CLAUSE);
    }
}

#[test]
fn an_unknown_question_with_a_target_counts_as_find_node() {
    let (node, wire) = (node(), Wire::new());
    let question =
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q3:get1:t2:aa1:y1:qe";
    let answer = wire.ask_for(&node, question);
    assert_value("who answers", answer.id(), Some(*OURS), CLAUSE);
    assert_value("an error", answer.error(), None, CLAUSE);
}

#[test]
fn whoever_only_asks_is_answered_and_never_asked() {
    let (node, wire) = (node(), Wire::new());
    let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe";
    wire.ask(&node, ping);
    assert_eq!(wire.receive(SHORT), None, "a node that says `ro` is asked nothing");
    wait_for(&node, "the ping", |status| status.counts.ping == 1 && status.counts.nodes == 0);
}

#[test]
fn a_family_that_we_do_not_know_has_no_nodes() {
    let (node, wire) = (node(), Wire::new());
    tabled(&node, &wire);
    let want = |list: &[u8]| {
        let id = b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:want";
        join(&[id, list, b"e1:q9:find_node1:t2:aa1:y1:qe"])
    };
    let count = |list| wire.ask_for(&node, &want(list)).nodes().map_or(0, |nodes| nodes.len());
    assert_number("nodes for n4", count(b"l2:n4e"), 1, CLAUSE, &[]);
    assert_number("nodes for n6", count(b"l2:n6e"), 0, CLAUSE, &[]);
    assert_number("nodes for both", count(b"l2:n42:n6e"), 1, CLAUSE, &[]);
    assert_number("nodes for an empty list", count(b"le"), 1, CLAUSE, &[]);
}

/// Gets a socket into the table of a node, under the id of BEP 5.
fn tabled(node: &piecemeal::s22_dht_node::Node, wire: &Wire) {
    node.handle().check(wire.address());
    let ping = wire.question("ping");
    let id = format!("d1:rd2:id20:{}e1:t2:", String::from_utf8_lossy(THEIRS));
    wire.send(node, &join(&[id.as_bytes(), &ping.transaction, b"1:y1:re"]));
    wait_for(node, "a place in the table", |status| status.counts.nodes == 1);
}

#[test]
fn peers_fill_a_packet_but_never_more_than_1024_bytes() {
    let (node, wire) = (node(), Wire::new());
    let token = wire.ask_for(&node, GET_PEERS).token().expect("get_peers gives a token");
    for port in 1000..1300 {
        let port = format!("4:porti{port}e");
        let arguments = join(&[b"9:info_hash20:mnopqrstuvwxyz123456", port.as_bytes()]);
        wire.ask_for(&node, &announce(&arguments, &token));
    }
    let answer = wire.ask(&node, GET_PEERS);
    let peers = Reply::read(&answer).expect("an answer").peers();
    assert_number("peers in an answer", peers.len(), 100, CLAUSE, &[]);
    assert!(answer.len() <= 1024, "{} bytes", answer.len());
    // With filters, nodes and the longest transaction.
    tabled(&node, &wire);
    let long = join(&[
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234566:scrapei1ee1:q9:get_peers1:t64:",
        &[b't'; 64],
        b"1:y1:qe",
    ]);
    let answer = wire.ask(&node, &long);
    assert!((900..=1024).contains(&answer.len()), "{} bytes", answer.len());
    let reply = Reply::read(&answer).expect("an answer");
    for key in ["BFsd", "BFpe"] {
        let filter = reply.get(key).and_then(piecemeal::actors::dht::krpc::string);
        assert_value(key, filter.map(<[u8]>::len), Some(256), "BEP 33, filter of addresses");
    }
    assert!(!reply.peers().is_empty());
}

#[test]
fn torrents_are_sampled() {
    let (node, wire) = (node(), Wire::new());
    let token = wire.ask_for(&node, GET_PEERS).token().expect("get_peers gives a token");
    for number in 0..60 {
        let hash = format!("9:info_hash20:{number:020}4:porti6881e");
        wire.ask_for(&node, &announce(hash.as_bytes(), &token));
    }
    let question = b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q17:sample_infohashes1:t2:aa1:y1:qe";
    let answer = wire.ask(&node, question);
    assert!(answer.len() <= 1024, "{} bytes", answer.len());
    let reply = Reply::read(&answer).expect("an answer");
    let samples = reply.get("samples").and_then(piecemeal::actors::dht::krpc::string);
    let samples = samples.expect("samples").len();
    assert!(samples.is_multiple_of(20) && samples >= 20 * 20, "{samples} bytes of samples");
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(text.contains("8:intervali600e5:nodes0:3:numi60e7:samples"), "{text}");
}

#[test]
fn whoever_sends_to_nobody_is_answered_by_nobody() {
    // A node answers questions, and nothing else: two that answer errors would never end.
    let (node, wire) = (node(), Wire::new());
    wire.is_ignored(&node, b"d1:eli201e5:Errore1:t2:aa1:y1:ee");
    wire.is_ignored(&node, b"d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re");
    wire.is_ignored(&node, b"d1:t2:aa1:y1:xe");
    assert!(wire.answer(LIMIT.min(SHORT)).is_none());
}
