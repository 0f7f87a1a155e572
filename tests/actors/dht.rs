//! Scripted DHT nodes: what they answer, what they get wrong, and what they record.
//!
//! The clients in here are bare sockets; their datagrams are those of BEP 5, "KRPC queries".

use piecemeal::actors::Recording;
use piecemeal::actors::dht::krpc::{address, at_distance, bits, closest, compact, distance};
use piecemeal::actors::dht::{Answer, Contact, FakeDht, FakeNode, Id, NodePlan, Reply};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Far more than anything takes.
const LIMIT: Duration = Duration::from_secs(60);
/// Far less than anything waits that is to wait forever.
const MOMENT: Duration = Duration::from_millis(200);

const PING: &[u8] = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
const FIND_NODE: &[u8] = b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e\
    1:q9:find_node1:t2:aa1:y1:qe";
const GET_PEERS: &[u8] = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e\
    1:q9:get_peers1:t2:aa1:y1:qe";
const HASH: Id = *b"mnopqrstuvwxyz123456";
const ID: Id = *b"0123456789abcdefghij";

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.set_read_timeout(Some(LIMIT)).expect("a socket takes a timeout");
    socket
}

fn start(plan: NodePlan) -> FakeNode {
    FakeNode::start(plan).expect("loopback has a free port")
}

fn hear(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (length, from) = socket.recv_from(&mut buffer).expect("the node answers");
    (buffer[..length].to_vec(), from)
}

/// What a node answers to a datagram.
fn answer(node: &FakeNode, datagram: &[u8]) -> Vec<u8> {
    let socket = socket();
    socket.send_to(datagram, node.address()).expect("the node listens");
    hear(&socket).0
}

fn reply(node: &FakeNode, datagram: &[u8]) -> Reply {
    Reply::read(&answer(node, datagram)).expect("a response or an error")
}

fn peer(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// An announcement of BEP 5 with this token.
fn announcement(token: &[u8]) -> Vec<u8> {
    let begin = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti6881e";
    let token = [format!("5:token{}:", token.len()).as_bytes(), token].concat();
    [&begin[..], &token, b"e1:q13:announce_peer1:t2:aa1:y1:qe"].concat()
}

#[test]
fn distances_are_those_of_xor() {
    let near = at_distance(&HASH, 9, &[0xff; 20]);
    assert_eq!(distance(&HASH, &near)[18..], [1, 0xff]);
    assert_eq!(bits(&distance(&HASH, &near)), 9);
    assert_eq!((bits(&[0; 20]), bits(&[0xff; 20])), (0, 160));
    assert_eq!(bits(&distance(&HASH, &at_distance(&HASH, 160, &[0; 20]))), 160);
    let contact = |bits: usize| Contact {
        id: at_distance(&HASH, bits, &[0; 20]),
        address: peer("127.0.0.1:1"),
    };
    let sorted = closest(&[contact(9), contact(80), contact(3)], &HASH, 2);
    assert_eq!(sorted, [contact(3), contact(9)]);
}

#[test]
fn addresses_have_6_bytes_or_18() {
    assert_eq!(compact(peer("1.2.3.4:258")), [1, 2, 3, 4, 1, 2]);
    assert_eq!(address(&[1, 2, 3, 4, 1, 2]), Some(peer("1.2.3.4:258")));
    let six = peer("[::1]:258");
    assert_eq!((compact(six).len(), address(&compact(six))), (18, Some(six)));
    assert_eq!([0, 1, 5, 7, 17, 19].map(|length| address(&vec![7; length])), [None; 6]);
}

#[test]
fn a_good_node_answers_a_ping_byte_for_byte() {
    let node = start(NodePlan::new(ID));
    let expected = b"d1:rd2:id20:0123456789abcdefghije1:t2:aa1:y1:re";
    assert_eq!(answer(&node, PING), expected);
    let asked = node.queries();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].query.method, "ping");
    assert_eq!(asked[0].query.id(), Some(*b"abcdefghij0123456789"));
    let recordings = node.recordings();
    assert_eq!(recordings.len(), 1);
    assert_eq!(recordings[0].from_client(), PING);
    assert_eq!(recordings[0].to_client(), expected);
}

