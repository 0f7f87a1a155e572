//! Stage 15: `download -o OUT TORRENT` and `magnet_download -o OUT LINK` fetch from many peers at
//! once.

mod content;
pub(super) mod giver;
mod later;
mod speed;
mod trouble;

use std::net::SocketAddr;
use std::path::Path;

use crate::actors::torrent::{Recipe, Torrent};
use crate::actors::wire;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;
pub(super) use content::is_whole;

const MESSAGES: &str = "BEP 3, peer messages";
const PEERS: &str = "BEP 3, peer protocol";
const CONTRACT: &str = "your-own-client";

/// The name of the output in the folder of a check.
pub(super) const OUT: &str = "out.bin";

/// How long a download may take. Most clients give a peer up after some seconds.
const SECONDS: u64 = 15;

/// The checks of stage 15.
pub const CHECKS: &[Check] = &[
    Check::new("15.1", "all of a torrent, from three seeds", MESSAGES, everything)
        .points(2)
        .twin("download the whole file"),
    Check::new("15.2", "two peers with a part each: neither has it all", MESSAGES, two_parts)
        .points(2),
    Check::new("15.3", "a peer that dies in the middle: another goes on", PEERS, trouble::one_dies)
        .points(2),
    Check::new(
        "15.4",
        "a peer that lies: its piece comes from another",
        MESSAGES,
        trouble::one_lies,
    )
    .points(2),
    Check::new("15.5", "a peer that says nothing holds nobody up", PEERS, trouble::one_is_silent),
    Check::new("15.6", "a peer that never unchokes keeps no piece", MESSAGES, trouble::one_chokes),
    Check::new("15.7", "three peers are at least 1.8 times as fast as one", MESSAGES, speed::ratio)
        .points(2)
        .alone(),
    Check::new("15.8", "one connection brings many pieces", PEERS, one_connection),
    Check::new("15.9", "several files in folders", "BEP 3, info dictionary", folders).points(2),
    Check::new("15.10", "stopped and started: only the rest is fetched", MESSAGES, later::resumed),
    Check::new("15.11", "a piece that a peer gets only later, by `have`", MESSAGES, later::rare),
    Check::new("15.12", "the last block is with a slow peer", "BEP 3, end game", later::end_game),
    Check::new("15.13", "magnet_download: all of a torrent, from a link", "BEP 9", magnet)
        .points(2)
        .twin("download the whole file (magnet links)"),
    Check::new("15.14", "a peer that falls silent inside a piece", PEERS, trouble::falls_silent),
    Check::new("15.15", "the last of many addresses is the one that answers", PEERS, last_address),
    Check::new("15.16", "the tracker hears that it is complete", "BEP 3, trackers", completed),
    Check::new("15.17", "an output that cannot be written is an error", CONTRACT, no_place)
        .refusal("15.1"),
];

/// Downloads a torrent from these peers, which a tracker names.
fn fetch(scene: &mut Scene, torrent: &Torrent, peers: &[SocketAddr]) -> Finding {
    let tracker = scene.tracker_of(peers)?;
    let file = scene.torrent_file(torrent, &tracker.url())?;
    let outcome = download(scene, &file)?;
    fetched(scene, torrent, &outcome)
}

/// Runs `download` to its end.
pub(super) fn download(scene: &mut Scene, torrent_file: &str) -> Result<Outcome, Miss> {
    scene.within(SECONDS);
    scene.run(&["download", "-o", &shown(&scene.path(OUT)), torrent_file])
}

/// Insists on success, and on all of the content in the output file.
fn fetched(scene: &Scene, torrent: &Torrent, outcome: &Outcome) -> Finding {
    outcome.succeeds()?;
    is_whole(torrent, &scene.output(OUT)?)
}

/// Returns a path as an argument.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn everything(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(4, 7);
    let torrent = scene.torrent(pieces);
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(scene.seed(&torrent)?.address());
    }
    fetch(scene, &torrent, &peers)
}

fn two_parts(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(6, 9);
    let torrent = scene.torrent(pieces);
    // The last two are sure to be with different peers.
    let mut owners: Vec<bool> = (2..pieces).map(|_| scene.dice.coin()).collect();
    owners.extend([true, false]);
    let mut peers = Vec::new();
    for owner in [true, false] {
        let part = (0..pieces).filter(|piece| owners[*piece] == owner);
        let plan = scene.plan(&torrent).only(part);
        peers.push((owner, scene.peer(plan)?));
    }
    let addresses: Vec<SocketAddr> = peers.iter().map(|(_, peer)| peer.address()).collect();
    let finding = fetch(scene, &torrent, &addresses);
    let cause = "each peer's bitfield says which pieces it has: ask it for no other, and give a \
                 piece that it lacks to somebody else";
    for (owner, peer) in peers {
        let asked: Vec<_> = peer.talks().iter().flat_map(|talk| talk.requests()).collect();
        let lacking = asked.iter().find(|(piece, ..)| owners.get(*piece as usize) != Some(&owner));
        if let Some((piece, ..)) = lacking {
            return Err(Miss::new(format!("a peer was asked for piece {piece}, which it lacks"))
                .likely(cause));
        }
    }
    finding.map_err(|miss| miss.perhaps(cause))
}

