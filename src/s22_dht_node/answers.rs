//! What a node answers: a table, tokens and a store, and a function from question to answer.
//!
//! | question | answer |
//! |---|---|
//! | `ping` | our id |
//! | `find_node` | the eight nodes that we know closest to the target |
//! | `get_peers` | the same, a token, and the peers that we know |
//! | `announce_peer` with its token | our id, and the peer is written down |
//! | `announce_peer` with another one | error 203 |
//! | `sample_infohashes` | some of the torrents that we know (BEP 51) |
//! | any other with a `target` | as `find_node`: newer questions are mostly about nodes, and others can go on from there |
//! | any other | error 204 |
//! | one that lacks something | error 203 |
//!
//! BEP 5 gives peers *or* nodes. We give both, as BEP 32 says and as everybody does: a lookup that
//! has peers goes on all the same, since it wants the closest nodes.

use std::net::SocketAddr;
use std::time::Instant;

use super::store::{SAMPLE_TIME, Store};
use super::table::Table;
use super::tokens::{Secret, Tokens};
use crate::s01_bencode::Value;
use crate::s01_bencode::limits::decode_within;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::reach::Reach;
use crate::s21_dht_lookup::krpc::{
    Body, Contact, LARGEST_PACKET, LIMITS, MAX_ECHOED, Packet, Query, Response, Samples, Want,
};
use crate::s21_dht_lookup::node_id::NodeId;

/// The most peers in an answer. Those of IPv4 take 8 bytes each, so with the rest of the packet
/// there is room for no more. A swarm of thousands becomes known by asking eight nodes, and again
/// later.
const MAX_GIVEN: usize = 100;
/// The bytes of a list around its items: `6:valuesle`, or `7:samples` and a length. Rounded up: a
/// byte too many costs nothing, and with one too few a packet would be too long.
const AROUND_LIST: usize = 16;
/// The bytes of the numbers beside the samples, `8:intervali600e` and `3:numi2000e`. Rounded up as
/// well.
const AROUND_SAMPLES: usize = 32;
/// What an info hash takes.
const INFO_HASH: usize = 20;

/// What a node knows. It has no socket, clock or dice of its own: a test asks it as a network
/// would, and gets the same answer each time.
#[derive(Debug)]
pub struct Knowledge {
    /// Our id. The table and the store are sorted by it, so all three change together.
    id: NodeId,
    /// The nodes that we know.
    pub table: Table,
    /// Proves that whoever announces has asked us before.
    tokens: Tokens,
    /// The peers that have announced themselves to us.
    store: Store,
    /// The questions so far.
    pub counts: NodeCounts,
}

/// How many questions of each kind there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)] // they are the names of the questions
pub struct NodeCounts {
    pub ping: u64,
    pub find_node: u64,
    pub get_peers: u64,
    pub announce_peer: u64,
    pub sample_infohashes: u64,
    /// Unknown ones, and those that cannot be read.
    pub other: u64,
    /// Datagrams without an answer: garbage, answers to nothing, and questions beyond the rates.
    pub dropped: u64,
    /// The nodes in the table.
    pub nodes: u64,
    /// The torrents that are written down.
    pub torrents: u64,
    /// Their peers.
    pub peers: u64,
}

impl Knowledge {
    /// Begins with nothing but an id.
    pub fn new(id: NodeId, now: Instant, dice: &mut impl FnMut() -> Secret) -> Knowledge {
        Knowledge {
            id,
            table: Table::new(id, now),
            tokens: Tokens::new(now, dice),
            store: Store::new(id, now),
            counts: NodeCounts::default(),
        }
    }

    /// Returns our id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Takes another id. What we know stays, but is near to us or far from us in other ways.
    pub fn move_to(&mut self, id: NodeId, now: Instant) {
        self.id = id;
        self.table.move_to(id, now);
        self.store.move_to(id);
    }

    /// Returns the counts, and how much is known now.
    pub fn counts(&self) -> NodeCounts {
        NodeCounts {
            nodes: self.table.len() as u64,
            torrents: self.store.torrents() as u64,
            peers: self.store.len() as u64,
            ..self.counts
        }
    }