#[test]
fn a_node_names_the_closest_of_those_it_knows() {
    let ids = (1..=12).map(|bits| at_distance(&HASH, bits * 10, &ID));
    let swarm = FakeDht::mesh(ids.clone().map(NodePlan::new)).expect("loopback has free ports");
    let farthest = swarm.nodes.last().expect("twelve nodes");
    let named = reply(farthest, FIND_NODE).nodes().expect("nodes");
    let expected: Vec<Contact> = swarm.nodes.iter().take(8).map(FakeNode::contact).collect();
    assert_eq!(named, expected);
    assert!(named.iter().all(|node| node.id != farthest.id()), "it does not name itself");
    let response = reply(farthest, GET_PEERS);
    assert_eq!(response.nodes(), Some(expected));
    assert_eq!(response.peers(), []);
    assert!(response.token().is_some());
}

#[test]
fn a_node_gives_the_peers_that_it_has_beside_nodes_or_instead() {
    let peers = [peer("1.2.3.4:258"), peer("[2001:db8::1]:6881")];
    let node = start(NodePlan::new(ID).having(HASH, &peers));
    let both = reply(&node, GET_PEERS);
    assert_eq!((both.peers(), both.nodes()), (peers.to_vec(), Some(Vec::new())));
    let mut plan = NodePlan::new(ID).having(HASH, &peers);
    plan.names_both = false;
    let one = reply(&start(plan), GET_PEERS);
    assert_eq!((one.peers(), one.nodes()), (peers.to_vec(), None));
}

#[test]
fn an_announcement_counts_with_its_token_only() {
    let node = start(NodePlan::new(ID));
    let token = reply(&node, GET_PEERS).token().expect("a token");
    let refused = reply(&node, &announcement(b"another"));
    assert_eq!(refused.error().map(|(code, _)| code), Some(203));
    assert_eq!(node.peers(&HASH), []);
    assert_eq!(
        answer(&node, &announcement(&token)),
        b"d1:rd2:id20:0123456789abcdefghije1:t2:aa1:y1:re"
    );
    assert_eq!(node.peers(&HASH), [peer("127.0.0.1:6881")]);
}

#[test]
fn a_method_that_a_node_does_not_have_is_error_204() {
    let node = start(NodePlan::new(ID));
    let query = b"d1:ad2:id20:abcdefghij0123456789e1:q4:pong1:t2:aa1:y1:qe";
    assert_eq!(reply(&node, query).error().map(|(code, _)| code), Some(204));
}

#[test]
fn what_is_wrong_with_an_answer_is_what_the_plan_says() {
    let peers = [peer("1.2.3.4:258")];
    let decoys = [peer("9.9.9.9:9")];
    let saying = |answer: Answer| {
        let mut plan = NodePlan::new(ID).having(HASH, &peers).saying([answer]);
        plan.decoys = decoys.to_vec();
        plan
    };
    let replied = |answer| reply(&start(saying(answer)), GET_PEERS);
    let other = replied(Answer::OtherTransaction);
    assert_eq!((&other.transaction[..], other.peers()), (&[0x9e, 0x9e][..], decoys.to_vec()));
    let error = replied(Answer::Error(202, "no".into()));
    assert_eq!(error.error(), Some((202, "no".to_owned())));
    assert_eq!(replied(Answer::NoId).id(), None);
    assert_eq!(replied(Answer::ShortId).id(), None);
    assert_eq!(replied(Answer::NoToken).token(), None);
    let node = start(saying(Answer::NewId));
    assert_ne!(reply(&node, PING).id(), reply(&node, PING).id());
    let odd = answer(&start(saying(Answer::OddNodes)), GET_PEERS);
    assert!(odd.windows(10).any(|part| part == b"5:nodes1:\x07"));
    let odd = answer(&start(saying(Answer::OddValues)), GET_PEERS);
    let values = b"6:valuesl0:5:\x07\x07\x07\x07\x07";
    assert!(odd.windows(values.len()).any(|part| part == values), "{}", odd.escape_ascii());
    assert_eq!(answer(&start(saying(Answer::Raw(b"what".to_vec()))), PING), b"what");
    assert_eq!(answer(&start(saying(Answer::Cut(7))), PING), b"d1:rd2:");
    let martian = Contact { id: HASH, address: peer("0.0.0.0:0") };
    let liar = replied(Answer::Names(vec![martian; 100]));
    assert_eq!(liar.nodes(), Some(vec![martian; 100]));
}

