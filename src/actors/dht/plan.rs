//! The behavior of a node: what it knows, and what is wrong with what it says.
//!
//! There is no socket and no clock in here: a query leads to datagrams, each with its delay.

use super::super::bencode::{bytes, int, list};
use super::super::torrent::sha1;
use super::krpc::{self, Contact, Id, Query};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The most nodes that a good node names.
pub const K: usize = 8;

/// The most peers of one info hash that are kept.
const MAX_PEERS: usize = 2_000;

/// One datagram that a node sends when it is asked: the right answer, or one with a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The right one.
    Good,
    /// The right one, this much later.
    Late(Duration),
    /// With another transaction, and with the plan's decoys.
    OtherTransaction,
    /// Right but for the decoys, from another port: a stranger that guesses.
    Forged,
    /// An error with this code and text.
    Error(i64, String),
    /// These bytes.
    Raw(Vec<u8>),
    /// The first bytes of the right one.
    Cut(usize),
    /// The right one, with another id in each answer.
    NewId,
    /// The right one without an id.
    NoId,
    /// An id of 19 bytes.
    ShortId,
    /// The right one without a token.
    NoToken,
    /// The right one, with a byte too many in `nodes`.
    OddNodes,
    /// The right one, behind values of 0, 5, 7 and 17 bytes, and an integer.
    OddValues,
    /// These nodes in place of those that are known: a liar. Addresses of any kind, any number.
    Names(Vec<Contact>),
}

/// A node, to be altered.
#[derive(Debug, Clone)]
pub struct NodePlan {
    /// Its id.
    pub id: Id,
    /// Where it listens; the port is the system's.
    pub address: IpAddr,
    /// The nodes of the same swarm that it knows, by their numbers.
    pub knows: Vec<usize>,
    /// What else it takes for nodes.
    pub believes: Vec<Contact>,
    /// The peers that it has for an info hash.
    pub peers: BTreeMap<Id, Vec<SocketAddr>>,
    /// What it sends for each query, in this order. Nothing at all: a silent node.
    pub says: Vec<Answer>,
    /// Only this many queries are answered; then it is silent.
    pub answers: usize,
    /// The peers that false answers name in place of the right ones.
    pub decoys: Vec<SocketAddr>,
    /// Whether it names nodes also if it has peers. Real nodes do; BEP 5 alone says *or*.
    pub names_both: bool,
}

impl NodePlan {
    /// A good node at 127.0.0.1 that knows nobody.
    pub fn new(id: Id) -> NodePlan {
        NodePlan {
            id,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            knows: Vec::new(),
            believes: Vec::new(),
            peers: BTreeMap::new(),
            says: vec![Answer::Good],
            answers: usize::MAX,
            decoys: Vec::new(),
            names_both: true,
        }
    }

    /// The same, that knows these.
    pub fn knowing(self, knows: impl IntoIterator<Item = usize>) -> NodePlan {
        NodePlan { knows: knows.into_iter().collect(), ..self }
    }

    /// The same, that has these peers for an info hash.
    pub fn having(mut self, info_hash: Id, peers: &[SocketAddr]) -> NodePlan {
        self.peers.insert(info_hash, peers.to_vec());
        self
    }

    /// The same, that sends this for each query.
    pub fn saying(self, says: impl IntoIterator<Item = Answer>) -> NodePlan {
        NodePlan { says: says.into_iter().collect(), ..self }
    }

    /// The same, that says nothing.
    pub fn silent(self) -> NodePlan {
        self.saying([])
    }
}

/// A datagram that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sends {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// How long after the query.
    pub after: Duration,
    /// Whether it is sent from another port.
    pub forged: bool,
}

/// What a node knows and says.
#[derive(Debug)]
pub struct Mind {
    plan: NodePlan,
    /// All that it names, the nodes of its swarm included.
    contacts: Vec<Contact>,
    /// The queries that came.
    asked: usize,
}

impl Mind {
    /// The mind of a node that knows these.
    pub fn new(plan: NodePlan, contacts: Vec<Contact>) -> Mind {
        Mind { plan, contacts, asked: 0 }
    }

    /// The node's id.
    pub fn id(&self) -> Id {
        self.plan.id
    }

    /// The token for whoever asks from this address.
    pub fn token(&self, ip: IpAddr) -> Vec<u8> {
        sha1(&[&self.plan.id[..], ip.to_string().as_bytes()].concat())[..6].to_vec()
    }

    /// What a query leads to. An announcement with the right token is remembered.
    pub fn answers(&mut self, query: &Query, from: SocketAddr) -> Vec<Sends> {
        self.asked += 1;
        if self.asked > self.plan.answers {
            return Vec::new();
        }
        self.remember(query, from);
        self.plan.says.iter().map(|answer| self.answer(answer, query, from)).collect()
    }

    fn remember(&mut self, query: &Query, from: SocketAddr) {
        if query.method != "announce_peer" || self.refusal(query, from).is_some() {
            return;
        }
        if let (Some(info_hash), Some(peer)) = (query.target(), announced(query, from)) {
            let peers = self.plan.peers.entry(info_hash).or_default();
            if peers.len() < MAX_PEERS && !peers.contains(&peer) {
                peers.push(peer);
            }
        }
    }

