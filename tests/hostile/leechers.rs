//! `seed` among leechers that misbehave. Each time an honest one is served meanwhile, and gets
//! every byte right.

use crate::all_at_once;
use crate::support::leech::{is_served, peer_id, request};
use crate::support::{
    FakeTracker, Heard, LIMIT, Leech, Reply, Run, Serving, Torrent, folder, wire,
};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// The most that the peak of the memory may grow, in KiB, under any attack.
const GROWTH: u64 = 64 << 10;

/// A seed to attack, with a torrent of 16 pieces.
struct Attacked {
    _folder: tempfile::TempDir,
    torrent: Torrent,
    seed: Serving,
    memory: Option<u64>,
}

impl Attacked {
    fn new(options: &[&str]) -> Attacked {
        let (folder, torrent) = (folder(), Torrent::of_pieces(16, 70));
        let seed = Serving::seed(folder.path(), &torrent, options);
        let memory = seed.status("VmHWM");
        Attacked { _folder: folder, torrent, seed, memory }
    }

    fn address(&self) -> SocketAddr {
        self.seed.address
    }

    fn is_served(&self) {
        is_served(self.address(), &self.torrent);
    }

    /// Checks that an honest peer is still served, memory is bounded, and the seed ends well.
    fn survives(self) {
        self.is_served();
        if let (Some(before), Some(after)) = (self.memory, self.seed.status("VmHWM")) {
            assert!(after < before + GROWTH, "{before} KiB before, {after} KiB after");
        }
        let ended = self.seed.interrupt();
        let given = ended.done()["uploaded"].as_u64().expect("a number");
        assert!(given >= self.torrent.content.len() as u64, "{given} bytes were given");
        assert!(!ended.outcome.err().contains("panicked"), "{:#}", ended.outcome);
    }
}

#[test]
fn leechers_that_ask_and_never_read_do_not_keep_others_from_being_served() {
    let attacked = Attacked::new(&[]);
    let mut deaf: Vec<Leech> =
        (0..4).map(|_| Leech::plain(attacked.address(), &attacked.torrent)).collect();
    for leech in &mut deaf {
        leech.wait_for_slot();
        let all: Vec<u8> = (0..250).flat_map(|number| request(number % 16, 0, 16_384)).collect();
        leech.say(&all);
    }
    attacked.is_served();
    attacked.survives();
}

#[test]
fn a_million_requests_do_not_choose_the_memory() {
    let attacked = Attacked::new(&[]);
    let many: Vec<u8> = (0..1000).flat_map(|number| request(number % 16, 0, 16_384)).collect();
    std::thread::scope(|scope| {
        // With or without the fast extension, with or without a slot; none of them reads.
        for (fast, slot) in [(false, false), (false, true), (true, false), (true, true)] {
            let (attacked, many) = (&attacked, &many);
            scope.spawn(move || {
                let kind = if fast { Leech::fast } else { Leech::plain };
                let mut leech = kind(attacked.address(), &attacked.torrent);
                if slot {
                    leech.wait_for_slot();
                }
                assert!(leech.flood(many, 1000) > 0);
            });
        }
        scope.spawn(|| attacked.is_served());
    });
    attacked.survives();
}

#[test]
fn a_million_changes_of_mind_do_no_harm() {
    let attacked = Attacked::new(&[]);
    let flips = [wire::message(wire::INTERESTED, b""), wire::message(wire::NOT_INTERESTED, b"")]
        .concat()
        .repeat(500);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut leech = Leech::plain(attacked.address(), &attacked.torrent);
            // All of it is taken in.
            (0..1000).for_each(|_| leech.say(&flips));
            leech.takes(&attacked.torrent, 0..16);
        });
        scope.spawn(|| attacked.is_served());
    });
    attacked.survives();
}

