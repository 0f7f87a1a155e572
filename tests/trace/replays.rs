//! Replays of captures: of real clients, and some made by hand in which our side says something
//! different from now.

use super::tape::{OTHER, PEER, Tape};
use crate::support::{Outcome, Recipe, Run, Torrent, content, folder, wire};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures").join(name)
}

/// The captures of real clients: the file, the peer's program, and whether the session began
/// with a magnet link.
const REAL: [(&str, &str, bool); 5] = [
    ("libtorrent.capture", "libtorrent 2.1.1", false),
    ("libtorrent-magnet.capture", "libtorrent 2.1.1", true),
    ("transmission.capture", "Transmission 3.0", false),
    ("aria2.capture", "aria2 1.36.0", false),
    ("rqbit.capture", "rqbit", false),
];

#[test]
fn each_capture_of_a_real_client_is_explained_to_its_end() {
    for (file, client, _) in REAL {
        let outcome = Run::new(["explain"]).arg(data(file)).run();
        outcome.succeeds();
        let out = outcome.out();
        assert!(out.contains(client), "{file}: {client}: {}", &out[..300]);
        for strange in [
            "^^",
            "the capture ends in the middle",
            "after it on",
            "not known here",
            "by its looks",
        ] {
            assert!(!out.contains(strange), "{file}: {strange}");
        }
        assert!(out.contains("piece 4, begin 0, 116 bytes"), "{file}: the last block");
        let html = Run::new(["explain", "--as", "html"]).arg(data(file)).run();
        assert!(html.succeeds().out().len() < 100_000, "{file}: blocks are not in the page");
        Run::new(["explain", "--as", "mermaid"]).arg(data(file)).run().succeeds();
    }
}

#[test]
fn each_session_with_a_real_client_would_be_the_same_today() {
    for (file, _, magnet) in REAL {
        let mut run = Run::new(["replay", "--json", "--timeout", "50"]).arg(data(file));
        if !magnet {
            run = run.arg("--torrent").arg(data("captured.torrent"));
        }
        let outcome = run.run();
        outcome.succeeds();
        let json: Value = serde_json::from_str(&outcome.out()).expect("it prints JSON");
        let taken = (json["same"].as_bool(), json["pieces"].as_u64(), json["bytes"].as_u64());
        assert_eq!(taken, (Some(true), Some(5), Some(16_500)), "{file}: {outcome}");
    }
}

#[test]
fn the_captures_stay_small() {
    let files = std::fs::read_dir(data("")).expect("they are there");
    let bytes: u64 = files
        .map(|file| file.expect("it can be listed").metadata().expect("it is a file").len())
        .sum();
    assert!((100_000..200 << 10).contains(&bytes), "{bytes} bytes");
}

/// Three pieces of 32 bytes, and a seed that speaks BEP 3 and nothing else.
struct Scene {
    torrent: Torrent,
    reserved: [u8; 8],
    interested: Vec<u8>,
    /// The requests, as (piece, length), and the answer to each.
    blocks: Vec<(u32, u32, Vec<u8>)>,
    unchoke: bool,
}

impl Scene {
    fn new() -> Scene {
        let torrent = Recipe::single("three", 32, content(96, 5)).build();
        let blocks = (0..)
            .zip(torrent.content.chunks(32))
            .map(|(piece, data)| (piece, 32, data.to_vec()))
            .collect();
        Scene {
            torrent,
            reserved: [0, 0, 0, 0, 0, 0x10, 0, 0x04],
            interested: wire::message(2, b""),
            blocks,
            unchoke: true,
        }
    }

    fn tape(&self) -> Tape {
        self.tape_with(|tape| tape)
    }

    /// The tape with more lines before the end.
    fn tape_with(&self, more: impl FnOnce(Tape) -> Tape) -> Tape {
        let ours = wire::handshake(self.reserved, self.torrent.info_hash, *b"-PM0001-abcdefghijkl");
        let theirs = wire::handshake([0; 8], self.torrent.info_hash, *b"-XX0001-abcdefghijkl");
        let bitfield = wire::message(5, &wire::bitfield(&[true; 3]));
        let mut tape =
            Tape::new().out(1, ours).comes(2, [theirs, bitfield].concat()).out(3, &self.interested);
        if self.unchoke {
            tape = tape.comes(4, wire::message(1, b""));
        }
        for (time, (piece, length, data)) in (5..).zip(&self.blocks) {
            let request = [piece.to_be_bytes(), [0; 4], length.to_be_bytes()].concat();
            tape = tape.out(time, wire::message(6, &request));
            if !data.is_empty() {
                tape = tape.comes(time, wire::block(*piece, 0, data));
            }
        }
        more(tape).end(100, 1, PEER)
    }

    fn replay(&self, words: &[&str]) -> Outcome {
        self.replay_tape(&self.tape(), words)
    }

