//! Who it is, and whom it names.

use std::time::Duration;

use super::node::{Node, askers};
use crate::actors::bencode::bytes;
use crate::actors::dht::krpc::{closest as the_closest, query, query_read_only};
use crate::actors::dht::{Asked, Contact, FakeNode, Id, K, NodePlan};
use crate::grade::check::Finding;
use crate::grade::dice::Dice;
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it may take until it asks its way in.
const JOINS: Duration = Duration::from_secs(10);

pub fn ping(scene: &mut Scene) -> Finding {
    let mut node = Node::start(scene)?;
    let askers = askers(scene, 1)?;
    for asker in node.dht.clone().nodes.iter().chain(&askers.nodes) {
        node.response(asker, "ping", &[])?;
    }
    Ok(())
}

pub fn transactions(scene: &mut Scene) -> Finding {
    let mut node = Node::start(scene)?;
    let askers = askers(scene, 1)?;
    for length in [1, 2, 4, 8, 16] {
        let Some(asker) = askers.nodes.first() else { continue };
        let mut transaction = scene.dice.bytes(length);
        transaction[0] = *scene.dice.one_of(&[0, 0xff, b'e', b':', b'i']);
        let ping = query(&transaction, "ping", &[("id", bytes(asker.id()))]);
        let reply =
            (0..3).find_map(|_| asker.ask_with(node.address, &ping, &transaction, PATIENCE));
        if reply.is_none() {
            let miss = node.silent("ping");
            let detail = format!("its transaction is {}", hex::encode(&transaction));
            return Err(miss.detail(detail).rather(
                "`t` is any bytes, one or many: repeat them as they are, as text they may be spoilt",
            ));
        }
    }
    Ok(())
}

pub fn joins(scene: &mut Scene) -> Finding {
    let mut node = Node::start(scene)?;
    let id = node.id;
    let way = node.dht.clone();
    let Some(way) = way.nodes.first() else { return Ok(()) };
    let asks = way
        .is_asked(|asked| ["find_node", "get_peers"].contains(&asked.query.method.as_str()), JOINS);
    node.is_alive()?;
    ensure(asks, || {
        Miss::new("the node of --dht-bootstrap was not asked for nodes").likely(
            "to find its neighbors, a new node looks for its own id: find_node with it as target",
        )
    })?;
    let others = |asked: &Asked| asked.query.id() != Some(id);
    ensure(!way.queries().iter().any(others), || {
        Miss::new("a query has another id than the one that was printed")
            .likely("a node has one id: the one that it prints is in all that it says")
    })
}

/// Returns ids in both halves of the space, so that no bucket of the table has too many.
fn spread(dice: &mut Dice, count: usize) -> Vec<NodePlan> {
    let mut plan = |number: usize| {
        let mut id = dice.twenty();
        id[0] = id[0] & 0x7f | if number.is_multiple_of(2) { 0x80 } else { 0 };
        NodePlan::new(id)
    };
    (0..count).map(&mut plan).collect()
}

/// Asks it for the nodes at a place. A node that knows nobody yet may leave the key out.
fn named(node: &mut Node, asker: &FakeNode, target: Id) -> Result<Vec<Contact>, Miss> {
    let reply = node.response(asker, "find_node", &[("target", bytes(target))])?;
    Ok(reply.nodes().unwrap_or_default())
}

