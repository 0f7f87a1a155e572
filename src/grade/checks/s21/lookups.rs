//! `dht_peers INFOHASH`: a lookup from node to node, each closer than the one before.

use std::net::{Ipv4Addr, SocketAddr};

use super::swarm::{
    Ran, all_know_all, anywhere, each_knows_few, look_up, neighbors_know_all, node,
};
use crate::actors::dht::krpc::at_distance;
use crate::actors::dht::{Answer, Contact, FakeNode, Id, K, NodePlan};
use crate::grade::check::Finding;
use crate::grade::checks::trackers::peers;
use crate::grade::hints::krpc;
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

/// A swarm of which a lookup needs a small part, and the most queries that it may take.
const MANY: usize = 60;
const MAX_QUERIES: usize = 45;
/// How long a lookup may take in which some nodes are silent.
const PATIENCE: u64 = 16;
/// The most queries that an address may get that has a hundred ids and says nothing.
const MAX_TRIES: usize = 8;

/// How a lookup goes on, and when it is over.
const CLOSEST_FIRST: &str = "ask the closest first, and end when the eight closest that you know of \
                             have answered";

/// Returns an info hash, and a few peers.
fn wanted(scene: &mut Scene) -> (Id, Vec<SocketAddr>) {
    let count = scene.dice.length(2, 5);
    (scene.dice.twenty(), peers(&mut scene.dice, count))
}

/// Runs it from the last node of the list, which is the farthest one.
fn from_the_last(scene: &mut Scene, target: &Id, plans: Vec<NodePlan>) -> Result<Ran, Miss> {
    let last = plans.len().saturating_sub(1);
    look_up(scene, &hex::encode(target), plans, &[last])
}

pub fn one(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    let plan = node(&mut scene.dice, &target, 158).having(target, &there);
    let ran = from_the_last(scene, &target, vec![plan])?;
    let asked = ran.dht.queries();
    let names = |id: Option<Id>| id == Some(target);
    ensure(asked.iter().any(|(_, asked)| names(asked.query.target())), || {
        let query = asked.last().map(|(_, asked)| krpc::shown(&asked.query.bytes));
        Miss::new("no query has the info hash").instead(
            format!("info_hash, 20 bytes: {}", hex::encode(target)),
            query.unwrap_or_default(),
        )
    })?;
    ran.prints(&there)
        .map_err(|miss| miss.perhaps("`values` is a list of strings, each with a peer in 6 bytes"))
}

pub fn hops(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    let bits = [20, 60, 90, 120, 150, 159];
    let mut one = |(number, bits): (usize, usize)| {
        node(&mut scene.dice, &target, bits).knowing(number.checked_sub(1))
    };
    let mut plans: Vec<NodePlan> = (0..).zip(bits).map(&mut one).collect();
    plans[0].peers.insert(target, there.clone());
    let ran = from_the_last(scene, &target, plans)?;
    let reached = ran.get_peers().iter().filter(|count| **count > 0).count();
    ran.prints(&there).map_err(|miss| {
        let miss = miss.detail(format!("of six nodes in a row, {reached} were asked for peers"));
        miss.perhaps("whoever has no peers names nodes that are closer: ask those, and go on")
    })
}

pub fn closest(scene: &mut Scene) -> Finding {
    let target = scene.dice.twenty();
    let there = peers(&mut scene.dice, K);
    let mut plans = anywhere(&mut scene.dice, &target, MANY);
    for (plan, peer) in plans.iter_mut().zip(&there) {
        plan.peers.insert(target, vec![*peer]);
    }
    let ran = from_the_last(scene, &target, neighbors_know_all(plans, K + 2))?;
    let asked = ran.get_peers();
    let missed: Vec<String> = (1..)
        .zip(asked.iter().take(K))
        .filter(|(_, count)| **count == 0)
        .map(|(place, _)| format!("{place}"))
        .collect();
    ensure(missed.is_empty(), || {
        let found = format!("not asked: those at place {}", missed.join(", "));
        Miss::new("not all of the eight closest nodes were asked for peers")
            .instead("get_peers to each of the eight", found)
            .likely("a peer announces itself to the eight closest: go on until those that are closest have all answered")
    })?;
    ran.prints(&there).map_err(|miss| miss.perhaps("each node may have other peers: print all"))
}

