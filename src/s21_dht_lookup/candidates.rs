//! The nodes that a lookup knows, nearest first, and which of them is worth asking.
//!
//! Every name comes from a stranger. What a liar can do, and what stops it:
//!
//! | a node | what it is for | what stops it |
//! |---|---|---|
//! | invents nodes next to the target | the lookup waits for them, a second each | one is asked first; if that is silent, the others are asked last |
//! | names a thousand nodes | memory, and queries to a victim | 16 of an answer are taken, and 64 wait |
//! | names one computer under many ids | many votes for one computer | a computer that has answered is not asked again |
//! | names an honest node under a wrong id | the honest node is dropped | only that name is dropped; a computer may have three |
//! | names a router, or a port of a service | our datagrams knock there | [`refusal`], as for peers (stage 3) |
//! | answers with an id near the target | it becomes one of the eight | the id must be the one that it was named by |
//!
//! What comes of a name:
//! ```text
//!               asked           it answers
//!        New ----------> Asked ------------> Answered      may be one of the eight
//!                          |  \                 ^
//!              1 s, or a   |   \ another id     | late
//!              refusal     v    v               |
//!                       Silent  Lied    Silent -+
//! ```

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::krpc::{Contact, Response, is_one_host};
use super::node_id::{Distance, NodeId};
use super::steps::{LookupCounts, Node};
use super::{K, Neighbor};
use crate::s03_tracker::reach::{NamedBy, Reach, refusal};

/// The most nodes that are taken from one answer.
const MAX_NAMED: usize = 2 * K;
/// The most nodes that wait to be asked. Those farthest from the target go first.
const MAX_NEW: usize = 64;
/// The most names for one computer.
const MAX_NAMES: usize = 3;

/// How much a name is in doubt. The more, the later it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    /// Several nodes have named it, or we knew it ourselves. Or only one node has named it, and of
    /// the other names by that node one has answered, or none was asked.
    None,
    /// Another name by the same node has been asked, and has not answered yet.
    Open,
    /// No other name by the same node has answered, and one has been silent.
    Grave,
}

/// What has come of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has not been asked.
    New,
    /// It has been asked a moment ago.
    Asked,
    /// It has answered.
    Answered,
    /// It has refused, or not answered for a second. It may still answer.
    Silent,
    /// It has answered with another id.
    Lied,
}

/// A node that a lookup knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id. A host that the user named has none before it answers.
    pub id: Option<NodeId>,
    /// Its address.
    pub address: SocketAddr,
    /// How far it is from the target.
    pub distance: Option<Distance>,
    /// The node that named it first; `None` if we knew it ourselves.
    pub named_by: Option<SocketAddr>,
    /// Whether another node has named it as well.
    pub is_confirmed: bool,
    /// How many nodes led to it.
    pub hop: u32,
    /// What has come of it.
    pub state: State,
    /// How often it was asked the first question.
    pub tries: u8,
    /// Whether it was asked the second question.
    pub asked_again: bool,
    /// What an announce to it must repeat.
    pub token: Option<Vec<u8>>,
}

impl Candidate {
    fn new(id: Option<NodeId>, address: SocketAddr) -> Candidate {
        Candidate {
            id,
            address,
            distance: None,
            named_by: None,
            is_confirmed: false,
            hop: 0,
            state: State::New,
            tries: 0,
            asked_again: false,
            token: None,
        }
    }

    /// Returns what tells it from others. An address alone does not: somebody may have named an
    /// honest node under a wrong id.
    pub fn key(&self) -> (Option<NodeId>, SocketAddr) {
        (self.id, self.address)
    }

    /// Returns it as a step shows it.
    pub fn node(&self) -> Node {
        Node { address: self.address, id: self.id, bits: self.distance.map(Distance::bits) }
    }

    /// Returns it as a result of the lookup.
    pub fn neighbor(&self) -> Option<Neighbor> {
        let contact = Contact { id: self.id?, address: self.address };
        Some(Neighbor { contact, distance: self.distance?, token: self.token.clone() })
    }
}

/// The nodes that a lookup knows.
#[derive(Debug)]
pub struct Candidates {
    /// What is looked for.
    pub target: NodeId,
    ours: NodeId,
    is_ipv4: bool,
    /// The nearest first; those without an id last.
    known: Vec<Candidate>,
}

impl Candidates {
    /// Makes an empty list.
    pub fn new(target: NodeId, ours: NodeId, is_ipv4: bool) -> Candidates {
        Candidates { target, ours, is_ipv4, known: Vec::new() }
    }

