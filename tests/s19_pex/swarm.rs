//! In a swarm: who is named, who is dialed because of it, and when there is no peer exchange at all.

use super::super::support::{Gate, LIMIT, Must, Torrent, bencode, insist, insist_eq, wire};
use super::net::{EXTENDED, LITTLE, Net, Talk, US, magnet, plan, run};
use piecemeal::s04_handshake::transport::pair;
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::BoxError;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHandle};
use piecemeal::s15_swarm::{Event, Plan};
use piecemeal::s16_uploading::incoming::answer;
use piecemeal::s19_pex;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The plan with peer exchange.
pub(super) fn with_pex(mut plan: Plan) -> Plan {
    s19_pex::plug(&mut plan);
    plan
}

/// Says hello and that it speaks ut_pex as number 7. Returns our number for it, if we have one.
pub(super) fn greet(talk: &mut Talk, torrent: &Torrent) -> io::Result<Option<u8>> {
    talk.hello(EXTENDED, torrent)?;
    let (id, greeting) = talk.next()?;
    insist_eq!((id, greeting[0]), (20, 0), "our extension handshake is first");
    let names = bencode::dict(&[("ut_pex", bencode::int(7))]);
    talk.send(&wire::extended(0, &bencode::dict(&[("m", names)])))?;
    our_id(&greeting, "ut_pex")
}

/// Our number for an extension, from our extension handshake.
pub(super) fn our_id(greeting: &[u8], name: &str) -> io::Result<Option<u8>> {
    let (ours, _) = bencode::decode(&greeting[1..]).must("it is bencode")?;
    let id = ours.get("m").and_then(|m| m.get(name)).and_then(bencode::Value::int);
    Ok(id.and_then(|id| u8::try_from(id).ok()))
}

/// Waits until we have read all that the peer has said. Messages are read in order, so the answer to
/// one more is enough. The peer has introduced ut_metadata as 3, and `ours` is our number for it.
pub(super) fn is_read(talk: &mut Talk, ours: u8) -> io::Result<()> {
    talk.send(&wire::extended(ours, b"d8:msg_typei0e5:piecei0ee"))?;
    while talk.until(wire::EXTENDED)?.first() != Some(&3) {}
    Ok(())
}

/// Whether it is a message of peer exchange to a peer that [`greet`] has introduced.
pub(super) fn is_pex(id: u8, payload: &[u8]) -> bool {
    (id, payload.first()) == (wire::EXTENDED, Some(&7))
}

/// The next message of peer exchange that we get.
fn told(talk: &mut Talk) -> io::Result<Vec<u8>> {
    loop {
        let (id, payload) = talk.next()?;
        if is_pex(id, &payload) {
            return Ok(payload[1..].to_vec());
        }
    }
}

/// The addresses of one family, each as its 6 or 18 bytes.
fn packed(peers: &[SocketAddr], v4: bool) -> Vec<u8> {
    let pack = |peer: &SocketAddr| {
        let ip = match peer.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        [&ip[..], &peer.port().to_be_bytes()].concat()
    };
    peers.iter().filter(|peer| peer.is_ipv4() == v4).flat_map(pack).collect()
}

/// A message that names these.
pub(super) fn naming(peers: &[SocketAddr]) -> Vec<u8> {
    let [v4, v6] = [true, false].map(|v4| bencode::bytes(packed(peers, v4)));
    bencode::dict(&[("added", v4), ("added6", v6)])
}

/// A message that names one peer of IPv4, with these flags.
fn one(peer: SocketAddr, flags: u8) -> Vec<u8> {
    let list = bencode::bytes(packed(&[peer], true));
    bencode::dict(&[("added", list), ("added.f", bencode::bytes([flags]))])
}

pub(super) fn all(torrent: &Torrent) -> Vec<usize> {
    (0..torrent.pieces()).collect()
}

#[test]
fn a_peer_is_told_of_the_others() {
    let (net, torrent, told_of) = (Net::new(), Torrent::sample(), Gate::default());
    let seed = net.at(2);
    let (content, gate) = (torrent.clone(), told_of.clone());
    let first = net.peer(1, move |talk| {
        greet(talk, &content)?.must("we speak ut_pex")?;
        let message = told(talk)?;
        // We have dialed it. Whether it has said yet that it is a seed, only the two threads know.
        let expected = [0x10, 0x12].map(|flags| one(seed, flags));
        insist!(expected.contains(&message), "we name {message:02x?}");
        gate.open();
        talk.hold()
    });
    let content = torrent.clone();
    let second = net.peer(2, move |talk| {
        talk.hello(EXTENDED, &content)?;
        talk.has(&content, &all(&content))?;
        told_of.opens()?;
        talk.give(&content)
    });
    let ran = run(&net, with_pex(plan(&net, &torrent, &[first, second])), &torrent);
    ran.is_complete(&torrent);
}

/// A peer that has dialed us from this address.
struct Visitor<S>(SocketAddr, S);

