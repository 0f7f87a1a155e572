//! Lookups and pings over real sockets on loopback, with nodes that do as a script says.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use piecemeal::actors::dht::krpc::at_distance;
use piecemeal::actors::dht::{Answer, Contact, FakeDht, FakeNode, Id, NodePlan};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::ask::{Asker, Datagrams, LookupError, open};
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s21_dht_lookup::steps::Step;
use piecemeal::s21_dht_lookup::{Goal, Lookup};

use crate::support::{LIMIT, assert_chosen, assert_value, dead_address};

const CLAUSE: &str = "BEP 5, lookup";

pub const HASH: Id = *b"mnopqrstuvwxyz123456";

/// The plan of a node this many bits away from the info hash.
pub fn plan(bits: usize) -> NodePlan {
    NodePlan::new(at_distance(&HASH, bits, &[0x5a; 20]))
}

pub fn peer(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 7, 7, number], 6881))
}

fn asker(is_ipv4: bool) -> Asker {
    Asker::new(open(is_ipv4).expect("loopback takes a socket"), NodeId(*b"abcdefghij0123456789"))
}

fn later() -> Instant {
    Instant::now() + LIMIT
}

/// What a lookup from this node brings.
struct Brought {
    ended: Result<(), LookupError>,
    lookup: Lookup,
    peers: Vec<SocketAddr>,
    steps: Vec<Step>,
    took: Duration,
}

fn look_up(from: SocketAddr, deadline: Instant) -> Brought {
    let mut lookup = Lookup::new(Goal::Peers(InfoHash(HASH)), NodeId([0xee; 20]), from.is_ipv4());
    lookup.start_from_host(from);
    let (mut peers, mut steps, begun) = (Vec::new(), Vec::new(), Instant::now());
    let ended = asker(from.is_ipv4()).run(&mut lookup, deadline, |step| {
        if let Step::Peers { peers: named, .. } = &step {
            peers.extend(named);
        }
        steps.push(step);
    });
    Brought { ended, lookup, peers, steps, took: begun.elapsed() }
}

/// Starts a chain: each knows the next one, which is nearer, and the last one knows a peer.
fn chain() -> FakeDht {
    let mut plans: Vec<NodePlan> =
        (0..6).map(|number| plan(160 - 4 * number).knowing([number + 1])).collect();
    plans[5] = plan(140).having(HASH, &[peer(1), peer(2)]);
    FakeDht::start(plans).expect("loopback has free ports")
}

#[test]
fn a_lookup_follows_the_names_to_the_peers() {
    let dht = chain();
    let brought = look_up(dht.address(0), later());
    brought.ended.expect("all answer");
    assert_value("the peers", brought.peers, [peer(1), peer(2)], CLAUSE);
    let bits: Vec<u32> = brought.lookup.closest().iter().map(|it| it.distance.bits()).collect();
    assert_value("the distances of the nearest", bits, [140, 144, 148, 152, 156, 160], CLAUSE);
    let token = brought.lookup.closest().iter().all(|it| it.token.is_some());
    assert!(token, "each has given a token");
    // Each query says that we only ask, and has two bytes by which its answer is known.
    for (_, asked) in dht.queries() {
        assert!(asked.query.is_read_only(), "{:?}", asked.query);
        assert_eq!(asked.query.transaction.len(), 2);
        assert_eq!(asked.query.id(), Some(*b"abcdefghij0123456789"));
    }
    let asked: Vec<usize> = dht
        .queries()
        .iter()
        .filter(|(_, asked)| asked.query.method == "get_peers")
        .map(|(number, _)| *number)
        .collect();
    let why = "each is asked once, after the one before has named it";
    assert_chosen(
        "the nodes in the order of the questions",
        asked,
        [0, 1, 2, 3, 4, 5],
        why,
        CLAUSE,
    );
}

#[test]
fn over_ipv6_a_lookup_is_the_same() {
    let here = Ipv6Addr::LOCALHOST.into();
    let plans = [160, 150, 140].map(|bits| NodePlan { address: here, ..plan(bits) });
    let [first, second, third] = plans;
    let third = third.having(HASH, &[peer(1)]);
    let dht = match FakeDht::start([first.knowing([1]), second.knowing([2]), third]) {
        Ok(dht) => dht,
        Err(error) => return println!("SKIPPED: this machine has no IPv6: {error}"),
    };
    let brought = look_up(dht.address(0), later());
    brought.ended.expect("all answer");
    assert_value("the peers", brought.peers, [peer(1)], "BEP 32, lookup");
}

