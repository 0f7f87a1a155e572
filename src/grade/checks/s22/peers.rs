//! Peers that are announced, and the token that it takes.

use std::net::SocketAddr;
use std::sync::Arc;

use super::node::{Node, askers};
use crate::actors::bencode::{Value, bytes, int};
use crate::actors::dht::krpc::{PROTOCOL, UNKNOWN_METHOD, string};
use crate::actors::dht::{FakeDht, FakeNode, Id};
use crate::grade::check::Finding;
use crate::grade::hints::krpc;
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

/// The longest datagram that passes everywhere in one piece.
const MAX_DATAGRAM: usize = 1_024;
/// The peers of a busy torrent: this many addresses with this many ports each.
const ADDRESSES: usize = 40;
const PORTS: u16 = 5;
const FIRST_PORT: u16 = 10_000;
/// The least of them that an answer names.
const AT_LEAST: usize = 20;

/// A node, two askers, and an info hash.
struct Stage {
    node: Node,
    askers: Arc<FakeDht>,
    info_hash: Id,
    port: u16,
}

impl Stage {
    fn set(scene: &mut Scene) -> Result<Stage, Miss> {
        let node = Node::start(scene)?;
        let askers = askers(scene, 2)?;
        let port = scene.dice.number(1_024, 65_535) as u16;
        Ok(Stage { node, askers, info_hash: scene.dice.twenty(), port })
    }

    /// Returns the token that an asker gets.
    fn token(&mut self, number: usize) -> Result<Vec<u8>, Miss> {
        let askers = self.askers.clone();
        let reply = self.node.get_peers(&askers.nodes[number], self.info_hash)?;
        reply.token().ok_or_else(|| {
            Miss::new("the answer to get_peers has no token")
                .instead("`token`, a string", krpc::shown(&reply.bytes))
                .likely("whoever asks for peers may announce itself next, and needs a token for it")
        })
    }

    /// Returns the arguments of an announcement.
    fn announcement(&self, token: &[u8], port: u16) -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("info_hash", bytes(self.info_hash)),
            ("port", int(port.into())),
            ("token", bytes(token)),
        ]
    }

    /// Returns the peers that the second asker is given.
    fn given(&mut self) -> Result<Vec<SocketAddr>, Miss> {
        let askers = self.askers.clone();
        Ok(self.node.get_peers(&askers.nodes[1], self.info_hash)?.peers())
    }

    /// Insists that nothing was kept.
    fn kept_nothing(&mut self) -> Finding {
        let given = self.given()?;
        ensure(given.is_empty(), || {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            Miss::new("an announcement was refused, and yet kept")
                .instead("no values", given.join(", "))
        })
    }

    /// Announces with the first asker, and insists that the second is given this.
    fn announces(
        &mut self,
        arguments: &[(&str, Vec<u8>)],
        expected: SocketAddr,
        cause: &str,
    ) -> Finding {
        let askers = self.askers.clone();
        self.node.response(&askers.nodes[0], "announce_peer", arguments)?;
        let given = self.given()?;
        ensure(given == [expected], || {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            let found = if given.is_empty() { "no values".to_owned() } else { given.join(", ") };
            Miss::new("get_peers gives another list of peers")
                .instead(expected, found)
                .likely(cause)
        })
    }

    fn address(&self) -> SocketAddr {
        self.askers.address(0)
    }
}

pub fn token(scene: &mut Scene) -> Finding {
    let mut stage = Stage::set(scene)?;
    let first = stage.token(0)?;
    ensure(!first.is_empty(), || {
        Miss::new("the token is empty").likely("a token that anybody can guess proves nothing")
    })?;
    let (askers, info_hash) = (stage.askers.clone(), stage.info_hash);
    // Until its way in has answered, it knows nobody whom it could name.
    stage.node.until(|node| {
        let reply = node.get_peers(&askers.nodes[1], info_hash)?;
        Ok(ensure(reply.nodes().is_some(), || {
            Miss::new("the answer to get_peers has neither peers nor nodes")
                .instead("`nodes`, 26 bytes for each", krpc::shown(&reply.bytes))
                .likely("whoever asks goes on to nodes that are closer: name the eight closest")
        }))
    })?;
    let reply = stage.node.get_peers(&askers.nodes[1], info_hash)?;
    ensure(reply.get("values").is_none() || !reply.peers().is_empty(), || {
        Miss::new("`values` is there, and empty")
            .half()
            .likely("leave values out when there are no peers: some take the key for an answer")
    })
}

pub fn kept(scene: &mut Scene) -> Finding {
    let mut stage = Stage::set(scene)?;
    let token = stage.token(0)?;
    let arguments = stage.announcement(&token, stage.port);
    let expected = SocketAddr::new(stage.address().ip(), stage.port);
    stage.announces(
        &arguments,
        expected,
        "the peer is at the IP address that the datagram came from, and at the port in `port`",
    )
}

pub fn wrong(scene: &mut Scene) -> Finding {
    let mut stage = Stage::set(scene)?;
    let token = stage.token(0)?;
    let mut other = token.clone();
    other.iter_mut().for_each(|byte| *byte = !*byte);
    let askers = stage.askers.clone();
    for wrong in [other, Vec::new()] {
        let arguments = stage.announcement(&wrong, stage.port);
        stage.node.refuses(&askers.nodes[0], "announce_peer", &arguments, PROTOCOL).map_err(
            |miss| miss.likely("compare the token with the one that you gave to this address"),
        )?;
    }
    stage.kept_nothing()
}