impl<S: FnOnce(&mut Talk) -> io::Result<()> + Send + 'static> PeerSource for Visitor<S> {
    fn name(&self) -> String {
        "a visitor".to_owned()
    }

    fn run(self: Box<Self>, handle: SourceHandle) -> Result<(), BoxError> {
        let Visitor(from, script) = *self;
        let (mut ours, theirs) = pair(1 << 16, SocketAddr::from(([10, 0, 0, 1], 1)), from);
        let visitor = thread::spawn(move || {
            // An error is our hanging up, or the test misses what it waits for.
            let _ = script(&mut Talk::over(theirs));
        });
        ours.set_deadline(Instant::now() + LIMIT);
        let (incoming, hello) = (handle.incoming(), handle.incoming().handshake());
        let said = answer(&mut ours, &hello, incoming.names())?;
        incoming.met(Connection::new(ours, hello, said));
        visitor.join().map_err(|_| "its script panics".into())
    }
}

/// What a visitor says first: its handshake, and that it listens at this port. Returns once we have
/// read that.
fn knocks(talk: &mut Talk, torrent: &Torrent, id: u8, port: Option<u16>) -> io::Result<()> {
    talk.send(&wire::handshake(EXTENDED, torrent.info_hash, [id; 20]))?;
    talk.bytes(68)?;
    let greeting = talk.until(wire::EXTENDED)?;
    let names = bencode::dict(&[("ut_metadata", bencode::int(3)), ("ut_pex", bencode::int(7))]);
    let p = port.map(|port| ("p", bencode::int(port.into())));
    let keys: Vec<_> = [("m", names)].into_iter().chain(p).collect();
    talk.send(&wire::extended(0, &bencode::dict(&keys)))?;
    is_read(talk, our_id(&greeting, "ut_metadata")?.must("we speak it")?)
}

#[test]
fn a_peer_that_dials_us_is_named_by_the_port_at_which_it_listens_or_not_at_all() {
    let (net, torrent, named) = (Net::new(), Torrent::sample(), Gate::default());
    let (hidden, open) = (net.at(7), SocketAddr::new(net.at(8).ip(), 50_000));
    let listens = SocketAddr::new(open.ip(), 6_999);
    let (content, gate) = (torrent.clone(), named.clone());
    let (with_is_here, without_is_here) = (Gate::default(), Gate::default());
    let both = [with_is_here.clone(), without_is_here.clone()];
    let first = net.peer(1, move |talk| {
        // We could name both of them by now.
        both.iter().try_for_each(Gate::opens)?;
        greet(talk, &content)?.must("we speak ut_pex")?;
        let message = told(talk)?;
        // Nobody has dialed it, and it has no piece.
        insist_eq!(message, one(listens, 0), "only one of the two can be reached");
        gate.open();
        talk.has(&content, &all(&content))?;
        talk.give(&content)
    });
    let (content, named_too) = (torrent.clone(), named.clone());
    let without = Visitor(hidden, move |talk: &mut Talk| {
        knocks(talk, &content, 1, None)?;
        without_is_here.open();
        Ok(named_too.opens()?)
    });
    let (content, port) = (torrent.clone(), listens.port());
    let with = Visitor(open, move |talk: &mut Talk| {
        knocks(talk, &content, 2, Some(port))?;
        with_is_here.open();
        Ok(named.opens()?)
    });
    let mut plan = with_pex(plan(&net, &torrent, &[first]));
    plan.sources.push(Box::new(without));
    plan.sources.push(Box::new(with));
    run(&net, plan, &torrent).is_complete(&torrent);
}

#[test]
fn a_peer_at_an_ipv6_address_is_dialed_and_named() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let named = Gate::default();
    let far: SocketAddr = "[2001:db8::7]:6881".parse().expect("an address");
    let (content, is_named) = (torrent.clone(), named.clone());
    net.peer_at(far, move |talk| {
        talk.hello(EXTENDED, &content)?;
        is_named.opens()?;
        talk.has(&content, &all(&content))?;
        talk.give(&content)
    });
    let content = torrent.clone();
    let names = net.peer(1, move |talk| {
        let id = greet(talk, &content)?.must("we speak ut_pex")?;
        talk.send(&wire::extended(id, &naming(&[far])))?;
        let message = told(talk)?;
        let list = ("added6", bencode::bytes(packed(&[far], false)));
        insist_eq!(message, bencode::dict(&[list, ("added6.f", bencode::bytes([0x10]))]));
        named.open();
        talk.hold()
    });
    run(&net, with_pex(plan(&net, &torrent, &[names])), &torrent).is_complete(&torrent);
    assert_eq!(net.dials(far), 1);
}

#[test]
fn a_peer_that_another_names_is_dialed_also_before_there_is_an_info_dictionary() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let content = torrent.clone();
    let knows = net.peer(2, move |talk| {
        talk.give_info(&content)?;
        talk.hold()
    });
    let seed = net.seed(3, &torrent, 0..torrent.pieces());
    let content = torrent.clone();
    let names = net.peer(1, move |talk| {
        let id = greet(talk, &content)?.must("we speak ut_pex")?;
        talk.send(&wire::extended(id, &naming(&[knows, seed])))?;
        talk.hold()
    });
    run(&net, with_pex(magnet(&net, &torrent, &[names])), &torrent).is_complete(&torrent);
    assert_eq!((net.dials(knows), net.dials(seed)), (1, 1));
}

