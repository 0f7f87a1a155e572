//! Whom a lookup asks and whom not, step by step, with a clock that is only counted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::krpc::{Contact, Query, Response};
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s21_dht_lookup::steps::Step;
use piecemeal::s21_dht_lookup::{Ask, Goal, IN_FLIGHT, Lookup, MAX_PEERS, MAX_QUERIES};

use crate::support::{assert_chosen, assert_value};

const CLAUSE: &str = "BEP 5, lookup";

const HASH: InfoHash = InfoHash([0; 20]);
const OURS: NodeId = NodeId([0xee; 20]);

/// A node this many bits away from the info hash, which is 0.
fn at_bits(bits: u32, low: u8) -> NodeId {
    let mut id = NodeId([0; 20]).flipped(bits);
    id.0[19] ^= low;
    id
}

/// Node number n of 150 bits and less: the higher, the nearer. Each at an address of its own.
fn node(number: u8) -> Contact {
    Contact {
        id: at_bits(150 - u32::from(number), 0),
        address: SocketAddr::from(([60, 0, number, 1], 6881)),
    }
}

fn at(address: &str, bits: u32) -> Contact {
    Contact { id: at_bits(bits, 0), address: address.parse().expect("an address") }
}

/// A lookup and its clock.
struct Scene {
    lookup: Lookup,
    now: Instant,
}

impl Scene {
    fn new(known: impl IntoIterator<Item = Contact>) -> Scene {
        let mut lookup = Lookup::new(Goal::Peers(HASH), OURS, true);
        known.into_iter().for_each(|contact| lookup.start_from(contact));
        Scene { lookup, now: Instant::now() }
    }

