//! The magnet commands' answers.

use crate::support::{
    After, FakePeer, FakeTracker, Metadata, Order, Recipe, Run, Torrent, Unchoke, content, folder,
};

const PEER_ID: &str = "Peer ID: 2d4650303030312d303132333435363738396162\n";

/// A torrent whose info dictionary takes three metadata pieces.
fn many_pieces() -> Torrent {
    Recipe::single("many.bin", 16, content(16 * 2_000, 6)).build()
}

#[test]
fn magnet_handshake_prints_peer_id_and_extension_id() {
    let torrent = Torrent::sample();
    for order in [Order::BitfieldFirst, Order::ExtensionFirst, Order::NoBitfield] {
        for id in [1, 3, 255] {
            let mut plan = FakePeer::of(&torrent).order(order);
            plan.metadata_id = id;
            let peer = plan.start();
            let tracker = FakeTracker::knowing(&[peer.address()]);
            Run::new(["magnet_handshake", "--timeout", "60", &torrent.magnet(&[&tracker.url()])])
                .run()
                .prints(&format!("{PEER_ID}Peer Metadata Extension ID: {id}\n"));
        }
    }
}

#[test]
fn magnet_handshake_takes_a_peer_that_holds_the_line_for_ever() {
    // No unchoke, no answer to anything, no end of the stream.
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).metadata(Metadata::Silent).start();
    Run::new(["magnet_handshake", "--timeout", "60", &torrent.magnet(&[])])
        .peer(peer.address())
        .run()
        .prints(&format!("{PEER_ID}Peer Metadata Extension ID: 3\n"));
}

#[test]
fn bytes_after_the_extension_dictionary_are_ignored() {
    let torrent = Torrent::sample();
    let peer =
        FakePeer::of(&torrent).greets(&b"d1:md11:ut_metadatai7ee1:pi6881eeTRAILING"[..]).start();
    Run::new(["magnet_handshake", &torrent.magnet(&[])])
        .peer(peer.address())
        .run()
        .prints(&format!("{PEER_ID}Peer Metadata Extension ID: 7\n"));
}

#[test]
fn magnet_handshake_of_a_peer_that_cannot_serve_metadata_says_what_is_known_and_ends() {
    let torrent = Torrent::sample();
    for plan in [
        FakePeer::of(&torrent).plain(),
        FakePeer::of(&torrent).plain().after(After::Hold),
        FakePeer::of(&torrent).metadata(Metadata::None),
        FakePeer::of(&torrent).after(After::Close),
    ] {
        let peer = plan.start();
        let outcome = Run::new(["magnet_handshake", "--timeout", "2", &torrent.magnet(&[])])
            .peer(peer.address())
            .run();
        assert!(outcome.code == Some(0) || outcome.code == Some(5), "{outcome}");
        if outcome.code == Some(0) {
            outcome.prints(PEER_ID);
        } else {
            outcome.explains_itself();
        }
    }
}

#[test]
fn magnet_info_prints_what_info_prints() {
    let folder = folder();
    for torrent in [Torrent::sample(), many_pieces()] {
        let peer = FakePeer::of(&torrent).start();
        let tracker = FakeTracker::knowing(&[peer.address()]);
        torrent.write(folder.path(), Some(&tracker.url()));
        let from_file = Run::new(["info", "test.torrent"]).dir(folder.path()).run();
        from_file.succeeds();
        let link = torrent.magnet(&[&tracker.url()]);
        Run::new(["magnet_info", "--timeout", "60", &link]).run().prints(&from_file.out());
    }
}

#[test]
fn magnet_info_needs_no_unchoke_no_bitfield_and_no_end_of_stream() {
    let torrent = Torrent::sample();
    for order in [Order::BitfieldFirst, Order::ExtensionFirst, Order::NoBitfield] {
        let plan = FakePeer::of(&torrent).order(order).unchoke(Unchoke::Never).noise();
        let peer = plan.start();
        Run::new(["magnet_info", "--timeout", "60", &torrent.magnet(&[])])
            .peer(peer.address())
            .run()
            .succeeds();
    }
}

#[test]
fn a_link_with_only_a_peer_address_works() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    for host in ["127.0.0.1", "localhost"] {
        let link = format!("{}&x.pe={host}:{}", torrent.magnet(&[]), peer.address().port());
        Run::new(["magnet_handshake", &link]).run().succeeds();
        let out = folder.path().join(host);
        Run::new(["magnet_download", "-o"]).arg(&out).arg(&link).run().succeeds();
        assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
    }
}

