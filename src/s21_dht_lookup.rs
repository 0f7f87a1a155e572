//! Stage 21: find peers in the DHT, with no tracker.
//!
//! A tracker is one computer that knows who has a torrent. The distributed hash table is a phone
//! book that all clients keep together: each keeps a few pages. A torrent's page is with the eight
//! nodes whose ids are nearest to its info hash. Nobody knows all nodes, but each knows some that
//! are nearer than itself. So we ask those we know, then those they name, and end at the page.
//!
//! * **Run it:** `piecemeal dht_ping 127.0.0.1:6881`
//! * **Spec:** BEP 5; BEP 32, 42, 43; **chapter:** `docs/21-dht-lookup.md`
//! * **Builds on:** bencode from stage 1, [`InfoHash`] from stage 2,
//!   [`Reach`](crate::s03_tracker::reach::Reach) from stage 3
//!
//! # On the wire
//! A question and its answer, a datagram each. [`krpc`] has all of them.
//! ```text
//! -> get_peers  info_hash                      which peers? which nodes near it?
//! <- nodes      up to 8 nodes, 26 bytes each   nearer ones: ask them
//!    values     peers, 6 bytes each            what we want
//!    token      what an announce must repeat   (stage 22)
//! ```
//! # The rule
//! > Ask the nearest that has not been asked, four at a time, until the eight nearest that
//! > answer have all been asked.
//!
//! # Decisions
//! * **Nothing here sends.** [`Lookup`] says whom to ask and is told what came. [`ask`] has the
//!   socket and the clock. So a test can look things up among ten thousand nodes in a second.
//! * **Silence costs one second.** After that the next node is asked, but a late answer still
//!   counts. One node in five is gone at any time, so waiting longer would cost every lookup more.
//! * **The eight are asked twice.** An answer has room for eight nodes, and some of those are gone,
//!   so a neighbor may be named by nobody. When the eight have answered, they are asked for the
//!   nodes at the edge, about as far away as the eighth. Without that, one lookup in twenty missed
//!   a true neighbor.
//! * **A name is a claim.** An invented node near the target costs its author nothing. So
//!   [`candidates`] asks one name of a node and holds the others back until it answers, counts each
//!   computer once, and drops a node that answers with another id.
//! * **Everything is bounded:** nodes kept, queries, peers. Liars cannot keep a lookup busy.
//! * **Left out:** a second try for a lost datagram, and telling the nodes that we have the
//!   torrent. To announce is to be a node, which is stage 22.
//!
//! # How to use it
//! 1. [`Lookup::new`], and [`Lookup::start_from`] for each node that is known.
//! 2. Send what [`Lookup::next`] returns, until it returns nothing.
//! 3. Wait for an answer until [`Lookup::due`], and hand it to [`Lookup::answer`].
//! 4. [`Lookup::take_steps`] has the peers. Go on with 2 until [`Lookup::is_done`].
//! 5. [`Lookup::keepers`] returns the nodes that keep the page, for an announce.
//!
//! # In two sittings
//! 1. This file, [`node_id`], [`candidates`] and `steps`: whom to ask.
//! 2. [`krpc`], with `reading` and `writing`, and [`ask`]: how to ask.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod ask;
pub mod candidates;
pub mod krpc;
pub mod node_id;
pub mod steps;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::candidates::{Candidate, Candidates, State};
use self::krpc::{Contact, Query, Response, Want};
use self::node_id::{Distance, NodeId};
use self::steps::Step;
use crate::s02_metainfo::InfoHash;

/// Nodes that tell a newcomer of others. They know no more than any other node, but their names do
/// not change. Used only if the user names no node.
pub const BOOTSTRAP_HOSTS: [&str; 3] =
    ["dht.libtorrent.org:25401", "dht.transmissionbt.com:6881", "router.bt.ouinet.work:6881"];

/// How many nodes keep a torrent's page, and how many one answer names (k in BEP 5).
pub const K: usize = 8;
/// How many queries wait for an answer at the same time (alpha in Kademlia).
pub const IN_FLIGHT: usize = 4;
/// The time after which a silent node no longer takes one of those places.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// The time after which its answer no longer counts.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(8);
/// The most queries of one lookup. An honest network needs about 30.
pub const MAX_QUERIES: usize = 200;
/// The most peers of one lookup.
pub const MAX_PEERS: usize = 1000;
/// How often a host whose id we do not know is asked, as long as nobody has answered at all. One
/// lost datagram must not be the end.
const MAX_TRIES: u8 = 3;

/// What a lookup asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Peers of a torrent: `get_peers`.
    Peers(InfoHash),
    /// Only the nodes nearest to an id: `find_node`.
    Nodes(NodeId),
}