pub fn stolen(scene: &mut Scene) -> Finding {
    let mut stage = Stage::set(scene)?;
    if stage.askers.address(0).ip() == stage.askers.address(1).ip() {
        // A system with one address on loopback: there is no other to steal from.
        return Ok(());
    }
    let token = stage.token(1)?;
    let askers = stage.askers.clone();
    let arguments = stage.announcement(&token, stage.port);
    stage
        .node
        .refuses(&askers.nodes[0], "announce_peer", &arguments, PROTOCOL)
        .map_err(|miss| {
            miss.likely("make the token of a secret and of the address that asks: a token proves that whoever announces can be reached there")
        })?;
    stage.kept_nothing()
}

pub fn implied(scene: &mut Scene) -> Finding {
    let mut stage = Stage::set(scene)?;
    let token = stage.token(0)?;
    let mut arguments = stage.announcement(&token, stage.port);
    arguments.push(("implied_port", int(1)));
    let expected = stage.address();
    stage.announces(
        &arguments,
        expected,
        "implied_port is 1: the port is that of the datagram, and `port` does not count",
    )
}

pub fn port_0(scene: &mut Scene) -> Finding {
    let mut stage = Stage::set(scene)?;
    let token = stage.token(0)?;
    let askers = stage.askers.clone();
    let arguments = stage.announcement(&token, 0);
    stage
        .node
        .refuses(&askers.nodes[0], "announce_peer", &arguments, PROTOCOL)
        .map_err(|miss| miss.likely("whoever would be given this peer could not dial it"))?;
    stage.kept_nothing()
}

pub fn many(scene: &mut Scene) -> Finding {
    let mut stage = Stage::set(scene)?;
    let crowd = askers(scene, ADDRESSES)?;
    let hash = stage.info_hash;
    let announce = |node: &mut Node, asker: &FakeNode| -> Finding {
        let Some(token) = node.get_peers(asker, hash)?.token() else { return Ok(()) };
        for number in 0..PORTS {
            let port = int((FIRST_PORT + number).into());
            let arguments = [("info_hash", bytes(hash)), ("port", port), ("token", bytes(&token))];
            node.response(asker, "announce_peer", &arguments)?;
        }
        Ok(())
    };
    crowd.nodes.iter().try_for_each(|asker| announce(&mut stage.node, asker))?;
    let askers = stage.askers.clone();
    let reply = stage.node.get_peers(&askers.nodes[1], hash)?;
    ensure(reply.bytes.len() <= MAX_DATAGRAM, || {
        Miss::new(format!("an answer has {} bytes", reply.bytes.len()))
            .instead(format!("{MAX_DATAGRAM} at most"), reply.bytes.len())
            .likely("a long datagram is cut into parts on the way, and lost with any of them: give some of the peers, at random")
    })?;
    let peers = reply.peers();
    ensure(peers.len() >= AT_LEAST, || {
        Miss::new(format!(
            "of {} peers, an answer names {}",
            ADDRESSES * usize::from(PORTS),
            peers.len()
        ))
        .instead(format!("{AT_LEAST} at least"), peers.len())
        .likely("there is room for some ninety peers of 6 bytes beside eight nodes")
    })
}

pub fn samples(scene: &mut Scene) -> Finding {
    let mut stage = Stage::set(scene)?;
    let token = stage.token(0)?;
    let askers = stage.askers.clone();
    let asker = &askers.nodes[0];
    let arguments = stage.announcement(&token, stage.port);
    stage.node.response(asker, "announce_peer", &arguments)?;
    let target = [("target", bytes(scene.dice.twenty()))];
    let reply = stage.node.ask(asker, "sample_infohashes", &target)?;
    if let Some((code, _)) = reply.error() {
        return ensure(code == UNKNOWN_METHOD, || {
            Miss::new("sample_infohashes was answered with an error")
                .instead("error 204, if your node does not have it", format!("error {code}"))
        });
    }
    let samples = reply.get("samples").and_then(string).unwrap_or_default();
    let has_it = samples.chunks(20).any(|sample| sample == stage.info_hash);
    ensure(has_it && samples.len().is_multiple_of(20), || {
        Miss::new("the samples do not have the info hash that was announced")
            .instead(hex::encode(stage.info_hash), krpc::shown(&reply.bytes))
            .likely("`samples` is one string, 20 bytes for each info hash; without BEP 51, say error 204")
    })?;
    let number = |key: &str| reply.get(key).and_then(Value::int);
    ensure(number("num") == Some(1), || {
        Miss::new("`num` is the number of info hashes that the node has")
            .instead(1, number("num").unwrap_or_default())
    })?;
    ensure(number("interval").is_some_and(|interval| (0..=21_600).contains(&interval)), || {
        Miss::new("`interval` says after how many seconds to ask again").instead(
            "0 to 21600",
            number("interval").map_or_else(|| "nothing".to_owned(), |number| number.to_string()),
        )
    })
}