#[test]
fn a_silent_node_costs_a_second_and_a_late_one_counts() {
    let late = Answer::Late(Duration::from_millis(1_500));
    let dht = FakeDht::start([
        plan(160).knowing([1, 2, 3]),
        plan(150).silent(),
        plan(149).saying([late]).having(HASH, &[peer(2)]),
        plan(148).knowing([1, 2]).having(HASH, &[peer(3)]),
    ])
    .expect("loopback has free ports");
    let brought = look_up(dht.address(0), later());
    brought.ended.expect("one answers");
    assert_value("the peers", &brought.peers[..1], [peer(3)], CLAUSE);
    let silent = brought.steps.iter().filter(|step| matches!(step, Step::Silent { .. })).count();
    assert_value("nodes that are silent for a second", silent, 2, CLAUSE);
    // With nobody else to ask, it does not wait for the late ones.
    assert!(brought.took < Duration::from_millis(1_400) || brought.peers.len() == 2);
}

#[test]
fn a_first_node_that_is_slow_is_waited_for() {
    let late = Answer::Late(Duration::from_millis(1_500));
    let dht =
        FakeDht::start([plan(160).knowing([1]).saying([late]), plan(150).having(HASH, &[peer(1)])])
            .expect("loopback has free ports");
    let brought = look_up(dht.address(0), later());
    brought.ended.expect("both answer");
    assert_value("the peers", brought.peers, [peer(1)], CLAUSE);
}

#[test]
fn an_answer_to_another_query_or_from_another_address_is_none() {
    for false_answer in [
        Answer::OtherTransaction,
        Answer::Forged,
        Answer::Raw(b"d1:t2:aae".to_vec()),
        Answer::Cut(30),
    ] {
        let what = format!("{false_answer:?}, and then the right one");
        let first = plan(160).having(HASH, &[peer(1)]);
        let first =
            NodePlan { decoys: vec![peer(66)], ..first }.saying([false_answer, Answer::Good]);
        let dht = FakeDht::start([first]).expect("loopback has a free port");
        let brought = look_up(dht.address(0), later());
        brought.ended.expect("the right answer comes");
        assert_value(&what, brought.peers, [peer(1)], CLAUSE);
        let id: Vec<NodeId> = brought.lookup.closest().iter().map(|it| it.contact.id).collect();
        assert_value("who has answered", id, [NodeId(dht.nodes[0].id())], CLAUSE);
    }
}

#[test]
fn a_node_with_another_id_than_its_name_is_dropped_with_all_that_it_says() {
    let liar = plan(100).having(HASH, &[peer(66)]).saying([Answer::NewId]);
    let dht = FakeDht::start([plan(160).knowing([1, 2]), liar, plan(150).having(HASH, &[peer(1)])])
        .expect("loopback has free ports");
    let brought = look_up(dht.address(0), later());
    brought.ended.expect("others answer");
    assert_value("the peers", brought.peers, [peer(1)], CLAUSE);
    assert_value("liars", brought.lookup.counts().lied, 1, CLAUSE);
}

#[test]
fn answers_that_break_a_rule_cost_no_more_than_silence() {
    for says in [
        Answer::NoId,
        Answer::ShortId,
        Answer::Error(202, "\x1b[2Jdisk".into()),
        Answer::OddNodes,
        Answer::OddValues,
        Answer::NoToken,
    ] {
        let odd = plan(150).having(HASH, &[peer(2)]).saying([says]);
        let dht =
            FakeDht::start([plan(160).knowing([1, 2]), odd, plan(140).having(HASH, &[peer(1)])])
                .expect("loopback has free ports");
        let brought = look_up(dht.address(0), later());
        brought.ended.expect("others answer");
        assert!(brought.peers.contains(&peer(1)), "{:?}", brought.peers);
        assert!(brought.took < Duration::from_secs(5), "{:?}", brought.took);
    }
}

#[test]
fn invented_nodes_do_not_keep_a_lookup_from_its_end() {
    // A stranger's names next to the target; nobody is at any of these ports.
    let invented = |number: u8| {
        let mut filling = [0; 20];
        filling[19] = number;
        Contact {
            id: at_distance(&HASH, 20, &filling),
            address: SocketAddr::from(([127, 66, 0, number], 9)),
        }
    };
    let names: Vec<Contact> = (0..8).map(invented).collect();
    let mut names = names;
    names.iter_mut().for_each(|it| it.address.set_port(40_009));
    let mut plans = vec![plan(160).knowing(1..10)];
    plans.push(plan(159).saying([Answer::Names(names)]));
    plans.extend((0..8).map(|number| plan(150 - number).knowing(2..10)));
    plans[9] = plans[9].clone().having(HASH, &[peer(1)]);
    let dht = FakeDht::start(plans).expect("loopback has free ports");
    let brought = look_up(dht.address(0), later());
    brought.ended.expect("most answer");
    assert_value("the peers", brought.peers, [peer(1)], CLAUSE);
    let bits: Vec<u32> = brought.lookup.closest().iter().map(|it| it.distance.bits()).collect();
    assert_value("the nearest", bits, (143..=150).collect::<Vec<u32>>(), CLAUSE);
    assert!(brought.took < Duration::from_secs(4), "{:?}", brought.took);
}

