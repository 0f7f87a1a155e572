//! Stage 20: `lsd_peers --bind IP TORRENT` prints who in this room has the torrent.

use std::net::SocketAddr;

use crate::actors::bencode::{bytes, dict, int};
use crate::actors::torrent::{Recipe, Torrent, sha1};
use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::room::{NETWORK, Neighbor};
use crate::grade::scene::Scene;

const SEARCH: &str = "BEP 14, BT-SEARCH";
const PRIVATE: &str = "BEP 27";
/// Nobody listens there, and nobody has to.
const ANNOUNCE: &str = "http://127.0.0.1:9/announce";
/// The check with a good neighbor.
const GOOD: &str = "20.1";

/// The checks of stage 20.
pub const CHECKS: &[Check] = &[
    Check::new("20.1", "prints a neighbor that has the torrent", SEARCH, neighbor).points(2),
    Check::new("20.2", "sends a BT-SEARCH of its own to the group", SEARCH, search).points(2),
    Check::new("20.3", "does not print itself", SEARCH, itself),
    Check::new("20.4", "who has another torrent is not printed", SEARCH, others),
    Check::new("20.5", "the info hash in upper case, and behind others", SEARCH, loose_hash),
    Check::new("20.6", "headers in any case and order, and one empty line", SEARCH, loose_headers),
    Check::new("20.7", "a neighbor that repeats itself is printed once", SEARCH, twice),
    Check::new("20.8", "a datagram that was cut, or has no port, is passed over", SEARCH, broken),
    Check::new("20.9", "garbage, and a datagram with a thousand hashes", SEARCH, garbage),
    Check::new("20.10", "a private torrent is refused, and nothing is sent", PRIVATE, private)
        .refusal(GOOD),
    Check::new("20.11", "nobody has it: an error, in time", SEARCH, nobody).refusal(GOOD),
];

/// Returns a torrent that nobody else in the group has, not even the same check beside this one,
/// with the same seed: otherwise their clients would find each other. A hash with the end of a line
/// in it looks like a command to some services, and careful clients dial nobody with it.
fn torrent(scene: &mut Scene) -> Torrent {
    loop {
        let name = format!("{:016x}.bin", rand::random::<u64>());
        let torrent = Recipe::single(name, 32_768, scene.dice.bytes(40_000)).build();
        if !torrent.info_hash.contains(&b'\n') && !torrent.info_hash.contains(&b'\r') {
            return torrent;
        }
    }
}

/// Returns a BT-SEARCH with these headers behind `Host`.
fn with(headers: &str) -> Vec<u8> {
    format!("BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\n{headers}\r\n\r\n").into_bytes()
}

/// Returns the datagram of a neighbor with one torrent, as aria2 sends it.
fn plain(port: u16, hash: &str) -> Vec<u8> {
    with(&format!("Port: {port}\r\nInfohash: {hash}\r\n"))
}

/// What a neighbor says, given its port and the torrent's info hash.
type Says = fn(u16, &str) -> Vec<u8>;

/// A run of `lsd_peers` in a room.
struct Ran {
    outcome: Outcome,
    /// The neighbors, as they are printed.
    addresses: Vec<String>,
    /// What the client has sent.
    heard: Vec<Vec<u8>>,
}

/// Runs `lsd_peers` in a room in which neighbors say this, each from an address of its own.
fn run(scene: &mut Scene, says: &[Says]) -> Result<Ran, Miss> {
    let torrent = torrent(scene);
    let file = scene.torrent_file(&torrent, ANNOUNCE)?;
    let (mut addresses, mut neighbors) = (Vec::new(), Vec::new());
    for says in says {
        let (ip, port) = (scene.host(), scene.dice.number(1_024, 65_535) as u16);
        addresses.push(SocketAddr::new(ip, port).to_string());
        neighbors.push(Neighbor { ip, says: says(port, &torrent.hex()) });
    }
    let room = scene.room(&torrent.hex(), neighbors)?;
    let outcome = scene.run(&["lsd_peers", "--bind", &NETWORK.to_string(), &file])?;
    Ok(Ran { outcome, addresses, heard: room.heard() })
}