/// A query that is to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// To be given back with the answer: it says which query that belongs to.
    pub number: usize,
    /// The address of the node.
    pub to: SocketAddr,
    /// The query.
    pub query: Query,
}

/// One of the nodes that keep the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbor {
    /// Its id and address.
    pub contact: Contact,
    /// How far it is from the target.
    pub distance: Distance,
    /// What an announce to it must repeat. Not every node gives one.
    pub token: Option<Vec<u8>>,
}

/// A search for the nodes nearest to a target, and for what they know.
#[derive(Debug)]
pub struct Lookup {
    goal: Goal,
    candidates: Candidates,
    /// Queries without an answer, the oldest first.
    waiting: Vec<Waiting>,
    /// How many queries have been sent; also the number of the next.
    sent: usize,
    /// All peers so far, so that each is reported once.
    peers: BTreeSet<SocketAddr>,
    steps: Vec<Step>,
}

/// A query without an answer.
#[derive(Debug)]
struct Waiting {
    number: usize,
    /// Whom it went to: see [`Candidate::key`].
    key: (Option<NodeId>, SocketAddr),
    since: Instant,
    /// Whether this is the second query to one of the eight.
    again: bool,
    /// Whether [`PATIENCE`] is over.
    is_slow: bool,
}

impl Lookup {
    /// Begins a lookup over one family of addresses: there is a network of nodes for each. Nodes
    /// that have our own id are not asked.
    pub fn new(goal: Goal, ours: NodeId, is_ipv4: bool) -> Lookup {
        let target = match goal {
            Goal::Peers(info_hash) => info_hash.into(),
            Goal::Nodes(target) => target,
        };
        Lookup {
            goal,
            candidates: Candidates::new(target, ours, is_ipv4),
            waiting: Vec::new(),
            sent: 0,
            peers: BTreeSet::new(),
            steps: Vec::new(),
        }
    }

    /// Adds a node that we know.
    pub fn start_from(&mut self, contact: Contact) {
        self.candidates.add(contact, None);
    }

    /// Adds a node whose id we do not know. It is asked after all that have one.
    pub fn start_from_host(&mut self, address: SocketAddr) {
        self.candidates.add_host(address);
    }

    /// Returns the next query, if one may be sent now. Call it until it returns `None`, at the
    /// beginning, after each answer, and when [`Lookup::due`] has come.
    pub fn next(&mut self, now: Instant) -> Option<Ask> {
        self.expire(now);
        let in_flight = self.waiting.iter().filter(|waiting| !waiting.is_slow).count();
        if in_flight >= IN_FLIGHT || self.sent >= MAX_QUERIES {
            return None;
        }
        // The second question waits until nobody is left for the first: who the eight are may
        // still change.
        let first = self.candidates.next();
        let again = first.is_none();
        let candidate = first.or_else(|| self.next_again())?.clone();
        let query = match (self.goal, again) {
            (_, true) => Query::FindNode { target: self.edge()?, want: Want::UNSAID },
            (Goal::Peers(info_hash), _) => {
                let (want, scrape, noseed) = (Want::UNSAID, false, false);
                Query::GetPeers { info_hash, want, scrape, noseed }
            }
            (Goal::Nodes(target), _) => Query::FindNode { target, want: Want::UNSAID },
        };
        let (key, to, number) = (candidate.key(), candidate.address, self.sent);
        self.steps.push(Step::Asked {
            node: candidate.node(),
            hop: candidate.hop,
            named_by: candidate.named_by,
            again,
        });
        self.candidates.asked(key, again);
        self.waiting.push(Waiting { number, key, since: now, again, is_slow: false });
        self.sent += 1;
        Some(Ask { number, to, query })
    }

    /// Returns the next of the eight to ask a second time: once no answer is due that could change
    /// who they are.
    fn next_again(&self) -> Option<&Candidate> {
        if self.waits_for_nearer() {
            return None;
        }
        self.candidates.closest().find(|candidate| !candidate.asked_again)
    }

    /// Returns the target of the second question.
    ///
    /// Nodes that find no room in an answer are at the edge: their distance has as many bits as the
    /// eighth's. Seen from the target with this one bit flipped, they are the nearest, in the same
    /// order. Every other query flips the bit after it: where many nodes are gone, there are live
    /// ones a bit nearer that found no room either.
    fn edge(&self) -> Option<NodeId> {
        let bits = self.candidates.closest().last()?.distance?.bits();
        let asked = self.candidates.closest().filter(|candidate| candidate.asked_again).count();
        Some(self.candidates.target.flipped(bits.saturating_sub(asked as u32 % 2)))
    }

