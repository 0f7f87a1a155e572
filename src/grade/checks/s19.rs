//! Stage 19: `pex_peers TORRENT HOST:PORT` prints the peers that a peer names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::actors::bencode::{self, Value, bytes, dict, int};
use crate::actors::line::{Heard, Line};
use crate::actors::wire;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::Miss;
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

const MESSAGE: &str = "BEP 11, messages";
const NUMBERS: &str = "BEP 10, extension messages";

/// How long the peer waits for the client's extension handshake.
const PATIENCE: Duration = Duration::from_secs(30);

/// The checks of stage 19.
pub const CHECKS: &[Check] = &[
    Check::new("19.1", "prints the peers that the peer has met", MESSAGE, added).points(2),
    Check::new("19.2", "says in its extension handshake that it speaks ut_pex", NUMBERS, offers),
    Check::new("19.3", "peers with IPv6 addresses, in added6", MESSAGE, added_v6),
    Check::new("19.4", "those that it has lost are not printed", MESSAGE, dropped),
    Check::new(
        "19.5",
        "a message with the peer's own extension id is not for you",
        NUMBERS,
        numbers,
    )
    .points(2),
    Check::new("19.6", "an empty message, and then one with peers", MESSAGE, empty_first),
    Check::new("19.7", "keep-alives, haves and others come in between", MESSAGE, between),
    Check::new("19.8", "keys that you do not know, and no flags", MESSAGE, unknown_keys),
    Check::new("19.9", "nobody listens at port 0", MESSAGE, port_0),
    Check::new(
        "19.10",
        "a peer that does not speak ut_pex: an error, in time",
        NUMBERS,
        not_spoken,
    )
    .refusal("19.1"),
    Check::new("19.11", "a peer that names nobody: an error, in time", MESSAGE, nobody)
        .refusal("19.1"),
];

/// What a peer sends once it has the client's extension handshake: the client's number for ut_pex,
/// and the peer's own, lead to the bytes.
type Then = Arc<dyn Fn(u8, u8) -> Vec<u8> + Send + Sync>;

/// Runs `pex_peers` with a peer that speaks ut_pex, or with one that does not; returns also the
/// number that the client has given the extension.
fn run(
    scene: &mut Scene,
    speaks: bool,
    then: impl Fn(u8, u8) -> Vec<u8> + Send + Sync + 'static,
) -> Result<(Outcome, Option<u8>), Miss> {
    let torrent = scene.torrent(3);
    let (peer_id, own) = (scene.dice.peer_id(), scene.dice.extension_id());
    let heard: Arc<Mutex<Option<u8>>> = Arc::default();
    let (then, hears, info_hash): (Then, _, _) = (Arc::new(then), heard.clone(), torrent.info_hash);
    let name = if speaks { "ut_pex" } else { "ut_metadata" };
    let script = move |line: &mut Line, _| {
        let Ok(_) = line.handshake(PATIENCE) else { return };
        let reserved = [0, 0, 0, 0, 0, wire::EXTENSION_BIT, 0, 0];
        let hello = dict(&[("m", dict(&[(name, int(own.into()))]))]);
        let first = [
            wire::handshake(reserved, info_hash, peer_id).to_vec(),
            wire::message(wire::BITFIELD, &wire::bitfield(&[true; 3])),
            wire::extended(0, &hello),
        ];
        let _ = line.send(&first.concat());
        let Some(number) = number_of_ut_pex(line) else { return };
        *hears.lock().unwrap_or_else(PoisonError::into_inner) = Some(number);
        let _ = line.send(&then(number, own));
        line.hold(PATIENCE);
    };
    let peer = scene.scripted(script)?.address();
    let file = scene.torrent_file(&torrent, "http://127.0.0.1:9/announce")?;
    let outcome = scene.run(&["pex_peers", &file, &peer.to_string()])?;
    let number = *heard.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((outcome, number))
}

/// Waits for the client's extension handshake. Returns its number for ut_pex.
fn number_of_ut_pex(line: &mut Line) -> Option<u8> {
    loop {
        match line.hear_within(PATIENCE) {
            Heard::Message(wire::EXTENDED, payload) if payload.first() == Some(&0) => {
                let (said, _) = bencode::decode(payload.get(1..)?)?;
                let number = said.get("m")?.get("ut_pex").and_then(Value::int)?;
                return u8::try_from(number).ok().filter(|number| *number > 0);
            }
            Heard::Closed | Heard::Silence => return None,
            Heard::Message(..) | Heard::KeepAlive => {}
        }
    }
}

/// Insists on these addresses, in any order.
fn prints(outcome: &Outcome, peers: &[SocketAddr]) -> Finding {
    let lines: Vec<String> = peers.iter().map(ToString::to_string).collect();
    outcome.prints_in_any_order(&lines)
}

/// The same, and gives the cause if one of the others was printed.
fn prints_but(
    outcome: &Outcome,
    peers: &[SocketAddr],
    others: &[SocketAddr],
    cause: &str,
) -> Finding {
    let printed = outcome.text();
    let is_other = |line: &str| others.iter().any(|other| line == other.to_string());
    let wrong = printed.lines().any(is_other);
    prints(outcome, peers).map_err(|miss| if wrong { miss.rather(cause) } else { miss })
}

/// Returns addresses of IPv4, or of IPv6.
fn peers(scene: &mut Scene, count: usize, v4: bool) -> Vec<SocketAddr> {
    let mut peer = || {
        let port = scene.dice.number(1_024, 65_535) as u16;
        let [low, high] = [(); 2].map(|()| scene.dice.number(1, 65_000) as u16);
        let ip = match v4 {
            true => IpAddr::from(Ipv4Addr::from_bits(198 << 24 | u32::from(high) << 8 | 7)),
            false => IpAddr::from([0x2001, 0xdb8, low, 0, 0, 0, high, 7]),
        };
        SocketAddr::new(ip, port)
    };
    (0..count).map(|_| peer()).collect()
}

