//! Nodes of the DHT, over UDP on loopback: a swarm in which each knows some of the others.
//!
//! ```text
//! krpc    the bytes of queries, responses and errors; distance
//! plan    what a node knows, and what is wrong with what it says
//! node    a node on a socket: it answers, asks, and records every query
//! ```
//! What is wrong with a node is in the list `says` of its plan: the datagrams that it sends for
//! each query. `[Good]` is a good node, `[]` a silent one, and `[OtherTransaction, Good]` one whose
//! good answer comes second.

pub mod krpc;
pub mod node;
pub mod plan;

pub use super::dht::krpc::{Contact, Id, Query, Reply};
pub use super::dht::node::{Asked, FakeNode};
pub use super::dht::plan::{Answer, K, Mind, NodePlan, Sends};

use super::recording::Recording;
use std::io;
use std::net::SocketAddr;

/// A running swarm. Dropping it ends it.
#[derive(Debug)]
pub struct FakeDht {
    /// Its nodes, in the order of their plans.
    pub nodes: Vec<FakeNode>,
}

impl FakeDht {
    /// Starts a swarm. Each node knows those of the others whose numbers its plan has.
    ///
    /// # Errors
    /// Like all that start: if an address has no free port.
    pub fn start(plans: impl IntoIterator<Item = NodePlan>) -> io::Result<FakeDht> {
        let bound = plans.into_iter().map(node::Bound::new).collect::<io::Result<Vec<_>>>()?;
        let swarm: Vec<Contact> = bound.iter().map(|node| node.contact).collect();
        let nodes = bound.into_iter().map(|node| node.start(&swarm));
        Ok(FakeDht { nodes: nodes.collect::<io::Result<_>>()? })
    }

    /// Starts a swarm in which everybody knows everybody.
    ///
    /// # Errors
    /// If an address has no free port.
    pub fn mesh(plans: impl IntoIterator<Item = NodePlan>) -> io::Result<FakeDht> {
        let plans: Vec<NodePlan> = plans.into_iter().collect();
        let count = plans.len();
        let others = move |number| (0..count).filter(move |other| *other != number);
        FakeDht::start((0..).zip(plans).map(|(number, plan)| plan.knowing(others(number))))
    }

    /// The address of a node, to be asked first; nobody's if there is no such node.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.nodes.get(number).map_or(SocketAddr::from(([127, 0, 0, 1], 9)), FakeNode::address)
    }

    /// All queries that came, with the number of the node, in the order of time.
    pub fn queries(&self) -> Vec<(usize, Asked)> {
        let all = (0..).zip(&self.nodes);
        let all =
            all.flat_map(|(number, node)| node.queries().into_iter().map(move |q| (number, q)));
        let mut all: Vec<(usize, Asked)> = all.collect();
        all.sort_by_key(|(_, asked)| asked.at);
        all
    }

    /// The recordings of all nodes.
    pub fn recordings(&self) -> Vec<Recording> {
        self.nodes.iter().flat_map(FakeNode::recordings).collect()
    }
}

impl Drop for FakeDht {
    fn drop(&mut self) {
        // All are told before the first is waited for.
        self.nodes.iter().for_each(FakeNode::stop);
    }
}