#[test]
fn nobody_answers_is_an_error_and_the_deadline_holds() {
    let silent = FakeNode::start(plan(160).silent()).expect("loopback has a free port");
    let brought = look_up(silent.address(), Instant::now() + Duration::from_millis(1_200));
    let error = brought.ended.expect_err("nobody answers").to_string();
    assert_value("the error", error, "no answer: 1 DHT node asked", CLAUSE);
    assert!(brought.took >= Duration::from_millis(1_200), "{:?}", brought.took);
    let brought = look_up(dead_address(), Instant::now() + Duration::from_millis(200));
    brought.ended.expect_err("nobody is there");
    let mut lookup = Lookup::new(Goal::Peers(InfoHash(HASH)), NodeId([0; 20]), true);
    let nobody = asker(true).run(&mut lookup, later(), drop).expect_err("nobody is known");
    assert!(matches!(nobody, LookupError::Nobody), "{nobody}");
}

#[test]
fn a_ping_brings_the_id_and_a_second_one_if_the_first_is_lost() {
    let node = FakeNode::start(plan(160)).expect("loopback has a free port");
    let pong = asker(true).ping(node.address(), later()).expect("it answers");
    assert_value("its id", pong.id, NodeId(node.id()), CLAUSE);
    // The script has neither of these keys.
    assert_eq!((pong.version, pong.seen_as), (None, None));
    assert!(pong.time < Duration::from_secs(1), "{:?}", pong.time);
    let late = Answer::Late(Duration::from_millis(1_300));
    let slow = FakeNode::start(plan(160).saying([late])).expect("loopback has a free port");
    let pong = asker(true).ping(slow.address(), later()).expect("it answers");
    assert!(
        pong.time >= Duration::from_millis(1_300),
        "measured from its own query: {:?}",
        pong.time
    );
    assert_value("pings", slow.queries().len(), 2, CLAUSE);
}

#[test]
fn a_ping_that_is_refused_says_so() {
    let no = Answer::Error(202, "\x1b[2Jbusy".into());
    let node = FakeNode::start(plan(160).saying([no])).expect("loopback has a free port");
    let error = asker(true).ping(node.address(), later()).expect_err("it refuses").to_string();
    let expected = "the node refuses, with the error 202: \\u{1b}[2Jbusy";
    assert_value("the error", error, expected, CLAUSE);
}

/// A question, and the node that it went to.
type Asked = (Vec<u8>, SocketAddr);

/// A network that brings the answer to the first question of all, and nothing after it.
#[derive(Clone, Default)]
struct Belated(Arc<Mutex<Vec<Asked>>>);

impl Datagrams for Belated {
    fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.lock().expect("one thread").push((datagram.to_vec(), to));
        Ok(())
    }

    fn receive(&self, _: Duration, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        let mut asked = self.0.lock().expect("one thread");
        if asked.is_empty() {
            return Err(io::Error::other("that was all"));
        }
        let (question, node) = asked.remove(0);
        asked.clear();
        let key = question.windows(5).position(|five| five == b"1:t2:").expect("it has a t");
        let mut answer = b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:??1:y1:re".to_vec();
        let place = answer.len() - 9;
        answer[place..place + 2].copy_from_slice(&question[key + 5..key + 7]);
        buffer[..answer.len()].copy_from_slice(&answer);
        Ok(Some((answer.len(), node)))
    }
}

#[test]
fn an_answer_to_an_earlier_lookup_is_none_to_the_next_one() {
    let id = NodeId(*b"abcdefghij0123456789");
    let mut asker = Asker::new(Box::new(Belated::default()), id);
    let mut look_up = |from, deadline| {
        let mut lookup = Lookup::new(Goal::Peers(InfoHash(HASH)), id, true);
        lookup.start_from_host(from);
        let ended = asker.run(&mut lookup, deadline, drop);
        (ended.expect_err("nobody answers in time").to_string(), lookup.closest())
    };
    let (error, found) = look_up(peer(1), Instant::now());
    assert_eq!((error.as_str(), found), ("no answer: 1 DHT node asked", Vec::new()));
    let (error, found) = look_up(peer(2), later());
    let over = "the UDP socket can no longer receive: that was all";
    assert_eq!((error.as_str(), found), (over, Vec::new()), "the late answer is nobody's");
}
