//! A DHT in memory: nodes with the tables that they would have, and a clock that is only counted.
//!
//! An honest node knows up to eight nodes for each number of leading bits that they share with it,
//! as the table of BEP 5 does. It names the eight of them that are nearest to the target. It knows
//! nothing of who is gone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::krpc::{Contact, Query, Response};
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s21_dht_lookup::steps::Step;
use piecemeal::s21_dht_lookup::{Ask, Goal, Lookup};

/// Dice that fall the same way each time: splitmix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    pub fn id(&mut self) -> NodeId {
        let mut id = [0; 20];
        id.iter_mut().for_each(|byte| *byte = self.roll() as u8);
        NodeId(id)
    }
}

/// What a node does when it is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Honest,
    /// It is gone.
    Silent,
    /// It names eight invented nodes next to the target.
    Liar,
}

pub struct SimulatedNode {
    pub id: NodeId,
    pub address: SocketAddr,
    pub manner: Manner,
    table: Vec<usize>,
}

pub struct SimulatedNetwork {
    /// Sorted by id.
    pub nodes: Vec<SimulatedNode>,
    by_address: BTreeMap<SocketAddr, usize>,
    pub dice: Dice,
    /// The peers that the eight nearest know.
    peers: Vec<SocketAddr>,
}

/// What came of a lookup in it.
pub struct Looked {
    /// The queries of each kind.
    pub get_peers: usize,
    pub find_node: usize,
    /// Until it was over, and until the first peer was heard of.
    pub time: Duration,
    pub first_peer: Option<Duration>,
    /// How many of the eight nearest that are alive it has found.
    pub right: usize,
}

impl SimulatedNetwork {
    pub fn new(count: usize, silent: u64, liars: u64, seed: u64) -> SimulatedNetwork {
        let mut dice = Dice(seed);
        let mut ids: Vec<NodeId> = (0..count).map(|_| dice.id()).collect();
        ids.sort_unstable();
        let mut nodes: Vec<SimulatedNode> = Vec::new();
        for (number, id) in ids.iter().enumerate() {
            let manner = match dice.below(100) as u64 {
                roll if roll < silent => Manner::Silent,
                roll if roll < silent + liars => Manner::Liar,
                _ => Manner::Honest,
            };
            let address = address(number);
            nodes.push(SimulatedNode { id: *id, address, manner, table: Vec::new() });
        }
        for (number, node) in nodes.iter_mut().enumerate() {
            node.table = table(&ids, number, &mut dice);
        }
        let by_address =
            nodes.iter().enumerate().map(|(number, node)| (node.address, number)).collect();
        let peers = vec![SocketAddr::from(([198, 51, 100, 7], 6881))];
        SimulatedNetwork { nodes, by_address, dice, peers }
    }

    /// The nearest nodes that are alive.
    pub fn true_eight(&self, target: NodeId) -> Vec<usize> {
        let alive = (0..self.nodes.len()).filter(|at| self.nodes[*at].manner != Manner::Silent);
        let mut alive: Vec<usize> = alive.collect();
        alive.sort_by_key(|at| self.nodes[*at].id.distance(target));
        alive.truncate(8);
        alive
    }

    /// Any node that is alive and honest.
    pub fn somebody(&mut self) -> usize {
        loop {
            let at = self.dice.below(self.nodes.len());
            if self.nodes[at].manner == Manner::Honest {
                return at;
            }
        }
    }