#[test]
fn a_change_of_mind_does_not_make_a_slot_more() {
    let attacked = Attacked::new(&["--slots", "1"]);
    let mut first = Leech::extended(attacked.address(), &attacked.torrent);
    first.wait_for_slot();
    let mut second = Leech::extended(attacked.address(), &attacked.torrent);
    second.say(&wire::message(wire::INTERESTED, b""));
    second.fence();
    first.say(
        &[wire::message(wire::NOT_INTERESTED, b""), wire::message(wire::INTERESTED, b"")].concat(),
    );
    // Once the seed has heard both, one of them has the slot. The other gets no block.
    let mut both = [first, second];
    both.iter_mut().for_each(|leech| drop(leech.fence()));
    both.iter_mut().for_each(|leech| leech.say(&request(0, 0, 16_384)));
    let is_block = |heard: &Heard| matches!(heard, Heard::Message(wire::PIECE, _));
    let until = Instant::now() + LIMIT;
    while !both.iter_mut().any(|leech| is_block(&leech.hear_within(Duration::from_millis(20)))) {
        assert!(Instant::now() < until, "the one with the slot gets its block");
    }
    let more = both
        .iter_mut()
        .flat_map(|leech| leech.until_silence().0)
        .filter(|(id, _)| *id == wire::PIECE)
        .count();
    assert_eq!(more, 0, "one slot, one block");
    drop(both);
    attacked.survives();
}

#[test]
fn those_that_sit_on_their_slots_do_not_keep_others_from_one() {
    let attacked = Attacked::new(&["--slots", "8"]);
    let mut sitting: Vec<Leech> =
        (0..12).map(|_| Leech::plain(attacked.address(), &attacked.torrent)).collect();
    for leech in &mut sitting {
        leech.say(&wire::message(wire::INTERESTED, b""));
    }
    // The next round gives it a slot, and it is ten seconds away at the most.
    attacked.survives();
}

/// The number of connections that the system's limit on open files allows, in a process where
/// other tests run.
fn room_for_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| {
        line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok()
    });
    (files.unwrap_or(256_usize).saturating_sub(64) / 2).min(500)
}

#[test]
fn five_hundred_that_come_at_once_are_all_served() {
    let (folder, torrent) = (folder(), Torrent::of_pieces(32, 74));
    let many = room_for_connections();
    let seed = Serving::seed(folder.path(), &torrent, ["--max-peers", "500", "-q"]);
    let memory = seed.status("VmHWM");
    std::thread::scope(|scope| {
        for _ in 0..many {
            let work = || is_served(seed.address, &torrent);
            let thread = std::thread::Builder::new().stack_size(256 << 10);
            thread.spawn_scoped(scope, work).expect("the system has threads");
        }
    });
    if let (Some(before), Some(after)) = (memory, seed.status("VmHWM")) {
        assert!(after < before + GROWTH, "{before} KiB before, {after} KiB after");
    }
    let ended = seed.interrupt();
    assert_eq!(
        ended.done()["uploaded"].as_u64(),
        Some((many * torrent.content.len()) as u64),
        "each got it all, once"
    );
}

/// The bytes of a leecher with a slot, and the expected outcome.
#[test]
fn a_request_that_cannot_be_meant_well_ends_the_connection() {
    let attacked = Attacked::new(&[]);
    let cases = vec![
        request(16, 0, 16_384),
        request(u32::MAX, 0, 16_384),
        request(0, 32_768, 1),
        request(0, 16_385, 16_384),
        request(0, u32::MAX, 16_384),
        request(0, 0, 16_385),
        request(0, 0, 131_072),
        request(0, 0, u32::MAX),
        request(0, 0, 0),
        wire::message(wire::REQUEST, &[0; 11]),
        wire::message(wire::REQUEST, &[0; 13]),
        wire::message(wire::CANCEL, &[0; 3]),
        wire::message(wire::INTERESTED, b"!"),
        wire::message(wire::HAVE, &[0; 3]),
        wire::message(wire::BITFIELD, b""),
        wire::message(wire::BITFIELD, &[0; 3]),
        wire::message(wire::BITFIELD, &[0; 1]),
        vec![0xFF; 64],
        vec![0x7F, 0xFF, 0xFF, 0xFF, wire::BITFIELD],
    ];
    all_at_once(
        cases.into_iter().flat_map(|bytes| [(bytes.clone(), false), (bytes, true)]).collect(),
        |(bytes, fast)| {
            let kind = if fast { Leech::fast } else { Leech::plain };
            let mut leech = kind(attacked.address(), &attacked.torrent);
            // All of them want a slot, and eight get one: a request out of range must fail with a slot
            // and without.
            leech.say(&wire::message(wire::INTERESTED, b""));
            leech.try_say(&bytes);
            assert!(leech.is_hung_up_on(), "fast {fast}: {bytes:02x?} is borne");
        },
    );
    attacked.survives();
}

