//! Swarms for a lookup: nodes at chosen distances from an info hash, and who knows whom.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::actors::dht::krpc::{at_distance, distance};
use crate::actors::dht::{FakeDht, Id, NodePlan};
use crate::grade::check::Finding;
use crate::grade::checks::trackers;
use crate::grade::dice::Dice;
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

/// A run of `dht_peers` in a swarm.
pub struct Ran {
    pub dht: Arc<FakeDht>,
    pub outcome: Outcome,
}

/// Returns a node whose distance from a place has this many bits.
pub fn node(dice: &mut Dice, target: &Id, bits: usize) -> NodePlan {
    NodePlan::new(at_distance(target, bits, &dice.twenty()))
}

/// Returns nodes anywhere, the closest to a place first.
pub fn anywhere(dice: &mut Dice, target: &Id, count: usize) -> Vec<NodePlan> {
    let mut ids: Vec<Id> = (0..count).map(|_| dice.twenty()).collect();
    ids.sort_by_key(|id| distance(id, target));
    ids.into_iter().map(NodePlan::new).collect()
}

/// Has each node know every other.
pub fn all_know_all(plans: Vec<NodePlan>) -> Vec<NodePlan> {
    let count = plans.len();
    let others = |number| (0..count).filter(move |other| *other != number);
    (0..).zip(plans).map(|(number, plan)| plan.knowing(others(number))).collect()
}

/// Has each node know few others, as nodes in a large swarm do: of those that share as many bits
/// with it, two at most.
pub fn each_knows_few(plans: Vec<NodePlan>) -> Vec<NodePlan> {
    let ids: Vec<Id> = plans.iter().map(|plan| plan.id).collect();
    let few = |own: &Id| {
        let mut buckets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        // Each begins to look at another place, or all would know the same ones.
        let start = usize::from(own[19]);
        for other in (0..ids.len()).map(|step| (start + step) % ids.len()) {
            let bits = crate::actors::dht::krpc::bits(&distance(own, &ids[other]));
            let bucket = buckets.entry(bits).or_default();
            if bits > 0 && bucket.len() < 2 {
                bucket.push(other);
            }
        }
        buckets.into_values().flatten()
    };
    plans
        .into_iter()
        .map(|plan| {
            let known = few(&plan.id);
            plan.knowing(known)
        })
        .collect()
}

/// The same; but the nodes that are closest know each other, as neighbors do.
pub fn neighbors_know_all(plans: Vec<NodePlan>, neighbors: usize) -> Vec<NodePlan> {
    let mut plans = each_knows_few(plans);
    for (number, plan) in (0..neighbors).zip(&mut plans) {
        plan.knows.extend((0..neighbors).filter(|other| *other != number));
        plan.knows.sort_unstable();
        plan.knows.dedup();
    }
    plans
}

/// Runs `dht_peers` for what is to be looked up, by these ways in; one of them must be asked.
pub fn look_up(
    scene: &mut Scene,
    what: &str,
    plans: Vec<NodePlan>,
    ways: &[usize],
) -> Result<Ran, Miss> {
    let dht = scene.dht(plans)?;
    let mut words = vec!["dht_peers".to_owned()];
    for way in ways {
        words.extend(["--dht-bootstrap".to_owned(), dht.address(*way).to_string()]);
    }
    words.push(what.to_owned());
    let outcome = scene.run(&words)?;
    let ran = Ran { dht, outcome };
    ensure(!ran.dht.queries().is_empty(), || {
        ran.outcome.with_last_words(Miss::new("no node has got a query"))
    })?;
    Ok(ran)
}

impl Ran {
    /// Insists on these peers on stdout.
    pub fn prints(&self, peers: &[SocketAddr]) -> Finding {
        trackers::prints(&self.outcome, peers)
    }

    /// Returns how often each node was asked for peers.
    pub fn get_peers(&self) -> Vec<usize> {
        self.dht.nodes.iter().map(|node| node.queries_of("get_peers").len()).collect()
    }
}