    fn answer(&self, answer: &Answer, query: &Query, from: SocketAddr) -> Sends {
        let right = || self.reply(answer, query, from);
        let bytes = match answer {
            Answer::Error(code, text) => krpc::error(&query.transaction, *code, text),
            Answer::Raw(bytes) => bytes.clone(),
            Answer::Cut(length) => {
                let mut bytes = right();
                bytes.truncate(*length);
                bytes
            }
            _ => right(),
        };
        let after = if let Answer::Late(time) = answer { *time } else { Duration::ZERO };
        Sends { bytes, after, forged: *answer == Answer::Forged }
    }

    /// The error that a good node answers with, if the query deserves one.
    fn refusal(&self, query: &Query, from: SocketAddr) -> Option<(i64, &'static str)> {
        let token = query.argument("token").and_then(krpc::string);
        match query.method.as_str() {
            _ if query.id().is_none() => Some((krpc::PROTOCOL, "an id has 20 bytes")),
            "ping" => None,
            "find_node" | "get_peers" | "announce_peer" if query.target().is_none() => {
                Some((krpc::PROTOCOL, "a target has 20 bytes"))
            }
            "announce_peer" if token != Some(&self.token(from.ip())[..]) => {
                Some((krpc::PROTOCOL, "the token is wrong"))
            }
            "announce_peer" if announced(query, from).is_none() => {
                Some((krpc::PROTOCOL, "the port is wrong"))
            }
            "find_node" | "get_peers" | "announce_peer" => None,
            _ => Some((krpc::UNKNOWN_METHOD, "this method is unknown")),
        }
    }

    /// The response to a query, or the error, with the fault of this answer.
    fn reply(&self, answer: &Answer, query: &Query, from: SocketAddr) -> Vec<u8> {
        let mut transaction = query.transaction.clone();
        let is_false = matches!(answer, Answer::OtherTransaction | Answer::Forged);
        if *answer == Answer::OtherTransaction {
            transaction.iter_mut().for_each(|byte| *byte = !*byte);
        }
        if let Some((code, text)) = self.refusal(query, from) {
            return krpc::error(&transaction, code, text);
        }
        let mut id = self.plan.id;
        if is_false {
            id.iter_mut().for_each(|byte| *byte = !*byte);
        } else if *answer == Answer::NewId {
            id = sha1(&[&id[..], &self.asked.to_be_bytes()].concat());
        }
        let mut values = match answer {
            Answer::NoId => Vec::new(),
            Answer::ShortId => vec![("id", bytes(&id[..19]))],
            _ => vec![("id", bytes(id))],
        };
        if let Some(target) = query.target().filter(|_| query.method != "announce_peer") {
            values.extend(self.found(answer, query, from, &target, is_false));
        }
        krpc::response(&transaction, &values)
    }

    /// What is known about a place: nodes, and if peers are asked for those, and a token.
    fn found(
        &self,
        answer: &Answer,
        query: &Query,
        from: SocketAddr,
        target: &Id,
        is_false: bool,
    ) -> Vec<(&'static str, Vec<u8>)> {
        let mut found = Vec::new();
        let mut peers: Vec<Vec<u8>> = Vec::new();
        if query.method == "get_peers" {
            let known =
                if is_false { Some(&self.plan.decoys) } else { self.plan.peers.get(target) };
            peers = known.into_iter().flatten().map(|peer| bytes(krpc::compact(*peer))).collect();
            if *answer == Answer::OddValues {
                let odd = [0, 5, 7, 17].map(|length| bytes(vec![7; length]));
                peers.splice(0..0, [&odd[..], &[int(7)]].concat());
            }
            if *answer != Answer::NoToken {
                found.push(("token", bytes(self.token(from.ip()))));
            }
        }
        if peers.is_empty() || self.plan.names_both {
            for (key, v6) in [("nodes", false), ("nodes6", true)] {
                if query.wants(v6, from) {
                    found.push((key, bytes(self.named(answer, target, v6))));
                }
            }
        }
        if !peers.is_empty() {
            found.push(("values", list(&peers)));
        }
        found
    }

    /// The nodes of one family that are named.
    fn named(&self, answer: &Answer, target: &Id, v6: bool) -> Vec<u8> {
        let family = |contact: &&Contact| contact.address.is_ipv6() == v6;
        let known: Vec<Contact> = self.contacts.iter().filter(family).copied().collect();
        let mut nodes = match answer {
            Answer::Names(named) => krpc::compact_nodes(named, v6),
            _ => krpc::compact_nodes(&krpc::closest(&known, target, K), v6),
        };
        if *answer == Answer::OddNodes {
            nodes.push(7);
        }
        nodes
    }

    /// The peers of an info hash, those that were announced included.
    pub fn peers(&self, info_hash: &Id) -> Vec<SocketAddr> {
        self.plan.peers.get(info_hash).cloned().unwrap_or_default()
    }
}

/// The peer that an announcement names: where it came from, with the port that it says, or with its
/// own if `implied_port` is 1. Port 0 is none.
fn announced(query: &Query, from: SocketAddr) -> Option<SocketAddr> {
    let implied = query.argument("implied_port").and_then(|value| value.int()) == Some(1);
    let port = match query.argument("port").and_then(|value| value.int()) {
        _ if implied => from.port(),
        port => u16::try_from(port?).ok()?,
    };
    (port > 0).then(|| SocketAddr::new(from.ip(), port))
}