    /// Answers a question. There is always an answer, if only a refusal: whether it is sent is for
    /// the rates to decide.
    ///
    /// An answer is never much longer than it has to be. A question has 100 bytes, and its answer
    /// up to 1,024: whoever asks with a victim's address sends it ten times as much as it spends.
    /// That is why there are rates, and why no answer is ever longer than one datagram.
    pub fn answer(
        &mut self,
        transaction: Vec<u8>,
        query: &Query,
        from: SocketAddr,
        (now, dice): (Instant, &mut impl FnMut() -> Secret),
    ) -> Packet {
        self.tokens.rotate(now, dice);
        self.count(query);
        let body = match query {
            Query::Ping => Body::Response(Response::new(self.id)),
            Query::FindNode { target, want } => Body::Response(self.nodes(*target, *want, from)),
            Query::GetPeers { info_hash, want, scrape, noseed } => {
                let (scrape, noseed) = (*scrape, *noseed);
                let asked = GetPeers { info_hash: *info_hash, want: *want, scrape, noseed };
                return self.give_peers(transaction, asked, from, now);
            }
            Query::AnnouncePeer { info_hash, port, token, seed } => {
                // Only the port is the peer's to say. With an address of its choice it could send a
                // swarm to anybody.
                let peer = SocketAddr::new(from.ip(), port.unwrap_or(from.port()));
                if !self.tokens.knows(token, from.ip()) {
                    refuse(203, "the token is not yours, or too old: ask get_peers for one")
                } else if self.store.announce(*info_hash, peer, *seed, now) {
                    Body::Response(Response::new(self.id))
                } else {
                    refuse(202, "no room for more peers of your address")
                }
            }
            Query::SampleInfohashes { target, want } => {
                return self.give_samples(transaction, self.nodes(*target, *want, from), from, now);
            }
            Query::Unknown { .. } => refuse(204, "this question is unknown here"),
        };
        packet(transaction, body, from)
    }

    /// Counts a question by its name.
    fn count(&mut self, query: &Query) {
        let count = match query {
            Query::Ping => &mut self.counts.ping,
            Query::FindNode { .. } => &mut self.counts.find_node,
            Query::GetPeers { .. } => &mut self.counts.get_peers,
            Query::AnnouncePeer { .. } => &mut self.counts.announce_peer,
            Query::SampleInfohashes { .. } => &mut self.counts.sample_infohashes,
            Query::Unknown { .. } => &mut self.counts.other,
        };
        *count += 1;
    }

    /// Returns an answer with the nodes closest to an id. We know only those of our own family: for
    /// somebody that wants the other one, there are none.
    fn nodes(&self, target: NodeId, want: Want, from: SocketAddr) -> Response {
        // BEP 32: without `want`, the family of the datagram is meant.
        let ours = Want { v4: from.is_ipv4(), v6: from.is_ipv6() };
        let asked = if want == Want::UNSAID { ours } else { want };
        let named = || self.table.named(target, Reach::of(from.ip()));
        let is_ours = asked.v4 && ours.v4 || asked.v6 && ours.v6;
        let nodes: Vec<Contact> = if is_ours { named() } else { Vec::new() };
        Response { nodes, asked, ..Response::new(self.id) }
    }

