//! `download_piece` and `download`: bytes on disk, and the requests for them.

use crate::support::bencode::{bytes, dict, int};
use crate::support::wire::{INTERESTED, REQUEST};
use crate::support::{
    Blocks, FakePeer, FakeTracker, Order, Recipe, Run, Torrent, Unchoke, content, folder,
};
use sha2::{Digest, Sha256};
use std::path::Path;

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn download_piece_writes_one_verified_piece() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    torrent.write(folder.path(), Some(&tracker.url()));
    for index in 0..torrent.pieces() {
        let out = format!("./piece-{index}");
        Run::new([
            "download_piece",
            "-o",
            &out,
            "test.torrent",
            &index.to_string(),
            "--timeout",
            "60",
        ])
        .dir(folder.path())
        .run()
        .prints(&format!("Piece {index} downloaded to {out}.\n"));
        assert!(
            read(&folder.path().join(&out)) == torrent.piece(index),
            "piece {index} is the torrent's"
        );
    }
}

#[test]
fn a_piece_is_asked_for_in_blocks_once_the_peer_unchokes() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    Run::new(["download_piece", "-o"])
        .arg(folder.path().join("p"))
        .arg(file)
        .arg("4")
        .peer(peer.address())
        .run()
        .succeeds();
    let talk = peer.only_talk();
    assert_eq!(talk.requests(), [(4, 0, 16_384), (4, 16_384, 3_616)]);
    let first_request = talk.messages.iter().position(|m| m.id == Some(REQUEST));
    let interested = talk.messages.iter().position(|m| m.id == Some(INTERESTED));
    assert!(
        interested.is_some() && interested < first_request,
        "interested comes first: {:?}",
        talk.ids()
    );
    assert!(
        talk.messages.iter().filter(|m| m.id == Some(REQUEST)).all(|m| m.unchoked),
        "no request while choked"
    );
}

#[test]
fn a_block_longer_than_16_kib_is_never_asked_for() {
    let folder = folder();
    let torrent = Recipe::single("odd", 100_000, content(250_000, 3)).build();
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    let out = folder.path().join("odd");
    Run::new(["download", "-o"]).arg(&out).arg(file).peer(peer.address()).run().succeeds();
    assert!(read(&out) == torrent.content);
    for (piece, begin, length) in peer.finished().iter().flat_map(|t| t.requests()) {
        assert!(
            length <= 16_384 && begin + length <= if piece == 2 { 50_000 } else { 100_000 },
            "{piece} {begin} {length}"
        );
    }
}

#[test]
fn download_names_the_output_as_it_was_typed() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    torrent.write(folder.path(), Some(&tracker.url()));
    Run::new(["download", "-o", ".//out.bin", "./test.torrent"])
        .dir(folder.path())
        .run()
        .prints("Downloaded ./test.torrent to .//out.bin.\n");
    assert!(read(&folder.path().join("out.bin")) == torrent.content);
    assert!(
        !folder.path().join("out.bin.piecemeal").exists(),
        "the marker goes when the download is done"
    );
}

#[test]
fn download_of_several_files_makes_the_folder_named_by_the_option() {
    let folder = folder();
    let files = [
        ("a/deep/one.bin", content(50_000, 1)),
        ("empty", Vec::new()),
        ("\u{fc}n\u{ef}c\u{f6}d\u{e9} \u{1F980}.txt", content(1, 2)),
        ("a/two.bin", content(32_768, 3)),
        ("last", content(7, 4)),
    ];
    let torrent = Recipe::files("advised name", 32_768, &files).build();
    let peer = FakePeer::of(&torrent).start();
    torrent.write(folder.path(), None);
    Run::new(["download", "-o", "album", "test.torrent"])
        .dir(folder.path())
        .peer(peer.address())
        .run()
        .prints("Downloaded test.torrent to album.\n");
    for (path, data) in &files {
        assert!(&read(&folder.path().join("album").join(path)) == data, "{path}");
    }
}

