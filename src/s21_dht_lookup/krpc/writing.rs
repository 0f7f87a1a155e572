//! A packet for the wire. The dictionaries are sorted as they are written (stage 1).
//!
//! The arguments of each question, in `a`, beside the `id` of the node that asks:
//! ```text
//! ping
//! find_node          target, 20 bytes                                want: a list of n4, n6
//! get_peers          info_hash, 20 bytes       scrape 1, noseed 1 (BEP 33)     want
//! announce_peer      info_hash, port, token    seed 0 or 1, implied_port 0 or 1
//! sample_infohashes  target                                          want
//! ```
//! And what answers have, in `r`, beside the `id` of the node that answers:
//! ```text
//! ping, announce_peer
//! find_node          nodes, nodes6
//! get_peers          nodes, nodes6, values, token       BFsd, BFpe (BEP 33)
//! sample_infohashes  nodes, nodes6, samples, num, interval (BEP 51)
//! ```

use super::{Body, NodeId, Packet, Query, Response, Want, compact, compact_node};
use crate::s01_bencode::encode;

impl Packet {
    /// Encodes the packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut pairs = Vec::new();
        match &self.body {
            Body::Query(id, query) => {
                pairs.push(("a", arguments(*id, query)));
                pairs.push(("q", encode::bytes(query.method())));
                pairs.push(("y", encode::bytes("q")));
            }
            Body::Response(response) => {
                pairs.push(("r", answers(response)));
                pairs.push(("y", encode::bytes("r")));
            }
            Body::Error { code, text } => {
                pairs.push(("e", encode::list([encode::integer(*code), encode::bytes(text)])));
                pairs.push(("y", encode::bytes("e")));
            }
        }
        pairs.push(("t", encode::bytes(&self.transaction)));
        pairs.extend(self.version.as_ref().map(|version| ("v", encode::bytes(version))));
        pairs.extend(self.read_only.then(|| ("ro", encode::integer(1))));
        pairs.extend(self.seen_as.map(|address| ("ip", encode::bytes(compact(address)))));
        encode::dictionary(pairs)
    }
}

/// Returns the arguments of a question.
fn arguments(id: NodeId, query: &Query) -> Vec<u8> {
    let mut pairs = vec![("id", encode::bytes(id.0))];
    match query {
        Query::Ping | Query::Unknown { .. } => {}
        Query::FindNode { target, want } | Query::SampleInfohashes { target, want } => {
            pairs.push(("target", encode::bytes(target.0)));
            pairs.extend(wanted(*want));
        }
        Query::GetPeers { info_hash, want, scrape, noseed } => {
            pairs.push(("info_hash", encode::bytes(info_hash.0)));
            pairs.extend(wanted(*want));
            pairs.extend(scrape.then(|| ("scrape", encode::integer(1))));
            pairs.extend(noseed.then(|| ("noseed", encode::integer(1))));
        }
        Query::AnnouncePeer { info_hash, port, token, seed } => {
            pairs.push(("info_hash", encode::bytes(info_hash.0)));
            pairs.push(("implied_port", encode::integer(u8::from(port.is_none()))));
            // Required even where it is ignored: BEP 5 calls it an argument of every announce.
            pairs.push(("port", encode::integer(port.unwrap_or_default())));
            pairs.push(("token", encode::bytes(token)));
            pairs.push(("seed", encode::integer(u8::from(*seed))));
        }
    }
    encode::dictionary(pairs)
}

/// Returns the families that are wanted. If none is named, there is no such key.
fn wanted(want: Want) -> Option<(&'static str, Vec<u8>)> {
    let names = [(want.v4, "n4"), (want.v6, "n6")];
    let names: Vec<_> = names.iter().filter(|(is, _)| *is).map(|(_, n)| encode::bytes(n)).collect();
    (!names.is_empty()).then(|| ("want", encode::list(names)))
}

/// Returns what is in an answer. A family without nodes has a key only if it was asked for.
fn answers(response: &Response) -> Vec<u8> {
    let mut pairs = vec![("id", encode::bytes(response.id.0))];
    // Two keys and not one list: nobody could say where a node of 26 bytes ends and one of 38
    // begins.
    let asked = response.asked;
    for (key, v4, asked) in [("nodes", true, asked.v4), ("nodes6", false, asked.v6)] {
        let family = response.nodes.iter().filter(|node| node.address.is_ipv4() == v4);
        let packed: Vec<u8> = family.flat_map(|node| compact_node(*node)).collect();
        pairs.extend((asked || !packed.is_empty()).then(|| (key, encode::bytes(packed))));
    }
    // A list of strings, unlike the nodes: each says by its length which family it is of.
    if !response.values.is_empty() {
        let values = response.values.iter().map(|peer| encode::bytes(compact(*peer)));
        pairs.push(("values", encode::list(values)));
    }
    pairs.extend(response.token.as_ref().map(|token| ("token", encode::bytes(token))));
    if let Some((seeds, peers)) = &response.filters {
        pairs.extend([("BFsd", encode::bytes(seeds)), ("BFpe", encode::bytes(peers))]);
    }
    if let Some(samples) = &response.samples {
        let hashes: Vec<u8> = samples.info_hashes.iter().flat_map(|hash| hash.0).collect();
        pairs.push(("samples", encode::bytes(hashes)));
        pairs.push(("num", encode::integer(samples.total)));
        pairs.push(("interval", encode::integer(samples.interval)));
    }
    encode::dictionary(pairs)
}