    /// Answers `get_peers`: with as many peers as the packet has room for.
    ///
    /// Everything else goes in first, since it has a fixed size: the nodes, by which the lookup
    /// goes on, the token and the filters. Then what is left decides how many peers there are.
    fn give_peers(
        &mut self,
        transaction: Vec<u8>,
        asked: GetPeers,
        from: SocketAddr,
        now: Instant,
    ) -> Packet {
        let mut response = self.nodes(asked.info_hash.into(), asked.want, from);
        response.token = Some(self.tokens.token(from.ip()));
        if asked.scrape {
            // Two filters of 256 bytes leave room for twenty peers. Whoever asks for them wants to
            // count.
            let (seeds, peers) = self.store.filters(asked.info_hash, now);
            response.filters = Some((seeds.bytes().to_vec(), peers.bytes().to_vec()));
        }
        let mut packet = packet(transaction, Body::Response(response), from);
        // `6:` and 6 bytes, or `18:` and 18.
        let each = if from.is_ipv4() { 8 } else { 21 };
        let count = (room(&packet) / each).min(MAX_GIVEN);
        // Each question gets others, so that a swarm larger than a packet becomes known. A count
        // does for that what dice would do.
        let turn = (self.counts.get_peers as usize).wrapping_mul(count);
        let asker = (Reach::of(from.ip()), asked.noseed);
        if let Body::Response(response) = &mut packet.body {
            response.values = self.store.peers(asked.info_hash, asker, (count, turn), now);
        }
        packet
    }

    /// Answers `sample_infohashes`: with as many torrents as the packet has room for.
    fn give_samples(
        &self,
        transaction: Vec<u8>,
        response: Response,
        from: SocketAddr,
        now: Instant,
    ) -> Packet {
        let mut packet = packet(transaction, Body::Response(response), from);
        let count = room(&packet).saturating_sub(AROUND_SAMPLES) / INFO_HASH;
        if let Body::Response(response) = &mut packet.body {
            response.samples = Some(Samples {
                info_hashes: self.store.samples(count, now),
                total: self.store.torrents() as u64,
                interval: SAMPLE_TIME.as_secs(),
            });
        }
        packet
    }
}

/// The arguments of `get_peers`.
#[derive(Clone, Copy)]
struct GetPeers {
    info_hash: InfoHash,
    /// The families of the nodes in the answer.
    want: Want,
    /// Whether the peers are to be counted.
    scrape: bool,
    /// Whether seeds are to be left out.
    noseed: bool,
}

/// Looks a second time at a question that is broken or that we do not know. Returns its
/// transaction, and what it counts as: an unknown one that names a target is a `find_node`, any
/// other is refused. `None` if nobody could answer it.
///
/// Stage 21 decodes what everybody has to understand, and gives up at the first thing that is
/// wrong. It then has no transaction, without which there is no refusal. This is for the few
/// datagrams that fail there.
pub fn second_look(datagram: &[u8]) -> Option<(Vec<u8>, Result<Query, Body>)> {
    let top = decode_within(datagram, LIMITS).ok()?;
    let transaction = top.get("t").and_then(Value::bytes).filter(|t| t.len() <= MAX_ECHOED)?;
    // Only a question is answered. Two nodes that answer each other's errors would never end.
    top.get("y").and_then(Value::bytes).filter(|kind| *kind == b"q")?;
    let given = top.get("a");
    let target = given.and_then(|given| given.get("target")?.bytes()?.try_into().ok());
    // Otherwise an argument that every question has is broken, such as the id.
    let is_well_formed = Packet::decode(datagram).is_ok();
    let looked = match target {
        Some(target) if is_well_formed => {
            Ok(Query::FindNode { target: NodeId(target), want: Want::UNSAID })
        }
        _ => Err(refuse(203, "an argument is missing, or has the wrong type or length")),
    };
    Some((transaction.to_vec(), looked))
}

/// Makes a refusal.
pub fn refuse(code: i64, text: &str) -> Body {
    Body::Error { code, text: text.as_bytes().to_vec() }
}

/// Makes the packet that answers a question from this address. It says which address that is: a
/// node behind a router has no other way to know (BEP 42).
pub fn packet(transaction: Vec<u8>, body: Body, to: SocketAddr) -> Packet {
    Packet { seen_as: Some(to), ..Packet::new(transaction, body) }
}

/// Returns how many bytes a list may still add to a packet. The packet is encoded to find out, and
/// once more when it is sent. To count by hand what the encoder does would be faster, and one day
/// it would be wrong.
fn room(packet: &Packet) -> usize {
    LARGEST_PACKET.saturating_sub(packet.encode().len() + AROUND_LIST)
}
