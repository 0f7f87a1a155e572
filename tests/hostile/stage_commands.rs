//! Bad peers and the commands that need one good answer: with a good peer beside the bad one
//! they get it, with the bad one alone they end with an error in time.

use crate::all_at_once;
use crate::support::{
    After, Blocks, FakePeer, FakeTracker, Gate, Greeting, Metadata, Plan, Run, Torrent, Unchoke,
    dead_address, folder, wire,
};

/// Every way to be useless, with the expected exit code.
fn useless(torrent: &Torrent) -> Vec<(&'static str, Plan, &'static [i32])> {
    let peer = || FakePeer::of(torrent);
    vec![
        ("silent", peer().greeting(Greeting::Silent), &[5]),
        ("drip", peer().greeting(Greeting::Drip), &[5]),
        ("another torrent", peer().greeting(Greeting::WrongInfoHash), &[5]),
        ("closes", peer().greeting(Greeting::Close), &[5]),
        ("half a handshake", peer().greeting(Greeting::Half), &[5]),
        (
            "http",
            peer().greeting(Greeting::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
            &[5],
        ),
        ("tls", peer().greeting(Greeting::Says(b"\x15\x03\x01\x00\x02\x02\x28".to_vec())), &[5]),
        ("closes after the handshake", peer().after(After::Close), &[5]),
        ("holds", peer().after(After::Hold), &[5]),
        ("huge prefix", peer().after(After::Say(vec![0xFF; 64])), &[5]),
        ("never unchokes", peer().unchoke(Unchoke::Never), &[5]),
        ("has nothing", peer().only([]), &[5]),
        ("has other pieces", peer().only([0, 1]), &[5]),
        ("wrong bitfield", peer().opening(wire::message(wire::BITFIELD, &[0xFF; 9])), &[5]),
        ("silent after one block", peer().blocks(Blocks::SilentAfter(1)), &[5]),
        ("chokes after one block", peer().blocks(Blocks::ChokeAfter(1, false)), &[5]),
        ("resets after one block", peer().blocks(Blocks::ResetAfter(1)), &[5]),
        ("closes after one block", peer().blocks(Blocks::CloseAfter(1)), &[5]),
        ("rejects", peer().fast().blocks(Blocks::Reject), &[5]),
        ("too long", peer().blocks(Blocks::TooLong), &[5, 6]),
        ("too short", peer().blocks(Blocks::TooShort), &[5, 6]),
        ("corrupt", peer().blocks(Blocks::Corrupt), &[6]),
    ]
}

#[test]
fn download_piece_from_a_useless_peer_ends_with_an_error_and_no_file() {
    let torrent = Torrent::sample();
    all_at_once(useless(&torrent), |(what, plan, codes)| {
        let folder = folder();
        let peer = plan.start();
        let file = torrent.write(folder.path(), None);
        let out = folder.path().join("piece");
        // The corrupt data must have come before the time is up.
        let timeout = if what == "corrupt" { "60" } else { "2" };
        let outcome = Run::new(["download_piece", "--timeout", timeout, "-o"])
            .arg(&out)
            .arg(file)
            .arg("3")
            .peer(peer.address())
            .run();
        outcome.fails(codes).mentions(&peer.address().to_string());
        assert!(!out.exists(), "{what}: no file without a verified piece");
    });
}

#[test]
fn download_piece_finds_the_good_peer_behind_a_useless_one() {
    let torrent = Torrent::sample();
    all_at_once(useless(&torrent), |(what, plan, _)| {
        let folder = folder();
        let bad = plan.host(2).start();
        // The good one waits for mischief where there is any to wait for.
        let gate = if ["has nothing", "has other pieces", "closes", "chokes after one block"]
            .contains(&what)
        {
            let open = Gate::default();
            open.open();
            open
        } else {
            bad.mischief()
        };
        let good = FakePeer::of(&torrent).host(3).once(gate).start();
        let file = torrent.write(folder.path(), None);
        let out = folder.path().join("piece");
        Run::new(["download_piece", "--timeout", "60", "-o"])
            .arg(&out)
            .arg(file)
            .arg("3")
            .peer(bad.address())
            .peer(good.address())
            .run()
            .succeeds();
        assert!(std::fs::read(&out).expect("the piece is there") == torrent.piece(3), "{what}");
    });
}

#[test]
fn odd_but_honest_peers_are_good_enough_for_a_piece() {
    let torrent = Torrent::sample();
    let peer = || FakePeer::of(&torrent);
    let plans = vec![
        peer().blocks(Blocks::Unasked),
        peer().blocks(Blocks::Twice),
        peer().blocks(Blocks::Backwards),
        peer().blocks(Blocks::ChokeAfter(1, true)),
        peer().fast().blocks(Blocks::ChokeAfter(1, true)),
        peer().noise(),
        peer().by_haves(),
        peer().only([3]),
        peer().unchoke(Unchoke::Early),
    ];
    all_at_once(plans, |plan| {
        let folder = folder();
        let strict = plan.blocks == Blocks::Unasked;
        let peer = plan.start();
        let file = torrent.write(folder.path(), None);
        let out = folder.path().join("piece");
        let outcome = Run::new(["download_piece", "--timeout", "60", "-o"])
            .arg(&out)
            .arg(file)
            .arg("3")
            .peer(peer.address())
            .run();
        if strict && outcome.code != Some(0) {
            // Hanging up on a peer that sends unrequested blocks is also allowed.
            outcome.fails(&[5]);
        } else {
            outcome.succeeds();
            assert!(std::fs::read(&out).expect("the piece is there") == torrent.piece(3));
        }
    });
}

#[test]
fn seven_silent_peers_do_not_hide_the_eighth() {
    let folder = folder();
    let torrent = Torrent::sample();
    let silent: Vec<FakePeer> = (10..17)
        .map(|n| FakePeer::of(&torrent).greeting(Greeting::Silent).host(n).start())
        .collect();
    let good = FakePeer::of(&torrent).host(3).start();
    let mut all: Vec<_> = silent.iter().map(FakePeer::address).collect();
    all.push(good.address());
    let tracker = FakeTracker::knowing(&all);
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let out = folder.path().join("piece");
    // Sixty seconds: one silent peer after the other would be killed before.
    Run::new(["download_piece", "--timeout", "60", "-o"])
        .arg(&out)
        .arg(file)
        .arg("1")
        .run()
        .succeeds();
    assert!(std::fs::read(&out).expect("the piece is there") == torrent.piece(1));
    Run::new(["magnet_info", "--timeout", "60", &torrent.magnet(&[&tracker.url()])])
        .run()
        .succeeds();
}

#[test]
fn handshake_with_a_peer_that_does_not_shake_hands_is_an_error() {
    let torrent = Torrent::sample();
    let greetings = vec![
        Greeting::Silent,
        Greeting::Drip,
        Greeting::WrongInfoHash,
        Greeting::Close,
        Greeting::Half,
        Greeting::Says(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
        Greeting::Says(vec![0; 200]),
    ];
    all_at_once(greetings, |greeting| {
        let folder = folder();
        let peer = FakePeer::of(&torrent).greeting(greeting).start();
        let file = torrent.write(folder.path(), None);
        Run::new(["handshake", "--timeout", "2"])
            .arg(file)
            .arg(peer.address().to_string())
            .run()
            .fails(&[5])
            .mentions(&peer.address().to_string());
    });
}

#[test]
fn an_answer_from_another_protocol_is_refused_without_waiting_for_68_bytes() {
    // Five bytes are enough to see that it is no peer. The deadline is far away.
    let torrent = Torrent::sample();
    let folder = folder();
    let peer = FakePeer::of(&torrent)
        .greeting(Greeting::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()))
        .start();
    let file = torrent.write(folder.path(), None);
    Run::new(["handshake", "--timeout", "60"])
        .arg(file)
        .arg(peer.address().to_string())
        .within(30)
        .run()
        .fails(&[5]);
}

#[test]
fn magnet_commands_with_a_useless_peer_end_with_an_error() {
    let torrent = Torrent::sample();
    let peer = || FakePeer::of(&torrent);
    let plans = vec![
        peer().greeting(Greeting::Silent),
        peer().greeting(Greeting::WrongInfoHash),
        peer().greeting(Greeting::Drip),
        peer().plain(),
        peer().plain().after(After::Hold),
        peer().after(After::Close),
        peer().after(After::Hold),
        peer().metadata(Metadata::None),
        peer().greets(&b"not a dictionary"[..]),
        peer().greets(&b""[..]),
    ];
    all_at_once(plans, |plan| {
        let peer = plan.start();
        Run::new(["magnet_info", "--timeout", "2", &torrent.magnet(&[])])
            .peer(peer.address())
            .run()
            .fails(&[5]);
    });
    Run::new(["magnet_info", "--timeout", "2", &torrent.magnet(&[])])
        .peer(dead_address())
        .run()
        .fails(&[5]);
}