    fn replay_tape(&self, tape: &Tape, words: &[&str]) -> Outcome {
        self.replay_in(tape, &[&["--timeout", "10"], words].concat())
    }

    fn replay_in(&self, tape: &Tape, words: &[&str]) -> Outcome {
        let folder = folder();
        let file = [b"d4:info", &self.torrent.info[..], b"e"].concat();
        std::fs::write(folder.path().join("three.torrent"), file)
            .expect("the folder can be written");
        std::fs::write(folder.path().join("tape"), &tape.0).expect("the folder can be written");
        let all = [&["replay", "tape", "--torrent", "three.torrent"], words].concat();
        Run::new(all).dir(folder.path()).run()
    }
}

/// Checks for exit code 1, with these differences on stdout.
#[track_caller]
fn differs(outcome: &Outcome, expected: &[&str]) {
    let out = outcome.out();
    let found: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    assert_eq!((outcome.code, found.as_slice()), (Some(1), expected), "{outcome}");
    assert!(
        outcome.err().starts_with("error: tape: connection 1 was not the same as in the capture: "),
        "{outcome}"
    );
    assert!(outcome.err().ends_with("see: piecemeal chapter reading-a-trace\n"), "{outcome}");
}

#[test]
fn a_session_by_hand_is_the_same() {
    let expected = "\
Connection 1: 127.0.0.2:6881, -XX0001-, a program that is not known here.
Took 3 pieces in 3 blocks, 96 bytes.
Our side said the same as in the capture.
";
    Scene::new().replay(&[]).prints(expected);
}

#[test]
fn the_order_of_requests_does_not_matter() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        scene.blocks.rotate_left(1);
        scene.replay(&[]).succeeds();
    }
}

#[test]
fn another_bit_in_our_handshake_is_a_difference() {
    let mut scene = Scene::new();
    scene.reserved[7] = 0x05;
    let what = "the reserved bytes of our handshake: 0000000000100005 in the capture, 0000000000100004 now";
    differs(&scene.replay(&[]), &[what]);
}

#[test]
fn a_peer_that_waited_for_more_than_we_say_now_goes_on_all_the_same() {
    let mut scene = Scene::new();
    scene.interested = scene.interested.repeat(2);
    let expected = [
        "our side did not say all that comes before the peer's unchoke in the capture",
        "our messages about interest: interested, interested in the capture, interested now",
    ];
    differs(&scene.replay(&[]), &expected);
}

#[test]
fn a_block_of_another_size_is_a_difference() {
    let mut scene = Scene::new();
    let (_, _, second) = scene.blocks.remove(1);
    let tape = scene.tape_with(|tape| {
        [0, 16].into_iter().fold(tape, |tape, begin: u32| {
            let asked = wire::message(6, &[1, begin, 16].map(u32::to_be_bytes).concat());
            tape.out(40, asked).comes(41, wire::block(1, begin, &second[begin as usize..][..16]))
        })
    });
    // Before these there is a line about the wait in vain.
    let expected = [
        "of piece 1, begin 0, 16 bytes was asked for in the capture, and not now",
        "of piece 1, begin 16, 16 bytes was asked for in the capture, and not now",
        "of piece 1, begin 0, 32 bytes is asked for now, and was not in the capture",
    ];
    let outcome = scene.replay_tape(&tape, &[]);
    let out = outcome.out();
    let found: Vec<&str> =
        out.lines().filter_map(|line| line.strip_prefix("- the block ")).collect();
    assert_eq!((outcome.code, found.as_slice()), (Some(1), expected.as_slice()), "{outcome}");
    assert!(out.contains("\n- not all pieces came\n"), "{outcome}");
}

#[test]
fn what_was_asked_for_and_did_not_come_whole_is_no_difference() {
    let mut scene = Scene::new();
    scene.blocks[1].2.truncate(16);
    scene.blocks[2].2.clear();
    let outcome = scene.replay(&[]);
    assert!(outcome.succeeds().out().contains("Took 1 piece in 1 block, 32 bytes."), "{outcome}");
}

#[test]
fn pieces_that_others_brought_are_there_already() {
    let mut scene = Scene::new();
    scene.blocks.remove(0);
    let outcome = scene.replay(&[]);
    assert!(outcome.succeeds().out().contains("Took 2 pieces in 2 blocks, 64 bytes."), "{outcome}");
}

#[test]
fn without_an_unchoke_our_side_waits_and_it_ends() {
    let mut scene = Scene::new();
    scene.unchoke = false;
    let outcome = scene.replay(&[]);
    let out = outcome.out();
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        out.contains("\n- not all pieces came\n- our side still waits, where in the capture it has everything\n"),
        "{outcome}"
    );
}