    /// What a node answers; `None` if it does not.
    fn answer(&mut self, ask: &Ask, keepers: &[usize]) -> Option<Response> {
        let at = *self.by_address.get(&ask.to)?;
        let target = match ask.query {
            Query::FindNode { target, .. } => target,
            Query::GetPeers { info_hash, .. } => info_hash.into(),
            _ => return None,
        };
        let node = &self.nodes[at];
        let mut response = Response::new(node.id);
        match node.manner {
            Manner::Silent => return None,
            Manner::Liar => {
                for _ in 0..8 {
                    // The last four bytes are anything; nobody is there.
                    let mut id = target;
                    id.0[16..].copy_from_slice(&self.dice.roll().to_be_bytes()[..4]);
                    let [a, b, c, ..] = self.dice.roll().to_be_bytes();
                    let address = SocketAddr::from(([45, a, b, c], 6881));
                    response.nodes.push(Contact { id, address });
                }
                return Some(response);
            }
            Manner::Honest => {}
        }
        let mut known = node.table.clone();
        known.sort_by_key(|at| self.nodes[*at].id.distance(target));
        let known = known.into_iter().take(8).map(|at| &self.nodes[at]);
        response.nodes = known.map(|it| Contact { id: it.id, address: it.address }).collect();
        if let Query::GetPeers { .. } = ask.query {
            response.token = Some(b"token".to_vec());
            if keepers.contains(&at) {
                response.values.clone_from(&self.peers);
            }
        }
        Some(response)
    }

    /// Looks up the peers of a torrent, from these nodes.
    pub fn look_up(&mut self, info_hash: InfoHash, from: &[usize]) -> Looked {
        let keepers = self.true_eight(info_hash.into());
        let mut lookup = Lookup::new(Goal::Peers(info_hash), NodeId([0xee; 20]), true);
        for at in from {
            lookup.start_from_host(self.nodes[*at].address);
        }
        let begun = Instant::now();
        let (mut now, mut first_peer, mut steps) = (begun, None, Vec::new());
        let (mut get_peers, mut find_node) = (0, 0);
        // When each answer arrives; the number keeps two of the same moment apart.
        let mut coming: BTreeMap<(Instant, usize), Response> = BTreeMap::new();
        for round in 0.. {
            assert!(round < 5_000, "a lookup has to end");
            while let Some(ask) = lookup.next(now) {
                match ask.query {
                    Query::GetPeers { .. } => get_peers += 1,
                    _ => find_node += 1,
                }
                if let Some(response) = self.answer(&ask, &keepers) {
                    let takes = Duration::from_micros(10_000 + self.dice.roll() % 20_000);
                    coming.insert((now + takes, ask.number), response);
                }
            }
            steps.append(&mut lookup.take_steps());
            if first_peer.is_none() && steps.iter().any(|step| matches!(step, Step::Peers { .. })) {
                first_peer = Some(now - begun);
            }
            if lookup.is_done() {
                break;
            }
            let due = lookup.due().expect("a lookup that is not over waits for something");
            match coming.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= due) {
                Some(key) => {
                    let response = coming.remove(&key).expect("it was there");
                    now = key.0;
                    lookup.answer(key.1, &response, now);
                }
                None => now = due,
            }
        }
        let closest = lookup.closest();
        let is_true = |address| keepers.iter().any(|at| self.nodes[*at].address == address);
        Looked {
            get_peers,
            find_node,
            time: now - begun,
            first_peer,
            right: closest.iter().filter(|it| is_true(it.contact.address)).count(),
        }
    }
}

/// An address on the internet for each number, and each at another network.
fn address(number: usize) -> SocketAddr {
    let [_, a, b, c] = (number as u32).to_be_bytes();
    SocketAddr::from(([60 + a, b, c, 1], 6881))
}

/// The nodes that a node knows: for each number of shared leading bits, up to eight.
fn table(ids: &[NodeId], own: usize, dice: &mut Dice) -> Vec<usize> {
    let (mut table, mut range) = (Vec::new(), 0..ids.len());
    for bit in 0..160 {
        if range.len() <= 1 {
            break;
        }
        let is_set = |id: &NodeId| id.0[bit / 8] >> (7 - bit % 8) & 1 == 1;
        let middle = range.start + ids[range.clone()].partition_point(|id| !is_set(id));
        let (low, high) = (range.start..middle, middle..range.end);
        let (same, other) = if is_set(&ids[own]) { (high, low) } else { (low, high) };
        let mut others: Vec<usize> = other.collect();
        while others.len() > 8 {
            others.swap_remove(dice.below(others.len()));
        }
        table.append(&mut others);
        range = same;
    }
    table
}
