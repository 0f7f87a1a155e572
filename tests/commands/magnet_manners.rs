//! What a magnet session may send, and when. Course checks and polite clients both
//! require this: until the metadata is complete, nothing but the extension handshake,
//! metadata requests, and rejects.

use crate::support::bencode::{Value, decode};
use crate::support::wire::EXTENDED;
use crate::support::{FakePeer, Gate, LIMIT, Order, Recipe, Run, Talk, Torrent, content, folder};

/// Checks everything the client said before it had `metadata` metadata pieces.
#[track_caller]
fn assert_polite(talk: &Talk, metadata: usize) {
    assert_eq!(talk.reserved(), [0, 0, 0, 0, 0, 0x10, 0, 0], "the extension bit and no other");
    let Some(first) = talk.messages.first() else { return };
    assert_eq!(
        (first.id, first.payload.first()),
        (Some(EXTENDED), Some(&0)),
        "the extension handshake comes first: {talk:?}"
    );
    let (hello, _) = decode(&first.payload[1..]).expect("the extension handshake is a dictionary");
    let id = hello.get("m").and_then(|m| m.get("ut_metadata")).and_then(Value::int);
    assert!(id.is_some_and(|id| (1..=255).contains(&id)), "an id for ut_metadata: {hello:?}");
    assert_eq!(hello.get("metadata_size"), None, "nobody knows the size yet");
    for message in &talk.messages[1..] {
        if message.metadata_sent >= metadata {
            continue;
        }
        assert_eq!(
            (message.id, message.payload.first()),
            (Some(EXTENDED), Some(&3)),
            "only metadata messages: {:?}",
            talk.ids()
        );
        let (request, used) =
            decode(&message.payload[1..]).expect("a metadata message is a dictionary");
        assert!(matches!(request.get("msg_type").and_then(Value::int), Some(0 | 2)), "{request:?}");
        assert_eq!(used, message.payload.len() - 1, "a request has no data behind it");
    }
}

fn three_metadata_pieces() -> Torrent {
    Recipe::single("many.bin", 16, content(16 * 2_000, 6)).build()
}

#[test]
fn nothing_comes_between_the_two_handshakes() {
    let folder = folder();
    let torrent = Torrent::sample();
    let out = folder.path().join("out");
    for order in [Order::BitfieldFirst, Order::ExtensionFirst, Order::NoBitfield] {
        let peer = FakePeer::of(&torrent).order(order).start();
        Run::new(["magnet_handshake", &torrent.magnet(&[])]).peer(peer.address()).run().succeeds();
        let talk = peer.only_talk();
        assert_eq!(talk.ids(), [EXTENDED], "the extension handshake and nothing else");
        assert_polite(&talk, 1);
    }
    for order in [Order::BitfieldFirst, Order::ExtensionFirst] {
        for command in ["magnet_info", "magnet_download_piece", "magnet_download"] {
            let peer = FakePeer::of(&torrent).order(order).start();
            let run = Run::new([command, &torrent.magnet(&[])]).peer(peer.address());
            let run =
                if command == "magnet_info" { run } else { run.arg("-o").arg(&out).arg("--force") };
            let run = if command == "magnet_download_piece" { run.arg("0") } else { run };
            run.run().succeeds();
            for talk in peer.finished() {
                assert_polite(&talk, 1);
            }
        }
    }
}

#[test]
fn only_metadata_is_asked_for_until_all_of_it_is_there() {
    let folder = folder();
    let torrent = three_metadata_pieces();
    let out = folder.path().join("out");
    for command in ["magnet_info", "magnet_download_piece", "magnet_download"] {
        let peer = FakePeer::of(&torrent).start();
        let run = Run::new([command, &torrent.magnet(&[])]).peer(peer.address());
        let run =
            if command == "magnet_info" { run } else { run.arg("-o").arg(&out).arg("--force") };
        let run = if command == "magnet_download_piece" { run.arg("5") } else { run };
        run.run().succeeds();
        let talk = peer.only_talk();
        assert_polite(&talk, 3);
        if command == "magnet_info" {
            assert!(talk.ids().iter().all(|id| *id == EXTENDED), "{:?}", talk.ids());
        }
    }
}

#[test]
fn a_peer_without_the_extension_bit_hears_the_handshake_only() {
    let torrent = Torrent::sample();
    let plain = FakePeer::of(&torrent).plain().host(2).start();
    let good = FakePeer::of(&torrent).host(3).start();
    Run::new(["magnet_info", &torrent.magnet(&[])])
        .peer(plain.address())
        .peer(good.address())
        .run()
        .succeeds();
    for talk in plain.finished() {
        let raw = talk.raw();
        assert!(raw.is_empty() || raw.len() == 68, "{raw:02x?}");
    }
}

#[test]
fn a_peer_is_answered_before_it_has_said_anything() {
    // It waits for our extension handshake before it sends its own bitfield and
    // handshake: a client that also waits would wait forever. The gate holds back its
    // answers, and nothing else.
    let torrent = Torrent::sample();
    let gate = Gate::default();
    let peer = FakePeer::of(&torrent).order(Order::NoBitfield).once(gate.clone()).start();
    let run = Run::new(["magnet_info", "--timeout", "30", &torrent.magnet(&[])])
        .peer(peer.address())
        .start();
    let begun = std::time::Instant::now();
    while peer.talks().first().is_none_or(|talk| talk.messages.len() < 2) {
        assert!(
            begun.elapsed() < LIMIT,
            "neither extension handshake nor request: {:?}",
            peer.talks()
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    gate.open();
    run.finish().succeeds();
    assert_polite(&peer.only_talk(), 1);
}