#[test]
fn nonsense_that_does_no_harm_is_borne() {
    let attacked = Attacked::new(&[]);
    let have_all = wire::message(wire::HAVE, &3u32.to_be_bytes());
    let nonsense = [
        wire::keep_alive(),
        wire::message(wire::CHOKE, b""),
        wire::message(wire::UNCHOKE, b""),
        wire::message(wire::UNCHOKE, b""),
        wire::message(wire::BITFIELD, &[0, 1]),
        wire::message(wire::BITFIELD, &[0xFF, 0]),
        have_all.repeat(1000),
        wire::have(16),
        wire::have(u32::MAX),
        wire::message(wire::CANCEL, &[0xFF; 12]),
        wire::message(99, &[7; 1000]),
        wire::message(wire::REJECT, &[0; 12]),
        wire::block(0, 0, b"nobody asked for this"),
    ]
    .concat();
    for kind in [Leech::plain, Leech::fast] {
        let mut leech = kind(attacked.address(), &attacked.torrent);
        leech.say(&nonsense);
        leech.takes(&attacked.torrent, 0..16);
    }
    attacked.survives();
}

#[test]
fn a_flood_of_haves_does_no_harm() {
    let attacked = Attacked::new(&[]);
    // All but piece 0: a seed hangs up on a peer that has everything.
    let haves: Vec<u8> = (1..1001u32).flat_map(wire::have).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut leech = Leech::plain(attacked.address(), &attacked.torrent);
            // All of it is taken in.
            (0..1000).for_each(|_| leech.say(&haves));
        });
        scope.spawn(|| attacked.is_served());
    });
    attacked.survives();
}

#[test]
fn who_has_no_slot_gets_silence_or_with_the_fast_extension_a_refusal() {
    let attacked = Attacked::new(&["--slots", "0"]);
    let address = attacked.address();
    for interested in [false, true] {
        let mut plain = Leech::plain(address, &attacked.torrent);
        let mut fast = Leech::fast(address, &attacked.torrent);
        plain.until(wire::BITFIELD);
        for leech in [&mut plain, &mut fast] {
            if interested {
                leech.say(&wire::message(wire::INTERESTED, b""));
            }
            // A piece without an `allowed fast`.
            leech.say(&request(0, 0, 16_384));
        }
        let (said, closed) = plain.until_silence();
        assert!(
            said.is_empty() && !closed,
            "silence was expected, not {said:?} (closed: {closed})"
        );
        let is_answer = |id| [wire::REJECT, wire::PIECE].contains(&id);
        while !is_answer(fast.hear().0) {}
        let (said, closed) = fast.until_silence();
        let more = said.iter().any(|(id, _)| is_answer(*id));
        assert!(!more && !closed, "each request has one answer: {said:?} (closed: {closed})");
    }
    let ended = attacked.seed.interrupt();
    ended.done();
}

/// 12 of 16 pieces are right.
fn partial(folder: &Path, torrent: &Torrent) -> Serving {
    let path = folder.join("partial");
    let mut content = torrent.content.clone();
    content[4 * 32_768..8 * 32_768].fill(0);
    std::fs::write(&path, content).expect("the folder takes a file");
    Serving::start(
        Run::new(["seed"]).arg(torrent.write(folder, None)).arg(path),
        &folder.join("said"),
    )
}