pub fn few(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    let mut plans = anywhere(&mut scene.dice, &target, MANY);
    plans[0].peers.insert(target, there.clone());
    scene.within(PATIENCE);
    let ran = from_the_last(scene, &target, each_knows_few(plans))?;
    let asked = ran.get_peers();
    let (most, total) =
        (asked.iter().max().copied().unwrap_or_default(), asked.iter().sum::<usize>());
    // One query may have been lost, for all that a client knows, and come twice.
    ensure(most <= 2, || {
        Miss::new(format!("one node was asked for peers {most} times"))
            .instead("once", format!("{most} times"))
            .likely("many nodes name the same ones: remember which you have asked")
    })?;
    ensure(total <= MAX_QUERIES, || {
        Miss::new(format!("{total} queries in a swarm of {MANY} nodes"))
            .instead(format!("{MAX_QUERIES} at most"), total)
            .likely(CLOSEST_FIRST)
    })?;
    ran.prints(&there).map_err(|miss| miss.perhaps(CLOSEST_FIRST))
}

pub fn silent(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    let mut plans = anywhere(&mut scene.dice, &target, 20);
    for number in [0, 1, 3, 4, 6, 7] {
        plans[number].says = Vec::new();
    }
    plans[2].peers.insert(target, there.clone());
    scene.within(PATIENCE);
    let ran = from_the_last(scene, &target, all_know_all(plans))?;
    ran.prints(&there).map_err(|miss| {
        let miss = miss.detail("six of the eight closest nodes are silent");
        miss.perhaps("wait a second or two for a node, not more, and ask several at once")
    })
}

pub fn both(scene: &mut Scene) -> Finding {
    let target = scene.dice.twenty();
    let there = peers(&mut scene.dice, 2);
    // The farther node has a peer, and knows the closer one, which has another.
    let near = node(&mut scene.dice, &target, 40).having(target, &there[..1]);
    let far = node(&mut scene.dice, &target, 150).having(target, &there[1..]).knowing([0]);
    let ran = from_the_last(scene, &target, vec![near, far])?;
    ran.prints(&there).map_err(|miss| {
        miss.perhaps(
            "an answer may have `values` and `nodes`: take both, and go on after the first peers",
        )
    })
}

pub fn once(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    let mut plans = anywhere(&mut scene.dice, &target, 6);
    for plan in &mut plans {
        plan.peers.insert(target, [&there[..], &there[..1]].concat());
    }
    let ran = from_the_last(scene, &target, all_know_all(plans))?;
    ran.prints(&there).map_err(|miss| {
        let cause = "the same peer is at several nodes: print it when you hear of it first";
        if miss.what.contains("too many") { miss.rather(cause) } else { miss }
    })
}

pub fn odd(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    let good = node(&mut scene.dice, &target, 40).having(target, &there);
    let wrong = [Answer::OddNodes, Answer::OddValues, Answer::Good];
    let mut plans = vec![good];
    for (number, answer) in (1..).zip(wrong) {
        let plan = node(&mut scene.dice, &target, 100 + 10 * number);
        plans.push(plan.saying([answer]).knowing([0]));
    }
    let last = plans.len() - 1;
    plans[last].knows = (0..last).collect();
    let ran = from_the_last(scene, &target, plans)?;
    ran.prints(&there).map_err(|miss| {
        let miss = miss.detail(
            "one node says a byte too many in `nodes`, and one values of 0, 5, 7 and 17 bytes",
        );
        miss.perhaps(
            "a node has 26 bytes, and a peer 6 (18 with IPv6): leave out what has another length",
        )
    })
}

