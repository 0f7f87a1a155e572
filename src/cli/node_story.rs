//! What a node of the DHT tells at its start and at its end. (stage 22)

use piecemeal::s01_bencode::counted;
use piecemeal::s22_dht_node::Node;
use piecemeal::s22_dht_node::answers::NodeCounts;
use serde_json::json;

use super::{Answer, Options, json_line, print_line};

/// Tells who and where a node is.
pub fn tell_start(node: &Node, options: &Options) {
    node.note().into_iter().for_each(|note| options.narrator().note(note));
    let (id, address) = (node.id().to_string(), node.address().to_string());
    if options.json {
        let event = json!({ "event": "listening", "node_id": id, "address": address });
        return print_line(&json_line(&event));
    }
    print_line(&format!("Node ID: {id}"));
    print_line(&format!("Listening on: {address}"));
    options
        .narrator()
        .say(22, "a node answers whoever asks: where to go on, and who has a torrent");
}

/// Returns what it was asked, and what it knows at its end.
pub fn sum(counts: NodeCounts) -> Answer {
    let NodeCounts { ping, find_node, get_peers, announce_peer, sample_infohashes, other, .. } =
        counts;
    let all = ping + find_node + get_peers + announce_peer + sample_infohashes + other;
    let text = format!(
        "Heard {}: {ping} ping, {find_node} find_node, {get_peers} get_peers, {announce_peer} announce_peer, {sample_infohashes} sample_infohashes, {other} other; {} dropped.\nKnows {}, and {} with {}.",
        match all {
            1 => "1 query".to_owned(),
            all => format!("{all} queries"),
        },
        counted(counts.dropped, "datagram"),
        counted(counts.nodes, "node"),
        counted(counts.torrents, "torrent"),
        counted(counts.peers, "peer"),
    );
    let queries = json!({
        "ping": ping, "find_node": find_node, "get_peers": get_peers, "announce_peer": announce_peer,
        "sample_infohashes": sample_infohashes, "other": other,
    });
    let json = json!({
        "queries": queries, "dropped": counts.dropped, "nodes": counts.nodes,
        "torrents": counts.torrents, "peers": counts.peers,
    });
    Answer { text, json }
}