    fn from_host(address: &str) -> Scene {
        let mut scene = Scene::new([]);
        scene.lookup.start_from_host(address.parse().expect("an address"));
        scene
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// All queries that it sends now.
    fn asks(&mut self) -> Vec<Ask> {
        std::iter::from_fn(|| self.lookup.next(self.now)).collect()
    }

    /// The addresses of these.
    fn asked(&mut self) -> Vec<String> {
        self.asks().iter().map(|ask| ask.to.to_string()).collect()
    }

    fn answer(&mut self, ask: &Ask, id: NodeId, nodes: &[Contact]) {
        let response = Response { nodes: nodes.to_vec(), ..Response::new(id) };
        self.lookup.answer(ask.number, &response, self.now);
    }

    fn closest(&self) -> Vec<Contact> {
        self.lookup.closest().into_iter().map(|it| it.contact).collect()
    }

    /// Asks one node that we know, which names these, and returns whom it asks then.
    fn names(by: Contact, nodes: &[Contact]) -> Vec<String> {
        let mut scene = Scene::new([by]);
        let ask = scene.asks().remove(0);
        scene.answer(&ask, by.id, nodes);
        let mut asked = Vec::new();
        // Silence is how the next gets its turn.
        for _ in 0..20 {
            asked.extend(scene.asks().into_iter().filter(|ask| ask.to != by.address));
            scene.wait(1_000);
        }
        let mut asked: Vec<String> = asked.iter().map(|ask| ask.to.to_string()).collect();
        asked.sort();
        asked
    }
}

fn addresses(contacts: impl IntoIterator<Item = Contact>) -> Vec<String> {
    contacts.into_iter().map(|it| it.address.to_string()).collect()
}

#[test]
fn the_nearest_are_asked_first_and_four_at_a_time() {
    let mut scene = Scene::new((0..12).map(node));
    let asks = scene.asks();
    let why = "node 11 is the nearest, and four queries may wait for an answer";
    let asked: Vec<SocketAddr> = asks.iter().map(|ask| ask.to).collect();
    let expected = [11, 10, 9, 8].map(|number| node(number).address);
    assert_chosen("the nodes that are asked", asked, expected, why, CLAUSE);
    assert_eq!(IN_FLIGHT, 4);
    let expected = Query::GetPeers {
        info_hash: HASH,
        want: piecemeal::s21_dht_lookup::krpc::Want::UNSAID,
        scrape: false,
        noseed: false,
    };
    assert!(asks.iter().all(|ask| ask.query == expected), "{asks:?}");
    scene.answer(&asks[2], node(9).id, &[]);
    let why = "one has answered, so one more is asked";
    assert_chosen("the next", scene.asked(), addresses([node(7)]), why, CLAUSE);
}

#[test]
fn a_nearer_node_that_is_named_comes_before_those_that_wait() {
    let mut scene = Scene::new((0..12).map(node));
    let asks = scene.asks();
    scene.answer(&asks[0], node(11).id, &[node(20), node(13)]);
    let why = "node 20 is nearer than all that are known";
    assert_chosen("the next", scene.asked(), addresses([node(20)]), why, CLAUSE);
}

#[test]
fn silence_frees_a_place_after_a_second_and_a_late_answer_still_counts() {
    let mut scene = Scene::new((0..12).map(node));
    let asks = scene.asks();
    scene.wait(999);
    assert_value("queries after 999 ms", scene.asks().len(), 0, CLAUSE);
    scene.wait(1);
    let expected = addresses([7, 6, 5, 4].map(node));
    assert_value("the nodes asked after 1,000 ms", scene.asked(), expected, CLAUSE);
    assert_value("silent ones", scene.lookup.counts().silent, 4, CLAUSE);
    scene.wait(6_999);
    scene.answer(&asks[0], node(11).id, &[node(30)]);
    assert_value("the nearest after a late answer", scene.closest(), vec![node(11)], CLAUSE);
    scene.wait(1);
    scene.answer(&asks[1], node(10).id, &[node(31)]);
    assert_value("the nearest after 8 s", scene.closest(), vec![node(11)], CLAUSE);
    let late = scene.lookup.take_steps();
    let late = late.iter().filter(|step| matches!(step, Step::Answered { late: true, .. }));
    assert_eq!(late.count(), 1);
}

#[test]
fn an_answer_counts_once() {
    let mut scene = Scene::new([node(0)]);
    let ask = scene.asks().remove(0);
    scene.answer(&ask, node(0).id, &[node(1)]);
    scene.answer(&ask, node(0).id, &[node(2)]);
    assert_value("whom it asks", scene.asked(), addresses([node(1)]), CLAUSE);
    scene.answer(&Ask { number: 77, ..ask }, node(9).id, &[node(3)]);
    assert_value("the nearest", scene.closest(), vec![node(0)], CLAUSE);
}

#[test]
fn it_ends_when_the_eight_nearest_have_answered_and_been_asked_for_the_edge() {
    let mut scene = Scene::new((0..20).map(node));
    let (mut get_peers, mut targets) = (0, Vec::new());
    while !scene.lookup.is_done() {
        let asks = scene.asks();
        assert!(!asks.is_empty(), "a lookup that is not over asks somebody");
        for ask in asks {
            match ask.query {
                Query::GetPeers { .. } => get_peers += 1,
                Query::FindNode { target, .. } => targets.push(target),
                _ => panic!("{ask:?}"),
            }
            let id = (0..20).map(node).find(|it| it.address == ask.to).expect("one of ours").id;
            scene.answer(&ask, id, &[]);
        }
    }
    let expected: Vec<Contact> = (12..20).rev().map(node).collect();
    assert_value("the nearest", scene.closest(), expected, CLAUSE);
    assert!((8..12).contains(&get_peers), "{get_peers} get_peers");
    // The eighth is 138 bits away.
    let edge = [138, 137].map(|bits| NodeId([0; 20]).flipped(bits));
    assert_value("the targets of the second question", targets, edge.repeat(4), CLAUSE);
}

#[test]
fn a_neighbor_that_only_the_second_question_brings_is_asked_as_well() {
    let missed = at("60.1.1.1:6881", 135);
    let mut scene = Scene::new((0..20).map(node));
    let mut asked = Vec::new();
    while !scene.lookup.is_done() {
        for ask in scene.asks() {
            let id = (0..20).map(node).find(|it| it.address == ask.to).map(|it| it.id);
            let named =
                if matches!(ask.query, Query::FindNode { .. }) { vec![missed] } else { vec![] };
            scene.answer(&ask, id.unwrap_or(missed.id), &named);
            asked.push((ask.to, ask.query));
        }
    }
    assert!(scene.closest().contains(&missed), "{:?}", scene.closest());
    assert!(
        asked
            .iter()
            .any(|(to, query)| *to == missed.address && matches!(query, Query::GetPeers { .. })),
        "it gets the question that matters"
    );
}

#[test]
fn a_node_that_answers_with_another_id_is_dropped() {
    let mut scene = Scene::new([node(0), node(1)]);
    let asks = scene.asks();
    scene.answer(&asks[0], node(40).id, &[node(41)]);
    assert_value("the nearest", scene.closest(), vec![], CLAUSE);
    assert_value("whom it asks", scene.asked(), Vec::<String>::new(), CLAUSE);
    assert_value("liars", scene.lookup.counts().lied, 1, CLAUSE);
    // Whoever named it may have lied: under its real id, it is asked.
    let real = Contact { id: node(40).id, ..node(1) };
    scene.answer(&asks[1], node(0).id, &[real]);
    let why = "an honest node that somebody named under a wrong id";
    assert_chosen("whom it asks", scene.asked(), addresses([real]), why, CLAUSE);
}

#[test]
fn one_computer_of_the_internet_counts_once_and_on_a_network_each_port_does() {
    let by = at("60.0.0.1:6881", 150);
    let same = [
        at("61.2.3.4:6881", 120),
        at("61.2.3.4:6882", 121),
        at("61.2.3.4:6883", 122),
        at("61.2.3.4:6884", 123),
    ];
    let mut scene = Scene::new([by]);
    let ask = scene.asks().remove(0);
    scene.answer(&ask, by.id, &same);
    let asks: Vec<Ask> = scene.asks().into_iter().filter(|ask| ask.to != by.address).collect();
    assert_value("how many of its names are asked", asks.len(), 1, CLAUSE);
    scene.answer(&asks[0], same[0].id, &[at("61.2.3.4:6999", 100)]);
    let asked: Vec<Ask> =
        scene.asks().into_iter().filter(|ask| ask.to.ip() == same[0].address.ip()).collect();
    let again = asked.iter().all(|ask| ask.to == same[0].address);
    assert!(again, "a computer that has answered is not asked under another name: {asked:?}");
    // Three names, if the first ones are silent.
    let asked = Scene::names(by, &same);
    assert_value("how many silent names of one computer are asked", asked.len(), 3, CLAUSE);
    let by = at("10.0.0.1:6881", 150);
    let same = ["6881", "6882", "6883", "6884"]
        .map(|port| at(&format!("10.0.0.9:{port}"), port.parse::<u32>().expect("a number") - 6770));
    let asked = Scene::names(by, &same);
    assert_value("the names on a network that are asked", asked, addresses(same), CLAUSE);
}

#[test]
fn addresses_that_can_be_no_nodes_are_never_asked() {
    let far = at("60.0.0.1:6881", 150);
    for (address, why) in [
        ("60.0.0.2:0", "nobody is at port 0"),
        ("0.0.0.0:6881", "0.0.0.0 is ourselves"),
        ("224.0.0.1:6881", "a group, not a node"),
        ("255.255.255.255:6881", "everybody, not a node"),
        ("127.0.0.1:6881", "a far node cannot know who is on this machine"),
        ("10.1.1.1:6881", "nor who is on its network"),
        ("192.168.1.1:6881", "nor who is on its network"),
        ("169.254.1.1:6881", "nor who is on its network"),
        ("60.0.0.2:53", "a service, not a node"),
        ("[2001:db8::1]:6881", "the other network"),
    ] {
        let asked = Scene::names(far, &[at(address, 100)]);
        assert_chosen(
            &format!("{address}, named by a far node"),
            asked,
            Vec::<String>::new(),
            why,
            CLAUSE,
        );
    }
    let near = at("10.0.0.1:6881", 150);
    for (address, asked) in [
        ("10.1.1.1:6881", true),
        ("60.0.0.2:6881", true),
        ("127.0.0.1:6881", false),
        ("224.0.0.1:6881", false),
        ("10.1.1.1:53", false),
    ] {
        let found = !Scene::names(near, &[at(address, 100)]).is_empty();
        assert_value(&format!("{address}, named by a near node, is asked"), found, asked, CLAUSE);
    }
}

#[test]
fn an_ipv4_address_in_the_form_of_ipv6_is_not_asked() {
    let by = at("[2001:db8::1]:6881", 150);
    let mut lookup = Lookup::new(Goal::Peers(HASH), OURS, false);
    lookup.start_from(by);
    let now = Instant::now();
    let ask = lookup.next(now).expect("the first");
    let nodes = vec![
        at("[::ffff:60.0.0.1]:6881", 100),
        at("[ff15::1]:6881", 101),
        at("[2001:db8:1::1]:6881", 102),
    ];
    lookup.answer(ask.number, &Response { nodes, ..Response::new(by.id) }, now);
    let asked: Vec<String> =
        std::iter::from_fn(|| lookup.next(now)).map(|ask| ask.to.to_string()).collect();
    assert_value("whom it asks", asked, ["[2001:db8:1::1]:6881"], "BEP 32, lookup");
}

#[test]
fn a_node_with_our_own_id_is_not_asked() {
    let ourselves = Contact { id: OURS, address: "60.0.9.9:6881".parse().expect("an address") };
    let mut scene = Scene::new([ourselves]);
    assert_value("whom it asks", scene.asked(), Vec::<String>::new(), CLAUSE);
    assert!(scene.lookup.is_done());
}

/// Nodes next to the target that do not exist.
fn invented_at_target(count: u8) -> Vec<Contact> {
    let one = |number| Contact {
        id: at_bits(20, number),
        address: SocketAddr::from(([45, 0, number, 1], 6881)),
    };
    (0..count).map(one).collect()
}

#[test]
fn names_of_a_node_whose_names_are_silent_are_held_back() {
    let invented = invented_at_target(8);
    let mut scene = Scene::new((0..12).map(node));
    let asks = scene.asks();
    scene.answer(&asks[0], node(11).id, &invented);
    // One is asked at once; the others only if nobody else waits for a place.
    assert_value("the next", scene.asked(), addresses([invented[0]]), CLAUSE);
    for ask in &asks[1..] {
        let id = (0..12).map(node).find(|it| it.address == ask.to).expect("one of ours").id;
        scene.answer(ask, id, &[]);
    }
    assert_value("the next", scene.asked(), addresses([7, 6, 5].map(node)), CLAUSE);
    // When that one is silent, the others are in grave doubt: honest ones come before them.
    scene.wait(1_000);
    assert_value("the next", scene.asked(), addresses([4, 3, 2, 1].map(node)), CLAUSE);
}

#[test]
fn a_name_that_two_nodes_give_is_in_no_doubt() {
    let invented = invented_at_target(3);
    let mut scene = Scene::new((0..12).map(node));
    let asks = scene.asks();
    scene.answer(&asks[0], node(11).id, &invented);
    scene.answer(&asks[1], node(10).id, &invented[2..]);
    let why = "the first is asked to see whether it answers; two nodes have named the third";
    assert_chosen(
        "the next two",
        scene.asked(),
        addresses([invented[0], invented[2]]),
        why,
        CLAUSE,
    );
}

#[test]
fn a_host_without_an_answer_is_asked_three_times() {
    let mut scene = Scene::from_host("60.0.0.1:6881");
    let mut seconds = Vec::new();
    for second in 0..12 {
        seconds.extend(scene.asks().iter().map(|_| second));
        scene.wait(1_000);
    }
    assert_value("the seconds of the queries", seconds, [0, 1, 2], CLAUSE);
    assert!(scene.lookup.is_done());
    // A late answer to the first query is as good as any.
    let mut scene = Scene::from_host("60.0.0.1:6881");
    let first = scene.asks().remove(0);
    scene.wait(1_500);
    assert_eq!(scene.asks().len(), 1);
    scene.answer(&first, node(0).id, &[node(1)]);
    assert_value("the next", scene.asked(), addresses([node(1)]), CLAUSE);
}

#[test]
fn nobody_to_ask_is_over_at_once() {
    let mut scene = Scene::new([]);
    assert!(scene.asks().is_empty() && scene.lookup.is_done() && scene.lookup.due().is_none());
}

#[test]
fn a_refusal_helps_nobody_and_costs_no_second() {
    let mut scene = Scene::new((0..6).map(node));
    let asks = scene.asks();
    scene.lookup.refuse(asks[0].number, scene.now);
    assert_value("the next", scene.asked(), addresses([node(1)]), CLAUSE);
    assert_value("the nearest", scene.closest(), vec![], CLAUSE);
}

#[test]
fn each_peer_is_told_once_and_not_more_than_a_thousand() {
    let mut scene = Scene::new((0..8).map(node));
    let mut told = 0;
    for (round, ask) in scene.asks().into_iter().enumerate() {
        let peer =
            |number: usize| SocketAddr::from(([70, (number >> 8) as u8, number as u8, 1], 6881));
        let values: Vec<SocketAddr> =
            (0..500).chain(0..10).map(|it| peer(it + 300 * round)).collect();
        let response = Response {
            values,
            ..Response::new((0..8).map(node).find(|it| it.address == ask.to).expect("ours").id)
        };
        scene.lookup.answer(ask.number, &response, scene.now);
        for step in scene.lookup.take_steps() {
            if let Step::Peers { peers, .. } = step {
                told += peers.len();
            }
        }
    }
    assert_value("peers", told, MAX_PEERS, CLAUSE);
}

#[test]
fn a_network_that_names_new_nodes_without_end_is_left() {
    let mut scene = Scene::new([node(0)]);
    let (mut queries, mut next) = (0_u32, 0_u32);
    while !scene.lookup.is_done() {
        let asks = scene.asks();
        assert!(!asks.is_empty(), "a lookup that is not over asks somebody");
        for ask in asks {
            queries += 1;
            // Each answers with the id that it was asked by, and names sixteen still nearer ones.
            let id = named(ask.to).unwrap_or(node(0).id);
            let nodes: Vec<Contact> = (0..16)
                .map(|_| {
                    next += 1;
                    invented(next)
                })
                .collect();
            scene.answer(&ask, id, &nodes);
        }
    }
    assert_value("queries", queries as usize, MAX_QUERIES, CLAUSE);
}

/// A node that is nearer than all with lower numbers, and has its number in its address.
fn invented(number: u32) -> Contact {
    let mut id = [0; 20];
    id[4..8].copy_from_slice(&(u32::MAX - number).to_be_bytes());
    let [_, a, b, c] = number.to_be_bytes();
    Contact { id: NodeId(id), address: SocketAddr::from(([61 + a, b, c, 1], 6881)) }
}

/// The id of such a node.
fn named(address: SocketAddr) -> Option<NodeId> {
    let SocketAddr::V4(v4) = address else { return None };
    let [a, b, c, _] = v4.ip().octets();
    let number = u32::from_be_bytes([0, a.checked_sub(61)?, b, c]);
    Some(invented(number).id)
}

#[test]
fn of_one_answer_sixteen_nodes_are_read() {
    let by = node(0);
    let named: Vec<Contact> = (1..=32).map(invented).collect();
    let asked = Scene::names(by, &named);
    assert_value("how many of 32 names are asked", asked.len(), 16, CLAUSE);
}

#[test]
fn the_tokens_of_the_nearest_are_kept_for_an_announce() {
    let mut scene = Scene::new([node(0)]);
    let ask = scene.asks().remove(0);
    let token = Some(b"secret".to_vec());
    let response = Response { token: token.clone(), ..Response::new(node(0).id) };
    scene.lookup.answer(ask.number, &response, scene.now);
    // The answer to the second question has none.
    let ask = scene.asks().remove(0);
    scene.answer(&ask, node(0).id, &[]);
    assert!(scene.lookup.is_done());
    assert_value("the token", scene.lookup.closest().remove(0).token, token, CLAUSE);
}

/// A node whose id fits its address (BEP 42), wherever that leads.
fn fitting(number: u8) -> Contact {
    let address = SocketAddr::from(([60, 1, number, 1], 6881));
    Contact { id: NodeId::for_ip(address.ip(), [number; 20]), address }
}

/// The addresses that an announce goes to, after a lookup in which these nodes have answered. The
/// farthest of the first names the others.
fn keepers(first: Vec<Contact>, others: &[Contact]) -> Vec<String> {
    let mut scene = Scene::new(first.clone());
    let farthest = first.iter().max_by_key(|it| it.id.distance(NodeId(HASH.0))).copied();
    loop {
        let asks = scene.asks();
        if asks.is_empty() {
            return addresses(scene.lookup.keepers().into_iter().map(|it| it.contact));
        }
        for ask in asks {
            let is_asked = |it: &&Contact| it.address == ask.to;
            let node = first.iter().chain(others).find(is_asked).expect("we know it");
            let named = if Some(*node) == farthest { others } else { &[] };
            scene.answer(&ask, node.id, named);
        }
    }
}

#[test]
fn an_announce_also_goes_to_eight_nodes_that_have_not_chosen_their_ids() {
    let clause = "BEP 42, ids tied to addresses";
    let far: Vec<Contact> = (1..=8).map(fitting).collect();
    let near: Vec<Contact> = (1..=8).rev().map(node).collect();
    let told = keepers(far.clone(), &near);
    assert_value("the nearest", told[..8].to_vec(), addresses(near), clause);
    let (mut others, mut expected) = (told[8..].to_vec(), addresses(far));
    others.sort();
    expected.sort();
    assert_value("those whose ids fit their addresses", others, expected, clause);
    // Without such nodes it is the eight, and near us every id fits.
    let nine = (1..=9).map(node).collect();
    assert_value("of nine with chosen ids", keepers(nine, &[]).len(), 8, clause);
    let nine = (1..=9).map(|number| at(&format!("127.0.0.{number}:6881"), 100 + number)).collect();
    assert_value("of nine on this computer", keepers(nine, &[]).len(), 8, clause);
}

#[test]
fn a_search_for_nodes_asks_for_nodes() {
    let target = NodeId([0; 20]);
    let mut lookup = Lookup::new(Goal::Nodes(target), OURS, true);
    lookup.start_from(node(0));
    let ask = lookup.next(Instant::now()).expect("it knows one");
    assert!(
        matches!(ask.query, Query::FindNode { target: asked, .. } if asked == target),
        "{ask:?}"
    );
}