pub fn nowhere(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    // At 127.0.0.1: that is where 0.0.0.0 leads to.
    let trap = FakeNode::start(node(&mut scene.dice, &target, 12))
        .map_err(|error| Miss::new(format!("the grader has no port: {error}")))?;
    let id = |scene: &mut Scene| at_distance(&target, 16, &scene.dice.twenty());
    let any = Ipv4Addr::UNSPECIFIED;
    let liars = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::from((any, trap.address().port())),
        SocketAddr::from((any, 0)),
        SocketAddr::from((Ipv4Addr::BROADCAST, trap.address().port())),
    ];
    let named: Vec<Contact> =
        liars.iter().map(|address| Contact { id: id(scene), address: *address }).collect();
    let good = node(&mut scene.dice, &target, 100).having(target, &there);
    let mut plans = vec![good];
    let mut liar = node(&mut scene.dice, &target, 150).knowing([0]);
    liar.believes = named;
    plans.push(liar);
    let ran = from_the_last(scene, &target, plans)?;
    let cause = "a node at port 0, at 0.0.0.0 or at 255.255.255.255 is none: leave it out";
    ensure(trap.queries().is_empty(), || {
        Miss::new("a node was asked at the address 0.0.0.0, which means this very computer")
            .likely(cause)
    })?;
    ran.prints(&there).map_err(|miss| miss.rather(cause))
}

pub fn crowd(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    let trap = node(&mut scene.dice, &target, 14).silent();
    let trap = scene.dht([trap])?;
    let address = trap.address(0);
    let mut id = || at_distance(&target, 16, &scene.dice.twenty());
    let named: Vec<Contact> = (0..100).map(|_| Contact { id: id(), address }).collect();
    let good = node(&mut scene.dice, &target, 100).having(target, &there);
    let liar = node(&mut scene.dice, &target, 120).saying([Answer::Names(named)]);
    let first = node(&mut scene.dice, &target, 150).knowing([0, 1]);
    scene.within(PATIENCE);
    let ran = from_the_last(scene, &target, vec![good, liar, first])?;
    let tries = trap.queries().len();
    let cause = "whoever lies can invent any number of ids: ask each address once, whatever ids it is said to have";
    ensure(tries <= MAX_TRIES, || {
        Miss::new(format!("one address was asked {tries} times"))
            .instead(format!("{MAX_TRIES} times at most"), tries)
            .likely(cause)
    })?;
    ran.prints(&there).map_err(|miss| miss.perhaps(cause))
}

pub fn magnet(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    let plan = node(&mut scene.dice, &target, 158).having(target, &there);
    let name = scene.dice.word(6);
    let link = format!("magnet:?xt=urn:btih:{}&dn={name}", hex::encode(target));
    let cause = "the info hash is at xt, behind urn:btih:";
    let ran = look_up(scene, &link, vec![plan], &[0]).map_err(|miss| miss.perhaps(cause))?;
    ran.prints(&there).map_err(|miss| miss.perhaps(cause))
}

pub fn ways(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    let silent = node(&mut scene.dice, &target, 150).silent();
    let good = node(&mut scene.dice, &target, 140).having(target, &there);
    scene.within(PATIENCE);
    let ran = look_up(scene, &hex::encode(target), vec![silent, good], &[0, 1])?;
    ran.prints(&there).map_err(|miss| {
        miss.perhaps("--dht-bootstrap may come more than once: ask them all at once")
    })
}

pub fn quiet(scene: &mut Scene) -> Finding {
    let (target, there) = wanted(scene);
    let mut plans = anywhere(&mut scene.dice, &target, 10);
    plans[0].peers.insert(target, there.clone());
    let ran = from_the_last(scene, &target, all_know_all(plans))?;
    let announced =
        ran.dht.queries().iter().any(|(_, asked)| asked.query.method == "announce_peer");
    ensure(!announced, || {
        Miss::new("your client has sent announce_peer").likely(
            "a program that only asks has nothing to give: whoever finds it dials for nothing",
        )
    })?;
    ran.prints(&there)
}

pub fn nobody(scene: &mut Scene) -> Finding {
    let target = scene.dice.twenty();
    let plans = anywhere(&mut scene.dice, &target, 10);
    from_the_last(scene, &target, all_know_all(plans))?
        .outcome
        .refuses_silently()
        .map_err(|miss| miss.perhaps("when nobody closer is named, the lookup is over"))
}