/// Runs it with one good neighbor and others, of which none is to be printed. `cause` is why they
/// may have been, if the good one is there.
fn only_the_first(scene: &mut Scene, others: &[Says], cause: &str) -> Finding {
    let says = [&[plain as Says], others].concat();
    let Ran { outcome, addresses, .. } = run(scene, &says)?;
    let good = addresses.get(..1).unwrap_or_default();
    outcome.prints_in_any_order(good).map_err(|miss| {
        let is_there = outcome.text().lines().any(|line| good.iter().any(|good| good == line));
        if outcome.succeeds().is_ok() && is_there { miss.rather(cause) } else { miss }
    })
}

fn neighbor(scene: &mut Scene) -> Finding {
    let Ran { outcome, addresses, heard } = run(scene, &[plain])?;
    let text = outcome.succeeds()?.text();
    let wanted = addresses.first().map_or("", String::as_str);
    ensure(text.lines().any(|line| line == wanted), || {
        let found = text.lines().next().unwrap_or("nothing");
        let miss = Miss::new("the neighbor is not on stdout")
            .instead(format!("\"{wanted}\""), format!("\"{found}\""));
        if heard.is_empty() {
            miss.perhaps("join the group on the network of --bind, here 127.0.0.1, and let others use port 6771, too (SO_REUSEADDR)")
        } else {
            miss.perhaps("the IP address is the one that the datagram came from, and the port is the one in its text")
        }
    })
}