#[test]
fn a_torrent_whose_length_is_a_multiple_of_the_piece_length_ends() {
    let folder = folder();
    let torrent = Torrent::of_pieces(3, 9);
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    Run::new(["download", "-o"]).arg(&out).arg(file).peer(peer.address()).run().succeeds();
    assert!(read(&out) == torrent.content);
}

#[test]
fn a_last_piece_of_one_byte_and_a_piece_shorter_than_a_block_are_pieces() {
    let folder = folder();
    for (length, piece_length) in [(32_769, 16_384), (1, 16_384), (100, 7), (40_000, 19_999)] {
        let torrent = Recipe::single("x", piece_length, content(length, 5)).build();
        let peer = FakePeer::of(&torrent).start();
        let file = torrent.write(folder.path(), None);
        let out = folder.path().join(format!("out-{length}-{piece_length}"));
        Run::new(["download", "-o"]).arg(&out).arg(file).peer(peer.address()).run().succeeds();
        assert!(read(&out) == torrent.content, "{length} bytes in pieces of {piece_length}");
    }
}

#[test]
fn all_pieces_come_over_one_connection() {
    let folder = folder();
    let torrent = Torrent::of_pieces(12, 2);
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    Run::new(["download", "-o"])
        .arg(folder.path().join("out"))
        .arg(file)
        .peer(peer.address())
        .run()
        .succeeds();
    let mut asked = peer.only_talk().requests();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), 24, "each block was asked for");
}

#[test]
fn peers_of_every_manner_are_downloaded_from() {
    let folder = folder();
    let torrent = Torrent::sample();
    let file = torrent.write(folder.path(), None);
    for (number, plan) in [
        FakePeer::of(&torrent).plain(),
        FakePeer::of(&torrent).fast(),
        FakePeer::of(&torrent).order(Order::ExtensionFirst),
        FakePeer::of(&torrent).by_haves(),
        FakePeer::of(&torrent).unchoke(Unchoke::Early),
        FakePeer::of(&torrent).noise(),
        FakePeer::of(&torrent).blocks(Blocks::Backwards),
        FakePeer::of(&torrent).blocks(Blocks::Twice),
        FakePeer::of(&torrent).blocks(Blocks::ChokeAfter(3, true)),
        FakePeer::of(&torrent).fast().blocks(Blocks::ChokeAfter(3, true)),
    ]
    .into_iter()
    .enumerate()
    {
        let peer = plan.start();
        let out = folder.path().join(format!("out-{number}"));
        Run::new(["download", "-o"]).arg(&out).arg(&file).peer(peer.address()).run().succeeds();
        assert!(read(&out) == torrent.content, "peer {number}");
    }
}

#[test]
fn two_peers_with_a_half_each_make_a_whole() {
    let folder = folder();
    let torrent = Torrent::of_pieces(10, 4);
    let even = FakePeer::of(&torrent).only((0..10).step_by(2)).host(2).start();
    let odd = FakePeer::of(&torrent).only((1..10).step_by(2)).host(3).start();
    let tracker = FakeTracker::knowing(&[even.address(), odd.address()]);
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let out = folder.path().join("out");
    Run::new(["download", "-o"]).arg(&out).arg(file).run().succeeds();
    assert!(read(&out) == torrent.content);
}

#[test]
fn three_peers_at_one_address_are_three_peers() {
    // A class behind one router; every peer on one machine.
    let folder = folder();
    let torrent = Torrent::of_pieces(9, 4);
    let peers: Vec<_> =
        (0..3).map(|n| FakePeer::of(&torrent).only((n..9).step_by(3)).host(1)).collect();
    let peers: Vec<_> = peers
        .into_iter()
        .enumerate()
        .map(|(n, mut plan)| {
            plan.peer_id[18] = n as u8;
            plan.start()
        })
        .collect();
    let tracker = FakeTracker::knowing(&peers.iter().map(FakePeer::address).collect::<Vec<_>>());
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let out = folder.path().join("out");
    Run::new(["download", "-o"]).arg(&out).arg(file).run().succeeds();
    assert!(read(&out) == torrent.content);
}