#[test]
fn magnet_download_piece_fetches_a_data_piece() {
    // Index 1 is piece 1 of the content, not of the metadata: a common mistake.
    let folder = folder();
    for torrent in [Torrent::sample(), many_pieces()] {
        let peer = FakePeer::of(&torrent).start();
        let tracker = FakeTracker::knowing(&[peer.address()]);
        let link = torrent.magnet(&[&tracker.url()]);
        let last = torrent.pieces() - 1;
        for index in [0, 1, last] {
            Run::new(["magnet_download_piece", "-o", "out", &link, &index.to_string()])
                .dir(folder.path())
                .run()
                .prints(&format!("Piece {index} downloaded to out.\n"));
            let out = std::fs::read(folder.path().join("out")).expect("the piece is there");
            assert!(out == torrent.piece(index), "piece {index}");
            std::fs::remove_file(folder.path().join("out")).expect("the piece can be removed");
        }
    }
}

#[test]
fn magnet_download_fetches_all_over_the_connection_it_has() {
    let folder = folder();
    let torrent = Torrent::of_pieces(8, 11);
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    let link = torrent.magnet(&[&tracker.url()]);
    Run::new(["magnet_download", "-o", "out", &link])
        .dir(folder.path())
        .run()
        .prints(&format!("Downloaded {link} to out.\n"));
    assert!(
        std::fs::read(folder.path().join("out")).expect("the download is there") == torrent.content
    );
    peer.only_talk();
}

#[test]
fn magnet_download_of_several_files_and_several_metadata_pieces() {
    let folder = folder();
    let files = [("a/one", content(20_000, 1)), ("b", Vec::new()), ("c", content(5_000, 2))];
    let torrent = Recipe::files("many", 16, &files).build();
    assert!(torrent.info.len() > 16_384);
    let peer = FakePeer::of(&torrent).start();
    Run::new(["magnet_download", "-o", "out", &torrent.magnet(&[])])
        .dir(folder.path())
        .peer(peer.address())
        .run()
        .succeeds();
    for (path, data) in &files {
        assert!(
            &std::fs::read(folder.path().join("out").join(path)).expect("the file is there")
                == data,
            "{path}"
        );
    }
}

#[test]
fn a_version_2_link_needs_somebody_to_ask_like_any_other() {
    let link =
        "magnet:?xt=urn:btmh:1220caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";
    let parsed = Run::new(["magnet_parse", link]).run();
    parsed.succeeds();
    assert!(
        parsed.out().contains("caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e"),
        "{parsed}"
    );
    let folder = folder();
    let out = folder.path().join("out");
    let outcome = Run::new(["magnet_download", "--timeout", "2", "-o"]).arg(out).arg(link).run();
    outcome.fails(&[5]).mentions("the magnet link names no tracker and no peer");
}

#[test]
fn metadata_from_one_peer_and_data_from_another() {
    let folder = folder();
    let torrent = Torrent::of_pieces(4, 13);
    let knows = FakePeer::of(&torrent).only([]).host(2).start();
    let has = FakePeer::of(&torrent).plain().host(3).start();
    let out = folder.path().join("out");
    let run = Run::new(["magnet_download", "-o"]).arg(&out).arg(torrent.magnet(&[]));
    run.peer(knows.address()).peer(has.address()).run().succeeds();
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
}

#[test]
fn what_a_peer_said_before_the_metadata_came_is_kept() {
    let folder = folder();
    let torrent = Torrent::of_pieces(9, 14);
    for plan in [
        FakePeer::of(&torrent).unchoke(Unchoke::Early),
        FakePeer::of(&torrent).by_haves().unchoke(Unchoke::Early),
        FakePeer::of(&torrent).by_haves().order(Order::ExtensionFirst),
        FakePeer::of(&torrent).noise(),
    ] {
        let peer = plan.start();
        let out = folder.path().join("out");
        let run = Run::new(["magnet_download", "--force", "-o"]).arg(&out).arg(torrent.magnet(&[]));
        run.peer(peer.address()).run().succeeds();
        assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
        std::fs::remove_file(&out).expect("the download is ours");
    }
}

#[test]
fn json_turns_no_text_round_on_a_terminal() {
    let link =
        "magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c&dn=a%E2%80%AEgpj.exe%1B";
    let outcome = Run::new(["magnet_parse", "--json", link]).run();
    assert!(outcome.succeeds().out().contains(r#""a\u202egpj.exe\u001b""#), "{outcome}");
}
