//! Stage 22: `dht_node --port N --dht-bootstrap HOST:PORT` answers, as any node does.

mod bad;
mod naming;
mod node;
mod peers;

use crate::grade::check::Check;

const QUERIES: &str = "BEP 5, DHT queries";
const PROTOCOL: &str = "BEP 5, KRPC protocol";
const TABLE: &str = "BEP 5, routing table";
const ANNOUNCE: &str = "BEP 5, DHT queries: announce_peer";
const ERRORS: &str = "BEP 5, errors";
/// The check of a ping, and that of an announcement with all that belongs to it.
const ANSWERS: &str = "22.1";
const KEEPS: &str = "22.6";

/// The checks of stage 22.
pub const CHECKS: &[Check] = &[
    Check::new("22.1", "prints its id, and answers a ping with it", QUERIES, naming::ping)
        .points(2),
    Check::new("22.2", "a transaction comes back as it was", PROTOCOL, naming::transactions),
    Check::new("22.3", "asks its way in for nodes", TABLE, naming::joins).points(2),
    Check::new("22.4", "find_node: the eight closest that it knows", QUERIES, naming::closest)
        .points(2),
    Check::new("22.5", "get_peers: a token, and nodes", QUERIES, peers::token).points(2),
    Check::new("22.6", "a peer that is announced is given to others", ANNOUNCE, peers::kept)
        .points(2),
    Check::new("22.7", "a wrong token: error 203, and nothing is kept", ANNOUNCE, peers::wrong)
        .refusal(KEEPS),
    Check::new("22.8", "a token is good for one address only", ANNOUNCE, peers::stolen)
        .refusal(KEEPS),
    Check::new("22.9", "implied_port: the port of the datagram", ANNOUNCE, peers::implied),
    Check::new("22.10", "nobody listens at port 0: refused", ANNOUNCE, peers::port_0)
        .refusal(KEEPS),
    Check::new("22.11", "an unknown method: error 204", ERRORS, bad::unknown).refusal(ANSWERS),
    Check::new("22.12", "garbage, and queries without arguments", PROTOCOL, bad::garbage),
    Check::new("22.13", "read-only nodes: answered, not named", "BEP 43", naming::read_only),
    Check::new("22.14", "a node that does not answer is not named", TABLE, naming::mute),
    Check::new("22.15", "200 peers, and no answer over 1,024 bytes", QUERIES, peers::many)
        .points(2),
    Check::new("22.16", "sample_infohashes: samples, or error 204", "BEP 51", peers::samples)
        .refusal(KEEPS),
    Check::new("22.17", "Ctrl-C ends it with exit code 0", QUERIES, bad::ends),
];