#[test]
fn a_peer_that_floods_us_fills_neither_the_book_nor_the_time() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let crowd: Vec<SocketAddr> = (0..300_u16)
        .map(|n| SocketAddr::from(([198, 18, (n >> 8) as u8, n as u8], 6881)))
        .collect();
    let (content, named) = (torrent.clone(), crowd.clone());
    let liar = net.peer(1, move |talk| {
        let id = greet(talk, &content)?.must("we speak ut_pex")?;
        talk.send(&wire::extended(id, &naming(&named[..150])))?;
        // All others come too soon, and half of them are no messages at all.
        for _ in 0..1_000 {
            talk.send(&wire::extended(id, &naming(&named[150..])))?;
            talk.send(&wire::extended(id, b"junk"))?;
        }
        talk.has(&content, &all(&content))?;
        talk.give(&content)
    });
    let ran = run(&net, with_pex(plan(&net, &torrent, &[liar])), &torrent);
    ran.is_complete(&torrent);
    let dialed = |part: &[SocketAddr]| part.iter().filter(|it| net.dials(**it) > 0).count();
    assert_eq!(dialed(&crowd[100..]), 0, "an IP can name a hundred");
    let soon = |event: &&Event| matches!(event, Event::PassedOver(peer, what) if *peer == liar && what.contains("less than 30 s"));
    let notes = ran.events.iter().filter(soon).count();
    assert!((1..=8).contains(&notes), "notes are counted: {:?}", ran.told());
    assert!(ran.left(liar).is_empty(), "none of it is a reason to hang up: {:?}", ran.told());
}

#[test]
fn services_of_this_machine_that_a_peer_names_are_not_dialed() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let near: Vec<SocketAddr> = ["127.0.0.1:6379", "127.0.0.1:22", "10.0.0.7:25", "192.0.2.7:0"]
        .map(|address| address.parse().expect("an address"))
        .to_vec();
    // Once this one is dialed, the others have been thought about.
    let heard = Gate::default();
    let gate = heard.clone();
    let decent = net.peer(2, move |_| {
        gate.open();
        Ok(())
    });
    let (content, named) = (torrent.clone(), [&near[..], &[decent]].concat());
    let meddler = net.peer(1, move |talk| {
        let id = greet(talk, &content)?.must("we speak ut_pex")?;
        talk.send(&wire::extended(id, &naming(&named)))?;
        heard.opens()?;
        talk.has(&content, &all(&content))?;
        talk.give(&content)
    });
    let ran = run(&net, with_pex(plan(&net, &torrent, &[meddler])), &torrent);
    ran.is_complete(&torrent);
    for address in near {
        assert_eq!(net.dials(address), 0, "{address}");
    }
    let said = |event: &&Event| matches!(event, Event::Source { name, what, .. } if name == "peer exchange" && what.contains("3 peers not dialed"));
    assert_eq!(ran.events.iter().filter(said).count(), 1, "{:?}", ran.told());
}

#[test]
fn we_find_out_once_that_an_address_is_our_own() {
    let (net, torrent, met) = (Net::new(), Torrent::sample(), Gate::default());
    let (content, gate) = (torrent.clone(), met.clone());
    let ourselves = net.peer(9, move |talk| {
        gate.open();
        talk.hello_as(EXTENDED, &content, US).map(drop)
    });
    // libtorrent and Transmission name ourselves to us. Two of them do.
    let names = |host: u8, gate: Option<Gate>| {
        let content = torrent.clone();
        net.peer(host, move |talk| {
            let id = greet(talk, &content)?.must("we speak ut_pex")?;
            if let Some(gate) = &gate {
                gate.opens()?;
            }
            talk.send(&wire::extended(id, &naming(&[ourselves])))?;
            if gate.is_none() {
                return talk.hold();
            }
            talk.has(&content, &all(&content))?;
            talk.give(&content)
        })
    };
    let (first, second) = (names(1, None), names(2, Some(met)));
    let ran = run(&net, with_pex(plan(&net, &torrent, &[first, second])), &torrent);
    ran.is_complete(&torrent);
    assert_eq!(net.dials(ourselves), 1, "{:?}", ran.told());
}

#[test]
fn a_peer_exchange_that_is_alone_is_no_reason_to_hope() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let mut plan = with_pex(plan(&net, &torrent, &[]));
    plan.sources.remove(0);
    run(&net, Plan { patience: LITTLE, ..plan }, &torrent).is_hopeless("");
    // Nothing keeps the swarm alive, once the source's thread has heard that it is over.
    let until = Instant::now() + LIMIT;
    while Arc::strong_count(&net) > 1 {
        assert!(Instant::now() < until, "somebody still has the swarm");
        thread::sleep(Duration::from_millis(1));
    }
}
