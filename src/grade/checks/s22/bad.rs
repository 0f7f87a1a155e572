//! What no node should say, and the end.

use super::node::{Node, askers};
use crate::actors::bencode::{bytes, dict, int};
use crate::actors::dht::Id;
use crate::actors::dht::krpc::{UNKNOWN_METHOD, query};
use crate::grade::check::Finding;
use crate::grade::miss::Miss;
use crate::grade::scene::Scene;

pub fn unknown(scene: &mut Scene) -> Finding {
    let mut node = Node::start(scene)?;
    let method = scene.dice.word(7);
    let askers = askers(scene, 1)?;
    askers.nodes.iter().try_for_each(|asker| {
        node.refuses(asker, &method, &[], UNKNOWN_METHOD).map_err(|miss| {
            miss.likely("there are methods that you do not know, and more will come: say so")
        })
    })
}

/// Returns what a node may get, and need not answer.
fn junk(scene: &mut Scene, id: Id) -> Vec<(&'static str, Vec<u8>)> {
    let own = || ("id", bytes(id));
    let hash = || ("info_hash", bytes(id));
    let port = |port: i64| [own(), hash(), ("port", int(port)), ("token", bytes("no"))];
    let ping = query(b"aa", "ping", &[own()]);
    let no_t = dict(&[("a", dict(&[own()])), ("q", bytes("ping")), ("y", bytes("q"))]);
    let no_a = dict(&[("q", bytes("ping")), ("t", bytes("aa")), ("y", bytes("q"))]);
    let no_q = dict(&[("a", dict(&[own()])), ("t", bytes("aa")), ("y", bytes("q"))]);
    vec![
        ("an empty datagram", Vec::new()),
        ("bytes at random", scene.dice.bytes(300)),
        ("a datagram of 60,000 bytes at random", scene.dice.bytes(60_000)),
        ("60,000 lists in each other", b"l".repeat(60_000)),
        ("a ping that was cut", ping[..ping.len() / 2].to_vec()),
        ("a string that claims 4 GB", b"d1:a4294967295:x".to_vec()),
        ("a number", b"i7e".to_vec()),
        ("an empty dictionary", b"de".to_vec()),
        ("a query without `t`", no_t),
        ("a query without `a`", no_a),
        ("a query without `q`", no_q),
        ("an id of 19 bytes", query(b"aa", "ping", &[("id", bytes(&id[1..]))])),
        ("an id that is a number", query(b"aa", "ping", &[("id", int(7))])),
        ("find_node without a target", query(b"aa", "find_node", &[own()])),
        ("get_peers without an info hash", query(b"aa", "get_peers", &[own()])),
        ("announce_peer without a token", query(b"aa", "announce_peer", &[own(), hash()])),
        ("announce_peer with port 70000", query(b"aa", "announce_peer", &port(70_000))),
        ("announce_peer with port -1", query(b"aa", "announce_peer", &port(-1))),
        (
            "a response that nobody asked for",
            b"d1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t2:aa1:y1:re".to_vec(),
        ),
        ("an error that nobody asked for", b"d1:eli201e3:bade1:t2:aa1:y1:ee".to_vec()),
        ("an error that is no list", b"d1:e1:x1:t2:aa1:y1:ee".to_vec()),
    ]
}

pub fn garbage(scene: &mut Scene) -> Finding {
    let mut node = Node::start(scene)?;
    // The node that pings is another one: the first may be ignored for what it has sent.
    let askers = askers(scene, 2)?;
    let [bad, good] = &askers.nodes[..] else { return Ok(()) };
    for (what, datagram) in junk(scene, bad.id()) {
        bad.send(node.address, &datagram)
            .map_err(|error| Miss::new(format!("the grader cannot send: {error}")))?;
        node.response(good, "ping", &[]).map_err(|miss| {
            miss.detail(format!("before it came {what}"))
                .rather("anybody may send anything: whatever it is, the node goes on")
        })?;
    }
    Ok(())
}

pub fn ends(scene: &mut Scene) -> Finding {
    let mut node = Node::start(scene)?;
    let askers = askers(scene, 1)?;
    askers.nodes.iter().try_for_each(|asker| node.response(asker, "ping", &[]).map(drop))?;
    node.ends_politely()
}