pub fn closest(scene: &mut Scene) -> Finding {
    let plans = spread(&mut scene.dice, 10);
    let count = plans.len();
    let plans = (0..)
        .zip(plans)
        .map(|(number, plan)| plan.knowing((0..count).filter(|one| *one != number)));
    let mut node = Node::among(scene, plans)?;
    let dht = node.dht.clone();
    let all: Vec<Contact> = dht.nodes.iter().map(FakeNode::contact).collect();
    // All ask it, so that it hears of those that its way in has not named.
    for asker in &dht.nodes {
        node.response(asker, "ping", &[])?;
    }
    for number in 0..4 {
        let target = scene.dice.twenty();
        let asker = &dht.nodes[number];
        // Whether whoever asks is among those named is free.
        let others: Vec<Contact> = all.iter().filter(|one| one.id != asker.id()).copied().collect();
        let expected = the_closest(&others, &target, K - 1);
        node.until(|node| {
            let mut found = named(node, asker, target)?;
            found.retain(|one| one.id != asker.id());
            let missing = expected.iter().find(|one| !found.contains(one));
            Ok(match missing {
                None if found.len() <= K => Ok(()),
                None => Err(Miss::new(format!("find_node names {} nodes", found.len()))
                    .instead("eight at most", found.len())),
                Some(missing) => Err(not_named(missing, &found, &target)),
            })
        })?;
    }
    Ok(())
}

/// Says that one of the closest is missing.
fn not_named(missing: &Contact, found: &[Contact], target: &Id) -> Miss {
    let show = |id: &Id| format!("{}…", hex::encode(&id[..4]));
    let names: Vec<String> = found.iter().map(|one| show(&one.id)).collect();
    Miss::new(format!("find_node for {} leaves out one of the closest", show(target)))
        .instead(
            format!("{} at {}", show(&missing.id), missing.address),
            if names.is_empty() { "no nodes".to_owned() } else { names.join(" ") },
        )
        .likely("whoever has answered you belongs into the table: ping those that ask you, and name the eight that are closest by XOR")
}

/// Insists that a good node is named, and this one is not.
fn names_but(node: &mut Node, good: &FakeNode, other: &FakeNode, cause: &str) -> Finding {
    let asker = node.dht.clone();
    let Some(asker) = asker.nodes.first() else { return Ok(()) };
    node.until(|node| {
        let is_there = named(node, asker, good.id())?.contains(&good.contact());
        Ok(ensure(is_there, || {
            Miss::new("a node that asked, and answers, is not named")
                .likely("ping those that ask you: whoever answers belongs into the table")
        }))
    })?;
    // The other one has asked before the good one did.
    let found = named(node, asker, other.id())?;
    ensure(found.iter().all(|one| one.address != other.address()), || {
        Miss::new(format!("it names {}, and should not", other.address())).likely(cause)
    })
}

pub fn read_only(scene: &mut Scene) -> Finding {
    let mut node = Node::start(scene)?;
    let plans = spread(&mut scene.dice, 2);
    let both = scene.dht(plans)?;
    let [reader, good] = &both.nodes[..] else { return Ok(()) };
    for (number, method) in (0_u8..).zip(["ping", "find_node", "get_peers"]) {
        let target = scene.dice.twenty();
        let mut arguments = vec![("id", bytes(reader.id()))];
        match method {
            "find_node" => arguments.push(("target", bytes(target))),
            "get_peers" => arguments.push(("info_hash", bytes(target))),
            _ => {}
        }
        let transaction = [b'r', number];
        let asked = query_read_only(&transaction, method, &arguments);
        let reply =
            (0..3).find_map(|_| reader.ask_with(node.address, &asked, &transaction, PATIENCE));
        if reply.is_none() {
            return Err(node.silent(method).detail("it came with `ro` 1").rather(
                "whoever is read-only is answered like any other, and only not put into the table",
            ));
        }
    }
    node.response(good, "ping", &[])?;
    names_but(
        &mut node,
        good,
        reader,
        "`ro` is 1 in its queries: it answers nobody, so nobody has to hear of it",
    )
}

pub fn mute(scene: &mut Scene) -> Finding {
    let mut node = Node::start(scene)?;
    let mut plans = spread(&mut scene.dice, 2);
    plans[0].says = Vec::new();
    let both = scene.dht(plans)?;
    let [mute, good] = &both.nodes[..] else { return Ok(()) };
    for _ in 0..2 {
        node.response(mute, "ping", &[])?;
    }
    node.response(good, "ping", &[])?;
    names_but(
        &mut node,
        good,
        mute,
        "it has asked, and has never answered: a query alone proves nothing",
    )
}