/// Returns the addresses as a list has them.
fn packed(peers: &[SocketAddr]) -> Vec<u8> {
    let pack = |peer: &SocketAddr| {
        let ip = match peer.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        [ip, peer.port().to_be_bytes().to_vec()].concat()
    };
    peers.iter().flat_map(pack).collect()
}

/// Returns a message that names peers of IPv4, with flags.
fn naming(number: u8, peers: &[SocketAddr]) -> Vec<u8> {
    let flags = vec![0x10; peers.len()];
    let keys = [("added", bytes(packed(peers))), ("added.f", bytes(flags))];
    wire::extended(number, &dict(&keys))
}

fn added(scene: &mut Scene) -> Finding {
    let named = peers(scene, 3, true);
    let sent = named.clone();
    let (outcome, _) = run(scene, true, move |number, _| naming(number, &sent))?;
    prints(&outcome, &named).map_err(|miss| {
        miss.perhaps("six bytes for each peer: four of the address, and the port, high byte first")
    })
}

fn offers(scene: &mut Scene) -> Finding {
    let named = peers(scene, 1, true);
    let (_, number) = run(scene, true, move |number, _| naming(number, &named))?;
    number.map(|_| ()).ok_or_else(|| {
        Miss::new("your client's m does not offer ut_pex")
            .likely("a peer sends ut_pex messages only to a client that has given them a number")
    })
}

fn added_v6(scene: &mut Scene) -> Finding {
    let (four, six) = (peers(scene, 1, true), peers(scene, 2, false));
    let named = [four.clone(), six.clone()].concat();
    let (outcome, _) = run(scene, true, move |number, _| {
        let keys = [
            ("added", bytes(packed(&four))),
            ("added.f", bytes([0])),
            ("added6", bytes(packed(&six))),
            ("added6.f", bytes([0, 2])),
        ];
        wire::extended(number, &dict(&keys))
    })?;
    prints(&outcome, &named).map_err(|miss| {
        miss.perhaps("18 bytes for each peer in added6: 16 of the address, and the port")
    })
}

fn dropped(scene: &mut Scene) -> Finding {
    let (named, lost) = (peers(scene, 2, true), peers(scene, 2, true));
    let (sent, gone) = (named.clone(), lost.clone());
    let (outcome, _) = run(scene, true, move |number, _| {
        let keys = [
            ("added", bytes(packed(&sent))),
            ("added.f", bytes([0, 0])),
            ("dropped", bytes(packed(&gone))),
        ];
        wire::extended(number, &dict(&keys))
    })?;
    let cause = "dropped has the peers that the peer has lost: print those in added";
    prints_but(&outcome, &named, &lost, cause)
}

fn numbers(scene: &mut Scene) -> Finding {
    let (named, wrong) = (peers(scene, 2, true), peers(scene, 2, true));
    let (sent, strange) = (named.clone(), wrong.clone());
    let (outcome, _) = run(scene, true, move |number, own| {
        // The peer's own number is one that the client never gave.
        let own = if own == number { own ^ 0x40 } else { own };
        [naming(own, &strange), naming(number, &sent)].concat()
    })?;
    let cause = "the number in a message to you is the one that *you* gave ut_pex in your m";
    prints_but(&outcome, &named, &wrong, cause)
}

fn empty_first(scene: &mut Scene) -> Finding {
    let named = peers(scene, 2, true);
    let sent = named.clone();
    let (outcome, _) = run(scene, true, move |number, _| {
        [wire::extended(number, b"de"), naming(number, &sent)].concat()
    })?;
    prints(&outcome, &named)
        .map_err(|miss| miss.perhaps("a message may have no key at all: wait for the next one"))
}

fn between(scene: &mut Scene) -> Finding {
    let named = peers(scene, 2, true);
    let sent = named.clone();
    let (outcome, _) = run(scene, true, move |number, _| {
        let noise = [
            wire::message(wire::HAVE, &[0, 0, 0, 1]),
            vec![0; 4],
            wire::message(wire::UNCHOKE, &[]),
            wire::message(99, b"what is this?"),
        ];
        [noise.concat(), naming(number, &sent)].concat()
    })?;
    prints(&outcome, &named)
}

fn unknown_keys(scene: &mut Scene) -> Finding {
    let named = peers(scene, 3, true);
    let sent = named.clone();
    let (outcome, _) = run(scene, true, move |number, _| {
        let keys = [("a", int(7)), ("added", bytes(packed(&sent))), ("zz", dict(&[("a", int(1))]))];
        wire::extended(number, &dict(&keys))
    })?;
    prints(&outcome, &named).map_err(|miss| {
        miss.perhaps("added.f may be missing, and there may be keys that you do not know")
    })
}

fn port_0(scene: &mut Scene) -> Finding {
    let named = peers(scene, 2, true);
    let nobody: Vec<SocketAddr> =
        peers(scene, 1, true).into_iter().map(|peer| SocketAddr::new(peer.ip(), 0)).collect();
    let sent = [&nobody[..], &named].concat();
    let (outcome, _) = run(scene, true, move |number, _| naming(number, &sent))?;
    prints_but(&outcome, &named, &nobody, "a peer at port 0 cannot be dialed: leave it out")
}

fn not_spoken(scene: &mut Scene) -> Finding {
    run(scene, false, |_, _| Vec::new())?.0.refuses()
}

fn nobody(scene: &mut Scene) -> Finding {
    run(scene, true, |number, _| wire::extended(number, b"de"))?.0.refuses_after_a_wait()
}
