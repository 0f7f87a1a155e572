//! A bad peer beside a good one: the download finishes with the good one.

use crate::support::{
    After, Blocks, FakePeer, Greeting, Plan, Run, Torrent, Unchoke, folder, wire,
};

/// Downloads from a bad peer and a good one, which serves only once the bad one has
/// misbehaved.
#[track_caller]
fn finishes_beside(torrent: &Torrent, bad: Plan) {
    let folder = folder();
    let bad = bad.host(2).start();
    let good = FakePeer::of(torrent).host(3).once(bad.mischief()).start();
    let file = torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    Run::new(["download", "-o"])
        .arg(&out)
        .arg(file)
        .peer(bad.address())
        .peer(good.address())
        .run()
        .succeeds();
    assert!(bad.mischief().is_open(), "the bad peer did what it was made for");
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
}

fn sample() -> Torrent {
    Torrent::of_pieces(8, 21)
}

#[test]
fn a_peer_that_says_nothing_after_accepting_holds_nobody_up() {
    let torrent = sample();
    finishes_beside(&torrent, FakePeer::of(&torrent).greeting(Greeting::Silent));
}

#[test]
fn a_handshake_of_one_byte_a_second_holds_nobody_up() {
    let torrent = sample();
    finishes_beside(&torrent, FakePeer::of(&torrent).greeting(Greeting::Drip));
}

#[test]
fn a_message_of_one_byte_a_second_holds_nobody_up() {
    let torrent = sample();
    let bitfield = wire::message(wire::BITFIELD, &wire::bitfield(&[true; 8]));
    finishes_beside(&torrent, FakePeer::of(&torrent).after(After::Drip(bitfield)));
}

#[test]
fn a_peer_of_another_torrent_or_another_protocol_is_left() {
    let torrent = sample();
    for greeting in [
        Greeting::WrongInfoHash,
        Greeting::Close,
        Greeting::Half,
        Greeting::Echo,
        Greeting::Says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()),
        Greeting::Says(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        Greeting::Says(vec![0; 1_000_000]),
        Greeting::Says([&b"\x13bitTorrent protocol"[..], &[0; 48]].concat()),
    ] {
        finishes_beside(&torrent, FakePeer::of(&torrent).greeting(greeting));
    }
}

#[test]
fn a_length_prefix_of_four_gigabytes_is_not_believed() {
    let torrent = sample();
    for prefix in [[0xFF, 0xFF, 0xFF, 0xFF], [0x7F, 0xFF, 0xFF, 0xFF], [0x00, 0x20, 0x00, 0x01]] {
        let raw = [&prefix[..], &[7; 100]].concat();
        finishes_beside(&torrent, FakePeer::of(&torrent).after(After::Say(raw.clone())));
        finishes_beside(&torrent, FakePeer::of(&torrent).blocks(Blocks::SayAfter(2, raw)));
    }
}

#[test]
fn messages_that_break_their_own_form_cost_only_their_sender() {
    let torrent = sample();
    for raw in [
        wire::message(wire::BITFIELD, &[]),
        wire::message(wire::BITFIELD, &[0xFF; 2]),
        wire::message(wire::BITFIELD, &[0xFF; 60_000]),
        wire::message(wire::HAVE, &[0, 0]),
        wire::have(8),
        wire::have(u32::MAX),
        wire::message(wire::PIECE, &[0, 0, 0]),
        wire::message(wire::REQUEST, &[0; 5]),
        wire::message(wire::UNCHOKE, &[1, 2, 3]),
        wire::extended(0, b""),
        wire::extended(0, b"i1e"),
        wire::extended(0, &b"l".repeat(50_000)),
        wire::extended(0, b"d1:mi5ee"),
        wire::extended(0, b"d1:md11:ut_metadatai-7e6:ut_pex1:xe4:reqqi-1ee"),
        wire::message(wire::EXTENDED, &[]),
        wire::block(0, 0, &[0; 16_384]),
        wire::block(7, 4_294_967_295, &[0; 16_384]),
        // Requests, though nothing was unchoked, and an absurd one.
        wire::message(wire::REQUEST, &[0xFF; 12]),
        wire::message(wire::CANCEL, &[0xFF; 12]),
    ] {
        finishes_beside(&torrent, FakePeer::of(&torrent).opening(raw));
    }
}

