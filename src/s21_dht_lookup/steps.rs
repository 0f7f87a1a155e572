//! What happens in a lookup, as values. They are told line by line, and drawn as a map.

use std::net::SocketAddr;

use super::node_id::NodeId;

/// A node in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Its address.
    pub address: SocketAddr,
    /// Its id. A host that the user named has none before it answers.
    pub id: Option<NodeId>,
    /// How far it is from the target, in bits: 160 is half of all ids away, 0 is the target.
    pub bits: Option<u32>,
}

/// A step of a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A node is asked.
    Asked {
        /// The node.
        node: Node,
        /// How many nodes led to it: 0 if we knew it ourselves.
        hop: u32,
        /// The node that named it first; `None` if we knew it ourselves.
        named_by: Option<SocketAddr>,
        /// Whether it is one of the eight, and asked for the nodes around the eighth.
        again: bool,
    },
    /// A node has answered.
    Answered {
        /// The node.
        node: Node,
        /// How many nodes it named.
        named: usize,
        /// How many of these we did not know, and may ask.
        new: usize,
        /// Whether we had given it up.
        late: bool,
        /// Whether that was the second query to it.
        again: bool,
    },
    /// A node has named peers that nobody had named before.
    Peers {
        /// The address of the node.
        by: SocketAddr,
        /// The peers.
        peers: Vec<SocketAddr>,
    },
    /// A node has not answered for a second.
    Silent {
        /// The node.
        node: Node,
    },
    /// A node has refused.
    Refused {
        /// The node.
        node: Node,
    },
    /// A node has answered with another id than the one by which it was named.
    Lied {
        /// The node, as it was named.
        node: Node,
        /// The id that it says it has.
        is: NodeId,
    },
}

/// How many nodes were asked. A node that was asked twice counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LookupCounts {
    /// All that were asked.
    pub asked: usize,
    /// Those that have answered, late or not.
    pub answered: usize,
    /// Those that have not, or that refused.
    pub silent: usize,
    /// Those that have answered with another id.
    pub lied: usize,
}

impl std::ops::Add for LookupCounts {
    type Output = LookupCounts;

    fn add(self, other: LookupCounts) -> LookupCounts {
        LookupCounts {
            asked: self.asked + other.asked,
            answered: self.answered + other.answered,
            silent: self.silent + other.silent,
            lied: self.lied + other.lied,
        }
    }
}
