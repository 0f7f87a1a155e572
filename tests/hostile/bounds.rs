//! Strangers that fill everything they can, and try to fill more. `docs/design.md` has a table of
//! the limits, with the memory of fifty peers that are all at them.

use crate::support::bencode::{bytes, dict, int, list};
use crate::support::leech::{is_served, request};
use crate::support::{
    FakeTracker, LIMIT, Leech, Recipe, Run, Serving, Torrent, content, folder, wire,
};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The most that fifty peers may raise the peak of the memory, in KiB.
const GROWTH: u64 = 64 << 10;
const PEERS: usize = 50;
/// The longest message that is read.
const MAX_MESSAGE_LENGTH: usize = 128 << 10;
/// The most values of an extension handshake that are read.
const VALUES: usize = 1_000;
/// The most different requests that a peer may reject.
const REFUSED: usize = 2_000;
/// Metadata pieces of a torrent, and how often a peer may have each.
const METADATA_PIECES: usize = 64;
const TIMES: usize = 8;
const SUGGEST: u8 = 13;
const ALLOWED_FAST: u8 = 17;
/// Both the extension protocol and the fast extension.
const BOTH: [u8; 8] = [0, 0, 0, 0, 0, wire::EXTENSION_BIT, 0, wire::FAST_BIT];

/// Padding that makes an info dictionary of 1 MiB, with slightly fewer than `beside` other bytes.
fn padding(beside: usize) -> Vec<u8> {
    bytes(vec![b'x'; METADATA_PIECES * 16_384 - beside])
}

/// A torrent to give: 16 pieces of two blocks.
fn given() -> Torrent {
    Recipe::single("many.bin", 32_768, content(16 * 32_768, 91)).extra("zz", padding(1_000)).build()
}

/// A torrent to download that no peer has: 3,000 pieces of a block each.
fn wanted() -> Torrent {
    let (length, hashes) = (int(3_000 * 16_384), bytes(content(3_000 * 20, 95)));
    let pairs = [
        ("length", length),
        ("name", bytes("n")),
        ("piece length", int(16_384)),
        ("pieces", hashes),
        ("zz", padding(61_000)),
    ];
    Torrent::of_info(dict(&pairs), Vec::new(), 16_384)
}

/// An extension handshake with a name of 100 bytes for each id, and a note for each key.
fn greeting() -> Vec<u8> {
    let names: String = (1..255).map(|id| format!("100:{id:0>100}i{id}e")).collect();
    let names = format!("{names}11:ut_metadatai3e");
    let v = format!("100:{}", "\x1b".repeat(100));
    format!("d4:ipv40:4:ipv60:1:md{names}e13:metadata_size1:x1:p1:x4:reqq1:x11:upload_only1:x1:v{v}6:yourip0:e").into_bytes()
}

/// A message of the largest size: an extension handshake with this many values.
fn largest(values: usize) -> Vec<u8> {
    // The dictionary, the list and the padding also count as values.
    let list = format!("d1:al{}e", "0:".repeat(values - 3));
    let padding = vec![b'y'; MAX_MESSAGE_LENGTH - list.len() - 20];
    wire::extended(0, &[list.as_bytes(), b"1:b", &bytes(padding), b"e"].concat())
}

/// A peer that has everything but piece 0, and takes up as much memory as it can. It never reads
/// the last answers.
fn fills_everything(address: SocketAddr, torrent: &Torrent, pieces: u32) -> Leech {
    let mut leech = Leech::dial(address, torrent, BOTH).expect("it has a place");
    let has: Vec<bool> = (0..pieces).map(|piece| piece > 0).collect();
    leech.say(&wire::message(wire::BITFIELD, &wire::bitfield(&has)));
    leech.say(&wire::extended(0, &greeting()));
    for values in [VALUES, VALUES + 1, 60_000] {
        leech.say(&largest(values));
    }
    leech.fence();
    if torrent.content.is_empty() {
        refuses(&mut leech);
    } else {
        leech.wait_for_slot();
    }
    // Pieces that it suggests, and that it allows in spite of the choke.
    let advice = |id: u8| {
        (0..1_000).flat_map(move |number| wire::message(id, &(number % pieces).to_be_bytes()))
    };
    leech.say(&advice(SUGGEST).chain(advice(ALLOWED_FAST)).collect::<Vec<u8>>());
    let blocks = (0..500).flat_map(|number| request(number % pieces, 0, 16_384));
    leech.say(&blocks.chain(all_metadata()).collect::<Vec<u8>>());
    leech
}

/// As many requests for the info dictionary as are answered.
fn all_metadata() -> Vec<u8> {
    let request = |piece| wire::extended(1, format!("d8:msg_typei0e5:piecei{piece}ee").as_bytes());
    (0..METADATA_PIECES).flat_map(request).collect::<Vec<u8>>().repeat(TIMES)
}

/// Unchokes, rejects as many different requests as a peer may, and leaves the rest to others.
fn refuses(leech: &mut Leech) {
    let mut refused = HashSet::new();
    while refused.len() < REFUSED {
        // Each choke restarts the peer's time for a block.
        leech.say(&wire::message(wire::UNCHOKE, b""));
        let next = refused.len() + 100;
        while refused.len() < next {
            let (id, payload) = leech.hear();
            if id == wire::REQUEST {
                leech.say(&wire::message(wire::REJECT, &payload));
                refused.insert(payload);
            }
        }
        leech.say(&wire::message(wire::CHOKE, b""));
    }
}