#[test]
fn of_a_part_the_part_is_given_and_no_more() {
    let (folder, torrent) = (folder(), Torrent::of_pieces(16, 71));
    let seed = partial(folder.path(), &torrent);
    let mut plain = Leech::plain(seed.address, &torrent);
    assert_eq!(plain.until(wire::BITFIELD), [0xF0, 0xFF]);
    plain.takes(&torrent, (0..4).chain(8..16));
    plain.say(&request(5, 0, 16_384));
    assert!(plain.is_hung_up_on(), "without the fast extension there are no other words for it");
    let mut fast = Leech::fast(seed.address, &torrent);
    fast.wait_for_slot();
    fast.say(&request(5, 0, 16_384));
    assert_eq!(wire::three(&fast.until(wire::REJECT)), Some((5, 0, 16_384)));
    fast.takes_on(&torrent, 8..16);
    seed.interrupt().done();
}

#[test]
fn two_hundred_idle_connections_leave_room_where_there_is_room() {
    let attacked = Attacked::new(&["--max-peers", "220"]);
    let idle: Vec<Leech> =
        (0..200).map(|_| Leech::plain(attacked.address(), &attacked.torrent)).collect();
    attacked.is_served();
    if let Some(threads) = attacked.seed.status("Threads") {
        assert!(threads < 320, "a thread each, and few more: {threads}");
    }
    drop(idle);
    attacked.survives();
}

#[test]
fn three_hundred_connections_that_say_nothing_take_nothing_up() {
    let attacked = Attacked::new(&[]);
    let silent: Vec<Leech> =
        (0..300).filter_map(|_| Leech::connect(attacked.address()).ok()).collect();
    assert_eq!(silent.len(), 300, "the door is open");
    attacked.is_served();
    if let Some(threads) = attacked.seed.status("Threads") {
        assert!(threads < 200, "only so many handshakes at a time: {threads}");
    }
    drop(silent);
    attacked.survives();
}

#[test]
fn whoever_speaks_another_protocol_is_hung_up_on_at_its_first_words() {
    let attacked = Attacked::new(&[]);
    // Fewer than the 68 bytes of a handshake, and then they wait.
    let hello: Vec<Vec<u8>> = vec![
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"SSH-2.0-x\r\n".to_vec(),
        vec![0xA7, 0x31, 0x02, 0x99, 0x5C],
        b"\x13BitTorrent protocoL".to_vec(),
        wire::handshake([0; 8], [7; 20], peer_id())[..48].to_vec(),
    ];
    all_at_once(hello, |bytes| {
        let mut leech = Leech::connect(attacked.address()).expect("the door is open");
        leech.say(&bytes);
        // The deadline of a handshake is 10 s: this must come long before.
        assert_eq!(leech.hear_within(LIMIT), Heard::Closed, "{bytes:02x?}");
    });
    attacked.survives();
}

#[test]
fn its_own_address_is_dialed_once_and_never_again() {
    let (folder, torrent) = (folder(), Torrent::of_pieces(16, 72));
    let content = folder.path().join("content");
    std::fs::write(&content, &torrent.content).expect("the folder takes a file");
    // It names every peer that has announced itself.
    let tracker = FakeTracker::start(|target, _| {
        let port =
            crate::support::tracker::query_of(target).into_iter().find(|(key, _)| key == "port");
        let port: u16 = port.and_then(|(_, port)| port.parse().ok()).unwrap_or_default();
        Reply::peers(&[SocketAddr::from(([127, 0, 0, 1], port))])
    });
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let run = Run::new(["seed", "--timeout", "2"]).arg(file).arg(content);
    let mut seed = Serving::start(run, &folder.path().join("said"));
    let ourselves = |event: &serde_json::Value| {
        event["why"].as_str().is_some_and(|why| why.contains("ourselves"))
    };
    seed.wait_for("left", ourselves);
    // With --timeout 2 a failed address is dialed again after half a second.
    std::thread::sleep(Duration::from_millis(1500));
    is_served(seed.address, &torrent);
    let left = seed.events().iter().filter(|event| ourselves(event)).count();
    assert_eq!(left, 1, "{:#?}", seed.events());
    seed.interrupt().done();
}