#[test]
fn a_hybrid_torrent_downloads_by_its_version_1_half() {
    let folder = folder();
    // The files have two blocks and one: a root is the hash of two hashes, or of the only block.
    let root = |data: &[u8]| -> Vec<u8> {
        let leaves: Vec<[u8; 32]> =
            data.chunks(16_384).map(|it| Sha256::digest(it).into()).collect();
        match &*leaves {
            [only] => only.to_vec(),
            two => Sha256::digest(two.as_flattened()).to_vec(),
        }
    };
    let file = |data: Vec<u8>| {
        let length = ("length", int(data.len() as i64));
        dict(&[("", dict(&[length, ("pieces root", bytes(root(&data)))]))])
    };
    let tree = dict(&[("one", file(content(20_000, 1))), ("two", file(content(5_000, 2)))]);
    let torrent = Recipe::single("hybrid", 32_768, Vec::new())
        .file(&[b"one"], content(20_000, 1), "")
        .file(&[b".pad", b"12768"], vec![0; 12_768], "p")
        .file(&[b"two"], content(5_000, 2), "")
        .extra("file tree", tree)
        .extra("meta version", b"i2e".to_vec())
        .build();
    let peer = FakePeer::of(&torrent).start();
    torrent.write(folder.path(), None);
    Run::new(["download", "-o", "out", "test.torrent"])
        .dir(folder.path())
        .peer(peer.address())
        .run()
        .succeeds();
    assert!(read(&folder.path().join("out/one")) == content(20_000, 1));
    assert!(read(&folder.path().join("out/two")) == content(5_000, 2));
    assert!(!folder.path().join("out/.pad").exists());
}

#[test]
fn a_torrent_of_nothing_is_complete_at_once() {
    let folder = folder();
    let torrent = Recipe::single("nothing", 32_768, Vec::new()).build();
    let file = torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    Run::new(["download", "--timeout", "2", "-o"]).arg(&out).arg(file).run().succeeds();
    assert_eq!(read(&out), b"");
}

/// A seed that breaks a rule, and no other peer: all of it comes, and only `-v` says so.
#[test]
fn what_does_no_harm_is_told_with_v_and_costs_nothing() {
    let torrent = Torrent::of_pieces(5, 3);
    let bits = [0, 0, 0, 2, 5, 0xff]; // three spare bits
    let whole = FakePeer::of(&torrent);
    let peers = [
        (
            whole.clone().opening(bits.to_vec()),
            "its bitfield sets bits beyond the last piece, which must be zero (BEP 3)",
        ),
        (whole.clone().greets("junk!"), "the extension handshake is not bencode: byte 0: "),
        (
            whole.clone().greets("d1:md6:ut_pexi1ee1:pi1e1:pi2ee"),
            "p appears more than once: the first one counts",
        ),
        (
            whole.greets("d4:reqq3:250e"),
            "reqq must be a number of requests, but is \"250\"; it is passed over",
        ),
    ];
    for (plan, told) in peers {
        let (folder, peer) = (folder(), plan.start());
        let file = torrent.write(folder.path(), None);
        for words in [&["download", "-v"][..], &["download"]] {
            let out = folder.path().join(words.len().to_string());
            let outcome = Run::new(words.iter().chain(&["-o"]))
                .arg(&out)
                .arg(&file)
                .peer(peer.address())
                .run();
            outcome.succeeds();
            assert!(read(&out) == torrent.content);
            assert_eq!(outcome.err().contains(told), words.len() == 2, "{told}: {outcome}");
        }
    }
    // The commands that are about the extension handshake need a good one.
    let peer = FakePeer::of(&torrent).greets("junk!").start();
    let outcome =
        Run::new(["magnet_handshake"]).arg(torrent.magnet(&[])).peer(peer.address()).run();
    outcome.fails(&[5]).mentions("the extension handshake is not bencode: byte 0: ");
    let peer = FakePeer::of(&torrent).greets("d1:md11:ut_metadatai3eee1:pi1e1:pi2e").start();
    Run::new(["magnet_handshake"]).arg(torrent.magnet(&[])).peer(peer.address()).run().succeeds();
}
