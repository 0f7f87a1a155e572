//! In a download: peers by the DHT alone, the `port` messages, and torrents of which the DHT never
//! hears.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use piecemeal::actors::dht::{FakeDht, NodePlan};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s15_swarm::{Event, Plan};
use piecemeal::s22_dht_node::Node;
use piecemeal::s22_dht_node::port::PortOffer;
use piecemeal::s22_dht_node::source::DhtSource;

use super::super::support::{Gate, Must, Recipe, Torrent, bencode, content, insist, wire};
use super::net::{SHORT, Wire, node, node_at};
use super::scripts::{EXTENDED, Net, PLAIN, magnet, plan, run};

fn torrent(private: bool) -> Torrent {
    let recipe = Recipe::single("t", 32 << 10, content(100_000, 2));
    let recipe = if private { recipe.extra("private", bencode::int(1)) } else { recipe };
    recipe.build()
}

/// A DHT of one node that knows these peers of the torrent, and a node of ours that knows it.
fn dht(torrent: &Torrent, peers: &[SocketAddr]) -> (FakeDht, Node) {
    let plan = NodePlan::new([1; 20]).having(torrent.info_hash, peers);
    let dht = FakeDht::mesh([plan]).expect("loopback has ports");
    let node = node_at([127, 0, 0, 1], &[dht.address(0)]);
    (dht, node)
}

#[test]
fn a_download_needs_nobody_but_the_dht() {
    for from_link in [false, true] {
        let (net, torrent) = (Net::new(), torrent(false));
        let content = torrent.clone();
        let peer = net.peer(1, move |talk| {
            match from_link {
                true => talk.give_info(&content)?,
                false => drop(talk.hello(PLAIN, &content)?),
            }
            talk.has(&content, &(0..content.pieces()).collect::<Vec<_>>())?;
            talk.give(&content)
        });
        let (dht, node) = dht(&torrent, &[peer]);
        let mut plan =
            if from_link { magnet(&net, &torrent, &[]) } else { plan(&net, &torrent, &[]) };
        plan.sources = vec![Box::new(DhtSource::new(node, InfoHash(torrent.info_hash), 7_777))];
        run(&net, plan, &torrent).is_complete(&torrent);
        assert!(!dht.nodes[0].queries_of("get_peers").is_empty());
    }
}

#[test]
fn the_dht_never_hears_of_a_private_torrent() {
    let (net, torrent) = (Net::new(), torrent(true));
    let seed = net.seed(1, &torrent, 0..torrent.pieces());
    let stranger = net.seed(2, &torrent, 0..torrent.pieces());
    let (dht, node) = dht(&torrent, &[stranger]);
    let mut plan = plan(&net, &torrent, &[seed]);
    plan.sources.push(Box::new(DhtSource::new(node, InfoHash(torrent.info_hash), 7_777)));
    let ran = run(&net, plan, &torrent);
    ran.is_complete(&torrent);
    assert!(dht.nodes[0].queries_of("get_peers").is_empty());
    assert_eq!(net.dials(stranger), 0);
    let said = ran.events.iter().any(|event| {
        matches!(event, Event::Source { name, what, .. }
            if name == "the DHT (IPv4)" && what.contains("private"))
    });
    assert!(said, "the user can read why: {:?}", ran.told());
}

/// A plan whose peers hear of a node.
fn with_port(mut plan: Plan, node: &Node) -> Plan {
    let watch = Arc::clone(&plan.watch);
    let nodes = vec![(node.handle().clone(), node.address())];
    plan.extensions.push(Arc::new(PortOffer::new(nodes, move || watch.is_private())));
    plan
}

const DHT: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];

#[test]
fn peers_that_both_have_a_node_tell_each_other_its_port() {
    for (theirs, private) in [(DHT, false), (PLAIN, false), (DHT, true)] {
        let (net, torrent, node) = (Net::new(), torrent(private), node());
        let ours = node.address().port();
        let content = torrent.clone();
        let seed = net.peer(1, move |talk| {
            let hello = talk.hello(theirs, &content)?;
            insist!(hello[27] & 1 == 1, "the last reserved bit says that we have a node");
            talk.has(&content, &(0..content.pieces()).collect::<Vec<_>>())?;
            talk.unchoke()?;
            let mut told = Vec::new();
            let asked = loop {
                match talk.next()? {
                    (9, payload) => told.push(payload),
                    (wire::REQUEST, payload) => break wire::three(&payload),
                    _ => {}
                }
            };
            let expected =
                if theirs == DHT && !private { vec![ours.to_be_bytes().to_vec()] } else { vec![] };
            insist!(told == expected, "the port messages are {told:?}, not {expected:?}");
            talk.block(&content, asked.must("a request has three numbers")?)?;
            talk.give(&content)
        });
        run(&net, with_port(plan(&net, &torrent, &[seed]), &node), &torrent).is_complete(&torrent);
    }
}

#[test]
fn a_port_that_a_peer_names_is_asked_at_the_peers_own_address_and_once() {
    let (net, torrent, node) = (Net::new(), torrent(false), node());
    let wire = Wire::new();
    let port = wire.address().port();
    let content = torrent.clone();
    let heard = Gate::default();
    let is_heard = heard.clone();
    let peer = net.peer_at(SocketAddr::from(([127, 0, 0, 1], 7_001)), move |talk| {
        talk.hello(EXTENDED, &content)?;
        talk.has(&content, &(0..content.pieces()).collect::<Vec<_>>())?;
        for port in [0, port, port, port] {
            talk.send(&wire::message(9, &u16::to_be_bytes(port)))?;
        }
        is_heard.opens()?;
        talk.give(&content)
    });
    let plan = with_port(plan(&net, &torrent, &[peer]), &node);
    let asked = thread::spawn(move || {
        let ping = wire.question("ping");
        wire.send(
            &node,
            &super::net::join(&[
                b"d1:rd2:id20:abcdefghij0123456789e1:t2:",
                &ping.transaction,
                b"1:y1:re",
            ]),
        );
        super::net::wait_for(&node, "a place in the table", |status| status.counts.nodes == 1);
        heard.open();
        assert_eq!(wire.receive(SHORT.max(Duration::from_millis(1))), None, "it is asked once");
    });
    run(&net, plan, &torrent).is_complete(&torrent);
    asked.join().expect("the node asks");
}