#[test]
fn floods_of_metadata_requests_do_not_choose_the_memory() {
    let attacked = Attacked::new(&[]);
    let greeting = wire::extended(0, b"d1:md11:ut_metadatai3eee");
    let asks = wire::extended(1, b"d8:msg_typei0e5:piecei0ee").repeat(1000);
    let beyond = wire::extended(1, b"d8:msg_typei0e5:piecei4294967295ee").repeat(1000);
    std::thread::scope(|scope| {
        for requests in [&asks, &beyond, &asks, &beyond] {
            let (attacked, greeting) = (&attacked, &greeting);
            scope.spawn(move || {
                let mut leech = Leech::extended(attacked.address(), &attacked.torrent);
                leech.say(greeting);
                assert!(leech.flood(requests, 300) > 0);
            });
        }
        scope.spawn(|| attacked.is_served());
    });
    attacked.survives();
}

#[test]
fn garbage_in_extension_messages_harms_only_whoever_sends_it() {
    let attacked = Attacked::new(&[]);
    let deep = [vec![b'l'; 5000], vec![b'e'; 5000]].concat();
    let cases = vec![
        wire::extended(0, b""),
        wire::extended(0, b"i5e"),
        wire::extended(0, b"d1:mi5ee"),
        wire::extended(0, b"d1:md11:ut_metadatai-1eee"),
        wire::extended(0, b"d1:pi99999999e4:reqqi-5e13:metadata_sizei-1ee"),
        wire::extended(0, b"d4:reqqi0e1:v99999999999:xe"),
        wire::extended(0, &deep),
        wire::extended(0, &[0xFF; 50_000]),
        wire::extended(1, b""),
        wire::extended(1, b"d8:msg_typei77ee"),
        wire::extended(1, b"d8:msg_typei1e5:piecei0e10:total_sizei9eeabc"),
        wire::extended(2, b"xyz"),
        wire::extended(200, b"whatever"),
        wire::message(wire::EXTENDED, b""),
    ];
    all_at_once(cases, |bytes| {
        let mut leech = Leech::extended(attacked.address(), &attacked.torrent);
        for _ in 0..20 {
            leech.try_say(&bytes);
        }
        let _ = leech.until_silence();
    });
    attacked.survives();
}

/// A seed whose file is changed; the leecher's id for `lt_donthave` is 9.
fn changed(change: impl Fn(&Path, &Torrent)) -> (tempfile::TempDir, Torrent, Serving, Leech) {
    let (folder, torrent) = (folder(), Torrent::of_pieces(16, 73));
    let seed = Serving::seed(folder.path(), &torrent, ["-q"]);
    let bits = [0, 0, 0, 0, 0, wire::EXTENSION_BIT, 0, wire::FAST_BIT];
    let mut leech = Leech::dial(seed.address, &torrent, bits).expect("it takes us in");
    leech.say(&wire::message(wire::HAVE_NONE, b""));
    leech.say(&wire::extended(0, b"d1:md11:lt_donthavei9eee"));
    leech.takes(&torrent, 0..2);
    // The clock of the file system may tick as rarely as every 10 ms.
    std::thread::sleep(Duration::from_millis(60));
    change(&folder.path().join("content"), &torrent);
    (folder, torrent, seed, leech)
}