    /// Whether a query is on its way to a node that would be one of the eight. Slow ones do not
    /// count: one node in five is gone, and each lookup would wait eight seconds for one.
    fn waits_for_nearer(&self) -> bool {
        let in_flight = self.waiting.iter().filter(|waiting| !waiting.is_slow && !waiting.again);
        in_flight.map(|waiting| waiting.key.0).any(|id| self.candidates.would_be_one_of_eight(id))
    }

    /// Takes the answer to a query. One that comes too late, or twice, changes nothing.
    pub fn answer(&mut self, number: usize, response: &Response, now: Instant) {
        self.expire(now);
        // Taken out, so that a second answer to the same query finds nothing.
        let Some(waiting) = self.take_waiting(number) else { return };
        let Some(answered) = self.candidates.answered(waiting.key, response) else { return };
        let (from, node) = (answered.address, answered.node());
        match answered.state {
            State::Answered => {}
            State::Lied => return self.steps.push(Step::Lied { node, is: response.id }),
            // Its computer has answered under another name.
            _ => return,
        }
        let new = self.candidates.add_named(response, from);
        self.steps.push(Step::Answered {
            node,
            named: response.nodes.len(),
            new,
            late: waiting.is_slow,
            again: waiting.again,
        });
        let room = MAX_PEERS.saturating_sub(self.peers.len());
        let named = response.values.iter().copied();
        // `take` comes last, so that only new peers count against the room. `insert` also sees
        // whether this node has named a peer twice.
        let peers: Vec<_> = named.filter(|peer| self.peers.insert(*peer)).take(room).collect();
        if !peers.is_empty() {
            self.steps.push(Step::Peers { by: from, peers });
        }
    }

    /// Takes a refusal, which says that a node is there but does not help.
    pub fn refuse(&mut self, number: usize, now: Instant) {
        self.expire(now);
        let Some(waiting) = self.take_waiting(number) else { return };
        if let Some(candidate) = self.candidates.silent(waiting.key, waiting.again) {
            self.steps.push(Step::Refused { node: candidate.node() });
        }
    }

    fn take_waiting(&mut self, number: usize) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.number == number)?;
        Some(self.waiting.remove(at))
    }

    /// Notes which queries have waited for too long.
    fn expire(&mut self, now: Instant) {
        let age = |waiting: &Waiting| now.saturating_duration_since(waiting.since);
        let nobody_answered = self.candidates.counts().answered == 0;
        for waiting in &mut self.waiting {
            if waiting.is_slow || age(waiting) < PATIENCE {
                continue;
            }
            waiting.is_slow = true;
            if let Some(candidate) = self.candidates.silent(waiting.key, waiting.again) {
                self.steps.push(Step::Silent { node: candidate.node() });
                // This host may be the only way in, and one datagram in a hundred is lost.
                if nobody_answered && candidate.id.is_none() && candidate.tries < MAX_TRIES {
                    candidate.state = State::New;
                }
            }
        }
        // Last, so that a node is noted as silent even if this computer has slept for an hour.
        self.waiting.retain(|waiting| age(waiting) < QUERY_TIMEOUT);
    }

    /// Returns when the next query will be slow or too late, unless it is answered before that.
    pub fn due(&self) -> Option<Instant> {
        let end = |waiting: &Waiting| {
            waiting.since + if waiting.is_slow { QUERY_TIMEOUT } else { PATIENCE }
        };
        self.waiting.iter().map(end).min()
    }

    /// Whether the lookup is over: no node is left that should be asked. If nobody has answered, it
    /// waits for those that are slow.
    pub fn is_done(&self) -> bool {
        let is_asking = self.waiting.iter().any(|waiting| !waiting.is_slow);
        if self.candidates.counts().answered == 0 {
            let can_ask = self.sent < MAX_QUERIES && self.candidates.next().is_some();
            return self.waiting.is_empty() && !can_ask;
        }
        if self.sent >= MAX_QUERIES {
            return !is_asking;
        }
        let is_asking_again = self.waiting.iter().any(|waiting| waiting.again && !waiting.is_slow);
        self.candidates.next().is_none()
            && !self.waits_for_nearer()
            && !is_asking_again
            && self.next_again().is_none()
    }

    /// Returns up to eight nodes nearest to the target, of those that have answered, the nearest
    /// first.
    pub fn closest(&self) -> Vec<Neighbor> {
        self.candidates.closest().filter_map(Candidate::neighbor).collect()
    }

    /// Returns the nodes that an announce should go to: the closest, and some more if the ids of
    /// those are in doubt.
    pub fn keepers(&self) -> Vec<Neighbor> {
        self.candidates.keepers().filter_map(Candidate::neighbor).collect()
    }

    /// Returns how many nodes have been asked, and how it went.
    pub fn counts(&self) -> steps::LookupCounts {
        self.candidates.counts()
    }

    /// Returns what has happened since this was called last.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }
}