#[test]
fn fast_messages_that_nobody_agreed_on_cost_only_their_sender() {
    let torrent = sample();
    for raw in [
        wire::message(wire::HAVE_ALL, &[]),
        wire::message(wire::REJECT, &[0; 12]),
        wire::message(17, &[0xFF; 4]),
        [wire::message(wire::HAVE_ALL, &[]), wire::message(wire::HAVE_NONE, &[])].concat(),
    ] {
        finishes_beside(&torrent, FakePeer::of(&torrent).opening(raw));
    }
}

#[test]
fn blocks_that_nobody_asked_for_are_not_written() {
    let torrent = sample();
    for blocks in [Blocks::Unasked, Blocks::OutOfRange, Blocks::TooLong, Blocks::TooShort] {
        finishes_beside(&torrent, FakePeer::of(&torrent).blocks(blocks));
    }
}

#[test]
fn corrupt_blocks_cost_their_sender_its_place() {
    let torrent = sample();
    finishes_beside(&torrent, FakePeer::of(&torrent).blocks(Blocks::Corrupt));
}

#[test]
fn one_corrupt_peer_among_three_spoils_nothing() {
    let folder = folder();
    let torrent = Torrent::of_pieces(24, 5);
    let bad = FakePeer::of(&torrent).blocks(Blocks::Corrupt).host(2).start();
    let good: Vec<FakePeer> =
        (3..6).map(|n| FakePeer::of(&torrent).host(n).pace(3).start()).collect();
    let file = torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    let mut run = Run::new(["download", "-o"]).arg(&out).arg(file).peer(bad.address());
    for peer in &good {
        run = run.peer(peer.address());
    }
    run.run().succeeds();
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
}

#[test]
fn a_choke_in_the_middle_gives_the_work_to_others() {
    let torrent = sample();
    finishes_beside(&torrent, FakePeer::of(&torrent).blocks(Blocks::ChokeAfter(3, false)));
    finishes_beside(&torrent, FakePeer::of(&torrent).fast().blocks(Blocks::ChokeAfter(3, false)));
}

#[test]
fn a_peer_that_never_unchokes_holds_nobody_up() {
    let torrent = sample();
    finishes_beside(&torrent, FakePeer::of(&torrent).unchoke(Unchoke::Never));
}

#[test]
fn a_peer_that_falls_silent_or_dies_half_way_gives_its_work_to_others() {
    let torrent = sample();
    for blocks in [Blocks::SilentAfter(3), Blocks::ResetAfter(3), Blocks::CloseAfter(3)] {
        finishes_beside(&torrent, FakePeer::of(&torrent).blocks(blocks));
    }
}

#[test]
fn a_peer_that_rejects_every_request_is_asked_no_more_than_it_is_worth() {
    let torrent = sample();
    finishes_beside(&torrent, FakePeer::of(&torrent).fast().blocks(Blocks::Reject));
}

#[test]
fn a_peer_that_holds_one_piece_only_is_no_hindrance() {
    let folder = folder();
    let torrent = sample();
    let one = FakePeer::of(&torrent).only([5]).host(2).start();
    let good = FakePeer::of(&torrent).only([0, 1, 2, 3, 4, 6, 7]).host(3).start();
    let file = torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    Run::new(["download", "-o"])
        .arg(&out)
        .arg(file)
        .peer(one.address())
        .peer(good.address())
        .run()
        .succeeds();
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
    assert!(one.served() > 0);
}

#[test]
fn thirty_silent_peers_do_not_fill_every_place() {
    let folder = folder();
    let torrent = sample();
    let silent: Vec<FakePeer> = (10..40)
        .map(|n| FakePeer::of(&torrent).greeting(Greeting::Silent).host(n).start())
        .collect();
    let good = FakePeer::of(&torrent).host(3).start();
    let file = torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    let mut run = Run::new(["download", "-o"]).arg(&out).arg(file);
    for peer in &silent {
        run = run.peer(peer.address());
    }
    run.peer(good.address()).run().succeeds();
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
}
