//! A made-up network: who is there, whom each knows, and what it answers.
//!
//! No socket and no clock: the rig puts it on loopback (`rig.rs`), the figures of growth run it
//! in virtual time (`growth.rs`).

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;

use piecemeal::s21_dht_lookup::krpc::Contact;
use piecemeal::s21_dht_lookup::node_id::NodeId;

/// The nodes of an answer, and the peers' places of a torrent.
pub const K: usize = 8;
/// The port of all nodes. Each has an address of its own.
pub const PORT: u16 = 6881;
/// How many nodes do not exist, and are named by the liars.
const INVENTED: usize = 400;

/// Random numbers, the same for each seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number (SplitMix64).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn id(&mut self) -> NodeId {
        let mut id = [0; 20];
        id.iter_mut().for_each(|byte| *byte = self.next() as u8);
        NodeId(id)
    }
}

/// What a node is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Answers.
    Honest,
    /// Never answers, and others still have it in their tables.
    Silent,
    /// Answers with nodes that do not exist, all of them very near to what was asked for.
    Liar,
}

/// How many of which kind.
#[derive(Clone, Copy)]
pub struct Mix {
    pub nodes: usize,
    /// In hundredths.
    pub silent: usize,
    /// In hundredths.
    pub liars: usize,
    /// In how many of the tables that a silent node was in it still is, in hundredths.
    pub unnoticed: usize,
    pub seed: u64,
}

impl Mix {
    /// A network of a thousand, in which half of the nodes have noticed who has fallen silent.
    pub const fn thousand(silent: usize, liars: usize, seed: u64) -> Mix {
        Mix { nodes: 1_000, silent, liars, unnoticed: 50, seed }
    }
}

/// The network. Its nodes are sorted by id.
pub struct Network {
    pub contacts: Vec<Contact>,
    pub kinds: Vec<Kind>,
    /// Where liars say that nodes are.
    pub invented: Vec<SocketAddr>,
    tables: Vec<Vec<u32>>,
    places: HashMap<SocketAddr, usize>,
}

impl Network {
    pub fn new(mix: Mix) -> Network {
        let mut dice = Dice::new(mix.seed);
        let mut contacts: Vec<Contact> = (0..mix.nodes)
            .map(|number| Contact { id: dice.id(), address: address(127, 1, number) })
            .collect();
        contacts.sort_by_key(|contact| contact.id);
        let kinds: Vec<Kind> = (0..mix.nodes)
            .map(|_| match dice.below(100) {
                roll if roll < mix.silent => Kind::Silent,
                roll if roll < mix.silent + mix.liars => Kind::Liar,
                _ => Kind::Honest,
            })
            .collect();
        let is_noticed = |place: &u32, dice: &mut Dice| {
            kinds[*place as usize] == Kind::Silent && dice.below(100) >= mix.unnoticed
        };
        let mut tables: Vec<Vec<u32>> =
            contacts.iter().map(|node| table(&contacts, node.id, &mut dice)).collect();
        for known in &mut tables {
            known.retain(|place| !is_noticed(place, &mut dice));
        }
        let places = contacts.iter().map(|contact| contact.address).zip(0..).collect();
        let invented = (0..INVENTED).map(|number| address(127, 101, number)).collect();
        Network { contacts, kinds, invented, tables, places }
    }

    /// Which node has this address.
    pub fn at(&self, address: SocketAddr) -> Option<usize> {
        self.places.get(&address).copied()
    }

    /// What a node answers to the question who is near to a target.
    pub fn answer(&self, node: usize, target: NodeId, dice: &mut Dice) -> Vec<Contact> {
        match self.kinds[node] {
            Kind::Silent => Vec::new(),
            Kind::Liar => (0..K).map(|_| self.invent(target, dice)).collect(),
            Kind::Honest => {
                let known = self.tables[node].iter().map(|place| self.contacts[*place as usize]);
                nearest(known.collect(), target)
            }
        }
    }

    /// The nodes nearest to a target that answer: where its peers belong. A liar may be one of them,
    /// since it has an id like anybody, and takes what it is told.
    pub fn closest(&self, target: NodeId) -> Vec<usize> {
        let alive = self.contacts.iter().zip(&self.kinds).filter(|(_, k)| **k != Kind::Silent);
        let nearest = nearest(alive.map(|(contact, _)| *contact).collect(), target);
        nearest.iter().filter_map(|contact| self.at(contact.address)).collect()
    }

    /// What somebody who is not in the network, but knows it as its nodes do, would ask first.
    pub fn newcomer(&self, own: NodeId, target: NodeId, dice: &mut Dice) -> Vec<Contact> {
        let known = table(&self.contacts, own, dice);
        nearest(known.iter().map(|place| self.contacts[*place as usize]).collect(), target)
    }

    /// Some honest node: a way in.
    pub fn way_in(&self, dice: &mut Dice) -> Contact {
        loop {
            let node = dice.below(self.contacts.len());
            if self.kinds[node] == Kind::Honest {
                return self.contacts[node];
            }
        }
    }

    /// A node that does not exist, nearer to the target than any real one.
    fn invent(&self, target: NodeId, dice: &mut Dice) -> Contact {
        let mut id = target.0;
        id[6..].iter_mut().for_each(|byte| *byte = dice.next() as u8);
        Contact { id: NodeId(id), address: self.invented[dice.below(self.invented.len())] }
    }
}

/// What a node that has long been there has in its table: of each part of the network up to eight
/// nodes, some of which have fallen silent since. The parts get smaller towards its own id: half of
/// the network, a quarter, and so on.
fn table(sorted: &[Contact], own: NodeId, dice: &mut Dice) -> Vec<u32> {
    // The places of all nodes that have the first `bit` bits in common with it.
    let mut near = 0..sorted.len();
    let mut known = Vec::new();
    for bit in 0..160 {
        if near.is_empty() {
            break;
        }
        let is_one = |contact: &Contact| contact.id.0[bit / 8] >> (7 - bit % 8) & 1 == 1;
        let ones = near.start + sorted[near.clone()].partition_point(|contact| !is_one(contact));
        let (zeros, ones) = (near.start..ones, ones..near.end);
        let ours = own.0[bit / 8] >> (7 - bit % 8) & 1 == 1;
        let (same, other) = if ours { (ones, zeros) } else { (zeros, ones) };
        known.extend(some_of(other, dice).into_iter().map(|place| place as u32));
        near = same;
    }
    known
}

/// Eight of these places, or all of them.
fn some_of(places: Range<usize>, dice: &mut Dice) -> Vec<usize> {
    if places.len() <= K {
        return places.collect();
    }
    let mut some = Vec::with_capacity(K);
    while some.len() < K {
        let place = places.start + dice.below(places.len());
        if !some.contains(&place) {
            some.push(place);
        }
    }
    some
}

/// The eight that are nearest to a target, the nearest first.
fn nearest(mut nodes: Vec<Contact>, target: NodeId) -> Vec<Contact> {
    nodes.sort_by_cached_key(|contact| contact.id.distance(target));
    nodes.truncate(K);
    nodes
}

/// The address of a node by its number.
fn address(first: u8, second: u8, number: usize) -> SocketAddr {
    let (high, low) = (number / 250, number % 250);
    (Ipv4Addr::new(first, second + high as u8, (low / 10) as u8, 1 + (low % 10) as u8), PORT).into()
}