#[test]
fn of_a_file_that_was_changed_only_what_is_still_right_is_given() {
    let (_folder, torrent, seed, mut leech) = changed(|path, torrent| {
        let mut content = torrent.content.clone();
        content[3 * 32_768 + 5] ^= 1;
        std::fs::write(path, content).expect("the file is ours");
    });
    leech.say(&request(3, 16_384, 16_384));
    let (mut refused, mut told) = (false, false);
    while !(refused && told) {
        match leech.hear() {
            (wire::REJECT, payload) => refused = wire::three(&payload) == Some((3, 16_384, 16_384)),
            (wire::EXTENDED, payload) => told |= payload == [9, 0, 0, 0, 3],
            (wire::PIECE, _) => panic!("a block of a piece that is wrong"),
            _ => {}
        }
    }
    leech.takes_on(&torrent, (0..3).chain(4..16));
    // A peer that comes now is told the truth at once.
    let mut late = Leech::plain(seed.address, &torrent);
    assert_eq!(late.until(wire::BITFIELD), [0xEF, 0xFF]);
    late.takes(&torrent, (0..3).chain(4..16));
    seed.interrupt().done();
}

#[test]
fn a_file_that_was_only_touched_is_given_still() {
    let (_folder, torrent, seed, mut leech) = changed(|path, torrent| {
        std::fs::write(path, &torrent.content).expect("the file is ours");
    });
    leech.takes_on(&torrent, 0..16);
    is_served(seed.address, &torrent);
    seed.interrupt().done();
}

#[test]
fn a_file_that_was_cut_short_is_given_as_far_as_it_goes() {
    let (_folder, torrent, seed, mut leech) = changed(|path, torrent| {
        std::fs::write(path, &torrent.content[..10 * 32_768]).expect("the file is ours");
    });
    leech.say(&request(12, 0, 16_384));
    assert_eq!(wire::three(&leech.until(wire::REJECT)), Some((12, 0, 16_384)));
    leech.takes_on(&torrent, 0..10);
    seed.interrupt().done();
}

#[test]
fn a_file_that_was_replaced_is_not_given_for_what_it_was() {
    let (_folder, torrent, seed, mut leech) = changed(|path, torrent| {
        std::fs::remove_file(path).expect("the file is ours");
        std::fs::write(path, vec![0; torrent.content.len()]).expect("the folder is ours");
    });
    // An open file keeps its content; one that is opened again is refused. The new bytes are never sent.
    leech.say(&request(5, 0, 16_384));
    loop {
        match leech.hear() {
            (wire::REJECT, _) => break,
            (wire::PIECE, payload) => {
                assert!(payload[8..] == torrent.piece(5)[..16_384], "the bytes of another file");
                break;
            }
            _ => {}
        }
    }
    seed.interrupt().done();
}

#[test]
fn ctrl_c_ends_it_with_many_connected_and_half_of_them_deaf() {
    let attacked = Attacked::new(&["--max-peers", "100"]);
    attacked.is_served();
    let mut all: Vec<Leech> =
        (0..60).map(|_| Leech::plain(attacked.address(), &attacked.torrent)).collect();
    let many: Vec<u8> = (0..250).flat_map(|number| request(number % 16, 0, 16_384)).collect();
    for leech in &mut all[..30] {
        leech.say(&wire::message(wire::INTERESTED, b""));
        leech.say(&many);
    }
    let begun = Instant::now();
    attacked.seed.interrupt().done();
    // A peer that does not read is dropped after 20 s: that must not happen here.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let content = folder.path().join("content");
    std::fs::write(&content, &torrent.content).expect("the folder takes a file");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it has an address").port().to_string();
    let run = Run::new(["seed", "--bind", "127.0.0.1", "--port", &port])
        .arg(torrent.write(folder.path(), None))
        .arg(content);
    run.run().fails(&[7]).mentions(&port).mentions("in use");
}

#[test]
fn what_is_not_there_or_is_something_else_is_an_error() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let file = torrent.write(folder.path(), None);
    let run = |path: &Path| {
        Run::new(["seed", "--bind", "127.0.0.1", "--port", "0"]).arg(&file).arg(path).run()
    };
    run(&folder.path().join("nothing")).fails(&[7]).mentions("nothing");
    let other = folder.path().join("other");
    std::fs::write(&other, vec![1; torrent.content.len()]).expect("the folder takes a file");
    run(&other).fails(&[6]).mentions("other");
    run(folder.path()).fails(&[6, 7]);
}
