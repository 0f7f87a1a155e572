//! What `peers` makes of a tracker's answer.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::actors::bencode::{bytes, dict, int, list};
use crate::actors::tracker::{Reply, compact as six_bytes};
use crate::grade::check::Finding;
use crate::grade::checks::trackers::{peers, prints, was_asked};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

/// Runs `peers` with a tracker that answers like this.
fn ask(scene: &mut Scene, reply: Reply) -> Result<Outcome, Miss> {
    let tracker = scene.tracker(move |_, _| reply.clone())?;
    let torrent = scene.torrent(2);
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    let outcome = scene.run_bounded(&["peers", &file])?;
    was_asked(&tracker, &outcome)?;
    Ok(outcome)
}

/// Returns a few peers.
fn few(scene: &mut Scene) -> Vec<SocketAddr> {
    let count = scene.dice.length(3, 8);
    peers(&mut scene.dice, count)
}

pub fn compact(scene: &mut Scene) -> Finding {
    let there = few(scene);
    let outcome = ask(scene, Reply::peers(&there))?;
    prints(&outcome, &there).map_err(|miss| {
        miss.likely("peers is a string of bytes, and not of text: cut it into six bytes each")
    })
}

pub fn any_byte(scene: &mut Scene) -> Finding {
    let mut byte = || scene.dice.number(11, 31) as u8;
    let there = [
        SocketAddr::from(([10, byte(), 10, byte()], 0x0a0a)),
        SocketAddr::from(([byte(), 10, 13, byte()], 0x0d0a)),
        SocketAddr::from(([101, byte(), 58, byte()], 0x6565)),
        SocketAddr::from(([byte(), 0, 0, byte()], 0x0920)),
    ];
    let outcome = ask(scene, Reply::peers(&there))?;
    prints(&outcome, &there).map_err(|miss| {
        miss.perhaps(
            "cut by count: the dot of a regular expression does not match a newline, and stripping white space cuts a port short",
        )
    })
}

pub fn dictionaries(scene: &mut Scene) -> Finding {
    let there = few(scene);
    let of = |peer: &SocketAddr, id: Option<[u8; 20]>| {
        let mut pairs = vec![("ip", bytes(peer.ip().to_string()))];
        pairs.extend(id.map(|id| ("peer id", bytes(id))));
        pairs.push(("port", int(peer.port().into())));
        dict(&pairs)
    };
    // The peer id is left out where a client asks for that, and also where none did.
    let known: Vec<Vec<u8>> = (0..there.len())
        .map(|at| of(&there[at], (at % 2 == 0).then(|| scene.dice.peer_id())))
        .collect();
    let answer = dict(&[("interval", int(1800)), ("peers", list(&known))]);
    let outcome = ask(scene, Reply::Body(answer))?;
    prints(&outcome, &there).map_err(|miss| {
        miss.perhaps("the type of peers tells the two forms apart: a string, or a list")
    })
}

pub fn nobody(scene: &mut Scene) -> Finding {
    let outcome = ask(scene, Reply::peers(&[]))?;
    outcome
        .prints("")
        .map_err(|miss| miss.perhaps("the first client of a torrent finds nobody there"))
}

pub fn failure(scene: &mut Scene) -> Finding {
    let word = scene.dice.word(8);
    let outcome = ask(scene, Reply::failure(&format!("torrent {word} is not registered")))?;
    let likely = "the answer has the key `failure reason`: look for it before `peers`";
    outcome.refuses().map_err(|miss| miss.likely(likely))?;
    let told = String::from_utf8_lossy(&outcome.stderr).contains(&word);
    ensure(told, || {
        Miss::new("the tracker's reason is not on stderr")
            .instead(
                format!("\"torrent {word} is not registered\""),
                outcome.last_words().unwrap_or_default(),
            )
            .likely(likely)
            .half()
    })
}

pub fn peers6(scene: &mut Scene) -> Finding {
    let v4 = peers(&mut scene.dice, 2);
    let v6: Vec<SocketAddr> = peers(&mut scene.dice, 2)
        .iter()
        .map(|port| {
            let last: [u8; 4] = [0; 4].map(|_: u8| scene.dice.number(1, 255) as u8);
            let mut ip = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            ip[12..].copy_from_slice(&last);
            SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)), port.port())
        })
        .collect();
    let answer = dict(&[
        ("interval", int(1800)),
        ("peers", bytes(six_bytes(&v4))),
        ("peers6", bytes(six_bytes(&v6))),
    ]);
    let outcome = ask(scene, Reply::Body(answer))?;
    prints(&outcome, &[v4, v6].concat()).map_err(|miss| {
        miss.perhaps(
            "peers6 has 18 bytes for each peer; print such an address as [2001:db8::1]:6881",
        )
    })
}

/// Returns the body of a good answer that names these peers.
fn body(there: &[SocketAddr]) -> Vec<u8> {
    dict(&[("interval", int(1800)), ("peers", bytes(six_bytes(there)))])
}

pub fn newline(scene: &mut Scene) -> Finding {
    let there = few(scene);
    let answer = [&body(&there)[..], b"\n"].concat();
    let outcome = ask(scene, Reply::Body(answer))?;
    prints(&outcome, &there)
        .map_err(|miss| miss.perhaps("what follows the value is no reason to stop"))
}

pub fn cut(scene: &mut Scene) -> Finding {
    let there = peers(&mut scene.dice, 6);
    let mut six = six_bytes(&there);
    six.truncate(31);
    let answer = dict(&[("interval", int(1800)), ("peers", bytes(six))]);
    ask(scene, Reply::Body(answer))?
        .refuses()
        .map_err(|miss| miss.likely("31 is no multiple of 6: a part of the answer is missing"))
}

pub fn web_page(scene: &mut Scene) -> Finding {
    let page = b"<html><head><title>502 Bad Gateway</title></head></html>";
    ask(scene, Reply::Status(502, page.to_vec()))?
        .refuses()
        .map_err(|miss| miss.likely("an answer is a bencoded dictionary, and this one is not"))
}

pub fn silence(scene: &mut Scene) -> Finding {
    scene.within(7);
    ask(scene, Reply::Silence)?
        .refuses_after_a_wait()
        .map_err(|miss| miss.likely("give the request a time limit; many libraries have none"))
}

pub fn flood(scene: &mut Scene) -> Finding {
    ask(scene, Reply::Flood)
        .and_then(|outcome| outcome.refuses())
        .map_err(|miss| miss.likely("stop after a megabyte: no answer is longer"))
}

pub fn extras(scene: &mut Scene) -> Finding {
    let (there, word) = (few(scene), scene.dice.word(5));
    let answer = dict(&[
        ("complete", int(scene.dice.number(0, 900) as i64)),
        ("external ip", bytes(scene.dice.bytes(4))),
        ("extra", dict(&[("peers", list(&[int(-1), bytes(&word)]))])),
        ("peers", bytes(six_bytes(&there))),
        ("warning message", bytes(format!("this is no failure, {word}"))),
    ]);
    let outcome = ask(scene, Reply::Body(answer))?;
    prints(&outcome, &there).map_err(|miss| {
        miss.perhaps(
            "a warning is no failure, interval may be absent, and other keys are passed over",
        )
    })
}

pub fn slowly(scene: &mut Scene) -> Finding {
    let there = few(scene);
    let outcome = ask(scene, Reply::Slowly(body(&there)))?;
    prints(&outcome, &there).map_err(|miss| {
        miss.perhaps("one read is not the whole answer: read until the connection ends")
    })
}