/// Connects fifty of them, and returns the rise of the peak, in KiB, once that no longer changes
/// while `honest` is served. `None` if the system does not report it.
fn fifty_peers(
    serving: &Serving,
    torrent: &Torrent,
    pieces: u32,
    honest: impl Fn(),
) -> Option<u64> {
    let idle = serving.status("VmHWM")?;
    let all: Vec<Leech> = std::thread::scope(|scope| {
        let work = || fills_everything(serving.address, torrent, pieces);
        let running: Vec<_> = (0..PEERS).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("it is borne")).collect()
    });
    let until = Instant::now() + LIMIT;
    let mut peak = 0;
    while serving.status("VmHWM")? != peak {
        assert!(Instant::now() < until, "the peak goes on rising");
        peak = serving.status("VmHWM")?;
        honest();
    }
    drop(all);
    Some(peak - idle)
}

#[track_caller]
fn is_bounded(growth: Option<u64>) {
    let Some(growth) = growth else { return };
    eprintln!("fifty peers take {growth} KiB");
    assert!(growth < GROWTH, "fifty peers take {growth} KiB");
    // At least fifty of the largest messages: otherwise the peers were not at their limits.
    assert!(growth > (PEERS * MAX_MESSAGE_LENGTH) as u64 >> 10, "{growth} KiB only");
}

#[test]
fn fifty_peers_at_every_limit_take_less_than_64_mib_of_a_seed() {
    let (folder, torrent) = (folder(), given());
    let seed = Serving::seed(folder.path(), &torrent, ["--slots", "51", "--max-peers", "51"]);
    is_bounded(fifty_peers(&seed, &torrent, 16, || is_served(seed.address, &torrent)));
    seed.interrupt().done();
}

#[test]
fn fifty_peers_at_every_limit_take_less_than_64_mib_of_a_download() {
    let (folder, torrent) = (folder(), wanted());
    // While a tracker may still name a peer, the download waits.
    let tracker = FakeTracker::knowing(&[]);
    let run = Run::new(["download", "--max-peers", "51", "-o"]).arg(folder.path().join("out"));
    let download = Serving::start(
        run.arg(torrent.write(folder.path(), Some(&tracker.url()))),
        &folder.path().join("said"),
    );
    let honest = || drop(Leech::extended(download.address, &torrent).fence());
    is_bounded(fifty_peers(&download, &torrent, 3_000, honest));
    assert!(!download.interrupt().outcome.err().contains("panicked"));
}

#[test]
fn names_without_end_take_no_memory() {
    let (folder, torrent) = (folder(), Torrent::of_pieces(16, 92));
    let mut seed = Serving::seed(folder.path(), &torrent, ["-q"]);
    let idle = seed.status("VmHWM");
    let mut leech = Leech::extended(seed.address, &torrent);
    for number in 0..250 {
        let name = format!("{number:0>3}{}", "x".repeat(MAX_MESSAGE_LENGTH - 100));
        leech.say(&wire::extended(0, &[b"d1:md", &bytes(name)[..], b"i1eee"].concat()));
    }
    leech.fence();
    if let (Some(idle), Some(peak)) = (idle, seed.status("VmHWM")) {
        assert!(peak < idle + (8 << 10), "{idle} KiB before, {peak} KiB after 32 MiB of names");
    }
    // No real peer sends a longer message.
    for longer in [MAX_MESSAGE_LENGTH + 1, 1 << 20] {
        let mut leech = Leech::extended(seed.address, &torrent);
        leech.try_say(&[&(longer as u32).to_be_bytes()[..], &[wire::EXTENDED, 0]].concat());
        let why = format!(
            "a message of {longer} bytes is announced, at most {MAX_MESSAGE_LENGTH} are allowed"
        );
        seed.wait_for("left", |event| event["why"] == why.as_str());
    }
    is_served(seed.address, &torrent);
    seed.interrupt().done();
}

#[test]
fn a_peer_that_asks_and_does_not_read_yet_is_answered_in_full_once_it_does() {
    let (folder, torrent) = (folder(), given());
    let seed = Serving::seed(folder.path(), &torrent, ["-q"]);
    let mut leech = Leech::extended(seed.address, &torrent);
    leech.say(&wire::extended(0, b"d1:md11:ut_metadatai3eee"));
    leech.say(&wire::message(wire::INTERESTED, b""));
    // 8 MiB of answers, more than any system keeps for a connection.
    leech.say(&all_metadata());
    is_served(seed.address, &torrent);
    for piece in 0..TIMES * METADATA_PIECES {
        let head = format!("\x03d8:msg_typei1e5:piecei{}e10:total_size", piece % METADATA_PIECES);
        while !leech.until(wire::EXTENDED).starts_with(head.as_bytes()) {}
    }
    seed.interrupt().done();
}

#[test]
fn half_a_million_trackers_take_less_than_100_mib() {
    let folder = folder();
    let torrent = Torrent::of_pieces(4, 94);
    let file = folder.path().join("many.torrent");
    let tier = list(&vec![bytes("x://00"); 500_000]);
    std::fs::write(
        &file,
        dict(&[("announce-list", list(&[tier])), ("info", torrent.info.clone())]),
    )
    .expect("there is room");
    let mut run = Run::new(["download", "--no-lsd", "--timeout", "2", "-o"])
        .arg(folder.path().join("out"))
        .arg(&file)
        .start();
    let mut peak = None;
    while !run.is_over() {
        peak = run.status("VmHWM").or(peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    run.finish().fails(&[4]).mentions("499500 trackers too many");
    assert!(peak.is_none_or(|peak| peak < 100 << 10), "the peak is {peak:?} KiB");
}
