//! Stage 21: `dht_ping HOST:PORT` asks one node, and `dht_peers INFOHASH` looks peers up.

mod lookups;
mod pings;
mod swarm;

use crate::grade::check::Check;

const QUERY: &str = "BEP 5, KRPC protocol";
const LOOKUP: &str = "BEP 5, DHT queries: get_peers";
const NODES: &str = "BEP 5, contact encoding";
const DISTANCE: &str = "BEP 5, overview";
/// The checks with a good node.
const ANSWERED: &str = "21.1";
const FOUND: &str = "21.9";

/// The checks of stage 21.
pub const CHECKS: &[Check] = &[
    Check::new("21.1", "prints the id of the node that it pings", QUERY, pings::id).points(2),
    Check::new("21.2", "a ping is right to the byte, with an id of 20 bytes", QUERY, pings::query)
        .points(2),
    Check::new("21.3", "transactions differ from run to run", QUERY, pings::transactions),
    Check::new("21.4", "an answer to another transaction is ignored", QUERY, pings::other),
    Check::new("21.5", "an answer from another address is ignored", QUERY, pings::forged),
    Check::new("21.6", "garbage, and an answer that was cut, are ignored", QUERY, pings::garbage),
    Check::new("21.7", "an error is told on stderr", "BEP 5, errors", pings::error)
        .refusal(ANSWERED),
    Check::new("21.8", "nobody answers: an error, in time", QUERY, pings::silence)
        .refusal(ANSWERED),
    Check::new("21.9", "prints the peers that a node has", LOOKUP, lookups::one).points(2),
    Check::new("21.10", "goes from node to node until one has peers", LOOKUP, lookups::hops)
        .points(2),
    Check::new("21.11", "the eight closest nodes are all asked", DISTANCE, lookups::closest)
        .points(2),
    Check::new("21.12", "the closest are asked, not everybody, and once", DISTANCE, lookups::few),
    Check::new("21.13", "silent nodes hold nobody up", LOOKUP, lookups::silent).points(2),
    Check::new("21.14", "an answer with peers and nodes: both count", "BEP 32", lookups::both),
    Check::new("21.15", "a peer that several nodes have is printed once", LOOKUP, lookups::once),
    Check::new("21.16", "peers and nodes of a wrong length are left out", NODES, lookups::odd),
    Check::new("21.17", "nodes at port 0 and at no address are left out", NODES, lookups::nowhere),
    Check::new("21.18", "a hundred ids at one address: it is asked once", NODES, lookups::crowd),
    Check::new("21.19", "a magnet link in place of the info hash", "BEP 9", lookups::magnet),
    Check::new("21.20", "the first way in is silent: the second is tried", LOOKUP, lookups::ways),
    Check::new("21.21", "it asks, and announces nobody", LOOKUP, lookups::quiet),
    Check::new("21.22", "nobody has peers: an error, in time", LOOKUP, lookups::nobody)
        .refusal(FOUND),
];