#[test]
fn a_stranger_answers_from_another_port_before_the_node_does() {
    let node = start(NodePlan::new(ID).saying([Answer::Forged, Answer::Good]));
    let socket = socket();
    socket.send_to(PING, node.address()).expect("the node listens");
    let (forged, from) = hear(&socket);
    assert_ne!(from, node.address());
    assert_ne!(Reply::read(&forged).and_then(|reply| reply.id()), Some(ID));
    assert_eq!(hear(&socket).1, node.address());
}

#[test]
fn a_silent_node_says_nothing_and_a_late_one_holds_no_query_up() {
    let socket = socket();
    socket.set_read_timeout(Some(MOMENT)).expect("a socket takes a timeout");
    let silent = start(NodePlan::new(ID).silent());
    socket.send_to(PING, silent.address()).expect("the node listens");
    assert!(socket.recv_from(&mut [0; 9]).is_err());
    assert!(silent.is_asked(|asked| asked.query.method == "ping", LIMIT));

    let late = start(NodePlan::new(ID).saying([Answer::Late(MOMENT)]));
    socket.set_read_timeout(Some(LIMIT)).expect("a socket takes a timeout");
    let begun = Instant::now();
    for _ in 0..5 {
        socket.send_to(PING, late.address()).expect("the node listens");
    }
    (0..5).for_each(|_| drop(hear(&socket)));
    assert!(begun.elapsed() >= MOMENT);
    assert!(begun.elapsed() < 4 * MOMENT, "five answers wait side by side: {:?}", begun.elapsed());
}

#[test]
fn a_node_asks_a_client_and_hears_no_other() {
    let node = start(NodePlan::new(ID));
    let (client, stranger) = (socket(), socket());
    let address = client.local_addr().expect("it is bound");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| node.ask(address, "ping", &[], LIMIT));
        let (query, from) = hear(&client);
        let text = String::from_utf8_lossy(&query).into_owned();
        assert!(text.starts_with("d1:ad2:id20:0123456789abcdefghije1:q4:ping1:t2:"), "{text}");
        let at = query.len() - 9;
        let answer =
            |id: &[u8]| [b"d1:rd2:id20:", id, b"e1:t2:", &query[at..at + 2], b"1:y1:re"].concat();
        for (from_whom, id) in [(&stranger, b"a stranger's id 1234"), (&client, &HASH)] {
            from_whom.send_to(&answer(id), from).expect("the node listens");
        }
        let reply = asked.join().expect("it does not panic").expect("an answer came");
        assert_eq!(reply.id(), Some(HASH));
    });
}

#[test]
fn garbage_is_counted_and_answered_by_nothing() {
    let node = start(NodePlan::new(ID));
    let socket = socket();
    for bytes in [&b""[..], b"d", b"hello", b"d1:y1:qe", &[0xff; 1_500], &[b'l'; 60_000]] {
        socket.send_to(bytes, node.address()).expect("the node listens");
    }
    socket.send_to(PING, node.address()).expect("the node listens");
    assert!(hear(&socket).0.starts_with(b"d1:rd2:id20:"), "the ping's is the first answer");
    assert_eq!(node.garbage(), 6);
}

#[test]
fn the_end_of_a_swarm_does_not_wait_for_its_nodes_one_by_one() {
    let ids = (1..=100).map(|bits| at_distance(&HASH, bits, &ID));
    let swarm = FakeDht::mesh(ids.map(NodePlan::new)).expect("loopback has free ports");
    let recordings = swarm.recordings();
    let begun = Instant::now();
    drop(swarm);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(recordings.iter().all(Recording::is_silent));
}