    /// Adds a node whose id is not known.
    pub fn add_host(&mut self, address: SocketAddr) {
        if self.is_possible(address) && !self.known.iter().any(|known| known.address == address) {
            self.known.push(Candidate::new(None, address));
        }
    }

    /// Adds the nodes of an answer, and returns how many of them are new.
    pub fn add_named(&mut self, response: &Response, by: SocketAddr) -> usize {
        let named = response
            .nodes
            .iter()
            .filter(|node| refusal(node.address, NamedBy::Peer(Reach::of(by.ip()))).is_none());
        let named: Vec<Contact> = named.copied().take(MAX_NAMED).collect();
        named.into_iter().filter(|node| self.add(*node, Some(by))).count()
    }

    /// Adds a node, if it may be asked. Returns whether it is new.
    pub fn add(&mut self, contact: Contact, by: Option<SocketAddr>) -> bool {
        let Contact { id, address } = contact;
        // A node that names the same one twice says nothing new.
        if let Some(known) = self.known.iter_mut().find(|known| known.key() == (Some(id), address))
        {
            known.is_confirmed |= known.named_by != by;
            return false;
        }
        if !self.is_possible(address)
            || id == self.ours
            || self.has_answered(address)
            || self.names_of(address).count() >= MAX_NAMES
        {
            return false;
        }
        let mut new = Candidate::new(Some(id), address);
        new.distance = Some(self.target.distance(id));
        new.named_by = by;
        let namer = self.known.iter().find(|known| Some(known.address) == by);
        new.hop = namer.map_or(0, |namer| namer.hop + 1);
        self.insert(new);
        // The farthest is the one that is least likely to be asked at all.
        let is_new = |known: &Candidate| known.state == State::New && known.id.is_some();
        if self.known.iter().filter(|known| is_new(known)).count() > MAX_NEW
            && let Some(last) = self.known.iter().rposition(is_new)
        {
            return self.known.remove(last).key() != (Some(id), address);
        }
        true
    }

    /// Inserts a candidate at its place. The list is short, so moving its end costs less than a
    /// tree would.
    fn insert(&mut self, new: Candidate) {
        let is_nearer = |known: &Candidate| {
            known.distance.is_some_and(|known| new.distance.is_none_or(|new| known <= new))
        };
        let at = self.known.partition_point(is_nearer);
        self.known.insert(at, new);
    }

    /// Whether an address can be a node's at all, on this network.
    fn is_possible(&self, address: SocketAddr) -> bool {
        address.port() != 0 && address.is_ipv4() == self.is_ipv4 && is_one_host(address.ip())
    }

    /// Returns the node to ask next: the nearest that is new and would be one of the eight. Names
    /// in doubt come later, and those in grave doubt only as long as there are no eight.
    pub fn next(&self) -> Option<&Candidate> {
        let new = self.known.iter().filter(|known| {
            known.state == State::New && self.would_be_one_of_eight(known.id) && self.is_free(known)
        });
        // Of those in equal doubt, `min_by_key` returns the first, which is the nearest.
        let next = new.min_by_key(|known| self.doubt(known))?;
        (self.doubt(next) < Doubt::Grave || self.eight().is_none()).then_some(next)
    }

    /// Returns the names of the computer at an address.
    fn names_of(&self, address: SocketAddr) -> impl Iterator<Item = &Candidate> {
        let same = computer(address);
        self.known.iter().filter(move |known| computer(known.address) == same)
    }

    /// Whether a computer has answered, under any of its names.
    fn has_answered(&self, address: SocketAddr) -> bool {
        self.names_of(address).any(|known| known.state == State::Answered)
    }

    /// Whether no name of its computer has answered, or was asked just now.
    fn is_free(&self, candidate: &Candidate) -> bool {
        let is_taken = |known: &Candidate| matches!(known.state, State::Asked | State::Answered);
        !self.names_of(candidate.address).any(is_taken)
    }

    /// Returns how much a name is in doubt. An honest node's names are silent one time in
    /// five, and most nodes near the target are named by several. An invented one is always
    /// silent, and only its author names it.
    fn doubt(&self, candidate: &Candidate) -> Doubt {
        let Some(by) = candidate.named_by.filter(|_| !candidate.is_confirmed) else {
            return Doubt::None;
        };
        let has = |state| {
            self.known.iter().any(|known| known.named_by == Some(by) && known.state == state)
        };
        if has(State::Answered) {
            Doubt::None
        } else if has(State::Silent) {
            Doubt::Grave
        } else if has(State::Asked) {
            Doubt::Open
        } else {
            Doubt::None
        }
    }