#[test]
fn a_block_with_a_wrong_byte_is_not_taken_for_the_same() {
    let mut scene = Scene::new();
    scene.blocks[1].2[7] ^= 1;
    let outcome = scene.replay(&[]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.out().contains("\n- piece 1 had the wrong hash\n"), "{outcome}");
}

#[test]
fn what_cannot_be_played_is_bad_input() {
    let scene = Scene::new();
    let fails = |outcome: Outcome, what: &str| {
        assert_eq!((outcome.code, outcome.stdout.len()), (Some(3), 0), "{outcome}");
        assert!(
            outcome.err().starts_with(&format!("error: tape: {what}\nhelp: ")),
            "{what}: {outcome}"
        );
    };
    let hash = hex::encode(scene.torrent.info_hash);
    fails(scene.replay(&["--connection", "7"]), "there is no connection 7: the capture has 1");
    fails(scene.replay_tape(&Tape::new(), &[]), "there is no connection 0: the capture has none");
    fails(
        scene.tape().run(&["replay", "tape"]),
        "connection 1: expected the info dictionary in the capture, or --torrent FILE, found neither",
    );
    let other =
        Scene { torrent: Recipe::single("other", 32, content(96, 6)).build(), ..Scene::new() };
    let found = hex::encode(other.torrent.info_hash);
    fails(
        other.replay_tape(&scene.tape(), &[]),
        &format!("connection 1 is about the torrent {hash}, and this one is {found}"),
    );
    let nothing = Scene { blocks: Vec::new(), ..Scene::new() };
    fails(
        nothing.replay(&[]),
        "connection 1: expected a piece that came whole from this peer, found none",
    );
    let silent = Tape::new().out(1, wire::handshake([0; 8], scene.torrent.info_hash, [b'a'; 20]));
    fails(
        scene.replay_tape(&silent, &[]),
        "connection 1: expected the peer's handshake, found none",
    );
    let named = Tape(scene.tape().0.replace(PEER, "somebody"));
    fails(
        scene.replay_tape(&named, &[]),
        "connection 1: expected a peer with an address, such as 127.0.0.1:6881, found somebody",
    );
}

#[test]
fn a_connection_can_be_chosen_and_otherwise_the_busiest_is_played() {
    let scene = Scene::new();
    let first = Tape::new().says(
        1,
        9,
        OTHER,
        "out",
        wire::handshake([0; 8], scene.torrent.info_hash, [b'a'; 20]),
    );
    let rest = scene.tape().0.split_once('\n').expect("there are lines").1.to_owned();
    let both = Tape(first.0 + &rest);
    assert!(scene.replay_tape(&both, &[]).succeeds().out().starts_with("Connection 1: "));
    let chosen = scene.replay_tape(&both, &["--connection", "9"]);
    chosen.mentions("connection 9: expected the peer's handshake, found none");
}

/// A peer that repeatedly waits for something that our side never says.
#[test]
fn a_capture_that_waits_for_more_and_more_comes_to_an_end() {
    let scene = Scene { unchoke: false, ..Scene::new() };
    let mut tape = scene.tape().0;
    tape.truncate(tape.trim_end().rfind('\n').expect("there are lines") + 1);
    let mut tape = Tape(tape);
    for time in 0..500 {
        tape =
            tape.out(200 + time, wire::message(2, b"")).comes(200 + time, wire::have(1).repeat(50));
    }
    let tape = tape.comes(1_000, wire::block(2, 0, &scene.torrent.content[64..]));
    let outcome = scene.replay_in(&tape, &["--timeout", "5"]);
    let waited = "our side did not say all that comes before the peer's have in the capture";
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!((5..20).contains(&outcome.out().matches(waited).count()), "{outcome}");
    assert!(outcome.out().contains("\n- our messages about interest: "), "{outcome}");
    assert!(outcome.out().lines().all(|line| line.len() < 1_000), "{outcome}");
}

/// A client that never stops requesting, and a peer that never stops rejecting.
#[test]
fn a_peer_that_refuses_for_ever_comes_to_an_end() {
    let scene = Scene::new();
    let hello = |id| wire::handshake(scene.reserved, scene.torrent.info_hash, id);
    let block =
        |begin: usize| wire::block(1, begin as u32, &scene.torrent.content[32 + begin..][..31]);
    let no = wire::message(16, &[[0, 0, 0, 1], [0; 4], [0, 0, 0, 32]].concat());
    // Both halves of the piece are there, but not as the blocks that we request.
    let said = [
        hello(*b"-XX0001-abcdefghijkl"),
        wire::message(14, b""),
        wire::message(1, b""),
        block(0),
        block(1),
        no,
    ]
    .concat();
    let tape = Tape::new().out(1, hello(*b"-PM0001-abcdefghijkl")).comes(2, said);
    let outcome = scene.replay_in(&tape, &["--timeout", "1"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
}