fn one_connection(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(12);
    let seed = scene.seed(&torrent)?;
    fetch(scene, &torrent, &[seed.address()])?;
    let useful = seed.talks().iter().filter(|talk| talk.blocks > 0).count();
    ensure(useful <= 2, || {
        Miss::new(format!(
            "{} pieces came from one peer over {useful} connections",
            torrent.pieces()
        ))
        .instead("one connection, or two", useful)
        .likely("a connection is good for all pieces: one handshake, one bitfield, one unchoke")
    })
}

fn folders(scene: &mut Scene) -> Finding {
    let [folder, name, inner] = [5, 7, 9].map(|length| scene.dice.word(length));
    let lengths = [(20_000, 60_000), (1, 40), (0, 0), (30_000, 90_000)];
    let names = [format!("{name}.txt"), format!("{folder}/{name}"), format!("{folder}/empty"), {
        format!("{folder}/{inner}/{name}.dat")
    }];
    let files: Vec<(&str, Vec<u8>)> = names
        .iter()
        .zip(lengths)
        .map(|(name, (low, high))| {
            let length = scene.dice.length(low, high);
            (name.as_str(), scene.dice.bytes(length))
        })
        .collect();
    let torrent = Recipe::files(scene.dice.word(8), 32_768, &files).build();
    let seed = scene.seed(&torrent)?;
    let tracker = scene.tracker_of(&[seed.address()])?;
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    scene.within(SECONDS);
    scene.run(&["download", "-o", &shown(&scene.path("out")), &file])?.succeeds()?;
    for (name, content) in &files {
        let found = scene.output(&format!("out/{name}")).map_err(|miss| {
            miss.detail(format!("expected OUT/{name}")).likely(
                "OUT is the folder: each file is at OUT and its `path`, and folders in between are \
                 made",
            )
        })?;
        let place = found.iter().zip(content).take_while(|(found, byte)| found == byte).count();
        ensure(found == *content, || {
            Miss::new(format!("OUT/{name} differs at byte {place}"))
                .instead(format!("{} bytes", content.len()), format!("{} bytes", found.len()))
                .likely(
                    "pieces run over all files as if they were one: a piece may end in one file \
                     and go on in the next",
                )
        })?;
    }
    Ok(())
}

fn magnet(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(5);
    let plans = [scene.plan(&torrent), scene.plan(&torrent)];
    let ids = [plans[0].metadata_id, plans[1].metadata_id];
    let [first, second] = plans.map(|plan| scene.peer(plan));
    let seeds = [first?, second?];
    let tracker = scene.tracker_of(&[seeds[0].address(), seeds[1].address()])?;
    let link = torrent.magnet(&[&tracker.url()]);
    scene.within(SECONDS);
    let outcome = scene.run(&["magnet_download", "-o", &shown(&scene.path(OUT)), &link])?;
    fetched(scene, &torrent, &outcome).map_err(|miss| {
        let asked = seeds.iter().zip(ids).find_map(|(seed, id)| {
            let talks = seed.talks();
            let mut messages = talks.iter().flat_map(|talk| &talk.messages);
            let wrong = messages.find(|message| {
                message.id == Some(wire::EXTENDED)
                    && !matches!(message.payload[..], [0, ..])
                    && message.payload.first() != Some(&id)
            });
            wrong.map(|message| (id, message.payload.first().copied().unwrap_or_default()))
        });
        match asked {
            None => miss,
            Some((id, found)) => miss.likely(format!(
                "the request for metadata has the id {found}; this peer's extension handshake says \
                 that it wants it under {id}"
            )),
        }
    })
}

fn last_address(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(4);
    let mut peers = Vec::new();
    for _ in 0..20 {
        peers.push(trouble::nobody(scene)?);
    }
    let seed = scene.seed(&torrent)?;
    peers.push(seed.address());
    fetch(scene, &torrent, &peers).map_err(|miss| match &seed.recordings()[..] {
        [] => miss.likely(
            "20 of the 21 addresses that the tracker named refuse a connection: a peer that cannot \
             be reached is normal, and the next one is tried",
        ),
        _ => miss,
    })
}

fn completed(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(4);
    let seed = scene.seed(&torrent)?;
    let tracker = scene.tracker_of(&[seed.address()])?;
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    let outcome = download(scene, &file)?;
    fetched(scene, &torrent, &outcome)?;
    let asked = tracker.asked();
    let mut query =
        asked.iter().map(|target| target.split_once('?').map_or("", |(_, query)| query));
    let last = query.rfind(|query| query.split('&').any(|pair| pair == "event=completed"));
    let last = last.ok_or_else(|| {
        let miss = Miss::new("the tracker never heard event=completed");
        miss.detail(format!("number of announces: {}", asked.len()))
            .likely("announce once more when the last piece is there, with event=completed")
    })?;
    let left = last.split('&').find_map(|pair| pair.strip_prefix("left=")).unwrap_or("nothing");
    ensure(left == "0", || {
        Miss::new("event=completed came with something left")
            .instead("left=0", format!("left={left}"))
            .likely("`left` is the number of bytes that are still missing at that moment")
    })
}

fn no_place(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(4);
    let seed = scene.seed(&torrent)?;
    let tracker = scene.tracker_of(&[seed.address()])?;
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    // A file cannot be a folder, not even for root.
    let place = format!("{}/{OUT}", scene.file("occupied", "a file")?);
    scene.within(SECONDS);
    scene.run(&["download", "-o", &place, &file])?.refuses()
}