    /// Whether a node with this id would be one of the eight, if it answered. One without an id
    /// counts as one only while there are no eight.
    pub fn would_be_one_of_eight(&self, id: Option<NodeId>) -> bool {
        let distance = id.map(|id| self.target.distance(id));
        let eighth = self.eight().and_then(Iterator::last).and_then(|eighth| eighth.distance);
        eighth.is_none_or(|eighth| distance.is_some_and(|distance| distance < eighth))
    }

    /// Returns the nearest nodes that have answered, eight at most. A silent one does not take a
    /// place: it cannot keep a page.
    pub fn closest(&self) -> impl Iterator<Item = &Candidate> {
        self.known.iter().filter(|known| known.state == State::Answered).take(K)
    }

    /// Returns the nodes that an announce should go to, the nearest first: the eight, and if the
    /// ids of some do not fit their addresses (BEP 42), the next that fit, until eight do.
    ///
    /// Liars that choose their ids can be all of the eight, and then nobody hears of our announce.
    /// They cannot be the nodes behind these, whose ids are a matter of luck. To leave out the ids
    /// that do not fit would go too far: many honest nodes have one, and most programs look for us
    /// there.
    pub fn keepers(&self) -> impl Iterator<Item = &Candidate> {
        let answered = self.known.iter().filter(|known| known.state == State::Answered);
        let mut fitting = 0;
        let keepers = answered.enumerate().filter(move |(number, known)| {
            let fits = fitting < K && known.id.is_some_and(|id| id.fits(known.address.ip()));
            fitting += usize::from(fits);
            fits || *number < K
        });
        keepers.map(|(_, known)| known)
    }

    /// Returns the eight, if as many have answered.
    pub fn eight(&self) -> Option<impl Iterator<Item = &Candidate>> {
        (self.closest().count() == K).then(|| self.closest())
    }

    /// Notes that a node is asked now.
    pub fn asked(&mut self, key: (Option<NodeId>, SocketAddr), again: bool) {
        let Some(candidate) = self.find(key) else { return };
        if again {
            candidate.asked_again = true;
        } else {
            candidate.state = State::Asked;
            candidate.tries += 1;
        }
    }

    /// Notes that a node is silent, and returns it. The second question is an extra: a node that
    /// does not answer it stays one of the eight.
    pub fn silent(
        &mut self,
        key: (Option<NodeId>, SocketAddr),
        again: bool,
    ) -> Option<&mut Candidate> {
        let candidate = self.find(key)?;
        if !again {
            candidate.state = State::Silent;
        }
        Some(candidate)
    }

    /// Notes that a node has answered, and returns it. This is how a host gets its id and place.
    pub fn answered(
        &mut self,
        key: (Option<NodeId>, SocketAddr),
        response: &Response,
    ) -> Option<&Candidate> {
        let at = self.known.iter().position(|known| known.key() == key)?;
        let mut candidate = self.known.remove(at);
        // A host that the user or a torrent has named may be ourselves.
        if response.id == self.ours {
            return None;
        }
        if candidate.id.is_some_and(|id| id != response.id) {
            candidate.state = State::Lied;
        // Another name of the same computer has answered while this one was slow.
        } else if !self.has_answered(candidate.address) {
            candidate.state = State::Answered;
        }
        if candidate.state == State::Answered {
            candidate.id = Some(response.id);
            candidate.distance = Some(self.target.distance(response.id));
            candidate.token = response.token.clone().or(candidate.token);
            // A host may have been named by its id in the meantime.
            self.known.retain(|known| known.key() != candidate.key());
        }
        let key = candidate.key();
        self.insert(candidate);
        self.known.iter().find(|known| known.key() == key)
    }

    fn find(&mut self, key: (Option<NodeId>, SocketAddr)) -> Option<&mut Candidate> {
        self.known.iter_mut().find(|known| known.key() == key)
    }

    /// Returns how many nodes have been asked, and how it went.
    pub fn counts(&self) -> LookupCounts {
        let count = |state| self.known.iter().filter(|known| known.state == state).count();
        LookupCounts {
            asked: self.known.iter().filter(|known| known.state != State::New).count(),
            answered: count(State::Answered),
            silent: count(State::Silent),
            lied: count(State::Lied),
        }
    }
}

/// Returns what stands for one computer: an IP address, or half of one of IPv6, since the other
/// half is the user's own to choose. Near us each port counts: a lab has a hundred nodes on one
/// machine.
fn computer(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if Reach::of(ip) < Reach::Internet => address,
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, 0),
        IpAddr::V6(ip) => {
            let network = Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64);
            SocketAddr::new(network.into(), 0)
        }
    }
}