fn search(scene: &mut Scene) -> Finding {
    let heard = run(scene, &[plain])?.heard;
    let Some(datagram) = heard.first() else {
        return Err(Miss::new("your client has sent no datagram with the info hash to the group")
            .likely("send it to 239.192.152.143, port 6771, out of the network of --bind"));
    };
    let text = String::from_utf8_lossy(datagram);
    let lines: Vec<&str> = text.split("\r\n").collect();
    let first = lines.first().copied().unwrap_or_default();
    ensure(first == "BT-SEARCH * HTTP/1.1", || {
        Miss::new("the first line of your datagram is another one")
            .instead("BT-SEARCH * HTTP/1.1", first)
    })?;
    let value = |name: &str| {
        let mut headers = lines.iter().filter_map(|line| line.split_once(':'));
        headers
            .find(|(header, _)| header.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    };
    let missing = |name: &str| Miss::new(format!("your datagram has no {name}"));
    let host = value("Host").ok_or_else(|| missing("Host"))?;
    ensure(host == "239.192.152.143:6771", || {
        Miss::new("the Host of your datagram is not the group")
            .instead("239.192.152.143:6771", host.as_str())
    })?;
    let port = value("Port").ok_or_else(|| missing("Port"))?;
    ensure(port.parse::<u16>().is_ok_and(|port| port > 0), || {
        Miss::new("the Port of your datagram is none").instead("1 to 65535", port.as_str())
    })?;
    value("Infohash").ok_or_else(|| missing("Infohash"))?;
    ensure(text.ends_with("\r\n\r\n"), || {
        Miss::new("your datagram does not end with an empty line")
            .likely("without it, whoever reads it takes it for one that was cut on the way")
    })
}

fn itself(scene: &mut Scene) -> Finding {
    let cause = "what you send to the group comes back to you: a cookie tells yours apart";
    only_the_first(scene, &[], cause)
}

fn others(scene: &mut Scene) -> Finding {
    let cause = "everybody in the room is heard: compare the info hash";
    only_the_first(scene, &[|port, _| plain(port, &"a".repeat(40))], cause)
}

fn loose_hash(scene: &mut Scene) -> Finding {
    let behind = |port: u16, hash: &str| {
        let other = "b".repeat(40);
        with(&format!("Port: {port}\r\nInfohash: {other}\r\nInfohash: {hash}\r\n"))
    };
    let ran = run(scene, &[|port, hash| plain(port, &hash.to_uppercase()), behind])?;
    ran.outcome.prints_in_any_order(&ran.addresses).map_err(|miss| {
        miss.perhaps("Transmission writes upper case, and one datagram may name several torrents")
    })
}

fn loose_headers(scene: &mut Scene) -> Finding {
    let odd = |port: u16, hash: &str| {
        format!(
            "BT-SEARCH * HTTP/1.1\r\nINFOHASH:{hash}\r\nX-New: 1\r\ncookie: 7\r\nport:  {port}\r\n\r\n"
        )
        .into_bytes()
    };
    let ran = run(scene, &[plain, odd])?;
    ran.outcome.prints_in_any_order(&ran.addresses)
}

fn twice(scene: &mut Scene) -> Finding {
    let torrent = torrent(scene);
    let file = scene.torrent_file(&torrent, ANNOUNCE)?;
    let (ip, port) = (scene.host(), scene.dice.number(1_024, 65_535) as u16);
    let same = || Neighbor { ip, says: plain(port, &torrent.hex()) };
    let _room = scene.room(&torrent.hex(), vec![same(), same(), same()])?;
    let outcome = scene.run(&["lsd_peers", "--bind", &NETWORK.to_string(), &file])?;
    outcome.prints_in_any_order(&[SocketAddr::new(ip, port).to_string()]).map_err(|miss| {
        miss.perhaps("a datagram may be lost, so clients send theirs several times at the start")
    })
}

fn broken(scene: &mut Scene) -> Finding {
    let cut = |port: u16, hash: &str| {
        let whole = plain(port, hash);
        whole.get(..whole.len() - 4).unwrap_or_default().to_vec()
    };
    let says: [Says; 5] = [
        cut,
        |_, hash| with(&format!("Infohash: {hash}\r\n")),
        |_, hash| with(&format!("Port: 0\r\nInfohash: {hash}\r\n")),
        |_, hash| with(&format!("Port: 70000\r\nInfohash: {hash}\r\n")),
        |port, hash| plain(port, hash.get(2..).unwrap_or_default()),
    ];
    only_the_first(scene, &says, "a datagram that breaks one rule is passed over as a whole")
}

fn garbage(scene: &mut Scene) -> Finding {
    let says: [Says; 4] = [
        |port, hash| {
            let hashes = format!("Infohash: {hash}\r\n").repeat(1_000);
            with(&format!("Port: {port}\r\n{hashes}"))
        },
        |port, hash| {
            let headers = format!("Port: {port}\r\nInfohash: {hash}\r\n");
            format!("M-SEARCH * HTTP/1.1\r\n{headers}\r\n\r\n").into_bytes()
        },
        |_, hash| [&[0xff, 0xfe, 0][..], hash.as_bytes()].concat(),
        |_, _| Vec::new(),
    ];
    only_the_first(scene, &says, "BEP 14 allows 1,400 bytes, and anybody may send anything")
}

fn private(scene: &mut Scene) -> Finding {
    let keys = [
        ("length", int(1)),
        ("name", bytes(format!("{:016x}", rand::random::<u64>()))),
        ("piece length", int(16_384)),
        ("pieces", bytes(scene.dice.twenty())),
        ("private", int(1)),
    ];
    let info = dict(&keys);
    let file = scene
        .file("private.torrent", dict(&[("announce", bytes(ANNOUNCE)), ("info", info.clone())]))?;
    let room = scene.room(&hex::encode(sha1(&info)), Vec::new())?;
    let outcome = scene.run(&["lsd_peers", "--bind", &NETWORK.to_string(), &file])?;
    ensure(room.heard().is_empty(), || {
        Miss::new("your client told the room of a private torrent")
            .likely("`private` is 1 in its info: only its trackers may name peers")
    })?;
    outcome.refuses_silently()
}

fn nobody(scene: &mut Scene) -> Finding {
    run(scene, &[|port, _| plain(port, &"c".repeat(40))])?.outcome.refuses_after_a_wait()
}
